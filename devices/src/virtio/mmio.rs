//! virtio-mmio: a virtio device in a window of its own (virtio 1.2, 4.2), modern (version 2) and legacy (version 1).
//!
//! A slot may be empty: it then says so by device ID 0, as the slots of QEMU's `virt` do.

use super::VirtioDevice;
use super::transport::{Options, Ring, Saved, Signals, Transport, status};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use crate::model::{Child, Props};
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, RegisterSet, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

/// Size of the window in bytes.
pub const WINDOW: u64 = 0x200;
/// What the first register holds: `virt`.
const MAGIC: u64 = 0x7472_6976;
/// Vendor ID: `tern`.
const VENDOR: u64 = 0x6e72_6574;
/// Bits of InterruptStatus.
const INT_QUEUE: u8 = 1;
const INT_CONFIG: u8 = 2;
/// The lower half of an address.
const LOW: u64 = 0xffff_ffff;
/// Name of a slot without a device.
const EMPTY_NAME: &str = "virtio-mmio";

/// The row of an empty slot.
pub static PART: Part = Part {
    name: EMPTY_NAME,
    aliases: &[],
    class: Class::Bus,
    about: "memory-mapped virtio slot, empty",
    sample: |bench: &mut Bench| {
        let (kit, line) = (bench.kit(EMPTY_NAME), bench.line());
        Box::new(VirtioMmio::empty(kit, line, false))
    },
};

registers! {
    static EMPTY: VirtioMmio, "virtio-mmio", sizes [4];
    0x000 MagicValue 4 ro reset MAGIC, "4.2.2", read |_, _| MAGIC;
    0x004 Version 4 ro, "4.2.2", read |d, _| d.version();
    0x008 DeviceID 4 ro reset 0, "4.2.2", read |_, _| 0;
    0x00c VendorID 4 ro reset VENDOR, "4.2.2", read |_, _| VENDOR;
}

registers! {
    static MODERN: VirtioMmio, "virtio-mmio", sizes [1, 2, 4, 8];
    0x000 MagicValue 4 ro reset MAGIC, "4.2.2", read |_, _| MAGIC;
    0x004 Version 4 ro reset 2, "4.2.2", read |d, _| d.version();
    0x008 DeviceID 4 ro, "4.2.2", read |d, _| d.get(|t| u64::from(t.device().kind().id));
    0x00c VendorID 4 ro reset VENDOR, "4.2.2", read |_, _| VENDOR;
    0x010 DeviceFeatures 4 ro, "4.2.2", read |d, _| d.get(|t| t.device_features(t.state.device_features_sel, false));
    0x014 DeviceFeaturesSel 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.state.device_features_sel = v as u32);
    0x020 DriverFeatures 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_driver_features(t.state.driver_features_sel, v));
    0x024 DriverFeaturesSel 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.state.driver_features_sel = v as u32);
    0x030 QueueSel 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.state.queue_sel = v.min(0xffff) as u16);
    0x034 QueueNumMax 4 ro, "4.2.2", read |d, _| d.get(|t| t.queue_value(|q| u64::from(q.max())));
    0x038 QueueNum 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_size(v));
    0x044 QueueReady 4 rw reset 0, "4.2.2", read |d, _| d.get(|t| t.queue_value(|q| u64::from(q.state.ready))),
        write |d, _, v| d.set(|t| t.set_queue_ready(v & 1 != 0));
    0x050 QueueNotify 4 wo, "4.2.2", write |d, _, v| d.act(|t| t.notify(v));
    0x060 InterruptStatus 4 ro reset 0, "4.2.2", read |d, _| u64::from(d.state.isr);
    0x064 InterruptACK 4 wo, "4.2.2", write |d, _, v| d.acknowledge(v);
    0x070 Status 4 rw reset 0, "4.2.2", read |d, _| d.get(|t| u64::from(t.state.status)),
        write |d, _, v| d.set_status(v);
    0x080 QueueDescLow 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Desc, LOW, v));
    0x084 QueueDescHigh 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Desc, !LOW, v << 32));
    0x090 QueueDriverLow 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Driver, LOW, v));
    0x094 QueueDriverHigh 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Driver, !LOW, v << 32));
    0x0a0 QueueDeviceLow 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Device, LOW, v));
    0x0a4 QueueDeviceHigh 4 wo, "4.2.2", write |d, _, v| d.set(|t| t.set_queue_address(Ring::Device, !LOW, v << 32));
    0x0ac SHMSel 4 wo, "4.2.2", write |_, _, _| {};
    // No device has shared memory: all of its regions are of length -1 at -1.
    0x0b0 [4; 4] SHMRegion 4 ro reset 0xffff_ffff, "4.2.2", read |_, _| 0xffff_ffff;
    0x0c0 QueueReset 4 rw reset 0, "4.2.2", read |_, _| 0, write |d, _, v| d.reset_queue(v);
    0x0fc ConfigGeneration 4 ro reset 0, "4.2.2", read |d, _| d.get(|t| u64::from(t.state.generation));
    0x100 area 0x100 Config, "4.2.2", read |d, at, size| d.get(|t| t.read_config(at, size)),
        write |d, at, size, v| d.act(|t| t.write_config(at, size, v));
}

