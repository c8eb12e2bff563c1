//! virtio-rng: random bytes for the guest (virtio 1.2, 5.4).

use super::{Broken, Cx, Kind, VirtioDevice};
use crate::model::{Prop, PropKind};
use tern_core::backend::Entropy;
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    4, "virtio-rng", [], Misc, class 0x00_ff00, legacy 0x1005,
    "virtio entropy source",
    [
        Prop::new("rng", PropKind::Link("rng-backend"), "the source; else the host's entropy"),
        Prop::only("max-bytes", &["9223372036854775807"]),
        Prop::only("period", &["65536"]),
    ],
    None, |wants| Ok(Box::new(Rng::new(wants.entropy("rng")?)))
}

const QUEUE: u16 = 0;
const QUEUE_SIZE: u16 = 64;
/// Most bytes for one request; a driver that wants more asks again (5.4.6.1).
const MOST: u64 = 0x1_0000;

/// The device.
pub struct Rng {
    source: Box<dyn Entropy>,
}

impl Rng {
    /// One that hands out what `source` has.
    #[must_use]
    pub fn new(source: Box<dyn Entropy>) -> Rng {
        Rng { source }
    }

    /// Serves requests as long as there are random bytes.
    fn serve(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(QUEUE)? {
            if chain.writable() == 0 {
                cx.kit.report.guest_error(format_args!("a request without room for random bytes"));
                cx.push(QUEUE, &chain);
                continue;
            }
            let mut buf = vec![0; chain.writable().min(MOST) as usize];
            let n = self.source.fill(&mut buf).min(buf.len());
            if n == 0 {
                cx.unpop(QUEUE, &chain);
                break;
            }
            cx.write(&mut chain, &buf[..n])?;
            cx.push(QUEUE, &chain);
        }
        Ok(())
    }
}

impl VirtioDevice for Rng {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn notify(&mut self, cx: &mut Cx<'_>, _queue: u16) -> Result<(), Broken> {
        self.serve(cx)
    }

    /// The source has random bytes again.
    fn changed(&mut self, cx: &mut Cx<'_>, _port: u32) {
        // What is broken has been counted.
        let _ = self.serve(cx);
    }

    fn reset(&mut self, _clock: &Clock) {}

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.source.position())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.source.seek(snapshot::load(KIND.mmio, 1, bytes)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tern_core::device::Device as _;
    use super::super::testing::Driver;
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    struct Limited(Rc<Cell<usize>>);

    impl Entropy for Limited {
        fn fill(&mut self, buf: &mut [u8]) -> usize {
            let n = self.0.take().min(buf.len());
            buf[..n].fill(0xa5);
            n
        }
    }

    #[test]
    fn requests_are_filled_as_far_as_there_are_bytes() {
        let left = Rc::new(Cell::new(5));
        let mut driver = Driver::split(0, |_| Box::new(Rng::new(Box::new(Limited(left.clone())))));
        let done = driver.ask(0, &[], &[3, 8]);
        assert_eq!((done.len, &done.data[..6]), (5, &[0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0][..]));
        driver.add(0, &[], &[4], false);
        driver.kick(0);
        assert!(driver.done(0).is_none());
        left.set(100);
        driver.device.changed(0);
        assert_eq!(driver.done(0).map(|done| done.data), Some(vec![0xa5; 4]));
        assert_eq!(driver.ask(0, &[b"no room"], &[]).len, 0);
        assert_eq!((driver.bench.guest_errors(), driver.is_broken()), (1, false));
    }
}
