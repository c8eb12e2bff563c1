//! Interrupts of the 8254x family and the 82574 (8254x manual, 3.2.7 and 13.4.17; 82574 datasheet, 7.4): causes, delays,
//! throttling, the pin, MSI, and MSI-X with five vectors.

use super::super::gate::Gate;
use super::super::stats::at;
use super::{Gbe, token};
use serde::{Deserialize, Serialize};

/// Vectors of MSI-X.
pub(super) const VECTORS: usize = 5;

/// Causes.
pub(super) mod cause {
    pub(in super::super) const TXDW: u32 = 1;
    pub(in super::super) const TXQE: u32 = 1 << 1;
    pub(in super::super) const LSC: u32 = 1 << 2;
    pub(in super::super) const RXDMT0: u32 = 1 << 4;
    pub(in super::super) const RXO: u32 = 1 << 6;
    pub(in super::super) const RXT0: u32 = 1 << 7;
    pub(in super::super) const MDAC: u32 = 1 << 9;
    pub(in super::super) const RXQ0: u32 = 1 << 20;
    pub(in super::super) const RXQ1: u32 = 1 << 21;
    pub(in super::super) const TXQ0: u32 = 1 << 22;
    pub(in super::super) const TXQ1: u32 = 1 << 23;
    pub(super) const OTHER: u32 = 1 << 24;
    pub(super) const ASSERTED: u32 = 1 << 31;
    /// Those that OTHER stands for: link, overrun, MDIO, small packets, acknowledgements, management.
    pub(super) const OTHERS: u32 = LSC | RXO | MDAC | 1 << 16 | 1 << 17 | 1 << 18;
    /// Those that can be raised at all.
    pub(super) const ALL: u32 = 0x01ff_ffff;
}

/// Where the causes with a vector of their own have it in IVAR.
const VECTOR_OF: [(u32, u32); VECTORS] =
    [(cause::RXQ0, 0), (cause::RXQ1, 4), (cause::TXQ0, 8), (cause::TXQ1, 12), (cause::OTHER, 16)];

/// Extended device control: clears of pending bits, and which masks follow an interrupt.
const PBA_CLR: u32 = 1 << 31;
const IAME: u32 = 1 << 27;
const EIAME: u32 = 1 << 24;
/// Delays are counted in 1.024 microseconds, throttling in 256 nanoseconds.
const DELAY: u64 = 1024;
const THROTTLE: u64 = 256;
/// Delay registers: what waits goes out now.
const FLUSH: u32 = 1 << 31;

/// The state.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Irq {
    pub(super) icr: u32,
    pub(super) ims: u32,
    pub(super) iam: u32,
    pub(super) eiac: u32,
    pub(super) ivar: u32,
    pub(super) itr: u32,
    pub(super) eitr: [u32; VECTORS],
    pub(super) rdtr: u32,
    pub(super) radv: u32,
    pub(super) tidv: u32,
    pub(super) tadv: u32,
    gate: Gate,
    gates: [Gate; VECTORS],
    /// Is the pin asserted?
    asserted: bool,
    /// Causes that wait for a delay to end.
    delayed: u32,
    rx_waits: bool,
    tx_waits: bool,
}

impl Irq {
    /// Can it be so?
    pub(super) fn fits(&self) -> bool {
        let mut halves = [self.itr, self.rdtr, self.radv, self.tidv, self.tadv].into_iter().chain(self.eitr);
        halves.all(|value| value <= 0xffff) && (self.ims | self.delayed) & !cause::ALL == 0
    }
}

impl Gbe {
    fn msix_on(&self) -> bool {
        self.msix.as_ref().is_some_and(|msix| msix.enabled(&self.config))
    }

    /// The cause for what a queue has done.
    pub(super) fn queue_cause(&self, queue: usize, tx: bool) -> u32 {
        match (self.msix_on(), tx, queue) {
            (false, true, _) => cause::TXDW,
            (false, false, _) => cause::RXT0,
            (true, true, 0) => cause::TXQ0,
            (true, true, _) => cause::TXQ1,
            (true, false, 0) => cause::RXQ0,
            (true, false, _) => cause::RXQ1,
        }
    }

