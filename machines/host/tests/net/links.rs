//! Links over sockets, and tap.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use tern_host::clock::monotonic_ns;
use tern_host::net::socket::Stream;
use tern_host::net::{Link, open};
use tern_host::wait::Interest;

/// Polls links until there is something.
pub(crate) fn until<T>(links: &mut [&mut dyn Link], mut done: impl FnMut(&mut [&mut dyn Link]) -> Option<T>) -> T {
    let start = monotonic_ns();
    loop {
        for link in links.iter_mut() {
            link.poll(monotonic_ns());
        }
        if let Some(result) = done(links) {
            return result;
        }
        assert!(monotonic_ns() - start < 20_000_000_000, "nothing happened");
        std::thread::sleep(Duration::from_micros(50));
    }
}

#[test]
fn frames_over_tcp() {
    let mut a = Stream::listen(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let addr = a.address().unwrap();
    assert!(!a.carrier());
    a.send(b"nobody hears this");
    assert_eq!(a.counts().overflow, 1);
    let mut b = open(&format!("socket,id=n,connect={addr}")).unwrap();
    until(&mut [&mut a], |l| l[0].carrier().then_some(()));
    for len in [60, 1514, 65_549] {
        let frame: Vec<u8> = (0..len).map(|i| i as u8).collect();
        b.send(&frame);
        assert_eq!(until(&mut [&mut a, &mut *b], |l| l[0].next_frame()), frame);
        a.send(&frame);
        assert_eq!(until(&mut [&mut a, &mut *b], |l| l[1].next_frame()), frame);
    }
    drop(b);
    until(&mut [&mut a], |l| (!l[0].carrier()).then_some(()));
    let b = TcpStream::connect(addr).unwrap();
    until(&mut [&mut a], |l| l[0].carrier().then_some(()));
    drop(b);
}

#[test]
fn framing_is_qemus_and_checked() {
    let mut a = Stream::listen(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let mut peer = TcpStream::connect(a.address().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.write_all(&[0, 0]).unwrap();
    until(&mut [&mut a], |l| l[0].carrier().then_some(()));
    peer.write_all(&[0, 3, 1, 2, 3, 0, 0, 0, 1]).unwrap();
    assert_eq!(until(&mut [&mut a], |l| l[0].next_frame()), [1, 2, 3]);
    peer.write_all(&[9]).unwrap();
    assert_eq!(until(&mut [&mut a], |l| l[0].next_frame()), [9]);
    a.send(&[5, 6]);
    let mut got = [0; 6];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(got, [0, 0, 0, 2, 5, 6]);
    // A length that no frame has ends the connection.
    peer.write_all(&[0xff; 4]).unwrap();
    until(&mut [&mut a], |l| (!l[0].carrier()).then_some(()));
    assert_eq!(a.counts().malformed, 1);
    // A peer that does not read: memory is bounded.
    let deaf = TcpStream::connect(a.address().unwrap()).unwrap();
    until(&mut [&mut a], |l| l[0].carrier().then_some(()));
    for _ in 0..20_000 {
        a.send(&[0; 1514]);
    }
    assert!(a.counts().overflow > 0);
    let mut list: Vec<(i32, Interest)> = Vec::new();
    a.poll_fds(&mut list);
    assert!(list[0].1.write);
    drop(deaf);
}

#[test]
fn frames_over_a_unix_socket_with_reconnection() {
    let path = std::env::temp_dir().join(format!("tern-net-{}", std::process::id()));
    let path = path.to_str().unwrap();
    let client = format!("stream,addr.type=unix,addr.path={path},reconnect-ms=10");
    let mut b = open(&client).unwrap();
    b.poll(monotonic_ns());
    assert!(!b.carrier() && b.deadline().is_some());
    assert!(open(&format!("stream,addr.type=unix,addr.path={path}")).is_err(), "without reconnection it is an error");
    let mut a = open(&format!("stream,server=on,addr.type=unix,addr.path={path}")).unwrap();
    until(&mut [&mut *a, &mut *b], |l| (l[0].carrier() && l[1].carrier()).then_some(()));
    b.send(b"frame");
    assert_eq!(until(&mut [&mut *a, &mut *b], |l| l[0].next_frame()), b"frame");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn frames_over_udp() {
    let free = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (at, to) = (free(), free());
    let mut a = open(&format!("socket,udp={to},localaddr={at}")).unwrap();
    // Nobody is there yet.
    a.send(b"lost");
    a.poll(0);
    let mut b = open(&format!("socket,udp={at},localaddr={to}")).unwrap();
    b.send(b"there");
    assert_eq!(until(&mut [&mut *a, &mut *b], |l| l[0].next_frame()), b"there");
    a.send(b"back");
    assert_eq!(until(&mut [&mut *a, &mut *b], |l| l[1].next_frame()), b"back");
}

#[test]
fn wrong_options() {
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for (text, word) in [
        ("socket".to_owned(), "one of"),
        ("socket,listen=:1,connect=a:1".to_owned(), "one of"),
        ("socket,mcast=10.0.0.1:1".to_owned(), "not a multicast address"),
        ("socket,mcast=230.0.0.1:1,localaddr=here".to_owned(), "not a valid IPv4 address"),
        ("socket,listen=:1,localaddr=127.0.0.1".to_owned(), "only valid with"),
        ("socket,fd=987".to_owned(), "descriptor 987"),
        ("socket,fd=nobody".to_owned(), "'nobody' has not been found"),
        ("socket,udp=127.0.0.1:1".to_owned(), "localaddr"),
        ("socket,connect=nowhere".to_owned(), "HOST:PORT"),
        (format!("socket,connect={refused}"), "connect"),
        ("stream".to_owned(), "addr.type"),
        ("stream,addr.type=fd".to_owned(), "addr.str"),
        ("stream,addr.type=vsock,addr.cid=1".to_owned(), "inet, unix or fd"),
        ("stream,addr.type=unix,addr.path=/x,reconnect=1,reconnect-ms=1".to_owned(), "mutually exclusive"),
        ("stream,server=on,addr.type=unix,addr.path=/x,reconnect-ms=1".to_owned(), "server mode"),
        ("stream,addr.type=unix,addr.path=/x,reconnect-ms=soon".to_owned(), "wants a number"),
        ("dgram".to_owned(), "local.type"),
        ("dgram,local.type=unix,local.path=/x".to_owned(), "remote.type"),
        ("dgram,local.type=fd,local.str=9,remote.type=unix,remote.path=/x".to_owned(), "makes no sense"),
        ("dgram,local.type=inet,local.host=,local.port=0,remote.type=unix,remote.path=/x".to_owned(), "the same"),
        ("dgram,remote.type=inet,remote.host=127.0.0.1,remote.port=1".to_owned(), "local.type"),
        ("hubport".to_owned(), "hubid"),
        ("stream,addr.type=inet,addr.host=127.0.0.1".to_owned(), "addr.port"),
        ("tap,ifname=a-name-that-is-too-long".to_owned(), "ifname"),
        ("tap,vhost=on".to_owned(), "vhost"),
        ("tap,fd=3,ifname=x".to_owned(), "makes no sense"),
    ] {
        let error = open(&text).err().unwrap_or_else(|| panic!("{text} was taken")).to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

/// A frame that the guest sends is seen by the interface, where the host lets us make one; else the error says why not.
#[test]
#[cfg(target_os = "linux")]
fn tap() {
    match tern_host::net::tap::Tap::open(&tern_host::net::Options::parse("tap,ifname=ternt0").unwrap()) {
        Ok(mut tap) => {
            assert_eq!(tap.name(), "ternt0");
            assert!(std::path::Path::new("/sys/class/net/ternt0").exists());
            // It is down: nothing to read, and writing fails.
            tap.poll(0);
            tap.send(&[0; 60]);
            assert_eq!((tap.next_frame(), tap.counts().from_guest, tap.counts().overflow), (None, 1, 1));
        }
        Err(e) => assert!(e.to_string().starts_with("netdev tap: "), "{e}"),
    }
}
