//! Tests of sockets, messages and options, over sockets of the host.

use crate::abi::io_structs::{Cmsghdr, Mmsghdr, Msghdr};
use crate::abi::structs::{Iovec, Timeval};
use crate::abi::{Errno, Field, GuestPtr};
use crate::isa::Isa;
use crate::isa::riscv::{RISCV32, RISCV64};
use crate::testing::{Fixture, SCRATCH};
use tern_host::sys;

fn put<T: Field>(f: &mut Fixture, addr: u64, value: &T::Value) {
    f.cx().write(GuestPtr::<T>::new(addr), value).expect("scratch");
}

fn get<T: Field>(f: &mut Fixture, addr: u64) -> T::Value {
    f.cx().read(GuestPtr::<T>::new(addr)).expect("scratch")
}

fn close(fds: &[u64]) {
    for fd in fds {
        assert_eq!(sys::file::close(*fd as i32), Ok(()));
    }
}

/// A new call: what the one before has remembered is gone.
fn call(f: &mut Fixture, name: &str, args: [u64; 6]) -> Option<Result<u64, Errno>> {
    f.cx().thread().call = Default::default();
    f.call(name, args)
}

fn pair(f: &mut Fixture, kind: u64) -> (u64, u64) {
    assert_eq!(call(f, "socketpair", [1, kind, 0, SCRATCH, 0, 0]), Some(Ok(0)));
    let [a, b] = get::<crate::abi::Arr<i32, 2>>(f, SCRATCH);
    (a as u64, b as u64)
}

/// An AF_INET address of the loopback interface.
fn loopback(f: &mut Fixture, at: u64, port: u16) {
    put::<u16>(f, at, &2);
    let mut rest = port.to_be_bytes().to_vec();
    rest.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    f.cx().put_bytes(at + 2, &rest).expect("scratch");
}

