//! VMware vmxnet3, version 1: a paravirtual network card.  There is no public manual; the interface is that of the open
//! drivers (Linux, `drivers/net/vmxnet3/vmxnet3_defs.h`, whose names the rows have).
//!
//! Base address 0 has what is touched often, 1 the rest, 2 the MSI-X table.  All received frames go to queue 0: receive-side
//! scaling and large receives are not built.

mod queues;

use super::chip::{self, Base, CONTROL_PORT, ETHERNET, SHORTEST, is_broadcast, is_multicast};
use crate::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::ConfigState;
use crate::pci::msi::MsixState;
use crate::pci::{BarKind, Config, Identity, Msi, Msix, PciFunction};
use queues::{QUEUE_SIZE, RxQueue, TxQueue};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "vmxnet3";
/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Network,
    about: "VMware paravirtual Ethernet card, version 3 of its kind",
    parents: &[],
    props: &[
        Prop::new("netdev", PropKind::Netdev, "the backend"),
        Prop::new("mac", PropKind::Mac, "its address"),
        Prop::only("bootindex", &["*"]),
        Prop::only("x-old-msi-offsets", &["off"]),
        Prop::only("x-disable-pcie", &["off"]),
    ],
    bus: None,
    build: Build::Pci(|kit, wants| {
        let subsystem = Some((VENDOR, DEVICE));
        let identity = Identity { vendor: VENDOR, device: DEVICE, revision: 1, class: ETHERNET, subsystem };
        let bars =
            [(0, BarKind::Memory32, 0x1000), (1, BarKind::Memory32, 0x1000), (BAR_MSIX, BarKind::Memory32, 0x2000)];
        let mut base = Base::new(NAME, kit, wants, identity, &bars)?;
        base.config.add_express();
        let msi = Msi::new(&mut base.config);
        let msix = Msix::placed(&mut base.config, VECTORS as u16, (BAR_MSIX, 0), (BAR_MSIX, PENDING));
        let [a, b, c, d, e, f] = base.mac;
        base.config.add_extended(3, 1, &[0xfe, d, e, f, a, b, c, 0xff]);
        base.config.seal();
        let s = State::new(base.mac);
        Ok(Box::new(Vmxnet3 { base, msi, msix, s }))
    }),
}];

const VENDOR: u16 = 0x15ad;
const DEVICE: u16 = 0x07b0;
const BAR_MSIX: u8 = 2;
/// Where the pending bits are behind it.
const PENDING: u32 = 0x1000;
/// Most interrupts, queues of each direction, multicast addresses.
const VECTORS: usize = 25;
const QUEUES: usize = 8;
const GROUPS: usize = 0xffff / 6;
/// What the shared area begins with.
const MAGIC: u32 = 0xbabe_fee1;
/// The link's speed in Mbit/s.
const SPEED: u32 = 1000;

/// Commands.
mod cmd {
    pub(super) const ACTIVATE: u32 = 0xcafe_0000;
    pub(super) const QUIESCE: u32 = 0xcafe_0001;
    pub(super) const RESET: u32 = 0xcafe_0002;
    pub(super) const RX_MODE: u32 = 0xcafe_0003;
    pub(super) const MAC_FILTERS: u32 = 0xcafe_0004;
    pub(super) const VLAN_FILTERS: u32 = 0xcafe_0005;
    pub(super) const RSS: u32 = 0xcafe_0006;
    pub(super) const MODERATION: u32 = 0xcafe_0007;
    pub(super) const POWER: u32 = 0xcafe_0008;
    pub(super) const FEATURE: u32 = 0xcafe_0009;
    pub(super) const GET_QUEUE_STATUS: u32 = 0xf00d_0000;
    pub(super) const GET_STATS: u32 = 0xf00d_0001;
    pub(super) const GET_LINK: u32 = 0xf00d_0002;
    pub(super) const GET_MAC_LOW: u32 = 0xf00d_0003;
    pub(super) const GET_MAC_HIGH: u32 = 0xf00d_0004;
    pub(super) const GET_DEVICE: u32 = 0xf00d_0005;
    pub(super) const GET_REVISION: u32 = 0xf00d_0006;
    pub(super) const GET_EXTRA: u32 = 0xf00d_0007;
    pub(super) const GET_INTERRUPTS: u32 = 0xf00d_0008;
    pub(super) const GET_ADAPTIVE: u32 = 0xf00d_0009;
}

