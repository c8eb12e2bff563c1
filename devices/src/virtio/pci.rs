//! virtio-pci: a virtio device as a PCI function (virtio 1.2, 4.1), modern, legacy, or both (transitional).
//!
//! Base address 0 is the legacy ports, 1 the MSI-X table, 4 the modern structures, one page each.

use super::VirtioDevice;
use super::transport::{Options, Ring, Saved, Signals, Transport, status};
use crate::model::{Child, Props, Value};
use crate::pci::config::{ConfigState, command};
use crate::pci::msi::{MSIX_SIZE, MsixState};
use crate::pci::{Bar, BarKind, Config, Identity, Msix, PciFunction};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tern_core::device::{Iommu, Kit};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

/// Vendor ID of virtio (4.1.2).
const VENDOR: u16 = 0x1af4;
/// Subsystem ID of functions without a legacy interface.
const SUBSYSTEM: u16 = 0x1100;
/// PCI device ID of the device with virtio ID 0, without a legacy interface.
const MODERN_ID: u16 = 0x1040;
/// No vector.
const NO_VECTOR: u16 = 0xffff;
/// Bits of the ISR status.
const ISR_QUEUE: u8 = 1;
const ISR_CONFIG: u8 = 2;

/// Base addresses.
const BAR_LEGACY: u8 = 0;
const BAR_MSIX: u8 = 1;
const BAR_MODERN: u8 = 4;
/// Where the modern structures lie behind theirs, and how long they are.
const COMMON: (u32, u32) = (0x0000, 0x1000);
const ISR: (u32, u32) = (0x1000, 0x1000);
const DEVICE: (u32, u32) = (0x2000, 0x1000);
const NOTIFY: (u32, u32) = (0x3000, 0x1000);
/// Size of the modern structures.
const MODERN_SIZE: u64 = 0x4000;
/// From one queue's notify register to the next one's.
const NOTIFY_STRIDE: u32 = 4;
/// Most queues: their notify registers are one page.
const MAX_QUEUES: usize = (NOTIFY.1 / NOTIFY_STRIDE) as usize;
/// Where the legacy device configuration is without MSI-X; with it, two vectors come first.
const LEGACY_CONFIG: u64 = 20;
/// Alignment of a legacy used ring, and size of the pages that legacy rings are counted in (4.1.5.1.3.1).
const LEGACY_PAGE: u64 = 4096;

