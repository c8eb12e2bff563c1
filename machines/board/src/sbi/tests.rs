//! Tests of the built-in SBI with a machine that only writes down what is asked of it.

use super::*;
use std::cell::RefCell;
use tern_core::device::{Bus, BusError};
use tern_core::ir::Ty;
use tern_core::mem::{Access, FaultKind, HostSpan, MemFault};
use tern_core::state::{LayoutBuilder, Role, Slot, State};
use tern_core::system::Flush;
use tern_session::machine::CpuState;

const RAM: u64 = 0x8000_0000;
const UART: u64 = 0x1000_0000;
const ECALL: Stop = Stop::Trap { cause: 9, value: 0 };

/// Memory from [`RAM`] on.
struct Memory(RefCell<Vec<u8>>);

impl Memory {
    fn range(&self, addr: u64, len: usize) -> Result<core::ops::Range<usize>, BusError> {
        let at = addr.checked_sub(RAM).map(|at| at as usize).filter(|at| *at + len <= self.0.borrow().len());
        at.map(|at| at..at + len).ok_or(BusError { addr })
    }
}

impl Bus for Memory {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let range = self.range(addr, buf.len())?;
        buf.copy_from_slice(&self.0.borrow()[range]);
        Ok(())
    }

    fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError> {
        let range = self.range(addr, buf.len())?;
        self.0.borrow_mut()[range].copy_from_slice(buf);
        Ok(())
    }

    fn span(&self, addr: u64, _len: u64, _write: bool) -> Result<HostSpan, BusError> {
        Err(BusError { addr })
    }

    fn map(&self, _device: u32, _window: u32, _addr: Option<u64>) {}
}

#[derive(Debug, PartialEq)]
enum Done {
    Line(usize, u32, bool),
    Timer(usize, u32, Option<u64>),
    Flush(usize, Flush),
    Store(u64, u64),
    Request(Request),
}
use Done::{Flush as Forget, Line, Request as Ask, Store, Timer};

struct Fake {
    states: Vec<State>,
    cpus: Vec<CpuState>,
    memory: Memory,
    done: Vec<Done>,
    input: Vec<u8>,
}

impl FirmwareHost for Fake {
    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    fn state(&mut self, cpu: usize) -> &mut State {
        &mut self.states[cpu]
    }

    fn cpu_state(&self, cpu: usize) -> CpuState {
        self.cpus[cpu]
    }

    fn stop_cpu(&mut self, cpu: usize) {
        self.cpus[cpu] = CpuState::Stopped;
    }

    fn wait_cpu(&mut self, cpu: usize) {
        self.cpus[cpu] = CpuState::Waiting;
    }

    fn start_cpu(&mut self, cpu: usize, reset: Reset) {
        self.cpus[cpu] = CpuState::Running;
        self.states[cpu].set_pc(reset.pc);
        for (n, arg) in (10..).zip(reset.args) {
            self.states[cpu].set(Slot(Slot::FIRST.0 + n - 1), arg);
        }
    }

    fn set_line(&mut self, cpu: usize, line: u32, level: bool) {
        self.done.push(Line(cpu, line, level));
    }

    fn set_timer(&mut self, cpu: usize, line: u32, at_ns: Option<u64>) {
        self.done.push(Timer(cpu, line, at_ns));
    }

    fn time_ns(&mut self) -> u64 {
        0
    }

    fn flush(&mut self, cpu: usize, flush: Flush) {
        self.done.push(Forget(cpu, flush));
    }

    fn memory(&self) -> &dyn Bus {
        &self.memory
    }