/// Offsets in the shared area.
mod shared {
    pub(super) const GUEST: u64 = 12;
    pub(super) const FEATURES: u64 = 24;
    pub(super) const QUEUES: u64 = 40;
    pub(super) const MOST_PIECES: u64 = 60;
    pub(super) const AUTO_MASK: u64 = 80;
    pub(super) const RX_MODE: u64 = 120;
    pub(super) const GROUPS: u64 = 124;
    pub(super) const VLANS: u64 = 136;
    pub(super) const EVENTS: u64 = 696;
}

/// Events.
const EVENT_LINK: u32 = 4;

/// Features of the driver.
const F_RX_CHECKSUM: u32 = 1;
const F_RSS: u32 = 2;
const F_RX_VLAN: u32 = 4;

/// Receive modes.
mod mode {
    pub(super) const UNICAST: u32 = 0x01;
    pub(super) const MULTICAST: u32 = 0x02;
    pub(super) const BROADCAST: u32 = 0x04;
    pub(super) const ALL_MULTICAST: u32 = 0x08;
    pub(super) const PROMISCUOUS: u32 = 0x10;
}

/// An interrupt.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Line {
    masked: bool,
    pending: bool,
    /// The pin is asserted for it.
    asserted: bool,
}

impl Line {
    const NEW: Line = Line { masked: true, pending: false, asserted: false };
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    shared: u64,
    shared_low: u32,
    active: bool,
    command: u32,
    mac: [u8; 6],
    mac_low: u32,
    lines: Vec<Line>,
    auto_mask: bool,
    event_line: u8,
    /// Frames are cut into a head and bodies.
    compound: bool,
    most_pieces: u16,
    features: u32,
    mode: u32,
    vlans: Vec<u32>,
    groups: Vec<[u8; 6]>,
    tx: Vec<TxQueue>,
    rx: Vec<RxQueue>,
}

