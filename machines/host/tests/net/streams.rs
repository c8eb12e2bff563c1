//! TCP through the NAT.

use crate::guest::{GATEWAY, Guest};
use smoltcp::socket::tcp::State;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use tern_host::clock::monotonic_ns;
use tern_host::net::Link;
use tern_host::net::user::{Forward, UserNet};

/// Bytes without a period that a lost segment could hide in.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    (0..len)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .collect()
}

/// A server on loopback that serves one connection in a thread.
fn serve<T: Send + 'static>(act: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, thread::JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, thread::spawn(move || act(listener.accept().unwrap().0)))
}

fn forwarded(rule: &str) -> (Guest<UserNet>, SocketAddr) {
    let rule = Forward::parse(rule).unwrap();
    let guest = Guest::user(|o| o.forwards.push(rule));
    let addr = guest.plug.0.forwards()[0];
    (guest, addr)
}

/// A guest that listens.
fn listen(guest: &mut Guest<UserNet>, port: u16) -> smoltcp::iface::SocketHandle {
    let handle = guest.tcp();
    guest.at(handle).listen(port).unwrap();
    handle
}

#[test]
fn fetches_from_the_hosts_loopback() {
    let data = noise(50_000_000, 1);
    let want = data.clone();
    let (port, server) = serve(move |mut s| {
        let mut ask = [0; 4];
        s.read_exact(&mut ask).unwrap();
        assert_eq!(&ask, b"GET\n");
        s.write_all(&data).unwrap();
    });
    let mut guest = Guest::user(|_| {});
    let start = monotonic_ns();
    let handle = guest.connect((GATEWAY, port), 40_000);
    guest.write_all(handle, b"GET\n");
    let mut len = 0;
    guest.read_all(handle, |bytes| {
        assert!(want[len..].starts_with(bytes), "other bytes after {len}");
        len += bytes.len();
    });
    let seconds = (monotonic_ns() - start) as f64 / 1e9;
    println!("{:.0} MB/s", 50.0 / seconds);
    assert_eq!(len, want.len());
    guest.at(handle).close();
    server.join().unwrap();
    guest.until(|g| (g.plug.0.in_use().0 == 0 || g.at(handle).state() == State::TimeWait).then_some(()));
    assert_eq!(guest.plug.0.counts().malformed, 0);
    assert_eq!(guest.plug.0.counts().overflow, 0, "TCP waits for the guest, it does not drop");
}

#[test]
fn sends_much_to_the_host() {
    let data = noise(20_000_000, 2);
    let want = data.clone();
    let (port, server) = serve(move |mut s| {
        // A slow beginning fills every buffer on the way.
        thread::sleep(std::time::Duration::from_millis(300));
        let mut got = Vec::new();
        s.read_to_end(&mut got).unwrap();
        // The other half is still open.
        s.write_all(b"done").unwrap();
        got == want
    });
    let mut guest = Guest::user(|_| {});
    let handle = guest.connect((GATEWAY, port), 40_001);
    guest.write_all(handle, &data);
    guest.at(handle).close();
    let mut answer = Vec::new();
    guest.read_all(handle, |bytes| answer.extend_from_slice(bytes));
    assert_eq!(answer, b"done");
    assert!(server.join().unwrap(), "the host got something else");
}

/// The connection is over for the guest while the host has still to read: nothing is lost.
#[test]
fn a_slow_reader_gets_the_rest() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (port, server) = serve(move |mut s| {
        s.shutdown(Shutdown::Write).unwrap();
        wait.recv().unwrap();
        let mut got = Vec::new();
        s.read_to_end(&mut got).map(|_| got).map_err(|e| e.kind())
    });
    let mut guest = Guest::user(|_| {});
    let handle = guest.connect((GATEWAY, port), 40_007);
    guest.until(|g| (g.at(handle).state() == State::CloseWait).then_some(()));
    // Until the host's socket takes no more and the NAT holds some.
    let (part, mut sent) = (noise(16 << 10, 4), Vec::new());
    let full = |g: &Guest<UserNet>| {
        let mut list = Vec::new();
        g.plug.0.poll_fds(&mut list);
        list.iter().any(|(_, i)| i.write)
    };
    while !full(&guest) {
        guest.write_all(handle, &part);
        guest.until(|g| (g.at(handle).send_queue() == 0).then_some(()));
        sent.extend_from_slice(&part);
    }
    guest.at(handle).close();
    guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
    guest.for_ms(20);
    assert!(full(&guest));
    go.send(()).unwrap();
    guest.until(|_| server.is_finished().then_some(()));
    assert!(server.join().unwrap() == Ok(sent));
    assert!(!full(&guest));
}

