//! XVentanaCondOps: conditional zero by Ventana's encodings (ventana-custom-extensions 1.0.0).

use super::Rv;
use super::zicond::conditional_zero;
use tern_decode::insns;

insns! {
    /// Conditional operations.
    pub static XVENTANACONDOPS: Group<Rv>, "xventanacondops", width 32;
    /// Zero if the condition is zero.
    vt_maskc: "vt.maskc" "0000000 bbbbb aaaaa 110 ddddd 1111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| conditional_zero(t, d, a, b, true);
    /// Zero if the condition is not zero.
    vt_maskcn: "vt.maskcn" "0000000 bbbbb aaaaa 111 ddddd 1111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| conditional_zero(t, d, a, b, false);
}
