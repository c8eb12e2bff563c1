//! The telnet protocol between a character device and its peer (RFC 854; options: RFC 856, 857, 858).

use crate::console::ConsoleEvent;

const SE: u8 = 240;
const BREAK: u8 = 243;
const SB: u8 = 250;
const WILL: u8 = 251;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// Where in the protocol the peer's bytes are.
#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Data,
    Command,
    Option,
    Parameters,
    CommandInParameters,
}

/// What takes the protocol out of the peer's bytes.
#[derive(Default)]
pub(super) struct Telnet(State);

impl Telnet {
    /// What a server says first: every key goes to the guest at once and as it is, and only the guest echoes it.
    pub(super) fn greeting() -> Vec<u8> {
        let options = [(WILL, ECHO), (WILL, SUPPRESS_GO_AHEAD), (WILL, BINARY), (DO, BINARY)];
        options.iter().flat_map(|(verb, option)| [IAC, *verb, *option]).collect()
    }

    /// Output as the peer must get it.
    pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().flat_map(|b| core::iter::repeat_n(*b, if *b == IAC { 2 } else { 1 })).collect()
    }

    /// Input without the protocol; a break is an event.  Offers and requests need no answer: nothing but the greeting is
    /// ever agreed on.
    pub(super) fn decode(&mut self, bytes: &[u8], events: &mut Vec<ConsoleEvent>) {
        let mut data = Vec::new();
        for byte in bytes {
            self.0 = match (self.0, *byte) {
                (State::Data, IAC) => State::Command,
                (State::Data, _) | (State::Command, IAC) => {
                    data.push(*byte);
                    State::Data
                }
                (State::Command, BREAK) => {
                    if !data.is_empty() {
                        events.push(ConsoleEvent::Bytes(core::mem::take(&mut data)));
                    }
                    events.push(ConsoleEvent::Break);
                    State::Data
                }
                (State::Command, SB) => State::Parameters,
                (State::Command, WILL..=DONT) => State::Option,
                (State::Command | State::Option, _) => State::Data,
                (State::Parameters, IAC) => State::CommandInParameters,
                (State::CommandInParameters, SE) => State::Data,
                (State::Parameters | State::CommandInParameters, _) => State::Parameters,
            };
        }
        if !data.is_empty() {
            events.push(ConsoleEvent::Bytes(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_is_taken_out() {
        let bytes = |b: &[u8]| ConsoleEvent::Bytes(b.to_vec());
        let input = b"a\xff\xffb\xff\xfd\x01c\xff\xf3d\xff\xfa\x18\x00xt\xff\xfferm\xff\xf0e\xff\xf1f";
        let mut whole = Vec::new();
        Telnet::default().decode(input, &mut whole);
        assert_eq!(whole, [bytes(b"a\xffbc"), ConsoleEvent::Break, bytes(b"def")]);
        // Byte by byte it is the same.
        let (mut telnet, mut data, mut breaks) = (Telnet::default(), Vec::new(), 0);
        for byte in input {
            let mut events = Vec::new();
            telnet.decode(&[*byte], &mut events);
            for event in events {
                match event {
                    ConsoleEvent::Bytes(b) => data.extend(b),
                    _ => breaks += 1,
                }
            }
        }
        assert_eq!((data.as_slice(), breaks), (&b"a\xffbcdef"[..], 1));
        assert_eq!(Telnet::encode(b"a\xffb"), b"a\xff\xffb");
        assert_eq!(Telnet::greeting(), [255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0]);
    }
}
