//! Character devices as users see them: what they are called, who is connected, what comes along.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use tern_host::chardev::{Change, Chardev, Descriptors, LineSettings, Setup};
use tern_host::console::ConsoleEvent;
use tern_host::sys::socket::{Control, sendmsg};
use tern_host::sys::{file, host, termios};
use tern_host::wait::{Interest, Poller};

fn open(text: &str) -> Chardev {
    Setup::parse_chardev(text).unwrap().open(&mut Descriptors::default()).unwrap()
}

fn refused(text: &str) -> String {
    let error = match Setup::parse_chardev(text) {
        Ok(setup) => setup.open(&mut Descriptors::default()).err().map(|e| e.to_string()),
        Err(e) => Some(e.to_string()),
    };
    error.unwrap_or_else(|| panic!("{text} was taken"))
}

fn inherited(fd: impl Into<OwnedFd>) -> i32 {
    let number = fd.into().into_raw_fd();
    file::fcntl(number, host::F_SETFD, 0).unwrap();
    number
}

/// Looks at a device, as a machine's loop does, until there is something.
fn until<T>(dev: &mut Chardev, mut done: impl FnMut(&mut Chardev, Vec<ConsoleEvent>) -> Option<T>) -> T {
    let mut poller = Poller::new().unwrap();
    for _ in 0..2000 {
        let events = dev.source.poll();
        if let Some(result) = done(dev, events) {
            return result;
        }
        let fds = dev.source.fds();
        fds.iter().for_each(|fd| poller.watch(*fd as u64, *fd, Interest::READ));
        poller.wait(Some(dev.source.again().unwrap_or(u64::MAX).min(10_000_000))).unwrap();
        fds.iter().for_each(|fd| poller.forget(*fd as u64));
    }
    panic!("nothing comes");
}

fn change(dev: &mut Chardev, want: Change) {
    until(dev, |dev, _| dev.source.changes().contains(&want).then_some(()));
    assert_eq!(dev.is_open(), want == Change::Opened);
}

fn bytes(dev: &mut Chardev, want: &[u8]) {
    let mut got = Vec::new();
    until(dev, |_, events| {
        for event in events {
            match event {
                ConsoleEvent::Bytes(b) => got.extend(b),
                other => panic!("{other:?}"),
            }
        }
        (got.len() >= want.len()).then_some(())
    });
    assert_eq!(got, want);
}