#[test]
fn half_close_by_the_host() {
    let (port, server) = serve(|mut s| {
        s.write_all(b"hello").unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        s.read_to_end(&mut rest).unwrap();
        rest
    });
    let mut guest = Guest::user(|_| {});
    let handle = guest.connect((GATEWAY, port), 40_002);
    let mut got = Vec::new();
    guest.read_all(handle, |bytes| got.extend_from_slice(bytes));
    assert_eq!((got.as_slice(), guest.at(handle).state()), (&b"hello"[..], State::CloseWait));
    guest.write_all(handle, b"still here");
    guest.at(handle).close();
    guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
    assert_eq!(server.join().unwrap(), b"still here");
    guest.until(|g| (g.plug.0.in_use().0 == 0).then_some(()));
}

#[test]
fn refused_connections_are_reset() {
    // A port that was just free.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut guest = Guest::user(|_| {});
    let start = monotonic_ns();
    // Nobody listens; and the host's loopback has no name but the gateway's.
    for to in [(GATEWAY, port), (Ipv4Addr::LOCALHOST, port)] {
        let handle = guest.connect(to, 40_003);
        guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
        guest.sockets.remove(handle);
    }
    assert!(monotonic_ns() - start < 900_000_000, "answers, no time-outs");
    assert_eq!(guest.plug.0.in_use().0, 0);
    assert_eq!((guest.plug.0.counts().refused, guest.plug.0.counts().unserved), (1, 1));
}

#[test]
fn restricted_guests_stay_in() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let rule = Forward::parse("tcp:127.0.0.1:0-:7").unwrap();
    let mut guest = Guest::user(|o| {
        o.restrict = true;
        o.forwards.push(rule);
    });
    let handle = guest.connect((GATEWAY, port), 40_004);
    guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // The way in is open.
    let server = listen(&mut guest, 7);
    let mut client = TcpStream::connect(guest.plug.0.forwards()[0]).unwrap();
    client.write_all(b"in").unwrap();
    guest.until(|g| g.at(server).can_recv().then_some(()));
}

#[test]
fn resets_by_either_side() {
    // The host's.
    let (port, server) = serve(|s| {
        socket2::SockRef::from(&s).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    });
    let mut guest = Guest::user(|_| {});
    let handle = guest.connect((GATEWAY, port), 40_005);
    guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
    server.join().unwrap();
    // The guest's.
    let (port, server) = serve(|mut s| {
        s.write_all(b"x").unwrap();
        s.read(&mut [0; 8]).map_err(|e| e.kind())
    });
    let handle = guest.connect((GATEWAY, port), 40_006);
    guest.until(|g| g.at(handle).can_recv().then_some(()));
    guest.at(handle).abort();
    guest.until(|g| (g.plug.0.in_use().0 == 0).then_some(()));
    assert_eq!(server.join().unwrap(), Err(ErrorKind::ConnectionReset));
}

#[test]
fn forwarded_port_reaches_the_guest_and_back() {
    let (mut guest, addr) = forwarded("tcp:127.0.0.1:0-:22");
    let server = listen(&mut guest, 22);
    let data = noise(3_000_000, 3);
    let want = data.clone();
    let client = thread::spawn(move || {
        let mut s = TcpStream::connect(addr).unwrap();
        s.write_all(&data).unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        s.read_to_end(&mut back).unwrap();
        back
    });
    let mut got = Vec::new();
    guest.until(|g| g.at(server).is_active().then_some(()));
    guest.read_all(server, |bytes| got.extend_from_slice(bytes));
    assert_eq!(guest.at(server).remote_endpoint().unwrap().addr, GATEWAY.into(), "loopback is the gateway");
    assert!(got == want);
    guest.write_all(server, &got);
    guest.at(server).close();
    guest.until(|_| client.is_finished().then_some(()));
    assert!(client.join().unwrap() == want);
}

