//! Guest time and the events that are due at it.
//!
//! There is one queue per machine, ordered by (time, sequence): what was asked for first comes first among equals, on every
//! host and in every tier (I1).

use crate::snapshot::{self, StateError};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Whom an event belongs to: a device of the machine, or one of its CPUs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Owner {
    /// Device number n of the machine.
    Device(u32),
    /// CPU number n.
    Cpu(u32),
}

/// An event that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// When it was due, in nanoseconds.
    pub at: u64,
    /// Whose it is.
    pub owner: Owner,
    /// Which of the owner's.
    pub token: u32,
}

#[derive(Default)]
struct Queue {
    now: Cell<u64>,
    sequence: Cell<u64>,
    events: RefCell<BTreeMap<(u64, u64), (Owner, u32)>>,
    places: RefCell<BTreeMap<(Owner, u32), (u64, u64)>>,
}

/// The machine's queue; clones are handles to the same one.
#[derive(Clone, Default)]
pub struct EventQueue(Rc<Queue>);

#[derive(Serialize, Deserialize)]
struct Saved {
    now: u64,
    sequence: u64,
    events: Vec<(u64, u64, Owner, u32)>,
}

const KIND: &str = "events";
const VERSION: u32 = 1;

impl EventQueue {
    /// An empty queue at time 0.
    #[must_use]
    pub fn new() -> EventQueue {
        EventQueue::default()
    }

    /// Guest time in nanoseconds, as of the instruction that runs.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// Sets guest time; it never goes back.  The machine does this before it calls a device.
    pub fn set_now(&self, now: u64) {
        self.0.now.set(self.0.now.get().max(now));
    }

    /// Makes event `token` of `owner` due at `at` (at once if that has passed), instead of when it was due before.
    pub fn schedule(&self, owner: Owner, token: u32, at: u64) {
        self.cancel(owner, token);
        let sequence = self.0.sequence.get();
        self.0.sequence.set(sequence + 1);
        self.0.events.borrow_mut().insert((at, sequence), (owner, token));
        self.0.places.borrow_mut().insert((owner, token), (at, sequence));
    }

    /// Takes an event back.
    pub fn cancel(&self, owner: Owner, token: u32) {
        if let Some(place) = self.0.places.borrow_mut().remove(&(owner, token)) {
            self.0.events.borrow_mut().remove(&place);
        }
    }

    /// Takes all events of an owner back.
    pub fn cancel_all(&self, owner: Owner) {
        self.cancel_some(owner, |_| true);
    }

    fn cancel_some(&self, owner: Owner, which: impl Fn(u32) -> bool) {
        let places = self.0.places.borrow();
        let tokens: Vec<u32> = places.keys().filter(|(o, t)| *o == owner && which(*t)).map(|(_, t)| *t).collect();
        drop(places);
        tokens.into_iter().for_each(|token| self.cancel(owner, token));
    }

    /// When an event is due.
    #[must_use]
    pub fn deadline(&self, owner: Owner, token: u32) -> Option<u64> {
        self.0.places.borrow().get(&(owner, token)).map(|(at, _)| *at)
    }

    /// When the next event is due.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.events.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event if it is due at `now`.
    #[must_use]
    pub fn pop(&self, now: u64) -> Option<Due> {
        let mut events = self.0.events.borrow_mut();
        let entry = events.first_entry().filter(|e| e.key().0 <= now)?;
        let ((at, _), (owner, token)) = entry.remove_entry();
        self.0.places.borrow_mut().remove(&(owner, token));
        Some(Due { at, owner, token })
    }

    /// Forgets all events; time goes on.
    pub fn clear(&self) {
        self.0.events.borrow_mut().clear();
        self.0.places.borrow_mut().clear();
    }

    /// The queue's state.
    ///
    /// # Errors
    /// See [`snapshot::save`].
    pub fn save(&self) -> Result<Vec<u8>, StateError> {
        let events = self.0.events.borrow().iter().map(|((at, n), (owner, token))| (*at, *n, *owner, *token)).collect();
        snapshot::save(KIND, VERSION, &Saved { now: self.now(), sequence: self.0.sequence.get(), events })
    }

    /// Takes a saved state on.
    ///
    /// # Errors
    /// See [`snapshot::load`]; the queue is then as before.
    pub fn load(&self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved = snapshot::load(KIND, VERSION, bytes)?;
        let mut events = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (at, n, owner, token) in saved.events {
            snapshot::check(n < saved.sequence, "sequence", || format!("event {n} was never made"))?;
            let first = events.insert((at, n), (owner, token)).is_none();
            let alone = places.insert((owner, token), (at, n)).is_none();
            snapshot::check(first && alone, "events", || format!("event {n} is there twice"))?;
        }
        self.0.now.set(saved.now);
        self.0.sequence.set(saved.sequence);
        *self.0.events.borrow_mut() = events;
        *self.0.places.borrow_mut() = places;
        Ok(())
    }
}

/// A device's view of time and its own events.
#[derive(Clone)]
pub struct Clock {
    queue: EventQueue,
    owner: Owner,
    base: u32,
}

impl Clock {
    /// The view of `owner`.
    #[must_use]
    pub fn new(queue: EventQueue, owner: Owner) -> Clock {
        Clock { queue, owner, base: 0 }
    }

    /// The view of part `part` (0 to 65535) of a device that is made of several: its tokens, which are below 65536, reach
    /// the device with the part's number in the upper half.
    #[must_use]
    pub fn part(&self, part: u16) -> Clock {
        Clock { base: u32::from(part) << 16, ..self.clone() }
    }

    /// Guest time in nanoseconds since the machine was switched on.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.queue.now()
    }

    /// Takes all events of this part back.
    pub fn cancel_all(&self) {
        self.queue.cancel_some(self.owner, |token| token >> 16 == self.base >> 16);
    }

    /// Calls the device's `event` with `token` at guest time `at` (at once if that has passed), instead of when it was
    /// scheduled for before.
    pub fn schedule(&self, token: u32, at: u64) {
        self.queue.schedule(self.owner, self.base | token, at);
    }

    /// Takes an event back.
    pub fn cancel(&self, token: u32) {
        self.queue.cancel(self.owner, self.base | token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_age() {
        let queue = EventQueue::new();
        let (a, b) = (Owner::Device(1), Owner::Cpu(0));
        queue.schedule(a, 0, 20);
        queue.schedule(b, 0, 10);
        queue.schedule(a, 1, 10);
        queue.schedule(a, 0, 10);
        queue.schedule(a, 9, 5);
        queue.cancel(a, 9);
        assert_eq!((queue.next(), queue.deadline(a, 0)), (Some(10), Some(10)));
        assert_eq!(queue.pop(9), None);
        let bytes = queue.save().unwrap();
        let take = |q: &EventQueue| core::iter::from_fn(|| q.pop(10)).map(|d| (d.owner, d.token)).collect::<Vec<_>>();
        let order = take(&queue);
        assert_eq!(order, [(b, 0), (a, 1), (a, 0)]);
        let other = EventQueue::new();
        other.load(&bytes).unwrap();
        assert_eq!(other.save().unwrap(), bytes);
        assert_eq!(take(&other), order);
        assert!(other.load(&bytes[1..]).is_err());
    }
}
