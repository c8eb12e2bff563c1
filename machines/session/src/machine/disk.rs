//! Media of machines that are recorded or replayed: what the guest writes stays in memory, and what it reads for the first
//! time is told by its hash, so that a replay notices another medium, and a packed log can do without one.

use super::tape::{Item, Player, Tape};
use crate::record::Hash;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_core::backend::{Block, BlockError};

/// Length of a stretch in bytes.
pub const STRETCH: u64 = 1 << 16;

/// A stretch as the guest sees it, shared with checkpoints.
type Bytes = Rc<[u8]>;

/// What a medium holds.
#[derive(Clone, Default)]
pub struct Contents(BTreeMap<u64, Bytes>);

/// The medium behind [`Disk`], which others look at too.
struct Medium {
    name: String,
    size: u64,
    read_only: bool,
    /// What is below; `None`: the log has it all.
    base: Option<Box<dyn Block>>,
    tape: Tape,
    contents: Contents,
}

/// A medium; clones are handles to the same.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<Medium>>);

impl Disk {
    /// On top of `base`, which is not written to; it is called `name` in the log.
    #[must_use]
    pub fn new(name: &str, base: Box<dyn Block>, tape: Tape) -> Disk {
        let (size, read_only) = (base.size(), base.read_only());
        Disk::of(Medium {
            name: name.to_owned(),
            size,
            read_only,
            base: Some(base),
            tape,
            contents: Contents::default(),
        })
    }

    /// With what a packed log has of it.
    #[must_use]
    pub fn packed(name: &str, size: u64, read_only: bool, player: Player) -> Disk {
        let (tape, contents) = (Tape::Replay(player), Contents::default());
        Disk::of(Medium { name: name.to_owned(), size, read_only, base: None, tape, contents })
    }

    fn of(medium: Medium) -> Disk {
        Disk(Rc::new(RefCell::new(medium)))
    }

    /// What it holds now.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.0.borrow().contents.clone()
    }

    /// Takes it back to what it held.
    pub fn set_contents(&self, contents: Contents) {
        self.0.borrow_mut().contents = contents;
    }
}

fn gone(name: &str) -> BlockError {
    BlockError::Io(format!("drive {name}: the recording does not have this"))
}

impl Medium {
    /// Bytes of a stretch.
    fn len(&self, n: u64) -> usize {
        self.size.saturating_sub(n * STRETCH).min(STRETCH) as usize
    }

    /// Bytes of a stretch that is looked at for the first time.
    fn first(&mut self, n: u64) -> Result<Bytes, BlockError> {
        let mut bytes = vec![0; self.len(n)];
        let logged = match self.tape.player() {
            Some(player) => self.logged(player, n)?,
            None => None,
        };
        match (&mut self.base, logged) {
            (None, None) => return Err(gone(&self.name)),
            (None, Some((hash, player))) => {
                let blob = player.blob(&hash).map_err(|e| BlockError::Io(e.to_string()))?;
                let blob = blob.filter(|blob| blob.len() == bytes.len());
                bytes = blob.ok_or_else(|| self.lost(&player, n))?;
            }
            (Some(base), logged) => {
                base.read(n * STRETCH, &mut bytes)?;
                let own = Hash::of(&bytes);
                if let Some((_, player)) = logged.filter(|(hash, _)| *hash != own) {
                    let at = n * STRETCH;
                    player.diverge_here(format!("drive {} has changed since the recording, at byte {at}", self.name));
                }
                if let Some(recorder) = self.tape.recorder() {
                    recorder.push(&Item::Image(self.name.clone(), n, own));
                }
            }
        }
        Ok(bytes.into())
    }

    /// The hash that the log has here.
    fn logged(&self, player: &Player, n: u64) -> Result<Option<(Hash, Player)>, BlockError> {
        match player.peek() {
            Some(Item::Image(name, stretch, hash)) if (name.as_str(), stretch) == (self.name.as_str(), n) => {
                player.take();
                Ok(Some((hash, player.clone())))
            }
            // The recording was cut off: nothing tells what comes.
            None => Ok(None),
            Some(other) => {
                player.diverge_here(format!(
                    "stretch {n} of drive {} is read; the recording has {}",
                    self.name,
                    other.what()
                ));
                Err(gone(&self.name))
            }
        }
    }

