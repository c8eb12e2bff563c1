//! Steps of hash functions that the vector cryptography extensions have: SHA-2 (FIPS 180-4), SM3 (GB/T 32905-2016), GHASH
//! (NIST SP 800-38D).

/// One width of SHA-2.  Words are zero-extended.
pub(crate) struct Sha2 {
    bits: u32,
    /// Rotations of the capital sigma functions (FIPS 180-4, sections 4.1.2 and 4.1.3).
    sum0: [u32; 3],
    sum1: [u32; 3],
    /// Two rotations and a shift of the small ones.
    sigma0: [u32; 3],
    sigma1: [u32; 3],
}

/// Words of 32 bits.
pub(crate) static SHA256: Sha2 =
    Sha2 { bits: 32, sum0: [2, 13, 22], sum1: [6, 11, 25], sigma0: [7, 18, 3], sigma1: [17, 19, 10] };
/// Words of 64 bits.
pub(crate) static SHA512: Sha2 =
    Sha2 { bits: 64, sum0: [28, 34, 39], sum1: [14, 18, 41], sigma0: [1, 8, 7], sigma1: [19, 61, 6] };

impl Sha2 {
    /// Cut to a word.
    fn word(&self, v: u64) -> u64 {
        v & u64::MAX >> (64 - self.bits)
    }

    fn turn(&self, v: u64, by: u32) -> u64 {
        self.word(v >> by | v << (self.bits - by))
    }

    fn sum(&self, v: u64, by: [u32; 3]) -> u64 {
        self.turn(v, by[0]) ^ self.turn(v, by[1]) ^ self.turn(v, by[2])
    }

    fn sigma(&self, v: u64, by: [u32; 3]) -> u64 {
        self.turn(v, by[0]) ^ self.turn(v, by[1]) ^ v >> by[2]
    }

    /// `vsha2ms`: words 16 to 19 of the message schedule from words 0 to 3 (`vd`), 4 and 9 to 11 (`vs2`), 12 to 15 (`vs1`).
    pub(crate) fn schedule(&self, d: [u64; 4], a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        let mut w = [0u64; 20];
        w[..4].copy_from_slice(&d);
        w[4] = a[0];
        w[9..12].copy_from_slice(&a[1..]);
        w[12..16].copy_from_slice(&b);
        for t in 16..20 {
            let (recent, old) = (self.sigma(w[t - 2], self.sigma1), self.sigma(w[t - 15], self.sigma0));
            w[t] = self.word(recent.wrapping_add(w[t - 7]).wrapping_add(old).wrapping_add(w[t - 16]));
        }
        [w[16], w[17], w[18], w[19]]
    }

    /// Two rounds on `h g d c` (`vd`) and `f e b a` (`vs2`) with sums of message words and constants; the new `f e b a`.
    fn compress(&self, d: [u64; 4], a: [u64; 4], sums: [u64; 2]) -> [u64; 4] {
        let [mut h, mut g, mut d, mut c] = d;
        let [mut f, mut e, mut b, mut a] = a;
        for w in sums {
            let choice = e & f ^ !e & g;
            let majority = a & b ^ a & c ^ b & c;
            let t1 = h.wrapping_add(self.sum(e, self.sum1)).wrapping_add(choice).wrapping_add(w);
            let t2 = self.sum(a, self.sum0).wrapping_add(majority);
            (h, g, f, e) = (g, f, e, self.word(d.wrapping_add(t1)));
            (d, c, b, a) = (c, b, a, self.word(t1.wrapping_add(t2)));
        }
        [f, e, b, a]
    }

    /// `vsha2cl`: the lower two words of `vs1`.
    pub(crate) fn compress_low(&self, d: [u64; 4], a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        self.compress(d, a, [b[0], b[1]])
    }

    /// `vsha2ch`: the upper two.
    pub(crate) fn compress_high(&self, d: [u64; 4], a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        self.compress(d, a, [b[2], b[3]])
    }
}

/// `vsm3me`: words 16 to 23 of the expanded message from words 0 to 7 and 8 to 15 (GB/T 32905-2016, section 5.3.2).
pub(crate) fn sm3_expand(low: [u32; 8], high: [u32; 8]) -> [u32; 8] {
    let mut w = [0u32; 24];
    w[..8].copy_from_slice(&low);
    w[8..16].copy_from_slice(&high);
    for j in 16..24 {
        let v = w[j - 16] ^ w[j - 9] ^ w[j - 3].rotate_left(15);
        let v = v ^ v.rotate_left(15) ^ v.rotate_left(23);
        w[j] = v ^ w[j - 13].rotate_left(7) ^ w[j - 6];
    }
    let mut new = [0; 8];
    new.copy_from_slice(&w[16..]);
    new
}

/// `vsm3c`: rounds `2 pair` and `2 pair + 1` (section 5.3.3) on the state from A to H; `w` has their words at 0 and 1, and
/// those four later at 4 and 5.
pub(crate) fn sm3_compress(state: [u32; 8], w: [u32; 8], pair: u32) -> [u32; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (i, j) in [2 * pair, 2 * pair + 1].into_iter().enumerate() {
        let early = j < 16;
        let constant: u32 = if early { 0x79cc_4519 } else { 0x7a87_9d8a };
        let ff = if early { a ^ b ^ c } else { a & b | a & c | b & c };
        let gg = if early { e ^ f ^ g } else { e & f | !e & g };
        let turned = a.rotate_left(12);
        let ss1 = turned.wrapping_add(e).wrapping_add(constant.rotate_left(j % 32)).rotate_left(7);
        let tt1 = ff.wrapping_add(d).wrapping_add(ss1 ^ turned).wrapping_add(w[i] ^ w[i + 4]);
        let tt2 = gg.wrapping_add(h).wrapping_add(ss1).wrapping_add(w[i]);
        (d, c, b, a) = (c, b.rotate_left(9), a, tt1);
        (h, g, f, e) = (g, f.rotate_left(19), e, tt2 ^ tt2.rotate_left(9) ^ tt2.rotate_left(17));
    }
    [a, b, c, d, e, f, g, h]
}

/// Product of blocks in GHASH's field (SP 800-38D, section 6.3), the first byte in the low bits.
pub(crate) fn ghash_product(a: u128, b: u128) -> u128 {
    // The coefficient of the lowest power is the first byte's highest bit.
    let (a, mut power) = (a.swap_bytes(), b.swap_bytes());
    let mut sum = 0;
    // No branch depends on operands.
    for i in (0..128).rev() {
        sum ^= power & (a >> i & 1).wrapping_neg();
        power = power >> 1 ^ (0xe1 << 120) & (power & 1).wrapping_neg();
    }
    sum.swap_bytes()
}
