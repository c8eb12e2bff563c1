//! Terminals and `ioctl`, on a pseudo-terminal of the test's own.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the kernel's structures are in the host's byte order")]

use std::ffi::CString;
use tern_host::sys::ioctl::{self, Shape, WinSize};
use tern_host::sys::termios::{self, When};
use tern_host::sys::wait::{self, PollFd};
use tern_host::sys::{CWD, Errno, Fd, Time, file, host};
use tern_host::tty::RawMode;

/// The two ends of a new pseudo-terminal.
fn pty() -> (Fd, Fd) {
    let main = file::openat(CWD, c"/dev/ptmx", host::O_RDWR | host::O_NOCTTY | host::O_CLOEXEC, 0).unwrap();
    let mut word = [0; 4];
    let number = |name: &str| ioctl::by_name(name).unwrap().number;
    ioctl::ioctl_buf(main, number("TIOCSPTLCK"), &mut word).unwrap();
    ioctl::ioctl_buf(main, number("TIOCGPTN"), &mut word).unwrap();
    let name = CString::new(format!("/dev/pts/{}", u32::from_ne_bytes(word))).unwrap();
    (main, file::openat(CWD, &name, host::O_RDWR | host::O_NOCTTY, 0).unwrap())
}

#[test]
fn settings() {
    let (main, tty) = pty();
    let t = termios::get(tty).unwrap();
    // The kernel's `tty_std_termios` (drivers/tty/tty_io.c): ICRNL IXON; OPOST ONLCR; B38400 CS8 CREAD HUPCL; ...
    assert_eq!((t.iflag, t.oflag), (0o2400, 0o5));
    assert_eq!(t.cflag & 0o10017, 0o17, "38400 baud");
    assert_eq!(t.cflag & 0o60, 0o60, "eight bits");
    assert_eq!(t.lflag & 0o13, 0o13, "ISIG ICANON ECHO");
    assert_eq!((t.cc[0], t.cc[4], t.cc[6]), (3, 4, 1), "INTR EOF MIN");
    let mut changed = t;
    changed.cflag = (t.cflag & !0o10017) | 0o10002;
    changed.lflag &= !0o10;
    changed.oflag |= 0o14000;
    changed.cc[0] = 7;
    for when in [When::Now, When::Drain, When::Flush] {
        termios::set(tty, when, &changed).unwrap();
    }
    assert_eq!(termios::get(tty), Ok(changed));
    termios::set(tty, When::Now, &t).unwrap();
    {
        let _raw = RawMode::enter(tty).unwrap();
        let raw = termios::get(tty).unwrap();
        assert_eq!((raw.iflag & 0o2400, raw.oflag & 1, raw.lflag & 0o13), (0, 0, 0));
        file::write(main, b"\r").unwrap();
        let mut byte = [0];
        assert_eq!(file::read(tty, &mut byte), Ok(1), "no line is needed");
        assert_eq!(byte[0], b'\r');
    }
    assert_eq!(termios::get(tty), Ok(t));
    file::close(tty).unwrap();
    file::close(main).unwrap();
    let null = file::openat(CWD, c"/dev/null", host::O_RDWR, 0).unwrap();
    assert_eq!(termios::get(null), Err(Errno::ENOTTY));
    assert!(RawMode::enter(null).is_err());
    file::close(null).unwrap();
}

#[test]
fn requests() {
    let (main, tty) = pty();
    let size = WinSize { rows: 24, cols: 80, xpixel: 1, ypixel: 2 };
    ioctl::set_window_size(main, size).unwrap();
    assert_eq!(ioctl::window_size(tty), Ok(size));
    let winsz = ioctl::by_name("TIOCGWINSZ").unwrap();
    assert_eq!(winsz.shape, Shape::Bytes(8));
    let mut raw = [0; 8];
    ioctl::ioctl_buf(tty, winsz.number, &mut raw).unwrap();
    assert_eq!(u16::from_ne_bytes([raw[2], raw[3]]), 80);
    assert_eq!(ioctl::ioctl_buf(tty, winsz.number, &mut raw[..4]), Err(Errno::EINVAL));
    assert_eq!(ioctl::ioctl_int(tty, winsz.number, 0), Err(Errno::ENOTTY), "an address must not pass as a number");
    assert_eq!(ioctl::ioctl_buf(tty, 0xdead_beef, &mut raw), Err(Errno::ENOTTY));
    assert_eq!(ioctl::foreground(tty), Err(Errno::ENOTTY), "not our controlling terminal");
    file::write(main, b"ab\n").unwrap();
    // The kernel's line discipline runs on a work queue.
    let mut fds = [PollFd { fd: tty, events: host::POLLIN, revents: 0 }];
    assert_eq!(wait::ppoll(&mut fds, Some(Time { sec: 5, nsec: 0 }), None), Ok(1));
    assert_eq!(ioctl::readable(tty), Ok(3));
    let flush = ioctl::by_name("TCFLSH").unwrap().number;
    ioctl::ioctl_int(tty, flush, 2).unwrap();
    assert_eq!(ioctl::readable(tty), Ok(0));
    file::close(tty).unwrap();
    file::close(main).unwrap();
}

#[test]
fn no_request_has_two_rows() {
    let mut numbers: Vec<_> = ioctl::REQUESTS.iter().chain(ioctl::PTY_REQUESTS).map(|r| r.number).collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), all);
}
