//! The protocol, spoken without gdb: packets in, packets out.

use super::super::{Events, FileStat, Files, Library, Part, Resume, Subject, Thread, Why};
use super::frame::PACKET;
use super::*;
use tern_core::frontend::Frontend;
use tern_core::state::{Role, Slot, State};
use tern_core::stops::{Stops, Touched};

/// Where the fake's memory is.
const MEMORY: u64 = 0x8000_0000;

/// A process of two threads that does nothing but answer.
struct Fake {
    cpu: crate::isa::Cpu,
    states: Vec<State>,
    memory: Vec<u8>,
    parted: Vec<(u64, Part)>,
    killed: bool,
    reverses: bool,
    process: bool,
}

impl Fake {
    fn new() -> Fake {
        let cpu = crate::isa::by_name("riscv64").expect("the tests are for it").cpu(None).expect("a model");
        let states = vec![State::new(cpu.frontend.layout()); 2];
        let memory = (0..0x4000u32).map(|n| n as u8).collect();
        Fake { cpu, states, memory, parted: Vec::new(), killed: false, reverses: false, process: true }
    }

    fn range(&self, addr: u64, len: usize) -> Range<usize> {
        let at = addr.checked_sub(MEMORY).map_or(self.memory.len(), |n| n.min(self.memory.len() as u64) as usize);
        at..self.memory.len().min(at.saturating_add(len))
    }
}

impl Subject for Fake {
    fn isa(&self) -> &str {
        "riscv64"
    }
    fn frontend(&self) -> &dyn Frontend {
        &*self.cpu.frontend
    }
    fn process(&self) -> u64 {
        0x12
    }
    fn threads(&self) -> Vec<Thread> {
        vec![0x12, 0x40_0012]
    }
    fn describe(&self, thread: Thread) -> String {
        format!("<{thread}>")
    }
    fn current(&self) -> Thread {
        0x12
    }
    fn state(&self, thread: Thread) -> Option<&State> {
        self.threads().iter().position(|t| *t == thread).map(|n| &self.states[n])
    }
    fn set_slot(&mut self, thread: Thread, slot: Slot, value: u64) -> bool {
        let n = self.threads().iter().position(|t| *t == thread);
        n.map(|n| self.states[n].set(slot, value)).is_some()
    }
    fn control(&mut self, _: Thread, number: u32, write: Option<u64>) -> Option<u64> {
        (number != 0xc00 || write.is_none()).then_some(0x1000 + u64::from(number))
    }
    fn read(&mut self, _: Thread, addr: u64, buf: &mut [u8]) -> usize {
        let range = self.range(addr, buf.len());
        buf[..range.len()].copy_from_slice(&self.memory[range.clone()]);
        range.len()
    }
    fn write(&mut self, _: Thread, addr: u64, bytes: &[u8]) -> usize {
        let range = self.range(addr, bytes.len());
        self.memory[range.clone()].copy_from_slice(&bytes[..range.len()]);
        range.len()
    }
    fn position(&self) -> u64 {
        4711
    }
    fn run(&mut self, _: &Stops, _: &Resume, _: &mut dyn FnMut() -> bool) -> Why {
        Why::Exited(3)
    }
    fn reverses(&self) -> bool {
        self.reverses
    }
    fn auxv(&self) -> Option<Vec<u8>> {
        self.process.then(|| b"auxv}#$*".to_vec())
    }
    fn exec_file(&self) -> Option<Vec<u8>> {
        self.process.then(|| b"/bin/true".to_vec())
    }
    fn offset(&mut self) -> Option<u64> {
        self.process.then_some(0x4000)
    }
    fn libraries(&mut self) -> Option<Vec<Library>> {
        let one = |name: &[u8], map| Library { name: name.to_vec(), map, offset: 0x1000, dynamic: 0x2000 };
        Some(vec![one(b"", 0x10), one(b"/lib/a&b.so", 0x20)])
    }
    fn siginfo(&self, thread: Thread) -> Option<Vec<u8>> {
        (thread == 0x12).then(|| vec![10; 4])
    }
    fn files(&mut self) -> Option<&mut dyn Files> {
        if self.process { Some(self) } else { None }
    }
    fn tells_events(&self) -> bool {
        self.process
    }
    fn part(&mut self, child: u64, part: Part) -> bool {
        self.parted.push((child, part));
        child == 0x99
    }
    fn kill(&mut self) {
        self.killed = true;
    }
}

