//! Whole machines that run small programs: live and restored, with every dispatcher and whatever else must not change a
//! result, they go through the same states.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use tern_board::config::{Bios, DeviceConfig, Setup, Smp};
use tern_board::{Backends, Board, BoardConfig, Plan, User, build};
use tern_core::backend::fs::FileSystem;
use tern_core::backend::{Block, CharSink, Entropy, NetSink};
use tern_core::ir::random::splitmix;
use tern_core::mem::space::HostMemory;
use tern_core::stops::{Stops, Watchpoint};
use tern_devices::bench::MemoryDisk;
use tern_host::map::GuestRam;
use tern_riscv::{Features, Riscv};
use tern_session::machine::{DebugStop, Ended, Settings};
use tern_session::{Dispatch, Options};

const RAM: u64 = 0x8000_0000;
/// No program needs more instructions.
const LIMIT: u64 = 2_000_000;

/// A program; the number of its harts.
struct Program {
    name: &'static str,
    text: &'static str,
    harts: u32,
}

macro_rules! programs {
    ($($name:literal $harts:literal)*) => {
        &[$(Program { name: $name, text: include_str!(concat!("../machines/", $name, ".s")), harts: $harts }),*]
    };
}

static PROGRAMS: &[Program] = programs!("timer" 1 "uart" 1 "paging" 1 "smc" 1 "harts" 2 "idle" 1 "disk" 1);
/// What programs end with.
const END: &str = include_str!("../machines/end.s");

struct Zeroes;

impl Entropy for Zeroes {
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        buf.fill(0);
        buf.len()
    }
}

#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl CharSink for Output {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// Backends in memory.
#[derive(Default)]
struct Memory(Output);

impl Backends for Memory {
    /// Sector n holds `addi a0, a0, n + 1; ret`.
    fn drive(&mut self, _name: &str, _user: User) -> Result<Box<dyn Block>, String> {
        let sector = |n: u32| {
            let mut bytes = vec![0; 512];
            bytes[..4].copy_from_slice(&((n + 1) << 20 | 0x0005_0513).to_le_bytes());
            bytes[4..8].copy_from_slice(&0x0000_8067u32.to_le_bytes());
            bytes
        };
        Ok(Box::new(MemoryDisk { bytes: (0..16).flat_map(sector).collect(), read_only: false }))
    }

    fn chardev(&mut self, _name: &str, _user: User) -> Result<Box<dyn CharSink>, String> {
        Ok(Box::new(self.0.clone()))
    }

    fn netdev(&mut self, _name: &str, _user: User) -> Result<Box<dyn NetSink>, String> {
        Err("no networks here".to_owned())
    }

    fn folder(&mut self, _fsdev: &str) -> Result<Box<dyn FileSystem>, String> {
        Err("no folders here".to_owned())
    }

    fn entropy(&mut self, _object: Option<&str>) -> Result<Box<dyn Entropy>, String> {
        Ok(Box::new(Zeroes))
    }

    fn ram(&mut self, _object: Option<&str>, size: u64) -> Result<Rc<dyn HostMemory>, String> {
        Ok(Rc::new(GuestRam::new(size).map_err(|e| e.to_string())?))
    }

    fn mac(&mut self) -> [u8; 6] {
        [0x52, 0x54, 0, 0x12, 0x34, 0x56]
    }

    fn wall_clock_ns(&mut self) -> u64 {
        0
    }

    fn moved(&mut self, _path: &str, _by: u32) {}

    fn release(&mut self, _path: &str) {}
}

/// A program in a file, for the time of a test.
struct Kernel {
    path: PathBuf,
    harts: u32,
}