impl State {
    fn new(mac: [u8; 6]) -> State {
        State {
            shared: 0,
            shared_low: 0,
            active: false,
            command: 0,
            mac,
            mac_low: 0,
            lines: vec![Line::NEW; VECTORS],
            auto_mask: false,
            event_line: 0,
            compound: true,
            most_pieces: 1,
            features: 0,
            mode: 0,
            vlans: vec![0; 128],
            groups: Vec::new(),
            tx: Vec::new(),
            rx: Vec::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    config: ConfigState,
    msix: MsixState,
    link: bool,
    state: State,
}

/// The card.
struct Vmxnet3 {
    base: Base,
    msi: Msi,
    msix: Msix,
    s: State,
}

registers! {
    static OFTEN: Vmxnet3, "vmxnet3", sizes [4];
    0x000 [25; 8] IMR 4 rw reset 1, "vmxnet3_defs.h", read |d, i| u64::from(d.s.lines[i as usize].masked),
        write |d, i, v| d.set_mask(i as usize, v & 1 != 0);
    0x600 [8; 8] TXPROD 4 rw reset 0, "vmxnet3_defs.h", read |_, _| 0, write |d, i, _| d.send_all(i as usize);
    // How far the driver has filled its receive rings is in the descriptors themselves.
    0x800 [8; 8] RXPROD 4 rw reset 0, "vmxnet3_defs.h", read |_, _| 0, write |_, _, _| {};
    0xa00 [8; 8] RXPROD2 4 rw reset 0, "vmxnet3_defs.h", read |_, _| 0, write |_, _, _| {};
}

registers! {
    static REST: Vmxnet3, "vmxnet3", sizes [4];
    0x00 VRRS 4 rw reset 1, "vmxnet3_defs.h", read |_, _| 1, write |_, _, _| {};
    0x08 UVRS 4 rw reset 1, "vmxnet3_defs.h", read |_, _| 1, write |_, _, _| {};
    0x10 DSAL 4 rw reset 0, "vmxnet3_defs.h", read |d, _| d.s.shared & 0xffff_ffff, write |d, _, v| d.set_shared(v as u32);
    0x18 DSAH 4 rw reset 0, "vmxnet3_defs.h", read |d, _| d.s.shared >> 32,
        write |d, _, v| d.s.shared = v << 32 | u64::from(d.s.shared_low);
    0x20 CMD 4 rw reset 0, "vmxnet3_defs.h", read |d, _| u64::from(d.answer()), write |d, _, v| d.obey(v as u32);
    0x28 MACL 4 rw, "vmxnet3_defs.h", read |d, _| u64::from(low(d.s.mac)), write |d, _, v| d.s.mac_low = v as u32;
    0x30 MACH 4 rw, "vmxnet3_defs.h", read |d, _| u64::from(high(d.s.mac)), write |d, _, v| d.set_mac(v as u32);
    0x38 ICR 4 ro reset 0, "vmxnet3_defs.h", read |d, _| d.take_cause();
    0x40 ECR 4 rw reset 0, "vmxnet3_defs.h", read |_, _| 0, write |d, _, v| d.clear_events(v as u32);
}

registers! {
    static TABLE: Vmxnet3, "vmxnet3-msix", sizes [4, 8];
    0x0000 area 0x1000 MSI_X_TABLE, "PCI 6.8.2", read |d, at, size| d.msix.read(at, size),
        write |d, at, size, v| d.write_table(at, size, v);
    0x1000 area 0x1000 MSI_X_PBA, "PCI 6.8.2", read |d, at, size| d.msix.pending(at, size),
        write |d, at, _, _| d.base.kit.report.guest_error(format_args!("store to pending bits at {at:#x}"));
}

/// An address as the two registers have it.
fn low(mac: [u8; 6]) -> u32 {
    u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]])
}

fn high(mac: [u8; 6]) -> u32 {
    u32::from(u16::from_le_bytes([mac[4], mac[5]]))
}

impl Vmxnet3 {
    /// A word of the shared area; zero if it is not there.
    fn word(&self, at: u64) -> u32 {
        self.base.words::<1>(self.s.shared.wrapping_add(at)).map_or(0, |[word]| word)
    }