impl Files for Fake {
    fn open(&mut self, path: &[u8]) -> Result<u32, i32> {
        if path == b"/etc/x" { Ok(7) } else { Err(2) }
    }
    fn close(&mut self, fd: u32) -> Result<(), i32> {
        if fd == 7 { Ok(()) } else { Err(9) }
    }
    fn pread(&mut self, _: u32, offset: u64, buf: &mut [u8]) -> Result<usize, i32> {
        let text = b"abc#d";
        let n = text.len().saturating_sub(offset as usize).min(buf.len());
        buf[..n].copy_from_slice(&text[text.len() - n..]);
        Ok(n)
    }
    fn fstat(&mut self, _: u32) -> Result<FileStat, i32> {
        Ok(FileStat { size: 5, mode: 0o100_644, ..FileStat::default() })
    }
    fn readlink(&mut self, _: &[u8]) -> Result<Vec<u8>, i32> {
        Err(22)
    }
}

/// A session in which packets are not acknowledged.
struct Talk {
    server: Server,
    fake: Fake,
}

impl Talk {
    fn with(fake: Fake, features: &str) -> Talk {
        let server = Server::new(&fake);
        let mut talk = Talk { server, fake };
        assert_eq!(talk.raw(&framed("QStartNoAckMode")), b"+$OK#9a");
        talk.say(&format!("qSupported:{features}"));
        talk
    }

    fn new() -> Talk {
        Talk::with(Fake::new(), "multiprocess+;swbreak+;hwbreak+;fork-events+;vfork-events+;exec-events+")
    }

    fn raw(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.server.feed(&mut self.fake, bytes);
        self.server.take_output()
    }

    /// The texts of the answers to a packet, with spaces between them.
    fn say(&mut self, packet: &str) -> String {
        let answer = self.raw(&framed(packet));
        bodies(&answer)
    }

    fn stopped(&mut self, why: &Why) -> String {
        self.server.take_wish();
        self.server.stopped(&mut self.fake, why);
        bodies(&self.server.take_output())
    }
}

fn framed(packet: &str) -> Vec<u8> {
    let sum = packet.bytes().fold(0u8, u8::wrapping_add);
    format!("${packet}#{sum:02x}").into_bytes()
}

fn bodies(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let bodies = text.split('$').skip(1).map(|p| p.rsplit_once('#').map_or("unframed", |(body, _)| body));
    bodies.collect::<Vec<_>>().join(" ")
}

#[test]
fn features_are_what_the_subject_has() {
    let mut talk = Talk::new();
    let features = talk.say("qSupported:multiprocess+;swbreak+;hwbreak+;fork-events+;vfork-events+;exec-events+");
    for one in [
        "PacketSize=4000",
        "multiprocess+",
        "swbreak+",
        "hwbreak+",
        "fork-events+",
        "vfork-events+",
        "exec-events+",
        "QPassSignals+",
        "QStartNoAckMode+",
        "qXfer:features:read+",
        "qXfer:threads:read+",
        "qXfer:auxv:read+",
        "qXfer:exec-file:read+",
        "qXfer:libraries-svr4:read+",
        "vContSupported+",
    ] {
        assert!(features.split(';').any(|f| f == one), "{one} is not in {features}");
    }
    assert!(!features.contains("Reverse"));
    let mut fake = Fake::new();
    (fake.process, fake.reverses) = (false, true);
    let mut talk = Talk::with(fake, "");
    let features = talk.say("qSupported:");
    assert!(features.contains("ReverseStep+") && features.contains("ReverseContinue+"));
    assert!(!features.contains("fork-events") && !features.contains("auxv"), "{features}");
    assert_eq!(talk.say("vFile:open:2f,0,0"), "", "there are no files");
}

