//! A machine under a debugger: what stops its CPUs, one instruction at a time, memory as people want to see it.
//!
//! None of it changes what the guest does: a stop is where a run to that position would have ended, and the CPU whose turn it
//! cuts off goes on with the rest of that.

use super::{Hart, Machine};
use tern_core::device::Bus as _;
use tern_core::engine::{Event, Platform};
use tern_core::mem::{Access, GuestMemory, MemFault, PAGE_MASK, PAGE_SIZE, PageRef, Size};
use tern_core::stops::{Stops, Touched};

/// Why a CPU has stopped for a debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugStop {
    /// There is a breakpoint before its next instruction.
    Breakpoint {
        /// The CPU.
        cpu: usize,
    },
    /// Its last instruction touched watched memory.
    Watch {
        /// The CPU.
        cpu: usize,
        /// What was touched.
        touched: Touched,
    },
    /// It has retired the one instruction that it was to, or has taken a trap.
    Step {
        /// The CPU.
        cpu: usize,
    },
}

/// What a machine knows of its debugger.
#[derive(Default)]
pub(super) struct Debug {
    /// Why it has stopped, until somebody asks.
    pub(super) stop: Option<DebugStop>,
    /// The CPU that is to run one instruction.
    pub(super) step: Option<usize>,
    /// Traps in a row before the stop that cut a turn off.
    pub(super) traps: u64,
}

impl Machine {
    /// From now on these stop its CPUs: [`super::Ended::Debug`].
    pub fn set_stops(&mut self, stops: &Stops) {
        self.engine.set_stops(stops);
    }

    /// A breakpoint where the CPU stands does not stop it this time.
    pub fn pass(&mut self, cpu: usize) {
        if let Some(Hart { cpu, .. }) = self.harts.get(cpu) {
            self.engine.pass(*cpu);
        }
    }

    /// The CPU that is to stop when it has retired one instruction or taken a trap; its turn comes when it comes.
    pub fn set_step(&mut self, cpu: Option<usize>) {
        self.debug.step = cpu;
    }

    /// Why a CPU has stopped for its debugger, if one has since the last call.
    pub fn take_debug_stop(&mut self) -> Option<DebugStop> {
        self.debug.stop.take()
    }

    /// The CPU that ran last, or whose turn is cut off.
    #[must_use]
    pub fn last_cpu(&self) -> usize {
        self.unfinished.map_or(self.fabric.current as usize, |(cpu, _)| cpu)
    }

    /// As [`Machine::control_register`]; which CPU runs stays as it is.
    pub fn control_debug(&mut self, cpu: usize, number: u32, write: Option<u64>) -> Option<u64> {
        let before = (self.fabric.current, self.fabric.position.base);
        let value = self.control_register(cpu, number, write);
        (self.fabric.current, self.fabric.position.base) = before;
        value
    }

    /// The physical address that a debugger means by a virtual one: by the translation of loads, else of fetches.  What a
    /// walk would note in the guest's tables is not noted.
    pub fn translate_debug(&mut self, cpu: usize, addr: u64) -> Option<u64> {
        let state = self.engine.state(self.harts.get(cpu)?.cpu);
        let system = self.frontend.system()?;
        [Access::Load, Access::Fetch].into_iter().find_map(|access| {
            let mut quiet = Quiet { platform: &mut self.fabric, written: Vec::new() };
            let found = system.walk(state, &mut quiet, addr, access, 0);
            quiet.restore();
            found.ok().map(|m| m.phys)
        })
    }

    /// Copies memory out at a virtual address of a CPU; how many bytes there are.  Devices are not read.
    pub fn read_debug(&mut self, cpu: usize, addr: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(buf.len() - done);
            let Some(phys) = self.translate_debug(cpu, at) else { break };
            if self.fabric.space.read(phys, &mut buf[done..done + n]).is_err() {
                break;
            }
            done += n;
        }
        done
    }

    /// Copies memory in, whatever the guest's tables say about writing; how many bytes.  Devices are not written to.
    pub fn write_debug(&mut self, cpu: usize, addr: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let at = addr.wrapping_add(done as u64);
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(bytes.len() - done);
            let Some(phys) = self.translate_debug(cpu, at) else { break };
            if self.fabric.space.write(phys, &bytes[done..done + n]).is_err() {
                break;
            }
            done += n;
        }
        done
    }
}

/// A platform on which a walk leaves no traces: pages that it wants to write to are put back afterwards.
struct Quiet<'a> {
    platform: &'a mut dyn Platform,
    written: Vec<(PageRef, Box<[u8]>)>,
}

impl Quiet<'_> {
    fn restore(self) {
        for (page, bytes) in self.written.iter().rev() {
            // It was read a moment ago.
            let _ = page.span.write(0, bytes);
        }
    }
}

impl GuestMemory for Quiet<'_> {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        let page = self.platform.page(addr, access, mode)?;
        if access == Access::Store {
            let mut bytes = vec![0; page.span.len()].into_boxed_slice();
            if page.span.read(0, &mut bytes) {
                self.written.push((page, bytes));
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

    fn device_load(&mut self, addr: u64, _mode: u8, _size: Size) -> Result<u64, MemFault> {
        Err(MemFault { addr, access: Access::Load, kind: tern_core::mem::FaultKind::Bus })
    }
}

impl Platform for Quiet<'_> {
    fn time_ns(&mut self, icount: u64) -> u64 {
        self.platform.time_ns(icount)
    }

    fn event(&mut self, _event: Event, _text: core::fmt::Arguments<'_>) {}
}
