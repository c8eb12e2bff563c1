//! virtio-net: a network card (virtio 1.2, 5.1).
//!
//! The backend is a plain link: frames without checksum offload or large segments.  What the driver leaves to the device is
//! done here, so that every feature offered is one that works whatever the link is.  Checksums of received TCP and UDP
//! packets are checked in the driver's place, which is many times faster than in the guest.
//!
//! Backend 0 hands over frames, backend `CONTROL_PORT` tells about the link.

mod filter;
mod header;
pub(crate) mod offload;

use super::vhost::Remote;
use super::{Broken, Chain, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use filter::{ADDRESSES, Filter};
use header::{Header, LONG, SHORT};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tern_core::backend::{NetSink, VhostUser};
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    1, "virtio-net", [], Network, class 0x02_0000, legacy 0x1000,
    "virtio network card: checksums, large segments, filters, queue pairs",
    [
        Prop::new("netdev", PropKind::Netdev, "the backend"),
        Prop::new("mac", PropKind::Mac, "its address"),
        Prop::new("host_mtu", PropKind::Number(16, 0), "the link's largest packet in bytes, if the guest is to be told"),
        Prop::new("mq", PropKind::Bool(false), "offer as many queue pairs as the backend has"),
        Prop::only("bootindex", &["*"]),
        Prop::only("status", &["on"]),
    ],
    None, |wants| {
        let mtu = Some(wants.props.number("host_mtu") as u16).filter(|mtu| *mtu != 0);
        let config = Config { mac: wants.mac("mac"), mtu, ..Config::default() };
        let mut link = wants.netdev("netdev", 0)?;
        match link.vhost() {
            None => Ok(Box::new(Net::new(link, config))),
            Some((process, pairs)) => {
                let pairs = if wants.props.bool("mq") { pairs } else { 1 };
                Ok(Box::new(Net::run_by(process, link, Config { pairs, ..config })))
            }
        }
    }
}

/// The backend that tells about the link, a byte each time: see [`link`].
pub const CONTROL_PORT: u32 = 0xff;

/// What `CONTROL_PORT` may tell.
pub mod link {
    /// The link is down.
    pub const DOWN: u8 = 0;
    /// The link is up.
    pub const UP: u8 = 1;
    /// The card is on another network than before: the guest is to announce itself.
    pub const ANNOUNCE: u8 = 2;
}

/// Feature bits (5.1.3).
mod feature {
    pub(super) const CSUM: u64 = 1 << 0;
    pub(super) const GUEST_CSUM: u64 = 1 << 1;
    pub(super) const CTRL_GUEST_OFFLOADS: u64 = 1 << 2;
    pub(super) const MTU: u64 = 1 << 3;
    pub(super) const MAC: u64 = 1 << 5;
    pub(super) const GUEST_TSO4: u64 = 1 << 7;
    pub(super) const GUEST_TSO6: u64 = 1 << 8;
    pub(super) const GUEST_ECN: u64 = 1 << 9;
    pub(super) const GUEST_UFO: u64 = 1 << 10;
    pub(super) const HOST_TSO4: u64 = 1 << 11;
    pub(super) const HOST_TSO6: u64 = 1 << 12;
    pub(super) const HOST_ECN: u64 = 1 << 13;
    pub(super) const HOST_UFO: u64 = 1 << 14;
    pub(super) const MRG_RXBUF: u64 = 1 << 15;
    pub(super) const STATUS: u64 = 1 << 16;
    pub(super) const CTRL_VQ: u64 = 1 << 17;
    pub(super) const CTRL_RX: u64 = 1 << 18;
    pub(super) const CTRL_VLAN: u64 = 1 << 19;
    pub(super) const CTRL_RX_EXTRA: u64 = 1 << 20;
    pub(super) const GUEST_ANNOUNCE: u64 = 1 << 21;
    pub(super) const MQ: u64 = 1 << 22;
    pub(super) const CTRL_MAC_ADDR: u64 = 1 << 23;
    pub(super) const HOST_USO: u64 = 1 << 56;
}