#[test]
fn registers_are_read_and_written() {
    let mut talk = Talk::new();
    let layout = talk.fake.cpu.frontend.layout().clone();
    let slot = |role| layout.by_role(role).map(|row| row.slot).expect("a register");
    talk.fake.states[0].set_pc(0x1122_3344_5566_7788);
    talk.fake.states[1].set(slot(Role::Gpr(10)), 0x42);
    assert_eq!(talk.say("p20"), "8877665544332211");
    assert_eq!(talk.say("Hgp12.400012"), "OK");
    assert_eq!(talk.say("pa"), "4200000000000000");
    assert_eq!(talk.say("Pb=0100000000000080"), "OK");
    assert_eq!(talk.fake.states[1].get(slot(Role::Gpr(11))), 0x8000_0000_0000_0001);
    assert_eq!(talk.say("P0=0100000000000080"), "OK", "zero may be written to");
    assert_eq!((talk.say("p0"), talk.say("p1")), ("0000000000000000".to_owned(), "0000000000000000".to_owned()));
    // fcsr: 65 + 3.
    assert_eq!(talk.say("p44"), "0310000000000000");
    for bad in ["pffff", "P1=00", "Pffff=00", "P1", "p", "pxyz", "P1=00000000000000000000", "Pc41=0000000000000000"] {
        assert!(talk.say(bad).starts_with('E'), "{bad}");
    }
    let all = talk.say("g");
    assert_eq!(all.len(), 16 * (32 + 1 + 32), "general registers, pc, floating-point registers");
    assert_eq!(&all[16 * 11..16 * 12], "0100000000000080");
    let mut changed = all.clone();
    changed.replace_range(16 * 32..16 * 33, "0010000000000000");
    assert_eq!(talk.say(&format!("G{changed}")), "OK");
    assert_eq!(talk.fake.states[1].pc(), 0x1000);
    assert!(talk.say("G00").starts_with('E') && talk.say("Gzz").starts_with('E'));
}

#[test]
fn the_description_names_what_gdb_wants() {
    let mut talk = Talk::new();
    let mut xml = String::new();
    loop {
        let piece = talk.say(&format!("qXfer:features:read:target.xml:{:x},7fb", xml.len()));
        xml += piece.get(1..).expect("l or m, and a piece");
        if piece == "l" {
            break;
        }
    }
    for one in [
        "<architecture>riscv:rv64</architecture>",
        "org.gnu.gdb.riscv.cpu",
        "org.gnu.gdb.riscv.fpu",
        "org.gnu.gdb.riscv.csr",
        "<reg name=\"zero\" bitsize=\"64\" regnum=\"0\" type=\"int\"/>",
        "<reg name=\"sp\" bitsize=\"64\" regnum=\"2\" type=\"data_ptr\"/>",
        "<reg name=\"pc\" bitsize=\"64\" regnum=\"32\" type=\"code_ptr\"/>",
        "<reg name=\"fa0\" bitsize=\"64\" regnum=\"43\" type=\"ieee_double\"/>",
        "<reg name=\"fcsr\" bitsize=\"64\" regnum=\"68\" type=\"int\"/>",
    ] {
        assert!(xml.contains(one), "{one} is not in\n{xml}");
    }
    assert!(!xml.contains("satp"), "programs have none");
    assert!(talk.say("qXfer:features:read:other.xml:0,100").starts_with('E'));
}

#[test]
fn machines_describe_their_control_registers() {
    let cpu = crate::isa::by_name("riscv64").expect("the tests are for it").machine(None).expect("a model");
    let registers = Registers::new("riscv64", &*cpu.frontend).expect("it has names");
    for (name, number) in [("satp", 0x180), ("sepc", 0x141), ("sstatus", 0x100), ("mip", 0x344), ("mhartid", 0xf14)] {
        let one = format!("<reg name=\"{name}\" bitsize=\"64\" regnum=\"{}\" type=\"int\"/>", 65 + number);
        assert!(registers.xml.contains(&one), "{one}");
    }
    assert!(registers.xml.contains("<reg name=\"priv\" bitsize=\"32\" regnum=\"4161\""));
}

#[test]
fn memory_is_bounded_by_what_there_is() {
    let mut talk = Talk::new();
    assert_eq!(talk.say("m80000010,4"), "10111213");
    assert_eq!(talk.say("m80003ffe,8"), "feff", "as much as there is");
    assert!(talk.say("m0,4").starts_with('E'));
    assert!(talk.say("m80000000,ffffffffffffffff").len() <= PACKET);
    assert!(talk.say("mffffffffffffffff,ffffffffffffffff").starts_with('E'));
    assert_eq!(talk.say("M80000010,2:aabb"), "OK");
    assert_eq!(talk.say("m80000010,4"), "aabb1213");
    assert_eq!(talk.raw(&framed("X80000010,2:\x03}\x03")), framed("OK"));
    assert_eq!(talk.say("m80000010,3"), "032312");
    assert!(talk.say("M0,2:aabb").starts_with('E') && talk.say("M80003fff,2:aabb").starts_with('E'));
    assert_eq!(talk.say("x80000022,2"), "b\"}\u{3}");
    for bad in ["m", "m1", "m,", "m1,", "mx,1", "M1,1", "M80000000,4:00", "X", "x", "x1", "xg,1", "m80000000,1,2"] {
        let answer = talk.say(bad);
        assert!(answer.starts_with('E') || answer.is_empty() || bad == "M80000000,4:00", "{bad}: {answer}");
    }
}