registers! {
    static MODERN: VirtioPci, "virtio-pci", sizes [1, 2, 4, 8];
    0x00 device_feature_select 4 rw reset 0, "4.1.4.3", read |d, _| u64::from(d.t.state.device_features_sel),
        write |d, _, v| d.t.state.device_features_sel = v as u32;
    0x04 device_feature 4 ro, "4.1.4.3", read |d, _| d.t.device_features(d.t.state.device_features_sel, false);
    0x08 driver_feature_select 4 rw reset 0, "4.1.4.3", read |d, _| u64::from(d.t.state.driver_features_sel),
        write |d, _, v| d.t.state.driver_features_sel = v as u32;
    0x0c driver_feature 4 rw reset 0, "4.1.4.3", read |d, _| d.t.driver_features(d.t.state.driver_features_sel),
        write |d, _, v| d.t.set_driver_features(d.t.state.driver_features_sel, v);
    0x10 config_msix_vector 2 rw reset 0xffff, "4.1.4.3", read |d, _| u64::from(d.config_vector),
        write |d, _, v| d.config_vector = d.vector(v);
    0x12 num_queues 2 ro, "4.1.4.3", read |d, _| d.t.queues.len() as u64;
    0x14 device_status 1 rw reset 0, "4.1.4.3", read |d, _| u64::from(d.t.state.status),
        write |d, _, v| d.set_status(v, false);
    0x15 config_generation 1 ro reset 0, "4.1.4.3", read |d, _| u64::from(d.t.state.generation as u8);
    0x16 queue_select 2 rw reset 0, "4.1.4.3", read |d, _| u64::from(d.t.state.queue_sel),
        write |d, _, v| d.t.state.queue_sel = v as u16;
    0x18 queue_size 2 rw, "4.1.4.3", read |d, _| d.t.queue_value(|q| u64::from(q.state.size)),
        write |d, _, v| d.t.set_queue_size(v);
    0x1a queue_msix_vector 2 rw reset 0xffff, "4.1.4.3", read |d, _| d.queue_vector(),
        write |d, _, v| d.set_queue_vector(v);
    0x1c queue_enable 2 rw reset 0, "4.1.4.3", read |d, _| d.t.queue_value(|q| u64::from(q.state.ready)),
        write |d, _, v| d.enable_queue(v);
    0x1e queue_notify_off 2 ro, "4.1.4.3", read |d, _| u64::from(d.t.state.queue_sel);
    0x20 queue_desc 8 rw reset 0, "4.1.4.3", read |d, _| d.t.queue_value(|q| q.state.desc),
        write |d, _, v| d.t.set_queue_address(Ring::Desc, u64::MAX, v);
    0x28 queue_driver 8 rw reset 0, "4.1.4.3", read |d, _| d.t.queue_value(|q| q.state.driver),
        write |d, _, v| d.t.set_queue_address(Ring::Driver, u64::MAX, v);
    0x30 queue_device 8 rw reset 0, "4.1.4.3", read |d, _| d.t.queue_value(|q| q.state.device),
        write |d, _, v| d.t.set_queue_address(Ring::Device, u64::MAX, v);
    0x38 queue_notify_data 2 ro, "4.1.4.3", read |d, _| u64::from(d.t.state.queue_sel);
    0x3a queue_reset 2 rw reset 0, "4.1.4.3", read |_, _| 0, write |d, _, v| d.reset_queue(v);
    0x1000 ISR 1 ro reset 0, "4.1.4.5", read |d, _| d.take_isr();
    0x2000 area 0x1000 device_config, "4.1.4.6", read |d, at, size| d.t.read_config(at, size),
        write |d, at, size, v| d.act(|t| t.write_config(at, size, v));
    0x3000 area 0x1000 notify, "4.1.4.4", read |_, _, _| 0,
        write |d, at, _, _| d.act(|t| t.notify(at / u64::from(NOTIFY_STRIDE)));
}

registers! {
    static LEGACY: VirtioPci, "virtio-pci", sizes [1, 2, 4];
    0x00 device_features 4 ro, "4.1.4.10", read |d, _| d.t.device_features(0, true);
    0x04 driver_features 4 rw reset 0, "4.1.4.10", read |d, _| d.t.driver_features(0),
        write |d, _, v| d.t.set_driver_features(0, v);
    0x08 queue_address 4 rw reset 0, "4.1.4.10", read |d, _| d.t.queue_value(|q| q.state.desc / LEGACY_PAGE),
        write |d, _, v| d.t.set_queue_legacy((v & 0xffff_ffff) * LEGACY_PAGE, LEGACY_PAGE);
    0x0c queue_size 2 ro, "4.1.4.10", read |d, _| d.t.queue_value(|q| u64::from(q.max()));
    0x0e queue_select 2 rw reset 0, "4.1.4.10", read |d, _| u64::from(d.t.state.queue_sel),
        write |d, _, v| d.t.state.queue_sel = v as u16;
    0x10 queue_notify 2 rw reset 0, "4.1.4.10", read |_, _| 0, write |d, _, v| d.act(|t| t.notify(v));
    0x12 device_status 1 rw reset 0, "4.1.4.10", read |d, _| u64::from(d.t.state.status),
        write |d, _, v| d.set_status(v, true);
    0x13 ISR 1 ro reset 0, "4.1.4.10", read |d, _| d.take_isr();
    0x14 area 0x1fec device_config, "4.1.4.10", read |d, at, size| d.read_legacy(at, size),
        write |d, at, size, v| d.write_legacy(at, size, v);
}

registers! {
    static TABLE: VirtioPci, "virtio-pci-msix", sizes [4, 8];
    0x0000 area 0x8000 MSI_X_TABLE, "PCI 6.8.2", read |d, at, size| d.msix.read(at, size),
        write |d, at, size, v| d.write_table(at, size, v);
    0x8000 area 0x8000 MSI_X_PBA, "PCI 6.8.2", read |d, at, size| d.msix.pending(at, size),
        write |d, at, _, _| d.t.kit.report.guest_error(format_args!("store to pending bits at {at:#x}"));
}

