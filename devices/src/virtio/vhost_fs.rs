//! vhost-user-fs: a folder that another process serves, with FUSE's requests in virtqueues (virtio 1.2, 5.11; virtiofsd).
//!
//! Backend 0 is the process.  There is no DAX window, and no queue of notifications.

use super::vhost::{Remote, no_state, run_elsewhere};
use super::{Broken, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    26, "vhost-user-fs", [], Storage, class 0x01_8000, legacy 0,
    "folder of another process (virtiofsd): vhost-user over a socket",
    [
        Prop::new("chardev", PropKind::Chardev, "the socket of the process"),
        Prop::new("tag", PropKind::Text(""), "the name that the guest mounts it by"),
        Prop::new("num-request-queues", PropKind::Number(16, 1), "request queues"),
        Prop::new("queue-size", PropKind::Number(16, 128), "entries of a queue"),
        Prop::only("bootindex", &["*"]),
    ],
    None, |wants| {
        let props = wants.props;
        let tag = match props.text("tag") {
            "" => return Err("tag property not set".to_owned()),
            tag if tag.len() > TAG_LEN => return Err(format!("tag property must be {TAG_LEN} bytes or less")),
            tag => tag.to_owned(),
        };
        let (requests, size) = (props.number("num-request-queues") as u16, props.number("queue-size") as u16);
        if !(1..=1023).contains(&requests) {
            return Err("num-request-queues property must be larger than 0 and at most 1023".to_owned());
        }
        if !size.is_power_of_two() || size > 1024 {
            return Err("queue-size property must be a power of 2 and at most 1024".to_owned());
        }
        let remote = Remote::new(wants.vhost_user("chardev", 0, 1)?);
        Ok(Box::new(VhostFs { remote, tag, requests, size }))
    }
}

/// Bytes of the name.
const TAG_LEN: usize = 36;

/// The device.
struct VhostFs {
    remote: Remote,
    tag: String,
    requests: u16,
    size: u16,
}

impl VirtioDevice for VhostFs {
    run_elsewhere!();
    no_state!();

    fn features(&self) -> u64 {
        0
    }

    /// One for requests that must not wait, then those for others (5.11.2).
    fn queues(&self) -> Vec<u16> {
        vec![self.size; usize::from(self.requests) + 1]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.tag.clone().into_bytes();
        config.resize(TAG_LEN, 0);
        config.extend(u32::from(self.requests).to_le_bytes());
        config
    }
}
