//! Registers of a UFS host controller (UFSHCI 4.0, 5), and UIC commands (5.6).

use super::Ufs;
use serde::{Deserialize, Serialize};
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

/// Version 4.0.
const VERSION: u64 = 0x0400;
/// Interrupts (5.3.1): transfer request, power mode, hibernation left and entered, task, UIC command, completion queue.
pub(super) const INT_TRANSFER: u32 = 1;
const INT_POWER: u32 = 1 << 4;
const INT_HIBERNATE_EXIT: u32 = 1 << 5;
const INT_HIBERNATE_ENTER: u32 = 1 << 6;
pub(super) const INT_TASK: u32 = 1 << 9;
const INT_UIC: u32 = 1 << 10;
pub(super) const INT_FATAL: u32 = 1 << 17;
pub(super) const INT_QUEUE: u32 = 1 << 20;
const INT_ALL: u32 = 0x0017_1fff;
/// Capabilities (5.2.1): 64-bit addresses, multiple queues.
const CAP_64: u64 = 1 << 24;
const CAP_MCQ: u64 = 1 << 30;
/// Power mode change was done locally (5.3.4).
const POWER_LOCAL: u32 = 1 << 8;

/// UIC commands (5.6.1) and results.
mod uic {
    pub(super) const GET: u32 = 0x01;
    pub(super) const SET: u32 = 0x02;
    pub(super) const PEER_GET: u32 = 0x03;
    pub(super) const PEER_SET: u32 = 0x04;
    pub(super) const LINK_STARTUP: u32 = 0x16;
    pub(super) const HIBERNATE_ENTER: u32 = 0x17;
    pub(super) const HIBERNATE_EXIT: u32 = 0x18;
    pub(super) const INVALID_ATTRIBUTE: u32 = 0x01;
    pub(super) const FAILURE: u32 = 0x0a;
}

/// The attribute whose change changes the power mode (UniPro 2.0, PA_PWRMode).
const POWER_MODE: u16 = 0x1571;
/// Attributes of the link, of both ends, with their first values: lanes, gears, terminations, timers and limits of the
/// layers.  They have no effect: there is no link.
const ATTRIBUTES: [(u16, u32); 40] = [
    (0x1520, 2),
    (0x1540, 2),
    (0x1552, 0),
    (0x1553, 0),
    (0x1554, 0),
    (0x155e, 0),
    (0x1560, 2),
    (0x1561, 2),
    (0x1564, 255),
    (0x1568, 1),
    (0x1569, 0),
    (0x156a, 1),
    (POWER_MODE, 0x55),
    (0x1580, 2),
    (0x1581, 2),
    (0x1583, 1),
    (0x1584, 0),
    (0x1586, 4),
    (0x1587, 4),
    (0x15a4, 0),
    (0x15a7, 1),
    (0x15a8, 1),
    (0x15aa, 1),
    (0x15b0, 0),
    (0x15b1, 0),
    (0x15b2, 0),
    (0x15b3, 0),
    (0x15b4, 0),
    (0x15b5, 0),
    (0x15b6, 0),
    (0x15b7, 0),
    (0x15b8, 0),
    (0x15b9, 0),
    (0x2041, 0),
    (0x2042, 0),
    (0x2043, 0),
    (0xd041, 0),
    (0xd042, 0),
    (0xd043, 0),
    (0x4020, 1),
];

/// The registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Registers {
    idle_timer: u32,
    pub(super) status: u32,
    enable: u32,
    enabled: bool,
    /// Is the link up?
    pub(super) link: bool,
    power: u32,
    aggregation: u32,
    pub(super) requests: u64,
    pub(super) doorbell: u32,
    pub(super) run: bool,
    pub(super) completed: u32,
    pub(super) task_list: u64,
    task_run: bool,
    command: u32,
    arguments: [u32; 3],
    pub(super) queues_on: bool,
    queue_config: u32,
    /// Attributes of this and the other end of the link, as in [`ATTRIBUTES`].
    attributes: [Vec<u32>; 2],
}

impl Default for Registers {
    fn default() -> Registers {
        let attributes: Vec<u32> = ATTRIBUTES.iter().map(|(_, value)| *value).collect();
        Registers {
            idle_timer: 0,
            status: 0,
            enable: 0,
            enabled: false,
            link: false,
            power: 0,
            aggregation: 0,
            requests: 0,
            doorbell: 0,
            run: false,
            completed: 0,
            task_list: 0,
            task_run: false,
            command: 0,
            arguments: [0; 3],
            queues_on: false,
            queue_config: 0x1f00,
            attributes: [attributes.clone(), attributes],
        }
    }
}

