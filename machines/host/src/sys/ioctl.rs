//! `ioctl(2)` for requests of a known shape.
//!
//! A request says nothing about pointers inside its argument, so an unknown one could make the kernel write anywhere in
//! tern's memory. Only the requests of [`REQUESTS`] pass; to admit one, add its row.

use super::{Errno, Fd, cvt};

/// What a request's argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Nothing, or a number passed by value.
    Value,
    /// A pointer to this many bytes, which hold no pointer; read, written or both.
    Bytes(usize),
}

/// One admitted request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its symbol in the manual pages (`ioctl_list(2)` and others).
    pub name: &'static str,
    /// Its number on this host.
    pub number: u32,
    /// Its argument.
    pub shape: Shape,
}

/// `struct ifreq`: a name of 16 bytes and a union as large as `struct ifmap`.
const IFREQ: usize = if cfg!(target_pointer_width = "64") { 40 } else { 32 };

/// Every admitted request.
pub const REQUESTS: &[Request] = &{
    use Shape::{Bytes, Value};
    macro_rules! rows {
        ($($name:ident $shape:expr;)*) => {
            [$(Request { name: stringify!($name), number: libc::$name as u32, shape: $shape }),*]
        };
    }
    rows! {
        TIOCGWINSZ Bytes(8);
        TIOCSWINSZ Bytes(8);
        TIOCGPGRP Bytes(4);
        TIOCSPGRP Bytes(4);
        TIOCGSID Bytes(4);
        TIOCSCTTY Value;
        TIOCNOTTY Value;
        TIOCEXCL Value;
        TIOCNXCL Value;
        TIOCOUTQ Bytes(4);
        TIOCMGET Bytes(4);
        TIOCMBIS Bytes(4);
        TIOCMBIC Bytes(4);
        TIOCMSET Bytes(4);
        TIOCSTI Bytes(1);
        TCSBRK Value;
        TCXONC Value;
        TCFLSH Value;
        TCSBRKP Value;
        TIOCSBRK Value;
        TIOCCBRK Value;
        FIONREAD Bytes(4);
        FIONBIO Bytes(4);
        FIOCLEX Value;
        FIONCLEX Value;
        FIOASYNC Bytes(4);
        SIOCGIFNAME Bytes(IFREQ);
        SIOCGIFINDEX Bytes(IFREQ);
        SIOCGIFFLAGS Bytes(IFREQ);
        SIOCGIFADDR Bytes(IFREQ);
        SIOCGIFDSTADDR Bytes(IFREQ);
        SIOCGIFBRDADDR Bytes(IFREQ);
        SIOCGIFNETMASK Bytes(IFREQ);
        SIOCGIFMETRIC Bytes(IFREQ);
        SIOCGIFMTU Bytes(IFREQ);
        SIOCGIFHWADDR Bytes(IFREQ);
    }
};

/// Requests that libc does not name on every host, built as `_IOR('T', n, type)` etc. (asm/ioctl.h).
pub const PTY_REQUESTS: &[Request] = &[
    Request { name: "TIOCGPTN", number: code(READ, b'T', 0x30, 4), shape: Shape::Bytes(4) },
    Request { name: "TIOCSPTLCK", number: code(WRITE, b'T', 0x31, 4), shape: Shape::Bytes(4) },
    Request { name: "TIOCGPTPEER", number: code(NONE, b'T', 0x41, 0), shape: Shape::Value },
    Request { name: "BLKGETSIZE64", number: code(READ, 0x12, 114, size_of::<usize>() as u32), shape: Shape::Bytes(8) },
    Request { name: "FS_IOC_GETFLAGS", number: code(READ, b'f', 1, size_of::<usize>() as u32), shape: Shape::Bytes(8) },
    Request {
        name: "FS_IOC_SETFLAGS",
        number: code(WRITE, b'f', 2, size_of::<usize>() as u32),
        shape: Shape::Bytes(8),
    },
    Request {
        name: "FS_IOC_GETVERSION",
        number: code(READ, b'v', 1, size_of::<usize>() as u32),
        shape: Shape::Bytes(8),
    },
    Request { name: "FICLONE", number: code(WRITE, 0x94, 9, 4), shape: Shape::Value },
    Request { name: "RNDGETENTCNT", number: code(READ, b'R', 0, 4), shape: Shape::Bytes(4) },
];