#[test]
fn a_connection_over_tcp() {
    let mut f = Fixture::new(&RISCV64);
    let server = call(&mut f, "socket", [2, 1 | 0o2000000, 0, 0, 0, 0]).expect("no wait").expect("socket");
    loopback(&mut f, SCRATCH, 0);
    assert_eq!(call(&mut f, "bind", [server, SCRATCH, 16, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(call(&mut f, "accept", [server, 0, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)), "does not listen");
    assert_eq!(call(&mut f, "listen", [server, 5, 0, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(call(&mut f, "accept", [server, 0, 0, 0, 0, 0]), None, "nobody there");
    put::<i32>(&mut f, SCRATCH + 32, &128);
    assert_eq!(call(&mut f, "getsockname", [server, SCRATCH, SCRATCH + 32, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(get::<i32>(&mut f, SCRATCH + 32), 16);
    let client = call(&mut f, "socket", [2, 1, 0, 0, 0, 0]).expect("no wait").expect("socket");
    assert_eq!(call(&mut f, "connect", [client, SCRATCH, 1, 0, 0, 0]), Some(Err(Errno::EINVAL)));
    let connected = f.call("connect", [client, SCRATCH, 16, 0, 0, 0]);
    let connected = connected.or_else(|| f.call("connect", [client, SCRATCH, 16, 0, 0, 0]));
    assert_eq!(connected, Some(Ok(0)));
    put::<i32>(&mut f, SCRATCH + 32, &4);
    let peer = call(&mut f, "accept4", [server, SCRATCH + 64, SCRATCH + 32, 0o4000, 0, 0]);
    let peer = peer.expect("somebody is there").expect("accepted");
    assert_eq!(get::<i32>(&mut f, SCRATCH + 32), 16, "the full length of a cut address");
    assert_eq!(call(&mut f, "recvfrom", [peer, SCRATCH, 10, 0, 0, 0]), Some(Err(Errno::EAGAIN)), "SOCK_NONBLOCK");
    assert_eq!(call(&mut f, "recvfrom", [client, SCRATCH, 10, 0, 0, 0]), None);
    assert_eq!(call(&mut f, "recvfrom", [client, SCRATCH, 10, 0x40, 0, 0]), Some(Err(Errno::EAGAIN)), "MSG_DONTWAIT");
    f.cx().put_bytes(SCRATCH, b"hello").expect("scratch");
    assert_eq!(call(&mut f, "sendto", [peer, SCRATCH, 5, 0, 0, 0]), Some(Ok(5)));
    assert_eq!(f.call("recvfrom", [client, SCRATCH + 0x100, 8, 0x100, 0, 0]), None, "MSG_WAITALL waits for the rest");
    assert_eq!(call(&mut f, "shutdown", [peer, 1, 0, 0, 0, 0]), Some(Ok(0)));
    assert_eq!(call(&mut f, "sendto", [peer, SCRATCH, 5, 0x4000, 0, 0]), Some(Err(Errno::EPIPE)));
    assert!(f.cx().thread().signals.pending.is_empty(), "MSG_NOSIGNAL");
    assert_eq!(call(&mut f, "sendto", [peer, SCRATCH, 5, 0, 0, 0]), Some(Err(Errno::EPIPE)));
    assert_eq!(f.cx().thread().signals.pending.front().map(|s| s.signo), Some(13));
    close(&[server, client, peer]);
}

#[test]
fn a_large_write_goes_on_where_it_stopped() {
    let mut f = Fixture::new(&RISCV64);
    let (a, b) = pair(&mut f, 1);
    // Eight iovecs over the same page: more than a small buffer holds.
    put::<i32>(&mut f, SCRATCH, &4096);
    assert_eq!(call(&mut f, "setsockopt", [a, 1, 7, SCRATCH, 4, 0]), Some(Ok(0)), "SO_SNDBUF");
    for i in 0..64 {
        put::<Iovec>(&mut f, SCRATCH + 16 * i, &Iovec { base: SCRATCH + 0x1000, len: 0x1000 });
    }
    let message = Msghdr { name: 0, namelen: 0, iov: SCRATCH, iovlen: 64, control: 0, controllen: 0, flags: 0 };
    put::<Msghdr>(&mut f, SCRATCH + 0x800, &message);
    f.cx().thread().call = Default::default();
    let mut received = 0;
    let sent = loop {
        if let Some(result) = f.call("sendmsg", [a, SCRATCH + 0x800, 0, 0, 0, 0]) {
            break result;
        }
        let done = f.cx().thread().call.done;
        assert!(done < 64 * 0x1000, "blocked before the end");
        let mut buf = [0; 8192];
        received += sys::file::read(b as i32, &mut buf).expect("data") as u64;
    };
    assert_eq!(sent, Ok(64 * 0x1000));
    assert!(received > 0, "it blocked at least once");
    close(&[a, b]);
}

fn descriptors_travel(isa: &'static Isa) {
    let mut f = Fixture::new(isa);
    let (a, b) = pair(&mut f, 2);
    let (r, w) = sys::file::pipe2(0).expect("a pipe");
    let head = Cmsghdr::size(isa.abi) as u64;
    let control = SCRATCH + 0x100;
    put::<Cmsghdr>(&mut f, control, &Cmsghdr { len: head + 8, level: 1, kind: 1 });
    put::<crate::abi::Arr<i32, 2>>(&mut f, control + head, &[r, w]);
    put::<Iovec>(&mut f, SCRATCH, &Iovec { base: SCRATCH + 0x200, len: 3 });
    f.cx().put_bytes(SCRATCH + 0x200, b"abc").expect("scratch");
    let message = Msghdr { name: 0, namelen: 0, iov: SCRATCH, iovlen: 1, control, controllen: head + 8, flags: 0 };
    let at = SCRATCH + 0x80;
    put::<Msghdr>(&mut f, at, &message);
    assert_eq!(call(&mut f, "sendmsg", [a, at, 0, 0, 0, 0]), Some(Ok(3)));
    assert_eq!(call(&mut f, "sendmsg", [a, at, 0, 0, 0, 0]), Some(Ok(3)));
    put::<Msghdr>(&mut f, at, &Msghdr { controllen: 100, ..message.clone() });
    assert_eq!(call(&mut f, "recvmsg", [b, at, 0x4000_0000, 0, 0, 0]), Some(Ok(3)));
    assert_eq!(get::<Cmsghdr>(&mut f, control), Cmsghdr { len: head + 8, level: 1, kind: 1 });
    let fds = get::<crate::abi::Arr<i32, 2>>(&mut f, control + head);
    assert_eq!(sys::file::write(fds[1], b"z"), Ok(1));
    assert_eq!(sys::file::read(r, &mut [0; 4]), Ok(1), "the same pipe");
    assert_eq!(sys::file::fcntl(fds[0], sys::host::F_GETFD, 0), Ok(1), "MSG_CMSG_CLOEXEC");
    assert_eq!(get::<Msghdr>(&mut f, at).flags & 8, 0, "whole");
    // Room for one of the two.
    put::<Msghdr>(&mut f, at, &Msghdr { controllen: head + 4, ..message });
    assert_eq!(call(&mut f, "recvmsg", [b, at, 0, 0, 0, 0]), Some(Ok(3)));
    assert_eq!(get::<Msghdr>(&mut f, at).flags & 8, 8, "MSG_CTRUNC");
    assert_eq!(get::<Cmsghdr>(&mut f, control).len, head + 4);
    let one = get::<i32>(&mut f, control + head);
    close(&[a, b, w as u64, fds[0] as u64, fds[1] as u64, one as u64]);
    assert_eq!(sys::file::read(r, &mut [0; 4]), Ok(0), "the writing end that did not fit is closed");
    close(&[r as u64]);
}

#[test]
fn descriptors_travel_in_control_messages() {
    descriptors_travel(&RISCV64);
    descriptors_travel(&RISCV32);
}

#[test]
fn several_messages_at_once() {
    let mut f = Fixture::new(&RISCV64);
    let (a, b) = pair(&mut f, 2);
    let size = Mmsghdr::size(RISCV64.abi) as u64;
    for i in 0..3 {
        put::<Iovec>(&mut f, SCRATCH + 16 * i, &Iovec { base: SCRATCH + 0x400 + 16 * i, len: 4 });
        f.cx().put_bytes(SCRATCH + 0x400 + 16 * i, &[b'a' + i as u8; 4]).expect("scratch");
        let iov = SCRATCH + 16 * i;
        let hdr = Msghdr { name: 0, namelen: 0, iov, iovlen: 1, control: 0, controllen: 0, flags: 0 };
        put::<Mmsghdr>(&mut f, SCRATCH + 0x100 + size * i, &Mmsghdr { hdr, len: 0 });
    }
    assert_eq!(call(&mut f, "sendmmsg", [a, SCRATCH + 0x100, 2, 0, 0, 0]), Some(Ok(2)));
    assert_eq!(get::<Mmsghdr>(&mut f, SCRATCH + 0x100 + size).len, 4);
    assert_eq!(f.call("recvmmsg", [b, SCRATCH + 0x100, 3, 0, 0, 0]), None, "waits for the third");
    assert_eq!(f.cx().thread().call.progress, 2);
    assert_eq!(sys::file::write(a as i32, b"cc"), Ok(2));
    assert_eq!(f.call("recvmmsg", [b, SCRATCH + 0x100, 3, 0, 0, 0]), Some(Ok(3)));
    assert_eq!(get::<Mmsghdr>(&mut f, SCRATCH + 0x100 + 2 * size).len, 2);
    assert_eq!(sys::file::write(a as i32, b"d"), Ok(1));
    assert_eq!(call(&mut f, "recvmmsg", [b, SCRATCH + 0x100, 3, 0x10000, 0, 0]), Some(Ok(1)), "MSG_WAITFORONE");
    close(&[a, b]);
}

#[test]
fn options_are_converted() {
    let mut f = Fixture::new(&RISCV64);
    let (a, b) = pair(&mut f, 1);
    let (value, len) = (SCRATCH, SCRATCH + 0x100);
    put::<i32>(&mut f, len, &4);
    assert_eq!(call(&mut f, "getsockopt", [a, 1, 3, value, len, 0]), Some(Ok(0)), "SO_TYPE");
    assert_eq!(get::<i32>(&mut f, value), 1);
    put::<Timeval>(&mut f, value, &Timeval { sec: 0, usec: 1000 });
    assert_eq!(call(&mut f, "setsockopt", [a, 1, 20, value, 16, 0]), Some(Ok(0)), "SO_RCVTIMEO");
    put::<Timeval>(&mut f, value, &Timeval { sec: 9, usec: 9 });
    put::<i32>(&mut f, len, &16);
    assert_eq!(call(&mut f, "getsockopt", [a, 1, 20, value, len, 0]), Some(Ok(0)));
    let t = get::<Timeval>(&mut f, value);
    assert!(t.sec == 0 && (1000..20_000).contains(&t.usec), "in ticks of the host: {t:?}");
    // The limit ends the wait.
    assert_eq!(call(&mut f, "recvfrom", [a, SCRATCH, 1, 0, 0, 0]), None);
    let late = f.cx().thread().call.deadline.expect("a time limit");
    while f.process.now_ns() < late {}
    assert_eq!(f.call("recvfrom", [a, SCRATCH, 1, 0, 0, 0]), Some(Err(Errno::EAGAIN)));
    put::<i32>(&mut f, len, &12);
    assert_eq!(call(&mut f, "getsockopt", [a, 1, 17, value, len, 0]), Some(Ok(0)), "SO_PEERCRED");
    assert_eq!(get::<i32>(&mut f, value), f.process.pid);
    put::<i32>(&mut f, len, &u32::MAX.cast_signed());
    assert_eq!(call(&mut f, "getsockopt", [a, 1, 3, value, len, 0]), Some(Err(Errno::EINVAL)));
    assert_eq!(call(&mut f, "setsockopt", [a, 1, 26, value, 16, 0]), Some(Err(Errno::ENOPROTOOPT)));
    assert_eq!(f.process.mem.events.unimplemented_counts().len(), 1, "SO_ATTACH_FILTER");
    close(&[a, b]);
}

#[test]
fn calls_print_as_strace_does() {
    let mut f = Fixture::new(&RISCV64);
    let line = |f: &mut Fixture, name: &str, args: [u64; 6], result: Result<u64, Errno>| {
        let row = crate::table::row(name).expect("a row");
        let head = crate::strace::entry(&mut f.process.mem, &RISCV64, row, &args);
        let result = result.map_err(crate::cx::Outcome::Err);
        head + &crate::strace::exit(&mut f.process.mem, &RISCV64, row, &args, &result)
    };
    loopback(&mut f, SCRATCH, 80);
    assert_eq!(
        line(&mut f, "connect", [3, SCRATCH, 16, 0, 0, 0], Err(Errno::ECONNREFUSED)),
        "connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = -1 \
         ECONNREFUSED (Connection refused)"
    );
    assert_eq!(
        line(&mut f, "socket", [2, 1 | 0o2000000, 0, 0, 0, 0], Ok(3)),
        "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3"
    );
    put::<i32>(&mut f, SCRATCH, &1);
    assert_eq!(
        line(&mut f, "setsockopt", [3, 1, 2, SCRATCH, 4, 0], Ok(0)),
        "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0"
    );
    f.cx().put_bytes(SCRATCH + 0x40, b"hi").expect("scratch");
    put::<Iovec>(&mut f, SCRATCH, &Iovec { base: SCRATCH + 0x40, len: 2 });
    assert_eq!(
        line(&mut f, "writev", [1, SCRATCH, 1, 0, 0, 0], Ok(2)),
        "writev(1, [{iov_base=\"hi\", iov_len=2}], 1) = 2"
    );
    put::<crate::abi::structs::Pollfd>(
        &mut f,
        SCRATCH,
        &crate::abi::structs::Pollfd { fd: 0, events: 1, revents: 0x10 },
    );
    assert_eq!(
        line(&mut f, "ppoll", [SCRATCH, 1, 0, 0, 0, 0], Ok(1)),
        "ppoll([{fd=0, events=POLLIN, revents=POLLHUP}], 1, NULL, NULL, 0) = 1"
    );
    assert_eq!(
        line(&mut f, "ioctl", [0, 0x5413, SCRATCH, 0, 0, 0], Err(Errno::ENOTTY)),
        format!("ioctl(0, TIOCGWINSZ, {SCRATCH:#x}) = -1 ENOTTY (Inappropriate ioctl for device)")
    );
}
