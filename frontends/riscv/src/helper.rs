//! Helpers: what is too rare or too large to be IR.

use tern_core::frontend::{Helper, HelperCx, HelperExit};

/// Index of the helper that reads the time base.
pub(crate) const TIME: u16 = 0;

/// Nanoseconds per tick of the 10 MHz time base, as boards announce it in `timebase-frequency`.
const TICK_NS: u64 = 100;

/// All helpers; the constants above are indices.
pub(crate) static HELPERS: &[Helper] =
    &[Helper { name: "time", call: time, reads: false, writes: false, faults: false }];

fn time(cx: &mut HelperCx<'_>, _args: [u64; 3], _payload: u64) -> Result<u64, HelperExit> {
    Ok(cx.platform.time_ns(cx.icount) / TICK_NS)
}
