//! Machines out of plans: every part of the list becomes regions of the address space, a device, and wires.

mod pci;
mod plug;

pub(crate) use plug::address;

pub use plug::{Place, Plugged};

use crate::backends::{Backends, Port, User};
use crate::boot::First;
use crate::config::{Aia, BoardConfig, ClockMode, FwCfgContent, RtcBase};
use crate::error::BoardError;
use crate::part::{Kind, Part, Parts, Range, TICK_NS};
use crate::plan::Plan;
use crate::platform;
use crate::sbi::{Aplic as SbiAplic, Msi, Sbi, SbiConfig};
use std::cell::RefCell;
use std::rc::Rc;
use tern_core::device::{Device, IrqLine, Kit, Reporter, Sink};
use tern_core::engine::Event;
use tern_core::mem::space::AddressSpace;
use tern_core::system::Reset;
use tern_devices::firmware::fw_cfg::{FwCfg, key};
use tern_devices::interrupt::aclint_mswi::AclintMswi;
use tern_devices::interrupt::aclint_sswi::AclintSswi;
use tern_devices::interrupt::aplic::{Aplic, AplicConfig, DomainConfig};
use tern_devices::interrupt::imsic::{Imsic, ImsicConfig};
use tern_devices::interrupt::plic::{Plic, PlicConfig};
use tern_devices::misc::htif::Htif;
use tern_devices::misc::sifive_test::SifiveTest;
use tern_devices::serial::ns16550a::{self, Ns16550a};
use tern_devices::storage::cfi_flash::{Array, CfiFlash, Geometry};
use tern_devices::timer::aclint_mtimer::AclintMtimer;
use tern_devices::timer::goldfish_rtc::GoldfishRtc;
use tern_devices::timer::mtime::TIMEBASE;
use tern_devices::timer::sifive_clint::SifiveClint;
use tern_devices::virtio::VirtioMmio;
use tern_session::machine::{self, Machine, Settings};

/// Interrupt inputs of a hart (The RISC-V Instruction Set Manual, volume II, section 3.1.9).
mod line {
    pub(super) const SSI: u32 = 1;
    pub(super) const MSI: u32 = 3;
    pub(super) const MTI: u32 = 7;
    pub(super) const SEI: u32 = 9;
    pub(super) const MEI: u32 = 11;
    /// Guest interrupt file n is input 64 + n.
    pub(super) const GUEST_FILE: u32 = 64;
}

/// The flash banks of `virt`: two chips of 16 bits side by side, blocks of 256 KiB.
const FLASH: Geometry = Geometry { sectors: 128, sector: 0x4_0000, chips: 2, width: 2 };
/// Bits of a priority in the APLIC; the PLIC's priorities are as wide.
const PRIORITY_BITS: u32 = 3;
/// Biggest file of a fw_cfg item.
const MAX_ITEM: u64 = 1 << 30;

/// A machine that is ready to be switched on.
pub struct Board {
    /// The machine.  Switch it on by [`Board::power_on`].
    pub machine: Machine,
    /// What people should know.
    pub notes: Vec<String>,
    /// Its parts.
    pub parts: Parts,
    /// The device tree as it lies in memory; empty: there is none.
    pub dtb: Vec<u8>,
    problem: Rc<RefCell<Option<BoardError>>>,
    space: AddressSpace,
    plugged: Vec<Plugged>,
    /// Devices that have come so far, for names of those without one.
    nameless: u32,
    /// The host bridge's device.
    bridge: Option<pci::Bridge>,
    /// Slots for memory-mapped virtio devices: their devices' numbers.
    slots: Vec<u32>,
    /// Where the next device of the platform bus goes.
    platform: platform::Places,
    controller: Option<u32>,
    globals: Vec<(String, String, String)>,
    /// It runs, or has run: devices come and go by hot-plugging.
    live: bool,
}

