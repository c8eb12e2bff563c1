//! QEMU's PCI test device: writes to a place that it names are counted (QEMU, docs/specs/pci-testdev.rst).  tern has no
//! shortcut for such writes (eventfd), so the tests for those count like the plain one.

use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "pci-testdev";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "test device that counts writes (QEMU pci-testdev.rst)",
    parents: &[],
    props: &[Prop::new("membar", PropKind::Size(0), "size of a base address without anything behind it")],
    bus: None,
    build: Build::Pci(|kit, wants| {
        let membar = wants.props.number("membar");
        if membar != 0 && (!membar.is_power_of_two() || membar < 16) {
            return Err(format!("membar: {membar} is not a power of two from 16 on"));
        }
        Ok(Box::new(TestDevice::new(kit, membar)))
    }),
}];

/// The tests behind each of the two base addresses, with the data that is to be written.
const TESTS: [(&str, u8); 3] = [("no-eventfd", 0xfa), ("wildcard-eventfd", 0xce), ("datamatch-eventfd", 0xfa)];
/// Names of the two base addresses, and where the place that is written to lies behind them.
const SPACES: [(&str, u32); 2] = [("mmio", 2048), ("portio", 128)];
/// Test that takes any data.
const WILDCARD: usize = 1;
/// Where the header's name begins.
const HEADER: usize = 16;

registers! {
    static MEMORY: TestDevice, "pci-testdev-mmio", sizes [1, 2, 4];
    0 area 0x1000 HEADER, "pci-testdev.rst", read |d, at, size| d.get(at, size), write |d, at, size, v| d.set(0, at, size, v);
}

registers! {
    static PORTS: TestDevice, "pci-testdev-portio", sizes [1, 2, 4];
    0 area 0x100 HEADER, "pci-testdev.rst", read |d, at, size| d.get(at, size), write |d, at, size, v| d.set(1, at, size, v);
}

registers! {
    static NOTHING: TestDevice, "pci-testdev-membar", sizes [1, 2, 4, 8];
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    /// The test that runs: base address and number.
    current: Option<(u8, u8)>,
    /// Writes that it has seen.
    count: u32,
}

/// The device.
pub struct TestDevice {
    kit: Kit,
    config: Config,
    state: State,
}

impl TestDevice {
    /// A new one; `membar` is the size of base address 2 in bytes, or 0 for none.
    #[must_use]
    pub fn new(kit: Kit, membar: u64) -> TestDevice {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1b36, device: 0x0005, revision: 0, class: 0x00_ff00, subsystem });
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 0x1000 });
        config.add_bar(Bar { number: 1, kind: BarKind::Io, size: 0x100 });
        if membar != 0 {
            config.add_bar(Bar { number: 2, kind: BarKind::Memory64, size: membar });
        }
        config.seal();
        TestDevice { kit, config, state: State::default() }
    }

    /// Where the test's writes go.
    fn place(space: u8, test: u8) -> u32 {
        SPACES[usize::from(space)].1 + u32::from(space) * TESTS.len() as u32 + u32::from(test)
    }

    /// The header of the test that runs.
    fn header(&self) -> Vec<u8> {
        let Some((space, test)) = self.state.current else { return Vec::new() };
        let (name, data) = TESTS[usize::from(test)];
        let mut bytes = vec![space * TESTS.len() as u8 + test, 1, 0, 0];
        bytes.extend(TestDevice::place(space, test).to_le_bytes());
        bytes.extend([data, 0, 0, 0]);
        bytes.extend(self.state.count.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEADER);
        bytes.extend(SPACES[usize::from(space)].0.bytes().chain([b'-']).chain(name.bytes()).chain([0]));
        bytes
    }

    fn get(&self, at: u64, size: Size) -> u64 {
        let header = self.header();
        let byte = |n: u64| header.get((at + n) as usize).copied().unwrap_or(0);
        (0..size.bytes()).rev().fold(0, |value, n| value << 8 | u64::from(byte(n)))
    }

    fn set(&mut self, space: u8, at: u64, size: Size, value: u64) {
        for (n, byte) in value.to_le_bytes().iter().take(size.bytes() as usize).enumerate() {
            self.set_byte(space, at + n as u64, *byte);
        }
    }

    fn set_byte(&mut self, space: u8, at: u64, value: u8) {
        if at == 0 {
            let test = Some(value).filter(|test| usize::from(*test) < TESTS.len());
            self.state = State { current: test.map(|test| (space, test)), count: 0 };
        } else if let Some((running, test)) = self.state.current
            && running == space
            && at == u64::from(TestDevice::place(space, test))
            && (usize::from(test) == WILDCARD || value == TESTS[usize::from(test)].1)
        {
            self.state.count = self.state.count.wrapping_add(1);
        }
    }
}

impl PciFunction for TestDevice {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        [&MEMORY, &PORTS, &NOTHING][usize::from(bar.min(2))].read(self, &report, offset, size)
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        [&MEMORY, &PORTS, &NOTHING][usize::from(bar.min(2))].write(self, &report, offset, size, value);
    }

    fn reset(&mut self) {
        self.config.reset();
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state): (ConfigState, State) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        let known = |(space, test): (u8, u8)| usize::from(space) < SPACES.len() && usize::from(test) < TESTS.len();
        check(state.current.is_none_or(known), "current", || format!("{:?}", state.current))?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    /// Runs a test as kvm-unit-tests do: how many of `writes` it has counted, and its name.
    fn run(d: &mut TestDevice, bar: u8, test: u64, writes: u32) -> Option<(u32, String)> {
        d.write(bar, 0, Size::B1, test);
        let width = d.read(bar, 1, Size::B1);
        if width != 1 {
            return None;
        }
        let (place, data) = (d.read(bar, 4, Size::B4), d.read(bar, 8, Size::B4));
        for _ in 0..writes {
            d.write(bar, place, Size::B1, data);
        }
        let name = (16..).map(|at| d.read(bar, at, Size::B1) as u8).take_while(|b| *b != 0).map(char::from).collect();
        Some((d.read(bar, 12, Size::B4) as u32, name))
    }

    #[test]
    fn writes_are_counted() {
        let mut bench = Bench::new();
        let mut d = TestDevice::new(bench.kit(NAME), 1 << 36);
        assert_eq!(run(&mut d, 0, 0, 5), Some((5, "mmio-no-eventfd".into())));
        assert_eq!(run(&mut d, 1, 2, 3), Some((3, "portio-datamatch-eventfd".into())));
        assert_eq!(run(&mut d, 0, 3, 1), None);
        assert_eq!(run(&mut d, 0, 1, 2), Some((2, "mmio-wildcard-eventfd".into())));
        d.write(0, 2049, Size::B1, 0x11);
        assert_eq!(d.read(0, 12, Size::B4), 3);
        d.write(0, 0, Size::B1, 2);
        d.write(0, 2050, Size::B1, 0x11);
        assert_eq!((d.read(0, 12, Size::B4), bench.guest_errors()), (0, 0));
        assert_eq!((d.read(2, 1 << 35, Size::B8), bench.guest_errors()), (0, 1));
    }
}