impl Registers {
    pub(super) fn check(&self) -> Result<(), StateError> {
        let good = self.attributes.iter().all(|list| list.len() == ATTRIBUTES.len());
        check(good, "attributes", || "more or less than there are".to_owned())
    }

    pub(super) fn is_signalling(&self) -> bool {
        self.status & self.enable & INT_ALL != 0
    }
}

/// The lower or upper half of an address.
fn set_low(address: &mut u64, value: u64) {
    *address = *address & !0xffff_ffff | value & 0xffff_fc00;
}

fn set_high(address: &mut u64, value: u64) {
    *address = *address & 0xffff_ffff | value << 32;
}

registers! {
    pub(super) static REGISTERS: Ufs, "ufs", sizes [4];
    0x00 CAP 4 ro, "5.2.1", read |d, _| d.capabilities();
    0x04 MCQCAP 4 ro, "5.2.2", read |d, _| d.queue_capabilities();
    0x08 VER 4 ro reset 0x400, "5.2.3", read |_, _| VERSION;
    0x0c EXTCAP 4 ro reset 0, "5.2.4", read |_, _| 0;
    0x10 HCPID 4 ro reset 0, "5.2.5", read |_, _| 0;
    0x14 HCMID 4 ro reset 0, "5.2.6", read |_, _| 0;
    0x18 AHIT 4 rw reset 0, "5.2.7", read |d, _| u64::from(d.regs.idle_timer), write |d, _, v| d.regs.idle_timer = v as u32 & 0x1fff;
    0x20 IS 4 rw reset 0, "5.3.1", read |d, _| u64::from(d.regs.status), write |d, _, v| d.regs.status &= !(v as u32);
    0x24 IE 4 rw reset 0, "5.3.2", read |d, _| u64::from(d.regs.enable), write |d, _, v| d.regs.enable = v as u32 & INT_ALL;
    0x30 HCS 4 ro reset 0, "5.3.4", read |d, _| d.controller_status();
    0x34 HCE 4 rw reset 0, "5.3.5", read |d, _| u64::from(d.regs.enabled), write |d, _, v| d.enable(v & 1 != 0);
    0x38 [5; 4] UEC 4 ro reset 0, "5.3.6", read |_, _| 0;
    0x4c UTRIACR 4 rw reset 0, "5.3.11", read |d, _| u64::from(d.regs.aggregation), write |d, _, v| d.regs.aggregation = v as u32 & 0x8100_1fff;
    0x50 UTRLBA 4 rw reset 0, "5.4.1", read |d, _| d.regs.requests & 0xffff_ffff, write |d, _, v| set_low(&mut d.regs.requests, v);
    0x54 UTRLBAU 4 rw reset 0, "5.4.2", read |d, _| d.regs.requests >> 32, write |d, _, v| set_high(&mut d.regs.requests, v);
    0x58 UTRLDBR 4 rw reset 0, "5.4.3", read |d, _| u64::from(d.regs.doorbell), write |d, _, v| d.ring(v as u32);
    0x5c UTRLCLR 4 wo, "5.4.4", write |d, _, v| d.regs.doorbell &= v as u32;
    0x60 UTRLRSR 4 rw reset 0, "5.4.5", read |d, _| u64::from(d.regs.run), write |d, _, v| d.set_run(v & 1 != 0);
    0x64 UTRLCNR 4 rw reset 0, "5.4.6", read |d, _| u64::from(d.regs.completed), write |d, _, v| d.regs.completed &= !(v as u32);
    0x70 UTMRLBA 4 rw reset 0, "5.5.1", read |d, _| d.regs.task_list & 0xffff_ffff, write |d, _, v| set_low(&mut d.regs.task_list, v);
    0x74 UTMRLBAU 4 rw reset 0, "5.5.2", read |d, _| d.regs.task_list >> 32, write |d, _, v| set_high(&mut d.regs.task_list, v);
    0x78 UTMRLDBR 4 rw reset 0, "5.5.3", read |_, _| 0, write |d, _, v| d.ring_tasks(v as u32);
    0x7c UTMRLCLR 4 wo, "5.5.4", write |_, _, _| {};
    0x80 UTMRLRSR 4 rw reset 0, "5.5.5", read |d, _| u64::from(d.regs.task_run), write |d, _, v| d.regs.task_run = v & 1 != 0;
    0x90 UICCMD 4 rw reset 0, "5.6.1", read |d, _| u64::from(d.regs.command), write |d, _, v| d.uic(v as u32 & 0xff);
    0x94 [3; 4] UCMDARG 4 rw reset 0, "5.6.2", read |d, i| u64::from(d.regs.arguments[i as usize % 3]), write |d, i, v| d.regs.arguments[i as usize % 3] = v as u32;
    0x100 CCAP 4 ro reset 0, "5.8.1", read |_, _| 0;
    0x300 CONFIG 4 rw reset 0, "5.9.1", read |d, _| u64::from(d.regs.queues_on), write |d, _, v| d.regs.queues_on = v & 1 != 0 && !d.queues.is_empty();
    0x380 MCQCONFIG 4 rw, "5.10.1", read |d, _| if d.queues.is_empty() { 0 } else { u64::from(d.regs.queue_config) }, write |d, _, v| d.regs.queue_config = v as u32 & 0x1ff00;
    0x384 [2; 4] ESIBA 4 ro reset 0, "5.10.2", read |_, _| 0;
    0x400 [32; 0x40] SQATTR 4 rw reset 0, "5.11.1", read |d, i| d.queue(i, |q| q.sq_attr), write |d, i, v| d.set_sq_attr(i, v as u32);
    0x404 [32; 0x40] SQLBA 4 rw reset 0, "5.11.2", read |d, i| d.queue(i, |q| q.sq_base as u32), write |d, i, v| d.set_queue(i, |q| set_low(&mut q.sq_base, v));
    0x408 [32; 0x40] SQUBA 4 rw reset 0, "5.11.3", read |d, i| d.queue(i, |q| (q.sq_base >> 32) as u32), write |d, i, v| d.set_queue(i, |q| set_high(&mut q.sq_base, v));
    0x40c [32; 0x40] SQDAO 4 ro, "5.11.4", read |d, i| d.operation(i, 0x00);
    0x410 [32; 0x40] SQISAO 4 ro, "5.11.5", read |d, i| d.operation(i, 0x14);
    0x414 [32; 0x40] SQCFG 4 rw reset 0, "5.11.6", read |d, i| d.queue(i, |q| q.sq_config), write |d, i, v| d.set_queue(i, |q| q.sq_config = v as u32);
    0x420 [32; 0x40] CQATTR 4 rw reset 0, "5.11.7", read |d, i| d.queue(i, |q| q.cq_attr), write |d, i, v| d.set_cq_attr(i, v as u32);
    0x424 [32; 0x40] CQLBA 4 rw reset 0, "5.11.8", read |d, i| d.queue(i, |q| q.cq_base as u32), write |d, i, v| d.set_queue(i, |q| set_low(&mut q.cq_base, v));
    0x428 [32; 0x40] CQUBA 4 rw reset 0, "5.11.9", read |d, i| d.queue(i, |q| (q.cq_base >> 32) as u32), write |d, i, v| d.set_queue(i, |q| set_high(&mut q.cq_base, v));
    0x42c [32; 0x40] CQDAO 4 ro, "5.11.10", read |d, i| d.operation(i, 0x1c);
    0x430 [32; 0x40] CQISAO 4 ro, "5.11.11", read |d, i| d.operation(i, 0x24);
    0x434 [32; 0x40] CQCFG 4 rw reset 0, "5.11.12", read |d, i| d.queue(i, |q| q.cq_config), write |d, i, v| d.set_queue(i, |q| q.cq_config = v as u32);
    0x1000 [32; 0x30] SQHP 4 ro reset 0, "5.12.1", read |d, i| d.queue(i, |q| q.sq_head);
    0x1004 [32; 0x30] SQTP 4 rw reset 0, "5.12.2", read |d, i| d.queue(i, |q| q.sq_tail), write |d, i, v| d.set_sq_tail(i, v as u32);
    0x1008 [32; 0x30] SQRTC 4 rw reset 0, "5.12.3", read |d, i| d.queue(i, |q| q.run_command), write |d, i, v| d.run_command(i, v as u32);
    0x100c [32; 0x30] SQCTI 4 rw reset 0, "5.12.4", read |d, i| d.queue(i, |q| q.cleanup), write |d, i, v| d.set_queue(i, |q| q.cleanup = v as u32);
    0x1010 [32; 0x30] SQRTS 4 ro reset 0, "5.12.5", read |d, i| d.queue(i, |q| q.run_status());
    0x1014 [32; 0x30] SQIS 4 ro reset 0, "5.12.6", read |_, _| 0;
    0x1018 [32; 0x30] SQIE 4 rw reset 0, "5.12.7", read |d, i| d.queue(i, |q| q.sq_enable), write |d, i, v| d.set_queue(i, |q| q.sq_enable = v as u32);
    0x101c [32; 0x30] CQHP 4 rw reset 0, "5.12.8", read |d, i| d.queue(i, |q| q.cq_head), write |d, i, v| d.set_cq_head(i, v as u32);
    0x1020 [32; 0x30] CQTP 4 ro reset 0, "5.12.9", read |d, i| d.queue(i, |q| q.cq_tail);
    0x1024 [32; 0x30] CQIS 4 rw reset 0, "5.12.10", read |d, i| d.queue(i, |q| q.cq_status), write |d, i, v| d.set_queue(i, |q| q.cq_status &= !(v as u32));
    0x1028 [32; 0x30] CQIE 4 rw reset 0, "5.12.11", read |d, i| d.queue(i, |q| q.cq_enable), write |d, i, v| d.set_queue(i, |q| q.cq_enable = v as u32);
    0x102c [32; 0x30] CQIACR 4 rw reset 0, "5.12.12", read |d, i| d.queue(i, |q| q.cq_aggregation), write |d, i, v| d.set_queue(i, |q| q.cq_aggregation = v as u32);
}