    fn long(&self, at: u64) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32
    }

    fn set_shared(&mut self, value: u32) {
        if value == 0 {
            self.s.active = false;
        }
        (self.s.shared_low, self.s.shared) = (value, 0);
    }

    fn set_mac(&mut self, value: u32) {
        let ([a, b, c, d], [e, f, ..]) = (self.s.mac_low.to_le_bytes(), value.to_le_bytes());
        self.s.mac = [a, b, c, d, e, f];
    }

    fn obey(&mut self, command: u32) {
        self.s.command = command;
        match command {
            cmd::ACTIVATE => {
                if let Err(why) = self.activate() {
                    self.base.kit.report.guest_error(format_args!("not activated: {why}"));
                }
            }
            cmd::QUIESCE => self.s.active = false,
            cmd::RESET => {
                self.cancel();
                self.s = State { mac: self.s.mac, command, ..State::new(self.base.mac) };
            }
            cmd::RX_MODE => self.s.mode = self.word(shared::RX_MODE),
            cmd::MAC_FILTERS => self.read_groups(),
            cmd::VLAN_FILTERS => self.read_vlans(),
            cmd::FEATURE => self.read_features(),
            cmd::GET_STATS => self.write_statistics(),
            // Nothing here sleeps or bundles interrupts; the rest is answered when it is read.
            cmd::MODERATION | cmd::POWER | cmd::GET_QUEUE_STATUS..=cmd::GET_ADAPTIVE => {}
            cmd::RSS => self.base.kit.report.unimplemented(format_args!("receive-side scaling")),
            _ => self.base.kit.report.unimplemented(format_args!("command {command:#x}")),
        }
    }

    /// What a command returns.
    fn answer(&self) -> u32 {
        match self.s.command {
            cmd::ACTIVATE => u32::from(!self.s.active),
            cmd::GET_LINK if self.base.link => SPEED << 16 | 1,
            cmd::GET_LINK => SPEED << 16,
            cmd::GET_MAC_LOW => low(self.base.mac),
            cmd::GET_MAC_HIGH => high(self.base.mac),
            cmd::GET_DEVICE => u32::from(DEVICE),
            // The revision; and rings keep their sizes.
            cmd::GET_REVISION | cmd::GET_ADAPTIVE => 1,
            // Any kind of interrupt, masked as the driver likes.
            cmd::GET_INTERRUPTS | cmd::GET_EXTRA => 0,
            _ => 0,
        }
    }

    fn activate(&mut self) -> Result<(), &'static str> {
        if self.s.active {
            return Ok(());
        }
        if self.word(0) != MAGIC {
            return Err("no shared area");
        }
        let [pieces, counts] = [self.word(shared::MOST_PIECES) as u16, (self.word(shared::MOST_PIECES) >> 16) as u16];
        let [tx, rx] = counts.to_le_bytes().map(usize::from);
        if tx > QUEUES || rx > QUEUES || rx == 0 {
            return Err("bad number of queues");
        }
        let [auto_mask, _, event_line, _] = self.word(shared::AUTO_MASK).to_le_bytes();
        let table = self.long(shared::QUEUES);
        let at = |n: usize| table.wrapping_add(QUEUE_SIZE * n as u64);
        let send = (0..tx).map(|n| TxQueue::read(&self.base, at(n))).collect::<Option<Vec<_>>>();
        let receive = (0..rx).map(|n| RxQueue::read(&self.base, at(tx + n))).collect::<Option<Vec<_>>>();
        let (Some(send), Some(receive)) = (send, receive) else { return Err("no queue descriptors") };
        let lines = send.iter().map(|q| q.line).chain(receive.iter().map(|q| q.line)).chain([event_line]);
        if lines.into_iter().any(|line| usize::from(line) >= VECTORS) {
            return Err("bad interrupt");
        }
        (self.s.tx, self.s.rx) = (send, receive);
        (self.s.auto_mask, self.s.event_line, self.s.most_pieces) = (auto_mask != 0, event_line, pieces.max(1));
        // Windows takes frames in one piece.
        self.s.compound = self.word(shared::GUEST) >> 2 & 0xf != 2;
        self.s.mode = self.word(shared::RX_MODE);
        self.read_features();
        self.read_groups();
        self.read_vlans();
        self.s.active = true;
        Ok(())
    }

    fn read_features(&mut self) {
        self.s.features = self.word(shared::FEATURES);
        if self.s.features & F_RSS != 0 {
            self.base.kit.report.unimplemented(format_args!("receive-side scaling"));
        }
    }

    fn read_groups(&mut self) {
        let len = usize::from(self.word(shared::GROUPS) as u16) / 6 * 6;
        let mut bytes = vec![0; len];
        let good = self.base.load(self.long(shared::GROUPS + 4), &mut bytes);
        self.s.groups = if good { bytes.as_chunks::<6>().0.to_vec() } else { Vec::new() };
    }

    fn read_vlans(&mut self) {
        self.s.vlans = (0..128).map(|n| self.word(shared::VLANS + 4 * n)).collect();
    }

    fn write_statistics(&mut self) {
        for q in self.s.tx.iter().map(|q| (q.at, &q.statistics)).chain(self.s.rx.iter().map(|q| (q.at, &q.statistics))) {
            let bytes: Vec<u8> = q.1.iter().flat_map(|n| n.to_le_bytes()).collect();
            let _ = self.base.store(q.0 + queues::STATISTICS, &bytes);
        }
    }

    fn clear_events(&mut self, bits: u32) {
        let at = self.s.shared.wrapping_add(shared::EVENTS);
        let events = self.word(shared::EVENTS) & !bits;
        let _ = self.base.store(at, &events.to_le_bytes());
    }

    fn set_mask(&mut self, n: usize, masked: bool) {
        self.s.lines[n].masked = masked;
        self.settle(n);
    }

    /// Something happened that interrupt `n` tells about.
    fn trigger(&mut self, n: u8) {
        let n = usize::from(n);
        self.s.lines[n].pending = true;
        self.settle(n);
        let by_message = self.msix.enabled(&self.base.config) || self.msi.enabled(&self.base.config);
        if by_message && self.s.auto_mask {
            self.s.lines[n].masked = true;
        }
    }

    /// Sends an interrupt that is pending and not masked.
    fn settle(&mut self, n: usize) {
        let line = &mut self.s.lines[n];
        if !line.pending || line.masked || line.asserted {
            return;
        }
        line.pending = false;
        if self.msix.enabled(&self.base.config) {
            self.msix.notify(&self.base.config, &self.base.kit.messenger, n as u16);
        } else if self.msi.enabled(&self.base.config) {
            self.msi.notify(&mut self.base.config, &self.base.kit.messenger);
        } else {
            line.asserted = true;
        }
    }

    /// Was it this card that asserts the pin?  It then lets go.
    fn take_cause(&mut self) -> u64 {
        let mut any = false;
        for n in 0..VECTORS {
            let line = &mut self.s.lines[n];
            if line.asserted {
                (line.asserted, line.pending, any) = (false, false, true);
                line.masked |= self.s.auto_mask;
            }
        }
        u64::from(any)
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        if at + size.bytes() > 16 * VECTORS as u64 {
            return self.base.kit.report.guest_error(format_args!("store behind the MSI-X table at {at:#x}"));
        }
        self.msix.write(&self.base.kit.report, at, size, value);
        self.msix.written(&self.base.config, &self.base.kit.messenger);
    }

    fn send_all(&mut self, n: usize) {
        if !self.s.active {
            return;
        }
        let Some(mut queue) = self.s.tx.get(n).cloned() else {
            return self.base.kit.report.guest_error(format_args!("transmit queue {n} is not there"));
        };
        let outcome = queue.run(&mut self.base);
        let line = queue.line;
        self.s.tx[n] = queue;
        if outcome.completed {
            self.trigger(line);
        }
        if outcome.more {
            self.base.pause(n as u32);
        }
    }

    fn accepts(&self, frame: &[u8]) -> bool {
        let mode = self.s.mode;
        if mode & mode::PROMISCUOUS != 0 {
            return true;
        }
        if let Some(tag) = queues::tag(frame).map(|tag| tag & 0x0fff).filter(|tag| !matches!(tag, 0 | 0x0fff))
            && self.s.vlans[usize::from(tag) / 32] >> (tag % 32) & 1 == 0
        {
            return false;
        }
        if is_broadcast(frame) {
            mode & mode::BROADCAST != 0
        } else if is_multicast(frame) {
            let listed = || self.s.groups.iter().any(|group| frame.starts_with(group));
            mode & mode::ALL_MULTICAST != 0 || mode & mode::MULTICAST != 0 && listed()
        } else {
            mode & mode::UNICAST != 0 && frame.starts_with(&self.s.mac)
        }
    }

    fn deliver(&mut self, frame: &[u8]) {
        if !self.s.active || !self.accepts(frame) {
            return;
        }
        let how = queues::Receiving {
            strip: self.s.features & F_RX_VLAN != 0,
            check: self.s.features & F_RX_CHECKSUM != 0,
            compound: self.s.compound,
            most_pieces: usize::from(self.s.most_pieces),
            queues: self.s.rx.len() as u32,
        };
        let Some(queue) = self.s.rx.first_mut() else { return };
        queue.take(&self.base, frame, &how);
        let line = queue.line;
        self.trigger(line);
    }

    fn cancel(&self) {
        (0..QUEUES as u32).for_each(|n| self.base.kit.clock.cancel(n));
    }

    /// The pin, if nothing else is on.
    fn drive(&mut self) {
        let level = self.s.lines.iter().any(|line| line.asserted);
        self.base.config.set_intx(level);
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        let (lines, vlans, groups) = (s.lines.len(), s.vlans.len(), s.groups.len());
        let good = lines == VECTORS && vlans == 128 && groups <= GROUPS && s.most_pieces > 0;
        check(good, "tables", || format!("{lines}, {vlans}, {groups}"))?;
        let line = |line: u8| usize::from(line) < VECTORS;
        let tx = s.tx.iter().all(|q| q.is_possible() && line(q.line)) && s.tx.len() <= QUEUES;
        let rx = s.rx.iter().all(|q| q.is_possible() && line(q.line)) && s.rx.len() <= QUEUES;
        check(tx && rx && line(s.event_line), "queues", || "beyond their ends".into())
    }
}

