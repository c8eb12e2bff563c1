//! `ioctl`: terminals, descriptors, network interfaces, block devices, file attributes.
//!
//! Requests are rows of `REQUESTS` (numbers of asm-generic/ioctls.h and of the headers named there); any other one is
//! `ENOTTY` and counted.  To add one: a row here, and one in `tern_host::sys::ioctl` if it is passed through.

use crate::abi::io_structs::{Ifconf, Termio, Termios, Termios2};
use crate::abi::structs::Winsize;
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::args::{Arg, Fd};
use crate::cx::{Cx, SysResult};
use crate::strace::Show;
use crate::sys::sockopt::{host_int, to_host_int};
use tern_host::sys::ioctl::{ioctl_buf, ioctl_int};
use tern_host::sys::termios::{self, When};
use tern_host::sys::{self, host};

/// What a request does with its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// Passed through with a number, or nothing.
    Value,
    /// Passed through with a pointer to an `int`.
    Int,
    /// Passed through with a pointer to a byte.
    Byte,
    /// Passed through with a pointer to a `long`, which the driver treats as an `int` (file attributes).
    LongInt,
    /// Passed through with a pointer to 64 bits.
    Wide,
    /// Passed through with `struct ifreq`: a name and what follows.
    Interface(Union),
    /// The list of interfaces.
    Interfaces,
    /// `TCGETS` and its kin.
    GetTermios(Form),
    /// `TCSETS` and its kin.
    SetTermios(Form, When),
    /// `TIOCGWINSZ`.
    GetWinsize,
    /// `TIOCSWINSZ`.
    SetWinsize,
    /// `FIONBIO`, `FIOASYNC`: an `int` that sets or clears a flag.
    Flag,
    /// `TIOCGPTPEER`: `open` flags, answers a descriptor.
    Peer,
}

/// Which structure holds a terminal's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Termios,
    Termios2,
    Termio,
}

/// What the union of `struct ifreq` holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Union {
    /// A socket address, whose family is in the machine's order.
    Address,
    /// An `int`.
    Int,
    /// A `short`.
    Short,
    /// The request asks for the name of a number.
    Name,
}

/// One request.
struct Request {
    number: u32,
    name: &'static str,
    how: How,
}

macro_rules! requests {
    ($($number:literal $name:ident $how:expr;)*) => {
        &[$(Request { number: $number, name: stringify!($name), how: $how }),*]
    };
}

