//! tern's own SBI: what a RISC-V kernel calls in place of machine-mode firmware (RISC-V Supervisor Binary Interface
//! Specification, version 2.0).
//!
//! Harts begin in S mode with everything delegated to it; a call (`ecall` from S) is answered here, without any code in
//! the guest.  Extensions: base, TIME, IPI, RFENCE, HSM, SRST, DBCN and the legacy ones.  There is no PMU extension: the
//! counters `cycle` and `instret` can be read without it.
//!
//! To add an extension: its file, with a row `EXTENSION`, and its name in `EXTENSIONS`.

mod base;
mod console;
mod hsm;
mod ipi;
mod legacy;
mod regs;
mod reset;
mod timer;

use regs::Regs;
use serde::{Deserialize, Serialize};
use tern_core::device::Request;
use tern_core::engine::Stop;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError};
use tern_core::state::StateLayout;
use tern_core::system::Reset;
use tern_session::firmware::{Firmware, FirmwareHost};

/// What a call answers (section 3, table 1): a value, or an error.
type Answer = Result<u64, Error>;

/// Errors of calls (section 3, table 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
enum Error {
    NotSupported = -2,
    InvalidParam = -3,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
}

/// An extension: its number (EID) and what answers its functions.
struct Extension {
    id: u64,
    call: fn(&mut Call<'_>, function: u64) -> Answer,
}

/// All extensions but the legacy ones, which have a calling convention of their own.
static EXTENSIONS: [&Extension; 7] = [
    &base::EXTENSION,
    &timer::EXTENSION,
    &ipi::EXTENSION,
    &ipi::RFENCE,
    &hsm::EXTENSION,
    &reset::EXTENSION,
    &console::EXTENSION,
];

/// Causes and interrupt inputs (The RISC-V Instruction Set Manual, volume II, section 3.1.9 and 3.1.15).
const CAUSE_ECALL_S: u32 = 9;
const LINE_SSI: u32 = 1;
const LINE_STI: u32 = 5;

/// What the built-in SBI has to know of its machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SbiConfig {
    /// Extensions of the harts as the ISA writes them.
    pub isa: String,
    /// Where the kernel begins.
    pub entry: u64,
    /// Where the device tree lies.
    pub dtb: u64,
    /// The 16550 of the debug console.
    pub uart: Option<u64>,
    /// The APLIC domain of machine level, if there is one.
    pub aplic: Option<Aplic>,
    /// Nanoseconds of a tick of `time`.
    pub tick_ns: u64,
}

/// What machine-level firmware sets up in an APLIC: all sources belong to the supervisor's domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aplic {
    /// Its first address.
    pub base: u64,
    /// Sources, from 1 on.
    pub sources: u32,
    /// The interrupt files to which it sends messages, if it does.
    pub msi: Option<Msi>,
}

/// Where the interrupt files are (The RISC-V Advanced Interrupt Architecture, section 4.5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Msi {
    /// The first machine-level file.
    pub machine: u64,
    /// The first supervisor-level file.
    pub supervisor: u64,
    /// Bits of a hart's number (LHXW).
    pub hart_bits: u32,
    /// Binary logarithm of the supervisor-level files' distance, less 12 (LHXS).
    pub supervisor_shift: u32,
}

/// The firmware.
pub struct Sbi {
    config: SbiConfig,
    regs: Regs,
    /// Harts that have suspended themselves.
    suspended: Vec<bool>,
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    suspended: Vec<bool>,
}

const KIND: &str = "sbi";
const VERSION: u32 = 1;

/// A call that is being answered.
struct Call<'a> {
    sbi: &'a mut Sbi,
    host: &'a mut dyn FirmwareHost,
    cpu: usize,
    args: [u64; 6],
}

impl Sbi {
    /// The firmware of a machine whose harts have this layout.
    #[must_use]
    pub fn new(config: SbiConfig, layout: &StateLayout) -> Sbi {
        let regs = Regs::new(layout, &config.isa);
        Sbi { config, regs, suspended: Vec::new() }
    }

