//! What users see of links: the texts of `info network`, events, descriptors, hubs, forwards that come and go.  The facts
//! are those of QEMU's tests/qtest/netdev-socket.c.
#![cfg(target_os = "linux")]

use super::links::until;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tern_host::clock::monotonic_ns;
use tern_host::net::{Address, Commons, Link, LinkEvent, Options, Port, open, open_with};
use tern_host::sys::{file, host};

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tern-net-{name}-{}", std::process::id()))
}

fn free_port(host: &str) -> u16 {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port()
}

/// Makes a descriptor as one that the process was started with, and gives its number.
fn inherited(fd: impl Into<OwnedFd>) -> i32 {
    let number = fd.into().into_raw_fd();
    file::fcntl(number, host::F_SETFD, 0).unwrap();
    number
}

fn exchange(a: &mut dyn Link, b: &mut dyn Link) {
    until(&mut [a, b], |l| l.iter().all(|l| l.carrier()).then_some(()));
    for frame in [&[1u8; 60][..], &[2; 1514]] {
        a.send(frame);
        assert_eq!(until(&mut [a, b], |l| l[1].next_frame()), frame);
        b.send(frame);
        assert_eq!(until(&mut [a, b], |l| l[0].next_frame()), frame);
    }
}

fn connected(events: &[LinkEvent]) -> &Address {
    match events {
        [LinkEvent::Connected(address)] => address,
        other => panic!("{other:?}"),
    }
}

#[test]
fn streams_of_both_families() {
    for (host, family) in [("127.0.0.1", "addr.ipv4=on,addr.ipv6=off"), ("::1", "addr.ipv4=off,addr.ipv6=on")] {
        if TcpListener::bind((host, 0)).is_err() {
            continue;
        }
        let at = format!("addr.type=inet,{family},addr.host={host},addr.port={}", free_port(host));
        let mut a = open(&format!("stream,id=st0,server=true,{at}")).unwrap();
        assert_eq!(a.info(), "listening");
        let mut b = open(&format!("stream,server=false,id=st0,{at}")).unwrap();
        let port = at.rsplit_once('=').unwrap().1;
        assert_eq!(b.info(), format!("tcp:{host}:{port}"));
        until(&mut [&mut *a], |l| l[0].carrier().then_some(()));
        let text = a.info();
        assert_eq!(text.rsplit_once(':').unwrap().0, format!("tcp:{host}"));
        let events = b.events();
        let Address::Inet(inet) = connected(&events) else { panic!("{events:?}") };
        assert_eq!((inet.host.as_str(), inet.port.to_string().as_str()), (host, port));
        assert_eq!((inet.ipv4.is_some(), inet.ipv6.is_some()), (host != "::1", host == "::1"));
        assert!(b.events().is_empty(), "an event is told once");
        exchange(&mut *a, &mut *b);
        drop(b);
        until(&mut [&mut *a], |l| (l[0].info() == "listening").then_some(()));
        assert!(matches!(a.events()[..], [LinkEvent::Connected(_), LinkEvent::Disconnected]));
    }
}

#[test]
fn a_server_tries_ports() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let at = format!("addr.type=inet,addr.host=127.0.0.1,addr.port={port}");
    assert!(open(&format!("stream,server=on,{at}")).err().unwrap().to_string().contains("in use"));
    let a = open(&format!("stream,server=on,{at},addr.to={}", port.saturating_add(50))).unwrap();
    assert_eq!(a.info(), "listening");
}

