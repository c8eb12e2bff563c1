//! Character devices that are descriptors of files: pseudo-terminals, serial ports of the host, named pipes.

use super::shell::{Backend, Change, Inbox, LineSettings};
use super::{ChardevError, NOBODY, WAITING};
use crate::console::ConsoleEvent;
use crate::sys::termios::{When, get, make_raw, open_pty, set};
use crate::sys::wait::{PollFd, ppoll};
use crate::sys::{Time, host, ioctl};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most bytes that wait for whoever reads.
const BACKLOG: usize = 1 << 20;
/// Bytes read at once.
const INPUT: usize = 4096;

/// What is read and written without waiting.
pub(super) struct Wires {
    input: File,
    /// None where one file serves for both.
    output: Option<File>,
    waiting: VecDeque<u8>,
    info: &'static str,
    /// The input has come to its end.
    ended: bool,
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(host::O_NONBLOCK | host::O_NOCTTY).open(path)
}

impl Wires {
    /// The named pipes `PATH.in` and `PATH.out`, or one file for both.
    pub(super) fn pipe(path: &Path) -> Result<Wires, ChardevError> {
        let beside = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            open(Path::new(&name))
        };
        let (input, output) = match (beside(".in"), beside(".out")) {
            (Ok(input), Ok(output)) => (input, Some(output)),
            _ => (open(path).map_err(|e| ChardevError::Io(path.display().to_string(), e))?, None),
        };
        Ok(Wires { input, output, waiting: VecDeque::new(), info: "pipe", ended: false })
    }

    /// A serial port of the host, at 115200 bits per second until somebody says otherwise.
    pub(super) fn serial(path: &Path) -> Result<Wires, ChardevError> {
        let input = open(path).map_err(|e| ChardevError::Io(path.display().to_string(), e))?;
        let mut wires = Wires { input, output: None, waiting: VecDeque::new(), info: "serial", ended: false };
        wires.set_line(LineSettings { baud: 115_200, odd_parity: None, data_bits: 8, stop_bits: 1 });
        Ok(wires)
    }

    fn send(&mut self) {
        while !self.waiting.is_empty() {
            let output = self.output.as_mut().unwrap_or(&mut self.input);
            match output.write(self.waiting.as_slices().0) {
                Ok(n) if n > 0 => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                _ => self.waiting.clear(),
            }
        }
    }
}

/// Bits of `c_cflag` (asm-generic/termbits.h).
const CBAUD: u32 = 0o10017;
const CSIZE: u32 = 0o60;
const CSTOPB: u32 = 0o100;
const CREAD: u32 = 0o200;
const PARENB: u32 = 0o400;
const PARODD: u32 = 0o1000;
const CLOCAL: u32 = 0o4000;
const CRTSCTS: u32 = 0o20_000_000_000;

/// Speeds of asm-generic/termbits.h, in bits per second, and their codes in `CBAUD`.
const SPEEDS: [(u32, u32); 24] = [
    (50, 1),
    (75, 2),
    (110, 3),
    (134, 4),
    (150, 5),
    (200, 6),
    (300, 7),
    (600, 0o10),
    (1200, 0o11),
    (1800, 0o12),
    (2400, 0o13),
    (4800, 0o14),
    (9600, 0o15),
    (19200, 0o16),
    (38400, 0o17),
    (57600, 0o10001),
    (115_200, 0o10002),
    (230_400, 0o10003),
    (460_800, 0o10004),
    (500_000, 0o10005),
    (576_000, 0o10006),
    (921_600, 0o10007),
    (1_000_000, 0o10010),
    (2_000_000, 0o10013),
];

/// The code of the speed that is nearest: guests' divisors do not hit them exactly.
fn speed(baud: u32) -> u32 {
    SPEEDS.iter().min_by_key(|(bits, _)| bits.abs_diff(baud)).map_or(0o10002, |(_, code)| *code)
}

