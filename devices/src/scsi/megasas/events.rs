//! The controller's log of events, and whoever waits for the next one.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most events that are kept; older ones are forgotten.
pub(super) const MOST: usize = 32;
/// Length of an event in bytes, as the firmware hands it over.
pub(super) const LEN: usize = 256;

/// What events are about (locales).
pub(super) const LOCALE_LD: u16 = 0x0001;
pub(super) const LOCALE_PD: u16 = 0x0002;
pub(super) const LOCALE_CONTROLLER: u16 = 0x0020;

/// Kinds of events, and what they are called.
pub(super) const STARTED: (u32, &str) = (0x0000, "Firmware initialization started");
pub(super) const PD_INSERTED: (u32, &str) = (0x005b, "Inserted: PD");
pub(super) const PD_REMOVED: (u32, &str) = (0x0070, "Removed: PD");
pub(super) const LD_CREATED: (u32, &str) = (0x008a, "Created VD");
pub(super) const LD_DELETED: (u32, &str) = (0x008b, "Deleted VD");

/// An event.  All are of class 0, for information.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) seq: u32,
    /// Seconds since the machine began.
    seconds: u32,
    code: u32,
    locale: u16,
    /// The drive that it is about.
    drive: Option<u16>,
}

impl Event {
    /// As the firmware hands it over.
    pub(super) fn bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..4].copy_from_slice(&self.seq.to_le_bytes());
        // Seconds since boot, not of a calendar.
        bytes[4..8].copy_from_slice(&(self.seconds & 0xff_ffff | 0xff00_0000).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.locale.to_le_bytes());
        let mut text = name(self.code).to_owned();
        if let Some(drive) = self.drive {
            // The kind of arguments: a physical or logical drive.
            bytes[16] = if self.locale == LOCALE_PD { 10 } else { 2 };
            bytes[32..34].copy_from_slice(&drive.to_le_bytes());
            // Its place: enclosure and slot, or index.
            let place = if self.locale == LOCALE_PD { [0xff, drive as u8] } else { [drive as u8, 0] };
            bytes[34..36].copy_from_slice(&place);
            text = format!("{text} {drive:02x}");
        }
        bytes[128..128 + text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    /// Does somebody who asks for this sequence number, class and locales want to hear of it?
    fn matches(&self, wanted: Wanted) -> bool {
        self.seq >= wanted.seq && wanted.class <= 0 && self.locale & wanted.locales != 0
    }
}

fn name(code: u32) -> &'static str {
    let known = [STARTED, PD_INSERTED, PD_REMOVED, LD_CREATED, LD_DELETED];
    known.iter().find(|row| row.0 == code).map_or("", |row| row.1)
}

/// What somebody asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    seq: u32,
    locales: u16,
    class: i8,
}

impl Wanted {
    /// From a sequence number, and a word of locales and class.
    pub(super) fn new(seq: u32, word: u32) -> Wanted {
        let [l0, l1, _, class] = word.to_le_bytes();
        Wanted { seq, locales: u16::from_le_bytes([l0, l1]), class: class as i8 }
    }
}

/// The log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Log {
    events: VecDeque<Event>,
    /// Sequence number of the last event, of the last start, and of the last shutdown.
    pub(super) newest: u32,
    pub(super) boot: u32,
    pub(super) shutdown: u32,
}

impl Log {
    /// A log that begins with the start of the firmware.
    pub(super) fn new() -> Log {
        let mut log = Log { events: VecDeque::new(), newest: 0, boot: 0, shutdown: 0 };
        log.started(0);
        log
    }

    /// The firmware has started.
    pub(super) fn started(&mut self, seconds: u32) {
        self.add(seconds, STARTED.0, LOCALE_CONTROLLER, None);
        self.boot = self.newest;
    }

    /// Adds an event.
    pub(super) fn add(&mut self, seconds: u32, code: u32, locale: u16, drive: Option<u16>) {
        self.newest = self.newest.wrapping_add(1);
        if self.events.len() >= MOST {
            self.events.pop_front();
        }
        self.events.push_back(Event { seq: self.newest, seconds, code, locale, drive });
    }

    /// Sequence number of the oldest event that is kept.
    pub(super) fn oldest(&self) -> u32 {
        self.events.front().map_or(self.newest, |event| event.seq)
    }

    /// The events that somebody wants.
    pub(super) fn wanted(&self, wanted: Wanted) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.matches(wanted))
    }

    /// Can it be so?
    pub(super) fn is_sane(&self) -> bool {
        self.events.len() <= MOST
    }
}