/// Classes and commands of the control queue (5.1.6.5).
mod control {
    pub(super) const RX: u8 = 0;
    pub(super) const MAC: u8 = 1;
    pub(super) const MAC_TABLE_SET: u8 = 0;
    pub(super) const MAC_ADDR_SET: u8 = 1;
    pub(super) const VLAN: u8 = 2;
    pub(super) const VLAN_ADD: u8 = 0;
    pub(super) const VLAN_DEL: u8 = 1;
    pub(super) const ANNOUNCE: u8 = 3;
    pub(super) const ANNOUNCE_ACK: u8 = 0;
    pub(super) const MQ: u8 = 4;
    pub(super) const VQ_PAIRS_SET: u8 = 0;
    pub(super) const GUEST_OFFLOADS: u8 = 5;
    pub(super) const OFFLOADS_SET: u8 = 0;
    pub(super) const OK: u8 = 0;
    pub(super) const ERR: u8 = 1;
}

const STATUS_LINK_UP: u16 = 1;
const STATUS_ANNOUNCE: u16 = 2;
const QUEUE_SIZE: u16 = 256;
const CONTROL_SIZE: u16 = 64;
/// Most queue pairs; the specification allows 32768.
const MOST_PAIRS: u16 = 256;
/// Longest frame that a driver may send: a large segment of 64 KiB with its headers.
const MOST_FRAME: u64 = 0x1_1000;
/// Shortest: addresses and EtherType.
const LEAST_FRAME: usize = 14;
/// Flows whose queue is remembered.
const FLOWS: usize = 256;

/// What the card is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its address.
    pub mac: [u8; 6],
    /// Queue pairs, 1 to 256.
    pub pairs: u16,
    /// The link's largest packet in bytes, if the guest is to be told.
    pub mtu: Option<u16>,
}

impl Default for Config {
    fn default() -> Config {
        Config { mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], pairs: 1, mtu: None }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    mac: [u8; 6],
    link: bool,
    announce: bool,
    /// Pairs in use.
    pairs: u16,
    /// Offloads for received frames that the driver has not switched off.
    offloads: u64,
    filter: Filter,
    /// The pair that a flow was last sent on.
    flows: Vec<u8>,
}

/// The device.
pub struct Net {
    link: Box<dyn NetSink>,
    config: Config,
    state: State,
    /// The frame that is being sent.
    frame: Vec<u8>,
    /// Who runs the data queues, if it is not the device.
    remote: Option<Remote>,
}

impl Net {
    /// One that sends to `link`.
    #[must_use]
    pub fn new(link: Box<dyn NetSink>, config: Config) -> Net {
        let config = Config { pairs: config.pairs.clamp(1, MOST_PAIRS), ..config };
        Net { link, config, state: Net::new_state(&config), frame: Vec::new(), remote: None }
    }

    /// One whose data queues another process runs: `link` hears nothing.
    fn run_by(mut process: Box<dyn VhostUser>, link: Box<dyn NetSink>, config: Config) -> Net {
        if let Some(mtu) = config.mtu {
            process.set_mtu(mtu);
        }
        Net { remote: Some(Remote::new(process)), ..Net::new(link, config) }
    }

    /// Hands the data queues to the process that runs them.
    fn start(&mut self, cx: &mut Cx<'_>, again: bool) -> Result<(), Broken> {
        let (queues, pairs) = (self.control_queue(cx), self.state.pairs);
        match &mut self.remote {
            Some(remote) => remote.start(cx, 0..queues, again, |queue| queue / 2 < pairs),
            None => Ok(()),
        }
    }

    /// The process that runs the data queues says something.
    fn told(&mut self, cx: &mut Cx<'_>, data: &[u8]) -> Result<(), Broken> {
        let there = self.remote.as_mut().and_then(|remote| remote.receive(cx, data));
        if let Some(up) = there.filter(|up| *up != self.state.link) {
            self.state.link = up;
            cx.config_changed();
        }
        if there == Some(true) { self.start(cx, true) } else { Ok(()) }
    }

