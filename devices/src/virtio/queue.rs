//! Virtqueues: split rings and packed rings (virtio 1.2, 2.7 and 2.8), as the device sees them.
//!
//! The rings lie in guest memory and are the guest's: every number in them is checked, and what is wrong is a
//! [`RingError`], after which the device needs a reset.  A chain has at most [`MAX_CHAIN`] buffers, so nothing loops.

use super::chain::{Buffer, Chain};
use super::feature;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use serde::{Deserialize, Serialize};
use tern_core::backend::VhostRing;
use tern_core::device::{BusError, Dma};
use tern_core::snapshot::{StateError, check};

/// Most entries of a ring (2.7, 2.8).
pub const MAX_SIZE: u16 = 32768;
/// Most buffers of a chain.
pub const MAX_CHAIN: usize = 1024;

/// Descriptor flags (2.7.5, 2.8.13).
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// Flag of the split available ring: no interrupts, please (2.7.6).
const NO_INTERRUPT: u16 = 1;
/// Values of a packed ring's event suppression flags (2.8.14).
const EVENT_DISABLE: u16 = 1;
const EVENT_DESC: u16 = 2;

/// What is wrong with a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingError {
    /// A ring or table lies where no memory is.
    Bus(BusError),
    /// The available index ran further ahead than the ring is long: now, next.
    Jump(u16, u16),
    /// A descriptor number that is not in its table.
    Index(u16),
    /// A chain that is longer than its table, or than [`MAX_CHAIN`]: it loops.
    Long,
    /// A readable buffer behind a writable one.
    Order,
    /// An indirect descriptor without the feature, in an indirect table, with a next one, or of an odd length.
    Indirect,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Bus(e) => write!(f, "ring: {e}"),
            RingError::Jump(now, next) => write!(f, "available index jumped from {next} to {now}"),
            RingError::Index(n) => write!(f, "descriptor {n} is not in the table"),
            RingError::Long => f.write_str("descriptor chain is too long or loops"),
            RingError::Order => f.write_str("readable descriptor behind a writable one"),
            RingError::Indirect => f.write_str("bad indirect descriptor"),
        }
    }
}

impl From<BusError> for RingError {
    fn from(e: BusError) -> RingError {
        RingError::Bus(e)
    }
}

/// A descriptor of either kind of ring; the last two halves mean different things.
#[derive(Clone, Copy)]
struct Descriptor {
    buffer: Buffer,
    /// Bytes 12 and 13: flags (split), buffer ID (packed).
    third: u16,
    /// Bytes 14 and 15: next (split), flags (packed).
    fourth: u16,
}

impl Descriptor {
    fn new(b: [u8; 16]) -> Descriptor {
        let half = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
        let addr = u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        let len = u32::from_le_bytes([b[8], b[9], b[10], b[11]]);
        Descriptor { buffer: Buffer { addr, len }, third: half(12), fourth: half(14) }
    }

    fn at(dma: &Dma, table: u64, index: u16) -> Result<Descriptor, RingError> {
        Ok(Descriptor::new(dma.array(table.wrapping_add(16 * u64::from(index)))?))
    }
}

/// What is saved of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QueueState {
    /// Entries of the ring.
    pub size: u16,
    /// Does the driver use it?
    pub ready: bool,
    /// Where the descriptors are.
    pub desc: u64,
    /// The driver's area: available ring, or driver event suppression.
    pub driver: u64,
    /// The device's area: used ring, or device event suppression.
    pub device: u64,
    /// The next available entry: a running index (split), a place in the ring (packed).
    next_avail: u16,
    avail_wrap: bool,
    /// As `next_avail`, for the next used entry.
    next_used: u16,
    used_wrap: bool,
    /// `next_used` at the last interrupt that was thought about.
    signalled: Option<u16>,
    /// The device was stopped in mid-work and has to be called again.
    pub(super) resume: bool,
}

/// A chain that the device is done with and the ring does not say yet.
#[derive(Clone, Copy)]
struct Used {
    id: u16,
    slots: u16,
    len: u32,
}

/// A queue.
pub struct Queue {
    max: u16,
    /// What is saved.
    pub state: QueueState,
    used: Vec<Used>,
    /// Chains that may still be taken in this call of the device.
    budget: u32,
    /// Another process has used buffers and wants the driver to hear of it.
    pub(super) called: bool,
}

