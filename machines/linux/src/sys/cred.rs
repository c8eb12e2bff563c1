//! Users, groups, capabilities: the host process's own.  The guest's threads run on one host thread, so a change holds for
//! all of them, which is what C libraries make of these calls anyway.

use crate::abi::process_structs::{CapData, CapHeader};
use crate::abi::{Errno, Field, GuestPtr};
use crate::args::{Id, InArr, Int, Out, Ptr};
use crate::cx::{Cx, SysResult};
use tern_host::sys;
use tern_host::sys::cred::{Caps, Ids};

/// Most supplementary groups (`NGROUPS_MAX`).
const GROUPS_MAX: i32 = 65536;
/// Versions of the capability structures: one and two words for each set.
const CAP_V1: u32 = 0x1998_0330;
const CAP_V2: u32 = 0x2007_1026;
const CAP_V3: u32 = 0x2008_0522;

/// `getuid(2)`.
pub fn getuid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(u64::from(sys::cred::getresuid()?.real))
}

/// `geteuid(2)`.
pub fn geteuid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(u64::from(sys::cred::getresuid()?.effective))
}

/// `getgid(2)`.
pub fn getgid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(u64::from(sys::cred::getresgid()?.real))
}

/// `getegid(2)`.
pub fn getegid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(u64::from(sys::cred::getresgid()?.effective))
}

fn put_ids(cx: &mut Cx<'_>, ids: Ids, real: Out<u32>, effective: Out<u32>, saved: Out<u32>) -> SysResult {
    cx.write(real.0, &ids.real)?;
    cx.write(effective.0, &ids.effective)?;
    cx.write(saved.0, &ids.saved)?;
    Ok(0)
}

/// `getresuid(2)`.
pub fn getresuid(cx: &mut Cx<'_>, real: Out<u32>, effective: Out<u32>, saved: Out<u32>) -> SysResult {
    put_ids(cx, sys::cred::getresuid()?, real, effective, saved)
}

/// `getresgid(2)`.
pub fn getresgid(cx: &mut Cx<'_>, real: Out<u32>, effective: Out<u32>, saved: Out<u32>) -> SysResult {
    put_ids(cx, sys::cred::getresgid()?, real, effective, saved)
}

/// `setuid(2)`.
pub fn setuid(_cx: &mut Cx<'_>, uid: Id) -> SysResult {
    sys::cred::setuid(uid.0)?;
    Ok(0)
}

/// `setgid(2)`.
pub fn setgid(_cx: &mut Cx<'_>, gid: Id) -> SysResult {
    sys::cred::setgid(gid.0)?;
    Ok(0)
}

/// `setreuid(2)`.
pub fn setreuid(_cx: &mut Cx<'_>, real: Id, effective: Id) -> SysResult {
    sys::cred::setreuid(real.0, effective.0)?;
    Ok(0)
}

/// `setregid(2)`.
pub fn setregid(_cx: &mut Cx<'_>, real: Id, effective: Id) -> SysResult {
    sys::cred::setregid(real.0, effective.0)?;
    Ok(0)
}

/// `setresuid(2)`.
pub fn setresuid(_cx: &mut Cx<'_>, real: Id, effective: Id, saved: Id) -> SysResult {
    sys::cred::setresuid(Ids { real: real.0, effective: effective.0, saved: saved.0 })?;
    Ok(0)
}

/// `setresgid(2)`.
pub fn setresgid(_cx: &mut Cx<'_>, real: Id, effective: Id, saved: Id) -> SysResult {
    sys::cred::setresgid(Ids { real: real.0, effective: effective.0, saved: saved.0 })?;
    Ok(0)
}

/// `setfsuid(2)`.
pub fn setfsuid(_cx: &mut Cx<'_>, uid: Id) -> SysResult {
    Ok(u64::from(sys::cred::setfsuid(uid.0)))
}

/// `setfsgid(2)`.
pub fn setfsgid(_cx: &mut Cx<'_>, gid: Id) -> SysResult {
    Ok(u64::from(sys::cred::setfsgid(gid.0)))
}

