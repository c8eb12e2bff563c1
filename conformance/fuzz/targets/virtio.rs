//! Any bytes as the rings and buffers of every virtio device, split and packed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tern_core::device::Device;
use tern_core::mem::Size;
use tern_devices::bench::{Bench, RAM};
use tern_devices::catalogue;

/// Registers of virtio-mmio (virtio 1.2, 4.2.2).
const STATUS: u64 = 0x70;
const QUEUE_SEL: u64 = 0x30;

/// Sets a device up with all that it offers of `wanted`, and rings of `size` entries at the start of memory.
fn start(device: &mut dyn Device, wanted: u64, size: u64) -> u64 {
    let mut set = |at, value| device.write(0, at, Size::B4, value);
    set(STATUS, 0);
    set(STATUS, 3);
    for word in 0..2 {
        device.write(0, 0x14, Size::B4, word);
        let offered = device.read(0, 0x10, Size::B4);
        device.write(0, 0x24, Size::B4, word);
        device.write(0, 0x20, Size::B4, offered & wanted >> (32 * word) & 0xffff_ffff);
    }
    device.write(0, STATUS, Size::B4, 11);
    for queue in 0..8 {
        device.write(0, QUEUE_SEL, Size::B4, queue);
        if device.read(0, 0x34, Size::B4) == 0 {
            return queue;
        }
        device.write(0, 0x38, Size::B4, size);
        for (at, area) in [(0x80, 0), (0x90, 0x80), (0xa0, 0xc0)] {
            device.write(0, at, Size::B4, RAM + 0x200 * queue + area);
        }
        device.write(0, 0x44, Size::B4, 1);
    }
    8
}

fuzz_target!(|input: (u8, u64, u8, Vec<u8>)| {
    let (part, wanted, size, memory) = input;
    let parts: Vec<_> = catalogue().filter(|p| p.name.starts_with("virtio-") && p.name.ends_with("-device")).collect();
    let part = parts[usize::from(part) % parts.len()];
    let mut bench = Bench::new();
    let mut device = (part.sample)(&mut bench);
    // Without VERSION_1 no modern device starts.
    let queues = start(&mut *device, wanted | 1 << 32, 1 << (size % 4));
    // Repeated, so that short inputs reach all rings and what those point at.
    let bytes: Vec<u8> = memory.iter().copied().cycle().take(0x2000).collect();
    bench.dma().write(RAM, &bytes).expect("the bench has that much memory");
    for round in 0..3 {
        for queue in 0..queues {
            device.write(0, 0x50, Size::B4, queue);
        }
        let now = bench.queue.now() + 1_000_000 * round;
        bench.advance(&mut *device, 0, now);
        let room = device.room(0).min(1500);
        device.receive(0, &vec![0x55; room]);
    }
    let saved = device.save().expect("states can be encoded");
    device.load(&saved).expect("what was saved is loaded");
});