/// Every request that is known.
const REQUESTS: &[Request] = {
    use Form::{Termio as Old, Termios as Plain, Termios2 as New};
    use How::{Byte, Flag, GetTermios, GetWinsize, Int, Interface, Interfaces, LongInt, Peer, SetTermios, SetWinsize};
    use How::{Value, Wide};
    use When::{Drain, Flush, Now};
    requests! {
        0x5401 TCGETS GetTermios(Plain);
        0x5402 TCSETS SetTermios(Plain, Now);
        0x5403 TCSETSW SetTermios(Plain, Drain);
        0x5404 TCSETSF SetTermios(Plain, Flush);
        0x5405 TCGETA GetTermios(Old);
        0x5406 TCSETA SetTermios(Old, Now);
        0x5407 TCSETAW SetTermios(Old, Drain);
        0x5408 TCSETAF SetTermios(Old, Flush);
        0x5409 TCSBRK Value;
        0x540a TCXONC Value;
        0x540b TCFLSH Value;
        0x540c TIOCEXCL Value;
        0x540d TIOCNXCL Value;
        0x540e TIOCSCTTY Value;
        0x540f TIOCGPGRP Int;
        0x5410 TIOCSPGRP Int;
        0x5411 TIOCOUTQ Int;
        0x5412 TIOCSTI Byte;
        0x5413 TIOCGWINSZ GetWinsize;
        0x5414 TIOCSWINSZ SetWinsize;
        0x5415 TIOCMGET Int;
        0x5416 TIOCMBIS Int;
        0x5417 TIOCMBIC Int;
        0x5418 TIOCMSET Int;
        0x541b FIONREAD Int;
        0x5421 FIONBIO Flag;
        0x5422 TIOCNOTTY Value;
        0x5425 TCSBRKP Value;
        0x5427 TIOCSBRK Value;
        0x5428 TIOCCBRK Value;
        0x5429 TIOCGSID Int;
        0x5450 FIONCLEX Value;
        0x5451 FIOCLEX Value;
        0x5452 FIOASYNC Flag;
        0x802c542a TCGETS2 GetTermios(New);
        0x402c542b TCSETS2 SetTermios(New, Now);
        0x402c542c TCSETSW2 SetTermios(New, Drain);
        0x402c542d TCSETSF2 SetTermios(New, Flush);
        0x80045430 TIOCGPTN Int;
        0x40045431 TIOCSPTLCK Int;
        0x00005441 TIOCGPTPEER Peer;
        0x8910 SIOCGIFNAME Interface(Union::Name);
        0x8912 SIOCGIFCONF Interfaces;
        0x8913 SIOCGIFFLAGS Interface(Union::Short);
        0x8915 SIOCGIFADDR Interface(Union::Address);
        0x8917 SIOCGIFDSTADDR Interface(Union::Address);
        0x8919 SIOCGIFBRDADDR Interface(Union::Address);
        0x891b SIOCGIFNETMASK Interface(Union::Address);
        0x891d SIOCGIFMETRIC Interface(Union::Int);
        0x8921 SIOCGIFMTU Interface(Union::Int);
        0x8927 SIOCGIFHWADDR Interface(Union::Address);
        0x8933 SIOCGIFINDEX Interface(Union::Int);
        0x40049409 FICLONE Value;
        0x80045200 RNDGETENTCNT Int;
        0x80081272 BLKGETSIZE64 Wide;
        0x80041272 BLKGETSIZE64 Wide;
        0x80086601 FS_IOC_GETFLAGS LongInt;
        0x80046601 FS_IOC_GETFLAGS LongInt;
        0x40086602 FS_IOC_SETFLAGS LongInt;
        0x40046602 FS_IOC_SETFLAGS LongInt;
        0x80087601 FS_IOC_GETVERSION LongInt;
        0x80047601 FS_IOC_GETVERSION LongInt;
    }
};

fn find(number: u32) -> Option<&'static Request> {
    REQUESTS.iter().find(|r| r.number == number)
}

/// The request of an `ioctl`, printed by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestArg(pub u32);

impl Arg for RequestArg {
    fn fetch(_cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(RequestArg(raw as u32))
    }
    fn show(s: &mut Show<'_>, raw: u64, _len: Option<u64>) {
        let number = raw as u32;
        match find(number) {
            Some(r) => s.put(format_args!("{}", r.name)),
            None => {
                let (kind, nr, size) = (number >> 8 & 0xff, number & 0xff, number >> 16 & 0x3fff);
                s.put(format_args!("_IOC({}, {kind:#x}, {nr:#x}, {size:#x})", number >> 30));
            }
        }
    }
}

/// The argument of an `ioctl`, printed as the request has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestPtr(pub u64);

impl Arg for RequestPtr {
    const OUT: bool = true;
    fn fetch(cx: &mut Cx<'_>, raw: u64) -> Result<Self, Errno> {
        Ok(RequestPtr(cx.abi().word_of(raw)))
    }
    fn show(s: &mut Show<'_>, raw: u64, request: Option<u64>) {
        let addr = s.abi.word_of(raw);
        let how = request.and_then(|r| find(r as u32)).map(|r| r.how);
        if s.result().is_none() {
            return s.addr(addr);
        }
        match how {
            Some(How::Value | How::Peer) => s.put(format_args!("{}", raw as i32)),
            Some(How::Int | How::Flag | How::LongInt) => match s.read::<i32>(addr) {
                Some(v) => s.put(format_args!("[{v}]")),
                None => s.addr(addr),
            },
            Some(How::GetTermios(Form::Termios) | How::SetTermios(Form::Termios, _)) => s.datum::<Termios>(addr),
            Some(How::GetWinsize | How::SetWinsize) => s.datum::<Winsize>(addr),
            _ => s.addr(addr),
        }
    }
}

