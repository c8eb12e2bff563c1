//! What a virtio device works with while it is called: its queues, memory, time, and ways to tell the driver.

use super::chain::Chain;
use super::queue::{Queue, RingError};
use core::fmt;
use tern_core::backend::VhostRing;
use tern_core::device::{BusError, Kit};

/// The driver broke its side of the contract: this has been counted, and the device needs a reset.
#[derive(Debug)]
pub struct Broken(());

/// What a call of the device leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Outcome {
    /// The configuration space changed.
    pub(super) config: bool,
    /// The device needs a reset.
    pub(super) broken: bool,
}

/// What a virtio device works with while it is called.
pub struct Cx<'a> {
    /// Clock, memory, counters.
    pub kit: &'a Kit,
    features: u64,
    live: bool,
    queues: &'a mut [Queue],
    outcome: &'a mut Outcome,
}

impl<'a> Cx<'a> {
    pub(super) fn new(
        kit: &'a Kit,
        features: u64,
        live: bool,
        queues: &'a mut [Queue],
        outcome: &'a mut Outcome,
    ) -> Cx<'a> {
        queues.iter_mut().for_each(Queue::begin);
        Cx { kit, features, live, queues, outcome }
    }

    /// The features that driver and device agreed on.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.features
    }

    /// Are all bits of `feature` agreed on?
    #[must_use]
    pub fn has(&self, feature: u64) -> bool {
        self.features & feature == feature
    }

    /// May the queues be used?
    #[must_use]
    pub fn live(&self) -> bool {
        self.live
    }

    /// Counts a violation after which the device needs a reset.
    pub fn broken(&mut self, text: fmt::Arguments<'_>) -> Broken {
        self.kit.report.guest_error(text);
        self.outcome.broken = true;
        self.live = false;
        Broken(())
    }

    fn ring(&mut self, queue: u16, e: RingError) -> Broken {
        self.broken(format_args!("queue {queue}: {e}"))
    }

    fn bus(&mut self, e: BusError) -> Broken {
        self.broken(format_args!("buffer: {e}"))
    }

    /// Does queue `queue` hold a chain?
    ///
    /// # Errors
    /// A broken ring.
    pub fn available(&mut self, queue: u16) -> Result<bool, Broken> {
        let Some(q) = self.queues.get(usize::from(queue)).filter(|_| self.live) else { return Ok(false) };
        q.available(&self.kit.dma, self.features).map_err(|e| self.ring(queue, e))
    }

    /// Takes the next chain of queue `queue`.  A device that got `None` is called again by `notify` when there is more.
    ///
    /// # Errors
    /// A broken ring.
    pub fn pop(&mut self, queue: u16) -> Result<Option<Chain>, Broken> {
        let Some(q) = self.queues.get_mut(usize::from(queue)).filter(|_| self.live) else { return Ok(None) };
        q.pop(&self.kit.dma, self.features).map_err(|e| self.ring(queue, e))
    }

    /// How many bytes the next chain of queue `queue` takes; `None`: there is no chain.  For [`super::VirtioDevice::room`],
    /// which is asked at times that differ from run to run: nothing changes that the guest could see, and a broken ring is
    /// found when something arrives (I1).
    #[must_use]
    pub fn peek(&self, queue: u16) -> Option<u64> {
        let q = self.queues.get(usize::from(queue)).filter(|_| self.live)?;
        match q.peek(&self.kit.dma, self.features) {
            Ok(chain) => chain.map(|chain| chain.writable()),
            Err(_) => Some(0),
        }
    }

    /// Gives back a chain; those taken after it must have been given back before.
    pub fn unpop(&mut self, queue: u16, chain: &Chain) {
        if let Some(q) = self.queues.get_mut(usize::from(queue)) {
            q.unpop(chain, self.features);
        }
    }

    /// Is done with a chain, of which [`Chain::written`] bytes were written.  The driver hears of it when the device
    /// returns.
    pub fn push(&mut self, queue: u16, chain: &Chain) {
        self.push_len(queue, chain, chain.written());
    }

    /// As [`Cx::push`], for a device that wrote `len` bytes, from the first one on.
    pub fn push_len(&mut self, queue: u16, chain: &Chain, len: u64) {
        if let Some(q) = self.queues.get_mut(usize::from(queue)) {
            q.push(chain, len);
        }
    }

    /// The next bytes of a chain's readable side; see [`Chain::read`].
    ///
    /// # Errors
    /// An address without memory.
    pub fn read(&mut self, chain: &mut Chain, buf: &mut [u8]) -> Result<usize, Broken> {
        chain.read(&self.kit.dma, buf).map_err(|e| self.bus(e))
    }

    /// The next `N` bytes of a chain's readable side, `None` if there are less.
    ///
    /// # Errors
    /// An address without memory.
    pub fn array<const N: usize>(&mut self, chain: &mut Chain) -> Result<Option<[u8; N]>, Broken> {
        let mut bytes = [0; N];
        Ok((self.read(chain, &mut bytes)? == N).then_some(bytes))
    }

    /// Writes the next bytes of a chain's writable side; see [`Chain::write`].
    ///
    /// # Errors
    /// An address without writable memory.
    pub fn write(&mut self, chain: &mut Chain, buf: &[u8]) -> Result<usize, Broken> {
        chain.write(&self.kit.dma, buf).map_err(|e| self.bus(e))
    }

    /// Writes anywhere in a chain's writable side; see [`Chain::write_at`].
    ///
    /// # Errors
    /// An address without writable memory.
    pub fn write_at(&mut self, chain: &Chain, offset: u64, buf: &[u8]) -> Result<usize, Broken> {
        chain.write_at(&self.kit.dma, offset, buf).map_err(|e| self.bus(e))
    }

    /// A queue's ring, for another process that is to run it from now on: see [`VhostRing`].  With `again` it goes on after
    /// what has been used; `None`: the driver does not use the queue.
    ///
    /// # Errors
    /// A broken ring.
    pub fn lend(&mut self, queue: u16, again: bool) -> Result<Option<VhostRing>, Broken> {
        let Some(q) = self.queues.get_mut(usize::from(queue)).filter(|_| self.live) else { return Ok(None) };
        q.lend(queue, again, &self.kit.dma).map_err(|e| self.ring(queue, e))
    }

    /// The other process has used buffers of a queue and wants the driver to hear of it.
    pub fn called(&mut self, queue: u16) {
        if let Some(q) = self.queues.get_mut(usize::from(queue)).filter(|q| self.live && q.state.ready) {
            q.called = true;
            q.used_elsewhere(&self.kit.dma, self.features);
        }
    }

    /// The configuration space has changed: the driver will be told.
    pub fn config_changed(&mut self) {
        self.outcome.config = true;
    }
}
