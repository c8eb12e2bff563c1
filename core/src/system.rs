//! The privileged side of a guest ISA: address translation, interrupts, exceptions, reset.  A frontend that only runs
//! programs has none.

use crate::engine::{Platform, Stop};
use crate::frontend::HelperCx;
use crate::mem::{Access, FaultKind, GuestMemory, MemFault, PAGE_MASK, PageFlags, PageRef, Size};
use crate::state::State;

/// Where a virtual page lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The physical address that belongs to the virtual one.
    pub phys: u64,
    /// The answer holds for this access only, not for all of its page (protection finer than a page).
    pub slow: bool,
}

/// A stretch of virtual memory that is mapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// Its first virtual address.
    pub virt: u64,
    /// The physical address that belongs to it.
    pub phys: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Rights and attributes, as the ISA's people write them: `rwxu-ad`.
    pub rights: String,
}

/// What a helper asks the engine to forget about address translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flush {
    /// Nothing.
    #[default]
    None,
    /// The page that holds this virtual address, in every address space.
    Page(u64),
    /// Everything.
    All,
}

impl Flush {
    /// Both.
    #[must_use]
    pub fn and(self, other: Flush) -> Flush {
        match (self, other) {
            (Flush::None, f) | (f, Flush::None) => f,
            (a, b) if a == b => a,
            _ => Flush::All,
        }
    }
}

/// The state in which a CPU begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// The CPU's number (RISC-V: hart ID).
    pub id: u64,
    /// First instruction.
    pub pc: u64,
    /// First arguments, in the ISA's argument registers.
    pub args: [u64; 3],
}

/// The privileged side of a guest ISA.
///
/// Time: a CPU's own timers (RISC-V `stimecmp`) are set through [`Platform::set_timer`]; when one is due the machine
/// raises the interrupt line of the same number.
pub trait System {
    /// Translates a virtual address for one access by MMU mode `mode` (0: what ordinary loads and stores of the current
    /// mode use).  `physical` is physical memory; tables are read there, accessed and dirty bits written there.
    ///
    /// # Errors
    /// The guest's fault: `addr` is what the exception reports, [`FaultKind::Arch`] the frontend's own cause.
    fn walk(
        &self,
        state: &State,
        physical: &mut dyn Platform,
        addr: u64,
        access: Access,
        mode: u8,
    ) -> Result<Mapping, MemFault>;

    /// A number for the address space that `state` is in: whatever was translated under the same number and mode word, and
    /// has not been flushed since, still holds.
    fn space(&self, state: &State) -> u64;

    /// What must be forgotten for `addr`, whose translation may have changed: more than its page if that is a part of a
    /// larger one; with `None` everything.
    fn forget(&self, state: &State, addr: Option<u64>) -> Flush {
        let _ = state;
        addr.map_or(Flush::All, Flush::Page)
    }

    /// Enters the handler for `stop` (a trap, a fault, or a system call, whose instruction has retired already).
    fn exception(&self, state: &mut State, physical: &mut dyn Platform, stop: Stop);

    /// Sets an interrupt input of the CPU; lines are numbered by the frontend (RISC-V: bits of `mip`).
    fn set_line(&self, state: &mut State, line: u32, level: bool);

    /// Enters the handler of the interrupt that is pending, enabled and most urgent; its cause.  `None`: there is none.
    fn interrupt(&self, state: &mut State) -> Option<u64>;

    /// Does a CPU that waits for interrupts go on?
    fn wakes(&self, state: &State) -> bool;

    /// Reads control register `number` of a CPU, or writes it, as its most privileged software could; the value that it
    /// had (`None`: there is none of this number, or it cannot be written).  For people who look at a machine, and tests:
    /// the CPU stands between two instructions, and what `cx.flush` says afterwards is to be forgotten.
    fn control_register(&self, cx: &mut HelperCx<'_>, number: u32, write: Option<u64>) -> Option<u64> {
        let _ = (cx, number, write);
        None
    }

    /// What is mapped in the address space that `state` is in, in the order of virtual addresses, neighbours with the same
    /// rights as one; `None`: this frontend does not list it.  Nothing of the guest's changes.
    fn mappings(&self, state: &State, physical: &mut dyn Platform) -> Option<Vec<Mapped>> {
        let _ = (state, physical);
        None
    }

    /// Puts a CPU into its reset state.
    fn reset(&self, state: &mut State, reset: Reset);
}

/// Memory as the guest's instructions see it: translated by the CPU's tables if there is a privileged side, as the
/// platform has it if not.
pub struct Virtual<'a> {
    /// Translates.
    pub system: Option<&'a dyn System>,
    /// The CPU.
    pub state: &'a State,
    /// What is underneath.
    pub platform: &'a mut dyn Platform,
}

impl Virtual<'_> {
    fn translate(&mut self, addr: u64, access: Access, mode: u8) -> Result<Mapping, MemFault> {
        match self.system {
            None => Ok(Mapping { phys: addr, slow: false }),
            Some(system) => system.walk(self.state, self.platform, addr, access, mode),
        }
    }
}

