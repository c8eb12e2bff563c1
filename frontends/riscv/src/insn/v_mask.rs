//! Vector mask instructions (V specification, chapter 15).

use super::Rv;
use super::vector::{by_vector, to_x};
use crate::vector::mask::{Bits, Logic};
use tern_decode::insns;

insns! {
    /// Masks.
    pub static V_MASK: Group<Rv>, "v", width 32;
    /// `b & !a`.
    vmandn_mm: "vmandn.mm" "011000 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Andn);
    /// And.
    vmand_mm: "vmand.mm" "011001 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::And);
    /// Or.
    vmor_mm: "vmor.mm" "011010 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Or);
    /// Exclusive or.
    vmxor_mm: "vmxor.mm" "011011 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Xor);
    /// `b | !a`.
    vmorn_mm: "vmorn.mm" "011100 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Orn);
    /// Not and.
    vmnand_mm: "vmnand.mm" "011101 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Nand);
    /// Not or.
    vmnor_mm: "vmnor.mm" "011110 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Nor);
    /// Not exclusive or.
    vmxnor_mm: "vmxnor.mm" "011111 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Logic::Xnor);
    /// Number of set bits.
    vcpop_m: "vcpop.m" "010000 m bbbbb 10000 010 ddddd 1010111" asm "{d:x}, {b:v}{m:vm}"
        => |t, d| to_x(t, Bits::Cpop, d);
    /// Index of the first set bit, or -1.
    vfirst_m: "vfirst.m" "010000 m bbbbb 10001 010 ddddd 1010111" asm "{d:x}, {b:v}{m:vm}"
        => |t, d| to_x(t, Bits::First, d);
    /// Set before the first set bit.
    vmsbf_m: "vmsbf.m" "010100 m bbbbb 00001 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Bits::SetBefore);
    /// Set only at the first set bit.
    vmsof_m: "vmsof.m" "010100 m bbbbb 00010 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Bits::SetOnly);
    /// Set up to the first set bit.
    vmsif_m: "vmsif.m" "010100 m bbbbb 00011 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Bits::SetIncluding);
    /// Number of set bits before each.
    viota_m: "viota.m" "010100 m bbbbb 10000 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Bits::Iota);
    /// Indices.
    vid_v: "vid.v" "010100 m 00000 10001 010 ddddd 1010111" asm "{d:v}{m:vm}" => |t| by_vector(t, Bits::Id);

    vmmv_m: "vmmv.m" "{d}, {a}" -> "vmand.mm {d}, {a}, {a}";
    vmclr_m: "vmclr.m" "{d}" -> "vmxor.mm {d}, {d}, {d}";
    vmset_m: "vmset.m" "{d}" -> "vmxnor.mm {d}, {d}, {d}";
    vmnot_m: "vmnot.m" "{d}, {a}" -> "vmnand.mm {d}, {a}, {a}";
}
