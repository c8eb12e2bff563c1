//! The debug console (section 12): the board's 16550, as firmware in the guest would use it.

use super::{Answer, Call, Error, Extension};
use tern_core::mem::Size;

pub(super) static EXTENSION: Extension = Extension { id: 0x4442_434e, call };

/// Offsets of the 16550's registers: data, line status.
const DATA: u64 = 0;
const STATUS: u64 = 5;
/// Bit of the line status: there is a byte.
const READY: u64 = 1;

/// Most bytes that one call moves; callers see how many were.
const MOST: u64 = 0x1_0000;

fn call(call: &mut Call<'_>, function: u64) -> Answer {
    match function {
        0 => write(call),
        1 => read(call),
        2 => {
            put(call, call.args[0] as u8);
            Ok(0)
        }
        _ => Err(Error::NotSupported),
    }
}

/// The buffer of a call: address and length.
fn buffer(call: &Call<'_>) -> (u64, usize) {
    let [len, low, high, ..] = call.args;
    let addr = if call.sbi.regs.is64() { low } else { low | high << 32 };
    // The upper half is 0 on RV64, where physical addresses fit into one register.
    (if call.sbi.regs.is64() && high != 0 { u64::MAX } else { addr }, len.min(MOST) as usize)
}

fn write(call: &mut Call<'_>) -> Answer {
    let (addr, len) = buffer(call);
    let mut bytes = vec![0; len];
    call.host.memory().read(addr, &mut bytes).map_err(|_| Error::InvalidParam)?;
    for byte in &bytes {
        put(call, *byte);
    }
    Ok(len as u64)
}

fn read(call: &mut Call<'_>) -> Answer {
    let (addr, len) = buffer(call);
    // Bytes that have been taken from the port must have somewhere to go.
    let mut bytes = vec![0; len];
    call.host.memory().read(addr, &mut bytes).map_err(|_| Error::InvalidParam)?;
    bytes.clear();
    while bytes.len() < len
        && let Some(byte) = get(call)
    {
        bytes.push(byte);
    }
    call.host.memory().write(addr, &bytes).map_err(|_| Error::InvalidParam)?;
    Ok(bytes.len() as u64)
}

pub(super) fn put(call: &mut Call<'_>, byte: u8) {
    if let Some(uart) = call.sbi.config.uart {
        call.host.store(uart + DATA, Size::B1, byte.into());
    }
}

pub(super) fn get(call: &mut Call<'_>) -> Option<u8> {
    let uart = call.sbi.config.uart?;
    let ready = call.host.load(uart + STATUS, Size::B1)? & READY != 0;
    if ready { call.host.load(uart + DATA, Size::B1).map(|byte| byte as u8) } else { None }
}