/// Which interfaces a function has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    /// Modern only.
    Modern,
    /// Modern and legacy; a device that never had a legacy interface is modern only.
    Transitional,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    config: ConfigState,
    msix: MsixState,
    isr: u8,
    config_vector: u16,
    vectors: Vec<u16>,
    common: Saved,
}

/// The function.
pub struct VirtioPci {
    config: Config,
    msix: Msix,
    /// Where the PCI configuration access capability is.
    window: usize,
    isr: u8,
    config_vector: u16,
    /// The queues' vectors.
    vectors: Vec<u16>,
    /// Its addresses pass through an IOMMU.
    platform: bool,
    t: Transport,
}

impl VirtioPci {
    /// A function around `device`.
    #[must_use]
    pub fn new(kit: Kit, device: Box<dyn VirtioDevice>, options: Options, interface: Interface) -> VirtioPci {
        let kind = device.kind();
        // Legacy drivers know nothing of such addresses.
        let transitional = interface == Interface::Transitional && kind.legacy_id != 0 && !options.platform;
        let mut config = Config::new(Identity {
            vendor: VENDOR,
            device: if transitional { kind.legacy_id } else { MODERN_ID + kind.id },
            revision: u8::from(!transitional),
            class: kind.class,
            subsystem: Some((VENDOR, if transitional { kind.id } else { SUBSYSTEM })),
        });
        config.set_pin(1);
        let space = device.config().len() as u64;
        let mut t = Transport::new(kit, device, options);
        t.queues.truncate(MAX_QUEUES);
        t.master = false;
        if transitional {
            let size = (LEGACY_CONFIG + 4 + space).next_power_of_two();
            config.add_bar(Bar { number: BAR_LEGACY, kind: BarKind::Io, size });
        }
        config.add_bar(Bar { number: BAR_MSIX, kind: BarKind::Memory32, size: MSIX_SIZE });
        config.add_bar(Bar { number: BAR_MODERN, kind: BarKind::Memory64, size: MODERN_SIZE });
        let msix = Msix::new(&mut config, t.queues.len() as u16 + 1, BAR_MSIX);
        for (kind, (offset, len)) in [(1, COMMON), (3, ISR), (4, DEVICE)] {
            config.add_capability(9, &capability(kind, BAR_MODERN, offset, len, &[]));
        }
        config.add_capability(9, &capability(2, BAR_MODERN, NOTIFY.0, NOTIFY.1, &NOTIFY_STRIDE.to_le_bytes()));
        let window = config.add_capability(9, &capability(5, 0, 0, 0, &[0; 4]));
        config.writable(window + 4, &[0xff]);
        config.writable(window + 8, &[0xff; 12]);
        config.seal();
        let vectors = vec![NO_VECTOR; t.queues.len()];
        VirtioPci { config, msix, window, isr: 0, config_vector: NO_VECTOR, vectors, platform: options.platform, t }
    }

    /// A vector that the driver names, if there is such a one.
    fn vector(&self, value: u64) -> u16 {
        if value < u64::from(self.msix.vectors()) { value as u16 } else { NO_VECTOR }
    }

    fn queue_vector(&self) -> u64 {
        self.vectors.get(usize::from(self.t.state.queue_sel)).map_or(u64::from(NO_VECTOR), |v| u64::from(*v))
    }

    fn set_queue_vector(&mut self, value: u64) {
        let vector = self.vector(value);
        if let Some(place) = self.vectors.get_mut(usize::from(self.t.state.queue_sel)) {
            *place = vector;
        }
    }

    fn enable_queue(&mut self, value: u64) {
        if value == 1 {
            self.t.set_queue_ready(true);
        } else {
            self.t.kit.report.guest_error(format_args!("{value:#x} written to queue_enable"));
        }
    }