registers! {
    static LEGACY: VirtioMmio, "virtio-mmio", sizes [1, 2, 4, 8];
    0x000 MagicValue 4 ro reset MAGIC, "4.2.4", read |_, _| MAGIC;
    0x004 Version 4 ro reset 1, "4.2.4", read |d, _| d.version();
    0x008 DeviceID 4 ro, "4.2.4", read |d, _| d.get(|t| u64::from(t.device().kind().id));
    0x00c VendorID 4 ro reset VENDOR, "4.2.4", read |_, _| VENDOR;
    0x010 HostFeatures 4 ro, "4.2.4", read |d, _| d.get(|t| t.device_features(t.state.device_features_sel, true));
    0x014 HostFeaturesSel 4 wo, "4.2.4", write |d, _, v| d.set(|t| t.state.device_features_sel = (v != 0).into());
    0x020 GuestFeatures 4 wo, "4.2.4", write |d, _, v| d.set(|t| t.set_driver_features(t.state.driver_features_sel, v));
    0x024 GuestFeaturesSel 4 wo, "4.2.4", write |d, _, v| d.set(|t| t.state.driver_features_sel = v as u32);
    0x028 GuestPageSize 4 wo, "4.2.4", write |d, _, v| d.set_page_size(v);
    0x030 QueueSel 4 wo, "4.2.4", write |d, _, v| d.set(|t| t.state.queue_sel = v.min(0xffff) as u16);
    0x034 QueueNumMax 4 ro, "4.2.4", read |d, _| d.get(|t| t.queue_value(|q| u64::from(q.max())));
    0x038 QueueNum 4 wo, "4.2.4", write |d, _, v| d.set(|t| t.set_queue_size(v));
    0x03c QueueAlign 4 wo, "4.2.4", write |d, _, v| d.set_align(v);
    0x040 QueuePFN 4 rw reset 0, "4.2.4", read |d, _| d.page_number(), write |d, _, v| d.set_page_number(v);
    0x050 QueueNotify 4 wo, "4.2.4", write |d, _, v| d.act(|t| t.notify(v));
    0x060 InterruptStatus 4 ro reset 0, "4.2.4", read |d, _| u64::from(d.state.isr);
    0x064 InterruptACK 4 wo, "4.2.4", write |d, _, v| d.acknowledge(v);
    0x070 Status 4 rw reset 0, "4.2.4", read |d, _| d.get(|t| u64::from(t.state.status)),
        write |d, _, v| d.set_status(v);
    0x100 area 0x100 Config, "4.2.4", read |d, at, size| d.get(|t| t.read_config(at, size)),
        write |d, at, size, v| d.act(|t| t.write_config(at, size, v));
}

/// What is saved besides the common part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// InterruptStatus.
    isr: u8,
    /// Legacy: size of the pages that QueuePFN counts.
    page_size: u32,
    /// Legacy: alignment of the used ring of the queue that is being set up.
    align: u32,
}

impl State {
    const NEW: State = State { isr: 0, page_size: 0, align: 0 };
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    state: State,
    common: Option<Saved>,
}

/// A slot, with or without a device.
pub struct VirtioMmio {
    kit: Kit,
    line: IrqLine,
    legacy: bool,
    state: State,
    transport: Option<Transport>,
}

impl VirtioMmio {
    /// A slot with `device`, in the interface of legacy drivers or of modern ones.
    #[must_use]
    pub fn new(kit: Kit, line: IrqLine, device: Box<dyn VirtioDevice>, options: Options, legacy: bool) -> VirtioMmio {
        let transport = Some(Transport::new(kit.clone(), device, options));
        VirtioMmio { kit, line, legacy, state: State::NEW, transport }
    }

    /// Puts a device into an empty slot.
    ///
    /// # Errors
    /// There is one.
    pub fn insert(&mut self, device: Box<dyn VirtioDevice>, options: Options) -> Result<(), String> {
        if self.transport.is_some() {
            return Err("the slot is taken".to_owned());
        }
        self.transport = Some(Transport::new(self.kit.clone(), device, options));
        Ok(())
    }

    /// The device in it.
    #[must_use]
    pub fn inside(&self) -> Option<&dyn VirtioDevice> {
        self.transport.as_ref().map(Transport::device)
    }

    /// An empty slot.
    #[must_use]
    pub fn empty(kit: Kit, line: IrqLine, legacy: bool) -> VirtioMmio {
        VirtioMmio { kit, line, legacy, state: State::NEW, transport: None }
    }

