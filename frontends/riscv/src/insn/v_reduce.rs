//! Vector reductions (V specification, chapter 14).

use super::Rv;
use super::vector::by_vector;
use crate::vector::reduce::{Reduce, ReduceFloat, ReduceFloatWide, ReduceWide};
use tern_decode::insns;

insns! {
    /// Of integers.
    pub static V_REDUCE: Group<Rv>, "v", width 32;
    /// Sum.
    vredsum_vs: "vredsum.vs" "000000 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Sum);
    /// And.
    vredand_vs: "vredand.vs" "000001 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::And);
    /// Or.
    vredor_vs: "vredor.vs" "000010 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Or);
    /// Exclusive or.
    vredxor_vs: "vredxor.vs" "000011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Xor);
    /// Unsigned minimum.
    vredminu_vs: "vredminu.vs" "000100 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Minu);
    /// Signed minimum.
    vredmin_vs: "vredmin.vs" "000101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Min);
    /// Unsigned maximum.
    vredmaxu_vs: "vredmaxu.vs" "000110 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Maxu);
    /// Signed maximum.
    vredmax_vs: "vredmax.vs" "000111 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Reduce::Max);
    /// Unsigned sum, twice as wide.
    vwredsumu_vs: "vwredsumu.vs" "110000 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceWide::Sumu);
    /// Signed sum, twice as wide.
    vwredsum_vs: "vwredsum.vs" "110001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceWide::Sum);
}

insns! {
    /// Of floating-point numbers.
    pub static V_REDUCE_FP: Group<Rv>, "v", width 32;
    /// Sum in any order.
    vfredusum_vs: "vfredusum.vs" "000001 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloat::Sum);
    /// Sum in order.
    vfredosum_vs: "vfredosum.vs" "000011 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloat::Sum);
    /// Minimum.
    vfredmin_vs: "vfredmin.vs" "000101 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloat::Min);
    /// Maximum.
    vfredmax_vs: "vfredmax.vs" "000111 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloat::Max);
    /// Sum in any order, twice as wide.
    vfwredusum_vs: "vfwredusum.vs" "110001 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloatWide::Sum);
    /// Sum in order, twice as wide.
    vfwredosum_vs: "vfwredosum.vs" "110011 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, ReduceFloatWide::Sum);
}
