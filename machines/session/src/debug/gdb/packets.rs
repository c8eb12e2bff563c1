//! Packets that are not left to the `gdbstub` crate, and what becomes of those that are.

use super::super::{Events, Part, Resume, Subject, Why};
use super::frame::{self, PACKET, number};
use super::{Name, Phase, Server, Wish, signals, xml};
use tern_core::state::Slot;

/// Most bytes that one packet reads from memory: they are twice as many digits.
const MOST_READ: u64 = PACKET as u64 / 2 - 16;

/// What is to be done about a packet.
enum Answer {
    /// This is sent.
    Text(Vec<u8>),
    /// Nothing is, for now.
    Later,
    /// The stub is asked, about this packet.
    Ask(Vec<u8>),
}

fn text(text: impl Into<Vec<u8>>) -> Answer {
    Answer::Text(text.into())
}

fn ok() -> Answer {
    text("OK")
}

/// A thread's name: `p1.2`, `p1`, `2`, `-1`.
fn name(text: &[u8]) -> Option<Name> {
    let one = |text: &[u8]| if text == b"-1" { Some(u64::MAX) } else { number(text) };
    let Some(text) = text.strip_prefix(b"p") else { return Some((None, one(text)?)) };
    match text.iter().position(|b| *b == b'.') {
        Some(dot) => Some((Some(one(&text[..dot])?), one(&text[dot + 1..])?)),
        None => Some((Some(one(text)?), u64::MAX)),
    }
}

impl Server {
    /// Deals with a packet.
    pub(super) fn packet(&mut self, subject: &mut dyn Subject, packet: &[u8]) {
        if self.phase == Phase::Over && !matches!(packet, b"?" | b"D" | b"k" | b"!" | b"QStartNoAckMode") {
            // There is nobody left to ask about.
            let known = packet.starts_with(b"q") || packet.starts_with(b"Q") || packet.starts_with(b"v");
            self.framer.send(if known { b"" } else { b"E03" });
            return;
        }
        match self.own(subject, packet) {
            Answer::Text(text) => self.framer.send(&text),
            Answer::Later => {}
            Answer::Ask(packet) => self.forward(subject, &packet),
        }
        if packet == b"QStartNoAckMode" {
            self.framer.acks = false;
        }
    }

    fn own(&mut self, subject: &mut dyn Subject, packet: &[u8]) -> Answer {
        let rest = |n: usize| packet.get(n..).unwrap_or_default();
        match packet {
            b"?" => {
                if self.last.is_empty() {
                    let why = Why::Step(subject.current());
                    self.last = self.stop_text(subject, &why);
                }
                text(self.last.clone())
            }
            b"QStartNoAckMode" => ok(),
            [b'H', ..] => self.choose(subject, rest(1)),
            [b'T', ..] => self.alive(subject, rest(1)),
            [b'm', ..] => bounded(packet),
            [b'x', ..] => self.binary(subject, rest(1)),
            [b'c' | b's' | b'C' | b'S', ..] => self.plain(subject, packet),
            [b'D', ..] => self.detach(subject, rest(1)),
            b"k" => self.wish(Wish::Kill),
            [b'!' | b'R', ..] => text(if packet == b"!" { "OK" } else { "" }),
            [b'z' | b'Z', ..] if !is_point(rest(1)) => text("E16"),
            [b'z' | b'Z', ..] if self.child == Some(self.general.0) => ok(),
            [b'v' | b'q' | b'Q' | b'b', ..] => self.worded(subject, packet),
            [b'g' | b'G' | b'p' | b'P' | b'M' | b'X' | b'z' | b'Z', ..] => Answer::Ask(packet.to_vec()),
            _ => text(""),
        }
    }

