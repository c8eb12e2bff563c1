//! What the cards of this class have in common: the PCI function around a chip, its way to memory, and the link.

use crate::Class;
use crate::model::{Build, Model, Prop, PropKind, Wants};
use crate::pci::config::{ConfigState, command};
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tern_core::backend::NetSink;
use tern_core::device::{Kit, RegisterSet, Reporter};
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError};

/// The port that tells about the link, a byte each time: 0 for down, 1 for up.
pub const CONTROL_PORT: u32 = 0xff;
/// Length that shorter frames are padded to: Ethernet's least, without the checksum.
pub(super) const SHORTEST: usize = 60;
/// Longest frame that a card gathers from pieces, in bytes.
pub(super) const LONGEST: usize = 0x1_0000;
/// Descriptors that a card works on before it lets the guest go on; it continues by an event.
pub(super) const BUDGET: usize = 256;
/// How long it then waits, in nanoseconds.
pub(super) const PAUSE: u64 = 10_000;
/// The subsystem of functions that have none of their own.
pub(super) const SUBSYSTEM: (u16, u16) = (0x1af4, 0x1100);
/// Class code of an Ethernet controller.
pub(super) const ETHERNET: u32 = 0x02_0000;

/// Properties of every card.
pub(super) const PROPS: &[Prop] = &[
    Prop::new("netdev", PropKind::Netdev, "the backend"),
    Prop::new("mac", PropKind::Mac, "its address"),
    Prop::only("bootindex", &["*"]),
];

/// How a model of this class is built.
pub(super) type Builder = fn(Kit, &mut Wants<'_>) -> Result<Box<dyn PciFunction>, String>;

/// The row of a card with the properties that every card has.
pub(super) const fn model(name: &'static str, about: &'static str, build: Builder) -> Model {
    let (class, build) = (Class::Network, Build::Pci(build));
    Model { name, aliases: &[], class, about, parents: &[], props: PROPS, bus: None, build }
}

/// Configuration space, handles and link of a card.
pub(super) struct Base {
    pub(super) name: &'static str,
    pub(super) config: Config,
    pub(super) kit: Kit,
    net: Box<dyn NetSink>,
    pub(super) link: bool,
    /// The address that the card came with.
    pub(super) mac: [u8; 6],
}

impl Base {
    /// A card with interrupt pin A and these base addresses; the link is up.
    ///
    /// # Errors
    /// Its backend cannot be used.
    pub(super) fn new(
        name: &'static str,
        kit: Kit,
        wants: &mut Wants<'_>,
        identity: Identity,
        bars: &[(u8, BarKind, u64)],
    ) -> Result<Base, String> {
        let mut config = Config::new(identity);
        config.set_pin(1);
        for (number, kind, size) in bars {
            config.add_bar(Bar { number: *number, kind: *kind, size: *size });
        }
        let (net, mac) = (wants.netdev("netdev", 0)?, wants.mac("mac"));
        Ok(Base { name, config, kit, net, link: true, mac })
    }

    /// Fills `bytes` from memory; false if the function is no bus master or nothing answers, and then they are zero.
    pub(super) fn load(&self, addr: u64, bytes: &mut [u8]) -> bool {
        let good = self.config.enabled(command::MASTER) && self.kit.dma.read(addr, bytes).is_ok();
        if !good {
            bytes.fill(0);
        }
        good
    }

    /// Bytes from memory, if they are there.
    pub(super) fn fetch<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.load(addr, &mut bytes).then_some(bytes)
    }

    /// Little-endian words from memory, if they are there.
    pub(super) fn words<const N: usize>(&self, addr: u64) -> Option<[u32; N]> {
        let mut words = [0; N];
        for (n, word) in words.iter_mut().enumerate() {
            *word = u32::from_le_bytes(self.fetch(addr.wrapping_add(4 * n as u64))?);
        }
        Some(words)
    }

    /// Writes to memory; false as in [`Base::load`].
    pub(super) fn store(&self, addr: u64, bytes: &[u8]) -> bool {
        self.config.enabled(command::MASTER) && self.kit.dma.write(addr, bytes).is_ok()
    }

    /// Sends a frame, if the link is up.
    pub(super) fn send(&mut self, frame: &[u8]) {
        if self.link && !frame.is_empty() {
            self.net.send(frame);
        }
    }

    /// Goes on with event `token` after a pause.
    pub(super) fn pause(&self, token: u32) {
        self.kit.clock.schedule(token, self.kit.clock.now().saturating_add(PAUSE));
    }
}

/// A chip: registers, descriptors, and what it does with frames.
pub(super) trait Chip {
    /// All that it saves beside its configuration space.
    type State: Serialize + DeserializeOwned;

    /// What it has as every card.
    fn base(&self) -> &Base;

    /// What it has as every card.
    fn base_mut(&mut self) -> &mut Base;

    /// Its state.
    fn state(&self) -> &Self::State;

    /// Takes on what [`Chip::check`] has found good.
    fn set_state(&mut self, state: Self::State);

    /// The state of a new one.
    fn new_state(&self) -> Self::State;

    /// Can it be in this state?
    ///
    /// # Errors
    /// It never is.
    fn check(&self, state: &Self::State) -> Result<(), StateError>;

    /// A load behind a base address.
    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64;