    /// Takes a child onto the device's bus; its number there.
    ///
    /// # Errors
    /// The device has no bus, the child does not fit, or the place is taken.
    pub fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let transport = self.transport.as_mut().ok_or("the slot is empty")?;
        let (number, signals) = transport.plug(props, child)?;
        self.signal(&signals);
        Ok(number)
    }

    /// A child is taken off the device's bus.
    ///
    /// # Errors
    /// There is no such child, or it cannot go.
    pub fn unplug(&mut self, child: u32) -> Result<(), String> {
        let transport = self.transport.as_mut().ok_or("the slot is empty")?;
        let signals = transport.unplug(child)?;
        self.signal(&signals);
        Ok(())
    }

    fn version(&self) -> u64 {
        if self.legacy { 1 } else { 2 }
    }

    fn registers(&self) -> &'static RegisterSet<VirtioMmio> {
        match (&self.transport, self.legacy) {
            (None, _) => &EMPTY,
            (Some(_), false) => &MODERN,
            (Some(_), true) => &LEGACY,
        }
    }

    fn get<T: Default>(&mut self, f: impl FnOnce(&mut Transport) -> T) -> T {
        self.transport.as_mut().map(f).unwrap_or_default()
    }

    fn set(&mut self, f: impl FnOnce(&mut Transport)) {
        if let Some(transport) = &mut self.transport {
            f(transport);
        }
    }

    /// Does something after which the driver may have to be interrupted.
    fn act(&mut self, f: impl FnOnce(&mut Transport) -> Signals) {
        let signals = self.get(f);
        self.signal(&signals);
    }

    fn signal(&mut self, signals: &Signals) {
        if !signals.queues.is_empty() {
            self.state.isr |= INT_QUEUE;
        }
        if signals.config {
            // QEMU sets both, and its tests count on it; drivers find nothing new in the queues.
            self.state.isr |= INT_CONFIG | INT_QUEUE;
        }
        self.line.set(self.state.isr != 0);
    }

    fn acknowledge(&mut self, bits: u64) {
        self.state.isr &= !(bits as u8);
        self.line.set(self.state.isr != 0);
    }

    fn set_status(&mut self, value: u64) {
        let legacy = self.legacy;
        let (reset, signals) = self.get(|t| t.set_status(value as u8, legacy));
        if reset {
            self.state = State { page_size: self.state.page_size, ..State::NEW };
        }
        self.signal(&signals);
    }

    fn reset_queue(&mut self, value: u64) {
        let report = self.kit.report.clone();
        self.set(|t| match value {
            0 => {}
            1 if t.state.features & super::feature::RING_RESET != 0 && t.state.status & status::DRIVER_OK != 0 => {
                t.reset_queue();
            }
            _ => report.guest_error(format_args!("queue reset {value:#x} without RING_RESET or before DRIVER_OK")),
        });
    }

    fn set_page_size(&mut self, value: u64) {
        if value.is_power_of_two() {
            self.state.page_size = value as u32;
        } else {
            self.kit.report.guest_error(format_args!("guest page size {value:#x}"));
        }
    }

    fn set_align(&mut self, value: u64) {
        if value.is_power_of_two() {
            self.state.align = value as u32;
        } else {
            self.kit.report.guest_error(format_args!("queue alignment {value:#x}"));
        }
    }

    fn page_number(&mut self) -> u64 {
        let page_size = u64::from(self.state.page_size);
        self.get(|t| t.queue_value(|q| q.state.desc)).checked_div(page_size).unwrap_or(0)
    }

    fn set_page_number(&mut self, value: u64) {
        let State { page_size, align, .. } = self.state;
        if page_size == 0 && value != 0 {
            return self.kit.report.guest_error(format_args!("QueuePFN before GuestPageSize"));
        }
        self.set(|t| t.set_queue_legacy((value & 0xffff_ffff) * u64::from(page_size), u64::from(align)));
    }
}

impl Device for VirtioMmio {
    fn kind(&self) -> &'static str {
        self.transport.as_ref().map_or(EMPTY_NAME, |t| t.device().kind().mmio)
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: EMPTY_NAME.into(), size: WINDOW }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        self.registers().read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        self.registers().write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        self.act(|t| t.event(token));
    }

    fn room(&mut self, port: u32) -> usize {
        let (room, signals) = self.get(|t| t.call(|d, cx| d.room(cx, port)));
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

    fn reset(&mut self) {
        self.set(Transport::reset);
        self.state = State::NEW;
        self.line.set(false);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let common = self.transport.as_ref().map(Transport::save).transpose()?;
        snapshot::save(self.kind(), 1, &Snapshot { state: self.state, common })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Snapshot = snapshot::load(self.kind(), 1, bytes)?;
        let both = saved.common.is_some() == self.transport.is_some();
        check(both, "device", || "one of the slots is empty".into())?;
        for (name, value) in [("page size", saved.state.page_size), ("alignment", saved.state.align)] {
            check(value == 0 || value.is_power_of_two(), name, || format!("{value:#x}"))?;
        }
        if let (Some(transport), Some(common)) = (&mut self.transport, saved.common) {
            transport.check(&common)?;
            transport.load(common)?;
        }
        self.state = saved.state;
        Ok(())
    }
}
