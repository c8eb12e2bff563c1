//! The command line of QEMU's user-mode emulators (`qemu-riscv64 [options] program [arguments...]`), so that binfmt_misc
//! set-ups and scripts written for it keep working.  Options are rows; each may come from an environment variable too.

use crate::failure::{Failure, print};
use crate::gdb::Gdb;
use crate::launch::{self, Launch};
use crate::run::number;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use tern_session::{Isa, Items, isa, log};

/// The version of QEMU whose command line this is.
const LIKE: &str = "10.0.0";

/// What the options add up to.
struct State {
    name: String,
    isa: &'static Isa,
    launch: Launch,
}

type Set = fn(&mut State, &OsStr) -> Result<(), Stop>;

/// Why no program is run.
enum Stop {
    /// Print this and succeed.
    Print(String),
    /// Print this on standard error and end with status 1.
    Refuse(String),
    /// Print the usage and end with status 1.
    Usage,
}

/// An option.
struct Row {
    name: &'static str,
    env: &'static str,
    /// What the usage calls the argument; empty if there is none.
    arg: &'static str,
    about: &'static str,
    set: Set,
}

const fn row(name: &'static str, env: &'static str, arg: &'static str, about: &'static str, set: Set) -> Row {
    Row { name, env, arg, about, set }
}

/// Options whose `about` is empty are taken and not shown.
static ROWS: &[Row] = &[
    row("h", "", "", "print this help", |_, _| Err(Stop::Usage)),
    row("help", "", "", "", |_, _| Err(Stop::Usage)),
    row("g", "QEMU_GDB", "port", "wait gdb connection to 'port', or to a local socket's path", |s, v| {
        s.launch.gdb = Some(Gdb::Listen { at: v.to_owned(), host: "0.0.0.0" });
        Ok(())
    }),
    row("L", "QEMU_LD_PREFIX", "path", "set the elf interpreter prefix to 'path'", |s, v| {
        s.launch.sysroot = Some(v.to_owned());
        Ok(())
    }),
    row("s", "QEMU_STACK_SIZE", "size", "set the stack size to 'size' bytes", |s, v| {
        s.launch.stack = Some(stack(v).ok_or(Stop::Usage)?);
        Ok(())
    }),
    row("cpu", "QEMU_CPU", "model", "select CPU (-cpu help for list)", cpu),
    row("E", "QEMU_SET_ENV", "var=value", "sets targets environment variable (see below)", |s, v| {
        parts(v).try_for_each(|pair| s.launch.set_env(pair)).map_err(|_| Stop::Usage)
    }),
    row("U", "QEMU_UNSET_ENV", "var", "unsets targets environment variable (see below)", |s, v| {
        for key in parts(v) {
            if key.as_bytes().contains(&b'=') {
                return Err(Stop::Usage);
            }
            s.launch.unset_env(key);
        }
        Ok(())
    }),
    row("0", "QEMU_ARGV0", "argv0", "forces target process argv[0] to be 'argv0'", |s, v| {
        s.launch.argv0 = Some(v.to_owned());
        Ok(())
    }),
    row("r", "QEMU_UNAME", "uname", "set qemu uname release string to 'uname'", |s, v| {
        s.launch.release = Some(v.to_owned());
        Ok(())
    }),
    // Guest addresses are looked up in tern's own page map, so there is no base to choose.
    row("B", "QEMU_GUEST_BASE", "address", "set guest_base address to 'address' (no effect)", |_, v| {
        integer(v).map(|_| ()).ok_or(Stop::Usage)
    }),
    row("R", "QEMU_RESERVED_VA", "size", "reserve 'size' bytes for guest virtual address space", reserve),
    row("t", "QEMU_RTSIG_MAP", "tsig hsig n[,...]", "", |_, _| Ok(())),
    row(
        "d",
        "QEMU_LOG",
        "item[,...]",
        "enable logging of specified items (use '-d help' for a list of items)",
        |s, v| {
            s.launch.items = s.launch.items.with(items(v)?);
            Ok(())
        },
    ),
    row("dfilter", "QEMU_DFILTER", "range[,...]", "filter logging based on address range", |s, _| {
        refuse(s, "-dfilter is not built yet")
    }),
    row("D", "QEMU_LOG_FILENAME", "logfile", "write logs to 'logfile' (default stderr)", |s, v| {
        s.launch.log_file = Some(v.to_owned());
        Ok(())
    }),
    row("p", "QEMU_PAGESIZE", "pagesize", "set the host page size to 'pagesize' (no effect)", |_, v| {
        match integer(v) {
            Some(n) if n.is_power_of_two() => Ok(()),
            _ => Err(Stop::Refuse("page size must be a power of two".to_owned())),
        }
    }),
    row("one-insn-per-tb", "QEMU_ONE_INSN_PER_TB", "", "run with one guest instruction per emulated TB", one_insn),
    row("singlestep", "QEMU_SINGLESTEP", "", "", one_insn),
    row("tb-size", "QEMU_TB_SIZE", "size", "", |_, v| integer(v).map(|_| ()).ok_or(Stop::Usage)),
    row("strace", "QEMU_STRACE", "", "log system calls", |s, _| {
        s.launch.items = s.launch.items.with(Items::STRACE);
        Ok(())
    }),
    // Guests have no random number instruction; /dev/urandom and getrandom are the host's.
    row("seed", "QEMU_RAND_SEED", "", "seed for pseudo-random number generator (no effect)", |_, v| {
        integer(v).map(|_| ()).ok_or_else(|| Stop::Refuse(format!("Invalid seed number: {}", v.to_string_lossy())))
    }),
    row("trace", "QEMU_TRACE", "[[enable=]<pattern>][,events=<file>][,file=<file>]", "", |s, _| {
        refuse(s, "-trace: there are no trace events")
    }),
    row("plugin", "QEMU_PLUGIN", "[file=]<file>[,<argname>=<argvalue>]", "", |s, _| {
        refuse(s, "-plugin: there are no plugins")
    }),
    row("perfmap", "QEMU_PERFMAP", "", "", |_, _| Ok(())),
    row("jitdump", "QEMU_JITDUMP", "", "", |_, _| Ok(())),
    row("version", "QEMU_VERSION", "", "display version information and exit", |s, _| {
        Err(Stop::Print(format!("{} version {LIKE} (tern {})\n", s.name, env!("CARGO_PKG_VERSION"))))
    }),
];