    fn reset_queue(&mut self, value: u64) {
        let agreed = self.t.state.features & super::feature::RING_RESET != 0;
        if value == 1 && agreed && self.t.state.status & status::DRIVER_OK != 0 {
            self.t.reset_queue();
        } else {
            self.t.kit.report.guest_error(format_args!("{value:#x} written to queue_reset, or too early"));
        }
    }

    fn set_status(&mut self, value: u64, legacy: bool) {
        let (reset, signals) = self.t.set_status(value as u8, legacy);
        if reset {
            self.isr = 0;
            self.config_vector = NO_VECTOR;
            self.vectors.fill(NO_VECTOR);
        }
        self.signal(&signals);
    }

    /// Does something after which the driver may have to be interrupted.
    fn act(&mut self, f: impl FnOnce(&mut Transport) -> Signals) {
        let signals = f(&mut self.t);
        self.signal(&signals);
    }

    fn signal(&mut self, signals: &Signals) {
        if self.msix.enabled(&self.config) {
            let messenger = &self.t.kit.messenger;
            for queue in &signals.queues {
                let vector = self.vectors.get(usize::from(*queue)).copied().unwrap_or(NO_VECTOR);
                self.msix.notify(&self.config, messenger, vector);
            }
            if signals.config {
                self.msix.notify(&self.config, messenger, self.config_vector);
            }
        } else {
            self.isr |= if signals.queues.is_empty() { 0 } else { ISR_QUEUE };
            // QEMU sets both, and its tests count on it; drivers find nothing new in the queues.
            self.isr |= if signals.config { ISR_CONFIG | ISR_QUEUE } else { 0 };
        }
        self.drive();
    }

    /// The pin follows the ISR status unless MSI-X is on.
    fn drive(&mut self) {
        let level = self.isr != 0 && !self.msix.enabled(&self.config);
        self.config.set_intx(level);
    }

    fn take_isr(&mut self) -> u64 {
        let isr = core::mem::take(&mut self.isr);
        self.drive();
        u64::from(isr)
    }

    /// How much comes before the device's configuration among the legacy ports.
    fn legacy_vectors(&self) -> u64 {
        if self.msix.enabled(&self.config) { 4 } else { 0 }
    }

    fn read_legacy(&mut self, at: u64, size: Size) -> u64 {
        match (at, at.checked_sub(self.legacy_vectors())) {
            (_, Some(at)) => self.t.read_config(at, size),
            (0, None) => u64::from(self.config_vector) | if size == Size::B2 { 0 } else { self.queue_vector() << 16 },
            (_, None) => self.queue_vector(),
        }
    }

    fn write_legacy(&mut self, at: u64, size: Size, value: u64) {
        match (at, at.checked_sub(self.legacy_vectors()), size) {
            (_, Some(at), _) => self.act(|t| t.write_config(at, size, value)),
            (0, None, Size::B2) => self.config_vector = self.vector(value),
            (2, None, Size::B2) => self.set_queue_vector(value),
            _ => self.t.kit.report.guest_error(format_args!("vector registers written by {} bytes", size.bytes())),
        }
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        self.msix.write(&self.t.kit.report, at, size, value);
        self.msix.written(&self.config, &self.t.kit.messenger);
    }

    /// What the PCI configuration access capability (4.1.4.9) points at: base address, offset, size.
    fn target(&self) -> Option<(u8, u64, Size)> {
        let bar = self.config.byte_at(self.window + 4);
        let (offset, len) = (u64::from(self.config.word(self.window + 8)), self.config.word(self.window + 12));
        let size = [Size::B1, Size::B2, Size::B4].into_iter().find(|s| s.bytes() == u64::from(len))?;
        let known = self.config.bars().iter().find(|b| b.number == bar)?;
        (offset.is_multiple_of(size.bytes()) && offset + size.bytes() <= known.size).then_some((bar, offset, size))
    }

    /// Does an access to the configuration space touch that capability's data?
    fn is_window(&self, at: usize, size: Size) -> bool {
        let data = self.window + 16;
        at < data + 4 && at + size.bytes() as usize > data
    }
}

