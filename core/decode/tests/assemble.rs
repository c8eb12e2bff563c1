//! The assembler over the test ISA.

mod rv;

use rv::{RV_C, RV_I};
use std::collections::BTreeMap;
use tern_decode::{Argument, AsmReason, Assembler, ByteOrder, Dialect, Disassembler, RangeError};

/// The parts of RISC-V's assembly that rows do not say.
struct RvDialect;

impl Dialect for RvDialect {
    fn function(&self, name: &str, argument: Argument) -> Option<i64> {
        let low = |v: i64| v << 52 >> 52;
        let high = |v: i64| (v.wrapping_add(0x800) >> 12) & 0xfffff;
        let distance = argument.value.wrapping_sub(argument.pc.cast_signed());
        match name {
            "hi" => Some(high(argument.value)),
            "lo" => Some(low(argument.value)),
            "pcrel_hi" => Some(high(distance)),
            "pcrel_lo" => argument.earlier.map(|target| low(target.wrapping_sub(argument.value))),
            _ => None,
        }
    }

    fn expand(&self, mnemonic: &str, operands: &[&str], value: &dyn Fn(&str) -> Option<i64>) -> Option<Vec<String>> {
        let &[d, i] = operands else { return None };
        let wide = value(i).filter(|v| mnemonic == "li" && !(-2048..2048).contains(v))?;
        let high = (wide.wrapping_add(0x800) >> 12) & 0xfffff;
        Some(vec![format!("lui {d}, {high}"), format!("addi {d}, {d}, {}", wide << 52 >> 52)])
    }
}

fn assembler() -> Assembler {
    Assembler::new(&[&RV_I, &RV_C]).dialect(&RvDialect)
}