    /// The driver uses this many pairs from now on.
    fn use_pairs(&mut self, pairs: u16) {
        self.state.pairs = pairs;
        if let Some(remote) = self.remote.as_mut().filter(|r| r.is_running()) {
            (0..2 * self.config.pairs).for_each(|queue| remote.backend().enable(queue, queue / 2 < pairs));
        }
    }

    fn new_state(config: &Config) -> State {
        State {
            mac: config.mac,
            link: true,
            announce: false,
            pairs: 1,
            offloads: 0,
            filter: Filter::new(),
            flows: vec![0; FLOWS],
        }
    }

    fn status(&self) -> u16 {
        (if self.state.link { STATUS_LINK_UP } else { 0 }) | (if self.state.announce { STATUS_ANNOUNCE } else { 0 })
    }

    /// Number of the control queue: the last one, as far as the driver knows of pairs.
    fn control_queue(&self, cx: &Cx<'_>) -> u16 {
        if cx.has(feature::MQ) { 2 * self.config.pairs } else { 2 }
    }

    fn header_len(cx: &Cx<'_>) -> usize {
        let long = cx.features() & (feature::MRG_RXBUF | super::feature::VERSION_1) != 0;
        if long { LONG } else { SHORT }
    }

    /// Sends what is in a queue.
    fn send_all(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(queue)? {
            self.send(cx, queue, &mut chain)?;
            cx.push(queue, &chain);
        }
        Ok(())
    }

    fn send(&mut self, cx: &mut Cx<'_>, queue: u16, chain: &mut Chain) -> Result<(), Broken> {
        let Some(bytes) = cx.array::<SHORT>(chain)? else {
            cx.kit.report.guest_error(format_args!("a frame without its header"));
            return Ok(());
        };
        chain.skip((Net::header_len(cx) - SHORT) as u64);
        let len = chain.readable();
        if !(LEAST_FRAME as u64..=MOST_FRAME).contains(&len) {
            cx.kit.report.guest_error(format_args!("a frame of {len} bytes"));
            return Ok(());
        }
        let mut frame = core::mem::take(&mut self.frame);
        frame.resize(len as usize, 0);
        let result = cx.read(chain, &mut frame);
        if result.is_ok() {
            if self.state.pairs > 1 {
                let flow = offload::flow_hash(&frame) as usize % FLOWS;
                self.state.flows[flow] = (queue / 2) as u8;
            }
            if self.state.link {
                self.transmit(cx, &Header::new(&bytes), &mut frame);
            }
        }
        self.frame = frame;
        result.map(|_| ())
    }

    /// Completes a frame, or cuts it into several, and hands it to the link.
    fn transmit(&mut self, cx: &Cx<'_>, header: &Header, frame: &mut [u8]) {
        if header.gso_type != header::GSO_NONE {
            let wanted = match header.gso_type & !header::GSO_ECN {
                header::GSO_TCPV4 => feature::HOST_TSO4,
                header::GSO_TCPV6 => feature::HOST_TSO6,
                header::GSO_UDP_L4 => feature::HOST_USO,
                _ => 0,
            };
            if wanted == 0 || !cx.has(wanted) {
                cx.kit.report.guest_error(format_args!("large segment of type {:#x}", header.gso_type));
            } else if let Err(e) = offload::segment(frame, header, |piece| self.link.send(piece)) {
                cx.kit.report.guest_error(format_args!("large segment: {}", e.0));
            }
            return;
        }
        if header.flags & header::F_NEEDS_CSUM != 0 {
            let (start, offset) = (usize::from(header.csum_start), usize::from(header.csum_offset));
            if !cx.has(feature::CSUM) || !offload::complete_checksum(frame, start, offset) {
                cx.kit.report.guest_error(format_args!("checksum wanted from {start} in {}", start + offset));
                return;
            }
        }
        self.link.send(frame);
    }

