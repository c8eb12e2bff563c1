//! Random bytes: the host's own, a file's, and reproducible ones; as functions and as the [`Entropy`] of a device.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use tern_core::backend::Entropy;

/// Fills `buf` with random bytes.
///
/// On Linux they come from `getrandom(2)`, on other Unix systems from `/dev/urandom`. Elsewhere std has only the keys
/// of its hash tables, which are random per process but no source for secrets.
///
/// # Errors
/// When the host's source cannot be read.
pub fn fill(buf: &mut [u8]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut done = 0;
        while done < buf.len() {
            match crate::sys::proc::getrandom(&mut buf[done..], 0) {
                Ok(n) => done += n,
                Err(crate::sys::Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        File::open("/dev/urandom")?.read_exact(buf)
    }
    #[cfg(not(unix))]
    {
        use std::hash::{BuildHasher, Hasher, RandomState};
        for chunk in buf.chunks_mut(8) {
            let word = RandomState::new().build_hasher().finish();
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The host's random bytes (QEMU's `rng-builtin`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

impl Entropy for Host {
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        // A host that refuses has none now; the device asks again.
        if fill(buf).is_ok() { buf.len() } else { 0 }
    }
}

/// Bytes of a file or of a device like `/dev/hwrng` (QEMU's `rng-random`).
#[derive(Debug)]
pub struct FromFile(File);

impl FromFile {
    /// Opens the file; reading it never blocks where the host can promise that.
    ///
    /// # Errors
    /// A file that cannot be opened, or a directory.
    pub fn open(path: &Path) -> io::Result<FromFile> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        let file = options.open(path)?;
        if file.metadata()?.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(FromFile(file))
    }
}

impl Entropy for FromFile {
    /// At the end of a plain file there is no more.
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read(&mut buf[done..]) {
                Ok(n) if n > 0 => done += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        done
    }
}

/// From one state of a [`Seeded`] to the next.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers that follow from a seed (QEMU's `-seed`): for runs that must repeat, no source for secrets.
///
/// They are those of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), little-endian.
#[derive(Clone, Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
    given: u64,
    /// Bytes of the last number that were not given out.
    rest: u64,
    left: u32,
}

impl Seeded {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Seeded {
        Seeded { seed, state: seed, given: 0, rest: 0, left: 0 }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for Seeded {
    /// The bytes do not depend on how many are asked for at a time.
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        for byte in &mut *buf {
            if self.left == 0 {
                self.rest = self.next_u64();
                self.left = 8;
            }
            *byte = self.rest as u8;
            self.rest >>= 8;
            self.left -= 1;
        }
        self.given += buf.len() as u64;
        buf.len()
    }

    fn position(&self) -> u64 {
        self.given
    }

    fn seek(&mut self, position: u64) {
        let numbers = position / 8;
        self.state = self.seed.wrapping_add(numbers.wrapping_mul(GAMMA));
        (self.given, self.left) = (numbers * 8, 0);
        let mut rest = [0; 8];
        self.fill(&mut rest[..(position % 8) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Entropy, FromFile, Host, Seeded};
    use std::path::Path;

    #[test]
    fn seeded_bytes_go_on_where_they_were() {
        let mut all = [0; 64];
        Seeded::new(3).fill(&mut all);
        for at in 0..40 {
            let mut there = Seeded::new(3);
            there.seek(at);
            let mut buf = [0; 20];
            there.fill(&mut buf);
            assert_eq!(buf[..], all[at as usize..at as usize + 20]);
            assert_eq!(there.position(), at + 20);
        }
    }

    #[test]
    fn seeded_bytes_repeat() {
        // The generator's published first numbers for seed 1234567.
        let mut s = Seeded::new(1_234_567);
        assert_eq!([s.next_u64(), s.next_u64()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut whole = [0; 20];
        assert_eq!(Seeded::new(7).fill(&mut whole), 20);
        let mut parts = Seeded::new(7);
        for part in whole.chunks(3) {
            let mut buf = [0; 3];
            assert_eq!(parts.fill(&mut buf[..part.len()]), part.len());
            assert_eq!(&buf[..part.len()], part);
        }
        let mut other = [0; 20];
        Seeded::new(8).fill(&mut other);
        assert_ne!(whole, other);
    }

    #[test]
    fn bytes_of_the_host() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        assert_eq!((Host.fill(&mut a), Host.fill(&mut b)), (32, 32));
        assert_ne!(a, b);
    }

    #[test]
    #[cfg(unix)]
    fn bytes_of_a_file() {
        let path = std::env::temp_dir().join(format!("tern-entropy-{}", std::process::id()));
        std::fs::write(&path, b"abcde").unwrap();
        let mut file = FromFile::open(&path).unwrap();
        let mut buf = [0; 3];
        assert_eq!((file.fill(&mut buf), &buf), (3, b"abc"));
        assert_eq!((file.fill(&mut buf), &buf[..2]), (2, &b"de"[..]));
        assert_eq!(file.fill(&mut buf), 0, "no more");
        std::fs::remove_file(&path).unwrap();
        let mut buf = [0; 100];
        assert_eq!(FromFile::open(Path::new("/dev/urandom")).unwrap().fill(&mut buf), 100);
        assert!(FromFile::open(Path::new("/")).is_err() && FromFile::open(&path).is_err());
    }
}
