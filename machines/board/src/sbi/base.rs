//! The base extension (section 4).

use super::{Answer, Call, EXTENSIONS, Error, Extension, legacy};

pub(super) static EXTENSION: Extension = Extension { id: 0x10, call };

/// Version 2.0 of the specification.
const SPEC_VERSION: u64 = 2 << 24;
/// The implementation's number; the registry has none for tern, this is its name.
const IMPLEMENTATION: u64 = 0x7465_726e;
const IMPLEMENTATION_VERSION: u64 = 1;

fn call(call: &mut Call<'_>, function: u64) -> Answer {
    Ok(match function {
        0 => SPEC_VERSION,
        1 => IMPLEMENTATION,
        2 => IMPLEMENTATION_VERSION,
        3 => {
            let id = call.args[0];
            u64::from(EXTENSIONS.iter().any(|e| e.id == id) || legacy::has(id))
        }
        4..=6 => call.sbi.regs.id(call.host.state(call.cpu), function as usize - 4),
        _ => return Err(Error::NotSupported),
    })
}
