//! Root hub ports (xHCI 1.1, 4.19 and 5.4.8).  USB 3 ports come first, as in QEMU; port n of either kind is of root port n
//! of the bus.

use super::Xhci;
use super::regs::status;
use crate::usb::Speed;

/// Port status and control.
mod sc {
    pub(super) const CONNECTED: u32 = 1;
    pub(super) const ENABLED: u32 = 1 << 1;
    pub(super) const RESET: u32 = 1 << 4;
    pub(super) const LINK: u32 = 0xf << 5;
    pub(super) const POWER: u32 = 1 << 9;
    pub(super) const SPEED: u32 = 0xf << 10;
    pub(super) const LINK_WRITE: u32 = 1 << 16;
    pub(super) const CONNECT_CHANGE: u32 = 1 << 17;
    pub(super) const WARM_RESET_CHANGE: u32 = 1 << 19;
    pub(super) const RESET_CHANGE: u32 = 1 << 21;
    pub(super) const LINK_CHANGE: u32 = 1 << 22;
    /// All changes, which are cleared by ones.
    pub(super) const CHANGES: u32 = 0x7f << 17;
    /// What wakes the host; nothing does.
    pub(super) const WAKES: u32 = 7 << 25;
    pub(super) const WARM_RESET: u32 = 1 << 31;
}

/// Link states.
mod link {
    pub(super) const U0: u32 = 0;
    pub(super) const U3: u32 = 3;
    pub(super) const DISABLED: u32 = 4;
    pub(super) const RX_DETECT: u32 = 5;
    pub(super) const POLLING: u32 = 7;
    pub(super) const RESUME: u32 = 15;
}

/// A port with nothing in it: power is on.
pub(super) const NEW: u32 = sc::POWER | link::RX_DETECT << 5;

fn link_of(status: u32) -> u32 {
    (status & sc::LINK) >> 5
}

fn with_link(status: u32, link: u32) -> u32 {
    status & !sc::LINK | link << 5
}

/// Speeds as ports and slot contexts name them (7.2.2.1.1).
fn speed_id(speed: Speed) -> u32 {
    match speed {
        Speed::Full => 1,
        Speed::Low => 2,
        Speed::High => 3,
        Speed::Super => 4,
    }
}

impl Xhci {
    /// Is port `n` (from 0) a USB 3 port?
    fn is_super(&self, n: usize) -> bool {
        n < usize::from(self.counts.usb3)
    }

    /// The root port of the bus behind port `n` (from 0).
    pub(super) fn root(&self, n: usize) -> u8 {
        let below = if self.is_super(n) { 0 } else { usize::from(self.counts.usb3) };
        (n - below) as u8 + 1
    }

    /// The ports of a root port of the bus.
    fn ports_of(&self, root: u8) -> impl Iterator<Item = usize> + use<> {
        let at = usize::from(root) - 1;
        let Xhci { counts, .. } = self;
        let usb3 = (root <= counts.usb3).then_some(at);
        let usb2 = (root <= counts.usb2).then_some(at + usize::from(counts.usb3));
        usb3.into_iter().chain(usb2)
    }

    /// Does port `n` let packets through?
    pub(super) fn passes(&self, n: usize) -> bool {
        let Some(status) = self.state.ports.get(n) else { return false };
        status & sc::ENABLED != 0 && !matches!(link_of(*status), link::U3 | link::RESUME)
    }

    pub(super) fn port_status(&mut self, n: usize) -> u64 {
        let found = self.state.ports.get(n).copied().map(u64::from);
        found.unwrap_or_else(|| {
            self.kit.report.guest_error(format_args!("port {} is not there", n + 1));
            0
        })
    }

    pub(super) fn set_port_status(&mut self, n: usize, value: u32) {
        let Some(before) = self.state.ports.get(n).copied() else {
            return self.kit.report.guest_error(format_args!("port {} is not there", n + 1));
        };
        let mut new = before & !(value & sc::CHANGES) & !sc::WAKES | value & sc::WAKES;
        if value & sc::POWER == 0 {
            new = new & (sc::CHANGES | sc::WAKES) | link::DISABLED << 5;
            self.state.ports[n] = new;
            return;
        }
        if before & sc::POWER == 0 {
            self.state.ports[n] = with_link(new | sc::POWER, link::RX_DETECT);
            return self.look(n);
        }
        if value & sc::ENABLED != 0 && before & sc::ENABLED != 0 {
            let to = if self.is_super(n) { link::DISABLED } else { link::POLLING };
            new = with_link(new & !sc::ENABLED, to);
        }
        self.state.ports[n] = new;
        let warm = value & sc::WARM_RESET != 0 && self.is_super(n);
        if value & sc::RESET != 0 || warm {
            self.reset_port(n, warm);
        } else if value & sc::LINK_WRITE != 0 {
            self.set_link(n, link_of(value));
        }
    }

