//! The part of a virtio device whose queues another process runs.  (vhost-user; see [`tern_core::backend::vhost`])
//!
//! The device keeps negotiation and configuration; rings are handed over when the driver is ready, and again when the
//! process comes back.  Split rings only; single queues cannot be reset; addresses must be physical.

use super::{Broken, Cx, feature};
use tern_core::backend::{VhostEvent, VhostRing, VhostUser};

/// Features of rings that the process has to offer before the driver sees them.
const RINGS: u64 = feature::ANY_LAYOUT | feature::INDIRECT_DESC | feature::EVENT_IDX | feature::VERSION_1;
/// Events that come in at once.
const EVENTS: usize = 64;

/// The other process and what it does for this device.
pub(super) struct Remote {
    backend: Box<dyn VhostUser>,
    /// Rings that have been handed over.
    running: bool,
}

impl Remote {
    /// Nothing runs yet.
    pub(super) fn new(backend: Box<dyn VhostUser>) -> Remote {
        Remote { backend, running: false }
    }

    /// The process.
    pub(super) fn backend(&mut self) -> &mut dyn VhostUser {
        &mut *self.backend
    }

    /// What the process offers of the features `mask`.
    pub(super) fn features(&self, mask: u64) -> u64 {
        self.backend.features() & mask
    }

    /// See [`super::VirtioDevice::ring_features`].
    pub(super) fn ring_features(&self) -> u64 {
        self.features(RINGS)
    }

    /// Do its rings run?
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Hands queues over that the driver uses; `enabled` says which are to run at once.  With `again` they go on where they
    /// were left.
    pub(super) fn start(
        &mut self,
        cx: &mut Cx<'_>,
        queues: core::ops::Range<u16>,
        again: bool,
        enabled: impl Fn(u16) -> bool,
    ) -> Result<(), Broken> {
        if self.running || !cx.live() || !self.backend.connected() {
            return Ok(());
        }
        let mut rings: Vec<VhostRing> = Vec::new();
        for queue in queues {
            if let Some(ring) = cx.lend(queue, again)? {
                rings.push(VhostRing { enabled: enabled(queue), ..ring });
            }
        }
        let memory = cx.kit.dma.shared();
        let features = self.backend.features() & cx.features();
        match self.backend.start(features, &memory, &rings) {
            Ok(()) => {
                self.running = true;
                // The driver may have put something in before anybody looked.
                rings.iter().for_each(|ring| self.backend.kick(ring.queue));
            }
            Err(e) => cx.kit.report.unimplemented(format_args!("vhost-user: {e}")),
        }
        Ok(())
    }

    /// The driver has put buffers into a queue.
    pub(super) fn notify(&mut self, queue: u16) {
        if self.running {
            self.backend.kick(queue);
        }
    }

    /// Bytes of events that it takes.
    pub(super) fn room() -> usize {
        EVENTS * VhostEvent::SIZE
    }

    /// Input: queues that were used are signalled.  The last word on whether the process is there, if one was said.
    pub(super) fn receive(&mut self, cx: &mut Cx<'_>, data: &[u8]) -> Option<bool> {
        let mut there = None;
        for event in VhostEvent::all(data) {
            match event {
                VhostEvent::Used(queue) => cx.called(queue),
                VhostEvent::Up => there = Some(true),
                VhostEvent::Down => {
                    self.running = false;
                    there = Some(false);
                }
            }
        }
        there
    }

    /// The driver has reset the device, or a queue of it.
    pub(super) fn stop(&mut self) {
        if core::mem::take(&mut self.running) {
            self.backend.stop();
        }
    }

    /// A state was loaded: rings run when the process has said that it is there.
    pub(super) fn renew(&mut self) {
        self.stop();
        self.backend.renew();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Declares the methods of [`super::VirtioDevice`] that are alike in all devices whose queues, numbers 0 to
/// `self.queues().len()`, are all run by `self.remote`.
macro_rules! run_elsewhere {
    () => {
        fn kind(&self) -> &'static super::Kind {
            &KIND
        }

        fn ring_features(&self) -> u64 {
            self.remote.ring_features()
        }

        fn activate(&mut self, cx: &mut Cx<'_>) {
            let queues = 0..self.queues().len() as u16;
            // A broken ring has been counted, and the device needs a reset.
            let _ = self.remote.start(cx, queues, false, |_| true);
        }

        fn notify(&mut self, _cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
            self.remote.notify(queue);
            Ok(())
        }

        fn queue_reset(&mut self, _queue: u16) {
            self.remote.stop();
        }

        fn room(&mut self, _cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
            Ok(if port == 0 { super::vhost::Remote::room() } else { 0 })
        }

        fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
            if port == 0 && self.remote.receive(cx, data) == Some(true) {
                let queues = 0..self.queues().len() as u16;
                self.remote.start(cx, queues, true, |_| true)?;
            }
            Ok(())
        }
    };
}

/// Declares the methods of those that have no state but the process's.
macro_rules! no_state {
    () => {
        fn reset(&mut self, _clock: &Clock) {
            self.remote.stop();
        }

        fn save(&self) -> Result<Vec<u8>, StateError> {
            snapshot::save(KIND.mmio, 1, &())
        }

        fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
            let () = snapshot::load(KIND.mmio, 1, bytes)?;
            self.remote.renew();
            Ok(())
        }
    };
}
pub(super) use {no_state, run_elsewhere};