impl Ufs {
    /// Slots, outstanding transfers that the device may ask for, slots for tasks.
    fn capabilities(&self) -> u64 {
        let slots = u64::from(self.slots - 1) | 2 << 8 | u64::from(self.tasks - 1) << 16;
        slots | CAP_64 | if self.queues.is_empty() { 0 } else { CAP_MCQ }
    }

    /// Queues; round robin; their registers are in the third 512 bytes.
    fn queue_capabilities(&self) -> u64 {
        self.queues.len().checked_sub(1).map_or(0, |last| last as u64 | 1 << 9 | 2 << 16)
    }

    /// A device is there, lists are ready, UIC commands are; the last power mode change.
    fn controller_status(&self) -> u64 {
        let link = if self.regs.link { 7 } else { 0 };
        u64::from(link | u32::from(self.regs.enabled) << 3 | self.regs.power)
    }

    fn enable(&mut self, on: bool) {
        if self.regs.enabled != on {
            self.controller_reset();
            self.regs.enabled = on;
        }
    }

    /// A UIC command, which is complete at once.
    fn uic(&mut self, command: u32) {
        self.regs.command = command;
        if !self.regs.enabled {
            return self.kit.report.guest_error(format_args!("UIC command {command:#x} while the controller is off"));
        }
        let result = match command {
            uic::LINK_STARTUP => {
                self.regs.link = true;
                0
            }
            uic::HIBERNATE_ENTER | uic::HIBERNATE_EXIT => {
                let entered = command == uic::HIBERNATE_ENTER;
                self.regs.power = POWER_LOCAL;
                self.regs.status |= if entered { INT_HIBERNATE_ENTER } else { INT_HIBERNATE_EXIT };
                0
            }
            uic::GET | uic::PEER_GET | uic::SET | uic::PEER_SET => self.attribute(command),
            other => {
                self.kit.report.unimplemented(format_args!("UIC command {other:#x}"));
                uic::FAILURE
            }
        };
        self.regs.arguments[1] = self.regs.arguments[1] & !0xff | result;
        self.regs.status |= INT_UIC;
    }