impl Backend for Wires {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        let room = BACKLOG.saturating_sub(self.waiting.len());
        self.waiting.extend(&bytes[..bytes.len().min(room)]);
        self.send();
    }

    fn fds(&self) -> Vec<i32> {
        if self.ended { Vec::new() } else { vec![self.input.as_raw_fd()] }
    }

    fn again(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(WAITING)
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        self.send();
        if self.ended {
            return;
        }
        let mut buf = [0; INPUT];
        match self.input.read(&mut buf) {
            Ok(n) if n > 0 => inbox.events.push(ConsoleEvent::Bytes(buf[..n].to_vec())),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            _ => {
                self.ended = true;
                inbox.changes.push(Change::Closed);
                inbox.events.push(ConsoleEvent::Closed);
            }
        }
    }

    fn info(&self) -> String {
        self.info.to_owned()
    }

    fn set_line(&mut self, settings: LineSettings) {
        // What is no terminal has no framing.
        let Ok(old) = get(self.input.as_raw_fd()) else { return };
        let mut new = make_raw(old);
        new.cflag &= !(CBAUD | CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
        new.cflag |= speed(settings.baud) | CREAD | CLOCAL;
        new.cflag |= u32::from(settings.data_bits.clamp(5, 8) - 5) << 4;
        new.cflag |= if settings.stop_bits == 2 { CSTOPB } else { 0 };
        new.cflag |= match settings.odd_parity {
            None => 0,
            Some(false) => PARENB,
            Some(true) => PARENB | PARODD,
        };
        // A line that cannot do it stays as it is, as in QEMU.
        let _ = set(self.input.as_raw_fd(), When::Now, &new);
    }

    fn set_break(&mut self, on: bool) {
        if let Some(request) = ioctl::by_name(if on { "TIOCSBRK" } else { "TIOCCBRK" }) {
            // What is no terminal has no break.
            let _ = ioctl::ioctl_int(self.input.as_raw_fd(), request.number, 0);
        }
    }
}

/// A new pseudo-terminal in raw mode.
pub(super) struct Pty {
    main: File,
    name: String,
    /// A link to it, to be removed at the end.
    link: Option<PathBuf>,
    waiting: VecDeque<u8>,
    /// Nobody has it open.
    hung: bool,
}

impl Pty {
    /// The terminal, with a link to it if that is wanted.
    pub(super) fn new(link: Option<&Path>) -> Result<Pty, ChardevError> {
        let failed = |e| ChardevError::Io("pty".to_owned(), e);
        let make = || -> io::Result<(File, String)> {
            let (main, number) = open_pty()?;
            set(main.as_raw_fd(), When::Now, &make_raw(get(main.as_raw_fd())?))?;
            let name = format!("/dev/pts/{number}");
            // One that nobody ever had open does not say that nobody has it open.
            drop(open(Path::new(&name))?);
            Ok((main, name))
        };
        let (main, name) = make().map_err(failed)?;
        if let Some(link) = link {
            std::os::unix::fs::symlink(&name, link).map_err(|e| ChardevError::Io(link.display().to_string(), e))?;
        }
        Ok(Pty { main, name, link: link.map(Path::to_owned), waiting: VecDeque::new(), hung: true })
    }

    /// What the user should know.
    pub(super) fn note(&self) -> String {
        format!("char device redirected to {}", self.name)
    }

    /// Has somebody opened it?
    fn look(&mut self, changes: &mut Vec<Change>) {
        let mut fds = [PollFd { fd: self.main.as_raw_fd(), events: host::POLLOUT, revents: 0 }];
        if ppoll(&mut fds, Some(Time::default()), None).is_ok() {
            self.turn(fds[0].revents & host::POLLHUP != 0, changes);
        }
    }

    fn turn(&mut self, hung: bool, changes: &mut Vec<Change>) {
        if hung != self.hung {
            self.hung = hung;
            changes.push(if hung { Change::Closed } else { Change::Opened });
        }
        if hung {
            self.waiting.clear();
        }
    }

    fn send(&mut self, changes: &mut Vec<Change>) {
        while !self.hung && !self.waiting.is_empty() {
            match self.main.write(self.waiting.as_slices().0) {
                Ok(n) if n > 0 => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                _ => self.turn(true, changes),
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(link);
        }
    }
}

impl Backend for Pty {
    fn write(&mut self, bytes: &[u8], changes: &mut Vec<Change>) {
        if self.hung {
            self.look(changes);
        }
        if !self.hung {
            let room = BACKLOG.saturating_sub(self.waiting.len());
            self.waiting.extend(&bytes[..bytes.len().min(room)]);
            self.send(changes);
        }
    }

    fn fds(&self) -> Vec<i32> {
        // It would say all the time that nobody is there.
        if self.hung { Vec::new() } else { vec![self.main.as_raw_fd()] }
    }

    fn again(&self) -> Option<u64> {
        if self.hung { Some(NOBODY) } else { (!self.waiting.is_empty()).then_some(WAITING) }
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        self.send(&mut inbox.changes);
        let mut buf = [0; INPUT];
        // Whoever had it open may have left something behind.
        match self.main.read(&mut buf) {
            Ok(n) if n > 0 => {
                self.turn(false, &mut inbox.changes);
                inbox.events.push(ConsoleEvent::Bytes(buf[..n].to_vec()));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.turn(false, &mut inbox.changes),
            // Without a user it gives EIO.
            _ => self.turn(true, &mut inbox.changes),
        }
    }

    fn info(&self) -> String {
        format!("pty:{}", self.name)
    }

    fn is_open(&self) -> bool {
        !self.hung
    }
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds() {
        assert_eq!((speed(115_200), speed(117_647), speed(0), speed(u32::MAX)), (0o10002, 0o10002, 1, 0o10013));
        assert_eq!(speed(9615), 0o15);
    }
}
