//! The loop around a server for a subject that nobody else runs.

use super::super::{Part, Subject, Why};
use super::{Server, Wish};

/// A connection with the peer.
pub trait Wire {
    /// What has come; with `wait` at least one byte.  `None`: the connection is gone.
    fn receive(&mut self, wait: bool) -> Option<Vec<u8>>;

    /// Sends all of it; false: the connection is gone.
    fn send(&mut self, bytes: &[u8]) -> bool;
}

/// How a session came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// The peer lets the subject go on by itself, or is gone; or this is a child that goes its own way.
    Detached,
    /// The peer wants the subject to end.
    Killed,
    /// The subject has ended.
    Ended(Why),
    /// A child talks to the peer from now on; the subject goes on by itself.
    HandedOver,
}

/// Serves a peer until it lets go of the subject, or that ends.
pub fn serve(server: &mut Server, subject: &mut dyn Subject, wire: &mut dyn Wire) -> Served {
    loop {
        if !wire.send(&server.take_output()) {
            return Served::Detached;
        }
        let why = match server.take_wish() {
            None => {
                let Some(bytes) = wire.receive(true) else { return Served::Detached };
                server.feed(subject, &bytes);
                continue;
            }
            Some(Wish::Detach) => return Served::Detached,
            Some(Wish::Kill) => {
                subject.kill();
                return Served::Killed;
            }
            Some(Wish::HandOver(child)) => {
                subject.part(child, Part::KeepChild);
                return Served::HandedOver;
            }
            Some(Wish::ReverseStep(thread)) => subject.reverse_step(thread).unwrap_or(Why::Begin),
            Some(wish) => {
                let stops = server.stops();
                let mut lost = false;
                let mut asked = || match wire.receive(false) {
                    Some(bytes) => server.interrupts(&bytes),
                    None => {
                        lost = true;
                        true
                    }
                };
                let why = match wish {
                    Wish::Resume(resume) => subject.run(&stops, &resume, &mut asked),
                    _ => subject.reverse_continue(&stops, &mut asked).unwrap_or(Why::Begin),
                };
                if lost {
                    return match why {
                        Why::Exited(_) | Why::Killed(_) => Served::Ended(why),
                        _ => Served::Detached,
                    };
                }
                why
            }
        };
        match why {
            Why::Left => return Served::Detached,
            Why::Followed => server.is_child_now(subject),
            _ => server.stopped(subject, &why),
        }
        if matches!(why, Why::Exited(_) | Why::Killed(_)) {
            // The peer hears of it before the connection ends.
            wire.send(&server.take_output());
            return Served::Ended(why);
        }
        server.feed(subject, &[]);
    }
}
