//! Registers (xHCI 1.1, chapter 5).

use super::{Xhci, token};
use tern_core::registers;

/// USB command (5.4.1).
pub(super) mod cmd {
    pub(in super::super) const RUN: u32 = 1;
    pub(in super::super) const RESET: u32 = 1 << 1;
    pub(in super::super) const INTERRUPT: u32 = 1 << 2;
    pub(in super::super) const LIGHT_RESET: u32 = 1 << 7;
    pub(in super::super) const SAVE: u32 = 1 << 8;
    pub(in super::super) const RESTORE: u32 = 1 << 9;
    pub(in super::super) const WRAP_EVENT: u32 = 1 << 10;
    /// What is written and read back.
    pub(in super::super) const KEPT: u32 = RUN | INTERRUPT | 1 << 3 | WRAP_EVENT | 1 << 11;
}

/// USB status (5.4.2).
pub(super) mod status {
    pub(in super::super) const HALTED: u32 = 1;
    pub(in super::super) const HOST_ERROR: u32 = 1 << 2;
    pub(in super::super) const INTERRUPT: u32 = 1 << 3;
    pub(in super::super) const PORT_CHANGE: u32 = 1 << 4;
    pub(in super::super) const RESTORE_ERROR: u32 = 1 << 10;
    /// Cleared by ones.
    pub(in super::super) const CLEARED: u32 = HOST_ERROR | INTERRUPT | PORT_CHANGE | RESTORE_ERROR;
}

/// Command ring control (5.4.5).
mod crcr {
    pub(super) const CYCLE: u32 = 1;
    pub(super) const STOP: u32 = 1 << 1;
    pub(super) const ABORT: u32 = 1 << 2;
    pub(super) const RUNNING: u32 = 1 << 3;
}

/// Length of a microframe in nanoseconds, and where their counter wraps.
const MICROFRAME_NS: u64 = 125_000;
const MICROFRAMES: u64 = 1 << 14;
/// Version of the interface; length of the capability registers.
const VERSION: u64 = 0x0110_0040;
/// Isochronous scheduling threshold; exponent of the most segments of an event ring.
const STRUCTURAL_2: u64 = 0x4f;
/// 64-bit addresses; the extended capabilities are at 0x20.
const CAPABILITY_1: u64 = 0x0008_0001;
/// Extended capabilities: USB 2.0, another follows 16 bytes on; USB 3.0, the last.
const PROTOCOL_2: u64 = 0x0200_0402;
const PROTOCOL_3: u64 = 0x0300_0002;
const PROTOCOL_NAME: u64 = 0x2042_5355;

