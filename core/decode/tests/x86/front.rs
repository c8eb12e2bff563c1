//! The front half: prefixes, opcode and ModRM to the key word, and back. Intel SDM volume 2, chapter 2.

use tern_decode::{Code, Dialect};

/// Longest instruction in bytes.
const MAX_LENGTH: usize = 15;

/// Opcodes with a ModRM byte, a bit each; one-byte map, then `0F` map (SDM volume 2, appendix A).
const MODRM: [[u32; 8]; 2] = [
    [0x0f0f_0f0f, 0x0f0f_0f0f, 0, 0x0000_0a08, 0x0000_ffff, 0, 0xff0f_00c3, 0xc0c0_0000],
    [0xffff_a00f, 0x0000_ff0f, 0xffff_ffff, 0xff7f_ffff, 0xffff_0000, 0xffff_f838, 0xffff_00ff, 0xffff_ffff],
];

fn has_modrm(map: usize, opcode: u8) -> bool {
    let row = usize::from(opcode >> 5);
    MODRM[map][row] >> (opcode & 31) & 1 != 0
}

/// Cuts an instruction; `None` if it is too short, too long or of a map that there are no rows for.
pub(crate) fn cut(bytes: &[u8]) -> Option<Code<'_>> {
    let (mut pp, mut size, mut rex, mut at) = (0, 0, 0, 0);
    loop {
        match *bytes.get(at)? {
            0x66 => {
                size = 1;
                pp = if pp == 0 { 1 } else { pp };
            }
            0xf3 => pp = 2,
            0xf2 => pp = 3,
            _ => break,
        }
        at += 1;
        if at == MAX_LENGTH {
            return None;
        }
    }
    if bytes.get(at)? & 0xf0 == 0x40 {
        rex = u64::from(bytes[at] & 15) | 0x10;
        at += 1;
    }
    if rex & 8 != 0 {
        size = 2;
    }
    let map = usize::from(*bytes.get(at)? == 0x0f);
    at += map;
    let opcode = *bytes.get(at)?;
    at += 1;
    let mut modrm = 0;
    if has_modrm(map, opcode) {
        modrm = *bytes.get(at)?;
        at += 1;
    }
    let prefixes = (map as u64) << 8 | pp << 6 | size << 4 | (rex >> 4) << 3 | (rex & 7);
    let word = prefixes << 16 | u64::from(opcode) << 8 | u64::from(modrm);
    Some(Code { word, lead: at, tail: &bytes[at..] })
}

/// The assembler's half.
#[derive(Debug)]
pub(crate) struct Intel;

impl Dialect for Intel {
    fn bytes(&self, word: u64, tail: &[u8]) -> Option<Vec<u8>> {
        let [modrm, opcode] = [word as u8, (word >> 8) as u8];
        let (map, pp, size, rex) = (word >> 24 & 7, word >> 22 & 3, word >> 20 & 3, word >> 16 & 15);
        let mut bytes = Vec::new();
        if pp == 1 || size == 1 {
            bytes.push(0x66);
        }
        match pp {
            2 => bytes.push(0xf3),
            3 => bytes.push(0xf2),
            _ => {}
        }
        if rex != 0 || size == 2 {
            bytes.push(0x40 | if size == 2 { 8 } else { 0 } | (rex & 7) as u8);
        }
        if map == 1 {
            bytes.push(0x0f);
        }
        bytes.push(opcode);
        if has_modrm(map as usize & 1, opcode) {
            bytes.push(modrm);
        }
        bytes.extend_from_slice(tail);
        Some(bytes)
    }
}
