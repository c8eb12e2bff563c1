//! Vector cryptography on the examples that the standards publish: whole algorithms, assembled and run.

mod common;

use common::{DATA, Machine};
use std::fmt::Write;
use tern_core::engine::Stop;
use tern_core::frontend::Limits;
use tern_riscv::Features;

/// Where results go; inputs are at [`DATA`].
const OUT: u64 = DATA + 0x1000;

/// One set of widths to try.
#[derive(Clone, Copy)]
struct Shape {
    cpu: &'static str,
    /// Registers in a group.
    lmul: usize,
}

/// An element group fits in a register, in two of them, and leaves room.
const SHAPES: &[Shape] = &[
    Shape { cpu: "rv64i,v,zvknc,zvkng,zvksg,vlen=128", lmul: 2 },
    Shape { cpu: "rv64i,v,zvknc,zvkng,zvksg,vlen=256", lmul: 1 },
    Shape { cpu: "rv64i,v,zvknc,zvkng,zvksg,vlen=512", lmul: 2 },
    Shape { cpu: "rv32i,v,zvknc,zvkng,zvksg,vlen=256", lmul: 1 },
];

/// Bytes of hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).expect("ASCII"), 16).expect("hexadecimal");
    digits.chunks(2).map(pair).collect()
}

/// Runs a program that has its input's address in a0 and stores `len` bytes at a1.
fn run(shape: Shape, source: &str, input: &[u8], len: usize) -> Vec<u8> {
    let features: Features = shape.cpu.parse().unwrap_or_else(|e| panic!("{}: {e}", shape.cpu));
    let results = [(64, true), (1, false)].map(|(insns, passes)| {
        let mut machine = Machine::new(&features);
        machine.assemble(&format!("li a0, {DATA}\nli a1, {OUT}\n{source}\necall"));
        machine.write(DATA, input);
        let stop = machine.run(Limits { insns, follow: true, one_page: false }, passes);
        assert_eq!(stop, Stop::Syscall, "{} at {:#x} of {source}", shape.cpu, machine.state.pc());
        let words = (0..len as u64).step_by(8).flat_map(|at| machine.read(OUT + at).to_le_bytes());
        words.take(len).collect::<Vec<u8>>()
    });
    assert_eq!(results[0], results[1], "{}", shape.cpu);
    results[0].clone()
}

/// Sets the length to `vl` elements of `sew` bits.
fn config(shape: Shape, vl: usize, sew: usize) -> String {
    format!("vsetivli zero, {vl}, e{sew}, m{}, ta, ma\n", shape.lmul)
}

/// Round keys 0 to `rounds` of AES go to the groups from v0; the rest are free.
fn aes_keys(shape: Shape, rounds: usize) -> String {
    let reg = |n: usize| format!("v{}", n * shape.lmul);
    let mut source = config(shape, 4, 32) + "vle32.v v0, (a0)\n";
    if rounds == 10 {
        (1..=10).for_each(|i| writeln!(source, "vaeskf1.vi {}, {}, {i}", reg(i), reg(i - 1)).expect("memory"));
        return source;
    }
    write!(source, "addi a0, a0, 16\nvle32.v {}, (a0)\n", reg(1)).expect("memory");
    for i in 2..=14 {
        write!(source, "vmv.v.v {0}, {1}\nvaeskf2.vi {0}, {2}, {i}\n", reg(i), reg(i - 2), reg(i - 1)).expect("memory");
    }
    source
}

/// Encrypts and decrypts the group `data`.
fn aes_rounds(shape: Shape, rounds: usize, form: &str, data: usize, encrypt: bool) -> String {
    let reg = |n: usize| format!("v{}", n * shape.lmul);
    let key = |i: usize| if encrypt { i } else { rounds - i };
    let way = if encrypt { 'e' } else { 'd' };
    let mut source = format!("vaesz.vs {}, {}\n", reg(data), reg(key(0)));
    for i in 1..=rounds {
        let part = if i == rounds { 'f' } else { 'm' };
        writeln!(source, "vaes{way}{part}.{form} {}, {}", reg(data), reg(key(i))).expect("memory");
    }
    source
}