registers! {
    pub(super) static REGS: Xhci, "xhci", sizes [1, 2, 4];
    0x00 CAPLENGTH 4 ro reset VERSION, "5.3.1", read |_, _| VERSION;
    0x04 HCSPARAMS1 4 ro, "5.3.3", read |d, _| d.structural();
    0x08 HCSPARAMS2 4 ro reset STRUCTURAL_2, "5.3.4", read |_, _| STRUCTURAL_2;
    0x0c HCSPARAMS3 4 ro reset 0, "5.3.5", read |_, _| 0;
    0x10 HCCPARAMS1 4 ro reset CAPABILITY_1, "5.3.6", read |_, _| CAPABILITY_1;
    0x14 DBOFF 4 ro reset 0x2000, "5.3.7", read |_, _| 0x2000;
    0x18 RTSOFF 4 ro reset 0x1000, "5.3.8", read |_, _| 0x1000;
    0x1c HCCPARAMS2 4 ro reset 0, "5.3.9", read |_, _| 0;
    0x20 PROTOCOL2 4 ro reset PROTOCOL_2, "7.2", read |_, _| PROTOCOL_2;
    0x24 PROTOCOL2_NAME 4 ro reset PROTOCOL_NAME, "7.2", read |_, _| PROTOCOL_NAME;
    0x28 PROTOCOL2_PORTS 4 ro, "7.2", read |d, _| u64::from(d.counts.usb2) << 8 | (u64::from(d.counts.usb3) + 1);
    0x2c PROTOCOL2_SLOT 4 ro reset 0, "7.2", read |_, _| 0;
    0x30 PROTOCOL3 4 ro reset PROTOCOL_3, "7.2", read |_, _| PROTOCOL_3;
    0x34 PROTOCOL3_NAME 4 ro reset PROTOCOL_NAME, "7.2", read |_, _| PROTOCOL_NAME;
    0x38 PROTOCOL3_PORTS 4 ro, "7.2", read |d, _| u64::from(d.counts.usb3) << 8 | 1;
    0x3c PROTOCOL3_SLOT 4 ro reset 0, "7.2", read |_, _| 0;
    0x40 USBCMD 4 rw reset 0, "5.4.1", read |d, _| u64::from(d.state.command), write |d, _, v| d.set_command(v as u32);
    0x44 USBSTS 4 rw reset 1, "5.4.2", read |d, _| u64::from(d.state.status),
        write |d, _, v| d.state.status &= !(v as u32 & status::CLEARED);
    0x48 PAGESIZE 4 ro reset 1, "5.4.3", read |_, _| 1;
    0x54 DNCTRL 4 rw reset 0, "5.4.4", read |d, _| u64::from(d.state.notification),
        write |d, _, v| d.state.notification = v as u32 & 0xffff;
    0x58 CRCR_LOW 4 rw reset 0, "5.4.5", read |d, _| u64::from(if d.state.fetching { crcr::RUNNING } else { 0 }),
        write |d, _, v| d.set_ring(v as u32);
    0x5c CRCR_HIGH 4 rw reset 0, "5.4.5", read |_, _| 0, write |d, _, v| d.set_ring_high(v);
    0x70 DCBAAP_LOW 4 rw reset 0, "5.4.6", read |d, _| d.state.contexts & 0xffff_ffff,
        write |d, _, v| d.state.contexts = d.state.contexts >> 32 << 32 | v & !0x3f;
    0x74 DCBAAP_HIGH 4 rw reset 0, "5.4.6", read |d, _| d.state.contexts >> 32,
        write |d, _, v| d.state.contexts = d.state.contexts & 0xffff_ffff | v << 32;
    0x78 CONFIG 4 rw reset 0, "5.4.7", read |d, _| u64::from(d.state.configure),
        write |d, _, v| d.state.configure = v as u32 & 0xff;
    0x440 [30; 16] PORTSC 4 rw, "5.4.8", read |d, i| d.port_status(i as usize),
        write |d, i, v| d.set_port_status(i as usize, v as u32);
    0x444 [30; 16] PORTPMSC 4 rw reset 0, "5.4.9", read |_, _| 0, write |_, _, _| {};
    0x448 [30; 16] PORTLI 4 ro reset 0, "5.4.10", read |_, _| 0;
    0x44c [30; 16] PORTHLPMC 4 rw reset 0, "5.4.11", read |_, _| 0, write |_, _, _| {};
    0x1000 MFINDEX 4 ro reset 0, "5.5.1", read |d, _| d.microframe();
    0x1020 [16; 32] IMAN 4 rw reset 0, "5.5.2.1", read |d, i| d.interrupter(i, |r| r.management.into()),
        write |d, i, v| d.set_management(i as usize, v as u32);
    0x1024 [16; 32] IMOD 4 rw reset 4000, "5.5.2.2", read |d, i| d.interrupter(i, |r| r.moderation.into()),
        write |d, i, v| d.set_interrupter(i, |r| r.moderation = v as u32);
    0x1028 [16; 32] ERSTSZ 4 rw reset 0, "5.5.2.3.1", read |d, i| d.interrupter(i, |r| r.segments.into()),
        write |d, i, v| d.set_interrupter(i, |r| r.segments = v as u32 & 0xffff);
    0x1030 [16; 32] ERSTBA_LOW 4 rw reset 0, "5.5.2.3.2", read |d, i| d.interrupter(i, |r| r.table & 0xffff_ffff),
        write |d, i, v| d.set_interrupter(i, |r| r.set_table(r.table >> 32 << 32 | v));
    0x1034 [16; 32] ERSTBA_HIGH 4 rw reset 0, "5.5.2.3.2", read |d, i| d.interrupter(i, |r| r.table >> 32),
        write |d, i, v| d.set_interrupter(i, |r| r.set_table(r.table & 0xffff_ffff | v << 32));
    0x1038 [16; 32] ERDP_LOW 4 rw reset 0, "5.5.2.3.3", read |d, i| d.interrupter(i, |r| r.dequeue & 0xffff_ffff),
        write |d, i, v| d.set_dequeue(i as usize, v as u32);
    0x103c [16; 32] ERDP_HIGH 4 rw reset 0, "5.5.2.3.3", read |d, i| d.interrupter(i, |r| r.dequeue >> 32),
        write |d, i, v| d.set_dequeue_high(i as usize, v);
    0x2000 [65; 4] DOORBELL 4 rw reset 0, "5.6", read |_, _| 0, write |d, i, v| d.doorbell(i as usize, v as u32);
}

