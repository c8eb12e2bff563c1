//! Decoding, disassembly and bodies over the test ISA.

mod rv;

use rv::{RV_C, RV_I, Rv, Tr};
use tern_decode::Decoder;

fn text(word: u64, pc: u64) -> String {
    let decoder = Decoder::new(&[&RV_I, &RV_C]);
    decoder.decode(word).map_or_else(|| "?".into(), |row| row.disasm(word, pc).to_string())
}

fn call(word: u64) -> (&'static str, Vec<i64>, bool) {
    let decoder = Decoder::<Rv>::new(&[&RV_I, &RV_C]);
    let mut log = Vec::new();
    let end = decoder.decode(word).unwrap().translate(&mut Tr { log: &mut log }, word);
    let (name, values) = log.pop().unwrap();
    (name, values, end)
}

#[test]
fn known_words_print_as_the_manual_says() {
    assert_eq!(text(0x00150513, 0), "addi a0, a0, 1");
    assert_eq!(text(0xfff50513, 0), "addi a0, a0, -1");
    assert_eq!(text(0x00b50863, 0x10068), "beq a0, a1, 0x10078");
    assert_eq!(text(0xfe0008e3, 0x100), "beq zero, zero, 0xf0");
    assert_eq!(text(0x00c0006f, 0x1000), "jal zero, 0x100c");
    assert_eq!(text(0x00852503, 0), "lw a0, 8(a0)");
    assert_eq!(text(0xfea42623, 0), "sw a0, -20(s0)");
    assert_eq!(text(0xdeadb0b7, 0), "lui ra, 0xdeadb");
    assert_eq!(text(0x00301073, 0), "csrrw zero, fcsr, zero");
    assert_eq!(text(0xc0101573, 0), "csrrw a0, time, zero");
    assert_eq!(text(0x34101573, 0), "csrrw a0, 0x341, zero");
    assert_eq!(text(0x06b6252f, 0), "amoadd.w.aqrl a0, a1, (a2)");
    assert_eq!(text(0x00b6252f, 0), "amoadd.w a0, a1, (a2)");
    assert_eq!(text(0x00b51553, 0), "fadd.s a0, a0, a1, rtz");
    assert_eq!(text(0x00b50553, 0), "fadd.s a0, a0, a1, rne");
    assert_eq!(text(0x00b57553, 0), "fadd.s a0, a0, a1");
    assert_eq!(text(0x00b55553, 0), "?", "rounding mode 5 is reserved");
    assert_eq!(text(0x8330000f, 0), "fence.tso");
    assert_eq!(text(0x0330000f, 0), "fence 3, 3");
    assert_eq!(text(0x0505, 0), "c.addi a0, 1");
    assert_eq!(text(0x0001, 0), "c.nop");
    assert_eq!(text(0x7139, 0), "c.addi16sp sp, -64");
    assert_eq!(text(0x8d0d, 0), "c.sub a0, a1");
    assert_eq!(text(0x8082, 0), "c.jr ra");
    assert_eq!(text(0x852e, 0), "c.mv a0, a1");
    assert_eq!(text(0x4532, 0), "c.lwsp a0, 12(sp)");
}

#[test]
fn bodies_see_values_not_bits() {
    assert_eq!(call(0xfe0008e3), ("beq", vec![0, 0, -16], true));
    assert_eq!(call(0x8d0d), ("c.sub", vec![10, 11], false));
    assert_eq!(call(0x7139), ("c.addi16sp", vec![-64], false));
    assert_eq!(call(0xdeadb0b7), ("lui", vec![1, 0xdeadb], false));
    assert_eq!(call(0x0a00_700b | 1 << 25), ("Upper", vec![0, 0, 0, 1], false));
}
