//! Character devices without a peer: nothing, the terminal, a file, a ring of bytes.

use super::WAITING;
use super::shell::{Backend, Change, Inbox};
use crate::console::{self, ConsoleEvent};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use tern_core::backend::CharSink;

/// Bytes read at once.
const INPUT: usize = 4096;

/// Takes everything, gives nothing.
pub(super) struct Nothing;

impl Backend for Nothing {
    fn write(&mut self, _: &[u8], _: &mut Vec<Change>) {}

    fn info(&self) -> String {
        "null".to_owned()
    }
}

/// The terminal.
pub(super) struct Stdio {
    pub(super) sink: Box<dyn CharSink>,
    pub(super) input: console::Input,
}

impl Backend for Stdio {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        self.sink.write(bytes);
    }

    fn fds(&self) -> Vec<i32> {
        self.input.fd().into_iter().collect()
    }

    fn again(&self) -> Option<u64> {
        self.input.pending().then_some(WAITING)
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        inbox.events.extend(self.input.poll());
    }

    fn info(&self) -> String {
        "stdio".to_owned()
    }
}

/// A file for output, and perhaps one for input. When the host's disk is full, the rest is lost.
pub(super) struct Files {
    output: File,
    input: Option<File>,
    failed: bool,
}

impl Files {
    pub(super) fn new(output: File, input: Option<File>) -> Files {
        Files { output, input, failed: false }
    }
}

impl Backend for Files {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        if let Err(e) = self.output.write_all(bytes) {
            if !self.failed {
                eprintln!("tern: output of a serial port is lost: {e}");
            }
            self.failed = true;
        }
    }

    #[cfg(unix)]
    fn fds(&self) -> Vec<i32> {
        use std::os::fd::AsRawFd;
        self.input.iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn poll(&mut self, inbox: &mut Inbox) {
        let Some(input) = &mut self.input else { return };
        let mut buf = [0; INPUT];
        match input.read(&mut buf) {
            Ok(n) if n > 0 => inbox.events.push(ConsoleEvent::Bytes(buf[..n].to_vec())),
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            _ => {
                self.input = None;
                inbox.changes.push(Change::Closed);
                inbox.events.push(ConsoleEvent::Closed);
            }
        }
    }

    fn info(&self) -> String {
        "file".to_owned()
    }
}

/// The last bytes of the output, for whoever asks for them.
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    size: usize,
    name: &'static str,
}

impl Ring {
    /// An empty ring; memory is taken as it fills.
    pub(super) fn new(size: usize, name: &'static str) -> Ring {
        Ring { bytes: VecDeque::new(), size, name }
    }

    /// Puts bytes in; the oldest ones make room.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.size)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(self.size);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
    }

    /// Takes up to `size` of the oldest bytes out.
    pub(super) fn read(&mut self, size: usize) -> Vec<u8> {
        let n = size.min(self.bytes.len());
        self.bytes.drain(..n).collect()
    }
}

impl Backend for Ring {
    fn write(&mut self, bytes: &[u8], _: &mut Vec<Change>) {
        self.put(bytes);
    }

    fn info(&self) -> String {
        self.name.to_owned()
    }

    fn ring(&mut self) -> Option<&mut Ring> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn the_newest_bytes_stay() {
        let mut ring = Ring::new(4, "ringbuf");
        ring.put(b"ab");
        ring.put(b"cde");
        assert_eq!((ring.read(1), ring.read(9)), (b"b".to_vec(), b"cde".to_vec()));
        ring.put(b"0123456789");
        assert_eq!((ring.read(2), ring.read(2), ring.read(2)), (b"67".to_vec(), b"89".to_vec(), vec![]));
    }
}