/// Runs as the emulator called `name`.
pub(crate) fn run(name: &str, args: &[OsString]) -> anyhow::Result<u8> {
    let guest = name.trim_start_matches("qemu-").trim_end_matches("-static");
    let Some(isa) = isa::by_name(guest) else {
        let text = format!("{name}: this tern runs {}", isa::names());
        return Err(Failure::bare(1, text).into());
    };
    let mut state = State { name: name.to_owned(), isa, launch: Launch::new(OsString::new(), Vec::new()) };
    state.launch.qemu = Some(name.to_owned());
    state.launch.isa = Some(isa);
    state.launch.sysroot = default_prefix(isa);
    match parse(&mut state, args) {
        Ok(()) => launch::run(state.launch),
        Err(Stop::Print(text)) => print(&text),
        Err(Stop::Refuse(text)) => Err(Failure::bare(1, text).into()),
        // As QEMU does, on standard output and with the status of a failure only if it was not asked for.
        Err(Stop::Usage) => {
            print(&usage(&state))?;
            Ok(u8::from(!args.iter().any(|a| a == "-h" || a == "-help")))
        }
    }
}

/// The directory that Debian's emulators look in, if it is there.
fn default_prefix(isa: &Isa) -> Option<OsString> {
    let dir = prefix(isa);
    std::path::Path::new(&dir).is_dir().then(|| dir.into())
}

fn prefix(isa: &Isa) -> String {
    format!("/etc/qemu-binfmt/{}", isa.name)
}

fn parse(state: &mut State, args: &[OsString]) -> Result<(), Stop> {
    for row in ROWS.iter().filter(|r| !r.env.is_empty()) {
        if let Some(value) = std::env::var_os(row.env) {
            (row.set)(state, &value)?;
        }
    }
    let mut args = args.iter();
    let program = loop {
        let none = || Stop::Refuse("qemu: no user program specified".to_owned());
        let arg = args.next().ok_or_else(none)?;
        match arg.as_bytes().strip_prefix(b"-") {
            None => break arg,
            Some(b"-") => break args.next().ok_or_else(none)?,
            Some(name) => option(state, OsStr::from_bytes(name), &mut args)?,
        }
    };
    state.launch.program = program.clone();
    let auxv = Auxv::read();
    if auxv.preserve_argv0
        && let Some(argv0) = args.next()
        && state.launch.argv0.is_none()
    {
        state.launch.argv0 = Some(argv0.clone());
    }
    if let Some(fd) = auxv.execfd {
        if state.launch.argv0.is_none() {
            state.launch.argv0 = Some(program.clone());
        }
        state.launch.program = format!("/proc/self/fd/{fd}").into();
    }
    state.launch.args = args.cloned().collect();
    Ok(())
}

fn option<'a>(state: &mut State, name: &OsStr, args: &mut impl Iterator<Item = &'a OsString>) -> Result<(), Stop> {
    let shown = name.to_string_lossy();
    let row = ROWS.iter().find(|r| r.name == name);
    let row = row.ok_or_else(|| Stop::Refuse(format!("qemu: unknown option '{shown}'")))?;
    let takes = !row.arg.is_empty() || row.name == "seed";
    let value = match takes {
        true => args.next().ok_or_else(|| Stop::Refuse(format!("qemu: missing argument for option '{shown}'")))?,
        false => OsStr::new(""),
    };
    (row.set)(state, value)
}

fn refuse(state: &State, text: &str) -> Result<(), Stop> {
    Err(Stop::Refuse(format!("{}: {text}", state.name)))
}

fn one_insn(state: &mut State, _: &OsStr) -> Result<(), Stop> {
    state.launch.one_insn = true;
    Ok(())
}