    fn load_virtual(&mut self, _cpu: usize, addr: u64, size: Size) -> Result<u64, MemFault> {
        let mut bytes = [0; 8];
        let at = addr.wrapping_sub(0xffff_0000).wrapping_add(RAM);
        let fault = MemFault { addr, access: Access::Load, kind: FaultKind::Unmapped };
        self.memory.read(at, &mut bytes[..size.bytes() as usize]).map_err(|_| fault)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn load(&mut self, addr: u64, _size: Size) -> Option<u64> {
        match addr {
            0x1000_0005 => Some(0x60 | u64::from(!self.input.is_empty())),
            UART => Some(self.input.remove(0).into()),
            _ => None,
        }
    }

    fn store(&mut self, addr: u64, _size: Size, value: u64) -> bool {
        self.done.push(Store(addr, value));
        true
    }

    fn request(&mut self, request: Request) {
        self.done.push(Ask(request));
    }
}

const CSRS: [(u32, &str); 10] = [
    (0x106, "scounteren"),
    (0x300, "mstatus"),
    (0x302, "medeleg"),
    (0x303, "mideleg"),
    (0x306, "mcounteren"),
    (0x30a, "menvcfg"),
    (0x180, "satp"),
    (0x14d, "stimecmp"),
    (0x3a0, "pmpcfg0"),
    (0x3b0, "pmpaddr0"),
];

fn layout(xlen: u8) -> StateLayout {
    let mut b = LayoutBuilder::new(xlen, &[]);
    for n in 1..32 {
        b.near(format!("x{n}"), Ty::I64, xlen, Role::Gpr(n));
    }
    for name in ["priv", "soft"] {
        b.near(name, Ty::I64, 64, Role::Hidden);
    }
    for (number, name) in CSRS {
        b.near(name, Ty::I64, 64, Role::Control(number));
    }
    b.finish()
}

struct Bench {
    sbi: Sbi,
    host: Fake,
    layout: StateLayout,
}

impl Bench {
    fn new(isa: &str, harts: usize, aplic: Option<Aplic>) -> Bench {
        let layout = layout(if isa.starts_with("rv32") { 32 } else { 64 });
        let config = SbiConfig {
            isa: isa.to_owned(),
            entry: RAM + 0x20_0000,
            dtb: 0x87e0_0000,
            uart: Some(UART),
            aplic,
            tick_ns: 100,
        };
        let mut sbi = Sbi::new(config, &layout);
        let states = vec![State::new(&layout); harts];
        let memory = Memory(RefCell::new(vec![0; 0x1_0000]));
        let mut host =
            Fake { states, cpus: vec![CpuState::Running; harts], memory, done: Vec::new(), input: Vec::new() };
        sbi.reset(&mut host);
        Bench { sbi, host, layout }
    }

    fn get(&self, cpu: usize, name: &str) -> u64 {
        self.host.states[cpu].get(self.layout.by_name(name).unwrap().slot)
    }

    fn set(&mut self, cpu: usize, name: &str, value: u64) {
        self.host.states[cpu].set(self.layout.by_name(name).unwrap().slot, value);
    }

    /// What hart 0 gets for a call, as signed error and value.
    fn call(&mut self, extension: u64, function: u64, args: &[u64]) -> (i64, u64) {
        self.set(0, "x17", extension);
        self.set(0, "x16", function);
        for n in 0..6 {
            self.set(0, &format!("x{}", 10 + n), args.get(n).copied().unwrap_or(0));
        }
        let pc = self.host.states[0].pc();
        assert!(self.sbi.trap(&mut self.host, 0, ECALL));
        if self.host.cpus[0] == CpuState::Running {
            assert_eq!(self.host.states[0].pc(), pc + 4);
        }
        (self.get(0, "x10") as i64, self.get(0, "x11"))
    }

