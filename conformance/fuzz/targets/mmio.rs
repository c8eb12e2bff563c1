//! Any accesses to any part of the catalogue, with memory, time, pins and input that are as arbitrary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tern_core::mem::Size;
use tern_devices::bench::{Bench, RAM, RAM_SIZE};
use tern_devices::{Part, catalogue};

/// Takes numbers off the front of the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}

fn run(input: &mut Input<'_>) -> Option<()> {
    let parts: Vec<&Part> = catalogue().collect();
    let part = parts[input.number(1)? as usize % parts.len()];
    let mut bench = Bench::new();
    let mut device = (part.sample)(&mut bench);
    let windows = device.windows();
    let dma = bench.dma();
    loop {
        let what = input.number(1)?;
        let size = Size::from_log2((what >> 3) as u8);
        match what & 7 {
            op @ (0 | 1) if !windows.is_empty() => {
                let n = input.number(1)? as usize % windows.len();
                let offset = input.number(4)? % (windows[n].size + 8);
                if op == 0 {
                    device.read(n as u32, offset, size);
                } else {
                    device.write(n as u32, offset, size, input.number(size.bytes() as usize)?);
                }
            }
            2 => {
                let now = bench.queue.now() + input.number(4)?;
                bench.advance(&mut *device, 0, now);
            }
            3 => device.pin(input.number(2)? as u32, what & 8 != 0),
            4 => {
                let port = input.number(1)? as u32;
                let data: Vec<u8> = (0..device.room(port).min(64)).map(|n| n as u8).collect();
                device.receive(port, &data);
            }
            5 => {
                let at = RAM + input.number(3)? % RAM_SIZE;
                // Beyond the end of memory nothing is stored, which is what the device will find.
                let _ = dma.write(at, &input.number(8)?.to_le_bytes());
            }
            6 => {
                let write = (what & 8 != 0).then_some((input.number(8)?, input.number(8)?));
                device.cpu_register(0, input.number(4)? as u32, write);
            }
            _ => {
                let saved = device.save().expect("states can be encoded");
                device.load(&saved).expect("what was saved is loaded");
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Input(bytes));
});
