//! Asking the `gdbstub` crate: a new stub for each packet, told first what it should know.

use super::super::{Subject, Thread, Why};
use super::frame::{self, PACKET};
use super::target::{Target, Texts, tid};
use super::{Running, Server, signals, xml};
use core::convert::Infallible;
use gdbstub::common::Signal;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine as Machine;
use gdbstub::stub::{GdbStubBuilder, MultiThreadStopReason as Reason};
use gdbstub::target::ext::base::reverse_exec::ReplayLogPosition;
use gdbstub::target::ext::breakpoints::WatchKind;

/// Room for a packet's frame.
const ROOM: usize = PACKET + 16;

/// What the stub sends.
#[derive(Default)]
struct Collected(Vec<u8>);

impl Connection for Collected {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.0.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type Stub<'b, 's> = Machine<'b, Target<'s>, Collected>;

/// The stub did not like a packet.
pub(super) struct Refused;

/// Lets a stub look at a packet.
fn tell<'b, 's>(mut stub: Stub<'b, 's>, target: &mut Target<'s>, text: &[u8]) -> Result<Stub<'b, 's>, Refused> {
    let sum = text.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    let end = format!("#{sum:02x}");
    for &byte in b"$".iter().chain(text).chain(end.as_bytes()) {
        stub = match stub {
            Machine::Idle(stub) => stub.incoming_data(target, byte),
            Machine::Running(stub) => stub.incoming_data(target, byte),
            Machine::CtrlCInterrupt(_) | Machine::Disconnected(_) => return Err(Refused),
        }
        .map_err(|_| Refused)?;
    }
    Ok(stub)
}

/// What the stub has sent since it was asked last.
fn sent(stub: &mut Stub<'_, '_>) -> Vec<u8> {
    let conn = match stub {
        Machine::Idle(stub) => stub.borrow_conn(),
        Machine::Running(stub) => stub.borrow_conn(),
        Machine::CtrlCInterrupt(stub) => stub.borrow_conn(),
        Machine::Disconnected(stub) => stub.borrow_conn(),
    };
    core::mem::take(&mut conn.0)
}

/// The texts of the packets in what a stub has sent.
fn texts(sent: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    let mut rest = sent;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        let body = &rest[at + 1..];
        let end = body.iter().position(|b| *b == b'#').unwrap_or(body.len());
        texts.push(body[..end].to_vec());
        rest = &body[end..];
    }
    texts
}

