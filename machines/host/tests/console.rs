//! The console on a pseudo-terminal, in a process of its own; and waiting.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{Child, Command, Stdio};
use tern_host::console::{Console, ConsoleEvent, Options};
use tern_host::sys::termios::{self, Termios};
use tern_host::sys::wait::{PollFd, ppoll};
use tern_host::sys::{CWD, Errno, Fd, Time, file, host, ioctl, proc};
use tern_host::wait::{Interest, Poller};

/// Not a test of its own: a machine whose guest says what it gets, and obeys `q` (returns), `e` (exits), `p` (panics).
#[test]
#[ignore = "the child of other tests"]
fn guest() {
    if std::env::var_os("TERN_CONSOLE").is_none() {
        return;
    }
    let (mut sink, mut input) = Console::new(Options::default()).unwrap();
    let mut poller = Poller::new().unwrap();
    sink.write(b"ready\n");
    loop {
        if let Some(fd) = input.fd() {
            poller.watch(0, fd, Interest::READ);
        } else {
            poller.forget(0);
        }
        poller.wait(Some(if input.pending() { 1_000_000 } else { 10_000_000_000 })).unwrap();
        for event in input.poll() {
            sink.write(format!("<{event:?}>").as_bytes());
            match event {
                ConsoleEvent::Quit | ConsoleEvent::Closed | ConsoleEvent::Signal(_) => return,
                ConsoleEvent::Bytes(b) if b == b"q" => return,
                ConsoleEvent::Bytes(b) if b == b"e" => std::process::exit(7),
                ConsoleEvent::Bytes(b) if b == b"p" => panic!("as asked"),
                ConsoleEvent::Bytes(b) if b == b"L" => {
                    sink.write(&[b'.'; 300_000]);
                    sink.write(b"end of L");
                }
                ConsoleEvent::Bytes(b) if b == b"\n" => sink.write(b"one\ntwo\n"),
                _ => {}
            }
        }
    }
}

struct Terminal {
    main: File,
    before: Termios,
    child: Child,
    seen: String,
}

impl Terminal {
    fn start() -> Terminal {
        let main = file::openat(CWD, c"/dev/ptmx", host::O_RDWR | host::O_NOCTTY | host::O_CLOEXEC, 0).unwrap();
        let mut word = [0; 4];
        let number = |name: &str| ioctl::by_name(name).unwrap().number;
        ioctl::ioctl_buf(main, number("TIOCSPTLCK"), &mut word).unwrap();
        ioctl::ioctl_buf(main, number("TIOCGPTN"), &mut word).unwrap();
        // The kernel's number in the host's order; small, so that it is the one byte that is not zero, if any.
        let name = format!("/dev/pts/{}", word.iter().map(|b| u32::from(*b)).sum::<u32>());
        let tty = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let (input, output) = (tty(), tty());
        let before = termios::get(main).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "guest", "--ignored", "--nocapture"])
            .env("TERN_CONSOLE", "1")
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut terminal = Terminal { main: own(main), before, child, seen: String::new() };
        terminal.expect("ready\n");
        assert_eq!(terminal.now().lflag & 0o13, 0, "no echo, no lines, no signals");
        terminal
    }

    fn now(&self) -> Termios {
        termios::get(self.main.as_raw_fd()).unwrap()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.main.write_all(bytes).unwrap();
    }

    /// Reads until `text` comes; what came before it is returned.
    fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut fds = [PollFd { fd: self.main.as_raw_fd(), events: host::POLLIN, revents: 0 }];
            let some = ppoll(&mut fds, Some(Time { sec: 20, nsec: 0 }), None).unwrap() > 0;
            let mut buf = [0; 65536];
            let n = if some { self.main.read(&mut buf).unwrap_or(0) } else { 0 };
            assert!(n > 0, "no {text:?} in {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buf[..n]));
        }
    }

    /// Waits for the child's end and says whether the terminal is as before.
    fn end(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        assert_eq!(self.now(), self.before, "the terminal is not restored");
        code
    }
}

#[allow(unsafe_code, reason = "a number becomes its owner")]
fn own(fd: Fd) -> File {
    // SAFETY: just opened, owned by nobody else.
    unsafe { File::from_raw_fd(fd) }
}

