//! What all transports have in common: status, feature negotiation, queues, and the calls of the device (virtio 1.2, 2
//! and 3).

use super::context::{Broken, Cx, Outcome};
use super::queue::{Queue, QueueState};
use super::{VirtioDevice, feature};
use crate::model::{Child, Props};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{StateError, check};

/// Status bits (2.1).
pub(super) mod status {
    pub(crate) const DRIVER_OK: u8 = 4;
    pub(crate) const FEATURES_OK: u8 = 8;
    pub(crate) const NEEDS_RESET: u8 = 64;
}

/// Token of the event by which a device that was stopped in mid-work goes on.
const RESUME: u32 = 0x8000;
/// After how many nanoseconds it does.
const RESUME_AFTER: u64 = 1000;

/// What a transport offers besides what the device does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Packed rings.
    pub packed: bool,
    /// Indirect descriptors.
    pub indirect: bool,
    /// Event indices.
    pub event_idx: bool,
    /// Resetting single queues.
    pub queue_reset: bool,
    /// The driver must use addresses that pass through an IOMMU.
    pub platform: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { packed: false, indirect: true, event_idx: true, queue_reset: true, platform: false }
    }
}

impl Options {
    fn features(self) -> u64 {
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        feature::VERSION_1
            | feature::ANY_LAYOUT
            | bit(self.packed, feature::RING_PACKED)
            | bit(self.indirect, feature::INDIRECT_DESC)
            | bit(self.event_idx, feature::EVENT_IDX)
            | bit(self.queue_reset, feature::RING_RESET)
            | bit(self.platform, feature::ACCESS_PLATFORM)
    }
}

/// Whom the driver wants to hear of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Signals {
    /// Queues.
    pub(super) queues: Vec<u16>,
    /// The configuration, or that the device needs a reset.
    pub(super) config: bool,
}

/// One of a queue's three addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ring {
    /// Descriptors.
    Desc,
    /// The driver's area.
    Driver,
    /// The device's area.
    Device,
}

/// What is saved of the common part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) status: u8,
    /// What the driver accepted.
    pub(super) features: u64,
    pub(super) device_features_sel: u32,
    pub(super) driver_features_sel: u32,
    pub(super) queue_sel: u16,
    /// Counts the changes of the configuration space.
    pub(super) generation: u32,
}

/// What is saved: the common part, the queues, the device.
pub(super) type Saved = (State, Vec<QueueState>, Vec<u8>);

/// The part that all transports share.
pub(super) struct Transport {
    pub(super) kit: Kit,
    pub(super) state: State,
    pub(super) queues: Vec<Queue>,
    /// Whether the transport lets the device reach memory.
    pub(super) master: bool,
    pub(super) device: Box<dyn VirtioDevice>,
    offered: u64,
}

impl Transport {
    pub(super) fn new(kit: Kit, device: Box<dyn VirtioDevice>, options: Options) -> Transport {
        let queues = device.queues().into_iter().map(Queue::new).collect();
        let offered = device.features() | options.features() & device.ring_features();
        Transport { kit, state: State::default(), queues, master: true, device, offered }
    }

    /// The device.
    pub(super) fn device(&self) -> &dyn VirtioDevice {
        &*self.device
    }

    fn packed(&self) -> bool {
        self.state.features & feature::RING_PACKED != 0
    }

    /// May the device use its queues?
    fn live(&self) -> bool {
        self.master && self.state.status & (status::DRIVER_OK | status::NEEDS_RESET) == status::DRIVER_OK
    }