impl Queue {
    /// A queue that the driver has not set up, of at most `max` entries.
    #[must_use]
    pub fn new(max: u16) -> Queue {
        let mut queue = Queue {
            max: max.clamp(1, MAX_SIZE),
            state: QueueState::default(),
            used: Vec::new(),
            budget: 0,
            called: false,
        };
        queue.reset();
        queue
    }

    /// Most entries.
    #[must_use]
    pub fn max(&self) -> u16 {
        self.max
    }

    /// As new.
    pub fn reset(&mut self) {
        let size = self.max;
        self.state = QueueState { size, avail_wrap: true, used_wrap: true, ..QueueState::default() };
        self.used.clear();
    }

    /// May the driver have `size` entries?
    #[must_use]
    pub fn allows(&self, size: u16, packed: bool) -> bool {
        size != 0 && size <= self.max && (packed || size.is_power_of_two())
    }

    /// A legacy driver's ring at `addr`, its used ring aligned to `align` (2.7.2).
    pub fn set_legacy(&mut self, addr: u64, align: u64) {
        let (size, align) = (u64::from(self.state.size), align.max(1));
        self.state.desc = addr;
        self.state.driver = addr.wrapping_add(16 * size);
        let end = self.state.driver.wrapping_add(6 + 2 * size);
        self.state.device = end.checked_next_multiple_of(align).unwrap_or(end);
        self.state.ready = addr != 0;
    }

    /// Can a queue be in this state?
    ///
    /// # Errors
    /// What no queue can be.
    pub(super) fn check(&self, state: &QueueState, packed: bool) -> Result<(), StateError> {
        let (size, max) = (state.size, self.max);
        check((1..=max).contains(&size), "queue size", || format!("{size} of {max}"))?;
        let inside = !packed || (state.next_avail < size && state.next_used < size);
        check(inside, "queue position", || format!("{} and {} of {size}", state.next_avail, state.next_used))
    }

    /// Takes on a state that [`Queue::check`] has found good.
    pub(super) fn load(&mut self, state: QueueState) {
        self.state = state;
        self.used.clear();
    }

    /// A call of the device begins.
    pub(super) fn begin(&mut self) {
        self.budget = 2 * u32::from(self.state.size);
    }

    /// Is a chain there?
    ///
    /// # Errors
    /// [`RingError`].
    pub(super) fn available(&self, dma: &Dma, features: u64) -> Result<bool, RingError> {
        let s = &self.state;
        if !s.ready {
            return Ok(false);
        }
        if features & feature::RING_PACKED != 0 {
            let flags = Descriptor::at(dma, s.desc, s.next_avail)?.fourth;
            return Ok((flags & AVAIL != 0) == s.avail_wrap && (flags & USED != 0) != s.avail_wrap);
        }
        Ok(self.ahead(dma)? != 0)
    }

    /// The next chain, which stays where it is; nothing in memory changes.
    ///
    /// # Errors
    /// [`RingError`].
    pub(super) fn peek(&self, dma: &Dma, features: u64) -> Result<Option<Chain>, RingError> {
        if !self.available(dma, features)? {
            return Ok(None);
        }
        let packed = features & feature::RING_PACKED != 0;
        if packed { self.pop_packed(dma, features) } else { self.pop_split(dma, features) }.map(Some)
    }

    /// How many chains a split ring holds for the device.
    fn ahead(&self, dma: &Dma) -> Result<u16, RingError> {
        let idx = u16::from_le_bytes(dma.array(self.state.driver.wrapping_add(2))?);
        // The entries were written before the index.
        fence(Ordering::SeqCst);
        let ahead = idx.wrapping_sub(self.state.next_avail);
        if ahead > self.state.size { Err(RingError::Jump(idx, self.state.next_avail)) } else { Ok(ahead) }
    }

    /// Takes the next chain.
    ///
    /// # Errors
    /// [`RingError`].
    pub(super) fn pop(&mut self, dma: &Dma, features: u64) -> Result<Option<Chain>, RingError> {
        if !self.state.ready {
            return Ok(None);
        }
        let packed = features & feature::RING_PACKED != 0;
        let there = if packed { self.available(dma, features)? } else { self.split_waits(dma, features)? };
        if !there {
            return Ok(None);
        }
        if self.budget == 0 {
            self.state.resume = true;
            return Ok(None);
        }
        self.budget -= 1;
        let chain = if packed { self.pop_packed(dma, features)? } else { self.pop_split(dma, features)? };
        self.advance(chain.slots, packed);
        Ok(Some(chain))
    }

