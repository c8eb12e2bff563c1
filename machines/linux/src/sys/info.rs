//! What the system and the process are: uname, sysinfo, limits, prctl, random bytes.

use crate::abi::structs::Utsname;
use crate::args::Out;
use crate::cx::{Cx, SysResult};
use tern_host::sys;

/// `uname(2)`: the host's names, the guest's machine, the release that this room follows.
pub fn uname(cx: &mut Cx<'_>, buf: Out<Utsname>) -> SysResult {
    let host = sys::proc::uname()?;
    let field = |text: &[u8]| {
        let mut out = [0; 65];
        let n = text.len().min(64);
        out[..n].copy_from_slice(&text[..n]);
        out
    };
    let names = Utsname {
        sysname: field(b"Linux"),
        nodename: field(&host.nodename),
        release: field(crate::start::release(&cx.process.config)),
        version: field(&host.version),
        machine: field(cx.isa().uname_machine.as_bytes()),
        domainname: field(&host.domainname),
    };
    cx.write(buf.0, &names)?;
    Ok(0)
}

/// `getpid(2)`.
pub fn getpid(cx: &mut Cx<'_>) -> SysResult {
    Ok(cx.process.pid as u64)
}

/// `getppid(2)`.
pub fn getppid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(sys::proc::getppid()? as u64)
}
