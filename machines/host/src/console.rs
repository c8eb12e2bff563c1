//! The user's terminal as a guest's console: raw mode, escape keys, output that does not hold the guest up.
//!
//! Raw mode is left on every way out: when the console is dropped, by `exit`, in a panic, and around a stop (`SIGTSTP`).
//! Signals that would end tern (`SIGINT`, `SIGTERM`, `SIGHUP`) are caught and become events, so that the machine can be
//! shut down in order.
//!
//! After the escape key (Ctrl-A unless chosen otherwise), as in QEMU:
//!
//! | key | what it does |
//! |---|---|
//! | `h`, `?` | prints this list |
//! | `x` | ends the machine |
//! | `s` | saves what disks still hold back |
//! | `t` | time stamps on, off |
//! | `b` | sends a break |
//! | `c` | switches between console and monitor |
//! | escape key | sends the escape key |

use crate::clock;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use tern_core::backend::CharSink;

/// Most bytes of output that wait for a slow terminal; then the guest waits.
const BACKLOG: usize = 1 << 20;
/// Bytes read at once.
const INPUT: usize = 4096;
/// Bytes written at once: a pipe that has room at all takes that many (`PIPE_BUF`).
const OUTPUT: usize = 512;

/// What the user or the system wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConsoleEvent {
    /// Bytes for the guest.
    Bytes(Vec<u8>),
    /// End the machine.
    Quit,
    /// Switch between console and monitor.
    Monitor,
    /// A break on the line.
    Break,
    /// Save what disks hold back.
    Sync,
    /// Standard input has come to its end; nothing more will come.
    Closed,
    /// A signal wants to end tern; its number.
    Signal(i32),
}

/// How a console behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The escape key; without, every byte is the guest's.
    pub escape: Option<u8>,
    /// Ctrl-C, Ctrl-\ and Ctrl-Z are tern's, not the guest's.
    pub signals: bool,
}

impl Default for Options {
    /// Ctrl-A, and all other keys for the guest.
    fn default() -> Options {
        Options { escape: Some(1), signals: false }
    }
}

/// A console on standard input and output.
pub struct Console;

impl Console {
    /// Takes the terminal, if standard input is one, into raw mode and catches signals.
    ///
    /// # Errors
    /// A terminal that refuses raw mode.
    #[allow(clippy::new_ret_no_self, reason = "a console is its two ends")]
    pub fn new(options: Options) -> io::Result<(Box<dyn CharSink>, Input)> {
        terminal::enter(options.signals)?;
        let output = Rc::new(RefCell::new(Output::default()));
        let input = Input { output: Rc::clone(&output), keys: Keys::new(options.escape), open: true };
        Ok((Box::new(Sink(output)), input))
    }
}

/// Signals that want to end tern are caught from now on, where it was not told to ignore them.
///
/// # Errors
/// The system refuses.
pub fn catch_signals() -> io::Result<()> {
    terminal::catch()
}

/// What caught signals want, since the last call here or of [`Input::poll`].
#[must_use]
pub fn take_signals() -> Vec<ConsoleEvent> {
    let mut events = Vec::new();
    terminal::signals(&mut events);
    events
}

/// Leaves raw mode, whoever has entered it. Nothing happens if nobody has.
pub fn restore() {
    terminal::leave();
}

struct Sink(Rc<RefCell<Output>>);

impl CharSink for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().put(bytes);
    }
}

/// What is on its way to standard output.
#[derive(Default)]
struct Output {
    waiting: VecDeque<u8>,
    /// Time stamps: when they began, and whether the next byte begins a line.
    stamps: Option<(u64, bool)>,
    /// Nobody reads any more.
    gone: bool,
}

impl Output {
    /// Takes bytes of the guest.
    fn put(&mut self, bytes: &[u8]) {
        match self.stamps {
            None => self.waiting.extend(bytes),
            Some((begin, mut line)) => {
                for byte in bytes {
                    if line {
                        self.waiting.extend(stamp(clock::monotonic_ns().saturating_sub(begin)).as_bytes());
                    }
                    self.waiting.push_back(*byte);
                    line = *byte == b'\n';
                }
                self.stamps = Some((begin, line));
            }
        }
        self.send(false);
        if self.waiting.len() > BACKLOG {
            self.send(true);
        }
    }

    /// Writes what can be written at once, or, with `all`, everything.
    fn send(&mut self, all: bool) {
        while !self.waiting.is_empty() && !self.gone && (all || terminal::writable()) {
            let (front, _) = self.waiting.as_slices();
            let chunk = &front[..front.len().min(OUTPUT)];
            match terminal::write(chunk) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !all => return,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    terminal::await_room();
                }
                Err(_) => self.gone = true,
            }
        }
        if self.gone {
            self.waiting.clear();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.send(true);
    }
}