    /// Is a chain there?  If not, the driver is asked to tell about the next one.
    fn split_waits(&self, dma: &Dma, features: u64) -> Result<bool, RingError> {
        if self.ahead(dma)? != 0 {
            return Ok(true);
        }
        if features & feature::EVENT_IDX == 0 {
            return Ok(false);
        }
        let at = self.state.device.wrapping_add(4 + 8 * u64::from(self.state.size));
        dma.write(at, &self.state.next_avail.to_le_bytes())?;
        fence(Ordering::SeqCst);
        Ok(self.ahead(dma)? != 0)
    }

    /// The ring for a process that is to run it, which begins where this side stands; with `again` after the last chain that
    /// was used, whoever did that.  Split rings only.
    ///
    /// # Errors
    /// [`RingError`].
    pub(super) fn lend(&mut self, queue: u16, again: bool, dma: &Dma) -> Result<Option<VhostRing>, RingError> {
        let s = &mut self.state;
        if !s.ready {
            return Ok(None);
        }
        if again {
            s.next_avail = u16::from_le_bytes(dma.array(s.device.wrapping_add(2))?);
        }
        s.next_used = s.next_avail;
        let QueueState { size, desc, driver, device, next_avail: base, .. } = *s;
        Ok(Some(VhostRing { queue, size, desc, driver, device, base, enabled: true }))
    }

    /// Another process has used chains: what it wrote is marked as written, as if the device had done it.  The driver may have
    /// used the descriptors again by now, so that what cannot be read is no mistake of its.
    pub(super) fn used_elsewhere(&mut self, dma: &Dma, features: u64) {
        let s = self.state;
        let Ok(idx) = dma.array(s.device.wrapping_add(2)).map(u16::from_le_bytes) else { return };
        fence(Ordering::SeqCst);
        let new = idx.wrapping_sub(s.next_used).min(s.size);
        for n in 0..new {
            let entry = u64::from(idx.wrapping_sub(new).wrapping_add(n) % s.size);
            let id = dma.array(s.device.wrapping_add(4 + 8 * entry)).map(u32::from_le_bytes);
            let Some(head) = id.ok().and_then(|id| u16::try_from(id).ok()) else { continue };
            if let Ok(chain) = self.chain_at(head, dma, features) {
                chain.writable_buffers().iter().for_each(|buffer| mark_written(dma, *buffer));
            }
        }
        (self.state.next_used, self.state.next_avail) = (idx, idx);
    }

    fn advance(&mut self, slots: u16, packed: bool) {
        let s = &mut self.state;
        if !packed {
            s.next_avail = s.next_avail.wrapping_add(1);
            return;
        }
        (s.next_avail, s.avail_wrap) = step(s.next_avail, s.avail_wrap, slots, s.size);
    }

    /// Gives back the chain that was taken last, untouched.
    pub(super) fn unpop(&mut self, chain: &Chain, features: u64) {
        let s = &mut self.state;
        if features & feature::RING_PACKED == 0 {
            s.next_avail = s.next_avail.wrapping_sub(1);
        } else if s.next_avail >= chain.slots {
            s.next_avail -= chain.slots;
        } else {
            s.next_avail = (s.next_avail + s.size.saturating_sub(chain.slots)) % s.size.max(1);
            s.avail_wrap = !s.avail_wrap;
        }
        self.budget += 1;
    }

    fn pop_split(&self, dma: &Dma, features: u64) -> Result<Chain, RingError> {
        let s = &self.state;
        let entry = u64::from(s.next_avail % s.size);
        let head = u16::from_le_bytes(dma.array(s.driver.wrapping_add(4 + 2 * entry))?);
        self.chain_at(head, dma, features)
    }

    /// The chain of a split ring that begins with descriptor `head`.
    fn chain_at(&self, head: u16, dma: &Dma, features: u64) -> Result<Chain, RingError> {
        let s = &self.state;
        let mut chain = Chain::new(head);
        let mut at = head;
        loop {
            if at >= s.size {
                return Err(RingError::Index(at));
            }
            let d = Descriptor::at(dma, s.desc, at)?;
            if d.third & INDIRECT != 0 {
                if features & feature::INDIRECT_DESC == 0 || d.third & NEXT != 0 {
                    return Err(RingError::Indirect);
                }
                indirect_split(dma, d.buffer, &mut chain)?;
                return Ok(chain);
            }
            add(&mut chain, d.buffer, d.third, usize::from(s.size))?;
            if d.third & NEXT == 0 {
                return Ok(chain);
            }
            at = d.fourth;
        }
    }

