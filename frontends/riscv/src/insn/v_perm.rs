//! Vector permutations (V specification, chapter 16).

use super::Rv;
use super::vector::{by_constant, by_f, by_vector, by_x, to_f, to_x};
use crate::vector::perm::{Permute, PermuteFloat};
use tern_decode::insns;

insns! {
    /// Of any elements.
    pub static V_PERM: Group<Rv>, "v", width 32;
    /// To higher indices.
    vslideup_vx: "vslideup.vx" "001110 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Permute::SlideUp, a);
    /// To higher indices.
    vslideup_vi: "vslideup.vi" "001110 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Permute::SlideUp, i);
    /// To lower indices.
    vslidedown_vx: "vslidedown.vx" "001111 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Permute::SlideDown, a);
    /// To lower indices.
    vslidedown_vi: "vslidedown.vi" "001111 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Permute::SlideDown, i);
    /// To the next index, a register to index 0.
    vslide1up_vx: "vslide1up.vx" "001110 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Permute::Slide1Up, a);
    /// To the previous index, a register to the last.
    vslide1down_vx: "vslide1down.vx" "001111 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Permute::Slide1Down, a);
    /// Elements by index.
    vrgather_vv: "vrgather.vv" "001100 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Permute::Gather);
    /// Elements by index.
    vrgather_vx: "vrgather.vx" "001100 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Permute::Gather, a);
    /// Elements by index.
    vrgather_vi: "vrgather.vi" "001100 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Permute::Gather, i);
    /// Elements by 16-bit index.
    vrgatherei16_vv: "vrgatherei16.vv" "001110 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Permute::Gather16);
    /// The elements that a mask selects, packed.
    vcompress_vm: "vcompress.vm" "010111 1 bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Permute::Compress);
    /// Copy of 1 register.
    vmv1r_v: "vmv1r.v" "100111 1 bbbbb 00000 011 ddddd 1010111" asm "{d:v}, {b:v}"
        => |t| by_constant(t, Permute::WholeMove, 1);
    /// Copy of 2 registers.
    vmv2r_v: "vmv2r.v" "100111 1 bbbbb 00001 011 ddddd 1010111" asm "{d:v}, {b:v}"
        => |t| by_constant(t, Permute::WholeMove, 2);
    /// Copy of 4 registers.
    vmv4r_v: "vmv4r.v" "100111 1 bbbbb 00011 011 ddddd 1010111" asm "{d:v}, {b:v}"
        => |t| by_constant(t, Permute::WholeMove, 4);
    /// Copy of 8 registers.
    vmv8r_v: "vmv8r.v" "100111 1 bbbbb 00111 011 ddddd 1010111" asm "{d:v}, {b:v}"
        => |t| by_constant(t, Permute::WholeMove, 8);
    /// Element 0, sign-extended.
    vmv_x_s: "vmv.x.s" "010000 1 bbbbb 00000 010 ddddd 1010111" asm "{d:x}, {b:v}" => |t, d| to_x(t, Permute::ToX, d);
    /// To element 0.
    vmv_s_x: "vmv.s.x" "010000 1 00000 aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}" => |t, a| by_x(t, Permute::FromX, a);
}

insns! {
    /// With floating-point registers.
    pub static V_PERM_FP: Group<Rv>, "v", width 32;
    /// To the next index, a register to index 0.
    vfslide1up_vf: "vfslide1up.vf" "001110 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, PermuteFloat::Slide1Up, a);
    /// To the previous index, a register to the last.
    vfslide1down_vf: "vfslide1down.vf" "001111 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, PermuteFloat::Slide1Down, a);
    /// A register where the mask is set.
    vfmerge_vfm: "vfmerge.vfm" "010111 0 bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}, v0"
        => |t, a| by_f(t, PermuteFloat::Merge, a);
    /// Copies of a register.
    vfmv_v_f: "vfmv.v.f" "010111 1 00000 aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}"
        => |t, a| by_f(t, PermuteFloat::Splat, a);
    /// Element 0.
    vfmv_f_s: "vfmv.f.s" "010000 1 bbbbb 00000 001 ddddd 1010111" asm "{d:f}, {b:v}"
        => |t, d| to_f(t, PermuteFloat::ToF, d);
    /// To element 0.
    vfmv_s_f: "vfmv.s.f" "010000 1 00000 aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}"
        => |t, a| by_f(t, PermuteFloat::FromF, a);
}