/// `getgroups(2)`.
pub fn getgroups(cx: &mut Cx<'_>, count: Int, list: Ptr) -> SysResult {
    let groups = sys::cred::getgroups()?;
    if count.0 < 0 || (count.0 != 0 && (count.0 as usize) < groups.len()) {
        return Err(Errno::EINVAL.into());
    }
    if count.0 != 0 {
        let abi = cx.abi();
        let bytes: Vec<u8> = groups.iter().flat_map(|g| u32::to_bytes(g, abi)).collect();
        cx.put_bytes(list.0, &bytes)?;
    }
    Ok(groups.len() as u64)
}

/// `setgroups(2)`.
pub fn setgroups(cx: &mut Cx<'_>, count: Int, list: InArr<u32>) -> SysResult {
    if !(0..=GROUPS_MAX).contains(&count.0) {
        return Err(Errno::EINVAL.into());
    }
    let groups = list.get(cx, count.0 as u64)?;
    sys::cred::setgroups(&groups)?;
    Ok(0)
}

/// The header of a capability call: the words per set, and the process; an unknown version is answered with the current.
fn header(cx: &mut Cx<'_>, head: &Out<CapHeader>) -> Result<(u64, i32), Errno> {
    let h = cx.read(head.0)?;
    let words = match h.version {
        CAP_V1 => 1,
        CAP_V2 | CAP_V3 => 2,
        _ => {
            cx.write(head.0, &CapHeader { version: CAP_V3, ..h })?;
            return Err(Errno::EINVAL);
        }
    };
    let own = cx.process.threads.contains_key(&h.pid);
    Ok((words, if own { 0 } else { h.pid }))
}

/// `capget(2)`.
pub fn capget(cx: &mut Cx<'_>, head: Out<CapHeader>, data: Ptr) -> SysResult {
    let header = header(cx, &head);
    let (words, pid) = match header {
        // Without room for data it only asks for the version.
        Err(Errno::EINVAL) if data.0 == 0 => return Ok(0),
        other => other?,
    };
    if pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let caps = sys::cred::capget(pid)?;
    if data.0 == 0 {
        return Ok(0);
    }
    let abi = cx.abi();
    for n in 0..words {
        let word = |set: u64| (set >> (32 * n)) as u32;
        let value = CapData {
            effective: word(caps.effective),
            permitted: word(caps.permitted),
            inheritable: word(caps.inheritable),
        };
        cx.write(GuestPtr::<CapData>::new(data.0).at(n, abi), &value)?;
    }
    Ok(0)
}

/// `capset(2)`.
pub fn capset(cx: &mut Cx<'_>, head: Out<CapHeader>, data: InArr<CapData>) -> SysResult {
    let (words, pid) = header(cx, &head)?;
    if pid != 0 {
        return Err(Errno::EPERM.into());
    }
    let data = data.get(cx, words)?;
    let join = |of: fn(&CapData) -> u32| data.iter().rev().fold(0, |acc, d| acc << 32 | u64::from(of(d)));
    let caps = Caps {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
    };
    sys::cred::capset(caps)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn an_unknown_capability_version_is_answered() {
        let mut f = Fixture::new(&RISCV64);
        assert_eq!(f.call("capget", [SCRATCH, SCRATCH + 64, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.process.mem.get::<u32>(GuestPtr::new(SCRATCH), RISCV64.abi), Ok(CAP_V3));
        assert_eq!(f.call("capget", [SCRATCH, SCRATCH + 64, 0, 0, 0, 0]), Some(Ok(0)));
    }

    #[test]
    fn identities_are_the_host_s() {
        let mut f = Fixture::new(&RISCV64);
        let ids = sys::cred::getresuid().expect("identities");
        assert_eq!(f.call("getuid", [0; 6]), Some(Ok(u64::from(ids.real))));
        assert_eq!(f.call("setresuid", [u64::MAX; 6]), Some(Ok(0)), "all bits set changes nothing");
        assert_eq!(f.call("getgroups", [u64::MAX, 0, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
    }
}