#[test]
fn threads_have_names_and_states() {
    let mut talk = Talk::new();
    assert_eq!((talk.say("qfThreadInfo"), talk.say("qsThreadInfo")), ("mp12.12,p12.400012".to_owned(), "l".to_owned()));
    assert_eq!(talk.say("qThreadExtraInfo,p12.12"), frame::hex(b"<18>"));
    assert_eq!(
        (talk.say("Tp12.400012"), talk.say("Tp12.5"), talk.say("Tp13.12")),
        ("OK".into(), "E03".into(), "E03".into())
    );
    assert!(talk.say("qXfer:threads:read::0,fff").contains("<thread id=\"p12.400012\">&lt;4194322&gt;</thread>"));
    assert_eq!((talk.say("Hgp12.5"), talk.say("Hgp13.12"), talk.say("Hg0"), talk.say("Hc-1")), {
        ("E03".into(), "E03".into(), "OK".into(), "OK".into())
    });
    assert_eq!(talk.say("qC"), "QCp12.12");
    for bad in ["H", "Hx1", "Hg", "Hgp", "Hgp.", "T", "Tp1.2.3"] {
        assert!(talk.say(bad).starts_with('E'), "{bad}");
    }
}

#[test]
fn stops_go_to_the_subject_and_their_reasons_come_back() {
    let mut talk = Talk::new();
    for packet in ["Z0,80000000,4", "Z1,80000004,4", "Z2,90000000,8", "Z3,90000010,1", "Z4,90000020,2"] {
        assert_eq!(talk.say(packet), "OK");
    }
    assert_eq!(talk.say("vCont;c"), "");
    assert!(matches!(talk.server.take_wish(), Some(Wish::Resume(Resume { step: None, .. }))));
    assert_eq!(talk.server.stops().breakpoints(), [0x8000_0000, 0x8000_0004]);
    let watched: Vec<_> = talk.server.stops().watchpoints().iter().map(|w| (w.addr, w.len, w.read, w.write)).collect();
    let want = [(0x9000_0000, 8, false, true), (0x9000_0010, 1, true, false), (0x9000_0020, 2, true, true)];
    assert_eq!(watched, want);
    talk.fake.states[0].set_pc(0x8000_0000);
    assert_eq!(talk.stopped(&Why::Breakpoint(0x12)), "T05thread:p12.12;swbreak:;");
    assert_eq!(talk.say("?"), "T05thread:p12.12;swbreak:;");
    talk.say("c");
    talk.fake.states[1].set_pc(0x8000_0004);
    assert_eq!(talk.stopped(&Why::Breakpoint(0x40_0012)), "T05thread:p12.400012;hwbreak:;");
    for (addr, write, word) in
        [(0x9000_0004, true, "watch"), (0x9000_0010, false, "rwatch"), (0x9000_0021, true, "awatch")]
    {
        talk.say("c");
        let touched = Touched { pc: 0, addr, write };
        assert_eq!(talk.stopped(&Why::Watch(0x12, touched)), format!("T05thread:p12.12;{word}:{addr:x};"));
    }
    assert_eq!((talk.say("z0,80000000,4"), talk.say("z2,90000000,8")), ("OK".into(), "OK".into()));
    assert_eq!(talk.server.stops().breakpoints(), [0x8000_0004]);
    for bad in ["Z9,0,0", "Z0", "Z0,", "Z0,x,4", "Z2,90000000,0", "z0,1,1", "Z0,11112222333344445,4"] {
        let answer = talk.say(bad);
        assert!(answer.is_empty() || answer.starts_with('E'), "{bad}: {answer}");
    }
    for n in 0..MOST_POINTS + 10 {
        talk.say(&format!("Z0,{n:x},4"));
    }
    assert!(talk.server.stops().breakpoints().len() <= MOST_POINTS);
}

