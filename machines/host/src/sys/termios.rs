//! Terminal settings in the form of asm-generic/termbits.h, whatever the host's own bits are.

use super::{Errno, Fd, cvt0};

/// Settings of a terminal: flags, baud bits and positions of control characters as in asm-generic/termbits.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Termios {
    /// Input modes.
    pub iflag: u32,
    /// Output modes.
    pub oflag: u32,
    /// Control modes.
    pub cflag: u32,
    /// Local modes.
    pub lflag: u32,
    /// Line discipline.
    pub line: u8,
    /// Control characters.
    pub cc: [u8; 19],
}

/// When [`set`] takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// `TCSETS`: at once.
    Now,
    /// `TCSETSW`: when all output is sent.
    Drain,
    /// `TCSETSF`: when all output is sent; unread input is thrown away.
    Flush,
}

/// One row: the bits of asm-generic (`mask`, `value`) and those of the host.
struct Bits {
    mask: u32,
    value: u32,
    host_mask: u32,
    host_value: u32,
}

macro_rules! flags {
    ($($name:ident = $value:literal)*) => {
        &[$(Bits { mask: $value, value: $value, host_mask: libc::$name as u32, host_value: libc::$name as u32 }),*]
    };
}
macro_rules! field {
    ($mask:literal, $host_mask:ident: $($name:ident = $value:literal)*) => {
        &[$(Bits { mask: $mask, value: $value, host_mask: libc::$host_mask as u32, host_value: libc::$name as u32 }),*]
    };
}

const IFLAG: &[&[Bits]] = &[flags! {
    IGNBRK = 0o1 BRKINT = 0o2 IGNPAR = 0o4 PARMRK = 0o10 INPCK = 0o20 ISTRIP = 0o40 INLCR = 0o100 IGNCR = 0o200
    ICRNL = 0o400 IXON = 0o2000 IXANY = 0o4000 IXOFF = 0o10000 IMAXBEL = 0o20000 IUTF8 = 0o40000
}];
const OFLAG: &[&[Bits]] = &[
    flags! { OPOST = 0o1 ONLCR = 0o4 OCRNL = 0o10 ONOCR = 0o20 ONLRET = 0o40 OFILL = 0o100 OFDEL = 0o200 },
    field! { 0o400, NLDLY: NL0 = 0 NL1 = 0o400 },
    field! { 0o3000, CRDLY: CR0 = 0 CR1 = 0o1000 CR2 = 0o2000 CR3 = 0o3000 },
    field! { 0o14000, TABDLY: TAB0 = 0 TAB1 = 0o4000 TAB2 = 0o10000 TAB3 = 0o14000 },
    field! { 0o20000, BSDLY: BS0 = 0 BS1 = 0o20000 },
    field! { 0o40000, VTDLY: VT0 = 0 VT1 = 0o40000 },
    field! { 0o100000, FFDLY: FF0 = 0 FF1 = 0o100000 },
];
const CFLAG: &[&[Bits]] = &[
    flags! {
        CSTOPB = 0o100 CREAD = 0o200 PARENB = 0o400 PARODD = 0o1000 HUPCL = 0o2000 CLOCAL = 0o4000
        CRTSCTS = 0o20000000000
    },
    field! { 0o60, CSIZE: CS5 = 0 CS6 = 0o20 CS7 = 0o40 CS8 = 0o60 },
    field! { 0o10017, CBAUD:
        B0 = 0 B50 = 1 B75 = 2 B110 = 3 B134 = 4 B150 = 5 B200 = 6 B300 = 7 B600 = 0o10 B1200 = 0o11 B1800 = 0o12
        B2400 = 0o13 B4800 = 0o14 B9600 = 0o15 B19200 = 0o16 B38400 = 0o17 B57600 = 0o10001 B115200 = 0o10002
        B230400 = 0o10003 B460800 = 0o10004 B500000 = 0o10005 B576000 = 0o10006 B921600 = 0o10007 B1000000 = 0o10010
        B1152000 = 0o10011 B1500000 = 0o10012 B2000000 = 0o10013
    },
];
const LFLAG: &[&[Bits]] = &[flags! {
    ISIG = 0o1 ICANON = 0o2 ECHO = 0o10 ECHOE = 0o20 ECHOK = 0o40 ECHONL = 0o100 NOFLSH = 0o200 TOSTOP = 0o400
    ECHOCTL = 0o1000 ECHOPRT = 0o2000 ECHOKE = 0o4000 FLUSHO = 0o10000 PENDIN = 0o40000 IEXTEN = 0o100000
    EXTPROC = 0o200000
}];
/// Position in asm-generic's `c_cc`, position in the host's.
const CC: &[(usize, usize)] = &[
    (0, libc::VINTR),
    (1, libc::VQUIT),
    (2, libc::VERASE),
    (3, libc::VKILL),
    (4, libc::VEOF),
    (5, libc::VTIME),
    (6, libc::VMIN),
    (7, libc::VSWTC),
    (8, libc::VSTART),
    (9, libc::VSTOP),
    (10, libc::VSUSP),
    (11, libc::VEOL),
    (12, libc::VREPRINT),
    (13, libc::VDISCARD),
    (14, libc::VWERASE),
    (15, libc::VLNEXT),
    (16, libc::VEOL2),
];

