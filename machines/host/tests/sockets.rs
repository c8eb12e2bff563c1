//! Sockets, waiting for descriptors, futexes.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "socket options are in the host's byte order")]

use std::io::{IoSlice, IoSliceMut};
use tern_host::map::HostMap;
use tern_host::sys::socket::{self, Control, SockAddr};
use tern_host::sys::wait::{self, EpollEvent, PollFd};
use tern_host::sys::{Errno, Fd, Time, file, futex, host, ioctl, proc, time};

const STREAM: i32 = host::SOCK_STREAM | host::SOCK_CLOEXEC;

fn close(fds: &[Fd]) {
    for fd in fds {
        file::close(*fd).unwrap();
    }
}

/// 127.0.0.1 and a port that the kernel chooses.
fn loopback() -> SockAddr {
    let mut data = vec![0, 0, 127, 0, 0, 1];
    data.resize(14, 0);
    SockAddr { family: host::AF_INET as u16, data }
}

#[test]
fn pairs_and_messages() {
    let (a, b) = socket::socketpair(host::AF_UNIX, STREAM, 0).unwrap();
    let (r, w) = file::pipe2(0).unwrap();
    let sent = socket::sendmsg(a, None, &[IoSlice::new(b"he"), IoSlice::new(b"llo")], &[Control::Rights(vec![w])], 0);
    assert_eq!(sent, Ok(5));
    file::close(w).unwrap();
    socket::setsockopt(b, host::SOL_SOCKET, host::SO_PASSCRED, &1i32.to_ne_bytes()).unwrap();
    let (mut x, mut y) = ([0; 3], [0; 8]);
    let got = socket::recvmsg(b, &mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)], 256, host::MSG_CMSG_CLOEXEC)
        .unwrap();
    assert_eq!((got.len, &x, &y[..2]), (5, b"hel", &b"lo"[..]));
    let rights: Vec<_> =
        got.control.iter().filter_map(|c| if let Control::Rights(f) = c { Some(f) } else { None }).collect();
    assert_eq!(rights.len(), 1);
    let passed = rights[0][0];
    assert_eq!(file::fcntl(passed, host::F_GETFD, 0), Ok(host::FD_CLOEXEC));
    file::write(passed, b"!").unwrap();
    assert_eq!(file::read(r, &mut x), Ok(1));
    file::close(passed).unwrap();

    assert_eq!(socket::sendto(a, b"ping", host::MSG_NOSIGNAL, None), Ok(4));
    assert_eq!(ioctl::readable(b), Ok(4));
    let got = socket::recvmsg(b, &mut [IoSliceMut::new(&mut y)], 256, 0).unwrap();
    let pid = proc::getpid().unwrap();
    assert!(got.control.iter().any(|c| matches!(c, Control::Credentials { pid: p, .. } if *p == pid)), "{got:?}");
    assert_eq!(socket::sendto(a, b"ping", host::MSG_NOSIGNAL, None), Ok(4));
    let cut = socket::recvmsg(b, &mut [IoSliceMut::new(&mut y)], 4, 0).unwrap();
    assert_eq!(cut.flags & host::MSG_CTRUNC, host::MSG_CTRUNC);
    assert_eq!(socket::recvfrom(b, &mut y, host::MSG_DONTWAIT), Err(Errno::EAGAIN));
    let forged = Control::Other { level: host::SOL_SOCKET, kind: 77, data: vec![1, 2, 3] };
    assert_eq!(socket::sendmsg(a, None, &[IoSlice::new(b"x")], &[forged], 0), Err(Errno::EINVAL));
    socket::shutdown(a, 1).unwrap();
    assert_eq!(socket::recvfrom(b, &mut y, 0).unwrap().0, 0);
    assert_eq!(socket::sendto(a, b"x", host::MSG_NOSIGNAL, None), Err(Errno::EPIPE));
    close(&[a, b, r]);
}

#[test]
fn tcp_over_loopback() {
    let server = socket::socket(host::AF_INET, STREAM, 0).unwrap();
    socket::setsockopt(server, host::SOL_SOCKET, host::SO_REUSEADDR, &1i32.to_ne_bytes()).unwrap();
    let mut value = [0; 4];
    assert_eq!(socket::getsockopt(server, host::SOL_SOCKET, host::SO_TYPE, &mut value), Ok(4));
    assert_eq!(i32::from_ne_bytes(value), host::SOCK_STREAM);
    assert_eq!(socket::setsockopt(server, host::SOL_SOCKET, libc::SO_ATTACH_FILTER, &[0; 16]), Err(Errno::ENOPROTOOPT));
    assert_eq!(socket::getsockopt(server, host::IPPROTO_TCP, 35, &mut [0; 64]), Err(Errno::ENOPROTOOPT));
    socket::bind(server, &loopback()).unwrap();
    socket::listen(server, 4).unwrap();
    let addr = socket::getsockname(server).unwrap().unwrap();
    assert_eq!((addr.family, &addr.data[2..6]), (host::AF_INET as u16, &[127, 0, 0, 1][..]));
    let client = socket::socket(host::AF_INET, STREAM, 0).unwrap();
    assert_eq!(socket::getpeername(client), Err(Errno::ENOTCONN));
    socket::connect(client, &addr).unwrap();
    let (conn, peer) = socket::accept4(server, host::SOCK_NONBLOCK).unwrap();
    assert_eq!(peer, socket::getsockname(client).unwrap());
    assert_eq!(socket::getpeername(client).unwrap(), Some(addr));
    assert_eq!(socket::recvfrom(conn, &mut value, 0), Err(Errno::EAGAIN));
    file::write(client, b"data").unwrap();
    let mut fds = [PollFd { fd: conn, events: host::POLLIN, revents: 0 }];
    assert_eq!(wait::ppoll(&mut fds, Some(Time { sec: 5, nsec: 0 }), None), Ok(1));
    assert_eq!(socket::recvfrom(conn, &mut value, 0), Ok((4, None)));
    assert_eq!(&value, b"data");
    let long = SockAddr { family: 1, data: vec![0; 127] };
    assert_eq!(socket::bind(client, &long), Err(Errno::EINVAL));
    close(&[server, client, conn]);
}