#[test]
fn every_way_out_restores_the_terminal() {
    let mut t = Terminal::start();
    t.send(b"ab\x01");
    t.expect("<Bytes([97, 98])>");
    t.send(b"\x01\x03");
    t.expect("<Bytes([1, 3])>");
    t.send(b"\x01c\x01b\x01s");
    t.expect("<Monitor><Break><Sync>");
    t.send(b"\x01h");
    t.expect("C-a x    exit emulator\r\n");
    t.send(b"\x01x");
    t.expect("<Quit>");
    assert_eq!(t.end(), Some(0));
    for (key, code) in [(b"q", Some(0)), (b"e", Some(7)), (b"p", Some(101))] {
        let mut t = Terminal::start();
        t.send(key);
        assert_eq!(t.end(), code);
    }
    for signo in [host::SIGINT, host::SIGTERM, host::SIGHUP] {
        let mut t = Terminal::start();
        proc::kill(t.child.id() as i32, signo).unwrap();
        t.expect(&format!("<Signal({signo})>"));
        assert_eq!(t.end(), Some(0));
    }
}

#[test]
fn a_stop_lends_the_terminal_out() {
    let mut t = Terminal::start();
    let pid = t.child.id() as i32;
    proc::kill(pid, host::SIGTSTP).unwrap();
    let begin = tern_host::clock::monotonic_ns();
    let stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    };
    while !stopped() {
        assert!(tern_host::clock::monotonic_ns() - begin < 20_000_000_000, "it does not stop");
    }
    assert_eq!(t.now(), t.before, "a stopped machine keeps the terminal");
    proc::kill(pid, host::SIGCONT).unwrap();
    while t.now() == t.before {
        assert!(tern_host::clock::monotonic_ns() - begin < 20_000_000_000, "it does not take the terminal back");
    }
    t.send(b"k");
    t.expect("<Bytes([107])>");
    assert_eq!(t.now().lflag & 0o13, 0);
    t.send(b"q");
    assert_eq!(t.end(), Some(0));
}

#[test]
fn output_waits_for_a_slow_terminal() {
    let mut t = Terminal::start();
    t.send(b"L");
    // The guest went on: it answers before its output is read.
    let dots = t.expect("end of L");
    assert_eq!(dots.matches('.').count(), 300_000);
    t.send(b"\x01t\n");
    let lines = t.expect("two\n");
    let (one, two) = lines.split_once("one\n").unwrap();
    assert!(one.contains("[00:00:0") && two.starts_with("[00:00:0"), "{lines:?}");
    t.send(b"q");
    assert_eq!(t.end(), Some(0));
}

#[test]
fn pipes_are_consoles_too() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "guest", "--ignored", "--nocapture"])
        .env("TERN_CONSOLE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\x01c").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("ready\n<Bytes([104, 101, 108, 108, 111])><Monitor><Closed>"), "{text}");
}

#[test]
fn waiting() {
    let mut poller = Poller::new().unwrap();
    let (read, write) = file::pipe2(host::O_CLOEXEC | host::O_NONBLOCK).unwrap();
    poller.watch(5, read, Interest::READ);
    assert_eq!(poller.wait(Some(0)).unwrap().ready, []);
    let begin = tern_host::clock::monotonic_ns();
    assert_eq!(poller.wait(Some(3_000_000)).unwrap().ready, []);
    assert!(tern_host::clock::monotonic_ns() - begin >= 3_000_000);
    file::write(write, b"x").unwrap();
    poller.watch(6, write, Interest::BOTH);
    let ready = poller.wait(None).unwrap().ready;
    assert_eq!(
        ready.iter().map(|r| (r.token, r.read, r.write)).collect::<Vec<_>>(),
        [(5, true, false), (6, false, true)]
    );
    poller.forget(6);
    file::read(read, &mut [0; 8]).unwrap();
    let waker = poller.waker();
    #[allow(clippy::disallowed_methods, reason = "the test needs a second thread")]
    let other = std::thread::spawn(move || {
        for _ in 0..300 {
            waker.wake();
        }
    });
    let wake = poller.wait(None).unwrap();
    assert!(wake.woken && wake.ready.is_empty());
    other.join().unwrap();
    poller.wait(Some(0)).unwrap();
    assert!(!poller.wait(Some(0)).unwrap().woken, "a wake-up is taken once");
    file::close(write).unwrap();
    let ready = poller.wait(None).unwrap().ready;
    assert!(ready.len() == 1 && ready[0].closed);
    file::close(read).unwrap();
    assert!(poller.wait(None).unwrap().ready[0].closed, "a closed descriptor is no reason to hang");
    assert_eq!(file::fcntl(read, host::F_GETFD, 0), Err(Errno::EBADF));
}