/// `ioctl(2)`.
pub fn ioctl(cx: &mut Cx<'_>, fd: Fd, request: RequestArg, arg: RequestPtr) -> SysResult {
    let Some(r) = find(request.0) else {
        // A bad descriptor is no missing request.
        sys::file::fcntl(fd.0, host::F_GETFD, 0)?;
        cx.unimplemented(format_args!("ioctl request {:#x}", request.0));
        return Err(Errno::ENOTTY.into());
    };
    let (fd, at) = (fd.0, arg.0);
    match r.how {
        How::Value => Ok(ioctl_int(fd, number(r)?, at as i64)? as u64),
        How::Peer => {
            let flags = crate::abi::flags::to_host(crate::abi::flags::OPEN_ROWS, at & 0xffff_ffff).0;
            Ok(ioctl_int(fd, number(r)?, i64::from(flags))? as u64)
        }
        How::Int => int::<i32>(cx, fd, r, at, 4),
        How::Byte => {
            let mut byte = [cx.read::<u8>(GuestPtr::new(at))?];
            Ok(ioctl_buf(fd, number(r)?, &mut byte)? as u64)
        }
        How::LongInt => int::<i32>(cx, fd, r, at, 8),
        How::Wide => {
            let mut buf = [0; 8];
            let ret = ioctl_buf(fd, number(r)?, &mut buf)?;
            cx.write::<u64>(GuestPtr::new(at), &(crate::sys::sockopt::host_number(&buf) as u64))?;
            Ok(ret as u64)
        }
        How::Flag => {
            let value = cx.read::<i32>(GuestPtr::new(at))?;
            Ok(ioctl_buf(fd, number(r)?, &mut to_host_int(value))? as u64)
        }
        How::Interface(kind) => interface(cx, fd, r, at, kind),
        How::Interfaces => interfaces(cx, fd, at),
        How::GetTermios(form) => {
            let t = termios::get(fd)?;
            put_termios(cx, at, form, &t)?;
            Ok(0)
        }
        How::SetTermios(form, when) => {
            let t = get_termios(cx, at, form, fd)?;
            termios::set(fd, when, &t)?;
            Ok(0)
        }
        How::GetWinsize => {
            let w = sys::ioctl::window_size(fd)?;
            let w = Winsize { row: w.rows, col: w.cols, xpixel: w.xpixel, ypixel: w.ypixel };
            cx.write(GuestPtr::<Winsize>::new(at), &w)?;
            Ok(0)
        }
        How::SetWinsize => {
            let w = cx.read(GuestPtr::<Winsize>::new(at))?;
            let w = sys::ioctl::WinSize { rows: w.row, cols: w.col, xpixel: w.xpixel, ypixel: w.ypixel };
            sys::ioctl::set_window_size(fd, w)?;
            Ok(0)
        }
    }
}

/// The host's number of a request that is passed through.
fn number(r: &Request) -> Result<u32, Errno> {
    sys::ioctl::by_name(r.name).map(|h| h.number).ok_or(Errno::ENOTTY)
}

/// An `int` both ways, in a host buffer of `size` bytes whose first four the driver uses.
fn int<T: Field<Value = i32>>(cx: &mut Cx<'_>, fd: i32, r: &Request, at: u64, size: usize) -> SysResult {
    let ptr = GuestPtr::<T>::new(at);
    // A pointer that cannot be read may still be written.
    let old = cx.read(ptr).unwrap_or(0);
    let mut buf = vec![0; size];
    buf[..4].copy_from_slice(&to_host_int(old));
    let ret = ioctl_buf(fd, number(r)?, &mut buf)?;
    let new = host_int([buf[0], buf[1], buf[2], buf[3]]);
    if new != old || cx.read(ptr).is_err() {
        cx.write(ptr, &new)?;
    }
    Ok(ret as u64)
}