    /// Calls the device; what the driver is to hear of.
    pub(super) fn call<T>(
        &mut self,
        f: impl FnOnce(&mut dyn VirtioDevice, &mut Cx<'_>) -> Result<T, Broken>,
    ) -> (Option<T>, Signals) {
        let mut outcome = Outcome::default();
        let live = self.live();
        let mut cx = Cx::new(&self.kit, self.state.features, live, &mut self.queues, &mut outcome);
        let result = f(&mut *self.device, &mut cx).ok();
        let mut signals = Signals::default();
        let mut resume = false;
        for (n, queue) in self.queues.iter_mut().enumerate() {
            match queue.flush(&self.kit.dma, self.state.features) {
                Ok(true) => signals.queues.push(n as u16),
                Ok(false) => {}
                Err(e) => {
                    self.kit.report.guest_error(format_args!("queue {n}: {e}"));
                    outcome.broken = true;
                }
            }
            resume |= queue.state.resume;
        }
        if resume {
            self.kit.clock.schedule(RESUME, self.kit.clock.now().saturating_add(RESUME_AFTER));
        }
        if outcome.broken {
            self.state.status |= status::NEEDS_RESET;
            outcome.config = true;
        }
        if outcome.config {
            self.state.generation = self.state.generation.wrapping_add(1);
            signals.config = self.state.status & status::DRIVER_OK != 0;
        }
        (result, signals)
    }

    /// Takes a child onto the device's bus; its number there.
    pub(super) fn plug(&mut self, props: &Props, child: Child) -> Result<(u32, Signals), String> {
        let number = self.device.plug(props, child)?;
        Ok((number, self.call(|d, cx| d.plugged(cx)).1))
    }

    /// A child is taken off the device's bus.
    pub(super) fn unplug(&mut self, child: u32) -> Result<Signals, String> {
        self.device.unplug(child)?;
        Ok(self.call(|d, cx| d.plugged(cx)).1)
    }

    /// The driver has work in queue `queue`.
    pub(super) fn notify(&mut self, queue: u64) -> Signals {
        match u16::try_from(queue).ok().filter(|n| usize::from(*n) < self.queues.len()) {
            Some(queue) if self.live() => self.call(|d, cx| d.notify(cx, queue)).1,
            Some(queue) => {
                self.kit.report.guest_error(format_args!("queue {queue} notified while the device is not in use"));
                Signals::default()
            }
            None => {
                self.kit.report.guest_error(format_args!("there is no queue {queue} to notify"));
                Signals::default()
            }
        }
    }

    /// An event of the device, or of the transport.
    pub(super) fn event(&mut self, token: u32) -> Signals {
        if token != RESUME {
            return self.call(|d, cx| d.event(cx, token)).1;
        }
        let mut waiting = Vec::new();
        for (n, queue) in self.queues.iter_mut().enumerate() {
            if core::mem::take(&mut queue.state.resume) {
                waiting.push(n as u16);
            }
        }
        self.call(|d, cx| waiting.into_iter().try_for_each(|queue| d.notify(cx, queue))).1
    }

    /// The feature word that the driver selected; `legacy` drivers see the first one.
    pub(super) fn device_features(&self, select: u32, legacy: bool) -> u64 {
        let offered = if legacy { self.offered & 0xffff_ffff } else { self.offered & !feature::ANY_LAYOUT };
        match select {
            0 => offered & 0xffff_ffff,
            1 => offered >> 32,
            _ => 0,
        }
    }

    /// The feature word that the driver selected of those it accepted.
    pub(super) fn driver_features(&self, select: u32) -> u64 {
        match select {
            0 => self.state.features & 0xffff_ffff,
            1 => self.state.features >> 32,
            _ => 0,
        }
    }

    /// The driver accepts features.
    pub(super) fn set_driver_features(&mut self, select: u32, value: u64) {
        if self.state.status & (status::FEATURES_OK | status::DRIVER_OK) != 0 {
            self.kit.report.guest_error(format_args!("features changed after negotiation"));
            return;
        }
        let value = value & 0xffff_ffff;
        let features = &mut self.state.features;
        match select {
            0 => *features = *features & !0xffff_ffff | value,
            1 => *features = *features & 0xffff_ffff | value << 32,
            _ if value != 0 => self.kit.report.guest_error(format_args!("feature word {select} accepted: {value:#x}")),
            _ => {}
        }
    }

    /// The driver sets status bits, or resets the device by 0; `legacy` drivers do not confirm features.  Was it a reset?
    pub(super) fn set_status(&mut self, value: u8, legacy: bool) -> (bool, Signals) {
        if value == 0 {
            self.reset();
            return (true, Signals::default());
        }
        let before = self.state.status;
        if before & !value & !status::NEEDS_RESET != 0 {
            self.kit.report.guest_error(format_args!("status {value:#x} clears bits of {before:#x}"));
        }
        let mut new = before | value & !status::NEEDS_RESET;
        let gained = new & !before;
        if gained & status::FEATURES_OK != 0 && !legacy && !self.features_ok() {
            new &= !status::FEATURES_OK;
        }
        if gained & status::DRIVER_OK != 0 {
            if legacy {
                self.state.features &= self.device_features(0, true);
            } else if new & status::FEATURES_OK == 0 {
                self.kit.report.guest_error(format_args!("DRIVER_OK without FEATURES_OK"));
                new &= !status::DRIVER_OK;
            }
        }
        self.state.status = new;
        if new & !before & status::DRIVER_OK == 0 {
            return (false, Signals::default());
        }
        let (_, signals) = self.call(|d, cx| {
            d.activate(cx);
            Ok(())
        });
        (false, signals)
    }

    /// Are the features ones that the device can work with?
    fn features_ok(&self) -> bool {
        let features = self.state.features;
        let unknown = features & !(self.offered & !feature::ANY_LAYOUT);
        let must = feature::VERSION_1 | self.offered & feature::ACCESS_PLATFORM;
        let ok = unknown == 0 && features & must == must;
        if !ok {
            self.kit.report.guest_error(format_args!("features {features:#x} refused; offered {:#x}", self.offered));
        }
        ok
    }

    /// As new.
    pub(super) fn reset(&mut self) {
        self.kit.clock.cancel(RESUME);
        self.device.reset(&self.kit.clock);
        self.queues.iter_mut().for_each(Queue::reset);
        self.state = State::default();
    }

    /// The queue that the driver selected.
    pub(super) fn queue(&mut self) -> Option<&mut Queue> {
        self.queues.get_mut(usize::from(self.state.queue_sel))
    }

    /// A value of the selected queue, 0 if there is none.
    pub(super) fn queue_value<T: Default>(&mut self, f: impl FnOnce(&Queue) -> T) -> T {
        self.queue().map(|q| f(q)).unwrap_or_default()
    }

    /// The selected queue, if the driver may set it up now.
    fn setup(&mut self, what: &str) -> Option<&mut Queue> {
        let select = self.state.queue_sel;
        match self.queues.get_mut(usize::from(select)) {
            Some(queue) if !queue.state.ready => Some(queue),
            found => {
                let why = if found.is_some() { "is in use" } else { "does not exist" };
                self.kit.report.guest_error(format_args!("{what}: queue {select} {why}"));
                None
            }
        }
    }

    /// The driver sets the size of the selected queue.
    pub(super) fn set_queue_size(&mut self, size: u64) {
        let packed = self.packed();
        let report = self.kit.report.clone();
        let Some(queue) = self.setup("size") else { return };
        match u16::try_from(size).ok().filter(|n| queue.allows(*n, packed)) {
            Some(size) => queue.state.size = size,
            None => report.guest_error(format_args!("queue size {size}, at most {}", queue.max())),
        }
    }

    /// The driver sets the bits `mask` of an address of the selected queue.
    pub(super) fn set_queue_address(&mut self, ring: Ring, mask: u64, value: u64) {
        let Some(queue) = self.setup("address") else { return };
        let address = match ring {
            Ring::Desc => &mut queue.state.desc,
            Ring::Driver => &mut queue.state.driver,
            Ring::Device => &mut queue.state.device,
        };
        *address = *address & !mask | value & mask;
    }

    /// The driver switches the selected queue on; only a reset switches it off (2.6).
    pub(super) fn set_queue_ready(&mut self, ready: bool) {
        let packed = self.packed();
        if !ready {
            if self.queue_value(|q| q.state.ready) {
                self.reset_queue();
            }
            return;
        }
        let report = self.kit.report.clone();
        let Some(queue) = self.setup("ready") else { return };
        if queue.allows(queue.state.size, packed) {
            queue.state.ready = true;
        } else {
            report.guest_error(format_args!("a queue of {} entries cannot be used", queue.state.size));
        }
    }

    /// The driver resets the selected queue.
    pub(super) fn reset_queue(&mut self) {
        let select = self.state.queue_sel;
        let Some(queue) = self.queue() else {
            return self.kit.report.guest_error(format_args!("there is no queue {select} to reset"));
        };
        queue.reset();
        self.device.queue_reset(select);
    }

    /// A legacy driver's ring.
    pub(super) fn set_queue_legacy(&mut self, addr: u64, align: u64) {
        if addr == 0 {
            return self.reset_queue();
        }
        if let Some(queue) = self.setup("page number") {
            queue.set_legacy(addr, align);
        }
    }

    /// A load from the configuration space.
    pub(super) fn read_config(&mut self, offset: u64, size: Size) -> u64 {
        let config = self.device.config();
        let part = usize::try_from(offset).ok().and_then(|at| config.get(at..at.checked_add(size.bytes() as usize)?));
        let Some(part) = part else {
            self.kit.report.guest_error(format_args!("read beyond the configuration space at {offset:#x}"));
            return 0;
        };
        part.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// A store to the configuration space.
    pub(super) fn write_config(&mut self, offset: u64, size: Size, value: u64) -> Signals {
        let len = self.device.config().len() as u64;
        if offset.checked_add(size.bytes()).is_none_or(|end| end > len) {
            self.kit.report.guest_error(format_args!("write beyond the configuration space at {offset:#x}"));
            return Signals::default();
        }
        let data = value.to_le_bytes();
        let (_, signals) = self.call(|d, cx| {
            d.write_config(cx, offset as u32, &data[..size.bytes() as usize]);
            Ok(())
        });
        signals
    }

    pub(super) fn save(&self) -> Result<Saved, StateError> {
        Ok((self.state, self.queues.iter().map(|q| q.state).collect(), self.device.save()?))
    }

    /// Are these states that the common part can be in?
    pub(super) fn check(&self, saved: &Saved) -> Result<(), StateError> {
        let (state, queues, _) = saved;
        let (n, here) = (queues.len(), self.queues.len());
        check(n == here, "queues", || format!("{n} queues, the device has {here}"))?;
        let (features, offered) = (state.features, self.offered);
        let settled = state.status & (status::FEATURES_OK | status::DRIVER_OK) != 0;
        check(!settled || features & !offered == 0, "features", || format!("{features:#x} of {offered:#x}"))?;
        let packed = features & feature::RING_PACKED != 0;
        self.queues.iter().zip(queues).try_for_each(|(queue, state)| queue.check(state, packed))
    }

    /// Takes on what [`Transport::check`] has found good; only the device may still refuse.
    pub(super) fn load(&mut self, saved: Saved) -> Result<(), StateError> {
        let (state, queues, device) = saved;
        self.device.load(&device)?;
        self.state = state;
        for (queue, state) in self.queues.iter_mut().zip(queues) {
            queue.load(state);
        }
        Ok(())
    }
}
