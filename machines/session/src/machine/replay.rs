//! Recording and replaying, as far as the run loop is concerned.

use super::run::{Ended, POLL};
use super::snapshot::Digest;
use super::tape::{Data, Item, Player, Tape};
use super::{ClockMode, Machine};

impl Machine {
    /// Notes what has been handed over.
    pub(super) fn record_input(&mut self, data: Vec<Data>) {
        let at = self.at();
        let Tape::Record(recorder) = &self.tape else { return };
        if !data.is_empty() {
            recorder.push(&Item::Input(at, data));
        }
        recorder.tick(self.fabric.outside.now());
    }

    /// Notes that nothing happened for so long.
    pub(super) fn record_idle(&mut self, ns: u64) {
        if let Some(recorder) = self.tape.recorder().filter(|_| ns > 0) {
            recorder.push(&Item::Idle(self.at(), ns));
        }
    }

    /// Somebody outside wants a reset; a replay has only those of its log.
    pub(super) fn reset_from_outside(&self) -> Ended {
        if self.tape.player().is_some() {
            return Ended::Attend;
        }
        self.record_reset();
        Ended::Reset
    }

    /// The guest has come to its end in a replay: what the log has left belongs here.
    pub fn end_replay(&mut self) {
        let at = self.at();
        let Some(player) = self.tape.player().cloned() else { return };
        player.set_place(at);
        while let Some(Item::Whole(_, logged)) = player.peek().filter(|item| item.place() == Some(at)) {
            player.take();
            match self.digest() {
                Ok(own) => player.compare(at, "everything", logged, own),
                Err(e) => player.diverge(at, e.to_string()),
            }
        }
        if player.next_place().is_some_and(|place| place < at) {
            missed(&player, self);
        }
    }

    /// Notes that somebody outside resets the machine.
    pub fn record_reset(&self) {
        if let Some(recorder) = self.tape.recorder() {
            recorder.push(&Item::Reset(self.at()));
        }
    }

    /// Hands over what the log has for this look at the outside.
    pub(super) fn replay_input(&mut self) {
        let at = self.at();
        let Tape::Replay(player) = &self.tape else { return };
        player.set_place(at);
        let player = player.clone();
        if let Some(Item::Input(place, data)) = player.peek().filter(|item| item.place() == Some(at)) {
            debug_assert_eq!(place, at, "as the filter says");
            player.take();
            data.iter().for_each(|one| self.hand_over(one));
        }
    }

    /// A digest of the CPUs now and then: into the log, or compared with the one there.
    pub(super) fn light_digest(&mut self) {
        let at = self.at();
        match &self.tape {
            Tape::None => {}
            Tape::Record(recorder) => {
                if at.retired.wrapping_sub(self.digested) >= POLL {
                    recorder.push(&Item::Cpus(at, self.cpus_digest()));
                    self.digested = at.retired;
                }
            }
            Tape::Replay(player) => {
                if let Some(Item::Cpus(place, logged)) = player.peek().filter(|item| item.place() == Some(at)) {
                    player.take();
                    player.compare(place, "the CPUs", logged, self.cpus_digest());
                    self.digested = at.retired;
                }
            }
        }
    }

    /// A number that tells states of the CPUs apart.
    fn cpus_digest(&self) -> u64 {
        let mut digest = Digest::new();
        self.digest_cpus(&mut digest);
        digest.value()
    }

    /// What log or replay want of the run here.
    pub(super) fn tape_says(&mut self) -> Option<Ended> {
        let at = self.at();
        match &self.tape {
            Tape::None => None,
            Tape::Record(recorder) => recorder.trouble().map(|_| Ended::Trouble),
            Tape::Replay(player) => {
                player.set_place(at);
                if player.trouble().is_some() {
                    return Some(Ended::Trouble);
                }
                let Some(place) = player.next_place() else {
                    return player.is_over().then_some(Ended::Replayed);
                };
                if place < at {
                    return Some(missed(player, self));
                }
                if place > at {
                    return None;
                }
                match player.peek() {
                    Some(Item::Reset(_)) => {
                        player.take();
                        Some(Ended::RecordedReset)
                    }
                    Some(Item::End(..)) => Some(Ended::Replayed),
                    Some(Item::Whole(_, logged)) => {
                        player.take();
                        let own = self.digest();
                        let player = player.clone();
                        match own {
                            Ok(own) => player.compare(at, "everything", logged, own),
                            Err(e) => player.diverge(at, e.to_string()),
                        }
                        player.trouble().map(|_| Ended::Trouble)
                    }
                    _ => None,
                }
            }
        }
    }

    /// No CPU has anything to do in a replay: as much time passes as did in the recording.
    pub(super) fn replay_idle(&mut self, player: &Player) -> Option<Ended> {
        let at = self.at();
        player.set_place(at);
        if matches!(self.settings.clock, ClockMode::Host) {
            player.diverge(at, "guest time follows the host, which nothing has recorded".to_owned());
            return Some(Ended::Trouble);
        }
        match player.peek() {
            None => Some(Ended::Replayed),
            Some(Item::Idle(place, ns)) if place == at => {
                player.take();
                self.fabric.position.skip(ns);
                None
            }
            // The look at the outside that follows deals with it.
            Some(item) if item.place() == Some(at) => None,
            Some(_) => Some(missed(player, self)),
        }
    }

    /// Notes a digest of everything here.
    ///
    /// # Errors
    /// A part that cannot be saved.
    pub fn record_digest(&self) -> Result<(), super::SnapshotError> {
        if let Some(recorder) = self.tape.recorder() {
            recorder.push(&Item::Whole(self.at(), self.digest()?));
        }
        Ok(())
    }

    /// Ends the recording, if there is one: how the run ended.
    ///
    /// # Errors
    /// It could not be written.
    pub fn end_recording(&self, how: &str) -> Result<(), String> {
        let Some(recorder) = self.tape.recorder() else { return Ok(()) };
        recorder.push(&Item::End(self.at(), how.to_owned()));
        recorder.end();
        recorder.trouble().map_or(Ok(()), Err)
    }
}

/// The machine is not where the log says that it should be.
fn missed(player: &Player, machine: &Machine) -> Ended {
    let at = machine.at();
    if let Some(item) = player.peek() {
        let place = item.place().map_or_else(|| "here".to_owned(), |place| format!("at {place}"));
        player.diverge(at, format!("the recording has {place}: {}", item.what()));
    }
    Ended::Trouble
}