/// A time stamp as QEMU prints it.
fn stamp(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("[{:02}:{:02}:{:02}.{:03}] ", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// The escape keys.
struct Keys {
    escape: Option<u8>,
    /// The last byte was the escape key.
    escaped: bool,
}

/// What a stretch of input means: an event, or something that the console does itself.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Meaning {
    Event(ConsoleEvent),
    Help,
    Stamps,
}

impl Keys {
    fn new(escape: Option<u8>) -> Keys {
        Keys { escape, escaped: false }
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<Meaning> {
        let mut out = Vec::new();
        for byte in bytes {
            let meaning = if core::mem::take(&mut self.escaped) {
                match byte {
                    b if Some(*b) == self.escape => Meaning::Event(ConsoleEvent::Bytes(vec![*b])),
                    b'x' => Meaning::Event(ConsoleEvent::Quit),
                    b'c' => Meaning::Event(ConsoleEvent::Monitor),
                    b'b' => Meaning::Event(ConsoleEvent::Break),
                    b's' => Meaning::Event(ConsoleEvent::Sync),
                    b'h' | b'?' => Meaning::Help,
                    b't' => Meaning::Stamps,
                    // An unknown key does nothing, as in QEMU.
                    _ => continue,
                }
            } else if Some(*byte) == self.escape {
                self.escaped = true;
                continue;
            } else {
                Meaning::Event(ConsoleEvent::Bytes(vec![*byte]))
            };
            match (out.last_mut(), meaning) {
                (Some(Meaning::Event(ConsoleEvent::Bytes(bytes))), Meaning::Event(ConsoleEvent::Bytes(more))) => {
                    bytes.extend(more)
                }
                (_, meaning) => out.push(meaning),
            }
        }
        out
    }

    fn help(&self) -> String {
        let name = match self.escape {
            Some(byte @ 1..=26) => format!("C-{}", char::from(byte - 1 + b'a')),
            Some(byte) => format!("{byte:#04x}"),
            None => return String::new(),
        };
        let rows = [
            ("h", "print this help"),
            ("x", "exit emulator"),
            ("s", "save disk data back to file"),
            ("t", "toggle console timestamps"),
            ("b", "send break"),
            ("c", "switch between console and monitor"),
            (name.as_str(), "sends it"),
        ];
        let mut text = String::from("\r\n");
        for (key, what) in rows {
            text.push_str(&format!("{name} {key:<4} {what}\r\n"));
        }
        text
    }
}

/// What comes from the user. Dropping it leaves raw mode.
pub struct Input {
    output: Rc<RefCell<Output>>,
    keys: Keys,
    open: bool,
}

impl Input {
    /// The descriptor to wait for, as long as input can come.
    #[must_use]
    pub fn fd(&self) -> Option<i32> {
        self.open.then_some(terminal::IN)
    }

    /// Is there output that standard output did not take yet? Then [`Input::poll`] should be called soon.
    #[must_use]
    pub fn pending(&self) -> bool {
        !self.output.borrow().waiting.is_empty()
    }

    /// Looks what has come; never waits. Also sends on what output waits.
    pub fn poll(&mut self) -> Vec<ConsoleEvent> {
        self.output.borrow_mut().send(false);
        let mut events = Vec::new();
        terminal::signals(&mut events);
        let mut buf = [0; INPUT];
        while self.open {
            match terminal::read(&mut buf) {
                Ok(None) => break,
                Ok(Some(0)) => {
                    self.open = false;
                    events.push(ConsoleEvent::Closed);
                }
                Ok(Some(n)) => {
                    for meaning in self.keys.read(&buf[..n]) {
                        self.act(meaning, &mut events);
                    }
                    // The rest stays where it is until the guest has seen this.
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.open = false;
                    events.push(ConsoleEvent::Closed);
                }
            }
        }
        events
    }

    fn act(&mut self, meaning: Meaning, events: &mut Vec<ConsoleEvent>) {
        let mut output = self.output.borrow_mut();
        match meaning {
            Meaning::Event(event) => events.push(event),
            Meaning::Help => {
                let help = self.keys.help();
                output.waiting.extend(help.as_bytes());
                output.send(false);
            }
            Meaning::Stamps => {
                output.stamps = match output.stamps {
                    Some(_) => None,
                    None => Some((clock::monotonic_ns(), true)),
                }
            }
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.output.borrow_mut().send(true);
        terminal::leave();
    }
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::ConsoleEvent;
    use crate::signal;
    use crate::sys::termios::{Termios, When, get, make_raw, set};
    use crate::sys::wait::{PollFd, ppoll};
    use crate::sys::{Errno, Time, file, host, proc};
    use std::io;
    use std::sync::{Mutex, MutexGuard, Once, PoisonError};

    pub(super) const IN: i32 = 0;
    const OUT: i32 = 1;
    /// `ISIG` of asm-generic/termbits.h.
    const ISIG: u32 = 1;

    /// The settings to go back to, and those of the console.
    static SETTINGS: Mutex<Option<(Termios, Termios)>> = Mutex::new(None);

    fn settings() -> MutexGuard<'static, Option<(Termios, Termios)>> {
        SETTINGS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    extern "C" fn last() {
        leave();
    }

    pub(super) fn catch() -> io::Result<()> {
        for signo in [host::SIGINT, host::SIGTERM, host::SIGHUP, host::SIGQUIT, host::SIGTSTP, host::SIGCONT] {
            // Who was told to ignore one (`nohup`) goes on doing so.
            if signal::disposition(signo)? != signal::Disposition::Ignore {
                signal::catch(signo)?;
            }
        }
        Ok(())
    }

    pub(super) fn enter(signals: bool) -> io::Result<()> {
        static ONCE: Once = Once::new();
        catch()?;
        let old = match get(IN) {
            Ok(old) => old,
            // A pipe or a file.
            Err(_) => return Ok(()),
        };
        let mut raw = make_raw(old);
        if signals {
            raw.lflag |= ISIG;
        }
        ONCE.call_once(|| {
            let _ = proc::at_exit(last);
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                leave();
                next(info);
            }));
        });
        *settings() = Some((old, raw));
        set(IN, When::Now, &raw)?;
        Ok(())
    }

    pub(super) fn leave() {
        if let Some((old, _)) = settings().take() {
            // The terminal may be gone; then there is nothing to restore. `Now`: a stopped terminal must not hold us up.
            let _ = set(IN, When::Now, &old);
        }
    }

    /// Caught signals as events; a stop and a continuation are carried out.
    pub(super) fn signals(events: &mut Vec<ConsoleEvent>) {
        while let Some(info) = signal::take() {
            let signo = info.signo;
            if signo == host::SIGTSTP {
                let kept = *settings();
                if let Some((old, _)) = kept {
                    let _ = set(IN, When::Now, &old);
                }
                // Returns when somebody continues us.
                let _ = signal::raise_default(signo);
                let _ = signal::catch(signo);
                again();
            } else if signo == host::SIGCONT {
                again();
            } else {
                events.push(ConsoleEvent::Signal(signo));
            }
        }
    }

    /// Raw mode after a stop: the shell has set the terminal as it likes it.
    fn again() {
        if let Some((_, raw)) = *settings() {
            let _ = set(IN, When::Now, &raw);
        }
    }

    fn ready(fd: i32, events: i16, timeout: Option<Time>) -> bool {
        let mut fds = [PollFd { fd, events, revents: 0 }];
        ppoll(&mut fds, timeout, None).is_ok_and(|n| n > 0)
    }

    /// What is there: nothing, or bytes; none of them is the end.
    pub(super) fn read(buf: &mut [u8]) -> io::Result<Option<usize>> {
        if !ready(IN, host::POLLIN, Some(Time::default())) {
            return Ok(None);
        }
        match file::read(IN, buf) {
            Err(Errno::EAGAIN) => Ok(None),
            result => Ok(Some(result?)),
        }
    }

    pub(super) fn writable() -> bool {
        ready(OUT, host::POLLOUT, Some(Time::default()))
    }

    /// Waits until there is room.
    pub(super) fn await_room() {
        let _ = ready(OUT, host::POLLOUT, Some(Time { sec: 1, nsec: 0 }));
    }

    pub(super) fn write(bytes: &[u8]) -> io::Result<usize> {
        Ok(file::write(OUT, bytes)?)
    }
}