#[test]
fn unix_streams_come_back() {
    let path = place("again");
    let at = format!("addr.type=unix,addr.path={}", path.display());
    let server = || open(&format!("stream,id=st0,server=true,{at}")).unwrap();
    let mut a = server();
    let mut b = open(&format!("stream,server=false,id=st0,{at},reconnect-ms=20")).unwrap();
    assert_eq!(b.info(), "connecting");
    let both = |l: &mut [&mut dyn Link]| (l[0].carrier() && l[1].carrier()).then_some(());
    until(&mut [&mut *a, &mut *b], both);
    let uri = format!("unix:{}", path.display());
    assert_eq!((a.info(), b.info()), (uri.clone(), uri));
    for link in [&mut a, &mut b] {
        assert_eq!(*connected(&link.events()), Address::unix(&path));
    }
    drop(a);
    assert!(!path.exists(), "a server takes its file along");
    until(&mut [&mut *b], |l| (l[0].info() == "connecting").then_some(()));
    assert_eq!(b.events(), [LinkEvent::Disconnected]);
    // One that was killed leaves its file: it is in nobody's way.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut a = server();
    until(&mut [&mut *a, &mut *b], both);
    assert_eq!(*connected(&b.events()), Address::unix(&path));
    exchange(&mut *a, &mut *b);
    // Whatever somebody else puts in its place stays.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    drop(a);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(open(&format!("stream,server=on,{at}")).is_err(), "a file that is no socket is not removed");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn abstract_names() {
    let path = place("abstract");
    for tight in ["", ",addr.tight=off"] {
        let at = format!("addr.type=unix,addr.path={},addr.abstract=on{tight}", path.display());
        let mut a = open(&format!("stream,server=true,{at}")).unwrap();
        assert!(!path.exists());
        let mut b = open(&format!("stream,server=false,{at}")).unwrap();
        until(&mut [&mut *a], |l| l[0].carrier().then_some(()));
        let uri = format!("unix:{}", path.display());
        assert_eq!((a.info(), b.info()), (uri.clone(), uri));
        exchange(&mut *a, &mut *b);
        // An end for good.
        drop(a);
        until(&mut [&mut *b], |l| (!l[0].carrier()).then_some(()));
        assert_eq!((b.info().as_str(), b.deadline()), ("disconnected", None));
    }
}

#[test]
fn descriptors() {
    let (x, y) = UnixStream::pair().unwrap();
    let (x, y) = (inherited(x), inherited(y));
    let mut a = open(&format!("stream,id=st0,addr.type=fd,addr.str={x}")).unwrap();
    assert_eq!(a.info(), "unix:");
    assert!(open(&format!("stream,addr.type=fd,addr.str={x}")).is_err(), "it can be taken once");
    let mut b = open(&format!("socket,fd={y}")).unwrap();
    assert_eq!(b.info(), format!("socket: fd={y}"));
    exchange(&mut *a, &mut *b);
    drop(b);
    until(&mut [&mut *a], |l| (!l[0].carrier()).then_some(()));

    // By name; a listening one.
    let path = place("fd");
    let mut commons = Commons::default();
    commons.descriptors.insert("door", UnixListener::bind(&path).unwrap().into()).unwrap();
    let options = Options::parse("stream,server=on,addr.type=fd,addr.str=door").unwrap();
    let mut a = open_with(&options, &mut commons).unwrap();
    assert_eq!(a.info(), "listening");
    let mut b = open(&format!("stream,addr.type=unix,addr.path={}", path.display())).unwrap();
    exchange(&mut *a, &mut *b);
    std::fs::remove_file(&path).unwrap();

    let (x, y) = UnixDatagram::pair().unwrap();
    let (x, y) = (inherited(x), inherited(y));
    let mut a = open(&format!("dgram,id=st0,local.type=fd,local.str={x}")).unwrap();
    let mut b = open(&format!("socket,fd={y}")).unwrap();
    assert_eq!((a.info(), b.info()), (format!("fd={x} unix"), format!("socket: fd={y} unix")));
    exchange(&mut *a, &mut *b);

    // What is no socket, no stream, no tap, is refused, and closed.
    for text in ["stream,addr.type=fd,addr.str", "socket,fd", "dgram,local.type=fd,local.str", "tap,fd"] {
        let (read, mut write) = std::io::pipe().unwrap();
        assert!(open(&format!("{text}={}", inherited(read))).is_err(), "{text}");
        assert_eq!(write.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe, "{text}");
    }
}

