//! Interrupts of the 82576 (82576 datasheet, 7.3): causes, extended causes with a vector each, throttling, the pin, MSI.

use super::super::gate::Gate;
use super::super::stats::at;
use super::Igb;
use serde::{Deserialize, Serialize};

/// Vectors of MSI-X.
pub(super) const VECTORS: usize = 25;
/// Their bits in the extended registers.
pub(super) const VECTOR_BITS: u32 = 0x01ff_ffff;
/// Extended cause without MSI-X mode: any other cause.
const OTHER: u32 = 1 << 31;
/// Bits of the extended registers without MSI-X mode.
const LEGACY_BITS: u32 = 0xc000_ffff;

/// Causes.
pub(super) mod cause {
    pub(in super::super) const TXDW: u32 = 1;
    pub(in super::super) const LSC: u32 = 1 << 2;
    pub(in super::super) const RXDMT0: u32 = 1 << 4;
    pub(in super::super) const RXO: u32 = 1 << 6;
    pub(in super::super) const RXDW: u32 = 1 << 7;
    pub(in super::super) const MDAC: u32 = 1 << 9;
    pub(super) const DRSTA: u32 = 1 << 30;
    pub(super) const ASSERTED: u32 = 1 << 31;
    /// Those that can be unmasked.
    pub(super) const ALL: u32 = 0x77d4_fbfd;
}

/// General-purpose interrupt enable: reads clear everything, vectors for queues, masks follow interrupts.
const NSICR: u32 = 1;
const MSIX_MODE: u32 = 1 << 4;
const EIAME: u32 = 1 << 30;
/// An entry of the vector allocation registers is valid.
const VALID: u32 = 0x80;

/// The state.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Irq {
    pub(super) icr: u32,
    pub(super) ims: u32,
    pub(super) iam: u32,
    pub(super) eicr: u32,
    pub(super) eims: u32,
    pub(super) eiac: u32,
    pub(super) eiam: u32,
    pub(super) gpie: u32,
    pub(super) ivar: [u32; 8],
    pub(super) ivar_misc: u32,
    pub(super) eitr: [u32; VECTORS],
    gates: [Gate; VECTORS],
    /// Is the pin asserted?
    asserted: bool,
}

impl Default for Irq {
    fn default() -> Irq {
        Irq {
            icr: 0,
            ims: 0,
            iam: 0,
            eicr: 0,
            eims: 0,
            eiac: 0,
            eiam: 0,
            gpie: 0,
            ivar: [0; 8],
            ivar_misc: 0,
            eitr: [0; VECTORS],
            gates: [Gate::default(); VECTORS],
            asserted: false,
        }
    }
}

impl Irq {
    /// Can it be so?
    pub(super) fn fits(&self) -> bool {
        self.ims & !cause::ALL == 0 && self.eiac & !VECTOR_BITS == 0
    }

    /// The least time between two interrupts of a vector, in nanoseconds: bits 14 to 2 count microseconds.
    fn interval(&self, vector: usize) -> u64 {
        u64::from(self.eitr[vector] >> 2 & 0x1fff) * 1000
    }

    /// The bits of the extended registers that there are in this mode.
    fn extended(&self) -> u32 {
        if self.gpie & MSIX_MODE != 0 { VECTOR_BITS } else { LEGACY_BITS }
    }
}

/// The extended cause of an entry of the vector allocation registers.
fn vector_bit(entry: u32) -> u32 {
    if entry & VALID != 0 { 1 << (entry & 0x1f) & VECTOR_BITS } else { 0 }
}

impl Igb {
    fn msix_on(&self) -> bool {
        self.msix.enabled(&self.config)
    }

    /// The extended cause of a queue: queue n and n + 8 share a register.
    pub(super) fn queue_cause(&self, queue: usize, tx: bool) -> u32 {
        let shift = queue / 8 * 16 + if tx { 8 } else { 0 };
        vector_bit(self.s.irq.ivar[queue % 8] >> shift)
    }

    /// Something has happened: causes, and extended ones.
    pub(super) fn raise(&mut self, causes: u32, extended: u32) {
        let old = self.pending();
        let irq = &mut self.s.irq;
        irq.icr |= causes & !cause::ASSERTED;
        irq.eicr |= extended & irq.extended();
        self.settle(old);
    }

    /// The driver unmasks causes.
    pub(super) fn unmask(&mut self, causes: u32, extended: u32) {
        let old = self.pending();
        let irq = &mut self.s.irq;
        irq.ims |= causes & cause::ALL;
        irq.eims |= extended & irq.extended();
        self.settle(old);
    }

    /// The driver masks causes.
    pub(super) fn mask(&mut self, causes: u32, extended: u32) {
        self.s.irq.ims &= !causes;
        self.s.irq.eims &= !extended;
        self.drive();
    }

    pub(super) fn set_gpie(&mut self, value: u32) {
        self.s.irq.gpie = value & 0xc000_0f91;
        self.drive();
    }

