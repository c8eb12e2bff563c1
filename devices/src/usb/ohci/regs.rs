//! Registers (OHCI 1.0a, chapter 7).

use super::{FRAME_NS, Ohci, State};
use tern_core::registers;

/// Interrupts (7.1.4).
pub(super) mod interrupt {
    pub(in super::super) const DONE: u32 = 1 << 1;
    pub(in super::super) const FRAME: u32 = 1 << 2;
    pub(in super::super) const RESUME: u32 = 1 << 3;
    pub(in super::super) const ERROR: u32 = 1 << 4;
    pub(in super::super) const OVERFLOW: u32 = 1 << 5;
    pub(in super::super) const ROOT_HUB: u32 = 1 << 6;
    pub(in super::super) const MASTER: u32 = 1 << 31;
    pub(in super::super) const ALL: u32 = 0xc000_007f;
}

/// Control (7.1.2): lists that are served, and states.
pub(super) mod control {
    pub(in super::super) const PERIODIC: u32 = 1 << 2;
    pub(in super::super) const CONTROL: u32 = 1 << 4;
    pub(in super::super) const BULK: u32 = 1 << 5;
    pub(super) const STATE: u32 = 3 << 6;
    pub(super) const OPERATIONAL: u32 = 2 << 6;
    pub(super) const SUSPENDED: u32 = 3 << 6;
    pub(super) const KEPT: u32 = 0x7ff;
}

/// Command status (7.1.3).
pub(super) mod command {
    pub(super) const RESET: u32 = 1;
    pub(in super::super) const CONTROL_FILLED: u32 = 1 << 1;
    pub(in super::super) const BULK_FILLED: u32 = 1 << 2;
}

/// Frame interval after reset: 12000 bit times.
pub(super) const INTERVAL: u32 = 0x2edf;
/// Low-speed threshold after reset.
pub(super) const THRESHOLD: u32 = 0x628;
/// Root hub: power is not switched.
pub(super) const HUB_A: u32 = 1 << 9;
/// What of its two descriptors is written.
const HUB_A_KEPT: u32 = 0xff00_1900;

registers! {
    pub(super) static REGS: Ohci, "ohci", sizes [4];
    0x00 HcRevision 4 ro reset 0x10, "7.1.1", read |_, _| 0x10;
    0x04 HcControl 4 rw reset 0, "7.1.2", read |d, _| d.state.control.into(), write |d, _, v| d.set_control(v as u32);
    0x08 HcCommandStatus 4 rw reset 0, "7.1.3", read |d, _| d.state.command.into(),
        write |d, _, v| d.set_command(v as u32);
    0x0c HcInterruptStatus 4 rw reset 0, "7.1.4", read |d, _| d.state.status.into(),
        write |d, _, v| d.state.status &= !(v as u32);
    0x10 HcInterruptEnable 4 rw reset 0, "7.1.5", read |d, _| d.state.enable.into(),
        write |d, _, v| d.state.enable |= v as u32 & interrupt::ALL;
    0x14 HcInterruptDisable 4 rw reset 0, "7.1.6", read |d, _| d.state.enable.into(),
        write |d, _, v| d.state.enable &= !(v as u32);
    0x18 HcHCCA 4 rw reset 0, "7.2.1", read |d, _| d.state.area.into(), write |d, _, v| d.state.area = v as u32 & !0xff;
    0x1c HcPeriodCurrentED 4 ro reset 0, "7.2.2", read |d, _| d.state.periodic.into();
    0x20 HcControlHeadED 4 rw reset 0, "7.2.3", read |d, _| d.state.control_head.into(),
        write |d, _, v| d.state.control_head = v as u32 & !0xf;
    0x24 HcControlCurrentED 4 rw reset 0, "7.2.4", read |d, _| d.state.control_current.into(),
        write |d, _, v| d.state.control_current = v as u32 & !0xf;
    0x28 HcBulkHeadED 4 rw reset 0, "7.2.5", read |d, _| d.state.bulk_head.into(),
        write |d, _, v| d.state.bulk_head = v as u32 & !0xf;
    0x2c HcBulkCurrentED 4 rw reset 0, "7.2.6", read |d, _| d.state.bulk_current.into(),
        write |d, _, v| d.state.bulk_current = v as u32 & !0xf;
    0x30 HcDoneHead 4 ro reset 0, "7.2.7", read |d, _| d.state.done.into();
    0x34 HcFmInterval 4 rw reset 0x2edf, "7.3.1", read |d, _| d.state.interval.into(),
        write |d, _, v| d.state.interval = v as u32 & !0xc000;
    0x38 HcFmRemaining 4 ro reset 0, "7.3.2", read |d, _| d.remaining().into();
    0x3c HcFmNumber 4 ro reset 0, "7.3.3", read |d, _| d.state.number.into();
    0x40 HcPeriodicStart 4 rw reset 0, "7.3.4", read |d, _| d.state.periodic_start.into(),
        write |d, _, v| d.state.periodic_start = v as u32 & 0x3fff;
    0x44 HcLSThreshold 4 rw reset 0x628, "7.3.5", read |d, _| d.state.threshold.into(),
        write |d, _, v| d.state.threshold = v as u32 & 0xfff;
    0x48 HcRhDescriptorA 4 rw, "7.4.1", read |d, _| d.state.hub_a.into(),
        write |d, _, v| d.state.hub_a = d.state.hub_a & !HUB_A_KEPT | v as u32 & HUB_A_KEPT;
    0x4c HcRhDescriptorB 4 rw reset 0, "7.4.2", read |d, _| d.state.hub_b.into(), write |d, _, v| d.state.hub_b = v as u32;
    0x50 HcRhStatus 4 rw reset 0, "7.4.3", read |_, _| 0, write |d, _, v| d.set_hub_status(v as u32);
    0x54 [15; 4] HcRhPortStatus 4 rw, "7.4.4", read |d, i| d.port_status(i as usize),
        write |d, i, v| d.set_port_status(i as usize, v as u32);
}

impl Ohci {
    fn set_control(&mut self, value: u32) {
        let before = self.state.control;
        self.state.control = value & control::KEPT;
        let now = value & control::STATE;
        if before & control::STATE == now {
            return;
        }
        if now == control::OPERATIONAL {
            self.begin(self.kit.clock.now());
        } else {
            self.kit.clock.cancel(0);
        }
        if now == 0 {
            self.reset_ports();
        }
    }

    fn set_command(&mut self, value: u32) {
        if value & command::RESET == 0 {
            self.state.command |= value & (command::CONTROL_FILLED | command::BULK_FILLED);
            return;
        }
        // The root hub keeps what it has (7.1.3).
        self.kit.clock.cancel_all();
        let State { ports, hub_a, hub_b, .. } = self.state.clone();
        let control = control::SUSPENDED;
        self.state = State { ports, hub_a, hub_b, control, ..State::new(self.state.ports.len() as u8) };
    }

    /// Bit times until the end of the frame.
    fn remaining(&mut self) -> u32 {
        let toggle = self.state.interval & 1 << 31;
        if !self.operational() {
            return toggle;
        }
        let passed = self.kit.clock.now().saturating_sub(self.state.frame).min(FRAME_NS);
        let interval = u64::from(self.state.interval & 0x3fff);
        toggle | (interval * (FRAME_NS - passed) / FRAME_NS) as u32
    }
}