    /// The queue for a received frame.
    fn receive_queue(&self, frame: &[u8]) -> u16 {
        if self.state.pairs < 2 {
            return 0;
        }
        let pair = u16::from(self.state.flows[offload::flow_hash(frame) as usize % FLOWS]);
        if pair < self.state.pairs { 2 * pair } else { 0 }
    }

    /// Takes buffers for `len` bytes; none if the driver has not lent enough.
    fn buffers(&self, cx: &mut Cx<'_>, queue: u16, len: u64) -> Result<Vec<Chain>, Broken> {
        let mut chains: Vec<Chain> = Vec::new();
        let mut room = 0;
        while room < len {
            let more = chains.is_empty() || cx.has(feature::MRG_RXBUF);
            match if more { cx.pop(queue)? } else { None } {
                Some(chain) => {
                    room += chain.writable();
                    chains.push(chain);
                }
                None => {
                    if !more {
                        cx.kit.report.guest_error(format_args!("a buffer of {room} bytes for {len}"));
                    }
                    chains.iter().rev().for_each(|chain| cx.unpop(queue, chain));
                    return Ok(Vec::new());
                }
            }
        }
        Ok(chains)
    }

    /// Hands a frame to the driver, if it wants it and has lent buffers.
    fn deliver(&mut self, cx: &mut Cx<'_>, frame: &[u8]) -> Result<(), Broken> {
        if !self.state.link || !self.state.filter.passes(frame, self.state.mac, cx.has(feature::CTRL_VLAN)) {
            return Ok(());
        }
        let queue = self.receive_queue(frame);
        let header_len = Net::header_len(cx);
        let mut chains = self.buffers(cx, queue, (header_len + frame.len()) as u64)?;
        let valid = self.state.offloads & feature::GUEST_CSUM != 0 && offload::checksum_is_valid(frame);
        let header = Header::received(valid, chains.len() as u16);
        let mut rest = frame;
        for (n, chain) in chains.iter_mut().enumerate() {
            if n == 0 {
                cx.write(chain, &header[..header_len])?;
            }
            let done = cx.write(chain, rest)?;
            rest = &rest[done..];
            cx.push(queue, chain);
        }
        Ok(())
    }

    /// Obeys the commands in the control queue.
    fn obey_all(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(queue)? {
            let ack = match cx.array::<2>(&mut chain)? {
                Some([class, command]) => self.obey(cx, &mut chain, class, command)?,
                None => None,
            };
            if ack.is_none() {
                cx.kit.report.guest_error(format_args!("control command that is unknown or makes no sense"));
            }
            cx.write(&mut chain, &[if ack.is_some() { control::OK } else { control::ERR }])?;
            cx.push(queue, &chain);
        }
        Ok(())
    }

