//! The digest of guest state: 64 bits that are the same on every host.
//!
//! It tells states apart that differ by accident; it is no protection against people who want them to collide.

/// Odd constants without a pattern (fractions of square roots of primes).
const KEYS: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

/// Folds the 128-bit product of two numbers.
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ (product >> 64) as u64
}

/// A digest that is being made.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}

impl Digest {
    /// Of nothing.
    #[must_use]
    pub const fn new() -> Digest {
        Digest(KEYS[3])
    }

    /// Adds a number.
    pub const fn word(&mut self, word: u64) {
        self.0 = fold(self.0.rotate_left(23) ^ word ^ KEYS[0], KEYS[1]);
    }

    /// Adds bytes, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut lanes = KEYS;
        let (chunks, rest) = bytes.as_chunks::<32>();
        for chunk in chunks {
            for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
                *lane = fold(lane.rotate_left(17) ^ u64::from_le_bytes(*word), KEYS[2]);
            }
        }
        lanes.iter().for_each(|lane| self.word(*lane));
        for part in rest.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }

    /// The digest.
    #[must_use]
    pub const fn finish(self) -> u64 {
        fold(self.0 ^ KEYS[2], KEYS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new();
        digest.bytes(bytes);
        digest.finish()
    }

    #[test]
    fn every_bit_of_a_page_counts() {
        let mut page = vec![0; 4096];
        let mut seen = std::collections::BTreeSet::from([of(&page)]);
        for bit in 0..4096 * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(of(&page)), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
        assert_ne!(of(&[0; 31]), of(&[0; 32]));
        assert_ne!(of(b""), of(b"\0"));
    }

    #[test]
    fn the_definition_does_not_change() {
        // Logs hold these numbers: another definition is another version of the log.
        let mut digest = Digest::new();
        digest.word(1);
        assert_eq!((of(b"tern"), digest.finish()), (OF_TERN, OF_ONE));
    }

    const OF_TERN: u64 = 12_158_681_321_413_961_321;
    const OF_ONE: u64 = 10_100_636_408_868_461_297;
}