    /// Something has happened.
    pub(super) fn raise(&mut self, causes: u32) {
        let old = self.s.irq.icr & self.s.irq.ims;
        let delayed = self.take_delayed();
        self.s.irq.icr |= (causes | delayed) & cause::ALL;
        self.settle(old);
    }

    /// The driver unmasks causes.
    pub(super) fn unmask(&mut self, causes: u32) {
        let old = self.s.irq.icr & self.s.irq.ims;
        if self.s.mac.ctrl_ext & PBA_CLR != 0 && self.msix_on() {
            for (_, vector) in self.vectors(causes) {
                self.clear_vector(vector);
            }
        }
        self.s.irq.ims |= causes & cause::ALL;
        self.settle(old);
    }

    /// The driver masks causes.
    pub(super) fn mask(&mut self, causes: u32) {
        self.s.irq.ims &= !causes;
        self.drive();
    }

    /// The driver reads the causes, which clears them; the 82574 keeps them if they are for MSI-X and have not been seen.
    pub(super) fn read_icr(&mut self) -> u64 {
        let msix = self.msix_on();
        let irq = &mut self.s.irq;
        let value = irq.icr;
        let auto = irq.icr & cause::ASSERTED != 0 && self.s.mac.ctrl_ext & IAME != 0;
        if !msix || irq.ims == 0 || auto || irq.icr & irq.ims != 0 {
            irq.icr = 0;
        }
        if auto {
            irq.ims &= !irq.iam;
        }
        self.drive();
        u64::from(value)
    }

    /// The driver clears causes.
    pub(super) fn write_icr(&mut self, value: u32) {
        let irq = &mut self.s.irq;
        if irq.icr & cause::ASSERTED != 0 && self.s.mac.ctrl_ext & IAME != 0 {
            irq.ims &= !irq.iam;
        }
        let others = if value & cause::OTHER != 0 && self.kind.queues > 1 { cause::OTHERS } else { 0 };
        irq.icr &= !(value | others);
        self.mark();
        self.drive();
    }

    /// The 82574 says in the causes whether there are any.
    fn mark(&mut self) {
        let irq = &mut self.s.irq;
        irq.icr &= !cause::ASSERTED;
        if irq.icr != 0 && self.kind.queues > 1 {
            irq.icr |= cause::ASSERTED;
        }
    }

    /// Causes or masks have changed; before that, `old` was pending.
    fn settle(&mut self, old: u32) {
        let msix = self.msix_on();
        if msix && self.s.irq.icr & cause::OTHERS != 0 {
            self.s.irq.icr |= cause::OTHER;
        }
        self.mark();
        let new = self.s.irq.icr & self.s.irq.ims & !old;
        if new != 0 && msix {
            self.send_vectors(new);
            self.mark();
        } else if new != 0 {
            self.interrupt();
        }
        self.drive();
    }

    /// An interrupt by MSI or the pin, unless the last one was a moment ago.
    fn interrupt(&mut self) {
        let interval = u64::from(self.s.irq.itr) * THROTTLE;
        if !self.s.irq.gate.pass(&self.kit.clock, token::ITR, interval) {
            return;
        }
        self.s.mac.stats.count(at::IAC);
        match &self.msi {
            Some(msi) if msi.enabled(&self.config) => msi.notify(&mut self.config, &self.kit.messenger),
            _ => self.s.irq.asserted = true,
        }
    }

    /// Vectors of causes, as far as they have some.
    fn vectors(&self, causes: u32) -> Vec<(u32, usize)> {
        let entry = |(bit, shift): &(u32, u32)| {
            let entry = self.s.irq.ivar >> shift & 0xf;
            let vector = (entry & 7) as usize;
            (causes & bit != 0 && entry & 8 != 0 && vector < VECTORS).then_some((*bit, vector))
        };
        VECTOR_OF.iter().filter_map(entry).collect()
    }

    fn send_vectors(&mut self, new: u32) {
        for (bit, vector) in self.vectors(new) {
            let interval = u64::from(self.s.irq.eitr[vector]) * THROTTLE;
            if self.s.irq.gates[vector].pass(&self.kit.clock, token::EITR + vector as u32, interval) {
                self.notify(vector);
            }
            let (irq, ext) = (&mut self.s.irq, self.s.mac.ctrl_ext);
            let clear = irq.eiac & bit;
            irq.icr &= !clear;
            if ext & IAME == 0 {
                irq.ims &= !clear;
            }
            if ext & EIAME != 0 {
                irq.ims &= !(irq.iam & bit);
            }
        }
    }

