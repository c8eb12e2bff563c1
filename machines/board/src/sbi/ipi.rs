//! Interrupts of other harts (section 7) and fences on them (section 8).

use super::{Answer, Call, Error, Extension, LINE_SSI};
use tern_core::system::Flush;
use tern_session::machine::CpuState;

pub(super) static EXTENSION: Extension = Extension { id: 0x73_5049, call: send };
pub(super) static RFENCE: Extension = Extension { id: 0x5246_4e43, call: fence };

fn send(call: &mut Call<'_>, function: u64) -> Answer {
    if function != 0 {
        return Err(Error::NotSupported);
    }
    let harts = call.harts(call.args[0], call.args[1])?;
    raise(call, &harts);
    Ok(0)
}

/// Makes the supervisor software interrupt of harts pending.
pub(super) fn raise(call: &mut Call<'_>, harts: &[usize]) {
    for hart in harts {
        if call.host.cpu_state(*hart) != CpuState::Stopped {
            call.sbi.regs.set_software(call.host.state(*hart), true);
            // The hart looks at what is pending when one of its inputs moves.
            call.host.set_line(*hart, LINE_SSI, false);
        }
    }
}

/// Most bytes of which a fence forgets page by page.
const FEW: u64 = 0x1_0000;
const PAGE: u64 = 0x1000;

fn fence(call: &mut Call<'_>, function: u64) -> Answer {
    let harts = call.harts(call.args[0], call.args[1])?;
    match function {
        // Stores to code are seen without a fence.
        0 => {}
        1 | 2 => forget(call, &harts, call.args[2], call.args[3]),
        // Guest addresses and whole guests.
        3..=6 => forget(call, &harts, 0, u64::MAX),
        _ => return Err(Error::NotSupported),
    }
    Ok(0)
}

/// Makes harts forget the translations of `size` bytes from `start` on: all, if both are 0 or the size is -1.
pub(super) fn forget(call: &mut Call<'_>, harts: &[usize], start: u64, size: u64) {
    for hart in harts {
        if size == 0 || size > FEW || start.checked_add(size).is_none() {
            call.host.flush(*hart, Flush::All);
            continue;
        }
        let mut page = start & !(PAGE - 1);
        while page < start + size {
            call.host.flush(*hart, Flush::Page(page));
            page += PAGE;
        }
    }
}