/// MIPS, PowerPC, SPARC and Alpha number directions apart from the rest (asm/ioctl.h).
const ODD: bool = cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64"
));
const NONE: u32 = if ODD { 1 << 29 } else { 0 };
const READ: u32 = if ODD { 2 << 29 } else { 2 << 30 };
const WRITE: u32 = if ODD { 4 << 29 } else { 1 << 30 };

const fn code(direction: u32, kind: u8, number: u32, size: u32) -> u32 {
    direction | size << 16 | (kind as u32) << 8 | number
}

/// The admitted request with this symbol.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Request> {
    REQUESTS.iter().chain(PTY_REQUESTS).find(|r| r.name == name)
}

fn by_number(number: u32) -> Result<&'static Request, Errno> {
    REQUESTS.iter().chain(PTY_REQUESTS).find(|r| r.number == number).ok_or(Errno::ENOTTY)
}

/// A request with a number, or nothing, as argument.
///
/// # Errors
/// The kernel's errno; `ENOTTY` for a request that is not admitted or takes a pointer.
pub fn ioctl_int(fd: Fd, request: u32, value: i64) -> Result<i32, Errno> {
    if by_number(request)?.shape != Shape::Value {
        return Err(Errno::ENOTTY);
    }
    // SAFETY: the kernel takes the argument of this request by value.
    cvt(unsafe { libc::ioctl(fd, request as _, value as core::ffi::c_long) })
}

/// A request with a structure as argument, in the host's form, both ways.
///
/// # Errors
/// The kernel's errno; `ENOTTY` for a request that is not admitted or takes a number, `EINVAL` for a buffer that is not
/// as long as its structure.
pub fn ioctl_buf(fd: Fd, request: u32, buf: &mut [u8]) -> Result<i32, Errno> {
    // Drivers may disagree with the table about a size; the kernel's own limit for a coded size is 16 KiB.
    const ROOM: usize = 64 << 10;
    match by_number(request)?.shape {
        Shape::Bytes(len) if len == buf.len() => {}
        Shape::Bytes(_) => return Err(Errno::EINVAL),
        Shape::Value => return Err(Errno::ENOTTY),
    }
    let mut room = vec![0u64; ROOM / 8];
    let ptr = room.as_mut_ptr().cast::<u8>();
    // SAFETY: `buf` is far shorter than the room (see the tables); the request's structure holds no pointer, so the kernel
    // writes only to the room.
    unsafe {
        core::ptr::copy_nonoverlapping(buf.as_ptr(), ptr, buf.len());
        let ret = cvt(libc::ioctl(fd, request as _, ptr));
        core::ptr::copy_nonoverlapping(ptr, buf.as_mut_ptr(), buf.len());
        ret
    }
}

/// `TUNSETIFF` of `/dev/net/tun` (linux/if_tun.h): makes the descriptor the interface `name`, an Ethernet device without
/// packet information, or a new one if `name` is empty; returns its name. This is for tern's own networks; guest
/// programs have no such request.
///
/// # Errors
/// `EPERM`, `EBUSY`, `EINVAL` (also for a name of 16 bytes or more) and others of the kernel's.
pub fn tun_set_interface(fd: Fd, name: &str) -> Result<String, Errno> {
    const NAME: usize = 16;
    const IFF_TAP: u8 = 0x02;
    const IFF_NO_PI_HIGH: u8 = 0x10;
    if name.len() >= NAME {
        return Err(Errno::EINVAL);
    }
    let mut request = [0u8; IFREQ];
    request[..name.len()].copy_from_slice(name.as_bytes());
    // A 16-bit number of the host's: IFF_TAP | IFF_NO_PI.
    let (low, high) = if cfg!(target_endian = "big") { (NAME + 1, NAME) } else { (NAME, NAME + 1) };
    request[low] = IFF_TAP;
    request[high] = IFF_NO_PI_HIGH;
    // SAFETY: the request reads and writes one `struct ifreq`, which is as long as the buffer and holds no pointer here.
    cvt(unsafe { libc::ioctl(fd, code(WRITE, b'T', 202, 4) as _, request.as_mut_ptr()) })?;
    let len = request[..NAME].iter().position(|b| *b == 0).unwrap_or(NAME);
    Ok(String::from_utf8_lossy(&request[..len]).into_owned())
}

