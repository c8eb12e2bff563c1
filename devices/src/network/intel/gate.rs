//! Interrupt throttling (8254x manual, 13.4.18; 82576 datasheet, 7.3.4): after an interrupt, the next one waits until an
//! interval has passed.

use serde::{Deserialize, Serialize};
use tern_core::time::Clock;

/// One interrupt's throttle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gate {
    /// Closed until then, in guest nanoseconds.
    until: u64,
    /// Does an interrupt wait?
    pub(super) held: bool,
}

impl Gate {
    /// May an interrupt go out now?  If not, it is held and event `token` comes when it may.  `interval` in nanoseconds.
    pub(super) fn pass(&mut self, clock: &Clock, token: u32, interval: u64) -> bool {
        let now = clock.now();
        if now < self.until {
            self.held = true;
            clock.schedule(token, self.until);
            return false;
        }
        self.held = false;
        self.until = now.saturating_add(interval);
        true
    }
}
