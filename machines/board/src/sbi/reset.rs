//! System reset (section 10).

use super::{Answer, Call, Error, Extension, Request};

pub(super) static EXTENSION: Extension = Extension { id: 0x5352_5354, call };

const SHUTDOWN: u32 = 0;
const COLD_REBOOT: u32 = 1;
const WARM_REBOOT: u32 = 2;
const NO_REASON: u32 = 0;
const SYSTEM_FAILURE: u32 = 1;
/// First number of types and reasons that implementations and vendors define.
const VENDOR: u32 = 0xe000_0000;

fn call(call: &mut Call<'_>, function: u64) -> Answer {
    if function != 0 {
        return Err(Error::NotSupported);
    }
    let (kind, reason) = (call.args[0] as u32, call.args[1] as u32);
    if !matches!(reason, NO_REASON | SYSTEM_FAILURE | VENDOR..) {
        return Err(Error::InvalidParam);
    }
    call.host.request(match kind {
        SHUTDOWN => Request::PowerOff(i32::from(reason == SYSTEM_FAILURE)),
        COLD_REBOOT | WARM_REBOOT => Request::Reset,
        0xf000_0000.. => return Err(Error::NotSupported),
        _ => return Err(Error::InvalidParam),
    });
    Ok(0)
}