    /// A store behind a base address.
    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64);

    /// An event of its clock.
    fn event(&mut self, token: u32);

    /// Takes it a frame now, or lets it pass by?
    fn ready(&self) -> bool;

    /// A frame of [`SHORTEST`] bytes or more comes in.
    fn deliver(&mut self, frame: &[u8]);

    /// The link went up or down.
    fn link_changed(&mut self) {}

    /// Does it ask for an interrupt?
    fn asks(&self) -> bool;
}

/// The PCI function around a chip.
pub(super) struct Card<C>(pub(super) C);

#[derive(Serialize, Deserialize)]
struct Saved<S> {
    config: ConfigState,
    link: bool,
    state: S,
}

impl<C: Chip + 'static> Card<C> {
    /// In a box, as models are built.
    pub(super) fn boxed(mut chip: C) -> Box<dyn PciFunction> {
        chip.base_mut().config.seal();
        Box::new(Card(chip))
    }

    fn done<T>(&mut self, value: T) -> T {
        let level = self.0.asks();
        self.0.base_mut().config.set_intx(level);
        value
    }
}

impl<C: Chip> PciFunction for Card<C>
where
    C: 'static,
{
    fn kind(&self) -> &'static str {
        self.0.base().name
    }

    fn config(&self) -> &Config {
        &self.0.base().config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.0.base_mut().config
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let value = self.0.read(bar, offset, size);
        self.done(value)
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        self.0.write(bar, offset, size, value);
        self.done(());
    }

    fn event(&mut self, token: u32) {
        self.0.event(token);
        self.done(());
    }

    fn room(&mut self, port: u32) -> usize {
        usize::from(port == CONTROL_PORT || port == 0 && (!self.0.base().link || self.0.ready()))
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        match (port, data) {
            (CONTROL_PORT, [up @ (0 | 1), ..]) => {
                let up = *up == 1;
                if core::mem::replace(&mut self.0.base_mut().link, up) != up {
                    self.0.link_changed();
                }
            }
            (0, _) if self.0.base().link && !data.is_empty() => receive(&mut self.0, data),
            _ => {}
        }
        self.done(());
    }

    fn reset(&mut self) {
        self.0.base_mut().config.reset();
        let state = self.0.new_state();
        self.0.set_state(state);
        self.done(());
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let base = self.0.base();
        snapshot::save(base.name, 1, &Saved { config: base.config.save(), link: base.link, state: self.0.state() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved<C::State> = snapshot::load(self.kind(), 1, bytes)?;
        self.0.base().config.check(&saved.config)?;
        self.0.check(&saved.state)?;
        let base = self.0.base_mut();
        base.config.load(saved.config);
        base.link = saved.link;
        self.0.set_state(saved.state);
        Ok(())
    }
}

/// Hands a frame to a chip, padded to Ethernet's least.
pub(super) fn receive(chip: &mut impl Chip, frame: &[u8]) {
    if frame.len() >= SHORTEST {
        return chip.deliver(frame);
    }
    let mut padded = [0; SHORTEST];
    padded[..frame.len()].copy_from_slice(frame);
    chip.deliver(&padded);
}

/// The half of an access that covers several registers, as byte enables allow it on PCI.
fn half<D>(set: &RegisterSet<D>, offset: u64, size: Size) -> Option<Size> {
    let half = match size {
        Size::B2 => Size::B1,
        Size::B4 => Size::B2,
        _ => return None,
    };
    let row = set.rows.iter().find(|row| {
        let from = offset.checked_sub(row.offset);
        from.is_some_and(|from| from / row.stride < row.count && from % row.stride < row.width)
    })?;
    let rest = row.width - (offset - row.offset) % row.stride;
    (set.sizes.has(size) && rest < size.bytes() && offset.is_multiple_of(size.bytes())).then_some(half)
}

/// A load from registers that may be narrower than the access.
pub(super) fn read<D>(set: &RegisterSet<D>, device: &mut D, report: &Reporter, offset: u64, size: Size) -> u64 {
    let Some(half) = half(set, offset, size) else { return set.read(device, report, offset, size) };
    let low = read(set, device, report, offset, half);
    low | read(set, device, report, offset + half.bytes(), half) << (8 * half.bytes())
}

/// A store to registers that may be narrower than the access.
pub(super) fn write<D>(set: &RegisterSet<D>, device: &mut D, report: &Reporter, offset: u64, size: Size, value: u64) {
    let Some(half) = half(set, offset, size) else { return set.write(device, report, offset, size, value) };
    write(set, device, report, offset, half, value);
    write(set, device, report, offset + half.bytes(), half, value >> (8 * half.bytes()));
}

/// The register of Ethernet's CRC behind `bytes`, as its shift register for the least significant bit first holds it
/// (IEEE 802.3, 3.2.9); inverted, it is the frame's checksum.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| crc >> 8 ^ CRC[usize::from(crc as u8 ^ byte)])
}

/// What a byte adds to the register.
static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut value, mut bit) = (n as u32, 0);
        while bit < 8 {
            value = value >> 1 ^ if value & 1 != 0 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
};

/// The same with the most significant bit first: the hash of many multicast filters.
pub(super) fn crc_msb(bytes: &[u8]) -> u32 {
    crc(bytes).reverse_bits()
}

/// Is the frame for everybody?
pub(super) fn is_broadcast(frame: &[u8]) -> bool {
    frame.starts_with(&[0xff; 6])
}

/// Is the frame for a group?
pub(super) fn is_multicast(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 != 0)
}