fn words(source: &str, base: u64) -> Vec<u32> {
    let bytes = assembler().assemble(source, base).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(bytes.len() % 4, 0);
    bytes.chunks(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect()
}

fn error(source: &str) -> String {
    assembler().assemble(source, 0).unwrap_err().to_string()
}

#[test]
fn instructions_assemble_to_the_manuals_words() {
    assert_eq!(words("addi a0, a0, 1", 0), [0x00150513]);
    assert_eq!(words("addi x10,x10,-1 # down", 0), [0xfff50513]);
    assert_eq!(words("beq a0, a1, 0x10078", 0x10068), [0x00b50863]);
    assert_eq!(words("lw a0, 8(a0); lw a0, (a0)", 0), [0x00852503, 0x00052503]);
    assert_eq!(words("sw a0, -20(s0) // store", 0), [0xfea42623]);
    assert_eq!(words("csrrw zero, fcsr, zero", 0), [0x00301073]);
    assert_eq!(words("csrrw a0, 0x341, zero", 0), [0x34101573]);
    assert_eq!(words("amoadd.w.aqrl a0, a1, (a2)", 0), [0x06b6252f]);
    assert_eq!(words("fadd.s a0, a0, a1, rtz", 0), [0x00b51553]);
    assert_eq!(words("fadd.s a0, a0, a1", 0), [0x00b57553]);
    assert_eq!(words("fence.tso", 0), [0x8330000f]);
    assert_eq!(words("align a0, 4", 0), [0x0600_7000 | 2 << 15 | 10 << 7 | 0b000_1011]);
    assert_eq!(assembler().assemble("c.addi a0, 1\nc.jr ra", 0).unwrap(), [0x05, 0x05, 0x82, 0x80]);
}

#[test]
fn labels_reach_both_ways() {
    let loop_words = words("start: addi a0, a0, -1\n beq a0, zero, done\n j start\ndone: ret", 0x1000);
    assert_eq!(loop_words, [0xfff50513, 0x00050463, 0xff9ff06f, 0x00008067]);
    assert_eq!(words("1: j 1f\n1: j 1b\n j 1b", 0), [0x0040006f, 0x0000006f, 0xffdff06f]);
}

#[test]
fn functions_and_expansions() {
    assert_eq!(words("lui a0, %hi(0x12345fff)\naddi a0, a0, %lo(0x12345fff)", 0), [0x12346537, 0xfff50513]);
    assert_eq!(words("li a0, 5", 0), [0x00500513]);
    assert_eq!(words("li a0, 0x12345678", 0), [0x12345537, 0x67850513]);
    assert_eq!(words("la a0, data\n nop\ndata: .word 7", 0x2000), [0x00000517, 0x00c50513, 0x13, 7]);
    assert_eq!(words("bgt a0, a1, .", 0), [0x00a5c063]);
}

#[test]
fn directives_lay_out_data() {
    let source = "
        .equ SIZE, 3 << 2 | 1
        .globl start
        .byte 1, -1, 'A', '\\n'
        .half 0xffff
        .align 3
        .dword -2, end - . // the dot is the address of the datum
        .ascii \"a;b#\\\"\"; .asciz \"\", \"c\"
        .set SIZE, SIZE - 12
        .zero SIZE * 2 + (~0 & 1)
        .org 0x30
        end: .word SIZE, end";
    let bytes = assembler().assemble(source, 0).unwrap();
    let mut expected = vec![1, 0xff, b'A', b'\n', 0xff, 0xff, 0, 0];
    expected.extend((-2i64).to_le_bytes());
    expected.extend(0x20i64.to_le_bytes());
    expected.extend(b"a;b#\"\0c\0");
    expected.extend([0; 16]);
    expected.extend([1, 0, 0, 0, 0x30, 0, 0, 0]);
    assert_eq!(bytes, expected);
}

#[test]
fn byte_orders() {
    let big = Assembler::new(&[&RV_I]).order(ByteOrder::Big).assemble("addi a0, a0, 1\n.half 0x1234", 0).unwrap();
    assert_eq!(big, [0x00, 0x15, 0x05, 0x13, 0x12, 0x34]);
    let parcels = Assembler::new(&[&RV_I]).order(ByteOrder::LittleParcels).assemble("addi a0, a0, 1", 0).unwrap();
    assert_eq!(parcels, [0x15, 0x00, 0x13, 0x05]);
}

#[test]
fn predefined_symbols_and_images() {
    let symbols = BTreeMap::from([(String::from("target"), 0x20)]);
    assert_eq!(assembler().assemble_line("j target", 0x10, &symbols).unwrap(), 0x0100006fu32.to_le_bytes());
    let image = assembler().assemble_image("a: nop\nb:", 0x100, &symbols).unwrap();
    assert_eq!((image.symbols["a"], image.symbols["b"], image.symbols["target"]), (0x100, 0x104, 0x20));
}

#[test]
fn errors_name_line_and_reason() {
    assert_eq!(error("nop\naddi a0, a0, 5000"), "line 2: immediate 5000 does not fit signed 12");
    assert_eq!(error("beq a0, a1, 3"), "line 1: immediate 3 does not fit signed 13, a multiple of 2");
    assert_eq!(error("beq a0, a1, 0x2000"), "line 1: immediate 8192 does not fit signed 13, a multiple of 2");
    assert_eq!(error("bogus a0"), "line 1: unknown mnemonic `bogus`");
    assert_eq!(error("addi a0, a0"), "line 1: the operands do not have the form `addi {d:x}, {a:x}, {i:simm}`");
    assert_eq!(error("add a0, a0, q9"), "line 1: the operands do not have the form `add {d:x}, {a:x}, {b:x}`");
    assert_eq!(error("c.addi zero, 1"), "line 1: `c.addi {d:x}, {i:cimm}` does not allow these operands");
    assert_eq!(error("pair sp, a0, a0"), "line 1: `pair {d:x}, {a:x}, {b:x}` does not allow these operands");
    assert_eq!(error("j nowhere"), "line 1: `nowhere` is not defined");
    assert_eq!(error("j 1f"), "line 1: `1f` is not defined");
    assert_eq!(error("a: nop\na: nop"), "line 2: label `a` is defined twice");
    assert_eq!(error(".byte 256"), "line 1: 256 does not fit the directive's size");
    assert_eq!(error(".bogus"), "line 1: unknown directive `.bogus`");
    assert_eq!(error("addi a0, a0, 1 +"), "line 1: malformed: `1+`");
    assert_eq!(error(".word 1 / 0"), "line 1: malformed: `1 / 0`");
    assert_eq!(error(".ascii \"a"), "line 1: malformed: `\"a`");
    assert_eq!(error(".org 8\n.org 4"), "line 2: the output would be too large or go backwards");
    assert_eq!(error(".zero 1 << 40"), "line 1: the output would be too large or go backwards");
    assert_eq!(error(&format!(".word {}1", "-".repeat(100))), "line 1: too deeply nested or too long");
    assert_eq!(error(&format!(".word {}1", "(".repeat(100))), "line 1: too deeply nested or too long");
    assert_eq!(error("addi a0, a0, %nope(1)"), "line 1: `%nope` is not defined");
    assert_eq!(
        assembler().instruction("addi a0, a0, -2049", 0).unwrap_err(),
        AsmReason::Range(RangeError { value: -2049, signed: true, bits: 12, multiple: 1 })
    );
}

#[test]
fn the_disassembler_prefers_pseudo_instructions() {
    let disassembler = Disassembler::new(&[&RV_I, &RV_C]);
    let text = |word| disassembler.disasm(word, 0x100).unwrap().0;
    assert_eq!(text(0x00000013), "nop");
    assert_eq!(text(0x00500513), "li a0, 5");
    assert_eq!(text(0x00058513), "mv a0, a1");
    assert_eq!(text(0x00158513), "addi a0, a1, 1");
    assert_eq!(text(0x00008067), "ret");
    assert_eq!(text(0x0000006f), "j 0x100");
    assert_eq!(text(0x00b5c063), "blt a1, a1, 0x100", "`bgt` is for the assembler only");
    assert!(disassembler.disasm(0, 0).is_none());
}

#[test]
fn addresses_wrap_at_their_width() {
    let narrow = Disassembler::new(&[&RV_I]).address_bits(32);
    assert_eq!(narrow.disasm(0xff1ff06f, 0).unwrap().0, "j 0xfffffff0");
    assert_eq!(Disassembler::new(&[&RV_I]).disasm(0xff1ff06f, 0).unwrap().0, "j 0xfffffffffffffff0");
    assert!(assembler().instruction("j 0xfffffff0", 0).is_err());
    let narrow = assembler().address_bits(32);
    assert_eq!(narrow.instruction("j 0xfffffff0", 0).unwrap().0, 0xff1ff06f);
    assert_eq!(narrow.instruction("j 0x10", 0xffff_fff0).unwrap().0, 0x0200006f);
}