    fn pop_packed(&self, dma: &Dma, features: u64) -> Result<Chain, RingError> {
        let s = &self.state;
        let mut chain = Chain::new(0);
        let mut at = s.next_avail;
        loop {
            let d = Descriptor::at(dma, s.desc, at)?;
            chain.id = d.third;
            if d.fourth & INDIRECT != 0 {
                if features & feature::INDIRECT_DESC == 0 || d.fourth & NEXT != 0 {
                    return Err(RingError::Indirect);
                }
                indirect_packed(dma, d.buffer, &mut chain)?;
                return Ok(chain);
            }
            add(&mut chain, d.buffer, d.fourth, usize::from(s.size))?;
            if d.fourth & NEXT == 0 {
                return Ok(chain);
            }
            if chain.slots == s.size {
                return Err(RingError::Long);
            }
            chain.slots += 1;
            at = if at + 1 == s.size { 0 } else { at + 1 };
        }
    }

    /// The device is done with a chain of which it wrote `len` bytes.
    pub(super) fn push(&mut self, chain: &Chain, len: u64) {
        let slots = chain.slots.clamp(1, self.state.size.max(1));
        self.used.push(Used { id: chain.id, slots, len: u32::try_from(len).unwrap_or(u32::MAX) });
    }

    /// Tells the driver about all chains that are done; is an interrupt due?
    ///
    /// # Errors
    /// [`RingError`].
    pub(super) fn flush(&mut self, dma: &Dma, features: u64) -> Result<bool, RingError> {
        if core::mem::take(&mut self.called) {
            return Ok(true);
        }
        if self.used.is_empty() || !self.state.ready {
            self.used.clear();
            return Ok(false);
        }
        let packed = features & feature::RING_PACKED != 0;
        let used = core::mem::take(&mut self.used);
        let result = if packed { self.flush_packed(dma, &used) } else { self.flush_split(dma, &used) };
        self.used = used;
        self.used.clear();
        result?;
        fence(Ordering::SeqCst);
        if packed { self.signals_packed(dma, features) } else { self.signals_split(dma, features) }
    }

    fn flush_split(&mut self, dma: &Dma, used: &[Used]) -> Result<(), RingError> {
        let s = &mut self.state;
        for u in used {
            let mut entry = [0; 8];
            entry[..4].copy_from_slice(&u32::from(u.id).to_le_bytes());
            entry[4..].copy_from_slice(&u.len.to_le_bytes());
            dma.write(s.device.wrapping_add(4 + 8 * u64::from(s.next_used % s.size)), &entry)?;
            s.next_used = s.next_used.wrapping_add(1);
        }
        fence(Ordering::SeqCst);
        dma.write(s.device.wrapping_add(2), &s.next_used.to_le_bytes())?;
        Ok(())
    }

    /// The first entry is published last, so that a driver on another CPU sees all of them or none.
    fn flush_packed(&mut self, dma: &Dma, used: &[Used]) -> Result<(), RingError> {
        let s = &mut self.state;
        let mut first = None;
        for u in used {
            let at = s.desc.wrapping_add(16 * u64::from(s.next_used));
            let mut flags = if u.len != 0 { WRITE } else { 0 };
            if s.used_wrap {
                flags |= AVAIL | USED;
            }
            let mut entry = [0; 6];
            entry[..4].copy_from_slice(&u.len.to_le_bytes());
            entry[4..].copy_from_slice(&u.id.to_le_bytes());
            dma.write(at.wrapping_add(8), &entry)?;
            if first.is_none() {
                first = Some((at, flags));
            } else {
                fence(Ordering::SeqCst);
                dma.write(at.wrapping_add(14), &flags.to_le_bytes())?;
            }
            let wrap = s.used_wrap;
            (s.next_used, s.used_wrap) = step(s.next_used, s.used_wrap, u.slots, s.size);
            if wrap != s.used_wrap {
                s.signalled = None;
            }
        }
        if let Some((at, flags)) = first {
            fence(Ordering::SeqCst);
            dma.write(at.wrapping_add(14), &flags.to_le_bytes())?;
        }
        Ok(())
    }

