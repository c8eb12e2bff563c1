//! `signalfd`: descriptors from which pending signals of the guest are read.
//!
//! A guest's signalfd is the reading end of a pipe, so that `poll`, `epoll` and `select` of the host see it; it holds one
//! byte while a signal that it is for is pending.  It is known by its inode, so that copies of the descriptor work.

use crate::abi::io_flags::Signalfd as Sfd;
use crate::abi::io_structs::SignalfdSiginfo;
use crate::abi::process_structs::Sigset;
use crate::abi::{Errno, Field, GuestPtr};
use crate::args::{Fd, Flags, Size};
use crate::cx::{Cx, Outcome, SysResult};
use crate::mm::map::hide;
use crate::mm::vma::HiddenFd;
use crate::process::Process;
use crate::sched::{self, Wait};
use crate::signal::{SigInfo, UNBLOCKABLE, bit};
use crate::sys::poll::SigsetPtr;
use crate::sys::vector::Vector;
use std::collections::{BTreeMap, VecDeque};
use tern_host::sys;
use tern_host::sys::host;

/// Device and inode of a pipe.
type Id = ((u32, u32), u64);

/// The signalfds of a process.
#[derive(Debug, Default)]
pub struct Signalfds {
    list: BTreeMap<Id, Entry>,
}

#[derive(Debug)]
struct Entry {
    mask: u64,
    /// Both ends of the pipe, for ourselves.
    reader: HiddenFd,
    writer: HiddenFd,
    /// The pipe holds its byte.
    set: bool,
}

fn id(fd: i32) -> Result<Id, Errno> {
    let stat = sys::fs::fstat(fd)?;
    Ok((stat.dev, stat.ino))
}

/// `signalfd4(2)`: descriptor -1 makes a new one, else the mask of an old one changes.
pub fn signalfd4(cx: &mut Cx<'_>, fd: Fd, mask: SigsetPtr, size: Size, flags: Flags<Sfd>) -> SysResult {
    let known = Sfd::SFD_NONBLOCK | Sfd::SFD_CLOEXEC;
    if size.0 != Sigset::size(cx.abi()) as u64 || flags.0 & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mask = cx.read::<Sigset>(GuestPtr::new(mask.0))?.0 & !UNBLOCKABLE;
    if fd.0 == -1 {
        return create(cx, mask, flags.0);
    }
    let id = id(fd.0)?;
    let entry = cx.process.signalfds.list.get_mut(&id).ok_or(Errno::EINVAL)?;
    entry.mask = mask;
    refresh(cx.process);
    Ok(fd.0 as u64)
}

fn create(cx: &mut Cx<'_>, mask: u64, flags: u64) -> SysResult {
    collect_garbage(&mut cx.process.signalfds)?;
    let nonblock = if flags & Sfd::SFD_NONBLOCK != 0 { host::O_NONBLOCK } else { 0 };
    let cloexec = if flags & Sfd::SFD_CLOEXEC != 0 { host::O_CLOEXEC } else { 0 };
    let (reader, writer) = sys::file::pipe2(nonblock | cloexec)?;
    let ends = hide(reader).and_then(|r| hide(writer).map(|w| (r, w))).and_then(|ends| Ok((ends, id(reader)?)));
    // Nothing refers to the number any more.
    let _ = sys::file::close(writer);
    let ((own_reader, own_writer), id) = match ends {
        Ok(ends) => ends,
        Err(e) => {
            let _ = sys::file::close(reader);
            return Err(e.into());
        }
    };
    let entry = Entry { mask, reader: own_reader, writer: own_writer, set: false };
    cx.process.signalfds.list.insert(id, entry);
    refresh(cx.process);
    Ok(reader as u64)
}

/// Drops those whose last descriptor of the guest is gone.
fn collect_garbage(fds: &mut Signalfds) -> Result<(), Errno> {
    if fds.list.is_empty() {
        return Ok(());
    }
    let dir = sys::file::openat(sys::CWD, c"/proc/self/fd", host::O_RDONLY | host::O_DIRECTORY | host::O_CLOEXEC, 0)?;
    let mut open = Vec::new();
    let mut buf = vec![0; 4096];
    while let Ok(n @ 1..) = sys::file::getdents64(dir, &mut buf) {
        for entry in sys::file::Dirents::new(&buf[..n]) {
            open.extend(str::from_utf8(entry.name).ok().and_then(|name| name.parse::<i32>().ok()));
        }
    }
    let _ = sys::file::close(dir);
    fds.list.retain(|key, entry| {
        let own = [entry.reader.0, entry.writer.0];
        open.iter().any(|fd| !own.contains(fd) && id(*fd) == Ok(*key))
    });
    Ok(())
}

