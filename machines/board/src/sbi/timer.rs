//! The timer extension (section 6).

use super::{Answer, Call, Error, Extension, LINE_STI};

pub(super) static EXTENSION: Extension = Extension { id: 0x5449_4d45, call };

fn call(call: &mut Call<'_>, function: u64) -> Answer {
    match function {
        0 => {
            set(call);
            Ok(0)
        }
        _ => Err(Error::NotSupported),
    }
}

/// Sets the hart's timer, and takes back the interrupt of the one before; a time that never comes clears it.
pub(super) fn set(call: &mut Call<'_>) {
    let ticks = call.wide(0);
    call.sbi.regs.set_stimecmp(call.host.state(call.cpu), ticks);
    call.host.set_timer(call.cpu, LINE_STI, ticks.checked_mul(call.sbi.config.tick_ns));
}
