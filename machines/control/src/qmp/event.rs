//! Events: what clients are told without having asked, and how often at most.

use super::schema::Describe;
use super::write;
use serde_json::{Value, json};

/// A kind of event.
pub struct EventRow {
    /// Its name.
    pub name: &'static str,
    /// The type of its data.
    pub data: Describe,
    /// Least time between two of them.
    pub every_ns: u64,
    /// The member of the data by which several sources are told apart, where each has its own time.
    pub key: &'static str,
}

/// Declares events: `NAME DataType;`, with `[key "member"]` if guests can cause them as often as they like (then there is one
/// a second at most; the rest, but the last, is dropped).
macro_rules! events {
    ($( $name:ident $data:ty $([key $key:literal])? ; )*) => {
        &[$( $crate::qmp::event::EventRow {
            name: stringify!($name),
            data: <$data as $crate::qmp::schema::Type>::describe,
            every_ns: $crate::qmp::event::every!($($key)?),
            key: $crate::qmp::event::key!($($key)?),
        }, )*]
    };
}

macro_rules! every {
    () => {
        0
    };
    ($key:literal) => {
        1_000_000_000
    };
}

macro_rules! key {
    () => {
        ""
    };
    ($key:literal) => {
        $key
    };
}

pub(crate) use {events, every, key};

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Which kind.
    pub name: String,
    /// Its data; null if there is none.
    pub data: Value,
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
}

impl Event {
    /// As clients get it.
    #[must_use]
    pub fn text(&self, pretty: bool) -> String {
        let stamp = json!({"seconds": self.at_ns / 1_000_000_000, "microseconds": self.at_ns / 1000 % 1_000_000});
        let name = json!(self.name);
        let mut members = vec![("timestamp", &stamp), ("event", &name)];
        if !self.data.is_null() {
            members.push(("data", &self.data));
        }
        write::object(&members, pretty)
    }
}

/// A source whose last event was a short time ago.
struct Recent {
    name: String,
    key: Value,
    /// When the next one may go.
    until_ns: u64,
    /// The last one since.
    held: Option<Event>,
}

/// Holds events back that come too often.
pub struct Throttle {
    rows: &'static [EventRow],
    recent: Vec<Recent>,
}

impl Throttle {
    /// One for these kinds of events.
    #[must_use]
    pub fn new(rows: &'static [EventRow]) -> Throttle {
        Throttle { rows, recent: Vec::new() }
    }

    /// Takes an event at a time of a clock that only goes forward; gives it back if it may go at once.
    pub fn push(&mut self, event: Event, now_ns: u64) -> Option<Event> {
        let row = self.rows.iter().find(|r| r.name == event.name)?;
        // The machine stands still after this one: there are no more of them, and clients must know.
        if row.every_ns == 0 || event.data.get("action").is_some_and(|a| row.name == "BLOCK_IO_ERROR" && a == "stop") {
            return Some(event);
        }
        let key = event.data.get(row.key).cloned().unwrap_or_default();
        if let Some(recent) = self.recent.iter_mut().find(|r| r.name == event.name && r.key == key) {
            recent.held = Some(event);
            return None;
        }
        let until_ns = now_ns.saturating_add(row.every_ns);
        self.recent.push(Recent { name: event.name.clone(), key, until_ns, held: None });
        Some(event)
    }

    /// The events whose time has come.
    pub fn due(&mut self, now_ns: u64) -> Vec<Event> {
        let mut out = Vec::new();
        let rows = self.rows;
        self.recent.retain_mut(|recent| {
            if recent.until_ns > now_ns {
                return true;
            }
            let Some(event) = recent.held.take() else { return false };
            let every_ns = rows.iter().find(|r| r.name == recent.name).map_or(0, |r| r.every_ns);
            recent.until_ns = now_ns.saturating_add(every_ns);
            out.push(event);
            true
        });
        out
    }

    /// When [`Throttle::due`] has something to do.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        self.recent.iter().map(|r| r.until_ns).min()
    }
}