/// Makes every signalfd readable or not, as signals are pending.  The scheduler calls it before it polls.
pub fn refresh(process: &mut Process) {
    let mut waiting = 0;
    if process.signalfds.list.is_empty() {
        return;
    }
    for info in process.threads.values().flat_map(|t| &t.signals.pending).chain(&process.signals.pending) {
        waiting |= bit(info.signo);
    }
    for entry in process.signalfds.list.values_mut() {
        let wanted = entry.mask & waiting != 0;
        if wanted == entry.set {
            continue;
        }
        // One byte always fits, and is there when it is taken out.
        let _ = if wanted { sys::file::write(entry.writer.0, &[1]) } else { sys::file::read(entry.reader.0, &mut [0]) };
        entry.set = wanted;
    }
}

/// Has the process any?
#[must_use]
pub fn any(cx: &Cx<'_>) -> bool {
    !cx.process.signalfds.list.is_empty()
}

/// Reads a signalfd; `None` if the descriptor is none.
pub fn read(cx: &mut Cx<'_>, fd: i32, vector: &Vector) -> Option<SysResult> {
    let mask = cx.process.signalfds.list.get(&id(fd).ok()?)?.mask;
    Some(take(cx, fd, vector, mask))
}

fn take(cx: &mut Cx<'_>, fd: i32, vector: &Vector, mask: u64) -> SysResult {
    let abi = cx.abi();
    let size = SignalfdSiginfo::size(abi) as u64;
    let count = vector.total() / size;
    if count == 0 {
        return Err(Errno::EINVAL.into());
    }
    // Nothing is taken that cannot be handed over.
    let room = vector.room(cx, 0, count.min(64) * size)?.len() as u64 / size;
    if room == 0 {
        return Err(Errno::EFAULT.into());
    }
    let mut bytes = Vec::new();
    for _ in 0..room {
        let next = |queue: &mut VecDeque<SigInfo>| crate::signal::take(queue, |s| mask & bit(s.signo) != 0);
        let info = next(&mut cx.thread().signals.pending).or_else(|| next(&mut cx.process.signals.pending));
        let Some(info) = info else { break };
        bytes.append(&mut SignalfdSiginfo::to_bytes(&siginfo(abi, &info), abi));
    }
    refresh(cx.process);
    if bytes.is_empty() {
        return Err(match sched::can_block(fd, host::POLLIN) {
            true => Outcome::Block(Wait::fd(fd, host::POLLIN)),
            false => Errno::EAGAIN.into(),
        });
    }
    vector.scatter(cx, 0, &bytes)?;
    Ok(bytes.len() as u64)
}

fn siginfo(abi: crate::abi::Abi, info: &SigInfo) -> SignalfdSiginfo {
    SignalfdSiginfo {
        signo: info.signo as u32,
        errno: info.errno,
        code: info.code,
        pid: info.pid as u32,
        uid: info.uid,
        status: info.status,
        int: info.value as i32,
        ptr: info.value,
        addr: info.addr,
        fd: info.fd,
        tid: info.timer as u32,
        band: info.band as u32,
        overrun: info.overrun as u32,
        utime: info.utime as u64,
        stime: info.stime as u64,
        syscall: info.syscall,
        ..SignalfdSiginfo::zero(abi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::process_structs::SignalSet;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn pending_signals_make_it_readable_and_are_taken_out() {
        let mut f = Fixture::new(&RISCV64);
        f.cx().write(GuestPtr::<Sigset>::new(SCRATCH), &SignalSet(1 << 9 | 1 << 11)).expect("scratch");
        let fd = f.call("signalfd4", [u64::MAX, SCRATCH, 8, 0, 0, 0]).expect("no wait").expect("signalfd");
        let copy = sys::file::dup(fd as i32).expect("dup");
        assert_eq!(f.call("read", [fd, SCRATCH, 128, 0, 0, 0]), None, "nothing is pending");
        assert_eq!(f.call("read", [fd, SCRATCH, 127, 0, 0, 0]), Some(Err(Errno::EINVAL)), "too small for one");
        assert!(!sched::ready(copy, host::POLLIN));
        for signo in [10, 15, 12] {
            f.process.signals.pending.push_back(SigInfo { signo, pid: 7, ..SigInfo::default() });
        }
        refresh(&mut f.process);
        assert!(sched::ready(copy, host::POLLIN));
        assert_eq!(f.call("read", [copy as u64, SCRATCH, 1000, 0, 0, 0]), Some(Ok(256)), "two of the three");
        let info = f.cx().read(GuestPtr::<SignalfdSiginfo>::new(SCRATCH + 128)).expect("scratch");
        assert_eq!((info.signo, info.pid), (12, 7));
        assert!(!sched::ready(copy, host::POLLIN), "SIGTERM is for somebody else");
        assert_eq!(f.process.signals.pending.len(), 1);
        assert_eq!(f.call("signalfd4", [0, SCRATCH, 8, 0, 0, 0]), Some(Err(Errno::EINVAL)), "not a signalfd");
        assert_eq!(f.call("signalfd4", [u64::MAX, SCRATCH, 4, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!((sys::file::close(copy), sys::file::close(fd as i32)), (Ok(()), Ok(())));
        collect_garbage(&mut f.process.signalfds).expect("/proc");
        assert!(f.process.signalfds.list.is_empty());
    }
}
