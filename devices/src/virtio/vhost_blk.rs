//! vhost-user-blk: a disk that another process serves (virtio 1.2, 5.2; vhost-user, e.g. qemu-storage-daemon).
//!
//! Backend 0 is the process.

use super::vhost::{Remote, run_elsewhere};
use super::{Broken, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    2, "vhost-user-blk", mmio "vhost-user-blk", [], Storage, class 0x01_0000, legacy 0x1001,
    "disk of another process: vhost-user over a socket",
    [
        Prop::new("chardev", PropKind::Chardev, "the socket of the process"),
        Prop::new("num-queues", PropKind::Number(16, AUTO), "request queues"),
        Prop::new("queue-size", PropKind::Number(16, 128), "entries of a queue"),
        Prop::new("config-wce", PropKind::Bool(true), "offer to switch the cache between write-back and write-through"),
        Prop::new("discard", PropKind::Bool(true), "offer discard"),
        Prop::new("write-zeroes", PropKind::Bool(true), "offer write-zeroes"),
        Prop::only("bootindex", &["*"]),
    ],
    None, |wants| {
        let props = wants.props;
        let queues = match props.number("num-queues") {
            AUTO => 1,
            n => n as u16,
        };
        let size = props.number("queue-size") as u16;
        if !(1..=1024).contains(&queues) {
            return Err("vhost-user-blk: invalid number of IO queues".to_owned());
        }
        if !size.is_power_of_two() || size > 1024 {
            return Err("vhost-user-blk: queue size must be a power of two, at most 1024".to_owned());
        }
        let mut remote = Remote::new(wants.vhost_user("chardev", 0, queues)?);
        let mut config = vec![0; CONFIG_LEN];
        remote.backend().read_config(&mut config)?;
        let mut features = FEATURES;
        for (prop, bit) in [("config-wce", CONFIG_WCE), ("discard", DISCARD), ("write-zeroes", WRITE_ZEROES)] {
            if !props.bool(prop) {
                features &= !bit;
            }
        }
        if queues == 1 {
            features &= !MQ;
        }
        let features = remote.features(features);
        let writeback = config[WRITEBACK_AT];
        Ok(Box::new(VhostBlk { remote, config, features, queues, size, state: State { writeback } }))
    }
}

/// The value of `num-queues` that leaves the number to tern.
const AUTO: u64 = 0xffff;

/// Feature bits (5.2.3).
const CONFIG_WCE: u64 = 1 << 11;
const MQ: u64 = 1 << 12;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;
/// Those that the process may offer: also SIZE_MAX, SEG_MAX, GEOMETRY, RO, BLK_SIZE, FLUSH, TOPOLOGY.
const FEATURES: u64 =
    1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | CONFIG_WCE | MQ | DISCARD | WRITE_ZEROES;
/// Length of the configuration space, up to the fields of write-zeroes.
const CONFIG_LEN: usize = 60;
/// Offsets in it: `writeback`, `num_queues`.
const WRITEBACK_AT: usize = 32;
const QUEUES_AT: usize = 34;

/// What is saved.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct State {
    /// What the driver has made of it.
    writeback: u8,
}

/// The device.
struct VhostBlk {
    remote: Remote,
    /// The configuration space as the process has told it.
    config: Vec<u8>,
    features: u64,
    queues: u16,
    size: u16,
    state: State,
}

impl VhostBlk {
    /// Tells the process what the cache is to be, if it offers that.
    fn set_writeback(&mut self, writeback: u8) -> Result<(), String> {
        if self.state.writeback != writeback {
            self.remote.backend().write_config(WRITEBACK_AT as u32, &[writeback])?;
            self.state.writeback = writeback;
        }
        Ok(())
    }
}

impl VirtioDevice for VhostBlk {
    run_elsewhere!();

    fn features(&self) -> u64 {
        self.features
    }

    fn queues(&self) -> Vec<u16> {
        vec![self.size; usize::from(self.queues)]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.config.clone();
        config[WRITEBACK_AT] = self.state.writeback;
        config[QUEUES_AT..QUEUES_AT + 2].copy_from_slice(&self.queues.to_le_bytes());
        config
    }

    /// Only `writeback` can be changed (5.2.5.1).
    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        match data {
            [writeback] if offset as usize == WRITEBACK_AT && cx.has(CONFIG_WCE) => {
                if let Err(e) = self.set_writeback(*writeback) {
                    cx.kit.report.unimplemented(format_args!("vhost-user: {e}"));
                }
            }
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn reset(&mut self, _clock: &Clock) {
        self.remote.stop();
        let writeback = self.config[WRITEBACK_AT];
        // A process that is gone begins like that anyway.
        let _ = self.set_writeback(writeback);
        self.state.writeback = writeback;
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        let possible = self.features & CONFIG_WCE != 0 || state.writeback == self.config[WRITEBACK_AT];
        snapshot::check(possible, "writeback", || format!("{}", state.writeback))?;
        self.remote.stop();
        // As in `reset`.
        let _ = self.set_writeback(state.writeback);
        self.state = state;
        self.remote.renew();
        Ok(())
    }
}