#[test]
fn forwarded_port_without_a_server_is_reset() {
    let (mut guest, addr) = forwarded("tcp:127.0.0.1:0-10.0.2.15:23");
    let client = thread::spawn(move || {
        let mut s = TcpStream::connect(addr).unwrap();
        s.read(&mut [0; 1]).map_err(|e| e.kind())
    });
    guest.until(|_| client.is_finished().then_some(()));
    assert_eq!(client.join().unwrap(), Err(ErrorKind::ConnectionReset));
    assert_eq!(guest.plug.0.in_use().0, 0);
}

#[test]
fn many_connections_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        for _ in 0..100 {
            let (mut s, _) = listener.accept().unwrap();
            thread::spawn(move || {
                let mut all = Vec::new();
                s.read_to_end(&mut all).unwrap();
                s.write_all(&all).unwrap();
            });
        }
    });
    let mut guest = Guest::user(|_| {});
    let handles: Vec<_> = (0..100).map(|n| guest.connect((GATEWAY, port), 41_000 + n)).collect();
    for (n, handle) in handles.iter().enumerate() {
        guest.write_all(*handle, format!("number {n}").as_bytes());
        guest.at(*handle).close();
    }
    for (n, handle) in handles.iter().enumerate() {
        let mut got = Vec::new();
        guest.read_all(*handle, |bytes| got.extend_from_slice(bytes));
        assert_eq!(got, format!("number {n}").as_bytes());
    }
    server.join().unwrap();
}

#[test]
fn more_connections_than_there_is_room_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || (0..530).map(|_| listener.accept().unwrap().0).collect::<Vec<_>>());
    let mut guest = Guest::user(|_| {});
    for n in 0..530 {
        let handle = guest.connect((GATEWAY, port), 42_000 + n);
        guest.until(|g| g.at(handle).may_send().then_some(()));
        assert!(guest.plug.0.in_use().0 <= 512);
        guest.sockets.remove(handle);
    }
    assert_eq!(server.join().unwrap().len(), 530);
    assert!(guest.plug.0.counts().overflow >= 18);
}

#[test]
fn the_guest_comes_back_with_the_same_port() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::user(|_| {});
    for _ in 0..3 {
        let handle = guest.connect((GATEWAY, port), 43_000);
        guest.until(|g| g.at(handle).may_send().then_some(()));
        let (s, _) = listener.accept().unwrap();
        drop(s);
        guest.until(|g| (g.at(handle).state() == State::CloseWait).then_some(()));
        guest.at(handle).close();
        guest.until(|g| (g.at(handle).state() == State::Closed).then_some(()));
        guest.sockets.remove(handle);
    }
}

/// The loop of a machine whose guest sleeps: it waits for the poller alone, and not in vain.
#[test]
#[cfg(target_os = "linux")]
fn a_poller_is_enough() {
    use tern_host::wait::Poller;
    let (port, server) = serve(|mut s| {
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(30));
            s.write_all(b"tick").unwrap();
        }
        s.shutdown(Shutdown::Write).unwrap();
        s.read_to_end(&mut Vec::new()).unwrap();
        thread::sleep(std::time::Duration::from_millis(30));
    });
    let mut guest = Guest::user(|o| o.v6 = None);
    let mut poller = Poller::new().unwrap();
    let mut watched = Vec::new();
    let handle = guest.connect((GATEWAY, port), 40_008);
    let (mut got, mut waits) = (Vec::new(), 0);
    let start = monotonic_ns();
    while !server.is_finished() {
        while guest.step() {}
        let socket = guest.at(handle);
        if socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).unwrap();
        }
        if socket.state() == State::CloseWait {
            socket.close();
            while guest.step() {}
        }
        for (fd, _) in watched.drain(..) {
            poller.forget(fd as u64);
        }
        guest.plug.0.poll_fds(&mut watched);
        for (fd, interest) in &watched {
            poller.watch(*fd as u64, *fd, *interest);
        }
        let now = monotonic_ns();
        // The guest's own timers, for its late acknowledgements.
        let limit = guest.plug.0.deadline().unwrap_or(u64::MAX).saturating_sub(now).min(10_000_000);
        poller.wait(Some(limit)).unwrap();
        waits += 1;
        assert!(now - start < 20_000_000_000, "nothing happened");
    }
    assert_eq!(got, b"tick".repeat(5));
    // 210 ms, a wait at most every 10 ms and some for what happens: a loop that spins makes thousands.
    assert!(waits < 200, "{waits} waits");
    server.join().unwrap();
}