/// FIPS 197, appendix C.
#[test]
fn aes_is_that_of_the_standard() {
    let plain = hex("00112233445566778899aabbccddeeff");
    let key: Vec<u8> = (0..32).collect();
    let ciphers = [(10, "69c4e0d86a7b0430d8cdb78070b4c55a"), (14, "8ea2b7ca516745bfeafc49904b496089")];
    // Groups of four registers of 32 bits do not exist, but of two of 64 do.
    let small = Shape { cpu: "rv64i,zve32x,zvkned,vlen=64", lmul: 2 };
    for &shape in SHAPES.iter().chain([&small]) {
        for (rounds, cipher) in ciphers {
            let data = 15;
            let group = data * shape.lmul;
            for form in ["vv", "vs"] {
                let load = format!("li a0, {}\nvle32.v v{group}, (a0)\n", DATA + 32);
                let store = format!("vse32.v v{group}, (a1)\naddi a1, a1, 16\n");
                let source = aes_keys(shape, rounds)
                    + &load
                    + &aes_rounds(shape, rounds, form, data, true)
                    + &store
                    + &aes_rounds(shape, rounds, form, data, false)
                    + &store;
                let out = run(shape, &source, &[key.clone(), plain.clone()].concat(), 32);
                assert_eq!(out, [hex(cipher), plain.clone()].concat(), "{} {rounds} {form}", shape.cpu);
            }
        }
    }
}

/// One key for several blocks, and a key for each.
#[test]
fn aes_takes_blocks_by_the_group() {
    let shape = Shape { cpu: "rv64i,v,zvkned,vlen=128", lmul: 1 };
    let plain = hex("00112233445566778899aabbccddeeff");
    let key: Vec<u8> = (0..16).collect();
    let input = [key, plain.repeat(4)].concat();
    let load = "vsetivli zero, 16, e32, m4, ta, ma\naddi a0, a0, 16\nvle32.v v16, (a0)\n";
    let store = "vse32.v v16, (a1)\n";
    let source = aes_keys(shape, 10) + load + &aes_rounds(shape, 10, "vs", 16, true) + store;
    let cipher = hex("69c4e0d86a7b0430d8cdb78070b4c55a").repeat(4);
    assert_eq!(run(shape, &source, &input, 64), cipher);
}

/// Constants of SHA-512 (FIPS 180-4, section 4.2.3); the upper halves of the first 64 are those of SHA-256.
#[rustfmt::skip]
const K512: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc, 0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118, 0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2, 0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694, 0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5, 0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4, 0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70, 0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df, 0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30, 0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8, 0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8, 0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3, 0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b, 0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178, 0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b, 0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c, 0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

/// Initial hash value of SHA-512 (section 5.3.5); the upper halves are that of SHA-256.
#[rustfmt::skip]
const H512: [u64; 8] = [
    0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1, 0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
];

/// The message with its padding, in blocks of `size` bytes.
fn padded(message: &[u8], size: usize) -> Vec<u8> {
    let mut all = message.to_vec();
    all.push(0x80);
    // The length has an eighth of a block, of which messages here need eight bytes.
    while all.len() % size != size - size / 8 {
        all.push(0);
    }
    all.resize(all.len() + size / 8 - 8, 0);
    all.extend((8 * message.len() as u64).to_be_bytes());
    all
}

/// Compresses the block at a0, then the constants, with words of `sew` bits.  The state comes and goes as f e b a, h g d c.
fn sha2(shape: Shape, sew: usize) -> String {
    let step = sew / 2;
    let rounds = if sew == 32 { 64 } else { 80 };
    let mut source = config(shape, 4, sew) + "vmv.v.i v0, 1\n";
    for i in 0..4 {
        let reg = 8 + 2 * i;
        write!(source, "vle{sew}.v v{reg}, (a0)\nvrev8.v v{reg}, v{reg}\naddi a0, a0, {step}\n").expect("memory");
    }
    for reg in [18, 16] {
        let copy = reg + 8;
        write!(source, "vle{sew}.v v{reg}, (a0)\nvmv.v.v v{copy}, v{reg}\naddi a0, a0, {step}\n").expect("memory");
    }
    for quad in 0..rounds / 4 {
        let w = |n: usize| 8 + 2 * ((quad + n) % 4);
        write!(source, "vle{sew}.v v20, (a0)\naddi a0, a0, {step}\nvadd.vv v20, v20, v{}\n", w(0)).expect("memory");
        source += "vsha2cl.vv v16, v18, v20\nvsha2ch.vv v18, v16, v20\n";
        write!(source, "vmerge.vvm v22, v{}, v{}, v0\nvsha2ms.vv v{}, v22, v{}\n", w(2), w(1), w(0), w(3))
            .expect("memory");
    }
    let end = format!("vadd.vv v16, v16, v24\nvadd.vv v18, v18, v26\nvse{sew}.v v18, (a1)\naddi a1, a1, {step}\n");
    source + &end + &format!("vse{sew}.v v16, (a1)\n")
}

