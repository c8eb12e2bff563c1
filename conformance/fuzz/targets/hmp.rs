//! Any keys typed into the monitor for people: edited, completed, run on an empty machine and on a board.
#![no_main]

mod support {
    pub mod machine;
}

use libfuzzer_sys::fuzz_target;
use support::machine::{NONE, VIRT, harmless_line, settle, with};
use tern_control::hmp;
use tern_control::hmp::editor::{Editor, Typed};
use tern_control::vm::Vm;

fn type_in(vm: &mut Vm, keys: &[u8]) {
    let mut editor = Editor::default();
    for key in keys.iter().chain(b"\n") {
        let mut echo = Vec::new();
        match editor.key(*key, &mut echo) {
            Typed::Nothing => {}
            Typed::Line(line) if harmless_line(&line) => {
                let _ = hmp::run(vm, &line);
                let _ = settle(vm);
            }
            Typed::Line(_) => {}
            Typed::Complete => {
                let names = hmp::complete(vm, editor.before_cursor());
                editor.complete(&names, "(qemu) ", &mut echo);
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, keys)) = bytes.split_first() else { return };
    with(if kind & 1 == 0 { VIRT } else { NONE }, bytes, |vm| type_in(vm, keys));
});