    fn set_link(&mut self, n: usize, to: u32) {
        let before = self.state.ports[n];
        let from = link_of(before);
        match to {
            link::RX_DETECT if before & sc::CONNECTED != 0 && from == link::DISABLED => {
                self.state.ports[n] = with_link(before, link::RX_DETECT) & !sc::CONNECTED;
                self.look(n);
            }
            _ if before & sc::ENABLED == 0 => {}
            link::U0 => {
                self.state.ports[n] = with_link(before, link::U0);
                if matches!(from, link::U3 | link::RESUME) {
                    self.change(n, sc::LINK_CHANGE);
                    self.ask_again();
                }
            }
            1..=link::U3 => self.state.ports[n] = with_link(before, to),
            link::RESUME if from == link::U3 && !self.is_super(n) => self.state.ports[n] = with_link(before, to),
            _ => {}
        }
    }

    fn reset_port(&mut self, n: usize, warm: bool) {
        if self.state.ports[n] & sc::CONNECTED == 0 {
            return;
        }
        self.bus.reset_port(self.root(n));
        self.state.ports[n] = with_link(self.state.ports[n] | sc::ENABLED, link::U0);
        self.change(n, sc::RESET_CHANGE | if warm { sc::WARM_RESET_CHANGE } else { 0 });
    }

    /// Looks what is plugged into port `n`.
    pub(super) fn look(&mut self, n: usize) {
        let before = self.state.ports[n];
        let is_super = self.is_super(n);
        let speed = self.bus.speed(self.root(n)).filter(|speed| (*speed == Speed::Super) == is_super);
        if before & sc::POWER == 0 || speed.is_some() == (before & sc::CONNECTED != 0) {
            return;
        }
        let kept = before & (sc::POWER | sc::CHANGES | sc::WAKES);
        self.state.ports[n] = match speed {
            None => with_link(kept, link::RX_DETECT),
            // A USB 3 link trains itself; a USB 2 port waits for a reset.
            Some(Speed::Super) => with_link(kept | sc::CONNECTED | sc::ENABLED, link::U0) | speed_id(Speed::Super) << 10,
            Some(speed) => with_link(kept | sc::CONNECTED, link::POLLING) | speed_id(speed) << 10 & sc::SPEED,
        };
        self.change(n, sc::CONNECT_CHANGE);
    }

    /// Devices have come or gone.
    pub(super) fn moved(&mut self) {
        for root in self.bus.moved() {
            // Another device may be there by now: first the port loses what it had.
            for n in self.ports_of(root) {
                self.look(n);
            }
        }
        // Hubs tell of their ports.
        self.ask_again();
    }

    /// Device `number` has something to say: if its port sleeps, the host is called.
    pub(super) fn wake(&mut self, number: u32) {
        let Some(root) = self.bus.root_of(number).filter(|_| self.bus.wakes(number)) else { return };
        for n in self.ports_of(root) {
            let before = self.state.ports[n];
            if before & sc::ENABLED != 0 && link_of(before) == link::U3 {
                let to = if self.is_super(n) { link::U0 } else { link::RESUME };
                self.state.ports[n] = with_link(before, to);
                self.change(n, sc::LINK_CHANGE);
            }
        }
    }

    /// Changes of port `n`: the driver hears of the first (4.19.2).
    fn change(&mut self, n: usize, bits: u32) {
        let quiet = self.state.ports[n] & sc::CHANGES & bits == bits;
        self.state.ports[n] |= bits;
        if !quiet && self.running() {
            self.state.status |= status::PORT_CHANGE;
            self.tell_port(n as u32 + 1);
        }
    }

    /// The controller runs: it tells of all changes since.
    pub(super) fn tell_ports(&mut self) {
        for n in 0..self.state.ports.len() {
            if self.state.ports[n] & sc::CHANGES != 0 {
                self.state.status |= status::PORT_CHANGE;
                self.tell_port(n as u32 + 1);
            }
        }
    }
}