fn read_exact(stream: &mut impl Read, want: &[u8]) {
    let mut buf = vec![0; want.len()];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(buf, want);
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn local_sockets() {
    let dir = common::Dir::new("chardev-unix");
    let path = dir.0.join("s");
    let name = path.display();
    let mut server = open(&format!("socket,id=c,path={name},server=on,wait=off"));
    assert_eq!((server.info(), server.is_open()), (format!("disconnected:unix:{name},server=on"), false));
    let mut client = open(&format!("socket,id=c,path={name}"));
    assert_eq!((client.info(), client.is_open()), (format!("unix:{name}"), true));
    assert_eq!(client.source.changes(), [], "what was so from the beginning is no change");
    change(&mut server, Change::Opened);
    assert_eq!(server.info(), format!("unix:{name},server=on"));
    // The last words come before the end.
    client.sink.write(b"bye");
    drop(client);
    let events = server.source.poll();
    assert_eq!((events, server.source.changes()), (vec![ConsoleEvent::Bytes(b"bye".to_vec())], vec![]));
    change(&mut server, Change::Closed);
    assert_eq!(server.info(), format!("disconnected:unix:{name},server=on"));
    let mut client = open(&format!("socket,id=c,path={name}"));
    change(&mut server, Change::Opened);
    drop(server);
    assert!(!path.exists());
    let end = until(&mut client, |_, events| events.into_iter().next());
    assert_eq!((end, client.source.changes()), (ConsoleEvent::Closed, vec![Change::Closed]));
    assert_eq!(client.info(), format!("disconnected:unix:{name}"));
    assert!(refused(&format!("socket,id=c,path={name}")).contains("No such file"));

    // A server that waits is open when it is there.
    let path = dir.0.join("w");
    let text = format!("socket,id=c,path={},server=on", path.display());
    #[allow(clippy::disallowed_methods, reason = "the test needs a second thread")]
    let peer = std::thread::spawn(move || {
        loop {
            if let Ok(peer) = UnixStream::connect(&path) {
                return peer;
            }
        }
    });
    let server = open(&text);
    assert!(server.is_open());
    drop(peer.join().unwrap());

    // An abstract name.
    let name = format!("tern-chardev-{}", std::process::id());
    let mut server = open(&format!("socket,id=c,path={name},abstract=on,server=on,wait=off"));
    assert_eq!(server.info(), format!("disconnected:unix:{name},abstract=on,tight=on,server=on"));
    let mut client = open(&format!("socket,id=c,path={name},abstract=on"));
    client.sink.write(b"x");
    bytes(&mut server, b"x");
}

#[test]
fn tcp() {
    let port = free_port();
    let mut server = open(&format!("socket,id=c,host=127.0.0.1,port={port},server=on,wait=off"));
    assert_eq!(server.info(), format!("disconnected:tcp:127.0.0.1:{port},server=on"));
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    change(&mut server, Change::Opened);
    let peer = client.local_addr().unwrap();
    assert_eq!(server.info(), format!("tcp:127.0.0.1:{port},server=on <-> {peer}"));
    // The port is taken; the next one is not.
    let text = format!("socket,id=c,host=127.0.0.1,port={port},server=on,wait=off");
    assert!(refused(&text).contains("Address already in use"));
    let other = open(&format!("{text},to={}", port.saturating_add(50)));
    assert!(other.info().starts_with("disconnected:tcp:127.0.0.1:") && other.info() != server.info());
    let any = open("socket,id=c,host=127.0.0.1,port=0,server=on,wait=off");
    assert!(!any.info().contains(":0,"), "{}", any.info());
}

#[test]
fn telnet() {
    let port = free_port();
    let mut server = open(&format!("socket,id=c,host=127.0.0.1,port={port},server=on,wait=off,telnet=on"));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"a\xff\xfd\x01\xff\xf3b").unwrap();
    let mut seen = Vec::new();
    until(&mut server, |_, events| {
        seen.extend(events);
        (seen.len() == 3).then_some(())
    });
    let text = |b: &[u8]| ConsoleEvent::Bytes(b.to_vec());
    assert_eq!(seen, [text(b"a"), ConsoleEvent::Break, text(b"b")]);
    server.sink.write(b"\xff");
    read_exact(&mut client, &[255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0, 255, 255]);
    assert!(server.info().starts_with(&format!("telnet:127.0.0.1:{port},server=on <-> ")), "{}", server.info());
}

#[test]
fn clients_come_back() {
    let dir = common::Dir::new("chardev-again");
    let path = dir.0.join("s");
    let name = path.display();
    let mut client = open(&format!("socket,id=c,path={name},reconnect-ms=20"));
    assert_eq!((client.source.poll(), client.is_open()), (vec![], false));
    assert!(client.source.again().is_some());
    for _ in 0..2 {
        let listener = UnixListener::bind(&path).unwrap();
        change(&mut client, Change::Opened);
        let (mut peer, _) = listener.accept().unwrap();
        client.sink.write(b"here");
        read_exact(&mut peer, b"here");
        drop((listener, peer));
        std::fs::remove_file(&path).unwrap();
        change(&mut client, Change::Closed);
    }
    let port = free_port();
    let mut client = open(&format!("socket,id=c,host=127.0.0.1,port={port},reconnect-ms=10"));
    assert_eq!(client.source.poll(), []);
    assert_eq!(client.info(), format!("disconnected:tcp:127.0.0.1:{port}"));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    change(&mut client, Change::Opened);
    drop(listener);
}

#[test]
fn descriptors() {
    let (x, mut y) = UnixStream::pair().unwrap();
    let mut dev = open(&format!("socket,id=c,fd={}", inherited(x)));
    assert_eq!((dev.info(), dev.is_open()), ("unix:".into(), true));
    y.write_all(b"hi").unwrap();
    bytes(&mut dev, b"hi");
    // A socket that listens, by name.
    let dir = common::Dir::new("chardev-fd");
    let path = dir.0.join("s");
    let mut fds = Descriptors::default();
    fds.insert("door", UnixListener::bind(&path).unwrap().into()).unwrap();
    let setup = Setup::parse_chardev("socket,id=c,fd=door,server=on,wait=off").unwrap();
    let mut dev = setup.open(&mut fds).unwrap();
    assert!(setup.open(&mut fds).is_err());
    let _peer = UnixStream::connect(&path).unwrap();
    change(&mut dev, Change::Opened);
    for text in ["socket,id=c,fd=9876", "socket,id=c,fd=nobody"] {
        assert!(refused(text).contains("descriptor"), "{}", refused(text));
    }
    let number = inherited(std::io::pipe().unwrap().0);
    assert!(refused(&format!("socket,id=c,fd={number}")).contains("socket"));

    // Clients that somebody hands over.
    let mut dev = open("socket,id=c,fd=,server=on,wait=off");
    assert_eq!((dev.is_open(), dev.source.fds()), (false, vec![]));
    let (x, mut y) = UnixStream::pair().unwrap();
    dev.add_client(x.into()).unwrap();
    assert_eq!((dev.is_open(), dev.source.changes()), (true, vec![Change::Opened]));
    y.write_all(b"in").unwrap();
    bytes(&mut dev, b"in");
    let (x, _) = UnixStream::pair().unwrap();
    assert!(dev.add_client(x.into()).is_err(), "one at a time");
    drop(y);
    change(&mut dev, Change::Closed);
    assert!(dev.add_client(std::io::pipe().unwrap().0.into()).is_err(), "no socket");
    dev.add_client(UnixStream::pair().unwrap().0.into()).err();
    assert!(open("null,id=n").add_client(UnixStream::pair().unwrap().0.into()).is_err());
}

