//! An x86-like ISA: key words made of prefixes, opcode and ModRM; SIB, displacement and immediates as tail operands.

mod front;
mod operands;
mod rows;

use front::{Intel, cut};
use rows::{ALU, JUMP, MOVE, SSE2, Tr, X86};
use tern_decode::{AsmReason, Assembler, ByteOrder, Code, Dialect, Disassembler, Group, ambiguous, roundtrip};

const GROUPS: [&Group<X86>; 4] = [&ALU, &MOVE, &JUMP, &SSE2];
const PC: u64 = 0x40_1000;

fn assembler() -> Assembler {
    Assembler::new(&GROUPS).order(ByteOrder::Little).dialect(&Intel)
}

/// xorshift64*, seeded.
fn generator(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Encodings at address 0x401000, by the Intel SDM, checked with binutils, that are what the assembler chooses.
const BOTH_WAYS: [(&[u8], &str); 40] = [
    (&[0x01, 0xd8], "add eax, ebx"),
    (&[0x00, 0xdc], "add ah, bl"),
    (&[0x40, 0x00, 0xdc], "add spl, bl"),
    (&[0x44, 0x00, 0xc0], "add al, r8b"),
    (&[0x66, 0x01, 0xd8], "add ax, bx"),
    (&[0x48, 0x01, 0xd8], "add rax, rbx"),
    (&[0x4d, 0x01, 0xe5], "add r13, r12"),
    (&[0x01, 0x18], "add dword ptr [rax], ebx"),
    (&[0x03, 0x18], "add ebx, dword ptr [rax]"),
    (&[0x03, 0x1c, 0x24], "add ebx, dword ptr [rsp]"),
    (&[0x41, 0x03, 0x1c, 0x24], "add ebx, dword ptr [r12]"),
    (&[0x03, 0x5d, 0x00], "add ebx, dword ptr [rbp]"),
    (&[0x41, 0x03, 0x5d, 0x00], "add ebx, dword ptr [r13]"),
    (&[0x03, 0x5d, 0xf8], "add ebx, dword ptr [rbp-0x8]"),
    (&[0x48, 0x03, 0x84, 0xcb, 0x80, 0, 0, 0], "add rax, qword ptr [rbx+rcx*8+0x80]"),
    (&[0x42, 0x03, 0x04, 0x65, 0x10, 0, 0, 0], "add eax, dword ptr [r12*2+0x10]"),
    (&[0x03, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12], "add eax, dword ptr [0x12345678]"),
    (&[0x03, 0x05, 0xfa, 0x0f, 0, 0], "add eax, dword ptr [rip+0x402000]"),
    (&[0x83, 0xc0, 0x7f], "add eax, 0x7f"),
    (&[0x48, 0x83, 0xec, 0x28], "sub rsp, 0x28"),
    (&[0x48, 0x81, 0xec, 0x80, 0, 0, 0], "sub rsp, 0x80"),
    (&[0x66, 0x81, 0xe9, 0x34, 0x12], "sub cx, 0x1234"),
    (&[0x80, 0x28, 0x05], "sub byte ptr [rax], 0x5"),
    (&[0x83, 0x05, 0xf9, 0x0f, 0, 0, 0x01], "add dword ptr [rip+0x402000], 0x1"),
    (&[0x6b, 0xc3, 0x0a], "imul eax, ebx, 0xa"),
    (&[0x69, 0x04, 0x8b, 0xe8, 0x03, 0, 0], "imul eax, dword ptr [rbx+rcx*4], 0x3e8"),
    (&[0x48, 0x89, 0xe5], "mov rbp, rsp"),
    (&[0x8a, 0x45, 0xff], "mov al, byte ptr [rbp-0x1]"),
    (&[0xb8, 0x05, 0, 0, 0], "mov eax, 0x5"),
    (&[0x41, 0xb1, 0x05], "mov r9b, 0x5"),
    (&[0x48, 0xc7, 0xc0, 0x05, 0, 0, 0], "mov rax, 0x5"),
    (&[0x49, 0xba, 8, 7, 6, 5, 4, 3, 2, 1], "movabs r10, 0x102030405060708"),
    (&[0xc7, 0x44, 0x24, 0x04, 0xff, 0xff, 0xff, 0xff], "mov dword ptr [rsp+0x4], -0x1"),
    (&[0x48, 0x8d, 0x3d, 0xf9, 0x0f, 0, 0], "lea rdi, [rip+0x402000]"),
    (&[0x0f, 0xb6, 0xc4], "movzx eax, ah"),
    (&[0x4c, 0x0f, 0xb7, 0x46, 0x02], "movzx r8, word ptr [rsi+0x2]"),
    (&[0x41, 0x57], "push r15"),
    (&[0x74, 0xfe], "je 0x401000"),
    (&[0x0f, 0x85, 0xfa, 0x0f, 0, 0], "jne 0x402000"),
    (&[0xf2, 0x44, 0x0f, 0x58, 0x42, 0x08], "addsd xmm8, qword ptr [rdx+0x8]"),
];

/// Encodings that print, but for which the assembler chooses others.
const ONE_WAY: [(&[u8], &str); 7] = [
    (&[0x03, 0xc3], "add eax, ebx"),
    (&[0x40, 0x01, 0xd8], "add eax, ebx"),
    (&[0x81, 0xc0, 0x01, 0, 0, 0], "add eax, 0x1"),
    (&[0xc7, 0xc0, 0x05, 0, 0, 0], "mov eax, 0x5"),
    (&[0x8b, 0x84, 0x24, 0x04, 0, 0, 0], "mov eax, dword ptr [rsp+0x4]"),
    (&[0xf3, 0x01, 0xd8], "add eax, ebx"),
    (&[0x0f, 0x84, 0x10, 0, 0, 0], "je 0x401016"),
];

#[test]
fn bytes_print_and_assemble_to_themselves() {
    let (assembler, disassembler) = (assembler(), Disassembler::new(&GROUPS));
    for (bytes, text) in BOTH_WAYS {
        let mut longer = bytes.to_vec();
        longer.extend_from_slice(&[0xcc; 4]);
        let code = cut(&longer).unwrap();
        let (shown, row, len) = disassembler.disasm_with(code, PC).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((shown.as_str(), code.lead + len), (text, bytes.len()), "{}", row.id());
        let again = assembler.assemble(text, PC).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(again, bytes, "{text}");
    }
    for (bytes, text) in ONE_WAY {
        let (shown, ..) = disassembler.disasm_with(cut(bytes).unwrap(), PC).unwrap();
        assert_eq!(shown, text);
        let again = assembler.assemble(text, PC).unwrap();
        assert!(again != bytes && again.len() <= bytes.len(), "{text}");
    }
}

#[test]
fn short_tails_are_refused() {
    let disassembler = Disassembler::new(&GROUPS);
    for (bytes, text) in BOTH_WAYS {
        for len in 0..bytes.len() {
            let found = cut(&bytes[..len]).and_then(|code| disassembler.disasm_with(code, PC));
            assert!(found.is_none(), "{text} of {len} bytes");
        }
    }
    let row = disassembler.decoder().decode(cut(&[0x83, 0xc0, 1]).unwrap().word).unwrap();
    assert_eq!(row.disasm(0x83c0, 0).to_string(), "add ?, ?", "without the tail");
}

#[test]
fn every_row_survives_the_round_trip() {
    assert!(ambiguous(&GROUPS).is_empty());
    let failures = roundtrip(&GROUPS, &Intel, 1000, &mut generator(1));
    assert!(failures.is_empty(), "{}", failures.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn random_instructions_survive_the_front_half() {
    let disassembler = Disassembler::new(&GROUPS);
    let mut random = generator(2);
    for &row in disassembler.decoder().rows() {
        for _ in 0..500 {
            let (word, tail) = disassembler.decoder().random_with(row, &mut random).unwrap();
            let bytes = Intel.bytes(word, &tail).unwrap();
            let code = cut(&bytes).unwrap();
            assert_eq!(code.tail, tail, "{}: {bytes:x?}", row.id());
            let lead = bytes.len() - tail.len();
            let direct = row.disasm_with(Code { word, lead, tail: &tail }, PC).unwrap().to_string();
            let (shown, found, len) = disassembler.disasm_with(code, PC).unwrap();
            assert_eq!((shown, found.id(), len), (direct, row.id(), tail.len()));
        }
    }
}

#[test]
fn arbitrary_bytes_and_text_never_panic() {
    let (assembler, disassembler) = (assembler(), Disassembler::new(&GROUPS));
    let mut random = generator(3);
    let mut hits = 0;
    for _ in 0..100_000 {
        let bytes = [random().to_le_bytes(), random().to_le_bytes()].concat();
        if let Some((text, ..)) = cut(&bytes).and_then(|code| disassembler.disasm_with(code, random())) {
            hits += 1;
            let cut_at = random() as usize % (text.len() + 1);
            let _ = assembler.assemble(&text[..cut_at], PC);
        }
    }
    assert!(hits > 1000, "{hits}");
}

#[test]
fn labels_choose_lengths_that_both_passes_agree_on() {
    let source = "back: jne back\n je ahead\n add eax, dword ptr [rip+ahead]\n mov dword ptr [rbx+4], ahead-back\n\
                  add byte ptr [rbx+ahead-back], 1\n ahead: jne back";
    let bytes = assembler().assemble(source, PC).unwrap();
    let expected: &[u8] = &[
        0x75, 0xfe, // back: jne back
        0x0f, 0x84, 0x14, 0, 0, 0, // je ahead, which is not known yet
        0x03, 0x05, 0x0e, 0, 0, 0, // add eax, [rip+ahead]
        0xc7, 0x43, 0x04, 0x1c, 0, 0, 0, // mov dword ptr [rbx+4], 0x1c
        0x80, 0x83, 0x1c, 0, 0, 0, 0x01, // add byte ptr [rbx+0x1c], 1 with 32 bits
        0x75, 0xe2, // jne back
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn wrong_operands_are_refused() {
    let assembler = assembler();
    let reason = |text: &str| assembler.assemble(text, PC).unwrap_err().reason;
    assert!(matches!(reason("add eax, bx"), AsmReason::Forbidden(_)));
    assert!(matches!(reason("add ah, r8b"), AsmReason::Forbidden(_)));
    assert!(matches!(reason("add [rax], 5"), AsmReason::Syntax(_)), "no size");
    assert!(matches!(reason("add eax, 0x100000000"), AsmReason::Range(_)));
    assert!(matches!(reason("lea eax, ebx"), AsmReason::Syntax(_)));
    assert!(matches!(reason("add eax, dword ptr [rax+rsp*2]"), AsmReason::Syntax(_) | AsmReason::Undefined(_)));
    assert!(matches!(reason("jne nowhere"), AsmReason::Undefined(_)));
    assert!(matches!(reason("je 0x123456789000"), AsmReason::Range(_)));
}

#[test]
fn bodies_see_raw_key_bits() {
    let disassembler = Disassembler::new(&GROUPS);
    let mut tr = Tr { log: Vec::new() };
    // add qword ptr [rbp+r9*1-0x8], r8: X = 1, mod = 1, rm = 4.
    let code = cut(&[0x4e, 0x01, 0x44, 0x0d, 0xf8]).unwrap();
    disassembler.decoder().decode(code.word).unwrap().translate(&mut tr, code.word);
    assert_eq!(tr.log, [("add_rm_r", vec![2, 1, 0b100_1100, 8])]);
}