fn put_termios(cx: &mut Cx<'_>, at: u64, form: Form, t: &termios::Termios) -> Result<(), Errno> {
    match form {
        Form::Termios => {
            let g = Termios { iflag: t.iflag, oflag: t.oflag, cflag: t.cflag, lflag: t.lflag, line: t.line, cc: t.cc };
            cx.write(GuestPtr::<Termios>::new(at), &g)
        }
        Form::Termios2 => {
            let speed = baud(t.cflag);
            let g = Termios2 {
                iflag: t.iflag,
                oflag: t.oflag,
                cflag: t.cflag,
                lflag: t.lflag,
                line: t.line,
                cc: t.cc,
                ispeed: speed,
                ospeed: speed,
            };
            cx.write(GuestPtr::<Termios2>::new(at), &g)
        }
        Form::Termio => {
            let mut cc = [0; 8];
            cc.copy_from_slice(&t.cc[..8]);
            let g = Termio {
                iflag: t.iflag as u16,
                oflag: t.oflag as u16,
                cflag: t.cflag as u16,
                lflag: t.lflag as u16,
                line: t.line,
                cc,
            };
            cx.write(GuestPtr::<Termio>::new(at), &g)
        }
    }
}

/// `BOTHER`: the speed is in the fields of `struct termios2` (asm-generic/termbits.h).
const BOTHER: u32 = 0o10000;
/// `CBAUD`.
const CBAUD: u32 = 0o10017;