    fn signals_split(&mut self, dma: &Dma, features: u64) -> Result<bool, RingError> {
        let s = &mut self.state;
        let before = s.signalled.replace(s.next_used);
        if features & feature::EVENT_IDX == 0 {
            return Ok(u16::from_le_bytes(dma.array(s.driver)?) & NO_INTERRUPT == 0);
        }
        let at = s.driver.wrapping_add(4 + 2 * u64::from(s.size));
        let event = u16::from_le_bytes(dma.array(at)?);
        Ok(before.is_none_or(|old| passed(event, s.next_used, old)))
    }

    fn signals_packed(&mut self, dma: &Dma, features: u64) -> Result<bool, RingError> {
        let s = &mut self.state;
        let before = s.signalled.replace(s.next_used);
        let [off, wrap, flags, _]: [u8; 4] = dma.array(s.driver)?;
        match u16::from(flags & 3) {
            EVENT_DISABLE => Ok(false),
            EVENT_DESC if features & feature::EVENT_IDX != 0 => {
                let event = u16::from_le_bytes([off, wrap & 0x7f]);
                let same = (wrap & 0x80 != 0) == s.used_wrap;
                let event = if same { event } else { event.wrapping_sub(s.size) };
                Ok(before.is_none_or(|old| passed(event, s.next_used, old)))
            }
            _ => Ok(true),
        }
    }
}

/// Marks a buffer that somebody else has written, as far as it is memory.
fn mark_written(dma: &Dma, buffer: Buffer) {
    let (mut at, mut left) = (buffer.addr, u64::from(buffer.len));
    while left != 0 {
        let Ok(span) = dma.span(at, left, true) else { return };
        let n = (span.len() as u64).clamp(1, left);
        at = at.wrapping_add(n);
        left -= n;
    }
}

/// A place in a packed ring `by` entries further on.
fn step(at: u16, wrap: bool, by: u16, size: u16) -> (u16, bool) {
    let next = u32::from(at) + u32::from(by);
    if next >= u32::from(size) { ((next - u32::from(size)) as u16, !wrap) } else { (next as u16, wrap) }
}

/// Did the index pass `event` on its way from `old` to `new`?  (2.7.10: `vring_need_event`)
fn passed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

fn add(chain: &mut Chain, buffer: Buffer, flags: u16, most: usize) -> Result<(), RingError> {
    if chain.len() >= most.min(MAX_CHAIN) {
        return Err(RingError::Long);
    }
    if chain.push(buffer, flags & WRITE != 0) { Ok(()) } else { Err(RingError::Order) }
}

/// The descriptors of an indirect table, as far as a chain may be long.
fn table(dma: &Dma, buffer: Buffer) -> Result<(Vec<u8>, usize), RingError> {
    let entries = (buffer.len / 16) as usize;
    if entries == 0 || !buffer.len.is_multiple_of(16) {
        return Err(RingError::Indirect);
    }
    let mut bytes = vec![0; 16 * entries.min(MAX_CHAIN)];
    dma.read(buffer.addr, &mut bytes)?;
    Ok((bytes, entries))
}

fn indirect_split(dma: &Dma, buffer: Buffer, chain: &mut Chain) -> Result<(), RingError> {
    let (bytes, entries) = table(dma, buffer)?;
    let (table, _) = bytes.as_chunks::<16>();
    let most = chain.len() + entries;
    let mut at = 0u16;
    loop {
        let d = Descriptor::new(*table.get(usize::from(at)).ok_or(RingError::Index(at))?);
        if d.third & INDIRECT != 0 {
            return Err(RingError::Indirect);
        }
        add(chain, d.buffer, d.third, most)?;
        if d.third & NEXT == 0 {
            return Ok(());
        }
        at = d.fourth;
    }
}

fn indirect_packed(dma: &Dma, buffer: Buffer, chain: &mut Chain) -> Result<(), RingError> {
    let (bytes, entries) = table(dma, buffer)?;
    if entries > MAX_CHAIN {
        return Err(RingError::Long);
    }
    let (table, _) = bytes.as_chunks::<16>();
    for entry in table {
        let d = Descriptor::new(*entry);
        if d.fourth & INDIRECT != 0 {
            return Err(RingError::Indirect);
        }
        add(chain, d.buffer, d.fourth, MAX_CHAIN)?;
    }
    Ok(())
}
