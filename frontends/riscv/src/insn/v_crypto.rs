//! Vector cryptography: Zvkg, Zvkned, Zvknha, Zvknhb, Zvksed, Zvksh (vector cryptography manual, chapter
//! "Instructions").

use super::Rv;
use super::vector::{by_constant, by_vector};
use crate::vector::crypto::Crypto;
use tern_decode::insns;

insns! {
    /// GHASH.
    pub static ZVKG: Group<Rv>, "zvkg", width 32;
    /// Adds a block and multiplies.
    vghsh_vv: "vghsh.vv" "101100 1 bbbbb aaaaa 010 ddddd 1110111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Crypto::Ghash);
    /// Multiplies.
    vgmul_vv: "vgmul.vv" "101000 1 bbbbb 10001 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::GhashProduct);
}

insns! {
    /// AES: a key for each block, or (`.vs`) one for all.
    pub static ZVKNED: Group<Rv>, "zvkned", width 32;
    /// Middle round of decryption.
    vaesdm_vv: "vaesdm.vv" "101000 1 bbbbb 00000 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesDecryptMiddle);
    /// Middle round of decryption.
    vaesdm_vs: "vaesdm.vs" "101001 1 bbbbb 00000 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesDecryptMiddleOne);
    /// Final round of decryption.
    vaesdf_vv: "vaesdf.vv" "101000 1 bbbbb 00001 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesDecryptLast);
    /// Final round of decryption.
    vaesdf_vs: "vaesdf.vs" "101001 1 bbbbb 00001 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesDecryptLastOne);
    /// Middle round of encryption.
    vaesem_vv: "vaesem.vv" "101000 1 bbbbb 00010 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesEncryptMiddle);
    /// Middle round of encryption.
    vaesem_vs: "vaesem.vs" "101001 1 bbbbb 00010 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesEncryptMiddleOne);
    /// Final round of encryption.
    vaesef_vv: "vaesef.vv" "101000 1 bbbbb 00011 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesEncryptLast);
    /// Final round of encryption.
    vaesef_vs: "vaesef.vs" "101001 1 bbbbb 00011 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesEncryptLastOne);
    /// What comes before the first round, both ways.
    vaesz_vs: "vaesz.vs" "101001 1 bbbbb 00111 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::AesFirstOne);
    /// Next round key of AES-128.
    vaeskf1_vi: "vaeskf1.vi" "100010 1 bbbbb iiiii 010 ddddd 1110111" asm "{d:v}, {b:v}, {i:vuimm}"
        => |t, i| by_constant(t, Crypto::Aes128Key, i);
    /// Next round key of AES-256.
    vaeskf2_vi: "vaeskf2.vi" "101010 1 bbbbb iiiii 010 ddddd 1110111" asm "{d:v}, {b:v}, {i:vuimm}"
        => |t, i| by_constant(t, Crypto::Aes256Key, i);
}

insns! {
    /// SHA-256, and SHA-512 in Zvknhb.
    pub static ZVKNH: Group<Rv>, "zvknha|zvknhb", width 32;
    /// Message schedule.
    vsha2ms_vv: "vsha2ms.vv" "101101 1 bbbbb aaaaa 010 ddddd 1110111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Crypto::Sha2Schedule);
    /// Two rounds with the upper words of the schedule.
    vsha2ch_vv: "vsha2ch.vv" "101110 1 bbbbb aaaaa 010 ddddd 1110111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Crypto::Sha2High);
    /// Two rounds with the lower words of the schedule.
    vsha2cl_vv: "vsha2cl.vv" "101111 1 bbbbb aaaaa 010 ddddd 1110111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Crypto::Sha2Low);
}

insns! {
    /// SM4.
    pub static ZVKSED: Group<Rv>, "zvksed", width 32;
    /// Four round keys.
    vsm4k_vi: "vsm4k.vi" "100001 1 bbbbb iiiii 010 ddddd 1110111" asm "{d:v}, {b:v}, {i:vuimm}"
        => |t, i| by_constant(t, Crypto::Sm4Keys, i);
    /// Four rounds.
    vsm4r_vv: "vsm4r.vv" "101000 1 bbbbb 10000 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::Sm4Rounds);
    /// Four rounds.
    vsm4r_vs: "vsm4r.vs" "101001 1 bbbbb 10000 010 ddddd 1110111" asm "{d:v}, {b:v}"
        => |t| by_vector(t, Crypto::Sm4RoundsOne);
}

insns! {
    /// SM3.
    pub static ZVKSH: Group<Rv>, "zvksh", width 32;
    /// Message expansion.
    vsm3me_vv: "vsm3me.vv" "100000 1 bbbbb aaaaa 010 ddddd 1110111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, Crypto::Sm3Expand);
    /// Two rounds.
    vsm3c_vi: "vsm3c.vi" "101011 1 bbbbb iiiii 010 ddddd 1110111" asm "{d:v}, {b:v}, {i:vuimm}"
        => |t, i| by_constant(t, Crypto::Sm3Compress, i);
}