#[test]
fn datagrams() {
    let free = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (p, q) = (free(), free());
    let inet = |p, q| {
        format!(
            "dgram,id=st0,local.type=inet,local.host=127.0.0.1,local.port={p},\
             remote.type=inet,remote.host=127.0.0.1,remote.port={q}"
        )
    };
    let (mut a, mut b) = (open(&inet(p, q)).unwrap(), open(&inet(q, p)).unwrap());
    assert_eq!(a.info(), format!("udp=127.0.0.1:{p}/127.0.0.1:{q}"));
    exchange(&mut *a, &mut *b);
    // An empty datagram is no frame, and no end.
    let odd = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    odd.send_to(&[], (Ipv4Addr::LOCALHOST, p)).unwrap();
    until(&mut [&mut *a], |l| (l[0].counts().malformed == 1).then_some(()));
    exchange(&mut *a, &mut *b);

    let (p, q) = (place("d0"), place("d1"));
    let unix = |p: &Path, q: &Path| {
        format!("dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}", p.display(), q.display())
    };
    let mut a = open(&unix(&p, &q)).unwrap();
    a.send(b"nobody is there");
    let mut b = open(&unix(&q, &p)).unwrap();
    assert_eq!(b.info(), format!("udp={}:{}", q.display(), p.display()));
    exchange(&mut *a, &mut *b);
    drop((a, b));
    assert!(!p.exists() && !q.exists());
}

