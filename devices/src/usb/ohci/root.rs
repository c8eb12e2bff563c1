//! The root hub (OHCI 1.0a, 7.4).

use super::Ohci;
use super::regs::interrupt;
use crate::usb::Speed;

/// Port status: what is read.
mod port {
    pub(super) const CONNECTED: u32 = 1;
    pub(super) const ENABLED: u32 = 1 << 1;
    pub(super) const SUSPENDED: u32 = 1 << 2;
    pub(super) const POWERED: u32 = 1 << 8;
    pub(super) const LOW_SPEED: u32 = 1 << 9;
    pub(super) const CONNECT_CHANGE: u32 = 1 << 16;
    pub(super) const ENABLE_CHANGE: u32 = 1 << 17;
    pub(super) const SUSPEND_CHANGE: u32 = 1 << 18;
    pub(super) const RESET_CHANGE: u32 = 1 << 20;
    pub(super) const CHANGES: u32 = 0x1f << 16;
}

/// And what is written.
mod set {
    pub(super) const DISABLE: u32 = 1;
    pub(super) const ENABLE: u32 = 1 << 1;
    pub(super) const SUSPEND: u32 = 1 << 2;
    pub(super) const RESUME: u32 = 1 << 3;
    pub(super) const RESET: u32 = 1 << 4;
    pub(super) const POWER: u32 = 1 << 8;
    pub(super) const POWER_OFF: u32 = 1 << 9;
    /// Hub status: the same for all ports.
    pub(super) const ALL_OFF: u32 = 1;
    pub(super) const ALL_ON: u32 = 1 << 16;
}

/// A port with nothing in it.
pub(super) const NEW: u32 = port::POWERED;

impl Ohci {
    /// Does root port `number`, which counts from 1, let packets through?
    pub(super) fn passes(ports: &[u32], number: u8) -> bool {
        let status = usize::from(number).checked_sub(1).and_then(|n| ports.get(n)).copied().unwrap_or(0);
        status & (port::ENABLED | port::SUSPENDED) == port::ENABLED
    }

    pub(super) fn port_status(&mut self, n: usize) -> u64 {
        let found = self.state.ports.get(n).copied().map(u64::from);
        found.unwrap_or_else(|| {
            self.kit.report.guest_error(format_args!("port {} is not there", n + 1));
            0
        })
    }

    /// Looks what is plugged into port `n`.
    pub(super) fn look(&mut self, n: usize) {
        let before = self.state.ports[n];
        let speed = self.bus.speed(n as u8 + 1);
        if before & port::POWERED == 0 || speed.is_some() == (before & port::CONNECTED != 0) {
            return;
        }
        let was_enabled = before & port::ENABLED != 0;
        let mut now = before & (port::POWERED | port::CHANGES) | port::CONNECT_CHANGE;
        if was_enabled {
            now |= port::ENABLE_CHANGE;
        }
        now |= match speed {
            None => 0,
            Some(Speed::Low) => port::CONNECTED | port::LOW_SPEED,
            Some(_) => port::CONNECTED,
        };
        self.state.ports[n] = now;
        self.raise(interrupt::ROOT_HUB);
    }

    pub(super) fn set_hub_status(&mut self, value: u32) {
        for n in 0..self.state.ports.len() {
            if value & set::ALL_OFF != 0 {
                self.power(n, false);
            }
            if value & set::ALL_ON != 0 {
                self.power(n, true);
            }
        }
    }

    fn power(&mut self, n: usize, on: bool) {
        if on {
            self.state.ports[n] |= port::POWERED;
            self.look(n);
        } else {
            self.state.ports[n] &= port::CHANGES;
        }
    }

    pub(super) fn set_port_status(&mut self, n: usize, value: u32) {
        let Some(before) = self.state.ports.get(n).copied() else {
            return self.kit.report.guest_error(format_args!("port {} is not there", n + 1));
        };
        self.state.ports[n] = before & !(value & port::CHANGES);
        if value & set::POWER_OFF != 0 {
            self.power(n, false);
        }
        if value & set::POWER != 0 {
            self.power(n, true);
        }
        if value & set::DISABLE != 0 {
            self.state.ports[n] &= !(port::ENABLED | port::SUSPENDED);
        }
        if value & (set::ENABLE | set::SUSPEND | set::RESET) != 0 && self.state.ports[n] & port::CONNECTED == 0 {
            // Nothing is there any more, and the driver hears of it.
            self.state.ports[n] |= port::CONNECT_CHANGE;
            return self.raise(interrupt::ROOT_HUB);
        }
        if value & set::ENABLE != 0 {
            self.state.ports[n] |= port::ENABLED;
        }
        if value & set::SUSPEND != 0 && self.state.ports[n] & port::ENABLED != 0 {
            self.state.ports[n] |= port::SUSPENDED;
        }
        if value & set::RESUME != 0 {
            self.resume(n);
        }
        if value & set::RESET != 0 {
            self.bus.reset_port(n as u8 + 1);
            self.state.ports[n] = self.state.ports[n] & !port::SUSPENDED | port::ENABLED | port::RESET_CHANGE;
            self.raise(interrupt::ROOT_HUB);
        }
    }

    fn resume(&mut self, n: usize) {
        if self.state.ports[n] & port::SUSPENDED != 0 {
            self.state.ports[n] = self.state.ports[n] & !port::SUSPENDED | port::SUSPEND_CHANGE;
            self.raise(interrupt::ROOT_HUB);
        }
    }

    /// A device that may do so wakes the host.
    pub(super) fn wake(&mut self, n: usize) {
        if self.state.ports.get(n).is_some_and(|status| status & port::SUSPENDED != 0) {
            self.resume(n);
            self.raise(interrupt::RESUME);
        }
    }

    /// The bus is reset: ports forget that they were enabled (7.1.2).
    pub(super) fn reset_ports(&mut self) {
        for n in 0..self.state.ports.len() {
            self.state.ports[n] &= !(port::ENABLED | port::SUSPENDED);
            self.bus.reset_port(n as u8 + 1);
        }
    }
}
