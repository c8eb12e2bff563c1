//! GE IP-Octal 232: an IndustryPack module with a Philips SCC2698B, which is eight UARTs in four blocks (IP-OCTAL 232 user
//! manual; SCC2698B data sheet).  Lines are as fast as they can be; counters, breaks and modem lines are not built.

use crate::catalogue::Class;
use crate::misc::tpci200::{IndustryPack, Space};
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind};
use serde::{Deserialize, Serialize};
use tern_core::backend::CharSink;
use tern_core::device::Reporter;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "ipoctal232";

/// The module's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Serial,
    about: "GE IP-Octal 232: IndustryPack module with eight UARTs (SCC2698B)",
    parents: &[],
    props: &[
        Prop::new("slot", PropKind::Signed(-1), "slot of the carrier; -1: the first free one"),
        Prop::new("chardev0", PropKind::Chardev, ""),
        Prop::new("chardev1", PropKind::Chardev, ""),
        Prop::new("chardev2", PropKind::Chardev, ""),
        Prop::new("chardev3", PropKind::Chardev, ""),
        Prop::new("chardev4", PropKind::Chardev, ""),
        Prop::new("chardev5", PropKind::Chardev, ""),
        Prop::new("chardev6", PropKind::Chardev, ""),
        Prop::new("chardev7", PropKind::Chardev, ""),
    ],
    bus: None,
    build: Build::Child(BusKind::Ipack, |wants| {
        let mut sinks = Vec::new();
        for (port, prop) in (0..).zip(CHARDEVS) {
            sinks.push(wants.chardev(prop, port)?);
        }
        let module: Box<dyn IndustryPack> = Box::new(Octal::new(sinks));
        Ok(Child::new(module))
    }),
}];

const CHARDEVS: [&str; CHANNELS] =
    ["chardev0", "chardev1", "chardev2", "chardev3", "chardev4", "chardev5", "chardev6", "chardev7"];
const CHANNELS: usize = 8;
const BLOCKS: usize = 4;
/// Depth of a receiver's FIFO.
const DEPTH: usize = 3;
/// The identification PROM: GreenSpring, model 0x22, revision A1; 12 bytes, the last their CRC.
const ID: [u8; 12] = [b'I', b'P', b'A', b'C', 0xf0, 0x22, 0xa1, 0, 0, 0, 12, 0xcc];

/// Mode 1: the receiver's interrupt says that its FIFO is full.
const MODE1_FULL: u8 = 0x40;
/// Mode 2: local loopback, of the mode bits.
const MODE2_LOOPBACK: u8 = 0x80;
const MODE2_MODE: u8 = 0xc0;

/// Status of a channel.
mod status {
    pub(super) const RECEIVED: u8 = 0x01;
    pub(super) const FULL: u8 = 0x02;
    pub(super) const READY: u8 = 0x04;
    pub(super) const EMPTY: u8 = 0x08;
    pub(super) const OVERRUN: u8 = 0x10;
}

/// Interrupts of a block: of its first channel; those of the second are four bits higher.
const INTERRUPT_READY: u8 = 1;
const INTERRUPT_RECEIVED: u8 = 2;