impl Board {
    /// Power-on and reset: loads memory, puts everything into its first state.
    ///
    /// # Errors
    /// A file that has changed since the machine was planned.
    pub fn power_on(&mut self) -> Result<(), BoardError> {
        self.live = true;
        // The guest forgets what it was asked.
        self.plugged.iter_mut().for_each(|p| p.leaving = None);
        self.machine.power_on();
        self.problem.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// Builds the planned machine.
///
/// # Errors
/// A backend that cannot be made, a device that cannot be configured like that.
pub fn build(
    plan: Plan,
    config: &BoardConfig,
    settings: Settings,
    backends: &mut dyn Backends,
) -> Result<Board, BoardError> {
    let clock = match config.clock {
        ClockMode::Host => machine::ClockMode::Host,
        ClockMode::Instructions { shift: Some(shift) } => machine::ClockMode::Instructions { shift },
        ClockMode::Instructions { shift: None } => settings.clock,
    };
    let settings = Settings { clock, ..settings };
    let log = settings.log.clone();
    let reporter = Reporter::new("memory", move |event, text| {
        let items = tern_session::log::Items::GUEST_ERRORS;
        if let (Event::GuestError, Some(log)) = (event, &log) {
            log.write(items, text);
        }
    });
    let space = AddressSpace::new("memory", "system", reporter);
    let machine = Machine::new(plan.cpu.frontend.clone(), space.clone(), settings);
    let machine = machine.map_err(|e| BoardError::Config(e.to_string()))?;
    let mut builder = Builder {
        plan: &plan,
        config,
        backends,
        machine,
        space,
        controller: None,
        serials: 0,
        bridge: None,
        slots: Vec::new(),
    };
    builder.cpus();
    builder.parts()?;
    builder.firmware();
    let Builder { machine, space, controller, bridge, slots, .. } = builder;
    let mut board = finish(plan, machine, space);
    (board.controller, board.bridge, board.slots) = (controller, bridge, slots);
    board.globals.clone_from(&config.globals);
    for device in &config.devices {
        board.plug(device, backends).map_err(BoardError::Config)?;
    }
    Ok(board)
}

/// Lets memory be loaded at power-on.
fn finish(plan: Plan, mut machine: Machine, space: AddressSpace) -> Board {
    let problem = Rc::new(RefCell::new(None));
    let (dtb, dtb_at, mut boot) = (plan.dtb(), plan.dtb_at, plan.boot);
    let notes = core::mem::take(&mut boot.notes);
    let trouble = problem.clone();
    let shown = if boot.first == First::Nothing { Vec::new() } else { dtb.clone() };
    machine.set_loader(Box::new(move |space| {
        *trouble.borrow_mut() = boot.store(space, &dtb, dtb_at).err();
    }));
    Board {
        machine,
        notes,
        parts: plan.parts,
        dtb: shown,
        problem,
        space,
        plugged: Vec::new(),
        nameless: 0,
        bridge: None,
        slots: Vec::new(),
        platform: platform::Places::default(),
        controller: None,
        globals: Vec::new(),
        live: false,
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    config: &'a BoardConfig,
    backends: &'a mut dyn Backends,
    machine: Machine,
    space: AddressSpace,
    /// The device that wires of other devices lead to.
    controller: Option<u32>,
    /// Serial ports so far.
    serials: usize,
    bridge: Option<pci::Bridge>,
    slots: Vec<u32>,
}

/// A serial port that nothing is connected to.
struct Nowhere;

impl tern_core::backend::CharSink for Nowhere {
    fn write(&mut self, _bytes: &[u8]) {}
}

fn bad(e: impl core::fmt::Display) -> BoardError {
    BoardError::Config(e.to_string())
}

impl Builder<'_> {
    fn cpus(&mut self) {
        let Some(rom) = self.plan.parts.find(Kind::Rom) else {
            // An empty machine has a CPU if one was asked for, which stays off.
            if self.config.cpu.is_some() {
                self.machine.add_cpu(Reset { id: 0, pc: 0, args: [0; 3] }, true);
            }
            return;
        };
        let pc = rom.range().base;
        for id in 0..u64::from(self.config.smp.cpus) {
            self.machine.add_cpu(Reset { id, pc, args: [0; 3] }, false);
        }
    }

    /// Interrupt controllers come first: others are wired to them.
    fn parts(&mut self) -> Result<(), BoardError> {
        let controller = |p: &&Part| matches!(p.kind, Kind::Plic | Kind::Aplic);
        let list = &self.plan.parts.list;
        for part in list.iter().filter(controller).chain(list.iter().filter(|p| !controller(p))) {
            self.part(part)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), BoardError> {
        let range = part.range();
        match part.kind {
            Kind::Ram => {
                let object = self.config.memory_object.as_deref();
                let ram = self.backends.ram(object, range.size).map_err(bad)?;
                let block = self.space.block_over("ram", ram).map_err(bad)?;
                self.map(self.space.ram(&block), range)
            }
            Kind::Rom => {
                let block = self.space.block("mrom", range.size).map_err(bad)?;
                let code = self.plan.boot.rom(self.plan.dtb_at, self.plan.is64);
                if !block.write(0, &code) {
                    return Err(BoardError::NoRoom("the reset vector does not fit into its ROM".to_owned()));
                }
                self.map(self.space.rom(&block), range)
            }
            // Nothing is there until something is added.
            Kind::PlatformBus => Ok(()),
            Kind::Test => self.device("test", part, |_, kit, _| Ok(Box::new(SifiveTest::new(kit)))),
            Kind::Rtc => self.rtc(part),
            Kind::Clint => self.device("clint", part, |b, kit, _| {
                let (soft, timer) = (b.harts(line::MSI), b.harts(line::MTI));
                Ok(Box::new(SifiveClint::new(kit, TIMEBASE, soft, timer)))
            }),
            Kind::Mswi => self.device("mswi", part, |b, kit, _| Ok(Box::new(AclintMswi::new(kit, b.harts(line::MSI))))),
            Kind::Mtimer => self
                .device("mtimer", part, |b, kit, _| Ok(Box::new(AclintMtimer::new(kit, TIMEBASE, b.harts(line::MTI))))),
            Kind::Sswi => self.device("sswi", part, |b, kit, _| Ok(Box::new(AclintSswi::new(kit, b.harts(line::SSI))))),
            Kind::Plic => self.plic(part),
            Kind::Aplic => self.aplic(part),
            Kind::ImsicM | Kind::ImsicS => self.imsic(part),
            Kind::Uart => self.device("uart", part, |b, kit, number| {
                let sink = b.serial(Port { device: number, port: 0 })?;
                let irq = b.irq(part);
                Ok(Box::new(Ns16550a::new(kit, ns16550a::Options::default(), irq, sink)))
            }),
            Kind::Htif => self.device("htif", part, |b, kit, number| {
                let sink = b.serial(Port { device: number, port: 0 })?;
                Ok(Box::new(Htif::new(kit, sink)))
            }),
            Kind::Virtio(slot) => self.device(&format!("virtio-mmio{slot}"), part, |b, kit, number| {
                b.slots.push(number);
                Ok(Box::new(VirtioMmio::empty(kit, b.irq(part), b.config.options.legacy_virtio)))
            }),
            Kind::FwCfg => self.fw_cfg(part),
            Kind::Flash => self.flash(part),
            Kind::Pcie => self.pcie(part),
        }
    }

    fn map(&self, region: tern_core::mem::space::Region, range: Range) -> Result<(), BoardError> {
        self.space.add(self.space.root(), region, range.base, 0).map_err(bad)
    }

    /// Makes a device, and puts its windows where the part says.
    fn device(
        &mut self,
        name: &str,
        part: &Part,
        make: impl FnOnce(&mut Self, Kit, u32) -> Result<Box<dyn Device>, BoardError>,
    ) -> Result<(), BoardError> {
        let place = self.machine.place(name);
        let number = place.number;
        let device = make(self, place.kit, number)?;
        let windows = device.windows();
        for ((n, window), range) in (0..).zip(windows).zip(&part.at) {
            let region = self.space.device(&window.name, window.size, number, n).map_err(bad)?;
            self.map(region, *range)?;
        }
        if matches!(part.kind, Kind::Plic | Kind::Aplic) {
            self.controller = Some(number);
        }
        self.machine.install(number, name, device);
        Ok(())
    }

    /// Input `line` of every hart.
    fn harts(&mut self, line: u32) -> Vec<IrqLine> {
        (0..self.config.smp.cpus).map(|cpu| self.machine.line(Sink::Cpu { cpu, line })).collect()
    }

    /// A part's wire to the interrupt controller.
    fn irq(&mut self, part: &Part) -> IrqLine {
        self.wire(part.irqs.first().copied())
    }

    fn wire(&mut self, pin: Option<u32>) -> IrqLine {
        let sink = self.controller.zip(pin).map_or(Sink::Open, |(device, pin)| Sink::Device { device, pin });
        self.machine.line(sink)
    }

    fn serial(&mut self, port: Port) -> Result<Box<dyn tern_core::backend::CharSink>, BoardError> {
        let n = self.serials;
        self.serials += 1;
        let Some(id) = self.config.serials.get(n).and_then(Option::as_deref) else { return Ok(Box::new(Nowhere)) };
        let user = User { path: format!("/machine/serial{n}"), port };
        self.backends.chardev(id, user).map_err(|why| bad(format!("serial: {why}")))
    }

    fn rtc(&mut self, part: &Part) -> Result<(), BoardError> {
        let base = match self.config.rtc {
            RtcBase::At(ns) => ns,
            RtcBase::Utc => self.backends.wall_clock_ns(),
        };
        self.device("rtc", part, |b, kit, _| Ok(Box::new(GoldfishRtc::new(kit, b.irq(part), base))))
    }

    fn plic(&mut self, part: &Part) -> Result<(), BoardError> {
        let config = PlicConfig {
            sources: self.plan.parts.sources - 1,
            priority_mask: (1 << PRIORITY_BITS) - 1,
            edges: Vec::new(),
            size: part.range().size,
        };
        self.device("plic", part, |b, kit, _| {
            let (machine, supervisor) = (b.harts(line::MEI), b.harts(line::SEI));
            let contexts = machine.into_iter().zip(supervisor).flat_map(|(m, s)| [m, s]).collect();
            Ok(Box::new(Plic::new(kit, &config, contexts)))
        })
    }

    fn aplic(&mut self, part: &Part) -> Result<(), BoardError> {
        let (msi, sources) = (self.plan.parts.aia == Aia::AplicImsic, self.plan.parts.sources);
        self.device("aplic", part, |b, kit, _| {
            let domain = |machine, parent, lines| DomainConfig { machine, parent, lines };
            let domains = vec![domain(true, None, b.harts(line::MEI)), domain(false, Some(0), b.harts(line::SEI))];
            let size = part.range().size;
            let config = AplicConfig { sources, priority_bits: PRIORITY_BITS, msi, domains, size };
            Ok(Box::new(Aplic::new(kit, config)))
        })
    }

    fn imsic(&mut self, part: &Part) -> Result<(), BoardError> {
        let machine = part.kind == Kind::ImsicM;
        let (own, name) = if machine { (line::MEI, "imsic-m") } else { (line::SEI, "imsic-s") };
        let guests = if machine { 0 } else { self.plan.parts.guests };
        let cpus = self.config.smp.cpus;
        let config = ImsicConfig { machine, ids: self.plan.parts.msi_ids, guests, groups: vec![cpus as usize] };
        self.device(name, part, |b, kit, _| {
            let inputs = || core::iter::once(own).chain((1..=guests).map(|n| line::GUEST_FILE + n));
            let lines = (0..cpus).map(|cpu| inputs().map(|line| b.machine.line(Sink::Cpu { cpu, line })).collect());
            let lines = lines.collect();
            Ok(Box::new(Imsic::new(kit, config, lines)))
        })
    }

    fn fw_cfg(&mut self, part: &Part) -> Result<(), BoardError> {
        let config = self.config;
        // Firmware in flash loads the kernel by itself.
        let from_flash = config.flash[0].is_some();
        let kernel = config.kernel.as_ref().filter(|_| from_flash);
        self.device("fw-cfg", part, |_, kit, _| {
            let mut device = FwCfg::new(kit);
            let cpus = (config.smp.cpus as u16).to_le_bytes();
            device.add_bytes(key::NB_CPUS, cpus).map_err(bad)?;
            if let Some(uuid) = config.uuid {
                device.add_bytes(key::UUID, uuid).map_err(bad)?;
            }
            if let Some(kernel) = kernel {
                let initrd = config.initrd.as_ref();
                let files = [
                    (Some(kernel), "kernel", key::KERNEL_SIZE, key::KERNEL_DATA),
                    (initrd, "initrd", key::INITRD_SIZE, key::INITRD_DATA),
                ];
                for (path, role, size_key, data_key) in files {
                    let Some(path) = path else { continue };
                    let bytes = tern_host::file::read_limited(path, MAX_ITEM);
                    let bytes = bytes.map_err(|e| BoardError::file(role, path, e))?;
                    device.add_bytes(size_key, (bytes.len() as u32).to_le_bytes()).map_err(bad)?;
                    device.add_bytes(data_key, bytes).map_err(bad)?;
                }
                let line: Vec<u8> = config.append.bytes().chain([0]).collect();
                device.add_bytes(key::CMDLINE_SIZE, (line.len() as u32).to_le_bytes()).map_err(bad)?;
                device.add_bytes(key::CMDLINE_DATA, line).map_err(bad)?;
            }
            for item in &config.fw_cfg {
                let bytes = match &item.content {
                    FwCfgContent::Bytes(bytes) => bytes.clone(),
                    FwCfgContent::File(path) => tern_host::file::read_limited(path, MAX_ITEM)
                        .map_err(|e| BoardError::file("fw_cfg item", path, e))?,
                };
                device.add_file(&item.name, bytes).map_err(|e| bad(format!("fw_cfg item {}: {e}", item.name)))?;
            }
            Ok(Box::new(device))
        })
    }

    fn flash(&mut self, part: &Part) -> Result<(), BoardError> {
        for (n, (range, drive)) in part.at.iter().zip(&self.config.flash).enumerate() {
            let name = format!("flash{n}");
            let place = self.machine.place(&name);
            let block = self.space.block(&format!("virt.{name}"), range.size).map_err(bad)?;
            let region = self.space.rom_device(&block, place.number, 0);
            let array = Array { block, space: self.space.clone(), region };
            let user = || User { path: format!("/machine/{name}"), port: Port { device: place.number, port: 0 } };
            let medium = drive.as_deref().map(|drive| self.backends.drive(drive, user())).transpose();
            let medium = medium.map_err(|why| bad(format!("{name}: {why}")))?;
            let device = CfiFlash::new(place.kit, FLASH, array, medium).map_err(|e| bad(format!("{name}: {e}")))?;
            self.map(region, *range)?;
            self.machine.install(place.number, &name, Box::new(device));
        }
        Ok(())
    }

    /// What stands in for machine mode.
    fn firmware(&mut self) {
        let First::Supervisor(entry) = self.plan.boot.first else { return };
        let parts = &self.plan.parts;
        let msi = parts.find(Kind::ImsicM).zip(parts.find(Kind::ImsicS)).map(|(machine, supervisor)| Msi {
            machine: machine.range().base,
            supervisor: supervisor.range().base,
            hart_bits: self.config.smp.cpus.next_power_of_two().trailing_zeros(),
            supervisor_shift: (parts.guests + 1).next_power_of_two().trailing_zeros(),
        });
        let aplic = parts.find(Kind::Aplic);
        let aplic = aplic.map(|part| SbiAplic { base: part.range().base, sources: parts.sources, msi });
        let config = SbiConfig {
            isa: self.plan.cpu.isa_string.clone(),
            entry,
            dtb: self.plan.dtb_at,
            uart: parts.find(Kind::Uart).map(|part| part.range().base),
            aplic,
            tick_ns: TICK_NS,
        };
        let sbi = Sbi::new(config, self.plan.cpu.frontend.layout());
        self.machine.set_firmware(Box::new(sbi));
    }
}

#[cfg(all(test, feature = "riscv64"))]
mod tests;