impl Xhci {
    fn structural(&self) -> u64 {
        let ports = u64::from(self.counts.usb2 + self.counts.usb3);
        u64::from(self.counts.slots) | u64::from(self.counts.interrupters) << 8 | ports << 24
    }

    fn set_command(&mut self, value: u32) {
        if value & (cmd::RESET | cmd::LIGHT_RESET) != 0 {
            return self.restart();
        }
        let before = self.state.command;
        self.state.command = value & cmd::KEPT;
        if value & cmd::RESTORE != 0 {
            // Nothing was saved: the driver begins afresh.
            self.state.status |= status::RESTORE_ERROR;
        }
        if value & cmd::SAVE != 0 {
            self.state.status &= !status::RESTORE_ERROR;
        }
        match (before & cmd::RUN, value & cmd::RUN) {
            (0, cmd::RUN) => {
                self.state.status &= !status::HALTED;
                self.state.started = self.kit.clock.now();
                self.tell_ports();
                self.work();
            }
            (cmd::RUN, 0) => {
                self.state.status |= status::HALTED;
                self.state.fetching = false;
                self.kit.clock.cancel(token::WORK);
            }
            _ => {}
        }
        self.schedule_wrap();
        (0..self.state.interrupters.len()).for_each(|n| self.deliver(n));
        self.pin();
    }

    fn microframe(&mut self) -> u64 {
        if !self.running() {
            return 0;
        }
        self.kit.clock.now().saturating_sub(self.state.started) / MICROFRAME_NS % MICROFRAMES
    }

    fn schedule_wrap(&mut self) {
        if !self.running() || self.state.command & cmd::WRAP_EVENT == 0 {
            return self.kit.clock.cancel(token::WRAP);
        }
        let round = MICROFRAME_NS * MICROFRAMES;
        let rounds = self.kit.clock.now().saturating_sub(self.state.started) / round;
        let at = rounds.saturating_add(1).saturating_mul(round).saturating_add(self.state.started);
        self.kit.clock.schedule(token::WRAP, at);
    }

    pub(super) fn wrapped(&mut self) {
        self.tell_wrap();
        self.schedule_wrap();
    }

    fn set_ring(&mut self, value: u32) {
        if self.state.fetching {
            if value & (crcr::STOP | crcr::ABORT) != 0 {
                self.state.fetching = false;
                self.tell_ring_stopped();
            }
            return;
        }
        self.state.ring = self.state.ring >> 32 << 32 | u64::from(value & !0x3f);
        self.state.cycle = value & crcr::CYCLE != 0;
    }

    fn set_ring_high(&mut self, value: u64) {
        if !self.state.fetching {
            self.state.ring = self.state.ring & 0xffff_ffff | value << 32;
        }
    }

    fn doorbell(&mut self, slot: usize, value: u32) {
        if !self.running() {
            return self.kit.report.guest_error(format_args!("doorbell {slot} of a controller that does not run"));
        }
        if slot == 0 {
            if value & 0xff == 0 {
                self.state.fetching = true;
                self.work();
            }
            return;
        }
        if value >> 16 != 0 {
            self.kit.report.unimplemented(format_args!("streams are not built"));
        }
        self.ring_endpoint(slot, (value & 0xff) as usize);
    }
}