impl Server {
    /// A stub that knows what this session has agreed on, and its target, together for as long as `ask` takes.
    fn with_stub<T>(
        &mut self,
        subject: &mut dyn Subject,
        made: Texts,
        ask: impl for<'b, 's> FnOnce(Stub<'b, 's>, &mut Target<'s>) -> Result<T, Refused>,
    ) -> Result<(T, Running), Refused> {
        let mut buffer = vec![0; ROOM];
        let mut hello: Vec<Vec<u8>> = vec![b"QStartNoAckMode".to_vec()];
        if self.multi {
            hello.push(b"qSupported:multiprocess+".to_vec());
        }
        hello.push(format!("Hg{:x}", self.general.1).into_bytes());
        hello.push(format!("Hc{:x}", self.resumes.unwrap_or(self.general.1)).into_bytes());
        let mut target = Target {
            subject,
            registers: self.registers.as_ref(),
            points: &mut self.points,
            running: Running::default(),
            texts: made,
        };
        let stub = GdbStubBuilder::new(Collected::default()).with_packet_buffer(&mut buffer).build();
        let mut stub = stub.map_err(|_| Refused)?.run_state_machine(&mut target).map_err(|_| Refused)?;
        for text in hello {
            stub = tell(stub, &mut target, &text)?;
        }
        sent(&mut stub);
        let answer = ask(stub, &mut target)?;
        Ok((answer, target.running))
    }

    /// The stub's answers to a packet, and how the subject is to go on if it is.
    pub(super) fn ask(&mut self, subject: &mut dyn Subject, text: &[u8]) -> Result<(Vec<Vec<u8>>, Running), Refused> {
        let made = made(subject, text);
        self.with_stub(subject, made, |stub, target| {
            let mut stub = tell(stub, target, text)?;
            Ok(texts(&sent(&mut stub)))
        })
    }

    /// The packet that tells the peer why the subject has stopped.
    pub(super) fn stop_text(&mut self, subject: &mut dyn Subject, why: &Why) -> Vec<u8> {
        let name = |thread: Thread| self.name(subject.process(), thread);
        let own = match why {
            Why::Forked { thread, child, vfork } => {
                let what = if *vfork { "vfork" } else { "fork" };
                Some(format!("T05{what}:{};thread:{};", self.name(*child, *child), name(*thread)))
            }
            Why::VforkDone(thread) => Some(format!("T05vforkdone:;thread:{};", name(*thread))),
            Why::Executed(thread, path) => Some(format!("T05exec:{};thread:{};", frame::hex(path), name(*thread))),
            _ => None,
        };
        if let Some(text) = own {
            return text.into_bytes();
        }
        let reason = self.reason(subject, why);
        let told = self.with_stub(subject, Texts::default(), |stub, target| {
            let Machine::Running(stub) = tell(stub, target, b"vCont;c")? else { return Err(Refused) };
            let mut stub = stub.report_stop(target, reason).map_err(|_| Refused)?;
            Ok(texts(&sent(&mut stub)))
        });
        match told {
            Ok((mut texts, _)) if !texts.is_empty() => texts.remove(0),
            _ => b"S05".to_vec(),
        }
    }

    fn reason(&self, subject: &dyn Subject, why: &Why) -> Reason<u64> {
        let trap = |thread| Reason::SignalWithThread { tid: tid(thread), signal: Signal::SIGTRAP };
        match why {
            Why::Breakpoint(thread) if self.kinds => {
                let pc = subject.state(*thread).map_or(0, tern_core::state::State::pc);
                if self.points.has_break(0, pc) { Reason::SwBreak(tid(*thread)) } else { Reason::HwBreak(tid(*thread)) }
            }
            Why::Watch(thread, touched) => {
                let kind = match self.points.watch(touched.addr, touched.write) {
                    Some(3) => WatchKind::Read,
                    Some(4) => WatchKind::ReadWrite,
                    _ => WatchKind::Write,
                };
                Reason::Watch { tid: tid(*thread), kind, addr: touched.addr }
            }
            Why::Signal(thread, signo) => {
                Reason::SignalWithThread { tid: tid(*thread), signal: Signal(signals::to_gdb(*signo)) }
            }
            Why::Interrupted => Reason::SignalWithThread { tid: tid(subject.current()), signal: Signal::SIGINT },
            Why::Exited(status) => Reason::Exited(*status),
            Why::Killed(signo) => Reason::Terminated(Signal(signals::to_gdb(*signo))),
            Why::Begin | Why::End if subject.reverses() => {
                let pos = if *why == Why::Begin { ReplayLogPosition::Begin } else { ReplayLogPosition::End };
                Reason::ReplayLog { tid: Some(tid(subject.current())), pos }
            }
            Why::Breakpoint(thread) | Why::Step(thread) => trap(*thread),
            _ => trap(subject.current()),
        }
    }

    /// A thread's name as the peer knows it.
    pub(super) fn name(&self, process: u64, thread: Thread) -> String {
        if self.multi { format!("p{process:x}.{thread:x}") } else { format!("{thread:x}") }
    }
}

/// The texts that a packet may read pieces of.
fn made(subject: &mut dyn Subject, text: &[u8]) -> Texts {
    let is = |name: &[u8]| text.starts_with(name);
    let features = is(b"qSupported");
    let mut made = Texts::default();
    if features || is(b"qXfer:auxv") {
        made.auxv = subject.auxv();
    }
    if features || is(b"qXfer:exec-file") {
        made.exec_file = subject.exec_file();
    }
    if is(b"qOffsets") {
        made.offset = subject.offset();
    }
    if is(b"qXfer:libraries-svr4") {
        made.libraries = Some(xml::libraries(&subject.libraries().unwrap_or_default()));
    } else if features && subject.auxv().is_some() {
        made.libraries = Some(Vec::new());
    }
    made
}
