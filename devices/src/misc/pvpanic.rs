//! QEMU's panic notifier as a PCI function (QEMU, docs/specs/pvpanic.rst).

use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use tern_core::device::{Kit, Request};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

const NAME: &str = "pvpanic-pci";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "panic notifier (QEMU pvpanic.rst)",
    parents: &[],
    props: &[Prop::new("events", PropKind::Number(8, ALL as u64), "events that it takes")],
    bus: None,
    build: Build::Pci(|kit, wants| Ok(Box::new(Pvpanic::new(kit, wants.props.number("events") as u8)))),
}];

/// Events, most urgent first.
const EVENTS: [(u8, Request); 3] = [(1, Request::Panic), (2, Request::CrashLoaded), (4, Request::Shutdown)];
/// All of them.
const ALL: u8 = 7;

registers! {
    static REGS: Pvpanic, "pvpanic", sizes [1];
    0x00 [2; 1] EVENTS 1 rw reset 7, "pvpanic.rst bit definition", read |d, _| u64::from(d.events),
        write |d, _, v| d.notify(v as u8);
}

/// The device.
pub struct Pvpanic {
    kit: Kit,
    config: Config,
    events: u8,
}

impl Pvpanic {
    /// A new one that takes these events.
    #[must_use]
    pub fn new(kit: Kit, events: u8) -> Pvpanic {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1b36, device: 0x0011, revision: 1, class: 0x08_8000, subsystem });
        // Two bytes in QEMU, but no base address is smaller than this.
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 16 });
        config.seal();
        Pvpanic { kit, config, events }
    }

    fn notify(&mut self, events: u8) {
        if events & !ALL != 0 {
            self.kit.report.guest_error(format_args!("unknown events {events:#x}"));
        }
        if let Some((_, request)) = EVENTS.iter().find(|(bit, _)| events & self.events & bit != 0) {
            self.kit.messenger.request(*request);
        }
    }
}

impl PciFunction for Pvpanic {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn reset(&mut self) {
        self.config.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &self.config.save())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let config: ConfigState = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        self.config.load(config);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use tern_core::device::Signal;

    #[test]
    fn the_most_urgent_event_that_is_taken_becomes_a_request() {
        let mut bench = Bench::new();
        let mut d = Pvpanic::new(bench.kit(NAME), ALL);
        assert_eq!(d.read(0, 0, Size::B1), 7);
        for events in [1, 2, 4, 7, 6, 0, 0x80] {
            d.write(0, 0, Size::B1, events);
        }
        let wanted =
            [Request::Panic, Request::CrashLoaded, Request::Shutdown, Request::Panic, Request::CrashLoaded];
        assert_eq!((bench.signals(), bench.guest_errors()), (wanted.map(Signal::Request).to_vec(), 1));
        let mut d = Pvpanic::new(bench.kit(NAME), 1);
        d.write(0, 0, Size::B1, 6);
        assert_eq!((d.read(0, 0, Size::B1), bench.signals()), (1, vec![]));
    }
}