#[test]
fn descriptors_come_along_with_bytes() {
    let (x, y) = UnixStream::pair().unwrap();
    let mut dev = open(&format!("socket,id=c,fd={}", inherited(x)));
    let pass = |text: &[u8], fds: &[&File]| {
        let rights = Control::Rights(fds.iter().map(|f| f.as_raw_fd()).collect());
        sendmsg(y.as_raw_fd(), None, &[IoSlice::new(text)], &[rights], 0).unwrap();
    };
    let (dir, count) = (common::Dir::new("chardev-pass"), || std::fs::read_dir("/proc/self/fd").unwrap().count());
    let path = dir.0.join("f");
    let one = File::create(&path).unwrap();
    let two = File::open(&path).unwrap();
    pass(b"getfd", &[&one, &two]);
    bytes(&mut dev, b"getfd");
    let fds = dev.source.take_fds();
    assert_eq!((fds.len(), dev.source.take_fds().len()), (2, 0));
    assert_eq!(file::fcntl(fds[0].as_raw_fd(), host::F_GETFD, 0), Ok(host::FD_CLOEXEC));
    let mut passed = fds.into_iter().map(File::from);
    passed.next().unwrap().write_all(b"through").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "through");
    drop(passed);
    // Nobody wants them: they do not pile up.
    let before = count();
    for _ in 0..50 {
        pass(b"x", &[&one, &two, &one]);
        bytes(&mut dev, b"x");
    }
    // Other tests open some meanwhile.
    assert!(count() < before + 100, "{before} {}", count());
}

#[test]
fn datagrams() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = peer.local_addr().unwrap().port();
    let mut dev = open(&format!("udp,id=u,host=127.0.0.1,port={port},localaddr=127.0.0.1"));
    dev.sink.write(b"ping");
    let mut buf = [0; 16];
    let (n, from) = peer.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..n], b"ping");
    peer.send_to(b"", from).unwrap();
    peer.send_to(b"pong", from).unwrap();
    bytes(&mut dev, b"pong");
    assert_eq!((dev.info(), dev.is_open()), ("udp".into(), true));
    drop(peer);
    dev.sink.write(b"nobody");
    for _ in 0..3 {
        assert_eq!(dev.source.poll(), []);
    }
}

#[test]
fn pipes_and_files() {
    let dir = common::Dir::new("chardev-pipe");
    let path = dir.0.join("p");
    let end = |suffix: &str| {
        let name = format!("{}{suffix}", path.display());
        assert!(std::process::Command::new("mkfifo").arg(&name).status().unwrap().success());
        File::options().read(true).write(true).open(name).unwrap()
    };
    let (mut input, mut output) = (end(".in"), end(".out"));
    let mut dev = open(&format!("pipe,id=p,path={}", path.display()));
    input.write_all(b"down").unwrap();
    bytes(&mut dev, b"down");
    dev.sink.write(b"up");
    read_exact(&mut output, b"up");
    // Nobody reads: it is kept, up to a bound.
    for _ in 0..40 {
        dev.sink.write(&[b'x'; 65_536]);
    }
    assert!(dev.source.again().is_some());
    assert_eq!(dev.info(), "pipe");
    assert!(refused("pipe,id=p,path=/nonexistent/p").contains("/nonexistent/p"));

    let (from, to) = (dir.0.join("from"), dir.0.join("to"));
    std::fs::write(&from, "script").unwrap();
    let mut dev = open(&format!("file,id=f,path={},input-path={}", to.display(), from.display()));
    bytes(&mut dev, b"script");
    assert_eq!(until(&mut dev, |_, events| events.into_iter().next()), ConsoleEvent::Closed);
    assert_eq!((dev.source.fds(), dev.source.changes()), (vec![], vec![Change::Closed]));
    dev.sink.write(b"result");
    assert_eq!((std::fs::read_to_string(&to).unwrap().as_str(), dev.info().as_str()), ("result", "file"));
}

