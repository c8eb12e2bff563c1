//! Any words as the command line of QEMU: read, never panicking; nothing is made of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::ffi::OsString;
use tern_control::qemu::parse;

fuzz_target!(|bytes: &[u8]| {
    // A word a line.  Names of files are those of an empty directory.
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<OsString> = text.split('\n').filter(|w| !w.contains("/")).map(OsString::from).collect();
    if let Ok(tern_control::qemu::Command::Run(config, run)) = parse("qemu-system-riscv64", &words) {
        // What is taken on can be shown.
        let _ = format!("{config:?} {run:?}");
    }
});