#[test]
fn resuming_carries_steps_and_signals() {
    let mut talk = Talk::new();
    let wish = |talk: &mut Talk, packet: &str| {
        assert_eq!(talk.say(packet), "", "{packet}");
        let wish = talk.server.take_wish();
        assert_eq!(talk.stopped(&Why::Step(0x12)), "T05thread:p12.12;");
        match wish {
            Some(Wish::Resume(resume)) => resume,
            other => panic!("{packet}: {other:?}"),
        }
    };
    assert_eq!(talk.say("QPassSignals:e;1e"), "OK");
    let r = wish(&mut talk, "vCont;s:p12.400012;c:p12.-1");
    assert_eq!((r.step, r.only, r.pass), (Some(0x40_0012), None, 1 << 13 | 1 << 9));
    assert_eq!(r.events, Events { fork: true, vfork: true, exec: true });
    assert_eq!(wish(&mut talk, "vCont;s:p12.12").only, Some(0x12));
    assert_eq!(wish(&mut talk, "vCont;C0b:p12.12;c").signals, [(0x12, 11)]);
    assert_eq!(wish(&mut talk, "C1e").signals, [(0x12, 10)], "SIGUSR1 has another number in gdb");
    assert_eq!(wish(&mut talk, "s").step, Some(0x12));
    assert_eq!(wish(&mut talk, "s80001000").step, Some(0x12));
    assert_eq!(talk.fake.states[0].pc(), 0x8000_1000);
    for bad in ["vCont;s", "vCont;x", "vCont;", "vCont;c:p", "Czz", "cq", "vCont;C:1"] {
        let answer = talk.say(bad);
        assert!(answer.starts_with('E') && talk.server.take_wish().is_none(), "{bad}: {answer}");
    }
    assert_eq!(talk.say("vCont?"), "vCont;c;C;s;S;r");
    assert_eq!((talk.say("bs"), talk.say("bc")), (String::new(), String::new()), "it cannot go back");
}

#[test]
fn a_range_is_stepped_through_without_asking() {
    let mut talk = Talk::new();
    talk.fake.states[0].set_pc(0x1000);
    assert_eq!(talk.say("vCont;r1000,1008:p12.12;c"), "");
    for pc in [0x1004, 0x1006] {
        assert!(matches!(talk.server.take_wish(), Some(Wish::Resume(r)) if r.step == Some(0x12)));
        talk.fake.states[0].set_pc(pc);
        assert_eq!(talk.stopped(&Why::Step(0x12)), "");
    }
    talk.server.take_wish();
    talk.fake.states[0].set_pc(0x1008);
    assert_eq!(talk.stopped(&Why::Step(0x12)), "T05thread:p12.12;");
    // What stops it inside is told.
    talk.say("vCont;r1000,1010:p12.12;c");
    talk.server.take_wish();
    assert_eq!(talk.stopped(&Why::Signal(0x12, 11)), "T0bthread:p12.12;");
}

#[test]
fn ends_are_told_once() {
    let mut talk = Talk::new();
    talk.say("vCont;c");
    talk.server.take_wish();
    assert_eq!(talk.stopped(&Why::Exited(3)), "W03");
    assert_eq!((talk.say("?"), talk.say("g"), talk.say("vCont;c")), ("W03".into(), "E03".into(), String::new()));
    let mut talk = Talk::new();
    talk.say("vCont;c");
    assert_eq!(talk.stopped(&Why::Killed(11)), "X0b");
    let mut talk = Talk::new();
    assert_eq!(talk.say("D;12"), "OK");
    assert_eq!(talk.server.take_wish(), Some(Wish::Detach));
    let mut talk = Talk::new();
    assert_eq!((talk.say("D;13"), talk.say("vKill;13")), ("E03".into(), "E03".into()));
    assert_eq!(talk.say("vKill;12"), "OK");
    assert_eq!(talk.server.take_wish(), Some(Wish::Kill));
}

