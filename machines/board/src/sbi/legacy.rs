//! The legacy extensions (section 5): one number a function, one register for the answer.

use super::{Call, Error, LINE_SSI, Request, console, ipi, timer};
use tern_core::mem::Size;

const SET_TIMER: u64 = 0;
const CONSOLE_PUTCHAR: u64 = 1;
const CONSOLE_GETCHAR: u64 = 2;
const CLEAR_IPI: u64 = 3;
const SEND_IPI: u64 = 4;
const REMOTE_FENCE_I: u64 = 5;
const REMOTE_SFENCE_VMA: u64 = 6;
const REMOTE_SFENCE_VMA_ASID: u64 = 7;
const SHUTDOWN: u64 = 8;

/// Is it one?
pub(super) fn has(id: u64) -> bool {
    id <= SHUTDOWN
}

/// Answers a call, if it is one: `Some(None)` has no answer.
pub(super) fn call(call: &mut Call<'_>, id: u64) -> Option<Option<u64>> {
    if !has(id) {
        return None;
    }
    if id == SHUTDOWN {
        call.host.request(Request::PowerOff(0));
        return Some(None);
    }
    Some(Some(answer(call, id).unwrap_or_else(|error| error as i64 as u64)))
}

fn answer(call: &mut Call<'_>, id: u64) -> Result<u64, Error> {
    match id {
        SET_TIMER => timer::set(call),
        CONSOLE_PUTCHAR => console::put(call, call.args[0] as u8),
        CONSOLE_GETCHAR => return Ok(console::get(call).map_or(u64::MAX, u64::from)),
        CLEAR_IPI => {
            let was = call.sbi.regs.set_software(call.host.state(call.cpu), false);
            call.host.set_line(call.cpu, LINE_SSI, false);
            return Ok(u64::from(was));
        }
        SEND_IPI => {
            let harts = harts(call)?;
            ipi::raise(call, &harts);
        }
        REMOTE_FENCE_I => {
            harts(call)?;
        }
        REMOTE_SFENCE_VMA | REMOTE_SFENCE_VMA_ASID => {
            let harts = harts(call)?;
            ipi::forget(call, &harts, call.args[1], call.args[2]);
        }
        _ => return Err(Error::NotSupported),
    }
    Ok(0)
}

/// The harts in the mask to which the first argument points, by the caller's own addresses; all without one.
fn harts(call: &mut Call<'_>) -> Result<Vec<usize>, Error> {
    let addr = call.args[0];
    if addr == 0 {
        return call.harts(0, call.sbi.regs.mask());
    }
    let size = if call.sbi.regs.is64() { Size::B8 } else { Size::B4 };
    let mask = call.host.load_virtual(call.cpu, addr, size).map_err(|_| Error::InvalidAddress)?;
    call.harts(mask, 0)
}