fn cpu(state: &mut State, value: &OsStr) -> Result<(), Stop> {
    let text = value.to_string_lossy();
    if text == "help" || text == "?" {
        let models = (state.isa.models)().into_iter();
        return Err(Stop::Print(models.map(|(name, _)| format!("{name}\n")).collect()));
    }
    if let Err(error) = state.isa.cpu(Some(&text)) {
        let model = text.split(',').next().unwrap_or("");
        return Err(Stop::Refuse(match state.isa.cpu(Some(model)) {
            Ok(_) => format!("{}: {}", state.name, error.reason),
            Err(_) => format!("{}: unable to find CPU model '{model}'", state.name),
        }));
    }
    state.launch.cpu = Some(text.into_owned());
    Ok(())
}

fn reserve(state: &mut State, value: &OsStr) -> Result<(), Stop> {
    let text = value.to_string_lossy();
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let digit = |c: char| if hex { c.is_ascii_hexdigit() || c == 'x' || c == 'X' } else { c.is_ascii_digit() };
    let (digits, suffix) = text.split_at(text.find(|c| !digit(c)).unwrap_or(text.len()));
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(Stop::Refuse(format!("Unrecognised -R size suffix '{suffix}'"))),
    };
    let size = integer(OsStr::new(digits)).filter(|n| n.leading_zeros() >= shift).map(|n| n << shift);
    let size = size.ok_or_else(|| Stop::Refuse(format!("Invalid -R size value '{text}'")))?;
    state.launch.reserved_va = (size != 0).then_some(size);
    Ok(())
}

fn items(value: &OsStr) -> Result<Items, Stop> {
    let text = value.to_string_lossy();
    if text == "help" {
        return Err(Stop::Print(log_help()));
    }
    Items::parse(&text).map_err(|_| Stop::Refuse(log_help().trim_end().to_owned()))
}

fn log_help() -> String {
    let mut out = "Log items (comma separated):\n".to_owned();
    for item in log::ALL {
        for name in item.qemu.iter().chain([&item.name]) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:15} {}", item.about);
        }
    }
    out
}

/// The parts of a list as getsubopt(3) has them.
fn parts(value: &OsStr) -> impl Iterator<Item = &OsStr> {
    value.as_bytes().split(|&b| b == b',').filter(|p| !p.is_empty()).map(OsStr::from_bytes)
}

/// A number as `strtoul` reads it with base 0.
fn integer(value: &OsStr) -> Option<u64> {
    let text = value.to_str()?;
    match text.strip_prefix('0').filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())) {
        Some(octal) => u64::from_str_radix(octal, 8).ok(),
        None => number(text),
    }
}

fn stack(value: &OsStr) -> Option<u64> {
    let bytes = value.as_bytes();
    let (digits, shift) = match bytes.last()? {
        b'M' => (&bytes[..bytes.len() - 1], 20),
        b'k' | b'K' => (&bytes[..bytes.len() - 1], 10),
        _ => (bytes, 0),
    };
    integer(OsStr::from_bytes(digits)).filter(|n| *n != 0 && n.leading_zeros() >= shift).map(|n| n << shift)
}

fn usage(state: &State) -> String {
    let (name, isa) = (&state.name, state.isa.name);
    let mut out = format!(
        "usage: {name} [options] program [arguments...]\nLinux CPU emulator (compiled for {isa} emulation)\n\n\
         Options and associated environment variables:\n\n"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:20} {:20} Description", "Argument", "Env-variable");
    for row in ROWS.iter().filter(|r| !r.about.is_empty()) {
        let _ = writeln!(out, "{:20} {:20} {}", format!("-{} {}", row.name, row.arg).trim_end(), row.env, row.about);
    }
    let _ = write!(
        out,
        "\nDefaults:\nQEMU_LD_PREFIX  = {}\n\n\
         -E and -U, QEMU_SET_ENV and QEMU_UNSET_ENV take several variables, separated by commas, and may be repeated;\n\
         the last change of a variable counts.\n",
        prefix(state.isa)
    );
    out
}

/// What the kernel told this process about how it was started (getauxval(3)).
#[derive(Default)]
struct Auxv {
    /// binfmt_misc's flag P: the program's own `argv[0]` follows its path.
    preserve_argv0: bool,
    /// binfmt_misc's flag O: the program is open at this descriptor.
    execfd: Option<u64>,
}

impl Auxv {
    fn read() -> Auxv {
        const AT_EXECFD: u64 = 2;
        const AT_FLAGS: u64 = 8;
        const PRESERVE_ARGV0: u64 = 1;
        const WORD: usize = size_of::<usize>();
        let bytes = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let word = |bytes: &[u8]| {
            let one = |n, b: &u8| n << 8 | u64::from(*b);
            if cfg!(target_endian = "big") { bytes.iter().fold(0, one) } else { bytes.iter().rev().fold(0, one) }
        };
        let mut auxv = Auxv::default();
        for entry in bytes.chunks_exact(2 * WORD) {
            let (key, value) = (word(&entry[..WORD]), word(&entry[WORD..]));
            match key {
                AT_EXECFD => auxv.execfd = Some(value),
                AT_FLAGS => auxv.preserve_argv0 = value & PRESERVE_ARGV0 != 0,
                _ => {}
            }
        }
        auxv
    }
}