impl Kernel {
    fn new(name: &str, bytes: &[u8], harts: u32) -> Kernel {
        let path = std::env::temp_dir().join(format!("tern-machines-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).expect("there is room for a file");
        Kernel { path, harts }
    }

    fn assembled(program: &Program) -> Kernel {
        let source = format!("{}{END}", program.text);
        let assembler = Riscv::machine(Features::for_machine("max").expect("a model")).assembler();
        let bytes = assembler.assemble(&source, RAM).unwrap_or_else(|e| panic!("{}: {e}", program.name));
        Kernel::new(program.name, &bytes, program.harts)
    }

    fn board(&self, settings: Settings) -> (Board, Output) {
        let mut config = BoardConfig::new("riscv64/virt");
        config.bios = Bios::None;
        config.memory = 8 << 20;
        config.kernel = Some(self.path.clone());
        config.smp = Smp::new(Some(self.harts), None, None, None).expect("one or two");
        config.add_serial(Setup::parse("null").expect("it is nothing"));
        let mut disk = DeviceConfig::new("virtio-blk-device").with("drive", "memory");
        disk.bus = Some("virtio-mmio-bus.0".to_owned());
        config.devices.push(disk);
        let mut backends = Memory::default();
        let plan = Plan::new(&config, &mut Zeroes).expect("the machine is possible");
        let mut board = build(plan, &config, settings, &mut backends).expect("the machine can be built");
        board.power_on().expect("the program is still there");
        (board, backends.0)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).expect("nobody else removes it");
    }
}

fn settings(engine: Options) -> Settings {
    Settings { paced: false, engine, turn: 1000, ..Settings::default() }
}

/// What changes no result.
fn engines() -> Vec<(&'static str, Options)> {
    let base = Options::default;
    vec![
        ("default", base()),
        ("loop", Options { dispatch: Dispatch::Loop, ..base() }),
        ("loop, all hot", Options { dispatch: Dispatch::Loop, hot: 0, ..base() }),
        ("all hot", Options { hot: 0, ..base() }),
        ("hot at once", Options { hot: 1, ..base() }),
        ("one instruction", Options { one_insn: true, ..base() }),
        ("small cache", Options { cache_words: 1 << 12, ..base() }),
    ]
}

/// Position and digest every `step` instructions and at the end, and how it ends.
fn trace(board: &mut Board, step: u64, limit: u64) -> (Vec<(u64, u64)>, Ended) {
    let machine = &mut board.machine;
    let mut states = Vec::new();
    loop {
        let next = (machine.retired() / step + 1) * step;
        let ended = machine.run(next.min(limit));
        states.push((machine.retired(), machine.digest().expect("every part can be saved")));
        if ended != Ended::Limit || machine.retired() >= limit {
            return (states, ended);
        }
    }
}

/// Breakpoints and watchpoints for a program: where its harts have been at some positions, and memory that registers led to.
fn stops(kernel: &Kernel, step: u64, limit: u64) -> Stops {
    let (mut board, _) = kernel.board(settings(Options::default()));
    let machine = &mut board.machine;
    let (mut breaks, mut watches) = (Vec::new(), Vec::new());
    while breaks.len() < 60 && machine.run((machine.retired() + step / 9 + 1).min(limit)) == Ended::Limit {
        if machine.retired() >= limit {
            break;
        }
        for hart in 0..machine.cpus() {
            let state = machine.state(hart).expect("a hart");
            breaks.push(state.pc());
            let rows = machine.frontend().layout().rows();
            let leads = |v: &u64| (RAM + 0x400..RAM + (8 << 20)).contains(v);
            let (n, read) = (breaks.len() as u64, breaks.len() % 3 == 0);
            let found = rows.iter().map(|r| state.get(r.slot)).filter(leads).nth(breaks.len() % 4);
            watches.extend(found.map(|addr| Watchpoint { addr, len: 1 + n % 8, read, write: true }));
        }
    }
    Stops::new(breaks, watches)
}

/// Digests by position, and how the run ended.
type Digests = (Vec<(u64, u64)>, Ended);

/// As [`trace`], under a debugger that lets the machine go on wherever it stops, or makes a step; how often it stopped.
fn debugged(board: &mut Board, stops: &Stops, step: u64, limit: u64) -> (Digests, [u64; 3]) {
    let machine = &mut board.machine;
    machine.set_stops(stops);
    let (mut states, mut seen) = (Vec::new(), [0; 3]);
    loop {
        let next = (machine.retired() / step + 1) * step;
        let ended = loop {
            let ended = machine.run(next.min(limit));
            let Some(stop) = machine.take_debug_stop() else { break ended };
            assert_eq!(ended, Ended::Debug);
            let cpu = match stop {
                DebugStop::Breakpoint { cpu } => {
                    seen[0] += 1;
                    assert!(stops.breaks_at(machine.state(cpu).expect("a hart").pc()));
                    cpu
                }
                DebugStop::Watch { cpu, .. } => {
                    seen[1] += 1;
                    cpu
                }
                DebugStop::Step { cpu } => {
                    seen[2] += 1;
                    cpu
                }
            };
            let n: u64 = seen.iter().sum();
            machine.set_step((n % 5 < 2).then_some(cpu));
            if n.is_multiple_of(2_000) {
                // Nothing stops it for a while.
                machine.set_stops(&Stops::default());
                machine.set_step(None);
            }
        };
        machine.set_stops(stops);
        states.push((machine.retired(), machine.digest().expect("every part can be saved")));
        if ended != Ended::Limit || machine.retired() >= limit {
            return ((states, ended), seen);
        }
    }
}

/// The first difference, in words.
fn same(what: &str, got: &(Vec<(u64, u64)>, Ended), want: &(Vec<(u64, u64)>, Ended)) {
    let differs = got.0.iter().zip(&want.0).find(|(a, b)| a != b);
    assert!(differs.is_none(), "{what}: {differs:x?}");
    assert_eq!((got.0.len(), got.1), (want.0.len(), want.1), "{what}");
}

/// Runs a kernel in all ways; they must agree with the first.
fn every_way(name: &str, kernel: &Kernel, step: u64, limit: u64) -> Ended {
    let want = trace(&mut kernel.board(settings(Options::default())).0, step, limit);
    for (how, engine) in engines() {
        let got = trace(&mut kernel.board(settings(engine)).0, step, limit);
        same(&format!("{name}, {how}"), &got, &want);
    }
    // Nor do debuggers change anything.
    let set = stops(kernel, step, limit);
    for dispatch in [Dispatch::Loop, Dispatch::Tail].into_iter().filter(|d| d.available()) {
        let engine = Options { dispatch, hot: 2, ..Options::default() };
        let set = if dispatch == Dispatch::Loop { set.clone() } else { set.clone().before_access() };
        let (got, seen) = debugged(&mut kernel.board(settings(engine)).0, &set, step, limit);
        same(&format!("{name}, debugged, {dispatch:?}"), &got, &want);
        assert!(seen[0] > 0, "{name}: no breakpoint was hit ({seen:?})");
    }
    // Where runs end changes nothing.
    let fine = trace(&mut kernel.board(settings(Options::default())).0, step / 7 + 1, limit);
    assert_eq!((fine.0.last(), fine.1), (want.0.last(), want.1), "{name}, other steps");
    let stops = want.0.len();
    for at in [0, stops / 4, stops / 2, stops * 3 / 4, stops.saturating_sub(2)] {
        let (mut first, _) = kernel.board(settings(Options::default()));
        let position = want.0[at].0;
        if first.machine.run(position) != Ended::Limit {
            continue;
        }
        let saved = first.machine.save().expect("every part can be saved");
        let (mut second, _) = kernel.board(settings(Options::default()));
        second.machine.load(&saved).unwrap_or_else(|e| panic!("{name} at {position}: {e}"));
        assert_eq!(second.machine.digest().ok(), Some(want.0[at].1), "{name} restored at {position}");
        if second.machine.retired() < limit {
            let rest = trace(&mut second, step, limit);
            same(&format!("{name}, restored at {position}"), &rest, &(want.0[at + 1..].to_vec(), want.1));
        }
    }
    want.1
}

/// The last hart's registers that are not 0, for reports.
fn registers(board: &Board) -> String {
    let rows = board.machine.frontend().layout().rows();
    let state = board.machine.state(board.machine.cpus() - 1).expect("a hart");
    rows.iter().filter(|r| state.get(r.slot) != 0).map(|r| format!("{} {:x} ", r.name, state.get(r.slot))).collect()
}

fn program(name: &str) {
    let program = PROGRAMS.iter().find(|p| p.name == name).expect("a program of the list");
    let kernel = Kernel::assembled(program);
    let (mut board, _) = kernel.board(settings(Options::default()));
    let ended = board.machine.run(LIMIT);
    assert_eq!(ended, Ended::PowerOff(0), "{name}: {}", registers(&board));
    let step = board.machine.retired() / 12 + 1;
    assert_eq!(every_way(name, &kernel, step, LIMIT), Ended::PowerOff(0));
}

#[test]
fn timers_interrupt_at_the_same_places() {
    program("timer");
}

#[test]
fn serial_port_interrupts_through_the_plic() {
    program("uart");
    let kernel = Kernel::assembled(&Program { name: "uart", ..PROGRAMS[1] });
    let (mut board, output) = kernel.board(settings(Options::default()));
    board.machine.run(LIMIT);
    assert_eq!(output.0.take(), b"what the serial port says");
}

#[test]
fn supervisor_and_user_exchange_pages() {
    program("paging");
}

#[test]
fn code_changes_under_two_mappings() {
    program("smc");
}

#[test]
fn harts_signal_and_lock() {
    program("harts");
}

#[test]
fn idle_harts_wake_at_their_timers() {
    program("idle");
}

#[test]
fn disks_write_over_code() {
    program("disk");
}

#[test]
fn trap_loops_end_at_the_limit() {
    // Nothing retires in any of them: the trap vector is no instruction, or nothing is there.
    for (name, source) in [
        ("illegal", "la t0, bad\n csrw mtvec, t0\n.align 2\nbad: .4byte 0\n"),
        ("nowhere", "csrw mtvec, zero\n .4byte 0\n"),
        ("calls", "la t0, call\n csrw mtvec, t0\n.align 2\ncall: ecall\n"),
    ] {
        let text = Box::leak(source.to_owned().into_boxed_str());
        for harts in [1, 2] {
            let kernel = Kernel::assembled(&Program { name, text, harts });
            assert_eq!(every_way(name, &kernel, 20_000, 60_000), Ended::Limit, "{name}, {harts} harts");
        }
    }
}

/// A random instruction of a soup: most touch devices and control registers; t6 and sp lead to devices and memory.
fn soup(next: &mut impl FnMut() -> u64) -> u32 {
    const CSRS: [u32; 24] = [
        0x100, 0x104, 0x105, 0x106, 0x140, 0x141, 0x142, 0x144, 0x14d, 0x180, 0x300, 0x302, 0x303, 0x304, 0x306, 0x30a,
        0x341, 0x342, 0x344, 0x3a0, 0x3b0, 0x600, 0x680, 0xc01,
    ];
    let r = next();
    // Not x30 (t5) and x31 (t6), which lead to the next device.
    let (rd, rs) = ((r >> 8 & 0xf) as u32, (r >> 16 & 0x1f) as u32);
    let imm = (r >> 24 & 0x1ff) as u32 & !(if r >> 60 == 0 { 0 } else { 3 });
    match r & 15 {
        0..4 => imm << 20 | 31 << 15 | ((r >> 40) as u32 % 4) << 12 | rd << 7 | 0x03,
        4..8 => imm >> 5 << 25 | rs << 20 | 31 << 15 | ((r >> 40) as u32 % 4) << 12 | (imm & 31) << 7 | 0x23,
        8..11 => {
            let csr = CSRS[(r >> 40) as usize % CSRS.len()];
            csr << 20 | rs << 15 | [1, 2, 3, 5, 6, 7][(r >> 50) as usize % 6] << 12 | rd << 7 | 0x73
        }
        11 => [0x1200_0073, 0x0000_100f, 0x0000_0073, 0x3020_0073, 0x1020_0073, 0x0010_0073][(r >> 40) as usize % 6],
        12 => 0x0000_0033 | rd << 7 | rs << 15 | ((r >> 30 & 0x1f) as u32) << 20 | ((r >> 50) as u32 & 7) << 12,
        13 => (r >> 32) as u32,
        // t6 = t5, the next device's address from the table.
        _ => 0x000f_3f83 | ((r >> 40) as u32 % 16) << 23,
    }
}

#[test]
fn soups_of_privileged_instructions_do_the_same_everywhere() {
    // The trap handler skips one word, or goes to the start from elsewhere; the table of devices leaves out the finisher.
    let head = "la t5, table\n la t0, trap\n csrw mtvec, t0\n li t0, -1\n csrw pmpaddr0, t0\n li t0, 0x1f\n \
        csrw pmpcfg0, t0\n ld t6, 0(t5)\n j start\n.align 2\n\
        trap: la t5, start\n csrr a6, mepc\n addi a6, a6, 4\n sub a7, a6, t5\n li t4, 2400\n bltu a7, t4, back\n \
        mv a6, t5\n li a7, 0x1800\n csrs mstatus, a7\n\
        back: csrw mepc, a6\n la t5, table\n mret\n.align 3\n\
        table: .dword 0x2000000, 0x2004000, 0x200bff8, 0xc000000, 0xc002000, 0xc200000, 0x10000000, 0x10001000, 0x10002000, \
        0x10100000, 0x20000000, 0x30000000, 0x101000, 0x80100000, 0x40000000, 0x3000000\n.align 4\nstart:\n";
    let assembler = Riscv::machine(Features::for_machine("max").expect("a model")).assembler();
    let head = assembler.assemble(head, RAM).unwrap_or_else(|e| panic!("{e}"));
    let (mut errors, mut ends) = (0, 0);
    for seed in 0..24 {
        let mut next = splitmix(seed);
        let mut bytes = head.clone();
        bytes.extend((0..600).flat_map(|_| soup(&mut next).to_le_bytes()));
        // Back to the first instruction after the table.
        let back = 0u32.wrapping_sub(600 * 4);
        let jump = (back >> 20 & 1) << 31
            | (back >> 1 & 0x3ff) << 21
            | (back >> 11 & 1) << 20
            | (back >> 12 & 0xff) << 12
            | 0x6f;
        bytes.extend(jump.to_le_bytes());
        let kernel = Kernel::new(&format!("soup{seed}"), &bytes, 1 + seed as u32 % 2);
        let ended = every_way(&format!("soup {seed}"), &kernel, 7_001, 60_000);
        ends += u32::from(ended == Ended::Limit);
        let (mut board, _) = kernel.board(settings(Options::default()));
        board.machine.run(60_000);
        errors += board.machine.counts().0;
    }
    assert!(errors > 50 && ends > 12, "{errors} guest errors, {ends} of 24 soups went on to the limit");
}