    fn worded(&mut self, subject: &mut dyn Subject, packet: &[u8]) -> Answer {
        let after = |name: &str| packet.strip_prefix(name.as_bytes());
        if let Some(features) = after("qSupported") {
            self.agree(features);
            // The one that the stub asks for; it does not like all that peers say.
            let sign = if self.multi { '+' } else { '-' };
            return Answer::Ask(format!("qSupported:multiprocess{sign}").into_bytes());
        } else if after("qC").is_some_and(<[u8]>::is_empty) {
            return text(format!("QC{}", self.name(self.general.0, self.general.1)));
        } else if let Some(range) = after("qXfer:threads:read::") {
            let list = xml::threads(self, subject);
            return piece(&list, range);
        } else if let Some(range) = after("qXfer:siginfo:read::") {
            return subject.siginfo(self.general.1).map_or_else(|| text("E01"), |info| piece(&info, range));
        } else if let Some(list) = after("QPassSignals:") {
            self.pass = list.split(|b| *b == b';').filter_map(number).fold(0, |set, n| {
                let signo = u8::try_from(n).ok().and_then(signals::from_gdb);
                set | signo.map_or(0, |signo| 1 << (signo - 1))
            });
            return ok();
        } else if let Some(mode) = after("QNonStop:") {
            return text(if mode == b"0" { "OK" } else { "E16" });
        } else if let Some(pid) = after("vKill;") {
            return if number(pid) == Some(subject.process()) {
                self.framer.send(b"OK");
                self.wish(Wish::Kill)
            } else {
                text("E03")
            };
        } else if ["vRun", "vAttach", "vFlash", "QEnvironment", "QDisableRandomization"]
            .iter()
            .any(|n| after(n).is_some())
            || after("QSetWorkingDir").is_some()
            || after("QStartupWithShell").is_some()
        {
            // One subject is debugged, which is there already.
            return text("");
        } else if matches!(packet, b"bs" | b"bc") && !subject.reverses() {
            return text("");
        }
        Answer::Ask(packet.to_vec())
    }

    /// Notes what the peer can do.
    fn agree(&mut self, features: &[u8]) {
        let has = |name: &str| features.split(|b| matches!(b, b';' | b':')).any(|f| f == name.as_bytes());
        self.multi = has("multiprocess+");
        self.kinds = has("swbreak+") && has("hwbreak+");
        self.events = Events {
            fork: self.multi && has("fork-events+"),
            vfork: self.multi && has("vfork-events+"),
            exec: has("exec-events+"),
        };
    }

    fn wish(&mut self, wish: Wish) -> Answer {
        self.wish = Some(wish);
        self.phase = Phase::Over;
        Answer::Later
    }

    /// `H`: the thread that other packets mean.
    fn choose(&mut self, subject: &mut dyn Subject, rest: &[u8]) -> Answer {
        let Some((op, Some((pid, thread)))) = rest.split_first().map(|(op, rest)| (*op, name(rest))) else {
            return text("E16");
        };
        if op == b'c' {
            self.resumes = (thread != u64::MAX && thread != 0).then_some(thread);
            return ok();
        }
        let pid = pid.filter(|pid| *pid != 0 && *pid != u64::MAX).unwrap_or(subject.process());
        if op != b'g' || (pid != subject.process() && self.child != Some(pid)) {
            return text("E03");
        }
        if self.child == Some(pid) {
            // It is what its parent is, as far as it has got.
            self.general = (pid, self.general.1);
            return ok();
        }
        let thread = if thread == 0 || thread == u64::MAX { subject.current() } else { thread };
        if !subject.threads().contains(&thread) {
            return text("E03");
        }
        self.general = (pid, thread);
        ok()
    }

    /// `T`: does a thread live?
    fn alive(&self, subject: &dyn Subject, rest: &[u8]) -> Answer {
        let alive = name(rest).is_some_and(|(pid, thread)| {
            let pid = pid.unwrap_or(subject.process());
            self.child == Some(pid) || (pid == subject.process() && subject.threads().contains(&thread))
        });
        text(if alive { "OK" } else { "E03" })
    }

    /// `x`: memory as binary data.
    fn binary(&mut self, subject: &mut dyn Subject, rest: &[u8]) -> Answer {
        let Some((addr, len)) = pair(rest) else { return text("E16") };
        let mut bytes = vec![0; len.min(MOST_READ) as usize];
        let n = subject.read(self.general.1, addr, &mut bytes);
        if n == 0 && len > 0 {
            return text("E0e");
        }
        let mut out = vec![b'b'];
        frame::escape(&bytes[..n], &mut out);
        Answer::Text(out)
    }

    /// `c`, `s`, `C` and `S` are `vCont` for one thread, and all others go on.
    fn plain(&mut self, subject: &mut dyn Subject, packet: &[u8]) -> Answer {
        let thread = self.resumes.unwrap_or_else(|| subject.current());
        let (op, rest) = (packet[0] as char, &packet[1..]);
        let (signal, addr) = match op {
            'C' | 'S' => match rest.iter().position(|b| *b == b';') {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            },
            _ => (&[][..], (!rest.is_empty()).then_some(rest)),
        };
        let signal = if signal.is_empty() { Some(0) } else { number(signal).filter(|n| *n < 256) };
        let addr = addr.map(number);
        let (Some(signal), None | Some(Some(_))) = (signal, addr) else { return text("E16") };
        if let Some(Some(addr)) = addr {
            subject.set_slot(thread, Slot::PC, addr);
        }
        let signal = if op.is_uppercase() { format!("{signal:02x}") } else { String::new() };
        Answer::Ask(format!("vCont;{op}{signal}:{thread:x};c").into_bytes())
    }

