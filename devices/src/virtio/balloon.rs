//! virtio-balloon: memory that the guest gives up while it does not need it (virtio 1.2, 5.5).
//!
//! Pages in the balloon, and free pages that the guest reports, go back to the host and read as zeros afterwards
//! ([`tern_core::device::Dma::discard`]).  Backend `TARGET_PORT` tells how large the balloon should be.

use super::{Broken, Chain, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    5, "virtio-balloon", [], Misc, class 0x00_ff00, legacy 0x1002,
    "virtio memory balloon: statistics, free page reporting",
    [
        Prop::new("deflate-on-oom", PropKind::Bool(false), "the guest may take pages back by itself"),
        Prop::new("free-page-reporting", PropKind::Bool(false), "the guest tells about pages that are free"),
        Prop::new("guest-stats-polling-interval", PropKind::Number(32, 0), "seconds between questions for statistics"),
        Prop::only("free-page-hint", &["off"]),
        Prop::only("page-poison", &["on", "off"]),
    ],
    None, |wants| {
        let seconds = wants.props.number("guest-stats-polling-interval");
        let config = Config {
            deflate_on_oom: wants.props.bool("deflate-on-oom"),
            free_page_reporting: wants.props.bool("free-page-reporting"),
            poll_ns: (seconds != 0).then(|| seconds * 1_000_000_000),
        };
        Ok(Box::new(Balloon::new(config, Info::default())))
    }
}

/// The backend that tells how many pages of 4 KiB the guest should give up: four little-endian bytes.
pub const TARGET_PORT: u32 = 0xff;

/// Feature bits (5.5.3).
mod feature {
    pub(super) const STATS_VQ: u64 = 1 << 1;
    pub(super) const DEFLATE_ON_OOM: u64 = 1 << 2;
    pub(super) const PAGE_POISON: u64 = 1 << 4;
    pub(super) const REPORTING: u64 = 1 << 5;
}

/// What a queue is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Inflate,
    Deflate,
    Stats,
    Reporting,
    None,
}

const QUEUE_SIZE: u16 = 128;
const QUEUES: usize = 5;
const STATS_QUEUE: u16 = 2;
/// Pages are counted in units of this many bytes, whatever the guest's page size.
const PAGE_SHIFT: u32 = 12;
/// Offsets in the configuration space.
const ACTUAL: u32 = 4;
const POISON: u32 = 12;
/// Kinds of statistics (5.5.6.3; the last ones are Linux 6.9's).
pub const STATISTICS: usize = 16;
/// Bytes of one: a tag of two, a value of eight.
const STATISTIC: usize = 10;
/// Most pages in one message, and most bytes in one report; no driver comes near.
const MOST_PAGES: usize = 1 << 16;
const MOST_BYTES: u64 = 1 << 30;
/// The event that asks the guest for new statistics.
const POLL: u32 = 0;

/// How a balloon is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// May the guest take pages back by itself when it has no others?
    pub deflate_on_oom: bool,
    /// Does the guest tell about pages that are free?
    pub free_page_reporting: bool,
    /// How often the guest is asked for statistics, in nanoseconds.
    pub poll_ns: Option<u64>,
}

/// What is known about the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Pages of 4 KiB that the guest should give up.
    pub target: u32,
    /// Pages that it has given up.
    pub actual: u32,
    /// The statistics that it has told last, by their tags.
    pub statistics: [Option<u64>; STATISTICS],
}

/// A handle to what is known.
#[derive(Clone, Default)]
pub struct Info(Rc<Cell<Facts>>);

impl Info {
    /// What is known now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.0.get()
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    target: u32,
    actual: u32,
    /// What the guest fills free pages with.
    poison: u32,
    statistics: [Option<u64>; STATISTICS],
    /// The buffer that the guest waits to get back before it tells statistics again.
    held: Option<Chain>,
}

/// The device.
pub struct Balloon {
    config: Config,
    info: Info,
    state: State,
}

