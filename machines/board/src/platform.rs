//! The platform bus: a range of the address space for devices that users add, and interrupts for them.  Where they lie is
//! known before they are built, for the device tree.

use crate::config::DeviceConfig;
use tern_devices::model::{self, Build, Platform};

/// The first input of the interrupt controller for devices of the bus, and how many there are (QEMU's `virt`).
const FIRST_IRQ: u32 = 64;
const IRQS: u32 = 32;

/// Where a device of the bus is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// What it is.
    pub platform: &'static Platform,
    /// Its window's offset in the bus's range.
    pub offset: u64,
    /// The input of the interrupt controller for its first line.
    pub irq: u32,
}

/// Gives devices their places, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Places {
    offset: u64,
    lines: u32,
}

impl Places {
    /// The place of the next device on a bus of `size` bytes; `None`: it is full.
    pub fn take(&mut self, platform: &'static Platform, size: u64) -> Option<Place> {
        let offset = self.offset.next_multiple_of(platform.window.next_power_of_two());
        let place = Place { platform, offset, irq: FIRST_IRQ + self.lines };
        let after = Places { offset: offset + platform.window, lines: self.lines + platform.lines };
        let fits = after.offset <= size && after.lines <= IRQS;
        fits.then(|| {
            *self = after;
            place
        })
    }
}

/// The places of those among `devices` that go to a bus of `size` bytes.
#[must_use]
pub fn places(devices: &[DeviceConfig], size: u64) -> Vec<Place> {
    let mut all = Places::default();
    let platform = |device: &DeviceConfig| match model::find(&device.driver)?.model.build {
        Build::System(platform, _) => Some(platform),
        _ => None,
    };
    devices.iter().filter_map(platform).map_while(|platform| all.take(platform, size)).collect()
}