#[test]
fn multicast() {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let group = format!("remote.type=inet,remote.host=230.0.0.1,remote.port={port}");
    // A host without a route for multicasts.
    let Ok(a) = open(&format!("dgram,id=st0,{group}")) else { return };
    assert_eq!(a.info(), format!("mcast=230.0.0.1:{port}"));
    drop(a);
    let here = "local.type=inet,local.host=127.0.0.1,local.port=0";
    let mut a = open(&format!("dgram,{group},{here}")).unwrap();
    let mut b = open(&format!("socket,mcast=230.0.0.1:{port},localaddr=127.0.0.1")).unwrap();
    assert_eq!(b.info(), format!("socket: mcast=230.0.0.1:{port}"));
    a.send(b"to all");
    assert_eq!(until(&mut [&mut *b], |l| l[0].next_frame()), b"to all");
    assert_eq!(until(&mut [&mut *a], |l| l[0].next_frame()), b"to all", "a member hears itself, as in QEMU");
    let fd = inherited(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let c = open(&format!("dgram,{group},local.type=fd,local.str={fd}")).unwrap();
    assert_eq!(c.info(), format!("fd={fd} (cloned mcast=230.0.0.1:{port})"));
}

#[test]
fn old_sockets_say_what_they_do() {
    let port = free_port("127.0.0.1");
    let mut a = open(&format!("socket,listen=127.0.0.1:{port}")).unwrap();
    assert_eq!(a.info(), "");
    let mut b = open(&format!("socket,connect=127.0.0.1:{port}")).unwrap();
    assert_eq!(b.info(), format!("socket: connect to 127.0.0.1:{port}"));
    until(&mut [&mut *a], |l| l[0].carrier().then_some(()));
    assert!(a.info().starts_with("socket: connection from 127.0.0.1:"), "{}", a.info());
    exchange(&mut *a, &mut *b);
    assert!(a.events().is_empty());
    drop(b);
    until(&mut [&mut *a], |l| l[0].info().is_empty().then_some(()));
    let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert_eq!(open(&format!("socket,udp={to},localaddr=127.0.0.1:0")).unwrap().info(), format!("socket: udp={to}"));
}

#[test]
fn rubbish_ends_a_connection_and_nothing_else() {
    let path = place("rubbish");
    let mut a = open(&format!("stream,server=on,addr.type=unix,addr.path={}", path.display())).unwrap();
    // Lengths of nothing, without end; half a head; a frame that never ends; what is too long.
    let long = 65_550u32.to_be_bytes();
    let most = 65_549u32.to_be_bytes();
    let cases: [&[u8]; 4] = [&[0; 400_000], &[0, 0], &most, &long];
    for (n, bytes) in cases.iter().enumerate() {
        let mut peer = UnixStream::connect(&path).unwrap();
        until(&mut [&mut *a], |l| l[0].carrier().then_some(()));
        peer.set_nonblocking(true).unwrap();
        let mut rest = *bytes;
        until(&mut [&mut *a], |_| {
            let n = peer.write(rest).unwrap_or(0);
            rest = &rest[n..];
            rest.is_empty().then_some(())
        });
        a.send(b"frame");
        if n == 3 {
            until(&mut [&mut *a], |l| (!l[0].carrier()).then_some(()));
        }
        drop(peer);
        until(&mut [&mut *a], |l| (!l[0].carrier()).then_some(()));
        assert_eq!(a.next_frame(), None);
    }
    assert_eq!(a.counts().malformed, 100_001);
    let mut b = open(&format!("stream,addr.type=unix,addr.path={}", path.display())).unwrap();
    exchange(&mut *a, &mut *b);
}

#[test]
fn hubs() {
    let mut commons = Commons::default();
    let mut port = |text: &str| open_with(&Options::parse(text).unwrap(), &mut commons).unwrap();
    let (mut a, mut b, mut c) = (port("hubport,id=a,hubid=1"), port("hubport,hubid=1"), port("hubport,hubid=2"));
    a.send(b"one");
    assert_eq!(b.next_frame().as_deref(), Some(&b"one"[..]));
    assert_eq!((a.next_frame(), c.next_frame()), (None, None));
    let hub = commons.hub(1);
    assert_eq!((hub.id(), hub.ports()), (1, vec!["hub1port1".to_owned(), "a".to_owned()]));
    // Another backend on the hub.
    let (x, y) = UnixStream::pair().unwrap();
    commons.descriptors.insert("x", x.into()).unwrap();
    let stream = Options::parse("stream,addr.type=fd,addr.str=x").unwrap();
    hub.attach(Some("up"), Port::new(open_with(&stream, &mut commons).unwrap()));
    let mut far = open_with(&Options::parse(&format!("socket,fd={}", inherited(y))).unwrap(), &mut commons).unwrap();
    b.send(b"two");
    assert_eq!(a.next_frame().as_deref(), Some(&b"two"[..]));
    assert_eq!(until(&mut [&mut *far], |l| l[0].next_frame()), b"two");
    far.send(b"three");
    assert_eq!(until(&mut [&mut *a], |l| l[0].next_frame()), b"three");
    assert_eq!(b.next_frame().as_deref(), Some(&b"three"[..]));
    let mut fds = Vec::new();
    a.poll_fds(&mut fds);
    assert_eq!(fds.len(), 1);
    // A port that nobody empties holds nobody up, and does not grow.
    for _ in 0..1000 {
        a.send(b"four");
    }
    assert!(b.counts().overflow > 700);
    // Hubs in a ring: frames go round at most once, and nothing waits for itself.
    let (one, two) = (commons.hub(1), commons.hub(2));
    one.attach(Some("ring"), Port::new(Box::new(two.port(None))));
    two.attach(Some("ring"), Port::new(Box::new(one.port(None))));
    a.send(b"five");
    one.poll(monotonic_ns());
    two.poll(monotonic_ns());
    assert_eq!(c.next_frame().as_deref(), Some(&b"five"[..]));
    assert!(one.detach("ring") && !one.detach("ring"));
    drop(a);
    assert!(!one.ports().contains(&"a".to_owned()));
}

#[test]
fn a_cable_that_is_pulled_out() {
    let mut commons = Commons::default();
    let hub = commons.hub(0);
    let (port, mut far) = (Port::new(Box::new(hub.port(None))), hub.port(None));
    let mut sink = port.sink();
    assert!(port.is_up() && port.link().carrier());
    port.set_up(false);
    sink.send(b"lost");
    assert_eq!(far.next_frame(), None);
    far.send(b"lost too");
    port.link().poll(monotonic_ns());
    assert_eq!(port.link().next_frame(), None);
    assert!(!port.link().carrier() && port.link().counts().refused == 1);
    port.set_up(true);
    assert_eq!(port.link().next_frame(), None, "what came meanwhile does not come later");
    far.send(b"again");
    assert_eq!(port.link().next_frame().as_deref(), Some(&b"again"[..]));
}

#[test]
fn forwards_come_and_go() {
    let mut net = open("user,id=net0,restrict=on").unwrap();
    assert_eq!(net.info(), "net=10.0.2.0,restrict=on");
    let port = free_port("127.0.0.1");
    let rule = format!("tcp:127.0.0.1:{port}-:22");
    let user = net.forwarding().unwrap();
    user.add_forward(&rule).unwrap();
    let taken = user.add_forward(&rule).unwrap_err().to_string();
    assert!(taken.starts_with(&format!("Could not set up host forwarding rule '{rule}'")), "{taken}");
    let bad = user.add_forward("tcp:127.0.0.1:x-:22").unwrap_err().to_string();
    assert!(bad.starts_with("Invalid host forwarding rule 'tcp:127.0.0.1:x-:22'"), "{bad}");
    user.add_forward("udp:127.0.0.1:0-10.0.2.20:53").unwrap();
    let table = user.connections();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let tcp = words(lines[1]);
    assert_eq!(tcp[0], "TCP[HOST_FORWARD]");
    assert_eq!(tcp[2..], ["127.0.0.1", port.to_string().as_str(), "10.0.2.15", "22", "0", "0"]);
    assert_eq!(words(lines[2])[4..6], ["10.0.2.20", "53"]);

    // A connection into the guest, which does not answer.
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    until(&mut [&mut *net], |l| {
        let table = l[0].forwarding().unwrap().connections();
        table.lines().any(|line| line.contains("TCP[SYN_SENT]") && line.contains("10.0.2.15    22")).then_some(())
    });
    let user = net.forwarding().unwrap();
    for bad in ["", "tcp", "tcp::", "icmp::1", "tcp:host:1"] {
        assert_eq!(user.remove_forward(bad).unwrap_err().to_string(), "invalid format", "{bad}");
    }
    assert_eq!(user.remove_forward(&format!("udp:127.0.0.1:{port}")), Ok(false));
    assert_eq!(user.remove_forward(&format!("tcp:127.0.0.1:{port}")), Ok(true));
    assert_eq!(user.remove_forward(&format!("tcp:127.0.0.1:{port}")), Ok(false));
    assert!(!user.connections().contains("TCP[HOST_FORWARD]"));
    assert!(user.connections().contains("TCP[SYN_SENT]"), "what it let in stays");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(open("hubport,hubid=0").unwrap().forwarding().is_none());
    let mut client = client;
    client.set_nonblocking(true).unwrap();
    assert!(client.read(&mut [0; 1]).is_err(), "neither data nor an end");
}

/// A device that somebody else has opened, with and without a virtio header, where the host lets us make one.
#[test]
fn a_tap_by_its_descriptor() {
    let Ok(device) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") else { return };
    assert!(open(&format!("tap,fd={}", inherited(device.try_clone().unwrap()))).is_err(), "it is no interface yet");
    if tern_host::sys::ioctl::tun_set_interface(device.as_raw_fd(), "ternt1").is_err() {
        return;
    }
    let number = inherited(device);
    let mut tap = open(&format!("tap,fd={number}")).unwrap();
    assert_eq!(tap.info(), format!("fd={number}"));
    tap.send(&[0; 60]);
    tap.poll(0);
    assert_eq!((tap.next_frame(), tap.counts().overflow), (None, 1), "it is down");
}
