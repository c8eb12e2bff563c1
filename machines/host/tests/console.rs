//! The console on a pseudo-terminal, in a process of its own; and waiting.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use tern_host::chardev::{Source, Spec};
use tern_host::console::{Console, ConsoleEvent, Options};
use tern_host::sys::termios::{self, Termios};
use tern_host::sys::wait::{PollFd, ppoll};
use tern_host::sys::{Errno, Time, file, host, proc};
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
        let (main, number) = termios::open_pty().unwrap();
        let flags = file::fcntl(main.as_raw_fd(), host::F_GETFL, 0).unwrap();
        file::fcntl(main.as_raw_fd(), host::F_SETFL, flags & !host::O_NONBLOCK).unwrap();
        let name = format!("/dev/pts/{number}");
        let tty = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let (input, output) = (tty(), tty());
        let before = termios::get(main.as_raw_fd()).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "guest", "--ignored", "--nocapture"])
            .env("TERN_CONSOLE", "1")
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut terminal = Terminal { main, before, child, seen: String::new() };
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

fn next(source: &mut dyn Source) -> ConsoleEvent {
    let mut poller = Poller::new().unwrap();
    for _ in 0..1000 {
        if let Some(event) = source.poll().into_iter().next() {
            return event;
        }
        source.fds().into_iter().enumerate().for_each(|(n, fd)| poller.watch(n as u64, fd, Interest::READ));
        poller.wait(Some(10_000_000)).unwrap();
    }
    panic!("nothing comes");
}

fn read_exact(stream: &mut impl Read, want: &[u8]) {
    let mut buf = vec![0; want.len()];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(buf, want);
}

fn bytes(text: &[u8]) -> ConsoleEvent {
    ConsoleEvent::Bytes(text.to_vec())
}

#[test]
fn sockets_are_serial_lines() {
    let dir = common::Dir::new("chardev");
    let path = dir.0.join("socket");
    let spec = Spec::parse(&format!("unix:{},server=on,wait=off", path.display())).unwrap();
    let mut server = spec.open().unwrap();
    server.sink.write(b"nobody hears this");
    for round in 0..2 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"ping").unwrap();
        assert_eq!(next(&mut *server.source), bytes(b"ping"));
        server.sink.write(b"pong");
        read_exact(&mut client, b"pong");
        if round == 1 {
            // A client that does not read holds nobody up; what it was sent first it can read.
            server.sink.write(&vec![b'x'; 4 << 20]);
            assert!(server.source.again().is_some());
            let mut got = 0;
            while server.source.again().is_some() || got < 1 << 20 {
                got += client.read(&mut [0; 65536]).unwrap();
                server.source.poll();
            }
            assert_eq!(got, 1 << 20);
        }
        drop(client);
        server.source.poll();
    }
    // The other direction: we are the client.
    let other = Spec::parse(&format!("unix:{}", path.display())).unwrap().open().unwrap();
    let mut other_source = other.source;
    let mut other_sink = other.sink;
    other_sink.write(b"hello");
    assert_eq!(next(&mut *server.source), bytes(b"hello"));
    drop(server);
    assert_eq!(next(&mut *other_source), ConsoleEvent::Closed);
    assert_eq!((other_source.poll(), other_source.fds()), (vec![], vec![]));
    assert!(!path.exists());
    // TCP, on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Spec::parse(&format!("tcp:127.0.0.1:{port},server,nowait")).unwrap().open().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"ping").unwrap();
    assert_eq!(next(&mut *server.source), bytes(b"ping"));
    server.sink.write(b"pong");
    read_exact(&mut client, b"pong");
    let taken = Spec::parse(&format!("tcp:127.0.0.1:{port},server=on")).unwrap().open().err().unwrap().to_string();
    assert!(taken.contains(&format!("tcp:127.0.0.1:{port}: Address already in use")), "{taken}");
}

#[test]
fn files_and_pseudo_terminals_are_serial_lines() {
    let dir = common::Dir::new("chardev-file");
    let path = dir.0.join("log");
    for (text, want) in [("", "one"), (",append=on", "oneone"), ("", "one")] {
        let spec = Spec::parse(&format!("file:{}{text}", path.display())).unwrap();
        spec.open().unwrap().sink.write(b"one");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
    }
    let mut pty = Spec::Pty { path: None }.open().unwrap();
    let note = pty.note.unwrap();
    let name = note.strip_prefix("char device redirected to ").unwrap();
    for _ in 0..2 {
        let mut user = File::options().read(true).write(true).open(name).unwrap();
        user.write_all(b"l\x03s\r").unwrap();
        assert_eq!(next(&mut *pty.source), bytes(b"l\x03s\r"));
        pty.sink.write(b"a\nb");
        read_exact(&mut user, b"a\nb");
        drop(user);
        // Nobody has it open, but somebody may again.
        assert_eq!(pty.source.poll(), []);
        assert_eq!((pty.source.fds(), pty.source.again()), (vec![], Some(250_000_000)));
        pty.sink.write(b"nobody hears this");
    }
}