    fn notify(&mut self, vector: usize) {
        if let Some(msix) = &mut self.msix {
            msix.notify(&self.config, &self.kit.messenger, vector as u16);
        }
    }

    /// Forgets that a vector is pending.
    fn clear_vector(&mut self, vector: usize) {
        if let Some(msix) = &mut self.msix {
            msix.clear_pending(vector as u16);
        }
    }

    /// The driver clears pending bits of MSI-X.
    pub(super) fn clear_pending(&mut self, vectors: u32) {
        (0..VECTORS).filter(|n| vectors >> n & 1 != 0).for_each(|n| self.clear_vector(n));
    }

    /// The pin follows, unless messages are on.
    pub(super) fn drive(&mut self) {
        let irq = &mut self.s.irq;
        if irq.icr & irq.ims == 0 {
            irq.asserted = false;
            irq.gate.held = false;
        }
        let asserted = irq.asserted;
        let msi = self.msi.as_ref().is_some_and(|msi| msi.enabled(&self.config));
        let level = asserted && !msi && !self.msix_on();
        self.config.set_intx(level);
    }

    /// A throttle opens.
    pub(super) fn opened(&mut self, number: u32) {
        if number == token::ITR {
            let irq = &mut self.s.irq;
            if core::mem::take(&mut irq.gate.held) && irq.icr & irq.ims != 0 && !irq.asserted {
                self.interrupt();
            }
            return self.drive();
        }
        let vector = (number - token::EITR) as usize;
        if core::mem::take(&mut self.s.irq.gates[vector].held) {
            let interval = u64::from(self.s.irq.eitr[vector]) * THROTTLE;
            if self.s.irq.gates[vector].pass(&self.kit.clock, number, interval) {
                self.notify(vector);
            }
        }
    }

    /// A frame was received: an interrupt, at once or after the receive delays.
    pub(super) fn received(&mut self, causes: u32) {
        let irq = &mut self.s.irq;
        if irq.rdtr == 0 || causes & !cause::RXT0 != 0 {
            return self.raise(causes);
        }
        let (now, clock) = (self.kit.clock.now(), &self.kit.clock);
        clock.schedule(token::RDTR, now.saturating_add(u64::from(irq.rdtr) * DELAY));
        if irq.radv != 0 && !irq.rx_waits {
            clock.schedule(token::RADV, now.saturating_add(u64::from(irq.radv) * DELAY));
        }
        irq.rx_waits = true;
        irq.delayed |= causes;
    }

    /// Descriptors were written back: an interrupt, at once or after the transmit delays.
    pub(super) fn sent(&mut self, causes: u32, delay: bool) {
        let irq = &mut self.s.irq;
        if !delay || irq.tidv == 0 || causes & !(cause::TXDW | cause::TXQE) != 0 {
            return self.raise(causes);
        }
        let (now, clock) = (self.kit.clock.now(), &self.kit.clock);
        clock.schedule(token::TIDV, now.saturating_add(u64::from(irq.tidv) * DELAY));
        if irq.tadv != 0 && !irq.tx_waits {
            clock.schedule(token::TADV, now.saturating_add(u64::from(irq.tadv) * DELAY));
        }
        irq.tx_waits = true;
        irq.delayed |= causes;
    }

    /// The causes that wait for a delay: an interrupt takes them along.
    fn take_delayed(&mut self) -> u32 {
        for token in [token::RDTR, token::RADV, token::TIDV, token::TADV] {
            self.kit.clock.cancel(token);
        }
        let irq = &mut self.s.irq;
        (irq.rx_waits, irq.tx_waits) = (false, false);
        core::mem::take(&mut irq.delayed)
    }

    pub(super) fn set_rdtr(&mut self, value: u32) {
        self.s.irq.rdtr = value & 0xffff;
        if value & FLUSH != 0 {
            self.raise(0);
        }
    }

    pub(super) fn set_tidv(&mut self, value: u32) {
        self.s.irq.tidv = value & 0xffff;
        if value & FLUSH != 0 {
            self.raise(0);
        }
    }
}
