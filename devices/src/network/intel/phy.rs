//! The PHY behind the cards' MDI register (8254x manual, 13.4.7 and chapter 12; IEEE 802.3, 22.2.4): a link of 1000 Mb/s,
//! full duplex, that is negotiated in half a second.

use serde::{Deserialize, Serialize};

/// How long auto-negotiation takes, in nanoseconds.
pub(super) const NEGOTIATION: u64 = 500_000_000;

/// Registers that the cards look at themselves.
const BMCR: usize = 0;
const BMSR: usize = 1;
const ANLPAR: usize = 5;
const STAT1000: usize = 10;
/// Registers to a page.
const PAGE: usize = 32;

const BMCR_RESET: u16 = 0x8000;
const BMCR_LOOPBACK: u16 = 0x4000;
const BMCR_AUTONEGOTIATE: u16 = 0x1000;
const BMCR_RESTART: u16 = 0x0200;
const BMSR_LINK: u16 = 0x0004;
const BMSR_NEGOTIATED: u16 = 0x0020;
const ANLPAR_ACK: u16 = 0x4000;
/// Receivers of both sides are well.
const STAT1000_RECEIVERS: u16 = 0x3000;

/// A register: page (`None`: on all), number, bits that the driver writes, value after reset.
pub(super) type Row = (Option<u8>, u8, u16, u16);

/// A model of PHY.
pub(super) struct Model {
    /// Number of the register that selects the page, if there are pages.
    pub(super) page: Option<u8>,
    pub(super) pages: u8,
    pub(super) rows: &'static [Row],
    /// The model's own status register: number, and its bits for a link that is up.
    pub(super) status: (u8, u16),
}

/// Bits of the MDI control register (8254x manual, 13.4.7).
mod mdic {
    pub(super) const WRITE: u32 = 1 << 26;
    pub(super) const READ: u32 = 1 << 27;
    pub(super) const READY: u32 = 1 << 28;
    pub(super) const INTERRUPT: u32 = 1 << 29;
    pub(super) const ERROR: u32 = 1 << 30;
}

/// The registers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Phy {
    regs: Vec<u16>,
    page: u8,
    /// The MDI control register.
    pub(super) mdic: u32,
}

/// What a write to the MDI control register has led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Done {
    /// An interrupt is wanted.
    pub(super) interrupt: bool,
    /// Auto-negotiation begins.
    pub(super) restart: bool,
    /// The driver touched a register that is not there.
    pub(super) unknown: Option<u8>,
}

impl Phy {
    /// After reset, with the cable plugged in or not.
    pub(super) fn new(model: &Model, cable: bool) -> Phy {
        let mut phy = Phy { regs: vec![0; PAGE * usize::from(model.pages.max(1))], page: 0, mdic: 0 };
        for (page, number, _, value) in model.rows {
            phy.regs[PAGE * usize::from(page.unwrap_or(0)) + usize::from(*number)] = *value;
        }
        phy.set_link(model, cable, false);
        phy
    }

    /// The link is up or down, after a negotiation or not.
    pub(super) fn set_link(&mut self, model: &Model, up: bool, negotiated: bool) {
        let mut set = |at: usize, bits: u16, on: bool| {
            self.regs[at] = if on { self.regs[at] | bits } else { self.regs[at] & !bits };
        };
        set(BMSR, BMSR_LINK, up);
        set(BMSR, BMSR_NEGOTIATED, up && negotiated);
        set(ANLPAR, ANLPAR_ACK, up && negotiated);
        set(STAT1000, STAT1000_RECEIVERS, up);
        set(usize::from(model.status.0), model.status.1, up);
    }

    pub(super) fn link(&self) -> bool {
        self.regs[BMSR] & BMSR_LINK != 0
    }

    pub(super) fn loopback(&self) -> bool {
        self.regs[BMCR] & BMCR_LOOPBACK != 0
    }

    pub(super) fn negotiates(&self) -> bool {
        self.regs[BMCR] & BMCR_AUTONEGOTIATE != 0
    }

    /// The driver writes the MDI control register.
    pub(super) fn write_mdic(&mut self, model: &Model, value: u32) -> Done {
        let number = (value >> 16 & 0x1f) as u8;
        let mut done = Done { interrupt: value & mdic::INTERRUPT != 0, ..Done::default() };
        let mut result = value & !(mdic::READY | mdic::ERROR);
        // The PHY is number 1; the others are not there.
        if value >> 21 & 0x1f != 1 {
            result |= mdic::ERROR;
        } else if value & mdic::READ != 0 {
            let read = self.read(model, number);
            done.unknown = if read.is_none() { Some(number) } else { None };
            result = result & !0xffff | u32::from(read.unwrap_or(0));
        } else if value & mdic::WRITE != 0 {
            done = self.write(model, number, value as u16, done);
        }
        self.mdic = result | mdic::READY;
        done
    }