#[test]
fn a_fork_is_parted_by_what_gdb_detaches() {
    let fork = Why::Forked { thread: 0x12, child: 0x99, vfork: false };
    let mut talk = Talk::new();
    talk.say("Z0,80000000,4");
    talk.say("vCont;c");
    assert_eq!(talk.stopped(&fork), "T05fork:p99.99;thread:p12.12;");
    // As gdb does it: breakpoints are removed from the child, then it is let go.
    assert_eq!(
        (talk.say("Hgp99.99"), talk.say("z0,80000000,4"), talk.say("D;99")),
        ("OK".into(), "OK".into(), "OK".into())
    );
    assert_eq!(talk.fake.parted, [(0x99, Part::KeepParent)]);
    assert_eq!(talk.server.stops().breakpoints(), [0x8000_0000], "the parent keeps them");
    let mut talk = Talk::new();
    talk.say("vCont;c");
    talk.server.take_wish();
    talk.stopped(&Why::Forked { thread: 0x12, child: 0x99, vfork: true });
    assert_eq!((talk.say("Tp99.99"), talk.say("D;12")), ("OK".into(), "OK".into()));
    assert_eq!(talk.server.take_wish(), Some(Wish::HandOver(0x99)));
    // One that is not parted goes its own way.
    let mut talk = Talk::new();
    talk.say("vCont;c");
    talk.stopped(&fork);
    assert!(talk.say("vCont;c").starts_with('O'));
    assert_eq!(talk.fake.parted, [(0x99, Part::KeepParent)]);
}

#[test]
fn other_events_have_their_packets() {
    let mut talk = Talk::new();
    talk.say("c");
    assert_eq!(talk.stopped(&Why::VforkDone(0x12)), "T05vforkdone:;thread:p12.12;");
    talk.say("c");
    assert_eq!(talk.stopped(&Why::Executed(0x12, b"/x".to_vec())), "T05exec:2f78;thread:p12.12;");
    talk.say("c");
    assert_eq!(talk.stopped(&Why::Interrupted), "T02thread:p12.12;");
    let mut fake = Fake::new();
    fake.reverses = true;
    let mut talk = Talk::with(fake, "");
    assert_eq!(talk.say("bs"), "");
    assert_eq!(talk.server.take_wish(), Some(Wish::ReverseStep(0x12)));
    assert_eq!(talk.stopped(&Why::Begin), "T05thread:12;replaylog:begin;");
    assert_eq!(talk.say("bc"), "");
    assert_eq!(talk.server.take_wish(), Some(Wish::ReverseContinue));
    assert_eq!(talk.stopped(&Why::End), "T05thread:12;replaylog:end;");
}

#[test]
fn sessions_go_on_in_the_next_program() {
    let mut talk = Talk::new();
    talk.say("QPassSignals:e");
    talk.say("vCont;c");
    let Some(Wish::Resume(resume)) = talk.server.take_wish() else { panic!("it wants to go on") };
    let mut next = Talk { server: Server::resumed(&talk.fake, &resume.session).expect("a session"), fake: Fake::new() };
    assert!(next.server.is_running() && next.server.hears_exec());
    assert_eq!(next.stopped(&Why::Executed(0x12, b"/y".to_vec())), "T05exec:2f79;thread:p12.12;");
    assert_eq!(next.raw(&framed("qC")), framed("QCp12.12"), "no acknowledgement");
    for bad in ["", "1", "x,y", "1,", ",1"] {
        assert!(Server::resumed(&talk.fake, bad).is_none(), "{bad}");
    }
}

#[test]
fn files_lists_and_monitors() {
    let mut talk = Talk::new();
    let path = frame::hex(b"/etc/x");
    assert_eq!((talk.say("vFile:setfs:0"), talk.say(&format!("vFile:open:{path},0,0"))), ("F0".into(), "F07".into()));
    assert_eq!(talk.say(&format!("vFile:open:{path},1,0")), "F-1,1e", "nothing is written");
    assert_eq!(talk.say(&format!("vFile:open:{path}00,0,0")), "F-1,02");
    assert_eq!(talk.say("vFile:pread:7,fffffff,0"), "F05;abc}\u{3}d");
    assert!(talk.say("vFile:fstat:7").starts_with("F40;"));
    assert_eq!(talk.say(&format!("vFile:readlink:{path}")), "F-1,16");
    assert_eq!((talk.say("vFile:close:7"), talk.say("vFile:close:8")), ("F0".into(), "F-1,09".into()));
    assert_eq!(talk.say("qXfer:auxv:read::0,100"), "mauxv}]}\u{3}}\u{4}}\n");
    assert_eq!(talk.say("qXfer:auxv:read::8,100"), "l");
    assert_eq!(talk.say("qXfer:exec-file:read:12:0,100"), "m/bin/true");
    assert_eq!(talk.say("qXfer:siginfo:read::1,100"), "l\n\n\n");
    let libraries = talk.say("qXfer:libraries-svr4:read::0,fff");
    assert!(libraries.contains("main-lm=\"0x10\"") && libraries.contains("name=\"/lib/a&amp;b.so\" lm=\"0x20\""));
    assert_eq!(talk.say("qOffsets"), "Text=4000;Data=4000;Bss=4000");
    let ask = |talk: &mut Talk, line: &str| talk.say(&format!("qRcmd,{}", frame::hex(line.as_bytes())));
    assert_eq!(ask(&mut talk, "info position"), format!("O{} OK", frame::hex(b"4711\n")));
    assert!(ask(&mut talk, "xp 0 10").starts_with('O') && ask(&mut talk, "nonsense").starts_with('O'));
}

