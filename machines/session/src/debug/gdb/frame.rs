//! Packets on the wire: `$text#sum`, acknowledgements, the interrupt byte (gdb manual, "Overview" of the remote protocol).

use std::collections::VecDeque;

/// Most bytes of a packet, as the peer is told.
pub(super) const PACKET: usize = 0x4000;
/// Most bytes of packets that wait; a peer that sends more without waiting for answers loses them.
const BACKLOG: usize = 16 * PACKET;

/// What has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A packet's text, as it was sent (escapes and all).
    Packet(Vec<u8>),
    /// A packet that was too long to keep.
    TooLong,
    /// The peer wants the last packet again.
    Again,
}

enum State {
    Idle,
    Body,
    /// The first digit of the sum, if it has come.
    Sum(Option<u8>),
}

/// Takes packets apart and puts them together.
pub(super) struct Framer {
    state: State,
    body: Vec<u8>,
    sum: u8,
    long: bool,
    items: VecDeque<Item>,
    waiting: usize,
    /// Packets are acknowledged.
    pub(super) acks: bool,
    interrupted: bool,
    last: Vec<u8>,
    out: Vec<u8>,
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|d| d as u8)
}

impl Framer {
    pub(super) fn new() -> Framer {
        Framer {
            state: State::Idle,
            body: Vec::new(),
            sum: 0,
            long: false,
            items: VecDeque::new(),
            waiting: 0,
            acks: true,
            interrupted: false,
            last: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Takes what has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.state {
                State::Idle => self.idle(byte),
                // A packet that lost its end is no packet.
                State::Body if byte == b'$' => self.begin(),
                State::Body if byte == b'#' => self.state = State::Sum(None),
                State::Body => {
                    self.sum = self.sum.wrapping_add(byte);
                    self.long |= self.body.len() >= PACKET;
                    if !self.long {
                        self.body.push(byte);
                    }
                }
                State::Sum(None) => self.state = State::Sum(Some(byte)),
                State::Sum(Some(high)) => {
                    self.state = State::Idle;
                    let sum = digit(high).zip(digit(byte)).map(|(high, low)| high << 4 | low);
                    self.end(sum == Some(self.sum));
                }
            }
        }
    }

    fn idle(&mut self, byte: u8) {
        match byte {
            b'$' => self.begin(),
            3 => self.interrupted = true,
            b'-' if self.acks && !self.items.contains(&Item::Again) => self.items.push_back(Item::Again),
            _ => {}
        }
    }

    fn begin(&mut self) {
        self.body.clear();
        (self.state, self.sum, self.long) = (State::Body, 0, false);
    }

    fn end(&mut self, good: bool) {
        if self.acks {
            self.out.push(if good { b'+' } else { b'-' });
        }
        if !good || self.waiting + self.body.len() > BACKLOG || self.items.len() > BACKLOG / 64 {
            return;
        }
        let item = if self.long { Item::TooLong } else { Item::Packet(core::mem::take(&mut self.body)) };
        if let Item::Packet(text) = &item {
            self.waiting += text.len();
        }
        self.items.push_back(item);
    }

    /// The next of what has come.
    pub(super) fn next(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        if let Some(Item::Packet(text)) = &item {
            self.waiting -= text.len();
        }
        item
    }

    /// Has the interrupt byte come since the last call?
    pub(super) fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.interrupted)
    }

    /// Sends a packet; `text` is escaped already.
    pub(super) fn send(&mut self, text: &[u8]) {
        let sum = text.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
        self.last.clear();
        self.last.push(b'$');
        self.last.extend_from_slice(text);
        self.last.extend_from_slice(format!("#{sum:02x}").as_bytes());
        self.out.extend_from_slice(&self.last);
    }

    /// Sends the last packet again.
    pub(super) fn again(&mut self) {
        self.out.extend_from_slice(&self.last);
    }

    /// What is to be sent.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }
}

/// Binary data with the bytes escaped that mean something on the wire.
pub(super) fn escape(data: &[u8], out: &mut Vec<u8>) {
    for &byte in data {
        if matches!(byte, b'#' | b'$' | b'}' | b'*') {
            out.extend([b'}', byte ^ 0x20]);
        } else {
            out.push(byte);
        }
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(data: &[u8]) -> String {
    data.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes from hexadecimal digits.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
        _ => None,
    });
    pairs.collect()
}

/// A hexadecimal number of at most 64 bits, with at least one digit.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(text).ok()?;
    u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &str) -> Vec<u8> {
        let mut f = Framer::new();
        f.send(text.as_bytes());
        f.take_output()
    }

    #[test]
    fn a_packet_in_pieces_is_one() {
        let mut f = Framer::new();
        for byte in packet("qSupported") {
            assert_eq!(f.next(), None);
            f.push(&[byte]);
        }
        assert_eq!(f.next(), Some(Item::Packet(b"qSupported".to_vec())));
        assert_eq!(f.take_output(), b"+");
    }

    #[test]
    fn bad_sums_are_asked_for_again_and_not_kept() {
        let mut f = Framer::new();
        f.push(b"$g#00");
        f.push(b"$g#zz");
        assert_eq!((f.next(), f.take_output()), (None, b"--".to_vec()));
        f.acks = false;
        f.push(b"$g#00");
        assert_eq!((f.next(), f.take_output()), (None, vec![]));
    }

    #[test]
    fn a_packet_that_lost_its_end_is_dropped() {
        let mut f = Framer::new();
        f.push(b"garbage$m123,");
        f.push(&packet("g"));
        assert_eq!((f.next(), f.next()), (Some(Item::Packet(b"g".to_vec())), None));
    }

    #[test]
    fn overlong_packets_take_no_memory() {
        let mut f = Framer::new();
        f.push(b"$");
        for _ in 0..100 {
            f.push(&[b'a'; PACKET]);
        }
        assert!(f.body.capacity() <= 2 * PACKET);
        let sum = (100 * PACKET as u64 * u64::from(b'a')) as u8;
        f.push(format!("#{sum:02x}").as_bytes());
        assert_eq!(f.next(), Some(Item::TooLong));
    }

    #[test]
    fn a_flood_of_packets_is_bounded() {
        let mut f = Framer::new();
        let one = packet("g");
        for _ in 0..1_000_000 {
            f.push(&one);
            f.push(b"-");
            f.take_output();
        }
        assert!(f.items.len() < 10_000);
    }

    #[test]
    fn an_interrupt_is_none_inside_of_a_packet() {
        let mut f = Framer::new();
        f.push(b"$X0,1:\x03#");
        assert!(!f.take_interrupt());
        f.push(b"00\x03");
        assert!(f.take_interrupt() && !f.take_interrupt());
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(number(b"ffffffffffffffff"), Some(u64::MAX));
        for bad in [&b"10000000000000000"[..], b"", b"+1", b"-1", b"0x1", b"\xff"] {
            assert_eq!(number(bad), None);
        }
        assert_eq!((unhex(b"0aFf"), unhex(b"0"), unhex(b"0g")), (Some(vec![10, 255]), None, None));
    }
}