    /// Does a command; `None` if it cannot.
    fn obey(&mut self, cx: &mut Cx<'_>, chain: &mut Chain, class: u8, command: u8) -> Result<Option<()>, Broken> {
        let offered = match class {
            control::RX => cx.has(feature::CTRL_RX) && (command < 2 || cx.has(feature::CTRL_RX_EXTRA)),
            control::MAC if command == control::MAC_ADDR_SET => cx.has(feature::CTRL_MAC_ADDR),
            control::MAC => cx.has(feature::CTRL_RX),
            control::VLAN => cx.has(feature::CTRL_VLAN),
            control::ANNOUNCE => cx.has(feature::GUEST_ANNOUNCE),
            control::MQ => cx.has(feature::MQ),
            control::GUEST_OFFLOADS => cx.has(feature::CTRL_GUEST_OFFLOADS),
            _ => false,
        };
        if !offered {
            return Ok(None);
        }
        match (class, command) {
            (control::RX, _) => Ok(cx.array::<1>(chain)?.and_then(|[on]| self.set_mode(command, on != 0))),
            (control::MAC, control::MAC_TABLE_SET) => self.set_tables(cx, chain),
            (control::MAC, control::MAC_ADDR_SET) => Ok(cx.array::<6>(chain)?.map(|mac| self.state.mac = mac)),
            (control::VLAN, control::VLAN_ADD | control::VLAN_DEL) => {
                let vlan = cx.array::<2>(chain)?.map(u16::from_le_bytes).filter(|vlan| *vlan < 4096);
                Ok(vlan.map(|vlan| {
                    let vlans = &mut self.state.filter.vlans;
                    let _ = if command == control::VLAN_ADD { vlans.insert(vlan) } else { vlans.remove(&vlan) };
                }))
            }
            (control::ANNOUNCE, control::ANNOUNCE_ACK) => {
                self.state.announce = false;
                Ok(Some(()))
            }
            (control::MQ, control::VQ_PAIRS_SET) => {
                let pairs = cx.array::<2>(chain)?.map(u16::from_le_bytes);
                Ok(pairs.filter(|n| (1..=self.config.pairs).contains(n)).map(|n| self.use_pairs(n)))
            }
            (control::GUEST_OFFLOADS, control::OFFLOADS_SET) => {
                let possible = cx.features() & feature::GUEST_CSUM;
                let offloads = cx.array::<8>(chain)?.map(u64::from_le_bytes);
                Ok(offloads.filter(|bits| bits & !possible == 0).map(|bits| self.state.offloads = bits))
            }
            _ => Ok(None),
        }
    }

    fn set_mode(&mut self, command: u8, on: bool) -> Option<()> {
        let modes = &mut self.state.filter.modes;
        let mode = match command {
            0 => &mut modes.promiscuous,
            1 => &mut modes.all_multicast,
            2 => &mut modes.all_unicast,
            3 => &mut modes.no_multicast,
            4 => &mut modes.no_unicast,
            5 => &mut modes.no_broadcast,
            _ => return None,
        };
        *mode = on;
        Some(())
    }

    /// Unicast and multicast addresses, one table behind the other (5.1.6.5.2).
    fn set_tables(&mut self, cx: &mut Cx<'_>, chain: &mut Chain) -> Result<Option<()>, Broken> {
        let mut tables = [None, None];
        for table in &mut tables {
            let Some(count) = cx.array::<4>(chain)?.map(u32::from_le_bytes) else { return Ok(None) };
            if u64::from(count) * 6 > chain.readable() {
                return Ok(None);
            }
            if count as usize > ADDRESSES {
                chain.skip(u64::from(count) * 6);
                continue;
            }
            let list = table.insert(BTreeSet::new());
            for _ in 0..count {
                list.extend(cx.array::<6>(chain)?);
            }
        }
        [self.state.filter.unicast, self.state.filter.multicast] = tables;
        Ok(Some(()))
    }
}