/// Other hosts: output by std; input needs descriptors that can be asked whether there is some.
#[cfg(not(target_os = "linux"))]
mod terminal {
    use super::ConsoleEvent;
    use std::io::{self, Write};

    pub(super) const IN: i32 = 0;

    pub(super) fn enter(_: bool) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn leave() {}

    pub(super) fn signals(_: &mut Vec<ConsoleEvent>) {}

    pub(super) fn catch() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn read(_: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    pub(super) fn writable() -> bool {
        true
    }

    pub(super) fn await_room() {}

    pub(super) fn write(bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout();
        out.write_all(bytes).and_then(|()| out.flush()).map(|()| bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> Meaning {
        Meaning::Event(ConsoleEvent::Bytes(text.to_vec()))
    }

    #[test]
    fn escape_keys() {
        let mut keys = Keys::new(Some(1));
        let event = |e| Meaning::Event(e);
        assert_eq!(keys.read(b"ab\x01xc"), [bytes(b"ab"), event(ConsoleEvent::Quit), bytes(b"c")]);
        // The escape key and what follows may come apart.
        assert_eq!(keys.read(b"\x01"), []);
        assert_eq!(keys.read(b"c"), [event(ConsoleEvent::Monitor)]);
        assert_eq!(keys.read(b"a\x01\x01b\x01zc"), [bytes(b"a\x01bc")]);
        assert_eq!(keys.read(b"\x01b\x01s"), [event(ConsoleEvent::Break), event(ConsoleEvent::Sync)]);
        assert_eq!(keys.read(b"\x01h\x01?\x01t"), [Meaning::Help, Meaning::Help, Meaning::Stamps]);
        assert_eq!(Keys::new(None).read(b"\x01x"), [bytes(b"\x01x")]);
        let help = Keys::new(Some(1)).help();
        assert!(help.contains("C-a x    exit emulator\r\n") && help.contains("C-a C-a  sends it"), "{help}");
    }

    #[test]
    fn stamps() {
        assert_eq!(stamp(0), "[00:00:00.000] ");
        assert_eq!(stamp((3_600_000 * 11 + 60_000 * 22 + 33_444) * 1_000_000), "[11:22:33.444] ");
    }
}