/// Speeds in baud by the bits of `CBAUD`, those below `BOTHER` and those above.
const LOW: [u32; 16] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
const HIGH: [u32; 16] = [
    0, 57600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000,
    2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

fn baud(cflag: u32) -> u32 {
    let table = if cflag & BOTHER != 0 { HIGH } else { LOW };
    table[(cflag & 0xf) as usize]
}

/// The bits of a speed, if it is one that has some.
fn bits(speed: u32) -> Option<u32> {
    let at = |table: [u32; 16], base: u32| table.iter().position(|s| *s == speed).map(|n| n as u32 | base);
    at(LOW, 0).or_else(|| at(HIGH, BOTHER))
}

fn get_termios(cx: &mut Cx<'_>, at: u64, form: Form, fd: i32) -> Result<termios::Termios, Errno> {
    Ok(match form {
        Form::Termios => {
            let g = cx.read(GuestPtr::<Termios>::new(at))?;
            termios::Termios { iflag: g.iflag, oflag: g.oflag, cflag: g.cflag, lflag: g.lflag, line: g.line, cc: g.cc }
        }
        Form::Termios2 => {
            let g = cx.read(GuestPtr::<Termios2>::new(at))?;
            let mut cflag = g.cflag;
            if cflag & CBAUD == BOTHER {
                let Some(bits) = bits(g.ospeed) else {
                    cx.unimplemented(format_args!("terminal speed {}", g.ospeed));
                    return Err(Errno::EINVAL);
                };
                cflag = cflag & !CBAUD | bits;
            }
            termios::Termios { iflag: g.iflag, oflag: g.oflag, cflag, lflag: g.lflag, line: g.line, cc: g.cc }
        }
        Form::Termio => {
            // The upper halves stay as they are.
            let old = termios::get(fd)?;
            let g = cx.read(GuestPtr::<Termio>::new(at))?;
            let join = |old: u32, new: u16| old & 0xffff_0000 | u32::from(new);
            let mut cc = old.cc;
            cc[..8].copy_from_slice(&g.cc);
            termios::Termios {
                iflag: join(old.iflag, g.iflag),
                oflag: join(old.oflag, g.oflag),
                cflag: join(old.cflag, g.cflag),
                lflag: join(old.lflag, g.lflag),
                line: g.line,
                cc,
            }
        }
    })
}

/// Bytes of an interface's name.
const IFNAMSIZ: usize = 16;

/// Bytes of `struct ifreq`: the union is as large as `struct ifmap`, which has two words and eight bytes more.
fn ifreq_size(abi: Abi) -> usize {
    IFNAMSIZ + (2 * abi.word_bytes() + 8).max(16)
}

/// The same on the host.
const HOST_IFREQ: usize = IFNAMSIZ + if cfg!(target_pointer_width = "64") { 24 } else { 16 };

/// `struct ifreq` both ways.
fn interface(cx: &mut Cx<'_>, fd: i32, r: &Request, at: u64, kind: Union) -> SysResult {
    let abi = cx.abi();
    let mut guest = cx.bytes(at, ifreq_size(abi) as u64)?;
    let mut buf = vec![0; HOST_IFREQ];
    let n = guest.len().min(HOST_IFREQ);
    buf[..n].copy_from_slice(&guest[..n]);
    swap(abi, kind, &mut buf[IFNAMSIZ..]);
    let ret = ioctl_buf(fd, number(r)?, &mut buf)?;
    swap(abi, kind, &mut buf[IFNAMSIZ..]);
    guest[..n].copy_from_slice(&buf[..n]);
    cx.put_bytes(at, &guest)?;
    Ok(ret as u64)
}

/// Changes the number in the union between the guest's order and the host's.
fn swap(abi: Abi, kind: Union, bytes: &mut [u8]) {
    if (abi.endian == tern_core::mem::Endian::Big) != cfg!(target_endian = "big") {
        let len = match kind {
            Union::Int | Union::Name => 4,
            Union::Short | Union::Address => 2,
        };
        bytes[..len].reverse();
    }
}

/// `SIOCGIFCONF`: the interfaces that have an IPv4 address; a null buffer asks for the size.
fn interfaces(cx: &mut Cx<'_>, fd: i32, at: u64) -> SysResult {
    let abi = cx.abi();
    let ptr = GuestPtr::<Ifconf>::new(at);
    let conf = cx.read(ptr)?;
    let size = ifreq_size(abi);
    let room = if conf.buf == 0 { usize::MAX } else { usize::try_from(conf.len).map_err(|_| Errno::EINVAL)? / size };
    let find = |name: &str| sys::ioctl::by_name(name).map(|r| r.number).ok_or(Errno::ENOTTY);
    let (by_index, by_name) = (find("SIOCGIFNAME")?, find("SIOCGIFADDR")?);
    let mut count = 0;
    for index in 1..=MAX_INDEX {
        let mut buf = vec![0; HOST_IFREQ];
        buf[IFNAMSIZ..IFNAMSIZ + 4].copy_from_slice(&to_host_int(index));
        if ioctl_buf(fd, by_index, &mut buf).is_err() {
            continue;
        }
        buf[IFNAMSIZ..].fill(0);
        if ioctl_buf(fd, by_name, &mut buf).is_err() {
            continue;
        }
        if count == room {
            break;
        }
        if conf.buf != 0 {
            swap(abi, Union::Address, &mut buf[IFNAMSIZ..]);
            buf.resize(size, 0);
            cx.put_bytes(conf.buf + (count * size) as u64, &buf)?;
        }
        count += 1;
    }
    cx.write(ptr, &Ifconf { len: (count * size) as i32, ..conf })?;
    Ok(0)
}

/// Highest number of an interface that is looked for; they are given out from 1.
const MAX_INDEX: i32 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::riscv::{RISCV32, RISCV64};
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn requests_are_listed_once_and_known_to_the_host() {
        for (i, r) in REQUESTS.iter().enumerate() {
            assert!(REQUESTS[..i].iter().all(|o| o.number != r.number), "{} twice", r.name);
            if matches!(r.how, How::Value | How::Int | How::Byte | How::LongInt | How::Wide | How::Interface(_)) {
                assert!(sys::ioctl::by_name(r.name).is_some(), "{} has no row in tern-host", r.name);
            }
        }
    }

    #[test]
    fn pipes_tell_what_can_be_read() {
        let mut f = Fixture::new(&RISCV64);
        let (r, w) = sys::file::pipe2(0).expect("a pipe");
        assert_eq!(sys::file::write(w, b"12345"), Ok(5));
        assert_eq!(f.call("ioctl", [r as u64, 0x541b, SCRATCH, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.cx().read(GuestPtr::<i32>::new(SCRATCH)), Ok(5));
        assert_eq!(f.call("ioctl", [r as u64, 0x5401, SCRATCH, 0, 0, 0]), Some(Err(Errno::ENOTTY)));
        assert_eq!(f.call("ioctl", [r as u64, 0x541b, SCRATCH + 0x2000, 0, 0, 0]), Some(Err(Errno::EFAULT)));
        assert_eq!(f.call("ioctl", [r as u64, 0xdead, 0, 0, 0, 0]), Some(Err(Errno::ENOTTY)));
        assert_eq!(f.process.mem.events.unimplemented_counts().len(), 1);
        assert_eq!(f.call("ioctl", [999, 0x541b, SCRATCH, 0, 0, 0]), Some(Err(Errno::EBADF)));
        f.cx().write(GuestPtr::<i32>::new(SCRATCH), &1).expect("scratch");
        assert_eq!(f.call("ioctl", [r as u64, 0x5421, SCRATCH, 0, 0, 0]), Some(Ok(0)));
        let flags = sys::file::fcntl(r, host::F_GETFL, 0).expect("flags");
        assert_ne!(flags & host::O_NONBLOCK, 0);
        assert_eq!((sys::file::close(r), sys::file::close(w)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_pseudo_terminal_has_settings_and_a_size() {
        for isa in [&RISCV64, &RISCV32] {
            let mut f = Fixture::new(isa);
            let pty =
                sys::file::openat(sys::CWD, c"/dev/ptmx", host::O_RDWR | host::O_NOCTTY, 0).expect("a pty") as u64;
            assert_eq!(f.call("ioctl", [pty, 0x80045430, SCRATCH, 0, 0, 0]), Some(Ok(0)), "TIOCGPTN");
            let ptr = GuestPtr::<Winsize>::new(SCRATCH);
            let size = Winsize { row: 24, col: 80, xpixel: 0, ypixel: 0 };
            f.cx().write(ptr, &size).expect("scratch");
            assert_eq!(f.call("ioctl", [pty, 0x5414, SCRATCH, 0, 0, 0]), Some(Ok(0)));
            assert_eq!(f.call("ioctl", [pty, 0x5413, SCRATCH + 64, 0, 0, 0]), Some(Ok(0)));
            assert_eq!(f.cx().read(GuestPtr::<Winsize>::new(SCRATCH + 64)), Ok(size));
            assert_eq!(f.call("ioctl", [pty, 0x5401, SCRATCH, 0, 0, 0]), Some(Ok(0)), "TCGETS");
            let ptr = GuestPtr::<Termios>::new(SCRATCH);
            let mut t = f.cx().read(ptr).expect("written");
            assert_ne!(t.lflag & 0o10, 0, "ECHO");
            t.lflag &= !0o10;
            f.cx().write(ptr, &t).expect("scratch");
            assert_eq!(f.call("ioctl", [pty, 0x5402, SCRATCH, 0, 0, 0]), Some(Ok(0)), "TCSETS");
            assert_eq!(f.call("ioctl", [pty, 0x802c542a, SCRATCH, 0, 0, 0]), Some(Ok(0)), "TCGETS2");
            let t = f.cx().read(GuestPtr::<Termios2>::new(SCRATCH)).expect("written");
            assert_eq!((t.lflag & 0o10, t.ospeed), (0, 38400));
            assert_eq!(f.call("close", [pty; 6]), Some(Ok(0)));
        }
    }

    #[test]
    fn speeds_have_bits() {
        assert_eq!(bits(9600), Some(0o15));
        assert_eq!(bits(115_200), Some(0o10002));
        assert_eq!(baud(0o10002), 115_200);
        assert_eq!(bits(12345), None);
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let mut f = Fixture::new(&RISCV64);
        let fd = sys::socket::socket(host::AF_INET, host::SOCK_DGRAM, 0).expect("a socket");
        let mut req = b"lo".to_vec();
        req.resize(40, 0);
        f.cx().put_bytes(SCRATCH, &req).expect("scratch");
        assert_eq!(f.call("ioctl", [fd as u64, 0x8933, SCRATCH, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.cx().read(GuestPtr::<i32>::new(SCRATCH + 16)), Ok(1));
        assert_eq!(sys::file::close(fd), Ok(()));
    }
}