    /// `D`: a process goes on without the debugger.
    fn detach(&mut self, subject: &mut dyn Subject, rest: &[u8]) -> Answer {
        let own = subject.process();
        let pid = match rest.strip_prefix(b";") {
            Some(pid) => number(pid),
            None => rest.is_empty().then_some(own),
        };
        match pid {
            Some(pid) if self.child == Some(pid) => {
                self.child = None;
                text(if subject.part(pid, Part::KeepParent) { "OK" } else { "E03" })
            }
            Some(pid) if pid == own => {
                self.framer.send(b"OK");
                let wish = self.child.take().map_or(Wish::Detach, Wish::HandOver);
                self.wish(wish)
            }
            _ => text("E03"),
        }
    }

    /// Lets the stub answer.
    fn forward(&mut self, subject: &mut dyn Subject, packet: &[u8]) {
        let Ok((texts, running)) = self.ask(subject, packet) else {
            // It takes what it does not understand for the end of the session; it is the end of the packet.
            self.framer.send(b"E16");
            return;
        };
        if running.go {
            return self.go(subject, running);
        }
        for mut text in texts {
            if packet.starts_with(b"qSupported") {
                text = self.supported(subject, &text);
            }
            self.framer.send(&text);
        }
    }

    /// The features, with those that are not the stub's.
    fn supported(&self, subject: &dyn Subject, text: &[u8]) -> Vec<u8> {
        let stub = String::from_utf8_lossy(text);
        let rest = stub.split_once(';').map_or("", |(_, rest)| rest);
        let events = if subject.tells_events() { ";exec-events+;QPassSignals+;qXfer:siginfo:read+" } else { "" };
        format!("PacketSize={PACKET:x};{rest};qXfer:threads:read+{events}").into_bytes()
    }

    fn go(&mut self, subject: &mut dyn Subject, running: super::Running) {
        if let Some(child) = self.child.take() {
            subject.part(child, Part::KeepParent);
            self.tell("tern: only one of parent and child is debugged; the child goes its own way");
        }
        self.phase = Phase::Running;
        self.resumed = None;
        self.range = running.range;
        let only = running.named.first().copied().filter(|_| running.locked && running.named.len() == 1);
        self.wish = Some(match (running.back, running.step) {
            (true, Some(thread)) => Wish::ReverseStep(thread),
            (true, None) => Wish::ReverseContinue,
            (false, step) => {
                let resume = Resume { step, only, signals: running.signals, ..self.resume() };
                self.resumed = Some(Resume { signals: Vec::new(), ..resume.clone() });
                Wish::Resume(resume)
            }
        });
    }
}

/// Three numbers of a breakpoint, and what may follow them.
fn is_point(text: &[u8]) -> bool {
    let fields = text.split(|b| *b == b';').next().unwrap_or_default();
    let mut fields = fields.split(|b| *b == b',').map(number);
    let three = [fields.next(), fields.next(), fields.next()];
    three.iter().all(|f| matches!(f, Some(Some(_)))) && fields.next().is_none()
}

/// Two numbers with a comma between them.
fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let comma = text.iter().position(|b| *b == b',')?;
    Some((number(&text[..comma])?, number(&text[comma + 1..])?))
}

/// `m`, with a length that an answer has room for: less than what was asked for may be sent.
fn bounded(packet: &[u8]) -> Answer {
    match pair(&packet[1..]) {
        Some((addr, len)) => {
            let len = len.min(MOST_READ).min((u64::MAX - addr).saturating_add(1));
            Answer::Ask(format!("m{addr:x},{len:x}").into_bytes())
        }
        None => text("E16"),
    }
}

/// The piece of a list that `qXfer` asks for.
fn piece(list: &[u8], range: &[u8]) -> Answer {
    let Some((offset, len)) = pair(range) else { return text("E16") };
    let rest = usize::try_from(offset).ok().and_then(|at| list.get(at..)).unwrap_or_default();
    let n = rest.len().min(len.min(MOST_READ) as usize);
    let mut out = vec![if n < rest.len() { b'm' } else { b'l' }];
    frame::escape(&rest[..n], &mut out);
    Answer::Text(out)
}