#[test]
fn rubbish_is_answered_and_the_session_goes_on() {
    let mut talk = Talk::new();
    let long = "a".repeat(PACKET + 1);
    assert_eq!(talk.say(&long), "E5a");
    let mut state = 1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let starts =
        ["", "v", "q", "Q", "vCont;", "vFile:", "qXfer:", "Z", "z", "H", "p", "P", "m", "M", "X", "x", "T", "G", "b"];
    for _ in 0..3000 {
        let mut packet = starts[random() as usize % starts.len()].to_owned();
        for _ in 0..random() % 24 {
            packet.push(b"0123456789abcdef,;:-.=p#$}*qzXVc"[random() as usize % 32] as char);
        }
        let packet: String = packet.chars().filter(|c| !matches!(c, '#' | '$')).collect();
        let ends = packet.starts_with('D') || packet == "k" || packet.starts_with("vKill");
        if ends || packet.starts_with("vCont;") || packet.starts_with(['c', 's', 'C', 'S']) {
            // These may rightly let it go on.
            continue;
        }
        let answer = talk.raw(&framed(&packet));
        assert!(answer.starts_with(b"$"), "{packet} has no answer");
    }
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random() % 64).map(|_| random() as u8).collect();
        talk.raw(&bytes);
        if talk.server.take_wish().is_some() || talk.server.is_running() {
            talk = Talk::new();
        }
    }
    // Whatever was begun ends here.
    talk.raw(b"#00#00");
    assert_eq!(talk.say("qC"), "QCp12.12");
}

#[test]
fn old_packets_are_sent_again() {
    let fake = Fake::new();
    let server = Server::new(&fake);
    let mut talk = Talk { server, fake };
    let first = talk.raw(&framed("qC"));
    assert_eq!(first, b"+$QC12#f7");
    assert_eq!(talk.raw(b"-"), b"$QC12#f7");
    assert_eq!(talk.raw(b"$qC#00"), b"-", "a bad sum");
    assert_eq!(talk.raw(b"+"), b"");
}

/// A connection from a script; what it sends is kept.
struct Script {
    pieces: Vec<Option<Vec<u8>>>,
    sent: Vec<u8>,
}

impl Wire for Script {
    fn receive(&mut self, wait: bool) -> Option<Vec<u8>> {
        if wait { self.pieces.remove(0) } else { Some(Vec::new()) }
    }
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.sent.extend_from_slice(bytes);
        true
    }
}

#[test]
fn the_loop_ends_with_the_subject_or_the_connection() {
    let run = |packets: &[&str]| {
        let mut fake = Fake::new();
        let mut server = Server::new(&fake);
        let mut pieces: Vec<_> = packets.iter().map(|p| Some(framed(p))).collect();
        pieces.push(None);
        let mut wire = Script { pieces, sent: Vec::new() };
        let served = serve(&mut server, &mut fake, &mut wire);
        (served, bodies(&wire.sent), fake.killed)
    };
    assert_eq!(run(&["qC", "vCont;c"]), (Served::Ended(Why::Exited(3)), "QC12 W03".into(), false));
    assert_eq!(run(&["qC"]), (Served::Detached, "QC12".into(), false));
    assert_eq!(run(&["D"]), (Served::Detached, "OK".into(), false));
    assert_eq!(run(&["k"]), (Served::Killed, String::new(), true));
}