registers! {
    static REGS: Octal, "scc2698", sizes [1];
    0x00 [8; 16] MR 1 rw, "MR1, MR2", read |d, n| d.channel(n).mode(None), write |d, n, v| { d.channel(n).mode(Some(v as u8)); };
    0x02 [8; 16] SR_CSR 1 rw, "SR, CSR", read |d, n| u64::from(d.channel(n).status()), write |_, _, _| {};
    0x04 [8; 16] CR 1 wo, "CR", write |d, n, v| d.command(n, v as u8);
    0x06 [8; 16] RHR_THR 1 rw, "RHR, THR", read |d, n| u64::from(d.channel(n).take()), write |d, n, v| d.send(n as usize, v as u8);
    0x08 [4; 32] IPCR_ACR 1 rw, "IPCR, ACR", read |_, _| 0, write |_, _, _| {};
    0x0a [4; 32] ISR_IMR 1 rw, "ISR, IMR", read |d, n| u64::from(d.pending(n as usize)),
        write |d, n, v| d.state.masks[n as usize] = v as u8;
    0x1a [4; 32] IPR_OPCR 1 rw, "IPR, OPCR", read |_, _| 0, write |_, _, _| {};
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Channel {
    modes: [u8; 2],
    /// The next access to the mode register is to the second.
    second: bool,
    receives: bool,
    sends: bool,
    overrun: bool,
    fifo: Vec<u8>,
}

impl Channel {
    fn mode(&mut self, new: Option<u8>) -> u64 {
        let mode = &mut self.modes[usize::from(self.second)];
        *mode = new.unwrap_or(*mode);
        self.second = true;
        u64::from(*mode)
    }

    fn status(&self) -> u8 {
        let received = if self.fifo.is_empty() { 0 } else { status::RECEIVED };
        let full = if self.fifo.len() == DEPTH { status::FULL } else { 0 };
        let ready = if self.sends { status::READY | status::EMPTY } else { 0 };
        received | full | ready | if self.overrun { status::OVERRUN } else { 0 }
    }

    fn take(&mut self) -> u8 {
        if self.fifo.is_empty() { 0 } else { self.fifo.remove(0) }
    }

    fn put(&mut self, byte: u8) {
        if self.fifo.len() < DEPTH {
            self.fifo.push(byte);
        } else {
            self.overrun = true;
        }
    }

    fn pending(&self) -> u8 {
        let wanted = if self.modes[0] & MODE1_FULL != 0 { DEPTH } else { 1 };
        let received = if self.fifo.len() >= wanted { INTERRUPT_RECEIVED } else { 0 };
        received | if self.sends { INTERRUPT_READY } else { 0 }
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    channels: [Channel; CHANNELS],
    masks: [u8; BLOCKS],
    vector: u8,
    /// A byte was written while the transmitter was off, or a command came that there is not: what is to be reported.
    #[serde(skip)]
    mistakes: u32,
    #[serde(skip)]
    unbuilt: u32,
}

/// The module.
pub struct Octal {
    sinks: Vec<Box<dyn CharSink>>,
    state: State,
}

impl Octal {
    /// A new one; channels behind the last sink lead nowhere.
    #[must_use]
    pub fn new(sinks: Vec<Box<dyn CharSink>>) -> Octal {
        Octal { sinks, state: State::default() }
    }

    fn channel(&mut self, n: u64) -> &mut Channel {
        &mut self.state.channels[n as usize % CHANNELS]
    }

    fn command(&mut self, n: u64, value: u8) {
        let channel = self.channel(n);
        for (bit, on) in [(1, true), (2, false)] {
            if value & bit != 0 {
                channel.receives = on;
            }
        }
        for (bit, on) in [(4, true), (8, false)] {
            if value & bit != 0 {
                channel.sends = on;
            }
        }
        match value >> 4 {
            // None; break interrupts, which never come, are taken back; lines that lead nowhere.
            0 | 5 | 8 | 9 => {}
            1 => channel.second = false,
            2 => {
                channel.receives = false;
                channel.fifo.clear();
            }
            3 => channel.sends = false,
            4 => channel.overrun = false,
            _ => self.state.unbuilt += 1,
        }
    }

    fn send(&mut self, n: usize, byte: u8) {
        let channel = &mut self.state.channels[n];
        if !channel.sends {
            self.state.mistakes += 1;
        } else if channel.modes[1] & MODE2_MODE == MODE2_LOOPBACK {
            if channel.receives {
                channel.put(byte);
            }
        } else if let Some(sink) = self.sinks.get_mut(n) {
            sink.write(&[byte]);
        }
    }

    /// The interrupt status of a block.
    fn pending(&self, block: usize) -> u8 {
        self.state.channels[2 * block].pending() | self.state.channels[2 * block + 1].pending() << 4
    }

    /// Reports what has gone wrong in an access.
    fn report(&mut self, report: &Reporter) {
        if core::mem::take(&mut self.state.mistakes) > 0 {
            report.guest_error(format_args!("{NAME}: a byte is sent while the transmitter is off"));
        }
        if core::mem::take(&mut self.state.unbuilt) > 0 {
            report.unimplemented(format_args!("{NAME}: breaks and timeouts are not built"));
        }
    }
}

impl IndustryPack for Octal {
    fn read(&mut self, space: Space, at: u32, report: &Reporter) -> u16 {
        match space {
            Space::Io => REGS.read(self, report, u64::from(at), Size::B1) as u16,
            Space::Id if at & 1 == 0 => ID.get(at as usize / 2).copied().unwrap_or(0).into(),
            Space::Interrupt if at & !2 == 0 => self.state.vector.into(),
            _ => {
                report.guest_error(format_args!("{NAME}: nothing to read at {at:#x} of {space:?}"));
                0
            }
        }
    }

    fn write(&mut self, space: Space, at: u32, value: u16, report: &Reporter) {
        match (space, at) {
            (Space::Io, _) => {
                REGS.write(self, report, u64::from(at), Size::B1, u64::from(value));
                self.report(report);
            }
            (Space::Memory8 | Space::Id, 1) => self.state.vector = value as u8,
            _ => report.guest_error(format_args!("{NAME}: nothing to write at {at:#x} of {space:?}")),
        }
    }

    fn interrupts(&self) -> [bool; 2] {
        let block = |n: usize| self.pending(n) & self.state.masks[n] != 0;
        [block(0) || block(1), block(2) || block(3)]
    }

    fn room(&mut self, port: u32) -> usize {
        let channel = self.state.channels.get(port as usize).filter(|c| c.receives);
        channel.map_or(0, |c| DEPTH - c.fifo.len())
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        let Some(channel) = self.state.channels.get_mut(port as usize) else { return };
        data.iter().filter(|_| channel.receives).copied().collect::<Vec<_>>().into_iter().for_each(|b| channel.put(b));
    }

    fn reset(&mut self) {
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        check(state.channels.iter().all(|c| c.fifo.len() <= DEPTH), "fifo", || "deeper than it is".into())?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::misc::tpci200::Carrier;
    use crate::model::{Props, Value};
    use crate::pci::PciFunction;

    /// A carrier with the module in slot 1; the carrier's halfwords are big-endian, as Linux' driver sets them.
    fn carrier(bench: &mut Bench) -> Carrier {
        let mut d = Carrier::new(bench.kit("tpci200"));
        let mut props = Props::defaults(MODELS[0].props.iter());
        props.set("slot", Value::Signed(1));
        let module = |bench: &Bench| -> Child {
            let module: Box<dyn IndustryPack> = Box::new(Octal::new(vec![bench.chars()]));
            Child::new(module)
        };
        assert_eq!(d.plug(&props, module(bench)), Ok(8));
        assert!(d.plug(&props, module(bench)).is_err());
        props.set("slot", Value::Signed(4));
        assert!(d.plug(&props, module(bench)).is_err());
        let las1 = d.read(0, 0x2c, Size::B4);
        d.write(0, 0x2c, Size::B4, las1 ^ 1 << 24);
        assert_eq!((las1, d.read(0, 0x2c, Size::B4)), (0x1441_20a2, 0x1541_20a2));
        d
    }

    /// A register of the module, at the odd address of a big-endian bus.
    const IO: u64 = 0x101;

    #[test]
    fn the_prom_says_what_it_is() {
        let mut bench = Bench::new();
        let mut d = carrier(&mut bench);
        let id: Vec<u8> = (0..12).map(|n| d.read(3, 0x181 + 2 * n, Size::B1) as u8).collect();
        assert_eq!((&id[..], d.read(2, 0x0c, Size::B2)), (&ID[..], 0));
        // The next slot is empty: that is seen, and interrupts if it shall.
        assert_eq!((d.read(3, 0x281, Size::B1), d.read(2, 0x0c, Size::B2)), (0, 0x4000));
        d.write(2, 0x06, Size::B2, 4);
        assert_eq!(d.config().intx(), Some(0));
        d.write(2, 0x0c, Size::B2, 0x4000);
        assert_eq!((d.read(2, 0x0c, Size::B2), d.config().intx(), bench.guest_errors()), (0, None, 0));
    }

    #[test]
    fn channels_send_receive_and_interrupt() {
        let mut bench = Bench::new();
        let mut d = carrier(&mut bench);
        d.write(5, 0x40_0001, Size::B1, 0x77);
        // Both interrupts of slot 1, by level.
        d.write(2, 0x04, Size::B2, 0xc0);
        d.write(3, IO + 0x04, Size::B1, 0x15);
        d.write(3, IO, Size::B1, 0x13);
        d.write(3, IO, Size::B1, 0x07);
        d.write(3, IO + 0x04, Size::B1, 0x10);
        assert_eq!([0; 2].map(|_| d.read(3, IO, Size::B1)), [0x13, 0x07]);
        d.write(3, IO + 0x0a, Size::B1, 0x02);
        assert_eq!((d.read(3, IO + 2, Size::B1), d.config().intx()), (0x0c, None));
        d.write(3, IO + 6, Size::B1, u64::from(b'x'));
        assert_eq!((*bench.output.borrow()).as_slice(), b"x");
        assert_eq!((d.room(8), d.room(9), d.room(0), d.room(0xffff_ffff)), (3, 0, 0, 0));
        d.receive(8, b"ab");
        assert_eq!((d.config().intx(), d.read(2, 0x0c, Size::B2), d.room(8)), (Some(0), 0x0004, 1));
        assert_eq!((d.read(3, 0x1c0, Size::B2), d.read(3, IO + 0x0a, Size::B1)), (0x7700, 3));
        assert_eq!([0; 3].map(|_| d.read(3, IO + 6, Size::B1) as u8), [b'a', b'b', 0]);
        assert_eq!((d.config().intx(), bench.guest_errors(), bench.unimplemented()), (None, 0, 0));
        d.write(3, IO + 0x16, Size::B1, 1);
        assert_eq!(bench.guest_errors(), 1);
    }

    #[test]
    fn edges_stay_until_they_are_acknowledged_and_loopback_overruns() {
        let mut bench = Bench::new();
        let mut d = carrier(&mut bench);
        // The second interrupt of slot 1, by edges: blocks C and D.
        d.write(2, 0x04, Size::B2, 0x80 | 0x20);
        d.write(3, IO + 0x40, Size::B1, 0x13);
        d.write(3, IO + 0x40, Size::B1, 0x87);
        d.write(3, IO + 0x4a, Size::B1, 0x02);
        d.write(3, IO + 0x44, Size::B1, 0x05);
        for byte in 1..=4 {
            d.write(3, IO + 0x46, Size::B1, byte);
        }
        assert_eq!((d.config().intx(), d.read(3, IO + 0x42, Size::B1)), (Some(0), 0x1f));
        assert_eq!([0; 3].map(|_| d.read(3, IO + 0x46, Size::B1)), [1, 2, 3]);
        assert_eq!((d.config().intx(), d.read(2, 0x0c, Size::B2)), (Some(0), 8));
        d.write(2, 0x0c, Size::B2, 8);
        assert_eq!((d.config().intx(), d.read(2, 0x0c, Size::B2)), (None, 0));
        assert_eq!((d.unplug(8), d.unplug(8).is_err(), d.room(8)), (Ok(()), true, 0));
    }
}