impl VirtioDevice for Net {
    fn kind(&self) -> &'static super::Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        let some = |on: bool, bit: u64| if on { bit } else { 0 };
        let send = feature::CSUM | feature::HOST_TSO4 | feature::HOST_TSO6 | feature::HOST_ECN | feature::HOST_USO;
        let receive = feature::GUEST_CSUM | feature::CTRL_GUEST_OFFLOADS | feature::MRG_RXBUF;
        let filter = feature::CTRL_RX | feature::CTRL_RX_EXTRA | feature::CTRL_VLAN | feature::CTRL_MAC_ADDR;
        let link = feature::MAC | feature::STATUS | feature::GUEST_ANNOUNCE | feature::CTRL_VQ;
        let multi = some(self.config.pairs > 1, feature::MQ);
        if let Some(remote) = &self.remote {
            let more = feature::GUEST_TSO4 | feature::GUEST_TSO6 | feature::GUEST_ECN | feature::GUEST_UFO;
            let shared = send | feature::HOST_UFO | feature::GUEST_CSUM | more | feature::MRG_RXBUF | multi;
            let mtu = some(self.config.mtu.is_some(), feature::MTU);
            return remote.features(shared | mtu) | filter | link;
        }
        send | receive | filter | link | multi | some(self.config.mtu.is_some(), feature::MTU)
    }

    fn ring_features(&self) -> u64 {
        self.remote.as_ref().map_or(u64::MAX, Remote::ring_features)
    }

    fn queues(&self) -> Vec<u16> {
        let mut queues = vec![QUEUE_SIZE; 2 * usize::from(self.config.pairs)];
        queues.push(CONTROL_SIZE);
        queues
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.state.mac.to_vec();
        for half in [self.status(), self.config.pairs, self.config.mtu.unwrap_or(0)] {
            config.extend_from_slice(&half.to_le_bytes());
        }
        config
    }

    /// Legacy drivers set the address byte by byte (5.1.4.1).
    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        let legacy = !cx.has(super::feature::VERSION_1);
        match self.state.mac.get_mut(offset as usize..offset as usize + data.len()) {
            Some(part) if legacy => part.copy_from_slice(data),
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn activate(&mut self, cx: &mut Cx<'_>) {
        self.state.offloads = cx.features() & feature::GUEST_CSUM;
        // A broken ring has been counted, and the device needs a reset.
        let _ = self.start(cx, false);
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        if queue == self.control_queue(cx) {
            if cx.has(feature::CTRL_VQ) {
                return self.obey_all(cx, queue);
            }
            cx.kit.report.guest_error(format_args!("control queue used without being agreed on"));
            return Ok(());
        }
        if let Some(remote) = &mut self.remote {
            remote.notify(queue);
            return Ok(());
        }
        // New buffers for received frames: the session asks for room.
        if queue.is_multiple_of(2) { Ok(()) } else { self.send_all(cx, queue) }
    }

    fn queue_reset(&mut self, queue: u16) {
        if let Some(remote) = self.remote.as_mut().filter(|_| queue < 2 * self.config.pairs) {
            remote.stop();
        }
    }

    fn room(&mut self, cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
        if self.remote.is_some() && port == 0 {
            return Ok(Remote::room());
        }
        let ready = || (0..self.state.pairs).all(|pair| cx.peek(2 * pair).is_some());
        Ok(usize::from(port == CONTROL_PORT || port == 0 && ready()))
    }

    fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
        match (port, data.first()) {
            (0, _) if self.remote.is_some() => self.told(cx, data),
            (0, _) => self.deliver(cx, data),
            (CONTROL_PORT, Some(&link::ANNOUNCE)) if cx.has(feature::GUEST_ANNOUNCE) => {
                self.state.announce = true;
                cx.config_changed();
                Ok(())
            }
            (CONTROL_PORT, Some(&link::ANNOUNCE)) => {
                if let Some(remote) = &mut self.remote {
                    remote.backend().announce(self.state.mac);
                }
                Ok(())
            }
            (CONTROL_PORT, Some(&up @ (link::DOWN | link::UP))) => {
                self.state.link = up == link::UP;
                cx.config_changed();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The link stays up or down, whatever the guest does.
    fn reset(&mut self, _clock: &Clock) {
        if let Some(remote) = &mut self.remote {
            remote.stop();
        }
        self.state = State { link: self.state.link, ..Net::new_state(&self.config) };
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        let (saved, here) = (state.pairs, self.config.pairs);
        snapshot::check((1..=here).contains(&saved), "pairs", || format!("{saved} of {here}"))?;
        snapshot::check(state.filter.is_possible(), "filter", || "more than fits".into())?;
        snapshot::check(state.flows.len() == FLOWS, "flows", || format!("{} flows", state.flows.len()))?;
        snapshot::check(state.offloads & !feature::GUEST_CSUM == 0, "offloads", || format!("{:#x}", state.offloads))?;
        self.state = state;
        if let Some(remote) = &mut self.remote {
            remote.renew();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
