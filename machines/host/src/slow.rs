//! Files that may take their time: pipes that nobody writes to yet, disks that sleep.

use crate::file::read_limited;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// A file that is being read.
#[derive(Debug)]
pub struct Slow(Receiver<Result<Vec<u8>, String>>);

impl Slow {
    /// Begins to read a whole file of at most `limit` bytes.
    #[must_use]
    pub fn read(path: PathBuf, limit: u64) -> Slow {
        let (sender, receiver) = channel();
        // A thread that waits forever ends with the process; nobody may be left to hear from it.
        std::thread::spawn(move || sender.send(read_limited(&path, limit).map_err(|e| e.to_string())));
        Slow(receiver)
    }

    /// Its bytes, once they are there; `None`: not yet.
    ///
    /// # Errors
    /// Why it cannot be read, in one line.
    pub fn poll(&mut self) -> Option<Result<Vec<u8>, String>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("it has been read already".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(slow: &mut Slow) -> Result<Vec<u8>, String> {
        loop {
            if let Some(result) = slow.poll() {
                return result;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn reading() {
        let path = std::env::temp_dir().join(format!("tern-slow-{}", std::process::id()));
        std::fs::write(&path, "text").unwrap();
        let mut slow = Slow::read(path.clone(), 10);
        assert_eq!(wait(&mut slow), Ok(b"text".to_vec()));
        assert!(wait(&mut slow).is_err());
        assert_eq!(wait(&mut Slow::read(path.clone(), 3)), Err("file is longer than 3 bytes".to_owned()));
        std::fs::remove_file(&path).unwrap();
        assert!(wait(&mut Slow::read(path, 3)).is_err());
    }
}
