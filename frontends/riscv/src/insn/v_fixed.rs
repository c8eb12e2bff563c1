//! Vector fixed-point arithmetic (V specification, chapter 12).

use super::Rv;
use super::vector::{by_constant, by_vector, by_x};
use crate::vector::int::{Binary, High, Narrow};
use tern_decode::insns;

insns! {
    /// Fixed-point arithmetic.
    pub static V_FIXED: Group<Rv>, "v", width 32;
    /// Saturating unsigned sum.
    vsaddu_vv: "vsaddu.vv" "100000 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Saddu);
    /// Saturating unsigned sum.
    vsaddu_vx: "vsaddu.vx" "100000 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Saddu, a);
    /// Saturating unsigned sum.
    vsaddu_vi: "vsaddu.vi" "100000 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Saddu, i);
    /// Saturating signed sum.
    vsadd_vv: "vsadd.vv" "100001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sadd);
    /// Saturating signed sum.
    vsadd_vx: "vsadd.vx" "100001 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Sadd, a);
    /// Saturating signed sum.
    vsadd_vi: "vsadd.vi" "100001 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Sadd, i);
    /// Saturating unsigned difference.
    vssubu_vv: "vssubu.vv" "100010 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Ssubu);
    /// Saturating unsigned difference.
    vssubu_vx: "vssubu.vx" "100010 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Ssubu, a);
    /// Saturating signed difference.
    vssub_vv: "vssub.vv" "100011 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Ssub);
    /// Saturating signed difference.
    vssub_vx: "vssub.vx" "100011 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Ssub, a);
    /// Rounding logical shift right.
    vssrl_vv: "vssrl.vv" "101010 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Ssrl);
    /// Rounding logical shift right.
    vssrl_vx: "vssrl.vx" "101010 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Ssrl, a);
    /// Rounding logical shift right.
    vssrl_vi: "vssrl.vi" "101010 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Ssrl, i);
    /// Rounding arithmetic shift right.
    vssra_vv: "vssra.vv" "101011 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Ssra);
    /// Rounding arithmetic shift right.
    vssra_vx: "vssra.vx" "101011 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Ssra, a);
    /// Rounding arithmetic shift right.
    vssra_vi: "vssra.vi" "101011 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Ssra, i);
    /// Unsigned average.
    vaaddu_vv: "vaaddu.vv" "001000 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Aaddu);
    /// Unsigned average.
    vaaddu_vx: "vaaddu.vx" "001000 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Aaddu, a);
    /// Signed average.
    vaadd_vv: "vaadd.vv" "001001 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Aadd);
    /// Signed average.
    vaadd_vx: "vaadd.vx" "001001 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Aadd, a);
    /// Half of the unsigned difference.
    vasubu_vv: "vasubu.vv" "001010 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Asubu);
    /// Half of the unsigned difference.
    vasubu_vx: "vasubu.vx" "001010 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Asubu, a);
    /// Half of the signed difference.
    vasub_vv: "vasub.vv" "001011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Asub);
    /// Half of the signed difference.
    vasub_vx: "vasub.vx" "001011 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Asub, a);
    /// Fractional product, rounded and saturated.
    vsmul_vv: "vsmul.vv" "100111 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, High::Smul);
    /// Fractional product, rounded and saturated.
    vsmul_vx: "vsmul.vx" "100111 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, High::Smul, a);
    /// Unsigned, rounded and saturated.
    vnclipu_wv: "vnclipu.wv" "101110 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Narrow::Clipu);
    /// Unsigned, rounded and saturated.
    vnclipu_wx: "vnclipu.wx" "101110 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Narrow::Clipu, a);
    /// Unsigned, rounded and saturated.
    vnclipu_wi: "vnclipu.wi" "101110 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Narrow::Clipu, i);
    /// Signed, rounded and saturated.
    vnclip_wv: "vnclip.wv" "101111 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Narrow::Clip);
    /// Signed, rounded and saturated.
    vnclip_wx: "vnclip.wx" "101111 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Narrow::Clip, a);
    /// Signed, rounded and saturated.
    vnclip_wi: "vnclip.wi" "101111 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Narrow::Clip, i);
}