fn to_generic(table: &[&[Bits]], host: u32) -> u32 {
    table.iter().copied().flatten().filter(|b| host & b.host_mask == b.host_value).fold(0, |v, b| v | b.value)
}

/// `old` keeps the host's bits that no row names.
fn to_host(table: &[&[Bits]], generic: u32, old: u32) -> u32 {
    let rows = || table.iter().copied().flatten();
    let kept = old & !rows().fold(0, |m, b| m | b.host_mask);
    rows().filter(|b| generic & b.mask == b.value).fold(kept, |v, b| v | b.host_value)
}

/// A new pseudo-terminal that never waits: its main end, and its number in `/dev/pts`.
///
/// # Errors
/// There is none left.
pub fn open_pty() -> std::io::Result<(std::fs::File, u32)> {
    use super::ioctl;
    use super::kernel::native;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let main = options.read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open("/dev/ptmx")?;
    let mut word = [0; 4];
    for name in ["TIOCSPTLCK", "TIOCGPTN"] {
        let request = ioctl::by_name(name).ok_or(Errno::ENOTTY)?;
        ioctl::ioctl_buf(main.as_raw_fd(), request.number, &mut word)?;
    }
    Ok((main, native::i32(&word, 0).cast_unsigned()))
}

fn raw(fd: Fd) -> Result<libc::termios, Errno> {
    // SAFETY: all-zero bytes are a valid `termios` (integers only).
    let mut t: libc::termios = unsafe { core::mem::zeroed() };
    // SAFETY: a live structure of the type that the call fills.
    cvt0(unsafe { libc::tcgetattr(fd, &raw mut t) })?;
    Ok(t)
}

/// `TCGETS`.
///
/// # Errors
/// `ENOTTY`, `EBADF`.
pub fn get(fd: Fd) -> Result<Termios, Errno> {
    let t = raw(fd)?;
    let mut cc = [0; 19];
    for (generic, host) in CC {
        cc[*generic] = t.c_cc[*host];
    }
    Ok(Termios {
        iflag: to_generic(IFLAG, t.c_iflag),
        oflag: to_generic(OFLAG, t.c_oflag),
        cflag: to_generic(CFLAG, t.c_cflag),
        lflag: to_generic(LFLAG, t.c_lflag),
        line: t.c_line,
        cc,
    })
}

/// `TCSETS`, `TCSETSW`, `TCSETSF`. Bits that asm-generic does not define stay as they are.
///
/// # Errors
/// `ENOTTY`, `EBADF`, `EIO`.
pub fn set(fd: Fd, when: When, new: &Termios) -> Result<(), Errno> {
    let mut t = raw(fd)?;
    t.c_iflag = to_host(IFLAG, new.iflag, t.c_iflag);
    t.c_oflag = to_host(OFLAG, new.oflag, t.c_oflag);
    t.c_cflag = to_host(CFLAG, new.cflag, t.c_cflag);
    t.c_lflag = to_host(LFLAG, new.lflag, t.c_lflag);
    t.c_line = new.line;
    for (generic, host) in CC {
        t.c_cc[*host] = new.cc[*generic];
    }
    let when = match when {
        When::Now => libc::TCSANOW,
        When::Drain => libc::TCSADRAIN,
        When::Flush => libc::TCSAFLUSH,
    };
    // SAFETY: a live structure of the type that the call reads.
    cvt0(unsafe { libc::tcsetattr(fd, when, &raw const t) })
}

/// The same settings in raw mode (`cfmakeraw(3)`): no echo, no signals, no translation, byte by byte.
#[must_use]
pub fn make_raw(mut t: Termios) -> Termios {
    // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON; OPOST; ECHO ECHONL ICANON ISIG IEXTEN; CSIZE PARENB -> CS8.
    t.iflag &= !(0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000);
    t.oflag &= !0o1;
    t.lflag &= !(0o10 | 0o100 | 0o2 | 0o1 | 0o100000);
    t.cflag = (t.cflag & !(0o60 | 0o400)) | 0o60;
    (t.cc[6], t.cc[5]) = (1, 0);
    t
}
