//! Any bytes as a flattened device tree: what is accepted can be written, read again, and shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tern_board::fdt::Tree;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::parse(bytes) else { return };
    let _ = tree.text();
    assert_eq!(Tree::parse(&tree.blob()), Ok(tree));
});
