//! Waiting for descriptors: poll, select, epoll.

use crate::abi::io_flags::{EpollCreate, EpollEvents, EpollOp, PollEvents};
use crate::abi::io_structs::{EpollEvent, SigmaskArg};
use crate::abi::process_structs::Sigset;
use crate::abi::structs::{Pollfd, Timespec, Timespec64};
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::args::{Arg, Const, Fd, Flags, InArr, InOpt, Int, OutOpt, Size, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::sched::{Interrupted, Wait};
use crate::strace::Show;
use core::marker::PhantomData;
use smallvec::SmallVec;
use tern_host::sys;
use tern_host::sys::host;
use tern_host::sys::wait::PollFd;

/// A signal set that may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigsetPtr(pub u64);

impl Arg for SigsetPtr {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(SigsetPtr(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        s.datum::<Sigset>(s.abi.word_of(raw));
    }
}

impl SigsetPtr {
    /// Waits with this mask, if there is one.
    ///
    /// # Errors
    /// `EINVAL` for a size that no set has, `EFAULT`.
    pub fn install(self, cx: &mut Cx<'_>, size: u64) -> Result<(), Errno> {
        if self.0 == 0 {
            return Ok(());
        }
        if size != Sigset::size(cx.abi()) as u64 {
            return Err(Errno::EINVAL);
        }
        let mask = cx.read::<Sigset>(GuestPtr::new(self.0))?;
        cx.temporary_mask(mask.0);
        Ok(())
    }
}

/// A span of time as nanoseconds.
///
/// # Errors
/// `EINVAL` for a negative span or nanoseconds out of range.
pub fn nanos(sec: i64, nsec: i64) -> Result<u64, Errno> {
    if sec < 0 || !(0..1_000_000_000).contains(&nsec) {
        return Err(Errno::EINVAL);
    }
    Ok((sec as u64).saturating_mul(1_000_000_000).saturating_add(nsec as u64))
}

/// A timeout in the guest's memory, which the kernel updates with the time that is left.
#[derive(Clone, Copy, Debug)]
enum Timeout {
    Words(GuestPtr<Timespec>),
    Wide(GuestPtr<Timespec64>),
}

/// What a waiting call knows about time.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Nanoseconds; none waits for ever.
    span: Option<u64>,
    /// Where to write what is left.
    left: Option<Timeout>,
}

impl Limit {
    const fn of(span: Option<u64>) -> Limit {
        Limit { span, left: None }
    }

    fn words(cx: &mut Cx<'_>, t: OutOpt<Timespec>) -> Result<Limit, Errno> {
        let span = t.0.map(|at| cx.read(at).and_then(|t| nanos(t.sec, t.nsec))).transpose()?;
        Ok(Limit { span, left: t.0.map(Timeout::Words) })
    }

    fn wide(cx: &mut Cx<'_>, t: OutOpt<Timespec64>) -> Result<Limit, Errno> {
        let span = t.0.map(|at| cx.read(at).and_then(|t| nanos(t.sec, t.nsec))).transpose()?;
        Ok(Limit { span, left: t.0.map(Timeout::Wide) })
    }

    /// Writes what is left, where memory allows it.
    fn put_left(self, cx: &mut Cx<'_>) {
        let (Some(at), Some(deadline)) = (self.left, cx.thread().call.deadline) else { return };
        let left = deadline.saturating_sub(cx.process.now_ns());
        let (sec, nsec) = ((left / 1_000_000_000) as i64, (left % 1_000_000_000) as i64);
        // A timeout in read-only memory is no error (fs/select.c, poll_select_finish).
        let _ = match at {
            Timeout::Words(at) => cx.write(at, &Timespec { sec, nsec }),
            Timeout::Wide(at) => cx.write(at, &Timespec64 { sec, nsec }),
        };
    }

    /// The wait of a call that has found nothing, or none if the time is over.
    fn wait(self, cx: &mut Cx<'_>, fds: SmallVec<[(i32, i16); 2]>) -> Option<Outcome> {
        let now = cx.process.now_ns();
        let deadline = cx.deadline(|| self.span.map(|s| now.saturating_add(s)));
        if self.span == Some(0) || cx.expired() {
            return None;
        }
        if cx.signalled() {
            self.put_left(cx);
        }
        Some(Outcome::Block(Wait { fds, deadline, interrupted: Interrupted::NoHandler, ..Wait::default() }))
    }
}

/// Are descriptors ready?  Signals that signalfds wait for count from here on.
fn poll_now(cx: &mut Cx<'_>, fds: &mut [PollFd]) -> Result<(), Errno> {
    super::signalfd::refresh(cx.process);
    sys::wait::ppoll(fds, Some(sys::Time::default()), None)?;
    Ok(())
}

/// Bits of `poll` that sparc numbers apart (asm/poll.h); all others are equal everywhere.
const POLL_ROWS: &[(u64, i16)] = &[
    (PollEvents::POLLIN, host::POLLIN),
    (PollEvents::POLLPRI, host::POLLPRI),
    (PollEvents::POLLOUT, host::POLLOUT),
    (PollEvents::POLLERR, host::POLLERR),
    (PollEvents::POLLHUP, host::POLLHUP),
    (PollEvents::POLLNVAL, host::POLLNVAL),
    (PollEvents::POLLRDNORM, host::POLLRDNORM),
    (PollEvents::POLLRDBAND, 0x80),
    (PollEvents::POLLWRNORM, host::POLLWRNORM),
    (PollEvents::POLLWRBAND, 0x200),
    (PollEvents::POLLRDHUP, host::POLLRDHUP),
];

fn events_to_host(events: i16) -> i16 {
    let events = u64::from(events as u16);
    POLL_ROWS.iter().filter(|(g, _)| events & g != 0).fold(0, |acc, (_, h)| acc | h)
}

fn events_from_host(events: i16) -> i16 {
    POLL_ROWS.iter().filter(|(_, h)| events & h != 0).fold(0, |acc, (g, _)| acc | g) as i16
}

/// `struct pollfd`s, which the call reads and writes; their number is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pollfds(pub u64);

impl Arg for Pollfds {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Pollfds(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        const SHOWN: u64 = 32;
        let (addr, count, abi) = (s.abi.word_of(raw), len.unwrap_or(0) & 0xffff_ffff, s.abi);
        s.put(format_args!("["));
        for i in 0..count.min(SHOWN) {
            let Some(p) = s.read::<Pollfd>(GuestPtr::<Pollfd>::new(addr).at(i, abi).addr) else { break };
            s.put(format_args!("{}{{fd={}, events=", if i > 0 { ", " } else { "" }, p.fd));
            s.flags::<PollEvents>(u64::from(p.events as u16));
            if p.revents != 0 && s.result().is_some() {
                s.put(format_args!(", revents="));
                s.flags::<PollEvents>(u64::from(p.revents as u16));
            }
            s.put(format_args!("}}"));
        }
        s.put(format_args!("{}", if count > SHOWN { ", ...]" } else { "]" }));
    }
}

/// `ppoll(2)` with words.
pub fn ppoll(
    cx: &mut Cx<'_>,
    fds: Pollfds,
    count: Uint,
    timeout: OutOpt<Timespec>,
    mask: SigsetPtr,
    size: Size,
) -> SysResult {
    let limit = Limit::words(cx, timeout)?;
    mask.install(cx, size.0)?;
    poll(cx, fds.0, count.0, limit)
}

/// `ppoll_time64`.
pub fn ppoll_time64(
    cx: &mut Cx<'_>,
    fds: Pollfds,
    count: Uint,
    timeout: OutOpt<Timespec64>,
    mask: SigsetPtr,
    size: Size,
) -> SysResult {
    let limit = Limit::wide(cx, timeout)?;
    mask.install(cx, size.0)?;
    poll(cx, fds.0, count.0, limit)
}

/// Most descriptors of one call, whatever the limit on open files says.
const FDS_MAX: u32 = 1 << 20;

fn poll(cx: &mut Cx<'_>, addr: u64, count: u32, limit: Limit) -> SysResult {
    if count > FDS_MAX {
        return Err(Errno::EINVAL.into());
    }
    let array = GuestPtr::<Pollfd>::new(addr);
    let asked = InArr(array).get(cx, u64::from(count))?;
    let mut fds: Vec<PollFd> =
        asked.iter().map(|p| PollFd { fd: p.fd, events: events_to_host(p.events), revents: 0 }).collect();
    poll_now(cx, &mut fds)?;
    let ready = fds.iter().filter(|f| f.revents != 0).count() as u64;
    if ready == 0 {
        let waits = fds.iter().filter(|f| f.fd >= 0).map(|f| (f.fd, f.events)).collect();
        if let Some(wait) = limit.wait(cx, waits) {
            return Err(wait);
        }
    }
    let abi = cx.abi();
    for (i, (asked, found)) in asked.into_iter().zip(&fds).enumerate() {
        cx.write(array.at(i as u64, abi), &Pollfd { revents: events_from_host(found.revents), ..asked })?;
    }
    limit.put_left(cx);
    Ok(ready)
}

/// An `fd_set`, which the call reads and writes; the number of descriptors is named on the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdSet(pub u64);

impl Arg for FdSet {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(FdSet(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, len: Option<u64>) {
        let (addr, abi) = (s.abi.word_of(raw), s.abi);
        let bits = (len.unwrap_or(0) as u32).min(FDS_MAX);
        let bytes = set_bytes(abi, bits);
        let Some(set) = s.memory(addr, bytes as u64).filter(|_| addr != 0) else { return s.addr(addr) };
        let list: Vec<String> = (0..bits).filter(|n| get_bit(abi, &set, *n)).map(|n| n.to_string()).collect();
        s.put(format_args!("[{}]", list.join(" ")));
    }
}

/// Bytes of a set of `bits` descriptors: whole words.
fn set_bytes(abi: Abi, bits: u32) -> usize {
    (bits as usize).div_ceil(8).next_multiple_of(abi.word_bytes())
}

/// The byte of a bit and its mask: sets are arrays of words of the guest's byte order.
fn place(abi: Abi, bit: u32) -> (usize, u8) {
    let byte = (bit / 8) as usize;
    let byte = match abi.endian {
        tern_core::mem::Endian::Little => byte,
        tern_core::mem::Endian::Big => byte ^ (abi.word_bytes() - 1),
    };
    (byte, 1 << (bit % 8))
}

fn get_bit(abi: Abi, set: &[u8], bit: u32) -> bool {
    let (byte, mask) = place(abi, bit);
    set.get(byte).is_some_and(|b| b & mask != 0)
}

/// The three sets of `select`: what they ask of `poll`, and which answers put a descriptor into the result.
const SETS: [(i16, i16); 3] = [
    (host::POLLIN | host::POLLRDNORM, host::POLLIN | host::POLLRDNORM | host::POLLHUP | host::POLLERR),
    (host::POLLOUT | host::POLLWRNORM, host::POLLOUT | host::POLLWRNORM | host::POLLERR),
    (host::POLLPRI, host::POLLPRI),
];

/// `pselect6(2)` with words.
pub fn pselect6(
    cx: &mut Cx<'_>,
    count: Int,
    read: FdSet,
    write: FdSet,
    except: FdSet,
    timeout: OutOpt<Timespec>,
    mask: SigmaskPtr,
) -> SysResult {
    let limit = Limit::words(cx, timeout)?;
    mask.install(cx)?;
    select(cx, count.0, [read.0, write.0, except.0], limit)
}

/// `pselect6_time64`.
pub fn pselect6_time64(
    cx: &mut Cx<'_>,
    count: Int,
    read: FdSet,
    write: FdSet,
    except: FdSet,
    timeout: OutOpt<Timespec64>,
    mask: SigmaskPtr,
) -> SysResult {
    let limit = Limit::wide(cx, timeout)?;
    mask.install(cx)?;
    select(cx, count.0, [read.0, write.0, except.0], limit)
}

/// The last argument of `pselect6`: address and size of a signal set, or null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigmaskPtr(pub u64);

impl Arg for SigmaskPtr {
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(SigmaskPtr(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let addr = s.abi.word_of(raw);
        let Some(arg) = s.read::<SigmaskArg>(addr).filter(|_| addr != 0) else { return s.addr(addr) };
        s.put(format_args!("{{sigmask="));
        s.datum::<Sigset>(arg.mask);
        s.put(format_args!(", sigsetsize={}}}", arg.size));
    }
}

impl SigmaskPtr {
    fn install(self, cx: &mut Cx<'_>) -> Result<(), Errno> {
        if self.0 == 0 {
            return Ok(());
        }
        let arg = cx.read::<SigmaskArg>(GuestPtr::new(self.0))?;
        SigsetPtr(arg.mask).install(cx, arg.size)
    }
}

fn select(cx: &mut Cx<'_>, count: i32, sets: [u64; 3], limit: Limit) -> SysResult {
    let count = u32::try_from(count).map_err(|_| Errno::EINVAL)?.min(FDS_MAX);
    let abi = cx.abi();
    let bytes = set_bytes(abi, count);
    let mut asked: [Vec<u8>; 3] = Default::default();
    for (set, addr) in asked.iter_mut().zip(sets).filter(|(_, addr)| *addr != 0) {
        *set = cx.bytes(addr, bytes as u64)?;
    }
    let mut fds: Vec<PollFd> = Vec::new();
    for fd in 0..count {
        let wanted = asked.iter().zip(SETS).filter(|(set, _)| get_bit(abi, set, fd));
        let events = wanted.fold(0, |acc, (_, (ask, _))| acc | ask);
        if events != 0 {
            fds.push(PollFd { fd: fd as i32, events, revents: 0 });
        }
    }
    poll_now(cx, &mut fds)?;
    if fds.iter().any(|f| f.revents & host::POLLNVAL != 0) {
        return Err(Errno::EBADF.into());
    }
    let mut found: [Vec<u8>; 3] = core::array::from_fn(|i| vec![0; asked[i].len()]);
    let mut ready = 0;
    for f in &fds {
        for ((to, asked), (_, answers)) in found.iter_mut().zip(&asked).zip(SETS) {
            if f.revents & answers != 0 && get_bit(abi, asked, f.fd as u32) {
                let (byte, mask) = place(abi, f.fd as u32);
                to[byte] |= mask;
                ready += 1;
            }
        }
    }
    if ready == 0
        && let Some(wait) = limit.wait(cx, fds.iter().map(|f| (f.fd, f.events)).collect())
    {
        return Err(wait);
    }
    for (set, addr) in found.iter().zip(sets).filter(|(_, addr)| *addr != 0) {
        cx.put_bytes(addr, set)?;
    }
    limit.put_left(cx);
    Ok(ready)
}

/// `epoll_create1(2)`.
pub fn epoll_create1(_cx: &mut Cx<'_>, flags: Flags<EpollCreate>) -> SysResult {
    if flags.0 & !EpollCreate::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(sys::wait::epoll_create1(if flags.0 != 0 { host::EPOLL_CLOEXEC } else { 0 })? as u64)
}

/// `struct epoll_event` as an argument or, with a count, as a result.
#[derive(Debug)]
pub struct Events<const OUT: bool>(pub u64, PhantomData<()>);

fn show_event(s: &mut Show<'_>, addr: u64) {
    let Some(event) = s.read::<EpollEvent>(addr).filter(|_| addr != 0) else { return s.addr(addr) };
    s.put(format_args!("{{events="));
    s.flags::<EpollEvents>(u64::from(event.events));
    s.put(format_args!(", data={:#x}}}", event.data));
}

impl<const OUT: bool> Arg for Events<OUT> {
    const OUT: bool = OUT;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(Events(cx.abi().word_of(raw), PhantomData))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let (addr, abi) = (s.abi.word_of(raw), s.abi);
        match s.result() {
            Some(count) if OUT => {
                s.put(format_args!("["));
                for i in 0..count.min(16) {
                    s.put(format_args!("{}", if i > 0 { ", " } else { "" }));
                    show_event(s, GuestPtr::<EpollEvent>::new(addr).at(i, abi).addr);
                }
                s.put(format_args!("]"));
            }
            _ if OUT => s.addr(addr),
            _ => show_event(s, addr),
        }
    }
}

/// `epoll_ctl(2)`: numbers are the same on every architecture.
pub fn epoll_ctl(cx: &mut Cx<'_>, epoll: Fd, op: Const<EpollOp>, fd: Fd, event: Events<false>) -> SysResult {
    let op = match u64::from(op.0) {
        EpollOp::EPOLL_CTL_ADD => host::EPOLL_CTL_ADD,
        EpollOp::EPOLL_CTL_MOD => host::EPOLL_CTL_MOD,
        EpollOp::EPOLL_CTL_DEL => host::EPOLL_CTL_DEL,
        _ => return Err(Errno::EINVAL.into()),
    };
    let mut wanted = sys::wait::EpollEvent::default();
    if op != host::EPOLL_CTL_DEL {
        let event = cx.read::<EpollEvent>(GuestPtr::new(event.0))?;
        wanted = sys::wait::EpollEvent { events: event.events, data: event.data };
    }
    sys::wait::epoll_ctl(epoll.0, op, fd.0, wanted)?;
    Ok(0)
}

/// `epoll_pwait(2)`: the timeout in milliseconds.
pub fn epoll_pwait(
    cx: &mut Cx<'_>,
    epoll: Fd,
    events: Events<true>,
    count: Int,
    timeout: Int,
    mask: SigsetPtr,
    size: Size,
) -> SysResult {
    let span = u64::try_from(timeout.0).ok().map(|ms| ms * 1_000_000);
    mask.install(cx, size.0)?;
    epoll_wait(cx, epoll.0, events.0, count.0, Limit::of(span))
}

/// `epoll_pwait2(2)`.
pub fn epoll_pwait2(
    cx: &mut Cx<'_>,
    epoll: Fd,
    events: Events<true>,
    count: Int,
    timeout: InOpt<Timespec64>,
    mask: SigsetPtr,
    size: Size,
) -> SysResult {
    let span = timeout.0.map(|t| nanos(t.sec, t.nsec)).transpose()?;
    mask.install(cx, size.0)?;
    epoll_wait(cx, epoll.0, events.0, count.0, Limit::of(span))
}

fn epoll_wait(cx: &mut Cx<'_>, epoll: i32, addr: u64, count: i32, limit: Limit) -> SysResult {
    /// Events that one call reports.
    const EVENTS_MAX: usize = 4096;
    let abi = cx.abi();
    let size = EpollEvent::size(abi) as u64;
    let count = usize::try_from(count).ok().filter(|n| *n > 0 && *n as u64 <= i32::MAX as u64 / size);
    let count = count.ok_or(Errno::EINVAL)?.min(EVENTS_MAX);
    let room = cx.mem().accessible(addr, count as u64 * size, tern_core::mem::Access::Store) / size;
    super::signalfd::refresh(cx.process);
    // What cannot be handed over must not be taken: edge-triggered events come once.
    let mut found = vec![sys::wait::EpollEvent::default(); (room as usize).max(1)];
    if room == 0 {
        sys::file::fcntl(epoll, host::F_GETFD, 0)?;
        return Err(Errno::EFAULT.into());
    }
    let n = sys::wait::epoll_wait(epoll, &mut found, Some(sys::Time::default()), None)?;
    if n == 0
        && let Some(wait) = limit.wait(cx, SmallVec::from_slice(&[(epoll, host::POLLIN)]))
    {
        return Err(wait);
    }
    let array = GuestPtr::<EpollEvent>::new(addr);
    for (i, event) in found[..n].iter().enumerate() {
        cx.write(array.at(i as u64, abi), &EpollEvent { events: event.events, data: event.data })?;
    }
    Ok(n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::process_structs::SignalSet;
    use crate::isa::riscv::{RISCV32, RISCV64};
    use crate::testing::{Fixture, SCRATCH};

    fn pipe() -> (u64, u64) {
        let (r, w) = sys::file::pipe2(0).expect("a pipe");
        (r as u64, w as u64)
    }

    fn close(fds: &[u64]) {
        for fd in fds {
            assert_eq!(sys::file::close(*fd as i32), Ok(()));
        }
    }

    fn put<T: Field>(f: &mut Fixture, addr: u64, value: &T::Value) {
        f.cx().write(GuestPtr::<T>::new(addr), value).expect("scratch");
    }

    #[test]
    fn epoll_blocks_until_there_is_something_and_keeps_the_data() {
        for isa in [&RISCV64, &RISCV32] {
            let mut f = Fixture::new(isa);
            let (r, w) = pipe();
            let e = f.call("epoll_create1", [0o2000000, 0, 0, 0, 0, 0]).expect("no wait").expect("epoll");
            let data = 0x1122_3344_5566_7788;
            put::<EpollEvent>(&mut f, SCRATCH, &EpollEvent { events: 1, data });
            assert_eq!(f.call("epoll_ctl", [e, 1, r, SCRATCH, 0, 0]), Some(Ok(0)));
            assert_eq!(f.call("epoll_ctl", [e, 1, r, SCRATCH, 0, 0]), Some(Err(Errno::EEXIST)));
            assert_eq!(f.call("epoll_ctl", [e, 3, w, 0, 0, 0]), Some(Err(Errno::EFAULT)));
            let wait = [e, SCRATCH + 0x100, 8, u64::MAX, 0, 8];
            assert_eq!(f.call("epoll_pwait", wait), None, "nothing yet");
            assert_eq!(f.call("epoll_pwait", [e, SCRATCH + 0x100, 8, 0, 0, 8]), Some(Ok(0)), "does not wait");
            assert_eq!(sys::file::write(w as i32, b"x"), Ok(1));
            assert_eq!(f.call("epoll_pwait", wait), Some(Ok(1)));
            let event = f.cx().read(GuestPtr::<EpollEvent>::new(SCRATCH + 0x100));
            assert_eq!(event, Ok(EpollEvent { events: 1, data }));
            assert_eq!(f.call("epoll_pwait", [e, SCRATCH + 0x2000, 8, 0, 0, 8]), Some(Err(Errno::EFAULT)));
            assert_eq!(f.call("epoll_pwait", [e, SCRATCH, 0, 0, 0, 8]), Some(Err(Errno::EINVAL)));
            assert_eq!(f.call("epoll_pwait", [e, SCRATCH, 1, 0, SCRATCH, 4]), Some(Err(Errno::EINVAL)), "set size");
            close(&[e, r, w]);
        }
    }

    #[test]
    fn edge_triggered_events_are_not_lost_to_a_small_buffer() {
        let mut f = Fixture::new(&RISCV64);
        let (a, b) = (pipe(), pipe());
        let e = f.call("epoll_create1", [0; 6]).expect("no wait").expect("epoll");
        for r in [a.0, b.0] {
            put::<EpollEvent>(&mut f, SCRATCH, &EpollEvent { events: 0x8000_0001, data: r });
            assert_eq!(f.call("epoll_ctl", [e, 1, r, SCRATCH, 0, 0]), Some(Ok(0)));
        }
        assert_eq!((sys::file::write(a.1 as i32, b"x"), sys::file::write(b.1 as i32, b"x")), (Ok(1), Ok(1)));
        // Room for one event before the end of memory.
        let end = SCRATCH + 0x2000 - 16;
        assert_eq!(f.call("epoll_pwait", [e, end, 8, 0, 0, 8]), Some(Ok(1)));
        assert_eq!(f.call("epoll_pwait", [e, end, 8, 0, 0, 8]), Some(Ok(1)));
        assert_eq!(f.call("epoll_pwait", [e, end, 8, 0, 0, 8]), Some(Ok(0)));
        close(&[e, a.0, a.1, b.0, b.1]);
    }

    #[test]
    fn poll_answers_every_descriptor_and_leaves_the_rest_of_the_time() {
        let mut f = Fixture::new(&RISCV64);
        let (r, w) = pipe();
        let fds = [(r, 1), (w, 4), (999, 1), (u64::MAX, 1)];
        for (i, (fd, events)) in fds.into_iter().enumerate() {
            put::<Pollfd>(&mut f, SCRATCH + 8 * i as u64, &Pollfd { fd: fd as i32, events, revents: 7 });
        }
        put::<Timespec>(&mut f, SCRATCH + 0x100, &Timespec { sec: 100, nsec: 0 });
        assert_eq!(f.call("ppoll", [SCRATCH, 4, SCRATCH + 0x100, 0, 8, 0]), Some(Ok(2)));
        let revents: Vec<i16> =
            (0..4).map(|i| f.cx().read(GuestPtr::<Pollfd>::new(SCRATCH + 8 * i)).expect("scratch").revents).collect();
        assert_eq!(revents, [0, 4, 0x20, 0], "POLLOUT, POLLNVAL");
        f.cx().thread().call = Default::default();
        assert_eq!(f.call("ppoll", [SCRATCH, 1, SCRATCH + 0x100, 0, 8, 0]), None, "waits for the reader");
        assert_eq!(f.call("ppoll", [SCRATCH, 1, SCRATCH + 0x1100, 0, 8, 0]), Some(Ok(0)), "no time at all");
        put::<Timespec>(&mut f, SCRATCH + 0x100, &Timespec { sec: 0, nsec: 1_000_000_000 });
        assert_eq!(f.call("ppoll", [SCRATCH, 1, SCRATCH + 0x100, 0, 8, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("ppoll", [SCRATCH + 0x2000, 1, 0, 0, 8, 0]), Some(Err(Errno::EFAULT)));
        close(&[r, w]);
    }

    #[test]
    fn select_reads_and_writes_sets_of_words() {
        for isa in [&RISCV64, &RISCV32] {
            let mut f = Fixture::new(isa);
            let (r, w) = pipe();
            let name = if isa.abi.is64() { "pselect6" } else { "pselect6_time64" };
            let bit = |fd: u64| 1u64 << fd;
            assert!(r < 64 && w < 64, "few descriptors are open");
            put::<u64>(&mut f, SCRATCH, &bit(r));
            put::<u64>(&mut f, SCRATCH + 8, &bit(w));
            put::<Timespec64>(&mut f, SCRATCH + 16, &Timespec64 { sec: 0, nsec: 0 });
            let args = [64, SCRATCH, SCRATCH + 8, 0, SCRATCH + 16, 0];
            assert_eq!(f.call(name, args), Some(Ok(1)));
            assert_eq!(f.cx().read(GuestPtr::<u64>::new(SCRATCH)), Ok(0));
            assert_eq!(f.cx().read(GuestPtr::<u64>::new(SCRATCH + 8)), Ok(bit(w)));
            put::<u64>(&mut f, SCRATCH, &bit(63));
            assert_eq!(f.call(name, args), Some(Err(Errno::EBADF)));
            assert_eq!(f.call(name, [u64::MAX, 0, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
            close(&[r, w]);
        }
    }

    #[test]
    fn a_mask_holds_while_the_call_waits() {
        let mut f = Fixture::new(&RISCV64);
        f.cx().thread().signals.mask = 1 << 14;
        put::<Sigset>(&mut f, SCRATCH, &SignalSet(crate::signal::UNBLOCKABLE));
        assert_eq!(f.call("ppoll", [0, 0, 0, SCRATCH, 8, 0]), None);
        assert_eq!(f.cx().thread().signals.mask, 0, "nothing blocks SIGKILL");
        assert_eq!(f.cx().thread().signals.saved_mask, Some(1 << 14));
        assert_eq!(f.call("ppoll", [0, 0, 0, SCRATCH, 8, 0]), None, "issued again");
        assert_eq!(f.cx().thread().signals.saved_mask, Some(1 << 14));
    }
}
