//! Hart state management (section 9).

use super::{Answer, Call, Error, Extension};
use tern_session::machine::CpuState;

pub(super) static EXTENSION: Extension = Extension { id: 0x48_534d, call };

/// What a function answers when the hart must not see an answer.
pub(super) const NO_ANSWER: u64 = u64::MAX;

const STARTED: u64 = 0;
const STOPPED: u64 = 1;
const SUSPENDED: u64 = 4;

const SUSPEND_RETENTIVE: u32 = 0;
const SUSPEND_NON_RETENTIVE: u32 = 0x8000_0000;

fn call(call: &mut Call<'_>, function: u64) -> Answer {
    match function {
        0 => start(call),
        1 => {
            call.host.stop_cpu(call.cpu);
            Ok(NO_ANSWER)
        }
        2 => {
            let hart = hart(call)?;
            Ok(status(call, hart))
        }
        3 => suspend(call),
        _ => Err(Error::NotSupported),
    }
}

/// The hart that the first argument names.
fn hart(call: &Call<'_>) -> Result<usize, Error> {
    let hart = call.args[0];
    if hart < call.host.cpus() as u64 { Ok(hart as usize) } else { Err(Error::InvalidParam) }
}

fn status(call: &Call<'_>, hart: usize) -> u64 {
    let asked = call.sbi.suspended.get(hart).copied().unwrap_or(false);
    match call.host.cpu_state(hart) {
        CpuState::Stopped => STOPPED,
        CpuState::Waiting if asked => SUSPENDED,
        CpuState::Waiting | CpuState::Running => STARTED,
    }
}

/// Is there memory at `addr` that a hart may run?
fn runnable(call: &mut Call<'_>, addr: u64) -> Result<(), Error> {
    call.host.memory().read(addr, &mut [0; 2]).ok().filter(|()| addr & 1 == 0).ok_or(Error::InvalidAddress)
}

fn start(call: &mut Call<'_>) -> Answer {
    let (hart, [_, addr, opaque, ..]) = (hart(call)?, call.args);
    if call.host.cpu_state(hart) != CpuState::Stopped {
        return Err(Error::AlreadyAvailable);
    }
    runnable(call, addr)?;
    call.sbi.start(call.host, hart, addr, opaque);
    Ok(0)
}

fn suspend(call: &mut Call<'_>) -> Answer {
    let [kind, addr, opaque, ..] = call.args;
    let answer = match kind as u32 {
        SUSPEND_RETENTIVE => 0,
        SUSPEND_NON_RETENTIVE => {
            runnable(call, addr)?;
            let hart = call.cpu as u64;
            call.sbi.regs.resume_at(call.host.state(call.cpu), addr, hart, opaque);
            NO_ANSWER
        }
        // Both halves have a reserved part and one for platforms.
        n if n & 0x7fff_ffff >= 0x1000_0000 => return Err(Error::NotSupported),
        _ => return Err(Error::InvalidParam),
    };
    if let Some(suspended) = call.sbi.suspended.get_mut(call.cpu) {
        *suspended = true;
    }
    call.host.wait_cpu(call.cpu);
    Ok(answer)
}
