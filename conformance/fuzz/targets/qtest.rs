//! Any lines of qtest's protocol, on a board whose PCI functions have their windows already.
#![no_main]

mod support {
    pub mod machine;
}

use libfuzzer_sys::fuzz_target;
use support::machine::{VIRT, settle, with};
use tern_control::qtest::execute;
use tern_control::vm::Vm;

/// Configuration space, and where windows are given out: 1 MiB a function.
const ECAM: u64 = 0x3000_0000;
const WINDOWS: u64 = 0x4000_0000;

fn ask(vm: &mut Vm, line: &str) -> u64 {
    let reply = execute(vm, line);
    let value = reply.trim().strip_prefix("OK 0x").and_then(|v| u64::from_str_radix(v, 16).ok());
    value.unwrap_or_else(|| panic!("{line}: {reply}"))
}

fn tell(vm: &mut Vm, line: &str) {
    let reply = execute(vm, line);
    assert_eq!(reply, "OK\n", "{line}");
}

/// Does what firmware does: gives every function its windows and switches it on.
fn assign(vm: &mut Vm) {
    for slot in 0..10 {
        let function = ECAM + (slot << 15);
        let header = ask(vm, &format!("readl {:#x}", function + 0xc)) >> 16 & 0x7f;
        if ask(vm, &format!("readw {function:#x}")) == 0xffff || header != 0 {
            continue;
        }
        let mut at = WINDOWS + (slot << 20);
        let mut bars = (0x10..0x28).step_by(4);
        while let Some(bar) = bars.next() {
            let place = function + bar;
            tell(vm, &format!("writel {place:#x} 0xffffffff"));
            let mask = ask(vm, &format!("readl {place:#x}")) as u32;
            let size = u64::from((!(mask & !0xf)).wrapping_add(1));
            if size != 0 {
                at = at.next_multiple_of(size);
                tell(vm, &format!("writel {place:#x} {at:#x}"));
                at += size;
            }
            // The other half of a wide one stays 0.
            if mask & 7 == 4 {
                bars.next();
            }
        }
        tell(vm, &format!("writew {:#x} 7", function + 4));
    }
}

/// Is it about so few bytes that hundreds of such lines take no time?
fn short(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    match words.as_slice() {
        ["read" | "write" | "b64read" | "b64write" | "memset", _, len] => len.len() <= 6,
        _ => true,
    }
}

fn drive(vm: &mut Vm, text: &str) {
    vm.board.power_on().expect("the machine can be switched on again");
    assign(vm);
    for line in text.split('\n').filter(|line| short(line)) {
        let reply = execute(vm, line);
        assert!(reply.starts_with("OK") || reply.starts_with("FAIL "), "{line}: {reply}");
        let _ = vm.board.machine.take_line_events();
        let _ = settle(vm);
    }
}

fuzz_target!(|bytes: &[u8]| with(VIRT, bytes, |vm| drive(vm, &String::from_utf8_lossy(bytes))));