    /// The register's row, and where its value is.
    fn find(&self, model: &Model, number: u8) -> Option<(u16, usize)> {
        let row = model.rows.iter().find(|(page, n, ..)| *n == number && page.is_none_or(|page| page == self.page))?;
        Some((row.2, PAGE * usize::from(row.0.unwrap_or(0)) + usize::from(number)))
    }

    fn read(&self, model: &Model, number: u8) -> Option<u16> {
        if model.page == Some(number) {
            return Some(u16::from(self.page));
        }
        self.find(model, number).map(|(_, at)| self.regs[at])
    }

    fn write(&mut self, model: &Model, number: u8, value: u16, done: Done) -> Done {
        if model.page == Some(number) {
            self.page = value as u8 & 0x7f;
            return done;
        }
        let Some((mask, at)) = self.find(model, number) else { return Done { unknown: Some(number), ..done } };
        let mut value = value;
        if at == BMCR && value & BMCR_RESET != 0 {
            // Registers that the driver has set stay; auto-negotiation begins if it is on.
            value |= BMCR_RESTART;
        }
        self.regs[at] = self.regs[at] & !mask | value & mask;
        let restart = at == BMCR && value & BMCR_RESTART != 0 && self.negotiates();
        Done { restart, ..done }
    }

    /// Can it be so?
    pub(super) fn fits(&self, like: &Phy) -> bool {
        self.regs.len() == like.regs.len() && self.page <= 0x7f
    }
}

/// The registers of IEEE 802.3 with the identifier of a PHY; a model has its own besides.
macro_rules! standard_and {
    ($id1:literal, $id2:literal, [$($own:expr),* $(,)?]) => {
        &[
            // Control: 1000 Mb/s, full duplex, auto-negotiation; reset and restart clear themselves.
            (None, 0, 0x7d40, 0x1140),
            // Status: all of 10 and 100 Mb/s, auto-negotiation, extended registers.
            (None, 1, 0, 0x7949),
            (None, 2, 0, $id1),
            (None, 3, 0, $id2),
            // Advertised: everything, and both directions of flow control; what the partner says.
            (None, 4, 0xbfff, 0x0de1),
            (None, 5, 0, 0x05e1),
            (None, 6, 0, 0x0005),
            (None, 7, 0xbfff, 0x2001),
            (None, 8, 0, 0),
            (None, 9, 0xff00, 0x0e00),
            (None, 10, 0, 0x0c00),
            (None, 15, 0, 0x3000),
            $($own),*
        ]
    };
}

/// Status of an Alaska PHY: the link is up, resolved.
const M88_STATUS: (u8, u16) = (17, 0x0c00);