    fn lost(&self, player: &Player, n: u64) -> BlockError {
        player.diverge_here(format!("the log lacks stretch {n} of drive {}", self.name));
        gone(&self.name)
    }

    fn stretch(&mut self, n: u64) -> Result<&mut Bytes, BlockError> {
        if !self.contents.0.contains_key(&n) {
            let bytes = self.first(n)?;
            self.contents.0.insert(n, bytes);
        }
        self.contents.0.get_mut(&n).ok_or(BlockError::OutOfRange)
    }

    /// Calls `f` with the parts of a range: stretch, offset in it, range in the buffer.
    fn parts(
        &mut self,
        offset: u64,
        len: usize,
        mut f: impl FnMut(&mut Medium, u64, usize, core::ops::Range<usize>) -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(BlockError::OutOfRange)?;
        let mut at = offset;
        while at < end {
            let (n, inside) = (at / STRETCH, (at % STRETCH) as usize);
            let part = (STRETCH - at % STRETCH).min(end - at) as usize;
            let from = (at - offset) as usize;
            f(self, n, inside, from..from + part)?;
            at += part as u64;
        }
        Ok(())
    }

    fn put(&mut self, n: u64, inside: usize, len: usize, f: impl FnOnce(&mut [u8])) -> Result<(), BlockError> {
        if len == self.len(n) && !self.contents.0.contains_key(&n) {
            // Nothing of what was there is left.
            self.contents.0.insert(n, vec![0; len].into());
        }
        let bytes = Rc::make_mut(self.stretch(n)?);
        f(&mut bytes[inside..inside + len]);
        Ok(())
    }
}

impl Block for Disk {
    fn size(&self) -> u64 {
        self.0.borrow().size
    }

    fn read_only(&self) -> bool {
        self.0.borrow().read_only
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.0.borrow_mut().parts(offset, buf.len(), |medium, n, inside, range| {
            let part = &mut buf[range];
            part.copy_from_slice(&medium.stretch(n)?[inside..inside + part.len()]);
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        let mut medium = self.0.borrow_mut();
        if medium.read_only {
            return Err(BlockError::ReadOnly);
        }
        medium.parts(offset, buf.len(), |medium, n, inside, range| {
            medium.put(n, inside, range.len(), |bytes| bytes.copy_from_slice(&buf[range]))
        })
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        // What is there may stay.
        let medium = self.0.borrow();
        let inside = offset.checked_add(len).is_some_and(|end| end <= medium.size);
        if medium.read_only {
            Err(BlockError::ReadOnly)
        } else if inside {
            Ok(())
        } else {
            Err(BlockError::OutOfRange)
        }
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        let mut medium = self.0.borrow_mut();
        if medium.read_only {
            return Err(BlockError::ReadOnly);
        }
        let len = usize::try_from(len).map_err(|_| BlockError::OutOfRange)?;
        medium.parts(offset, len, |medium, n, inside, range| medium.put(n, inside, range.len(), |bytes| bytes.fill(0)))
    }

    fn present(&self) -> bool {
        self.0.borrow().base.as_ref().is_none_or(|base| base.present())
    }

    fn tray_open(&self) -> bool {
        self.0.borrow().base.as_ref().is_some_and(|base| base.tray_open())
    }

    fn tray(&mut self, open: bool, by_guest: bool) {
        if let Some(base) = &mut self.0.borrow_mut().base {
            base.tray(open, by_guest);
        }
    }

    fn lock(&mut self, locked: bool) {
        if let Some(base) = &mut self.0.borrow_mut().base {
            base.lock(locked);
        }
    }

    fn eject_request(&mut self) -> Option<bool> {
        self.0.borrow_mut().base.as_mut().and_then(|base| base.eject_request())
    }
}
