//! The contract that every part of the catalogue keeps (DESIGN section 6), and every model.
#![forbid(unsafe_code)]

use tern_core::device::Device;
use tern_core::mem::Size;
use tern_devices::bench::Bench;
use tern_devices::model::{Build, Type, types};
use tern_devices::{Part, catalogue};

const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];

/// A small generator of test data (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Something that can be made on a bench.
enum Sample {
    Part(&'static Part),
    Type(Type),
}

impl Sample {
    fn name(&self) -> &'static str {
        match self {
            Sample::Part(part) => part.name,
            Sample::Type(t) => t.name(),
        }
    }

    /// Is it made on the bus of another device?
    fn is_child(&self) -> bool {
        matches!(self, Sample::Type(t) if matches!(t.model.build, Build::Child(..)))
    }
}

/// Every part and every type of device.
fn all() -> impl Iterator<Item = Sample> {
    catalogue().map(Sample::Part).chain(types().map(Sample::Type))
}

fn sample(part: &Sample) -> (Bench, Box<dyn Device>) {
    let mut bench = Bench::new();
    let device = match part {
        Sample::Part(part) => (part.sample)(&mut bench),
        Sample::Type(t) => t.sample(&mut bench),
    };
    (bench, device)
}

/// Random accesses, most of them near registers that exist; returns what was read.
fn poke(device: &mut dyn Device, bench: &mut Bench, random: &mut Random, steps: usize) -> Vec<u64> {
    let windows = device.windows();
    let mut seen = Vec::new();
    for _ in 0..steps {
        let Some(n) = (random.next() as usize).checked_rem(windows.len()) else { break };
        let reach = [64, 0x1000, windows[n].size][random.next() as usize % 3].min(windows[n].size).max(1);
        let size = SIZES[random.next() as usize % 4];
        let aligned = if random.next().is_multiple_of(8) { u64::MAX } else { !(size.bytes() - 1) };
        let offset = (random.next() % reach) & aligned;
        match random.next() % 10 {
            0..3 => seen.push(device.read(n as u32, offset, size)),
            3..6 => device.write(n as u32, offset, size, random.next() >> (random.next() % 64)),
            6 => {
                let now = bench.queue.now() + random.next() % 1_000_000;
                bench.advance(device, 0, now);
            }
            7 => device.pin(random.next() as u32 % 128, random.next().is_multiple_of(2)),
            8 => {
                // A CPU register that there may be: any privilege, any number.
                let (privilege, base) = ((random.next() % 0x20) << 16, 0x1000 << (random.next() % 2));
                let register = (privilege | base | (random.next() % 0x101)) as u32;
                let write = random.next().is_multiple_of(2).then(|| (random.next(), random.next()));
                seen.extend(device.cpu_register(random.next() as u32 % 4, register, write));
            }
            _ => {
                let port = random.next() as u32 % 2;
                let data: Vec<u8> = (0..device.room(port).min(32)).map(|_| random.next() as u8).collect();
                device.receive(port, &data);
            }
        }
    }
    seen
}

#[test]
fn reset_equals_new() {
    for part in &all().collect::<Vec<_>>() {
        let (mut bench, mut device) = sample(part);
        let new = device.save().unwrap();
        poke(&mut *device, &mut bench, &mut Random(1), 2000);
        device.reset();
        assert_eq!(device.save().unwrap(), new, "{}", part.name());
        if !part.is_child() {
            assert_eq!(device.kind(), part.name());
        }
    }
}

#[test]
fn what_is_saved_is_loaded_and_goes_on_alike() {
    for part in &all().collect::<Vec<_>>() {
        for seed in 1..20 {
            let (mut bench, mut device) = sample(part);
            poke(&mut *device, &mut bench, &mut Random(seed), 500);
            let saved = device.save().unwrap();
            let queue = bench.queue.save().unwrap();
            let (mut other_bench, mut other) = sample(part);
            other.load(&saved).unwrap_or_else(|e| panic!("{}: {e}", part.name()));
            other_bench.queue.load(&queue).unwrap();
            other_bench.wires.load(&bench.wires.save().unwrap()).unwrap();
            assert_eq!(other.save().unwrap(), saved, "{}", part.name());
            let in_memory = ["virtio", "fw_cfg", "flash", "nvme", "ivshmem"];
            if device.windows().iter().any(|w| in_memory.iter().any(|name| w.name.contains(name))) {
                // What these do next depends on memory too.
                continue;
            }
            let ahead = |d: &mut dyn Device, b: &mut Bench| poke(d, b, &mut Random(seed + 1000), 200);
            assert_eq!(ahead(&mut *device, &mut bench), ahead(&mut *other, &mut other_bench), "{}", part.name());
            assert_eq!(device.save().unwrap(), other.save().unwrap(), "{}", part.name());
        }
    }
}

#[test]
fn damaged_states_are_refused_or_harmless() {
    for part in &all().collect::<Vec<_>>() {
        let (mut bench, mut device) = sample(part);
        poke(&mut *device, &mut bench, &mut Random(7), 300);
        let saved = device.save().unwrap();
        for n in 0..saved.len() {
            assert!(device.load(&saved[..n]).is_err(), "{}: {n} of {} bytes", part.name(), saved.len());
        }
        let mut random = Random(3);
        for _ in 0..300 {
            let mut bytes = saved.clone();
            let at = random.next() as usize % bytes.len();
            bytes[at] ^= 1 << (random.next() % 8);
            if device.load(&bytes).is_ok() {
                poke(&mut *device, &mut bench, &mut random, 50);
                device.reset();
            }
        }
    }
}

#[test]
fn accesses_off_the_map_are_counted_and_change_nothing() {
    for part in &all().collect::<Vec<_>>() {
        let (bench, mut device) = sample(part);
        let new = device.save().unwrap();
        for (n, window) in device.windows().iter().enumerate() {
            let before = bench.guest_errors();
            for size in SIZES {
                let outside = window.size;
                assert_eq!(device.read(n as u32, outside, size), 0, "{} {}", part.name(), window.name);
                device.write(n as u32, outside, size, u64::MAX);
            }
            assert_eq!(bench.guest_errors(), before + 8, "{} {}", part.name(), window.name);
        }
        assert_eq!(device.save().unwrap(), new, "{}", part.name());
    }
}

#[test]
fn random_access_finishes() {
    for part in &all().collect::<Vec<_>>() {
        for seed in 100..140 {
            let (mut bench, mut device) = sample(part);
            poke(&mut *device, &mut bench, &mut Random(seed), 1000);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = all().map(|p| p.name()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