/// Alaska PHY of the 82540, 82545: control, status, interrupts, extended control, receive errors, pages of test registers.
pub(super) static M88E1011: Model =
    Model { page: None, pages: 1, rows: standard_and!(0x0141, 0x0c20, [
    (None, 16, 0xffff, 0x0360),
    (None, 17, 0, 0xa000),
    (None, 18, 0xffff, 0),
    (None, 19, 0, 0),
    (None, 20, 0xffff, 0x0d60),
    (None, 21, 0, 0),
    (None, 26, 0xffff, 0),
    (None, 29, 0xffff, 0),
    (None, 30, 0xffff, 0),
]), status: M88_STATUS };
/// Alaska PHY of the 82544.
pub(super) static M88E1000: Model =
    Model { page: None, pages: 1, rows: standard_and!(0x0141, 0x0c30, [
    (None, 16, 0xffff, 0x0360),
    (None, 17, 0, 0xa000),
    (None, 18, 0xffff, 0),
    (None, 19, 0, 0),
    (None, 20, 0xffff, 0x0d60),
    (None, 21, 0, 0),
    (None, 26, 0xffff, 0),
    (None, 29, 0xffff, 0),
    (None, 30, 0xffff, 0),
]), status: M88_STATUS };
/// PHY inside of the 82574 (82574 datasheet, 11), with pages: copper, MAC side, lights, cable, counters.
pub(super) static BM: Model = Model {
    page: Some(22),
    pages: 7,
    rows: standard_and!(0x0141, 0x0cb1, [
        (Some(0), 16, 0xffff, 0x3360),
        (Some(0), 17, 0, 0xa008),
        (Some(0), 18, 0xffff, 0),
        (Some(0), 19, 0, 0),
        (Some(0), 20, 0xffff, 0),
        (Some(0), 21, 0, 0),
        (Some(0), 25, 0xffff, 0),
        (Some(0), 26, 0xffff, 0),
        (Some(0), 29, 0xffff, 0),
        (Some(0), 30, 0xffff, 0),
        (Some(2), 16, 0xffff, 0x0088),
        (Some(2), 18, 0xffff, 0),
        (Some(2), 19, 0, 0),
        (Some(2), 21, 0xffff, 0x1046),
        (Some(3), 16, 0xffff, 0),
        (Some(3), 17, 0xffff, 0),
        (Some(3), 18, 0xffff, 0x4005),
        (Some(3), 19, 0xffff, 0),
        (Some(5), 20, 0, 0),
        (Some(5), 21, 0, 0),
        (Some(6), 17, 0, 0),
    ]),
    status: M88_STATUS,
};
/// PHY inside of the 82576 (82576 datasheet, 8.25): port configuration, status, control, health, power management.
pub(super) static IGP3: Model = Model {
    page: None,
    pages: 1,
    rows: standard_and!(0x02a8, 0x0391, [
        (None, 16, 0xffff, 0x0120),
        (None, 17, 0, 0),
        (None, 18, 0xffff, 0),
        (None, 19, 0, 0),
        (None, 20, 0xffff, 0),
        (None, 24, 0xffff, 0),
        (None, 25, 0xffff, 0x008d),
        (None, 29, 0xffff, 0),
        (None, 30, 0xffff, 0),
        (None, 31, 0xffff, 0),
    ]),
    // Resolved to 1000 Mb/s, full duplex.
    status: (17, 0xc600),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn access(phy: &mut Phy, model: &Model, op: u32, number: u32, value: u32) -> (u32, Done) {
        let done = phy.write_mdic(model, op | 1 << 21 | number << 16 | value);
        (phy.mdic, done)
    }

    #[test]
    fn registers_are_read_and_written_through_mdic() {
        for (model, id) in [(&M88E1011, 0x0141_0c20), (&M88E1000, 0x0141_0c30), (&BM, 0x0141_0cb1), (&IGP3, 0x02a8_0391)] {
            let mut phy = Phy::new(model, true);
            let mut read = |number| access(&mut phy, model, mdic::READ, number, 0).0 & 0xffff;
            assert_eq!(read(2) << 16 | read(3), id);
            assert_eq!((read(0), read(1) & 0x24, read(u32::from(model.status.0)) as u16 & model.status.1), (
                0x1140,
                4,
                model.status.1
            ));
            assert_eq!(access(&mut phy, model, mdic::WRITE, 4, 0x1e1).1, Done::default());
            assert_eq!(access(&mut phy, model, mdic::READ, 4, 0).0, 0x1824_01e1);
            assert!(access(&mut phy, model, mdic::WRITE, 0, 0x1340).1.restart);
            assert!(!access(&mut phy, model, mdic::WRITE, 0, 0x0340).1.restart);
            assert!(access(&mut phy, model, mdic::WRITE, 0, 0x9140).1.restart);
            phy.set_link(model, false, false);
            assert!(!phy.link() && phy.negotiates() && !phy.loopback());
            assert_eq!(access(&mut phy, model, mdic::READ | mdic::INTERRUPT, 11, 0).1, Done {
                interrupt: true,
                unknown: Some(11),
                restart: false
            });
            assert_eq!(phy.write_mdic(model, mdic::READ | 2 << 21), Done::default());
            assert!(phy.mdic & mdic::ERROR != 0);
        }
    }

    #[test]
    fn pages_have_registers_of_their_own() {
        let mut phy = Phy::new(&BM, true);
        let mut at = |op, number, value| access(&mut phy, &BM, op, number, value).0 & 0xffff;
        assert_eq!(at(mdic::READ, 16, 0), 0x3360);
        at(mdic::WRITE, 22, 2);
        assert_eq!((at(mdic::READ, 16, 0), at(mdic::READ, 22, 0), at(mdic::READ, 3, 0)), (0x0088, 2, 0x0cb1));
        at(mdic::WRITE, 22, 0x7f);
        assert_eq!(at(mdic::READ, 16, 0), 0);
    }
}
