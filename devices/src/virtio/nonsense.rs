//! Tests that drive every device with requests that make no sense, in rings that do.

use super::VirtioDevice;
use super::balloon::{self, Balloon};
use super::blk::{self, Blk};
use super::console::{Console, Port};
use super::iommu;
use super::net::{self, Net};
use super::p9::P9;
use super::rng::Rng;
use super::testing::Driver;
use crate::bench::{Bench, RAM, Synth};
use tern_core::device::Device as _;
use tern_core::mem::Size;

type Make = fn(&mut Bench) -> Box<dyn VirtioDevice>;

/// Every device, with all that it can do.
const DEVICES: [(&str, Make); 8] = [
    ("balloon", |_| {
        let config = balloon::Config { deflate_on_oom: true, free_page_reporting: true, poll_ns: Some(500) };
        Box::new(Balloon::new(config, balloon::Info::default()))
    }),
    ("blk", |bench| Box::new(Blk::new(bench.disk(1 << 16), blk::Config { queues: 2, ..blk::Config::default() }))),
    ("console", |bench| {
        let port = |name: &str, console| Port { name: name.into(), console, sink: bench.chars() };
        Box::new(Console::new(vec![port("", true), port("a", false), port("b", true)]))
    }),
    ("9p", |_| Box::new(P9::new(Box::new(Synth::new(Some(3))), "tag"))),
    ("iommu", |_| iommu::sample(&[0, 1, 2, 3])),
    ("net", |bench| Box::new(Net::new(bench.net(), net::Config::default()))),
    ("net, pairs", |bench| {
        Box::new(Net::new(bench.net(), net::Config { pairs: 3, mtu: Some(1500), ..net::Config::default() }))
    }),
    ("rng", |bench| Box::new(Rng::new(bench.entropy()))),
];

/// A small generator of test data (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Bytes that are small numbers more often than not, so that some of them mean something.  None is 8, or a balloon would
    /// find the pages of its rings (0x8_0000 and on) among those to give up.
    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = self.below(most + 1);
        let all = self.below(4) == 0;
        let byte =
            |random: &mut Random| if all || random.below(8) == 0 { random.next() as u8 } else { random.below(4) as u8 };
        (0..len).map(|_| byte(self)).map(|byte| if byte == 8 { 9 } else { byte }).collect()
    }
}

fn lend(driver: &mut Driver, random: &mut Random, queue: u16) {
    let most = [8, 40, 600][random.below(3) as usize];
    let out: Vec<Vec<u8>> = (0..random.below(3)).map(|_| random.bytes(most)).collect();
    let out: Vec<&[u8]> = out.iter().map(Vec::as_slice).collect();
    let back: Vec<usize> = (0..random.below(3)).map(|_| random.below(most) as usize).collect();
    let indirect = random.below(3) == 0;
    match random.below(20) {
        0 => driver.add_raw(queue, &[(random.next(), random.next() as u32 as usize, false)], indirect),
        // Not the rings, which hold an 8 too.
        1 => driver.add_raw(queue, &[(RAM + 0x4_0000, 0xc_0000, false)], indirect),
        _ if out.is_empty() && back.is_empty() => {}
        _ => driver.add(queue, &out, &back, indirect),
    }
}

/// One thing that a driver, or the world, may do.
fn step(driver: &mut Driver, random: &mut Random, lent: &mut [u64]) {
    let queue = random.below(lent.len() as u64) as u16;
    match random.below(10) {
        0..5 => {
            if lent[usize::from(queue)] < 12 {
                lend(driver, random, queue);
                lent[usize::from(queue)] += 1;
            }
            driver.kick(queue);
        }
        5..7 => {
            let port = [0, 1, 2, 0xffff][random.below(4) as usize];
            let room = driver.device.room(port);
            // A network device has room for one frame.
            let most = if room == 1 { 1600 } else { room.min(5000) };
            if room > 0 {
                let data = random.bytes(most as u64);
                driver.device.receive(port, &data);
            }
        }
        7 => {
            let at = 0x100 + random.below(64);
            let size = [Size::B1, Size::B2, Size::B4][random.below(3) as usize];
            driver.device.read(0, at & !(size.bytes() - 1), size);
            driver.device.write(0, at & !(size.bytes() - 1), size, random.below(300));
        }
        8 => {
            let now = driver.bench.queue.now() + random.below(2000);
            driver.bench.advance(&mut *driver.device, 0, now);
        }
        _ => driver.device.changed(random.below(3) as u32),
    }
    for (queue, lent) in (0..).zip(lent.iter_mut()) {
        while let Some(done) = driver.done(queue) {
            *lent -= 1;
            assert!(done.len as usize <= done.data.len(), "more written than there was room for");
        }
    }
    if driver.is_broken() {
        driver.start(driver.features);
        lent.fill(0);
    }
}

#[test]
fn requests_without_sense_harm_nobody() {
    for (name, make) in DEVICES {
        for seed in 1..40 {
            let split = seed % 2 == 0;
            let mut driver = if split { Driver::split(!0, make) } else { Driver::packed(!0, make) };
            let mut random = Random(seed * 0x9e37_79b9);
            let mut lent = vec![0; driver.queues()];
            for _ in 0..600 {
                step(&mut driver, &mut random, &mut lent);
            }
            let saved = driver.device.save().unwrap();
            driver.device.load(&saved).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(driver.device.save().unwrap(), saved, "{name}");
        }
    }
}
