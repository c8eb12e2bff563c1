//! Whole machines with programs of a few instructions.

use super::*;
use crate::backends::Backends;
use crate::config::{Bios, BoardOptions, Smp};
use std::path::PathBuf;
use tern_core::backend::fs::FileSystem;
use tern_core::backend::{Block, CharSink, Entropy, NetSink};
use tern_core::mem::Access;
use tern_core::mem::space::HostMemory;
use tern_host::map::GuestRam;
use tern_session::machine::Ended;

/// Zero bytes.
struct Zeroes;

impl Entropy for Zeroes {
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        buf.fill(0);
        buf.len()
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl CharSink for Output {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// Backends that have a serial port only.
#[derive(Default)]
struct Serial(Output);

impl Backends for Serial {
    fn drive(&mut self, _name: &str, _user: User) -> Result<Box<dyn Block>, String> {
        Err("no disks here".to_owned())
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

/// A kernel of this code, for the time of a test.
struct Kernel(PathBuf);

impl Kernel {
    fn new(name: &str, code: &str, at: u64) -> Kernel {
        let path = std::env::temp_dir().join(format!("tern-build-{}-{name}", std::process::id()));
        let assembler = tern_session::isa::by_name("riscv64").unwrap().assembler(None).unwrap();
        std::fs::write(&path, assembler.assemble(code, at).unwrap()).unwrap();
        Kernel(path)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

const RAM: u64 = 0x8000_0000;
const CALLED_AT: u64 = 0x8020_0000;

fn config(board: &str, bios: Bios, kernel: &Kernel) -> BoardConfig {
    let memory = 64 << 20;
    {
        let mut config = BoardConfig { bios, memory, kernel: Some(kernel.0.clone()), ..BoardConfig::new(board) };
        config.add_serial(crate::config::Setup::parse("null").unwrap());
        config
    }
}

/// How a run ends, and what the serial port has got.
fn run(config: &BoardConfig) -> (Ended, String) {
    let mut backends = Serial::default();
    let plan = Plan::new(config, &mut Zeroes).unwrap();
    let settings = Settings { paced: false, ..Settings::default() };
    let mut board = build(plan, config, settings, &mut backends).unwrap();
    board.power_on().unwrap();
    let ended = board.machine.run(100_000);
    (ended, String::from_utf8(backends.0.0.take()).unwrap())
}

#[test]
fn a_kernel_without_firmware_runs_in_machine_mode() {
    let code = "csrr t2, mhartid\n lui t0, 0x100\n lui t1, 0x5\n addi t1, t1, 0x555\n sw t1, 0(t0)\n .word 0x10500073";
    let kernel = Kernel::new("machine", code, RAM);
    assert_eq!(run(&config("riscv64/virt", Bios::None, &kernel)).0, Ended::PowerOff(0));
}

#[test]
fn the_built_in_sbi_prints_and_switches_off() {
    let code = "lui a7, 0x44424\n addi a7, a7, 0x34e\n li a6, 2\n li a0, 72\n ecall\n li a0, 105\n ecall\n \
        lui a7, 0x53525\n addi a7, a7, 0x354\n li a6, 0\n li a0, 0\n li a1, 1\n ecall\n .word 0x10500073";
    let kernel = Kernel::new("sbi", code, CALLED_AT);
    assert_eq!(run(&config("riscv64/virt", Bios::Builtin, &kernel)), (Ended::PowerOff(1), "Hi".to_owned()));
}

#[test]
fn the_built_in_sbi_starts_harts() {
    // Hart 0 starts hart 1 at the tenth instruction, which asks for a reset with what it was given.
    let code = "lui a7, 0x485\n addi a7, a7, 0x34d\n li a6, 0\n li a0, 1\n auipc a1, 0\n addi a1, a1, 24\n \
        lui a2, 0x100\n ecall\n .word 0x10500073\n .word 0x10500073\n lui t1, 0x7\n addi t1, t1, 0x777\n sw t1, 0(a1)\n .word 0x10500073";
    let kernel = Kernel::new("harts", code, CALLED_AT);
    for aia in [Aia::None, Aia::Aplic, Aia::AplicImsic] {
        let smp = Smp::new(Some(2), None, None, None).unwrap();
        let options = BoardOptions { aia, ..BoardOptions::default() };
        let config = BoardConfig { smp, options, ..config("riscv64/virt", Bios::Builtin, &kernel) };
        assert_eq!(run(&config).0, Ended::Reset, "{aia:?}");
    }
}

#[test]
fn spike_ends_by_tohost() {
    let kernel = Kernel::new("htif", "lui t0, 0x1000\n li t1, 7\n sd t1, 0(t0)\n loop: j loop", RAM);
    assert_eq!(run(&config("riscv64/spike", Bios::None, &kernel)).0, Ended::PowerOff(3));
}

#[test]
fn tohost_may_lie_in_the_middle_of_a_program() {
    // The program has zeros at its 4096th byte, where the registers are; it writes them as conformance programs do.
    let code =
        "auipc t0, 1\n li t1, 7\n again: sw t1, 0(t0)\n sw zero, 4(t0)\n j again\n .align 12\n .zero 128\n .8byte -1";
    let kernel = Kernel::new("middle", code, RAM);
    let config = config("riscv64/spike", Bios::None, &kernel);
    let mut plan = Plan::new(&config, &mut Zeroes).unwrap();
    plan.parts = crate::spike::parts(&config, &[("tohost", RAM + 0x1000), ("fromhost", RAM + 0x1040)].into());
    let mut board = build(plan, &config, Settings::default(), &mut Serial::default()).unwrap();
    board.power_on().unwrap();
    assert_eq!(board.machine.run(100_000), Ended::PowerOff(3));
    let mut after = [0; 8];
    tern_core::device::Bus::read(board.machine.space(), RAM + 0x1080, &mut after).unwrap();
    assert_eq!(after, [0xff; 8], "what is behind the registers is loaded");
    // Anything but zeros cannot be there.
    let mut plan = Plan::new(&config, &mut Zeroes).unwrap();
    plan.parts = crate::spike::parts(&config, &[("tohost", RAM + 0x1080), ("fromhost", RAM + 0x1040)].into());
    let mut board = build(plan, &config, Settings::default(), &mut Serial::default()).unwrap();
    let error = board.power_on().unwrap_err().to_string();
    assert!(error.ends_with("no memory at physical address 0x80001080"), "{error}");
}

#[test]
fn every_part_is_in_the_address_space() {
    let kernel = Kernel::new("parts", ".word 0x10500073", RAM);
    for (aia, aclint) in
        [(Aia::None, false), (Aia::None, true), (Aia::Aplic, false), (Aia::AplicImsic, false), (Aia::AplicImsic, true)]
    {
        let options = BoardOptions {
            aia,
            aclint,
            aia_guests: if aia == Aia::AplicImsic { 3 } else { 0 },
            ..BoardOptions::default()
        };
        let config = BoardConfig { options, ..config("riscv64/virt", Bios::None, &kernel) };
        let plan = Plan::new(&config, &mut Zeroes).unwrap();
        let parts = plan.parts.clone();
        let board = build(plan, &config, Settings::default(), &mut Serial::default()).unwrap();
        let space = board.machine.space();
        for part in parts.list.iter().filter(|p| p.kind != Kind::PlatformBus) {
            for range in &part.at {
                let (target, _) = space.target(range.base, 4, Access::Load);
                let nothing = matches!(target, tern_core::mem::space::Target::Nothing);
                assert!(!nothing, "{:?} at {:#x}\n{}", part.kind, range.base, space.flat_text());
            }
        }
    }
}

#[test]
fn backends_that_fail_are_named() {
    let kernel = Kernel::new("backends", ".word 0x10500073", RAM);
    let mut config = config("riscv64/virt", Bios::None, &kernel);
    config.flash[0] = Some("x".to_owned());
    let plan = Plan::new(&config, &mut Zeroes).unwrap();
    let error = build(plan, &config, Settings::default(), &mut Serial::default()).err().unwrap();
    assert_eq!(error.to_string(), "flash0: no disks here");
}