    fn done(&mut self) -> Vec<Done> {
        core::mem::take(&mut self.host.done)
    }
}

fn bench() -> Bench {
    Bench::new("rv64imafdc_sstc_svpbmt", 3, None)
}

#[test]
fn harts_begin_in_supervisor_mode_with_all_that_is_theirs() {
    let bench = Bench::new("rv64imafdch_zicbom_zicboz_sstc_svadu_sscofpmf", 2, None);
    assert_eq!(bench.host.cpus, [CpuState::Running, CpuState::Stopped]);
    assert_eq!(bench.host.states[0].pc(), 0x8020_0000);
    let values = [
        ("x10", 0),
        ("x11", 0x87e0_0000),
        ("priv", 1),
        ("medeleg", 0xf0_b5ff),
        ("mideleg", 0x3666),
        ("mcounteren", 0xffff_ffff),
        ("scounteren", 7),
        ("menvcfg", 1 << 63 | 1 << 61 | 0xf0),
        ("stimecmp", u64::MAX),
        ("pmpcfg0", 0x1f),
        ("pmpaddr0", (1 << 54) - 1),
    ];
    for (name, value) in values {
        assert_eq!(bench.get(0, name), value, "{name}");
    }
    let plain = Bench::new("rv64imac_svade_svadu", 1, None);
    assert_eq!((plain.get(0, "medeleg"), plain.get(0, "mideleg"), plain.get(0, "menvcfg")), (0xb1ff, 0x222, 0));
}

#[test]
fn other_traps_are_the_guests() {
    let mut bench = bench();
    for stop in [Stop::Trap { cause: 8, value: 0 }, Stop::Trap { cause: 2, value: 0 }, Stop::Halt] {
        assert!(!bench.sbi.trap(&mut bench.host, 0, stop));
    }
    assert_eq!(bench.host.states[0].pc(), 0x8020_0000);
}

#[test]
fn base() {
    let mut bench = bench();
    assert_eq!(bench.call(0x10, 0, &[]), (0, 0x200_0000));
    assert_eq!(bench.call(0x10, 1, &[]), (0, 0x7465_726e));
    for known in [0, 8, 0x10, 0x5449_4d45, 0x73_5049, 0x5246_4e43, 0x48_534d, 0x5352_5354, 0x4442_434e] {
        assert_eq!(bench.call(0x10, 3, &[known]), (0, 1), "{known:#x}");
    }
    for unknown in [9, 0x50_4d55, u64::MAX] {
        assert_eq!(bench.call(0x10, 3, &[unknown]), (0, 0), "{unknown:#x}");
        assert_eq!(bench.call(unknown, 0, &[]), (-2, 0));
    }
    assert_eq!(bench.call(0x10, 4, &[]), (0, 0));
    for extension in [0x10, 0x5449_4d45, 0x73_5049, 0x5246_4e43, 0x48_534d, 0x5352_5354, 0x4442_434e] {
        assert_eq!(bench.call(extension, 99, &[]), (-2, 0), "{extension:#x}");
    }
}

#[test]
fn timers() {
    let mut bench = bench();
    assert_eq!(bench.call(0x5449_4d45, 0, &[1000]), (0, 0));
    assert_eq!(bench.done(), [Timer(0, 5, Some(100_000))]);
    assert_eq!(bench.get(0, "stimecmp"), 1000);
    bench.call(0x5449_4d45, 0, &[u64::MAX]);
    assert_eq!(bench.done(), [Timer(0, 5, None)]);
    assert_eq!(bench.call(0, 0, &[7]).0, 0);
    assert_eq!(bench.done(), [Timer(0, 5, Some(700))]);
    let mut narrow = Bench::new("rv32imac", 1, None);
    narrow.call(0x5449_4d45, 0, &[1, 2]);
    assert_eq!(narrow.done(), [Timer(0, 5, Some(0x2_0000_0001 * 100))]);
}

#[test]
fn interrupts_reach_the_harts_that_a_mask_names() {
    let mut bench = bench();
    bench.host.cpus = vec![CpuState::Running, CpuState::Waiting, CpuState::Stopped];
    assert_eq!(bench.call(0x73_5049, 0, &[0b11, 1]), (0, 0));
    assert_eq!(bench.done(), [Line(1, 1, false)]);
    assert_eq!((bench.get(1, "soft"), bench.get(2, "soft")), (2, 0));
    assert_eq!(bench.call(0x73_5049, 0, &[0, u64::MAX]), (0, 0));
    assert_eq!(bench.done(), [Line(0, 1, false), Line(1, 1, false)]);
    for (mask, base) in [(1, 3), (8, 0), (1, u64::MAX - 1), (2, u64::MAX - 1)] {
        assert_eq!(bench.call(0x73_5049, 0, &[mask, base]), (-3, 0), "{mask} {base}");
    }
    // Legacy: the mask lies in the caller's memory.
    bench.host.memory.write(RAM + 8, &[1]).unwrap();
    bench.set(0, "soft", 0);
    assert_eq!(bench.call(4, 0, &[0xffff_0008]).0, 0);
    assert_eq!(bench.get(0, "soft"), 2);
    assert_eq!((bench.call(3, 0, &[]).0, bench.call(3, 0, &[]).0), (1, 0));
    assert_eq!(bench.call(4, 0, &[8]).0, -5);
}

#[test]
fn fences_forget() {
    let mut bench = bench();
    assert_eq!(bench.call(0x5246_4e43, 0, &[1, 0]), (0, 0));
    assert_eq!(bench.done(), []);
    assert_eq!(bench.call(0x5246_4e43, 1, &[0b101, 0, 0x1800, 0x1000]), (0, 0));
    let pages = [Flush::Page(0x1000), Flush::Page(0x2000)];
    assert_eq!(bench.done(), [0, 2].map(|h| pages.map(|p| Forget(h, p))).into_iter().flatten().collect::<Vec<_>>());
    for (function, start, size) in [(2, 0, 0), (1, 0x1000, u64::MAX), (1, u64::MAX, 2), (3, 0x1000, 1), (6, 1, 1)] {
        assert_eq!(bench.call(0x5246_4e43, function, &[2, 0, start, size]), (0, 0));
        assert_eq!(bench.done(), [Forget(1, Flush::All)], "{function}");
    }
    assert_eq!(bench.call(0x5246_4e43, 1, &[8, 0, 0, 0]), (-3, 0));
    assert_eq!(bench.call(6, 0, &[0, 0, 0]).0, 0);
    assert_eq!(bench.done().len(), 3);
}

#[test]
fn harts_are_started_and_stopped() {
    let mut bench = bench();
    assert_eq!(bench.call(0x48_534d, 2, &[1]), (0, 1));
    assert_eq!(bench.call(0x48_534d, 0, &[3, RAM, 7]), (-3, 0));
    assert_eq!(bench.call(0x48_534d, 0, &[u64::MAX, RAM, 7]), (-3, 0));
    assert_eq!(bench.call(0x48_534d, 0, &[1, UART, 7]), (-5, 0));
    assert_eq!(bench.call(0x48_534d, 0, &[1, RAM + 1, 7]), (-5, 0));
    assert_eq!(bench.call(0x48_534d, 0, &[1, RAM + 0x100, 7]), (0, 0));
    assert_eq!((bench.host.states[1].pc(), bench.get(1, "x10"), bench.get(1, "x11")), (RAM + 0x100, 1, 7));
    assert_eq!((bench.get(1, "priv"), bench.get(1, "medeleg")), (1, 0xb1ff));
    assert_eq!(bench.call(0x48_534d, 0, &[1, RAM, 7]), (-6, 0));
    assert_eq!(bench.call(0x48_534d, 2, &[1]), (0, 0));
    assert_eq!(bench.call(0x48_534d, 2, &[9]), (-3, 0));
    bench.call(0x48_534d, 1, &[]);
    assert_eq!(bench.host.cpus[0], CpuState::Stopped);
}

#[test]
fn harts_suspend_themselves() {
    let mut bench = bench();
    bench.call(0x48_534d, 3, &[0]);
    assert_eq!((bench.host.cpus[0], bench.get(0, "x10"), bench.get(0, "x11")), (CpuState::Waiting, 0, 0));
    bench.host.cpus[1] = CpuState::Running;
    bench.set(1, "x17", 0x48_534d);
    bench.set(1, "x16", 2);
    bench.sbi.trap(&mut bench.host, 1, ECALL);
    assert_eq!((bench.get(1, "x10"), bench.get(1, "x11")), (0, 4));
    bench.host.cpus[0] = CpuState::Running;
    bench.set(0, "satp", 5);
    bench.set(0, "mstatus", 0xf);
    bench.call(0x48_534d, 3, &[0x8000_0000, RAM + 0x40, 9]);
    assert_eq!((bench.host.states[0].pc(), bench.get(0, "x10"), bench.get(0, "x11")), (RAM + 0x40, 0, 9));
    assert_eq!((bench.get(0, "satp"), bench.get(0, "mstatus")), (0, 0xd));
    bench.host.cpus[0] = CpuState::Running;
    assert_eq!(bench.call(0x48_534d, 3, &[0x8000_0000, 0, 9]), (-5, 0));
    assert_eq!(bench.call(0x48_534d, 3, &[1]), (-3, 0));
    assert_eq!(bench.call(0x48_534d, 3, &[0x1000_0000]), (-2, 0));
}

#[test]
fn the_machine_is_switched_off_and_reset() {
    let mut bench = bench();
    let expected = [
        (0, 0, 0, Some(Request::PowerOff(0))),
        (0, 1, 0, Some(Request::PowerOff(1))),
        (1, 0, 0, Some(Request::Reset)),
        (2, 0xe000_0000, 0, Some(Request::Reset)),
        (3, 0, -3, None),
        (0, 2, -3, None),
        (0xf000_0000, 0, -2, None),
    ];
    for (kind, reason, error, request) in expected {
        assert_eq!(bench.call(0x5352_5354, 0, &[kind, reason]), (error, 0), "{kind:#x} {reason:#x}");
        assert_eq!(bench.done(), request.map(Ask).into_iter().collect::<Vec<_>>());
    }
    bench.call(8, 0, &[]);
    assert_eq!(bench.done(), [Ask(Request::PowerOff(0))]);
}

#[test]
fn the_debug_console_is_the_serial_port() {
    let mut bench = bench();
    bench.host.memory.write(RAM, b"hi").unwrap();
    assert_eq!(bench.call(0x4442_434e, 0, &[2, RAM, 0]), (0, 2));
    assert_eq!(bench.done(), [Store(UART, b'h'.into()), Store(UART, b'i'.into())]);
    assert_eq!(bench.call(0x4442_434e, 2, &[b'!'.into()]), (0, 0));
    assert_eq!(bench.call(1, 0, &[b'?'.into()]).0, 0);
    assert_eq!(bench.done(), [Store(UART, b'!'.into()), Store(UART, b'?'.into())]);
    for (len, low, high) in [(1, UART, 0), (2, RAM + 0xffff, 0), (1, RAM, 1), (1, u64::MAX, 0)] {
        assert_eq!(bench.call(0x4442_434e, 0, &[len, low, high]), (-3, 0));
        bench.host.input = b"x".to_vec();
        assert_eq!(bench.call(0x4442_434e, 1, &[len, low, high]), (-3, 0));
        assert_eq!(bench.host.input, b"x");
    }
    bench.host.input = b"abc".to_vec();
    assert_eq!(bench.call(0x4442_434e, 1, &[2, RAM + 8, 0]), (0, 2));
    assert_eq!(bench.call(2, 0, &[]).0, i64::from(b'c'));
    assert_eq!(bench.call(2, 0, &[]).0, -1);
    let mut seen = [0; 3];
    bench.host.memory.read(RAM + 8, &mut seen).unwrap();
    assert_eq!(&seen, b"ab\0");
}

#[test]
fn aplic_sources_go_to_the_supervisor() {
    let msi = Msi { machine: 0x2400_0000, supervisor: 0x2800_0000, hart_bits: 2, supervisor_shift: 1 };
    let mut bench = Bench::new("rv64imac", 1, Some(Aplic { base: 0xc00_0000, sources: 2, msi: Some(msi) }));
    let expected = [
        Store(0xc00_0004, 0x400),
        Store(0xc00_0008, 0x400),
        Store(0xc00_1bc0, 0x2_4000),
        Store(0xc00_1bc4, 0x2000),
        Store(0xc00_1bc8, 0x2_8000),
        Store(0xc00_1bcc, 0x10_0000),
    ];
    assert_eq!(bench.done(), expected);
}

#[test]
fn narrow_registers_are_sign_extended() {
    let mut bench = Bench::new("rv32imac", 1, None);
    bench.set(0, "x17", 9);
    bench.sbi.trap(&mut bench.host, 0, ECALL);
    assert_eq!(bench.get(0, "x10") as i64, -2);
    assert_eq!(bench.call(0x73_5049, 0, &[0, u64::MAX]), (0, 0));
    assert_eq!(bench.done(), [Line(0, 1, false)]);
}

#[test]
fn state_is_saved() {
    let mut bench = bench();
    bench.call(0x48_534d, 3, &[0]);
    let saved = bench.sbi.save().unwrap();
    let mut other = self::bench();
    other.sbi.load(&saved).unwrap();
    assert_eq!(other.sbi.suspended, [true, false, false]);
    assert!(Bench::new("rv64i", 1, None).sbi.load(&saved).is_err());
    assert!(other.sbi.load(&saved[1..]).is_err());
}