impl Balloon {
    /// An empty one; what it learns appears in `info`.
    #[must_use]
    pub fn new(config: Config, info: Info) -> Balloon {
        Balloon { config, info, state: State::default() }
    }

    fn publish(&self) {
        let State { target, actual, statistics, .. } = self.state;
        self.info.0.set(Facts { target, actual, statistics });
    }

    /// Queues of features that were not agreed on do not exist for the specification, which keeps the numbers of the
    /// others; Linux and QEMU close the gaps.  As there is no hint queue (3) both are understood.
    fn role(queue: u16, cx: &Cx<'_>) -> Role {
        let reporting = if cx.has(feature::REPORTING) { Role::Reporting } else { Role::None };
        match queue {
            0 => Role::Inflate,
            1 => Role::Deflate,
            STATS_QUEUE if cx.has(feature::STATS_VQ) => Role::Stats,
            _ => reporting,
        }
    }

    /// Gives up the pages whose numbers are in a chain.
    fn inflate(cx: &mut Cx<'_>, chain: &mut Chain) -> Result<(), Broken> {
        let mut run: Option<(u64, u64)> = None;
        for n in 0.. {
            let Some(page) = cx.array::<4>(chain)?.map(|bytes| u64::from(u32::from_le_bytes(bytes))) else { break };
            if n == MOST_PAGES {
                cx.kit.report.guest_error(format_args!("more than {MOST_PAGES} pages at once"));
                break;
            }
            // Linux counts downwards as often as upwards.
            run = match run {
                Some((first, count)) if page == first + count => Some((first, count + 1)),
                Some((first, count)) if page + 1 == first => Some((page, count + 1)),
                other => {
                    Balloon::give_up(cx, other);
                    Some((page, 1))
                }
            };
        }
        Balloon::give_up(cx, run);
        Ok(())
    }

    fn give_up(cx: &Cx<'_>, run: Option<(u64, u64)>) {
        if let Some((first, count)) = run {
            Balloon::discard(cx, first << PAGE_SHIFT, count << PAGE_SHIFT);
        }
    }

    fn discard(cx: &Cx<'_>, addr: u64, len: u64) {
        if let Err(e) = cx.kit.dma.discard(addr, len) {
            cx.kit.report.guest_error(format_args!("page given up: {e}"));
        }
    }

    /// Gives up the free pages that a chain lends; poisoned ones have to keep what is in them (5.5.6.7).
    fn report(&self, cx: &Cx<'_>, chain: &Chain) {
        if cx.has(feature::PAGE_POISON) && self.state.poison != 0 {
            return;
        }
        let mut left = MOST_BYTES;
        for buffer in chain.writable_buffers() {
            let len = u64::from(buffer.len);
            if len > left {
                cx.kit.report.guest_error(format_args!("more than {MOST_BYTES} bytes reported at once"));
                break;
            }
            left -= len;
            Balloon::discard(cx, buffer.addr, len);
        }
    }

    /// Reads statistics, and keeps their buffer until there shall be new ones.
    fn take_statistics(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(STATS_QUEUE)? {
            self.state.statistics = [None; STATISTICS];
            for _ in 0..2 * STATISTICS {
                let Some([t0, t1, value @ ..]) = cx.array::<STATISTIC>(&mut chain)? else { break };
                let place = self.state.statistics.get_mut(usize::from(u16::from_le_bytes([t0, t1])));
                // Drivers may know more kinds.
                if let Some(place) = place {
                    *place = Some(u64::from_le_bytes(value));
                }
            }
            if let Some(earlier) = self.state.held.replace(chain) {
                cx.kit.report.guest_error(format_args!("statistics that nobody asked for"));
                cx.push(STATS_QUEUE, &earlier);
            }
        }
        self.publish();
        if let (Some(after), Some(_)) = (self.config.poll_ns, &self.state.held) {
            cx.kit.clock.schedule(POLL, cx.kit.clock.now().saturating_add(after.max(1)));
        }
        Ok(())
    }
}

