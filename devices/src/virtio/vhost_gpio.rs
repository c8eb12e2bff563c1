//! vhost-user-gpio: general-purpose pins that another process has (virtio 1.2, 5.18).
//!
//! Backend 0 is the process.

use super::vhost::{Remote, no_state, run_elsewhere};
use super::{Broken, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    41, "vhost-user-gpio", [], Misc, class 0x07_8000, legacy 0,
    "general-purpose pins of another process: vhost-user over a socket",
    [Prop::new("chardev", PropKind::Chardev, "the socket of the process")],
    None, |wants| {
        let mut remote = Remote::new(wants.vhost_user("chardev", 0, 1)?);
        let mut config = vec![0; CONFIG_LEN];
        remote.backend().read_config(&mut config)?;
        Ok(Box::new(VhostGpio { remote, config }))
    }
}

/// Feature bit (5.18.3): pins interrupt.
const IRQ: u64 = 1 << 0;
/// `ngpio`, two bytes of padding, `gpio_names_size` (5.18.4).
const CONFIG_LEN: usize = 8;
/// Requests, and events (5.18.2).
const QUEUES: [u16; 2] = [1024; 2];

/// The device.
struct VhostGpio {
    remote: Remote,
    config: Vec<u8>,
}

impl VirtioDevice for VhostGpio {
    run_elsewhere!();
    no_state!();

    fn features(&self) -> u64 {
        self.remote.features(IRQ)
    }

    fn queues(&self) -> Vec<u16> {
        QUEUES.to_vec()
    }

    fn config(&self) -> Vec<u8> {
        self.config.clone()
    }
}