/// The digest of a message.
fn sha2_digest(shape: Shape, sew: usize, message: &[u8]) -> Vec<u8> {
    let word = |v: u64| if sew == 32 { ((v >> 32) as u32).to_le_bytes().to_vec() } else { v.to_le_bytes().to_vec() };
    // Where a to h are in the registers.
    const PLACES: [usize; 8] = [3, 2, 7, 6, 1, 0, 5, 4];
    let mut state = vec![Vec::new(); 8];
    PLACES.iter().zip(H512).for_each(|(&place, h)| state[place] = word(h));
    let constants: Vec<u8> = K512.iter().flat_map(|&k| word(k)).collect();
    let source = sha2(shape, sew);
    for block in padded(message, 2 * sew).chunks(2 * sew) {
        let input = [block.to_vec(), state.concat(), constants.clone()].concat();
        state = run(shape, &source, &input, sew).chunks(sew / 8).map(<[u8]>::to_vec).collect();
    }
    let big = |place: usize| state[place].iter().rev().copied().collect::<Vec<u8>>();
    PLACES.iter().flat_map(|&place| big(place)).collect()
}

/// FIPS 180-4's examples (NIST, "Cryptographic Standards and Guidelines: Examples with Intermediate Values").
#[test]
fn sha2_is_that_of_the_standard() {
    let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    let longer = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs\
        mnopqrstnopqrstu";
    let examples = [
        (32, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (32, long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        (
            64,
            "abc",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
            2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            64,
            longer,
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018\
            501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
        ),
    ];
    for &shape in SHAPES {
        for (sew, message, digest) in examples {
            assert_eq!(sha2_digest(shape, sew, message.as_bytes()), hex(digest), "{} SHA-2 of {message}", shape.cpu);
        }
    }
}

/// Compresses the block at a0 into the state that follows it.
fn sm3(shape: Shape) -> String {
    let mut source = config(shape, 8, 32);
    for reg in [2, 4, 16] {
        write!(source, "vle32.v v{reg}, (a0)\naddi a0, a0, 32\n").expect("memory");
    }
    source += "vmv.v.v v18, v16\n";
    for octet in 0..8 {
        let (now, next) = if octet % 2 == 0 { (2, 4) } else { (4, 2) };
        // Each pair of rounds takes words 0, 1, 4 and 5 of what is left.
        let first = 4 * octet;
        write!(source, "vsm3c.vi v16, v{now}, {first}\nvslidedown.vi v6, v{now}, 2\nvsm3c.vi v16, v6, {}\n", first + 1)
            .expect("memory");
        write!(source, "vslidedown.vi v6, v{now}, 4\nvslideup.vi v6, v{next}, 4\nvsm3c.vi v16, v6, {}\n", first + 2)
            .expect("memory");
        write!(source, "vslidedown.vi v6, v6, 2\nvsm3c.vi v16, v6, {}\n", first + 3).expect("memory");
        writeln!(source, "vsm3me.vv v{now}, v{next}, v{now}").expect("memory");
    }
    source + "vxor.vv v16, v16, v18\nvse32.v v16, (a1)\n"
}

/// GB/T 32905-2016, appendix A.
#[test]
fn sm3_is_that_of_the_standard() {
    let initial = hex("7380166f 4914b2b9 172442d7 da8a0600 a96f30bc 163138aa e38dee4d b0fb0e4e");
    let examples = [
        ("abc".to_string(), "66c7f0f4 62eeedd9 d1f2d46b dc10e4e2 4167c487 5cf2f7a2 297da02b 8f4ba8e0"),
        ("abcd".repeat(16), "debe9ff9 2275b8a1 38604889 c18e5a4d 6fdb70e5 387e5765 293dcba3 9c0c5732"),
    ];
    for &shape in SHAPES {
        for (message, digest) in &examples {
            let mut state = initial.clone();
            for block in padded(message.as_bytes(), 64).chunks(64) {
                state = run(shape, &sm3(shape), &[block.to_vec(), state].concat(), 32);
            }
            assert_eq!(state, hex(digest), "{} SM3 of {message}", shape.cpu);
        }
    }
}

/// GB/T 32907-2016, appendix A: once, and back.
#[test]
fn sm4_is_that_of_the_standard() {
    let key = hex("0123456789abcdeffedcba9876543210");
    let constants: Vec<u8> =
        [0xa3b1_bac6u32, 0x56aa_3350, 0x677d_9197, 0xb270_22dc].iter().flat_map(|w| w.to_le_bytes()).collect();
    let cipher = hex("681edf34d206965e86b3e94f536e4246");
    for &shape in SHAPES {
        let reg = |n: usize| n * shape.lmul;
        let [x, order, turned] = [10, 11, 12].map(reg);
        // The state ends in reverse order, and decryption takes its keys in reverse order.
        let mut source = config(shape, 4, 32) + &format!("vid.v v{order}\nvrsub.vi v{order}, v{order}, 3\n");
        write!(source, "vle32.v v0, (a0)\nvrev8.v v0, v0\naddi a0, a0, 16\nvle32.v v{x}, (a0)\nvxor.vv v0, v0, v{x}\n")
            .expect("memory");
        (0..8).for_each(|i| writeln!(source, "vsm4k.vi v{}, v{}, {i}", reg(i + 1), reg(i)).expect("memory"));
        write!(source, "addi a0, a0, 16\nvle32.v v{x}, (a0)\nvrev8.v v{x}, v{x}\n").expect("memory");
        (1..=8).for_each(|i| writeln!(source, "vsm4r.vs v{x}, v{}", reg(i)).expect("memory"));
        let finish = format!("vrgather.vv v{turned}, v{x}, v{order}\nvrev8.v v{turned}, v{turned}\n");
        write!(source, "{finish}vse32.v v{turned}, (a1)\naddi a1, a1, 16\nvrev8.v v{x}, v{turned}\n").expect("memory");
        for i in (1..=8).rev() {
            write!(source, "vrgather.vv v{turned}, v{}, v{order}\nvsm4r.vv v{x}, v{turned}\n", reg(i)).expect("memory");
        }
        writeln!(source, "{finish}vse32.v v{turned}, (a1)").expect("memory");
        let input = [key.clone(), constants.clone(), key.clone()].concat();
        assert_eq!(run(shape, &source, &input, 32), [cipher.clone(), key.clone()].concat(), "{}", shape.cpu);
    }
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test case 2.
#[test]
fn ghash_is_that_of_the_proposal() {
    let input =
        hex("66e94bd4ef8a2c3b884cfa59ca342b2e 0388dace60b6a392f328c2b971b2fe78 00000000000000000000000000000080");
    let want =
        hex("5e2ec746917062882c85b0685353deb7 f38cbb1ad69223dcc3457ae5b6b0f885 5e2ec746917062882c85b0685353deb7");
    for &shape in SHAPES {
        let source = config(shape, 4, 32)
            + "vle32.v v2, (a0)\naddi a0, a0, 16\nvle32.v v4, (a0)\naddi a0, a0, 16\nvle32.v v6, (a0)\n\
            vmv.v.i v8, 0\nvghsh.vv v8, v2, v4\nvse32.v v8, (a1)\naddi a1, a1, 16\n\
            vghsh.vv v8, v2, v6\nvse32.v v8, (a1)\naddi a1, a1, 16\nvgmul.vv v4, v2\nvse32.v v4, (a1)\n";
        assert_eq!(run(shape, &source, &input, 48), want, "{}", shape.cpu);
    }
}
