//! A link that writes every frame that passes to a capture file (QEMU's `filter-dump`).
//!
//! The format is libpcap's classic one (draft-ietf-opsawg-pcap): magic 0xa1b2_c3d4, microseconds, LINKTYPE_ETHERNET.
//! It is written little-endian on every host.

use super::{Counts, Forwarding, Link, LinkEvent, NetError};
use crate::wait::Interest;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// QEMU's default for `maxlen`, in bytes.
pub const DEFAULT_SNAP: usize = 65_536;

/// The writer of a capture file.
pub struct Capture<W: Write> {
    out: W,
    snap: usize,
}

impl<W: Write> Capture<W> {
    /// Begins a file; of each frame at most `snap` bytes are kept.
    ///
    /// # Errors
    /// An I/O error.
    pub fn new(mut out: W, snap: usize) -> io::Result<Capture<W>> {
        let snap = snap.min(u32::MAX as usize);
        let mut head = Vec::with_capacity(24);
        head.extend(0xa1b2_c3d4_u32.to_le_bytes());
        head.extend(2u16.to_le_bytes());
        head.extend(4u16.to_le_bytes());
        head.extend([0; 8]);
        head.extend((snap as u32).to_le_bytes());
        head.extend(1u32.to_le_bytes());
        out.write_all(&head)?;
        Ok(Capture { out, snap })
    }

    /// Writes a frame, seen `time_us` microseconds after 1970.
    ///
    /// # Errors
    /// An I/O error.
    pub fn frame(&mut self, time_us: u64, frame: &[u8]) -> io::Result<()> {
        let kept = &frame[..frame.len().min(self.snap)];
        let numbers = [time_us / 1_000_000, time_us % 1_000_000, kept.len() as u64, frame.len() as u64];
        let mut head = [0; 16];
        for (at, n) in head.chunks_exact_mut(4).zip(numbers) {
            at.copy_from_slice(&(n as u32).to_le_bytes());
        }
        self.out.write_all(&head)?;
        self.out.write_all(kept)
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// An I/O error.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A link with a capture.
pub struct Dump<W: Write> {
    inner: Box<dyn Link>,
    capture: Option<Capture<W>>,
    failure: Option<io::Error>,
}

impl Dump<BufWriter<File>> {
    /// Captures a link's frames in a new file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(inner: Box<dyn Link>, path: &Path, snap: usize) -> Result<Dump<BufWriter<File>>, NetError> {
        let failed = |e: io::Error| NetError::new(format!("{}: {e}", path.display()));
        let file = File::create(path).map_err(failed)?;
        Dump::new(inner, BufWriter::new(file), snap).map_err(failed)
    }
}

impl<W: Write> Dump<W> {
    /// Captures a link's frames.
    ///
    /// # Errors
    /// When the head of the capture cannot be written.
    pub fn new(inner: Box<dyn Link>, out: W, snap: usize) -> io::Result<Dump<W>> {
        Ok(Dump { inner, capture: Some(Capture::new(out, snap)?), failure: None })
    }

    /// Why the capture ended early, if it did. The link goes on without it.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    fn record(&mut self, frame: &[u8]) {
        let time_us = u64::try_from(crate::clock::realtime_ns()).unwrap_or(0) / 1000;
        self.attempt(|c| c.frame(time_us, frame));
    }

    fn attempt(&mut self, act: impl FnOnce(&mut Capture<W>) -> io::Result<()>) {
        if let Some(capture) = &mut self.capture
            && let Err(e) = act(capture)
        {
            self.failure = Some(e);
            self.capture = None;
        }
    }
}

impl<W: Write + Send> Link for Dump<W> {
    fn send(&mut self, frame: &[u8]) {
        self.record(frame);
        self.inner.send(frame);
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let frame = self.inner.next_frame();
        match &frame {
            Some(frame) => self.record(frame),
            // The queue is empty: a good moment for whoever follows the file.
            None => self.attempt(Capture::flush),
        }
        frame
    }

    fn poll(&mut self, now_ns: u64) {
        self.inner.poll(now_ns);
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        self.inner.poll_fds(list);
    }

    fn deadline(&self) -> Option<u64> {
        self.inner.deadline()
    }

    fn carrier(&self) -> bool {
        self.inner.carrier()
    }

    fn counts(&self) -> Counts {
        self.inner.counts()
    }

    fn info(&self) -> String {
        self.inner.info()
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        self.inner.events()
    }

    fn forwarding(&mut self) -> Option<&mut dyn Forwarding> {
        self.inner.forwarding()
    }
}

#[cfg(test)]
mod tests {
    use super::{Capture, Counts, Dump, Interest, Link};
    use std::io;

    struct Echo(Vec<Vec<u8>>);

    impl Link for Echo {
        fn send(&mut self, frame: &[u8]) {
            self.0.push(frame.to_vec());
        }
        fn next_frame(&mut self) -> Option<Vec<u8>> {
            self.0.pop()
        }
        fn poll(&mut self, _now_ns: u64) {}
        fn poll_fds(&self, _list: &mut Vec<(i32, Interest)>) {}
        fn counts(&self) -> Counts {
            Counts::default()
        }
    }

    #[test]
    fn format() {
        let mut bytes = Vec::new();
        let mut c = Capture::new(&mut bytes, 4).unwrap();
        c.frame(3_000_007, b"abcdef").unwrap();
        let head = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(bytes[..24], head);
        assert_eq!(bytes[24..], [3, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, b'a', b'b', b'c', b'd']);
    }

    /// A medium that is full after some bytes.
    struct Small(usize);

    impl io::Write for Small {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if buf.len() > self.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= buf.len();
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn both_directions_and_a_full_disk() {
        let mut d = Dump::new(Box::new(Echo(Vec::new())), Small(24 + 2 * 18), 100).unwrap();
        d.send(b"ab");
        assert_eq!(d.next_frame().as_deref(), Some(&b"ab"[..]));
        assert!(d.failure().is_none() && d.next_frame().is_none());
        d.send(b"cd");
        assert_eq!(d.failure().map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        assert_eq!(d.next_frame().as_deref(), Some(&b"cd"[..]), "the link goes on");
    }
}
