//! What is recorded of a machine's run, and how it comes back.
//!
//! A machine is determined by what it is made of and by what comes in through [`super::Outside`].  The latter is all that
//! is recorded, with the [`Place`] at which it came; beside it digests, by which a replay notices that it is not the same
//! run, and hashes of what was read of media.  Media are written to memory only, so that a replay begins with the same
//! contents: see [`super::disk`].

use crate::record::{Cursor, Hash, LogError, Reader, Writer};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// Where a machine is between two instructions: how many have retired, and how many times a CPU has stopped for a trap or
/// to wait, which retires nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    /// Instructions that all CPUs have retired.
    pub retired: u64,
    /// Stops so far.
    pub stops: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.retired, self.stops)
    }
}

/// Bytes or a frame for a port of a device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The device's number in the machine.
    pub device: u32,
    /// The port.
    pub port: u32,
    /// What came.
    pub bytes: Vec<u8>,
}

/// An item of a machine's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Item {
    /// What was handed over at one look at the outside.
    Input(Place, Vec<Data>),
    /// No CPU had anything to do, and so many nanoseconds passed.
    Idle(Place, u64),
    /// Somebody outside reset the machine.
    Reset(Place),
    /// Digest of the CPUs.
    Cpus(Place, u64),
    /// Digest of everything.
    Whole(Place, u64),
    /// A stretch of a medium was looked at for the first time: the drive, the stretch's number, its contents.
    Image(String, u64, Hash),
    /// The run ended: how.
    End(Place, String),
}

impl Item {
    /// Where it belongs, if it says so.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Item::Input(at, _)
            | Item::Idle(at, _)
            | Item::Reset(at)
            | Item::Cpus(at, _)
            | Item::Whole(at, _)
            | Item::End(at, _) => Some(*at),
            Item::Image(..) => None,
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Item::Input(_, data) => {
                let one = |d: &Data| format!("{} bytes for port {} of device {}", d.bytes.len(), d.port, d.device);
                format!("input: {}", data.iter().map(one).collect::<Vec<_>>().join(", "))
            }
            Item::Idle(_, ns) => format!("idle for {ns} ns"),
            Item::Reset(_) => "reset from outside".to_owned(),
            Item::Cpus(_, digest) => format!("digest of the CPUs {digest:016x}"),
            Item::Whole(_, digest) => format!("digest {digest:016x}"),
            Item::Image(drive, n, hash) => format!("stretch {n} of drive {drive} read: {hash}"),
            Item::End(_, how) => format!("end: {how}"),
        }
    }
}

/// A replay that is not the run that was recorded, or a recording that cannot go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Where the machine was.
    pub at: Place,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.what)
    }
}

/// How long items may wait before they are written, in nanoseconds of host time.
const PATIENCE_NS: u64 = 50_000_000;

/// The recording of a run; clones are handles to the same.
#[derive(Clone)]
pub struct Recorder(Rc<RefCell<Recording>>);

struct Recording {
    writer: Writer<Item>,
    /// When items were written last.
    flushed: u64,
    trouble: Option<String>,
}

impl Recorder {
    /// Into this log.
    #[must_use]
    pub fn new(writer: Writer<Item>) -> Recorder {
        Recorder(Rc::new(RefCell::new(Recording { writer, flushed: 0, trouble: None })))
    }

    fn note(&self, f: impl FnOnce(&mut Writer<Item>) -> Result<(), LogError>) {
        let recording = &mut *self.0.borrow_mut();
        if recording.trouble.is_none() {
            recording.trouble = f(&mut recording.writer).err().map(|e| e.to_string());
        }
    }

    /// Notes an item.
    pub fn push(&self, item: &Item) {
        self.note(|writer| writer.push(item));
    }

    /// Host time is `now`: what has waited long enough is written.
    pub fn tick(&self, now: u64) {
        let due = now.wrapping_sub(self.0.borrow().flushed) >= PATIENCE_NS;
        if due {
            self.0.borrow_mut().flushed = now;
            self.note(Writer::flush);
        }
    }

    /// Ends the log.
    pub fn end(&self) {
        self.note(Writer::end);
    }

    /// Why recording does not go on.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.borrow().trouble.clone()
    }

    /// Bytes and items written.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        self.0.borrow().writer.size()
    }
}