    /// What is pending and not masked.
    fn pending(&self) -> (u32, u32) {
        let irq = &self.s.irq;
        (irq.icr & irq.ims, irq.eicr & irq.eims)
    }

    /// Causes or masks have changed; before that, `old` was pending.
    fn settle(&mut self, old: (u32, u32)) {
        let irq = &mut self.s.irq;
        let new = irq.icr & irq.ims & !old.0;
        if irq.icr & !cause::ASSERTED != 0 {
            irq.icr |= cause::ASSERTED;
        }
        if irq.gpie & MSIX_MODE == 0 {
            if new != 0 {
                irq.eicr |= OTHER;
                self.interrupt();
            }
            return self.drive();
        }
        if new & cause::DRSTA != 0 {
            irq.eicr |= vector_bit(irq.ivar_misc);
        }
        if new & !cause::DRSTA != 0 {
            irq.eicr |= vector_bit(irq.ivar_misc >> 8);
        }
        let vectors = irq.eicr & irq.eims & !old.1;
        (0..VECTORS).filter(|n| vectors >> n & 1 != 0).for_each(|n| self.send(n));
        self.drive();
    }

    /// An interrupt without MSI-X mode, unless the last one was a moment ago.
    fn interrupt(&mut self) {
        let interval = self.s.irq.interval(0);
        if !self.s.irq.gates[0].pass(&self.kit.clock, 0, interval) {
            return;
        }
        self.s.mac.stats.count(at::IAC);
        if self.msix_on() {
            self.msix.notify(&self.config, &self.kit.messenger, 0);
        } else if self.msi.enabled(&self.config) {
            self.msi.notify(&mut self.config, &self.kit.messenger);
        } else {
            self.s.irq.asserted = true;
        }
    }

    /// Sends a vector, unless the last one was a moment ago; masks and causes follow.
    fn send(&mut self, vector: usize) {
        let interval = self.s.irq.interval(vector);
        if !self.s.irq.gates[vector].pass(&self.kit.clock, vector as u32, interval) {
            return;
        }
        self.msix.notify(&self.config, &self.kit.messenger, vector as u16);
        let irq = &mut self.s.irq;
        irq.eicr &= !(irq.eiac & 1 << vector);
        if irq.gpie & EIAME != 0 {
            irq.eims &= !(irq.eiam & 1 << vector);
        }
    }

    /// The pin follows, unless messages are on.
    pub(super) fn drive(&mut self) {
        let irq = &mut self.s.irq;
        if irq.gpie & MSIX_MODE != 0 || irq.icr & irq.ims == 0 {
            irq.asserted = false;
            if irq.gpie & MSIX_MODE == 0 {
                irq.eicr &= !OTHER;
                irq.gates[0].held = false;
            }
        }
        let asserted = irq.asserted;
        let level = asserted && !self.msix_on() && !self.msi.enabled(&self.config);
        self.config.set_intx(level);
    }

    /// A throttle opens.
    pub(super) fn opened(&mut self, vector: usize) {
        if !core::mem::take(&mut self.s.irq.gates[vector].held) {
            return;
        }
        if self.s.irq.gpie & MSIX_MODE != 0 {
            self.send(vector);
        } else if vector == 0 && self.pending().0 != 0 && !self.s.irq.asserted {
            self.interrupt();
        }
        self.drive();
    }

    /// The driver reads the causes, which clears them and may mask some.
    pub(super) fn read_icr(&mut self) -> u64 {
        let msix = self.msix_on();
        let irq = &mut self.s.irq;
        let value = irq.icr;
        let (all, asserted) = (irq.gpie & NSICR != 0, value & cause::ASSERTED != 0);
        if all || irq.ims == 0 || asserted || !msix {
            irq.icr = 0;
        }
        if all || irq.ims != 0 && asserted {
            irq.ims &= !irq.iam;
        }
        self.drive();
        u64::from(value)
    }

    /// The driver clears causes.
    pub(super) fn write_icr(&mut self, value: u32) {
        let irq = &mut self.s.irq;
        if irq.gpie & NSICR != 0 || irq.ims != 0 && irq.icr & cause::ASSERTED != 0 {
            irq.ims &= !irq.iam;
        }
        irq.icr &= !value;
        if irq.icr & !cause::ASSERTED == 0 {
            irq.icr = 0;
        }
        self.drive();
    }

    /// The driver reads the extended causes, which clears them.
    pub(super) fn read_eicr(&mut self) -> u64 {
        let value = core::mem::take(&mut self.s.irq.eicr);
        u64::from(value)
    }

    /// The driver clears extended causes.
    pub(super) fn clear(&mut self, value: u32) {
        self.s.irq.eicr &= !value;
    }

    /// The driver clears pending bits of MSI-X.
    pub(super) fn clear_pending(&mut self, vectors: u32) {
        (0..VECTORS).filter(|n| vectors >> n & 1 != 0).for_each(|n| self.msix.clear_pending(n as u16));
    }
}
