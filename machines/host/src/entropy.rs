//! Random bytes of the host.

/// Fills `buf` with random bytes.
///
/// On Linux they come from `getrandom(2)`, on other Unix systems from `/dev/urandom`. Elsewhere std has only the keys
/// of its hash tables, which are random per process but no source for secrets.
///
/// # Errors
/// When the host's source cannot be read.
pub fn fill(buf: &mut [u8]) -> std::io::Result<()> {
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
        use std::io::Read;
        std::fs::File::open("/dev/urandom")?.read_exact(buf)
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