/// What [`tun_interface`] finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TunInterface {
    /// The interface's name.
    pub name: String,
    /// It carries Ethernet frames (`IFF_TAP`), not IP packets.
    pub ethernet: bool,
    /// There is no packet information before each frame (`IFF_NO_PI`).
    pub bare: bool,
    /// Bytes of the virtio header before each frame, 0 without one (`IFF_VNET_HDR`).
    pub header: usize,
}

/// `TUNGETIFF` and `TUNGETVNETHDRSZ` of a descriptor that somebody else has made an interface (linux/if_tun.h); every
/// offload is turned off (`TUNSETOFFLOAD`), so that frames are whole and have their checksums.
///
/// # Errors
/// `ENOTTY` if it is none, `EBADFD` if it is none yet, and others of the kernel's.
pub fn tun_interface(fd: Fd) -> Result<TunInterface, Errno> {
    const NAME: usize = 16;
    let mut request = [0u8; IFREQ];
    // SAFETY: the request writes one `struct ifreq`, which is as long as the buffer.
    cvt(unsafe { libc::ioctl(fd, code(READ, b'T', 210, 4) as _, request.as_mut_ptr()) })?;
    let flags = super::kernel::native::u16(&request, NAME);
    let mut header = 0i32;
    if flags & 0x4000 != 0 {
        // SAFETY: a live `int`, which is what the request fills.
        cvt(unsafe { libc::ioctl(fd, code(READ, b'T', 215, 4) as _, &raw mut header) })?;
    }
    // SAFETY: the kernel takes the argument of this request by value.
    cvt(unsafe { libc::ioctl(fd, code(WRITE, b'T', 208, 4) as _, 0 as core::ffi::c_long) })?;
    let len = request[..NAME].iter().position(|b| *b == 0).unwrap_or(NAME);
    Ok(TunInterface {
        name: String::from_utf8_lossy(&request[..len]).into_owned(),
        ethernet: flags & 0x2 != 0,
        bare: flags & 0x1000 != 0,
        header: usize::try_from(header).unwrap_or(0),
    })
}

/// The size of a terminal window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WinSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub cols: u16,
    /// Width in pixels, if known.
    pub xpixel: u16,
    /// Height in pixels, if known.
    pub ypixel: u16,
}

/// `TIOCGWINSZ`.
///
/// # Errors
/// `ENOTTY`, `EBADF`.
pub fn window_size(fd: Fd) -> Result<WinSize, Errno> {
    let mut w = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: a live structure of the type that the request fills.
    cvt(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ as _, &raw mut w) })?;
    Ok(WinSize { rows: w.ws_row, cols: w.ws_col, xpixel: w.ws_xpixel, ypixel: w.ws_ypixel })
}

/// `TIOCSWINSZ`.
///
/// # Errors
/// `ENOTTY`, `EBADF`.
pub fn set_window_size(fd: Fd, size: WinSize) -> Result<(), Errno> {
    let w = libc::winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: size.xpixel, ws_ypixel: size.ypixel };
    // SAFETY: a live structure of the type that the request reads.
    cvt(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ as _, &raw const w) }).map(|_| ())
}

macro_rules! int_gets {
    ($($name:ident = $request:ident $doc:literal;)*) => {$(
        #[doc = concat!($doc, "\n\n# Errors\nThe kernel's errno.")]
        pub fn $name(fd: Fd) -> Result<i32, Errno> {
            let mut value = 0i32;
            // SAFETY: a live `int`, which is what the request fills.
            cvt(unsafe { libc::ioctl(fd, libc::$request as _, &raw mut value) })?;
            Ok(value)
        }
    )*};
}
int_gets! {
    readable = FIONREAD "`FIONREAD`: bytes that can be read at once.";
    unsent = TIOCOUTQ "`TIOCOUTQ`: bytes that are not yet sent.";
    foreground = TIOCGPGRP "`TIOCGPGRP`: the foreground process group.";
    session = TIOCGSID "`TIOCGSID`: the session of the terminal.";
}

/// `TIOCSPGRP`: sets the foreground process group.
///
/// # Errors
/// The kernel's errno.
pub fn set_foreground(fd: Fd, group: i32) -> Result<(), Errno> {
    // SAFETY: a live `int`, which is what the request reads.
    cvt(unsafe { libc::ioctl(fd, libc::TIOCSPGRP as _, &raw const group) }).map(|_| ())
}