/// Sets the bytes of a number that an access to configuration space covers; false: it covers others too.
fn patch(value: &mut u32, at: u32, offset: u32, data: &[u8]) -> bool {
    let mut bytes = value.to_le_bytes();
    let from = offset.checked_sub(at).map(|n| n as usize);
    let Some(part) = from.and_then(|n| bytes.get_mut(n..n + data.len())) else { return false };
    part.copy_from_slice(data);
    *value = u32::from_le_bytes(bytes);
    true
}

impl VirtioDevice for Balloon {
    fn kind(&self) -> &'static super::Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        let some = |on: bool, bit: u64| if on { bit } else { 0 };
        feature::STATS_VQ
            | feature::PAGE_POISON
            | some(self.config.deflate_on_oom, feature::DEFLATE_ON_OOM)
            | some(self.config.free_page_reporting, feature::REPORTING)
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; QUEUES]
    }

    fn config(&self) -> Vec<u8> {
        [self.state.target, self.state.actual, 0, self.state.poison].map(u32::to_le_bytes).concat()
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        let done = patch(&mut self.state.actual, ACTUAL, offset, data)
            || cx.has(feature::PAGE_POISON) && patch(&mut self.state.poison, POISON, offset, data);
        if !done {
            cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}"));
        }
        self.publish();
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        let role = Balloon::role(queue, cx);
        match role {
            Role::Stats => return self.take_statistics(cx),
            Role::None => {
                cx.kit.report.guest_error(format_args!("queue {queue} used without its feature"));
                return Ok(());
            }
            Role::Inflate | Role::Deflate | Role::Reporting => {}
        }
        while let Some(mut chain) = cx.pop(queue)? {
            match role {
                Role::Inflate => Balloon::inflate(cx, &mut chain)?,
                Role::Reporting => self.report(cx, &chain),
                // Pages come back as zeros when they are touched.
                _ => {}
            }
            cx.push(queue, &chain);
        }
        Ok(())
    }

    fn queue_reset(&mut self, queue: u16) {
        if queue == STATS_QUEUE {
            self.state.held = None;
        }
    }

    /// Hands the buffer back, which asks for new statistics.
    fn event(&mut self, cx: &mut Cx<'_>, _token: u32) -> Result<(), Broken> {
        if let Some(chain) = self.state.held.take() {
            cx.push(STATS_QUEUE, &chain);
        }
        Ok(())
    }

    fn room(&mut self, _cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
        Ok(if port == TARGET_PORT { 4 } else { 0 })
    }

    fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
        if let (TARGET_PORT, Some(bytes)) = (port, data.first_chunk::<4>()) {
            self.state.target = u32::from_le_bytes(*bytes);
            self.publish();
            cx.config_changed();
        }
        Ok(())
    }

    /// What the user wants stays, whatever the guest does.
    fn reset(&mut self, clock: &Clock) {
        clock.cancel(POLL);
        self.state = State { target: self.state.target, ..State::default() };
        self.publish();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.state = snapshot::load(KIND.mmio, 1, bytes)?;
        self.publish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tern_core::device::Device as _;
    use super::super::testing::Driver;
    use super::*;
    use tern_core::mem::Size;

    const ALL: u64 = feature::STATS_VQ | feature::DEFLATE_ON_OOM | feature::PAGE_POISON | feature::REPORTING;

    fn driver(features: u64, info: &Info) -> Driver {
        let config = Config { deflate_on_oom: true, free_page_reporting: true, poll_ns: Some(1000) };
        Driver::split(features, |_| Box::new(Balloon::new(config, info.clone())))
    }

    /// Four pages of ones at a page boundary; the address.
    fn ones(driver: &mut Driver) -> u64 {
        let at = driver.alloc(0x5000).next_multiple_of(0x1000);
        driver.dma.write(at, &[1; 0x4000]).unwrap();
        at
    }

    /// The first byte of each of the four pages.
    fn look(driver: &Driver, at: u64) -> [u8; 4] {
        [0, 1, 2, 3].map(|n| driver.dma.array::<1>(at + 0x1000 * n).unwrap()[0])
    }

    #[test]
    fn pages_in_the_balloon_are_gone() {
        let info = Info::default();
        let mut driver = driver(ALL, &info);
        driver.device.receive(TARGET_PORT, &3u32.to_le_bytes());
        assert_eq!((driver.interrupts(), driver.device.read(0, 0x100, Size::B4)), (3, 3));
        let at = ones(&mut driver);
        let page = (at >> 12) as u32;
        let numbers = [page + 3, page + 1, page].map(u32::to_le_bytes).concat();
        driver.ask(0, &[&numbers[..6], &numbers[6..]], &[]);
        assert_eq!(look(&driver, at), [0, 0, 1, 0]);
        driver.device.write(0, 0x104, Size::B4, 3);
        assert_eq!((info.facts().target, info.facts().actual), (3, 3));
        driver.ask(1, &[&numbers], &[]);
        assert_eq!(driver.bench.guest_errors(), 0);
        driver.ask(0, &[&[0xff; 4]], &[]);
        driver.device.write(0, 0x100, Size::B4, 3);
        assert_eq!((driver.bench.guest_errors(), driver.is_broken()), (2, false));
        driver.start(driver.features);
        assert_eq!((info.facts().target, info.facts().actual), (3, 0));
    }

    #[test]
    fn reported_pages_are_gone_unless_they_are_poisoned() {
        for (features, queue) in [(ALL, 3), (ALL, 4), (ALL & !feature::STATS_VQ, 2)] {
            let mut driver = driver(features, &Info::default());
            let at = ones(&mut driver);
            driver.add_raw(queue, &[(at + 0x1000, 0x2000, true)], false);
            driver.kick(queue);
            assert_eq!((driver.done(queue).is_some(), look(&driver, at)), (true, [1, 0, 0, 1]));
            driver.device.write(0, 0x10c, Size::B4, 0xaa);
            driver.add_raw(queue, &[(at, 0x1000, true)], false);
            driver.kick(queue);
            assert_eq!((look(&driver, at), driver.bench.guest_errors()), ([1, 0, 0, 1], 0));
        }
        let mut driver = driver(feature::STATS_VQ, &Info::default());
        driver.kick(4);
        assert_eq!(driver.bench.guest_errors(), 1);
    }

    #[test]
    fn statistics_are_asked_for_again_and_again() {
        let info = Info::default();
        let mut driver = driver(ALL, &info);
        let told = |values: &[(u16, u64)]| -> Vec<u8> {
            values.iter().flat_map(|(tag, value)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()).collect()
        };
        driver.add(2, &[&told(&[(4, 1 << 30), (99, 5), (0, 7)])], &[], false);
        driver.kick(2);
        let statistics = info.facts().statistics;
        assert_eq!((statistics[4], statistics[0], statistics[1]), (Some(1 << 30), Some(7), None));
        assert!(driver.done(2).is_none());
        let (saved, queue) = (driver.device.save().unwrap(), driver.bench.queue.save().unwrap());
        driver.device.load(&saved).unwrap();
        driver.bench.queue.load(&queue).unwrap();
        driver.bench.advance(&mut *driver.device, 0, 1000);
        assert!(driver.done(2).is_some());
        driver.add(2, &[&told(&[(4, 5)])], &[], false);
        driver.kick(2);
        assert_eq!((info.facts().statistics[4], info.facts().statistics[0]), (Some(5), None));
        driver.add(2, &[&[]], &[], false);
        driver.kick(2);
        assert_eq!((driver.done(2).is_some(), driver.bench.guest_errors()), (true, 1));
    }
}