#[test]
fn datagrams() {
    let kind = host::SOCK_DGRAM;
    let (a, b) = (socket::socket(host::AF_INET, kind, 0).unwrap(), socket::socket(host::AF_INET, kind, 0).unwrap());
    socket::bind(a, &loopback()).unwrap();
    socket::bind(b, &loopback()).unwrap();
    let (name_a, name_b) = (socket::getsockname(a).unwrap().unwrap(), socket::getsockname(b).unwrap().unwrap());
    assert_eq!(socket::sendto(a, b"datagram", 0, Some(&name_b)), Ok(8));
    let mut buf = [0; 4];
    assert_eq!(socket::recvfrom(b, &mut buf, host::MSG_TRUNC), Ok((8, Some(name_a))));
    close(&[a, b]);
    let netlink = socket::socket(host::AF_NETLINK, host::SOCK_RAW, 0).unwrap();
    socket::bind(netlink, &SockAddr { family: host::AF_NETLINK as u16, data: vec![0; 10] }).unwrap();
    let name = socket::getsockname(netlink).unwrap().unwrap();
    assert_ne!(u32::from_le_bytes(name.data[2..6].try_into().unwrap()), 0, "the port that the kernel chose");
    file::close(netlink).unwrap();
}

#[test]
fn polling() {
    let (r, w) = file::pipe2(0).unwrap();
    let mut fds =
        [PollFd { fd: r, events: host::POLLIN, revents: 0 }, PollFd { fd: w, events: host::POLLOUT, revents: 0 }];
    assert_eq!(wait::ppoll(&mut fds, Some(Time::default()), None), Ok(1));
    assert_eq!((fds[0].revents, fds[1].revents), (0, host::POLLOUT));
    assert_eq!(wait::ppoll(&mut fds[..1], Some(Time::from_nanos(1_000_000)), Some(0)), Ok(0));
    let epoll = wait::epoll_create1(host::EPOLL_CLOEXEC).unwrap();
    let event = EpollEvent { events: host::EPOLLIN as u32, data: 0x1234_5678_9abc_def0 };
    wait::epoll_ctl(epoll, host::EPOLL_CTL_ADD, r, event).unwrap();
    assert_eq!(wait::epoll_ctl(epoll, host::EPOLL_CTL_ADD, r, event), Err(Errno::EEXIST));
    let mut events = [EpollEvent::default(); 4];
    assert_eq!(wait::epoll_wait(epoll, &mut events, Some(Time::from_nanos(1)), None), Ok(0));
    file::write(w, b"x").unwrap();
    assert_eq!(wait::epoll_wait(epoll, &mut events, None, Some(0)), Ok(1));
    assert_eq!(events[0], event);
    assert_eq!(wait::epoll_wait(epoll, &mut [], None, None), Err(Errno::EINVAL));
    close(&[r, w, epoll]);
}

#[test]
fn futexes() {
    let map = HostMap::anon_shared(4096).unwrap();
    let span = map.span();
    assert!(span.write(8, &[1, 2, 3, 4]));
    let how = futex::Wait { bits: u32::MAX, ..Default::default() };
    assert_eq!(futex::wait(span, 8, [0; 4], how), Err(Errno::EAGAIN));
    assert_eq!(futex::wait(span, 9, [0; 4], how), Err(Errno::EINVAL));
    assert_eq!(futex::wait(span, 4096, [0; 4], how), Err(Errno::EFAULT));
    let now = time::clock_gettime(host::CLOCK_MONOTONIC).unwrap();
    let soon = futex::Wait { deadline: Some(Time::from_nanos(now.nanos() + 1_000_000)), ..how };
    assert_eq!(futex::wait(span, 8, [1, 2, 3, 4], soon), Err(Errno::ETIMEDOUT));
    let pid = proc::fork().unwrap();
    if pid == 0 {
        let result = futex::wait(span, 8, [1, 2, 3, 4], how);
        proc::exit_group(i32::from(result.is_err()));
    }
    while futex::wake(span, 8, 1, 1, false).unwrap() == 0 {
        time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(1_000_000)).unwrap();
    }
    assert_eq!(proc::wait4(pid, 0).unwrap().status, 0);

    let pid = proc::fork().unwrap();
    if pid == 0 {
        let result = futex::wait(span, 8, [1, 2, 3, 4], how);
        proc::exit_group(i32::from(result.is_err()));
    }
    let mut order = futex::Requeue { wake: 0, requeue: 1, expected: Some([0; 4]), private: false };
    assert_eq!(futex::requeue((span, 8), (span, 64), order), Err(Errno::EAGAIN));
    order.expected = Some([1, 2, 3, 4]);
    while futex::requeue((span, 8), (span, 64), order).unwrap() == 0 {
        time::clock_nanosleep(host::CLOCK_MONOTONIC, false, Time::from_nanos(1_000_000)).unwrap();
    }
    assert_eq!(futex::wake(span, 8, 1, 1, false), Ok(0));
    assert_eq!(futex::wake(span, 64, 1, 1, false), Ok(1));
    assert_eq!(proc::wait4(pid, 0).unwrap().status, 0);
}