impl PciFunction for Vmxnet3 {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.base.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.base.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.base.config.write(at, size, value);
        self.msi.written(&mut self.base.config, &self.base.kit.messenger);
        self.msix.written(&self.base.config, &self.base.kit.messenger);
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.base.kit.report.clone();
        let set = [&OFTEN, &REST, &TABLE][usize::from(bar.min(2))];
        let value = set.read(self, &report, offset, size);
        self.drive();
        value
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.base.kit.report.clone();
        let set = [&OFTEN, &REST, &TABLE][usize::from(bar.min(2))];
        set.write(self, &report, offset, size, value);
        self.drive();
    }

    fn event(&mut self, token: u32) {
        self.send_all(token as usize);
        self.drive();
    }

    fn room(&mut self, port: u32) -> usize {
        let how = queues::Receiving { compound: self.s.compound, most_pieces: 1, ..queues::Receiving::default() };
        let ready = || self.s.rx.first().is_none_or(|q| q.plan(&self.base, 1, &how).is_some());
        usize::from(port == CONTROL_PORT || port == 0 && (!self.base.link || !self.s.active || ready()))
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        match (port, data) {
            (CONTROL_PORT, [up @ (0 | 1), ..]) => {
                let up = *up == 1;
                if core::mem::replace(&mut self.base.link, up) != up && self.s.active {
                    let events = self.word(shared::EVENTS) | EVENT_LINK;
                    let _ = self.base.store(self.s.shared.wrapping_add(shared::EVENTS), &events.to_le_bytes());
                    self.trigger(self.s.event_line);
                }
            }
            (0, [_, ..]) if self.base.link => {
                let mut frame = data.to_vec();
                frame.resize(frame.len().max(SHORTEST), 0);
                self.deliver(&frame);
            }
            _ => {}
        }
        self.drive();
    }

    fn reset(&mut self) {
        self.cancel();
        self.base.config.reset();
        self.msix.reset();
        self.s = State::new(self.base.mac);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let (config, msix) = (self.base.config.save(), self.msix.save());
        snapshot::save(NAME, 1, &Saved { config, msix, link: self.base.link, state: self.s.clone() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved = snapshot::load(NAME, 1, bytes)?;
        self.base.config.check(&saved.config)?;
        self.msix.check(&saved.msix)?;
        self.check(&saved.state)?;
        self.base.config.load(saved.config);
        self.msix.load(saved.msix);
        (self.base.link, self.s) = (saved.link, saved.state);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