/// A log that is being replayed; clones are handles to the same.
#[derive(Clone)]
pub struct Player(Rc<RefCell<Playing>>);

struct Playing {
    reader: Reader<Item>,
    /// The next item, and where it is.
    next: Option<Item>,
    cursor: Cursor,
    /// Why there is none, if that is not the log's proper end.
    over: Option<String>,
    /// Digests that were compared.
    compared: u64,
    trouble: Option<Trouble>,
    /// Where the machine was when it last said so.
    at: Place,
}

impl Player {
    /// Of this log.
    #[must_use]
    pub fn new(reader: Reader<Item>) -> Player {
        let cursor = reader.cursor();
        let at = Place::default();
        let mut playing = Playing { reader, next: None, cursor, over: None, compared: 0, trouble: None, at };
        playing.advance();
        Player(Rc::new(RefCell::new(playing)))
    }

    /// The next item.
    #[must_use]
    pub fn peek(&self) -> Option<Item> {
        self.0.borrow().next.clone()
    }

    /// Where the next item belongs, if there is one that says so.
    #[must_use]
    pub fn next_place(&self) -> Option<Place> {
        self.0.borrow().next.as_ref().and_then(Item::place)
    }

    /// Is the log at its end?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.borrow().next.is_none()
    }

    /// Takes the next item.
    pub fn take(&self) -> Option<Item> {
        let playing = &mut *self.0.borrow_mut();
        let item = playing.next.take();
        playing.advance();
        item
    }

    /// The machine is at `at`.
    pub fn set_place(&self, at: Place) {
        self.0.borrow_mut().at = at;
    }

    /// Compares a digest of the log with the machine's own.
    pub fn compare(&self, at: Place, what: &str, logged: u64, own: u64) {
        self.0.borrow_mut().compared += 1;
        if logged != own {
            self.diverge(at, format!("the digest of {what} is {own:016x}, in the recording it was {logged:016x}"));
        }
    }

    /// This is not the recorded run; the first to say so is heard.
    pub fn diverge(&self, at: Place, what: String) {
        self.0.borrow_mut().trouble.get_or_insert(Trouble { at, what });
    }

    /// As [`Player::diverge`], for those who do not know where the machine is.
    pub fn diverge_here(&self, what: String) {
        let at = self.0.borrow().at;
        self.diverge(at, what);
    }

    /// What is wrong.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.borrow().trouble.clone()
    }

    /// Why the log ends where it does, if nobody ended it in order.
    #[must_use]
    pub fn over(&self) -> Option<String> {
        self.0.borrow().over.clone()
    }

    /// Digests that were compared so far.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.0.borrow().compared
    }

    /// Contents that the log holds.
    ///
    /// # Errors
    /// They are damaged.
    pub fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>, LogError> {
        self.0.borrow_mut().reader.blob(hash)
    }

    /// Where the next item is.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.0.borrow().cursor
    }

    /// Goes back, or on, to a place of the log that has been read before.
    ///
    /// # Errors
    /// The log has changed.
    pub fn seek(&self, cursor: Cursor) -> Result<(), LogError> {
        let playing = &mut *self.0.borrow_mut();
        playing.reader.seek(cursor)?;
        (playing.over, playing.trouble) = (None, None);
        playing.advance();
        Ok(())
    }
}

impl Playing {
    fn advance(&mut self) {
        self.cursor = self.reader.cursor();
        match self.reader.next() {
            Ok(item) => self.next = item,
            Err(e) => (self.next, self.over) = (None, Some(e.to_string())),
        }
        if self.next.is_none() && !self.reader.ended() {
            self.over.get_or_insert("the recording was cut off".to_owned());
        }
    }
}

/// How a machine's inputs are handled.
#[derive(Clone, Default)]
pub enum Tape {
    /// They come in.
    #[default]
    None,
    /// They come in, and are noted.
    Record(Recorder),
    /// They come from a log.
    Replay(Player),
}

impl Tape {
    /// The recording.
    #[must_use]
    pub fn recorder(&self) -> Option<&Recorder> {
        match self {
            Tape::Record(recorder) => Some(recorder),
            _ => None,
        }
    }

    /// The log that is replayed.
    #[must_use]
    pub fn player(&self) -> Option<&Player> {
        match self {
            Tape::Replay(player) => Some(player),
            _ => None,
        }
    }
}