/// The body of a virtio capability (4.1.4).
fn capability(kind: u8, bar: u8, offset: u32, len: u32, more: &[u8]) -> Vec<u8> {
    let mut body = vec![16 + more.len() as u8, kind, bar, 0, 0, 0];
    body.extend(offset.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(more);
    body
}

impl PciFunction for VirtioPci {
    fn kind(&self) -> &'static str {
        self.t.device().kind().pci
    }

    fn virtio(&self) -> Option<&dyn VirtioDevice> {
        Some(self.t.device())
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read_config(&mut self, at: usize, size: Size) -> u64 {
        if self.is_window(at, size) {
            if let Some((bar, offset, size)) = self.target() {
                let value = self.read(bar, offset, size);
                self.config.put(self.window + 16, &(value as u32).to_le_bytes());
            } else {
                self.t.kit.report.guest_error(format_args!("configuration access capability points nowhere"));
            }
        }
        self.config.read(at, size)
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        self.t.master = self.config.enabled(command::MASTER);
        self.msix.written(&self.config, &self.t.kit.messenger);
        if self.is_window(at, size) {
            match self.target() {
                Some((bar, offset, size)) => {
                    let value = u64::from(self.config.word(self.window + 16)) & size.mask();
                    self.write(bar, offset, size, value);
                }
                None => self.t.kit.report.guest_error(format_args!("configuration access capability points nowhere")),
            }
        }
        self.drive();
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.t.kit.report.clone();
        match bar {
            BAR_LEGACY => LEGACY.read(self, &report, offset, size),
            BAR_MSIX => TABLE.read(self, &report, offset, size),
            _ => MODERN.read(self, &report, offset, size),
        }
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.t.kit.report.clone();
        match bar {
            BAR_LEGACY => LEGACY.write(self, &report, offset, size, value),
            BAR_MSIX => TABLE.write(self, &report, offset, size, value),
            _ => MODERN.write(self, &report, offset, size, value),
        }
    }

    fn event(&mut self, token: u32) {
        self.act(|t| t.event(token));
    }

    fn room(&mut self, port: u32) -> usize {
        let (room, signals) = self.t.call(|d, cx| d.room(cx, port));
        self.signal(&signals);
        room.unwrap_or(0)
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        self.act(|t| t.call(|d, cx| d.receive(cx, port, data)).1);
    }

    fn changed(&mut self, port: u32) {
        let call = |t: &mut Transport| {
            t.call(|d, cx| {
                d.changed(cx, port);
                Ok(())
            })
        };
        self.act(|t| call(t).1);
    }

    fn behind_iommu(&self) -> bool {
        self.platform
    }

    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        self.t.device().iommu()
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let (number, signals) = self.t.plug(props, child)?;
        self.signal(&signals);
        Ok(number)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let signals = self.t.unplug(child)?;
        self.signal(&signals);
        Ok(())
    }

    fn get(&self, property: &str) -> Option<Value> {
        self.t.device().get(property)
    }

    fn reset(&mut self) {
        self.t.reset();
        self.t.master = false;
        self.config.reset();
        self.msix.reset();
        self.isr = 0;
        self.config_vector = NO_VECTOR;
        self.vectors.fill(NO_VECTOR);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = Snapshot {
            config: self.config.save(),
            msix: self.msix.save(),
            isr: self.isr,
            config_vector: self.config_vector,
            vectors: self.vectors.clone(),
            common: self.t.save()?,
        };
        snapshot::save(self.kind(), 1, &state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let s: Snapshot = snapshot::load(self.kind(), 1, bytes)?;
        self.config.check(&s.config)?;
        self.msix.check(&s.msix)?;
        self.t.check(&s.common)?;
        let (saved, here) = (s.vectors.len(), self.vectors.len());
        check(saved == here, "vectors", || format!("{saved}, not {here}"))?;
        for vector in s.vectors.iter().chain([&s.config_vector]) {
            let known = *vector == NO_VECTOR || *vector < self.msix.vectors();
            check(known, "vectors", || format!("there is no vector {vector}"))?;
        }
        self.t.load(s.common)?;
        self.config.load(s.config);
        self.msix.load(s.msix);
        (self.isr, self.config_vector, self.vectors) = (s.isr, s.config_vector, s.vectors);
        self.t.master = self.config.enabled(command::MASTER);
        Ok(())
    }
}