    /// Lets a hart begin in S mode.
    fn start(&mut self, host: &mut dyn FirmwareHost, cpu: usize, pc: u64, opaque: u64) {
        host.start_cpu(cpu, Reset { id: cpu as u64, pc, args: [cpu as u64, opaque, 0] });
        self.regs.enter_supervisor(host.state(cpu));
        if let Some(suspended) = self.suspended.get_mut(cpu) {
            *suspended = false;
        }
    }

    fn set_up_aplic(aplic: Aplic, host: &mut dyn FirmwareHost) {
        // AIA, sections 4.5.1 to 4.5.3: sourcecfg, and the root domain's message addresses.
        const SOURCECFG: u64 = 4;
        const DELEGATE_TO_CHILD_0: u64 = 1 << 10;
        const MMSIADDRCFG: u64 = 0x1bc0;
        for source in 0..u64::from(aplic.sources) {
            host.store(aplic.base + SOURCECFG + 4 * source, Size::B4, DELEGATE_TO_CHILD_0);
        }
        if let Some(msi) = aplic.msi {
            let (machine, supervisor) = (msi.machine >> 12, msi.supervisor >> 12);
            let words = [
                machine & 0xffff_ffff,
                machine >> 32 | u64::from(msi.hart_bits) << 12,
                supervisor & 0xffff_ffff,
                supervisor >> 32 | u64::from(msi.supervisor_shift) << 20,
            ];
            for (n, word) in (0..).zip(words) {
                host.store(aplic.base + MMSIADDRCFG + 4 * n, Size::B4, word);
            }
        }
    }
}

impl Call<'_> {
    /// The harts that two arguments name: a mask and the number of its first bit, all harts if that is -1.
    fn harts(&mut self, mask: u64, base: u64) -> Result<Vec<usize>, Error> {
        let all = self.host.cpus();
        if base == self.sbi.regs.mask() {
            return Ok((0..all).collect());
        }
        let mut harts = Vec::new();
        for bit in (0..64).filter(|bit| mask >> bit & 1 != 0) {
            let hart = base.checked_add(bit).filter(|h| *h < all as u64).ok_or(Error::InvalidParam)?;
            harts.push(hart as usize);
        }
        Ok(harts)
    }

    /// A 64-bit argument that begins with argument `n`: RV32 passes it in two registers.
    fn wide(&self, n: usize) -> u64 {
        if self.sbi.regs.is64() { self.args[n] } else { self.args[n] | self.args[n + 1] << 32 }
    }
}

impl Firmware for Sbi {
    fn reset(&mut self, host: &mut dyn FirmwareHost) {
        self.suspended = vec![false; host.cpus()];
        if let Some(aplic) = self.config.aplic {
            Sbi::set_up_aplic(aplic, host);
        }
        for cpu in 1..host.cpus() {
            host.stop_cpu(cpu);
        }
        self.start(host, 0, self.config.entry, self.config.dtb);
    }

    fn trap(&mut self, host: &mut dyn FirmwareHost, cpu: usize, stop: Stop) -> bool {
        let Stop::Trap { cause: CAUSE_ECALL_S, .. } = stop else { return false };
        let state = host.state(cpu);
        state.set_pc(self.regs.next_pc(state.pc()));
        let (extension, function, args) = self.regs.call(state);
        if let Some(answer) = legacy::call(&mut Call { sbi: self, host, cpu, args }, extension) {
            if let Some(answer) = answer {
                self.regs.answer_legacy(host.state(cpu), answer);
            }
            return true;
        }
        let row = EXTENSIONS.iter().find(|e| e.id == extension);
        let mut call = Call { sbi: self, host, cpu, args };
        let answer = row.map_or(Err(Error::NotSupported), |row| (row.call)(&mut call, function));
        // A hart that has been stopped, or goes on elsewhere, gets no answer.
        if answer != Ok(hsm::NO_ANSWER) || extension != hsm::EXTENSION.id {
            let (error, value) = match answer {
                Ok(value) => (0, value),
                Err(error) => (error as i64 as u64, 0),
            };
            self.regs.answer(host.state(cpu), error, value);
        }
        true
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND, VERSION, &Saved { suspended: self.suspended.clone() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved = snapshot::load(KIND, VERSION, bytes)?;
        let (there, here) = (saved.suspended.len(), self.suspended.len());
        snapshot::check(there == here, "suspended", || format!("{there} harts, this machine has {here}"))?;
        self.suspended = saved.suspended;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