    /// Reads or sets an attribute of an end of the link; the result.
    fn attribute(&mut self, command: u32) -> u32 {
        let attribute = (self.regs.arguments[0] >> 16) as u16;
        let end = usize::from(matches!(command, uic::PEER_GET | uic::PEER_SET));
        let at = ATTRIBUTES.iter().position(|(known, _)| *known == attribute);
        let Some(value) = at.and_then(|at| self.regs.attributes[end].get_mut(at)) else { return uic::INVALID_ATTRIBUTE };
        if matches!(command, uic::GET | uic::PEER_GET) {
            self.regs.arguments[2] = *value;
            return 0;
        }
        *value = self.regs.arguments[2];
        if attribute == POWER_MODE && end == 0 {
            self.regs.power = POWER_LOCAL;
            self.regs.status |= INT_POWER;
        }
        0
    }

    fn set_run(&mut self, on: bool) {
        self.regs.run = on;
        self.work();
    }

    /// The host has put requests into slots.
    fn ring(&mut self, slots: u32) {
        let there = (u64::MAX >> (64 - self.slots)) as u32;
        if slots & !there != 0 || !self.regs.link {
            self.kit.report.guest_error(format_args!("doorbell {slots:#x}, with {} slots", self.slots));
        }
        self.regs.doorbell |= slots & there;
        self.work();
    }

    fn ring_tasks(&mut self, slots: u32) {
        if !self.regs.task_run || !self.regs.link || !self.is_master() {
            return self.kit.report.guest_error(format_args!("doorbell of tasks {slots:#x} while they do not run"));
        }
        for slot in (0..self.tasks).filter(|slot| slots >> slot & 1 != 0) {
            self.task(slot);
        }
    }
}