#[test]
fn pseudo_terminals() {
    let dir = common::Dir::new("chardev-pty");
    let link = dir.0.join("tty");
    let mut dev = open(&format!("pty,id=p,path={}", link.display()));
    let info = dev.info();
    let name = info.strip_prefix("pty:").unwrap();
    assert_eq!(dev.note.as_deref(), Some(format!("char device redirected to {name}").as_str()));
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(name));
    assert!(!dev.is_open());
    dev.sink.write(b"nobody hears this");
    for _ in 0..2 {
        let mut user = File::options().read(true).write(true).open(&link).unwrap();
        // Output finds out by itself.
        dev.sink.write(b"hello");
        read_exact(&mut user, b"hello");
        assert_eq!((dev.is_open(), dev.source.changes()), (true, vec![Change::Opened]));
        drop(user);
        change(&mut dev, Change::Closed);
    }
    drop(dev);
    assert!(std::fs::symlink_metadata(&link).is_err());
}

#[test]
fn serial_ports() {
    // The other end of a pseudo-terminal is as good as a port.
    let (mut main, number) = termios::open_pty().unwrap();
    let name = format!("/dev/pts/{number}");
    let mut dev = open(&format!("serial,id=s,path={name}"));
    let flags = || termios::get(main.as_raw_fd()).unwrap().cflag;
    assert_eq!((flags() & 0o10017, dev.info().as_str()), (0o10002, "serial"));
    dev.handle.set_line(LineSettings { baud: 9600, odd_parity: Some(true), data_bits: 7, stop_bits: 2 });
    // A pseudo-terminal has always eight bits and no parity; speed and stop bits it keeps.
    assert_eq!(flags() & (0o10017 | 0o100), 0o15 | 0o100);
    dev.handle.set_break(true);
    dev.handle.set_break(false);
    main.write_all(b"at\r").unwrap();
    bytes(&mut dev, b"at\r");
    dev.sink.write(b"ok\n");
    let mut buf = [0; 3];
    while main.read_exact(&mut buf).is_err() {}
    assert_eq!(&buf, b"ok\n");
    drop(main);
    assert_eq!(until(&mut dev, |_, events| events.into_iter().next()), ConsoleEvent::Closed);
    assert!(refused("serial,id=s,path=/dev/none").contains("/dev/none"));
}

#[test]
fn rings() {
    let mut dev = open("ringbuf,id=r,size=8");
    assert_eq!(dev.info(), "ringbuf");
    dev.sink.write(b"0123456789");
    assert_eq!(dev.handle.ring_read(3).unwrap(), b"234");
    assert!(dev.handle.ring_write(b"ab"));
    assert_eq!(dev.handle.ring_read(100).unwrap(), b"56789ab");
    let null = open("null,id=n");
    assert!(null.handle.ring_read(1).is_none() && !null.handle.ring_write(b"x"));
    assert_eq!((null.info(), null.is_open(), open("memory,id=m").info()), ("null".into(), true, "memory".into()));
}

#[test]
fn breaks_logs_and_several_devices() {
    let dir = common::Dir::new("chardev-log");
    let log = dir.0.join("log");
    for (append, want) in [("off", "onetwo"), ("on", "onetwoonetwo"), ("off", "onetwo")] {
        let mut dev = open(&format!("null,id=n,mux=on,logfile={},logappend={append}", log.display()));
        dev.sink.write(b"one");
        dev.handle.sink().write(b"two");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), want);
    }
    assert!(refused("null,id=n,logfile=/nonexistent/log").contains("/nonexistent/log"));
    let mut dev = open("null,id=n");
    dev.send_break();
    assert_eq!(dev.source.again(), Some(0));
    assert_eq!((dev.source.poll(), dev.source.poll()), (vec![ConsoleEvent::Break], vec![]));
    // A handle that outlives the source is harmless.
    let handle = dev.handle.clone();
    drop(dev.source);
    assert_eq!(handle.info(), "null");
    handle.sink().write(b"x");
}