/// The fault of an access that got through translation and found nothing, as the virtual address.
fn bus(fault: MemFault, addr: u64) -> MemFault {
    MemFault { addr, ..fault }
}

impl GuestMemory for Virtual<'_> {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        let Some(system) = self.system else { return self.platform.page(addr, access, mode) };
        let mapping = system.walk(self.state, self.platform, addr, access, mode)?;
        let mut page = self.platform.page(mapping.phys, access, 0).map_err(|f| bus(f, addr))?;
        if mapping.slow {
            page.flags = page.flags.with(PageFlags::SLOW);
        }
        Ok(page)
    }

    fn generation(&self) -> u64 {
        self.platform.generation()
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.platform.set_code(phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.platform.take_invalidated(pages);
    }

    fn touch(&mut self, addr: u64, size: u64, access: Access) -> Result<(), MemFault> {
        self.platform.touch(addr, size, access)
    }

    fn device_load(&mut self, addr: u64, mode: u8, size: Size) -> Result<u64, MemFault> {
        let at = self.translate(addr, Access::Load, mode)?.phys;
        self.platform.device_load(at, 0, size).map_err(|f| bus(f, addr))
    }

    fn device_store(&mut self, addr: u64, mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        let at = self.translate(addr, Access::Store, mode)?.phys;
        self.platform.device_store(at, 0, size, value).map_err(|f| bus(f, addr))
    }
}

impl Platform for Virtual<'_> {
    fn time_ns(&mut self, icount: u64) -> u64 {
        self.platform.time_ns(icount)
    }

    fn event(&mut self, event: crate::engine::Event, text: core::fmt::Arguments<'_>) {
        self.platform.event(event, text);
    }

    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        self.platform.set_timer(timer, at_ns);
    }

    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        self.platform.cpu_register(register, write)
    }
}

/// Reads `size` bytes of physical memory for a table walk; `None`: there is no memory.
pub fn load_physical(physical: &mut dyn Platform, addr: u64, size: Size) -> Option<u64> {
    let page = physical.page(addr, Access::Load, 0).ok()?;
    page.span.load((addr & PAGE_MASK) as usize, size)
}

/// Replaces `old` by `new` in physical memory, little-endian; `None`: there is no memory, `Some(false)`: it was not `old`.
pub fn update_physical(physical: &mut dyn Platform, addr: u64, size: Size, old: u64, new: u64) -> Option<bool> {
    let page = physical.page(addr, Access::Store, 0).ok()?;
    page.span.compare_exchange((addr & PAGE_MASK) as usize, size, old, new).map(|seen| seen == old)
}

/// Is it a fault of physical memory, for which ISAs have an access fault?
#[must_use]
pub fn is_access_fault(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Unmapped | FaultKind::Permission | FaultKind::Bus)
}

/// The platform with its devices watched or kept away: tiers reach devices one instruction at a time, see
/// [`crate::ir::eval::eval_block`].
pub struct Careful<'a> {
    platform: &'a mut dyn Platform,
    refuse: bool,
    reached: bool,
}

impl<'a> Careful<'a> {
    /// Watches; with `refuse` an access to a device is a fault that the guest must not see.
    pub fn new(platform: &'a mut dyn Platform, refuse: bool) -> Careful<'a> {
        Careful { platform, refuse, reached: false }
    }

    /// Was a device reached?
    #[must_use]
    pub fn reached(&self) -> bool {
        self.reached && !self.refuse
    }

    /// Would a device have been reached?
    #[must_use]
    pub fn refused(&self) -> bool {
        self.reached && self.refuse
    }
}

impl GuestMemory for Careful<'_> {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        let page = self.platform.page(addr, access, mode)?;
        if page.flags.has(PageFlags::DEVICE) && access != Access::Fetch {
            self.reached = true;
            if self.refuse {
                return Err(MemFault { addr, access, kind: FaultKind::Bus });
            }
        }
        Ok(page)
    }

    fn generation(&self) -> u64 {
        self.platform.generation()
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.platform.set_code(phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.platform.take_invalidated(pages);
    }

    fn touch(&mut self, addr: u64, size: u64, access: Access) -> Result<(), MemFault> {
        self.platform.touch(addr, size, access)
    }

    fn device_load(&mut self, addr: u64, mode: u8, size: Size) -> Result<u64, MemFault> {
        self.platform.device_load(addr, mode, size)
    }

    fn device_store(&mut self, addr: u64, mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        self.platform.device_store(addr, mode, size, value)
    }
}

impl Platform for Careful<'_> {
    fn time_ns(&mut self, icount: u64) -> u64 {
        self.platform.time_ns(icount)
    }

    fn event(&mut self, event: crate::engine::Event, text: core::fmt::Arguments<'_>) {
        self.platform.event(event, text);
    }

    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        self.platform.set_timer(timer, at_ns);
    }

    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        self.reached = true;
        if self.refuse {
            return Some(0);
        }
        self.platform.cpu_register(register, write)
    }
}
