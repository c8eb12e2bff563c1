//! Vector configuration (V specification, chapter 6).

use super::Rv;
use super::vector::{configure, configure_by_register};
use crate::translate::{Tr, X};
use crate::vector::config::Config;
use tern_decode::insns;

/// `vtype` of width code, group code, tail and mask policy.
fn vtype(t: &mut Tr<'_>, s: i64, l: i64, ta: i64, ma: i64) -> X {
    t.b.sconst(s << 3 | l | ta << 6 | ma << 7)
}

insns! {
    /// Configuration.
    pub static V_CONFIG: Group<Rv>, "v", width 32;
    /// Length from a register.
    vsetvli "0 000 q p sss lll aaaaa 111 ddddd 1010111" asm "{d:x}, {a:x}, {s:vsew}, {l:vlmul}, {p:vta}, {q:vma}"
        => |t, d, a, s, l, p, q| { let v = vtype(t, s, l, p, q); configure_by_register(t, d, a, v) };
    /// Length from a register; a type without a name.
    vsetvli_raw: "vsetvli" "0 vvvvvvvvvvv aaaaa 111 ddddd 1010111" asm "{d:x}, {a:x}, {v:vtypei}"
        => |t, d, a, v| { let v = t.b.sconst(v); configure_by_register(t, d, a, v) };
    /// Constant length.
    vsetivli "1100 q p sss lll iiiii 111 ddddd 1010111" asm "{d:x}, {i:vuimm}, {s:vsew}, {l:vlmul}, {p:vta}, {q:vma}"
        => |t, d, i, s, l, p, q| { let (v, i) = (vtype(t, s, l, p, q), t.b.sconst(i)); configure(t, d, Config::Set, i, v) };
    /// Constant length; a type without a name.
    vsetivli_raw: "vsetivli" "11 vvvvvvvvvv iiiii 111 ddddd 1010111" asm "{d:x}, {i:vuimm}, {v:vtypei10}"
        => |t, d, i, v| { let (v, i) = (t.b.sconst(v), t.b.sconst(i)); configure(t, d, Config::Set, i, v) };
    /// Length and type from registers.
    vsetvl "1000000 bbbbb aaaaa 111 ddddd 1010111" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| { let v = t.x(b); configure_by_register(t, d, a, v) };
}
