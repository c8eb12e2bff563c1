//! Writes the log of a process.

use super::files::Files;
use super::item::{self, Extra, Item, KIND, Parent, Setup, VERSION, What};
use crate::abi::Errno;
use crate::mm::map::hide;
use crate::mm::vma::HiddenFd;
use crate::process::Process;
use crate::thread::Tid;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{Error, ErrorKind};
use tern_core::codec;
use tern_host::clock::{monotonic_ns, realtime_ns};
use tern_host::sys;
use tern_session::record::{Header, LogError, Writer};

/// Instructions between digests of registers, at least.
const REGISTERS_EVERY: u64 = 1_000_000;
/// Host time between digests of memory, in multiples of what the last one took.
const STATE_SHARE: u64 = 40;
/// Longest time that items wait before they are written, in nanoseconds of the host.
const WAIT_NS: u64 = 50_000_000;

/// The clock is looked at after so many calls or instructions.
const LOOK_EVERY: u32 = 32;
const LOOK_INSNS: u64 = 500_000;

/// How a transfer is made while a run is recorded: the log is written before the host blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Right away: a file, or one of the simple devices.
    AtOnce,
    /// Without waiting first (`RWF_NOWAIT`): a pipe.
    Try,
    /// When the scheduler has seen that it will not block.
    Wait,
}

/// What the user wants of a recording.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's path.
    pub log: Vec<u8>,
    /// What the log says that it is of: a command line.
    pub title: String,
    /// The CPU as it was chosen.
    pub cpu: Option<String>,
    /// How threads take turns, for people.
    pub schedule: String,
    /// Instructions between digests of memory, at least.
    pub digest_every: u64,
}

impl Options {
    /// A recording into a file.
    #[must_use]
    pub fn new(log: Vec<u8>, title: String) -> Options {
        Options { log, title, cpu: None, schedule: "round-robin".to_owned(), digest_every: 50_000_000 }
    }
}

/// A recording that could not begin.
#[derive(Debug)]
pub enum RecordError {
    /// The log cannot be written.
    Log {
        /// Its path.
        path: Vec<u8>,
        /// Why.
        error: LogError,
    },
    /// The program cannot be loaded.
    Load(crate::elf::LoadError),
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RecordError::Log { path, error } => write!(f, "{}: {error}", String::from_utf8_lossy(path)),
            RecordError::Load(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for RecordError {}

impl From<crate::elf::LoadError> for RecordError {
    fn from(e: crate::elf::LoadError) -> RecordError {
        RecordError::Load(e)
    }
}

/// A file of tern's own that the guest cannot close.
struct HiddenFile(HiddenFd);

impl std::io::Write for HiddenFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A signal that the handlers catch must not cut a frame in two.
        let written = tern_host::signal::with_blocked(|_| sys::file::write(self.0.0, bytes));
        match written {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(n) => Ok(n),
            Err(e) => Err(Error::from_raw_os_error(e.0)),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a log.
pub struct Recorder {
    writer: Writer<Item>,
    options: Options,
    setup: Setup,
    id: [u8; 16],
    /// The position of the last item.
    last: u64,
    /// The thread that runs, as the log knows.
    current: Tid,
    /// Children made so far.
    forks: u64,
    /// Hashes of files.
    pub files: Files,
    /// What else the call that runs needs in its replay.
    extra: Option<Extra>,
    /// The program, until the process begins.
    program: Option<item::Program>,
    registers_at: u64,
    state_at: u64,
    state_after_ns: u64,
    flushed_ns: u64,
    /// Calls since the clock was looked at, and the position then.
    quiet: u32,
    looked_at: u64,
    /// How transfers on descriptors are made.
    ways: BTreeMap<i32, Way>,
    failed: Option<LogError>,
}

impl core::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recorder").field("log", &self.options.log).finish_non_exhaustive()
    }
}

/// Makes a new log file; what was there is gone.
fn create(path: &[u8]) -> Result<HiddenFile, Error> {
    let os = |e: Errno| Error::other(e.to_string());
    let host = |e: sys::Errno| Error::from_raw_os_error(e.0);
    let name = CString::new(path).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let flags = sys::host::O_WRONLY | sys::host::O_CREAT | sys::host::O_TRUNC | sys::host::O_CLOEXEC;
    let fd = HiddenFd(sys::file::openat(sys::CWD, &name, flags | sys::host::O_NOCTTY, 0o666).map_err(host)?);
    Ok(HiddenFile(hide(fd.0).map_err(os)?))
}

impl Recorder {
    /// Begins a log.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(options: Options, setup: Setup, at: u64) -> Result<Recorder, RecordError> {
        let fail = |error| RecordError::Log { path: options.log.clone(), error };
        let io = |e| fail(LogError { frame: 0, at: 0, why: tern_session::record::Why::Io(e) });
        let file = create(&options.log).map_err(io)?;
        let mut id = [0; 16];
        tern_host::entropy::fill(&mut id).map_err(io)?;
        let setup_bytes = codec::encode(&setup).map_err(|e| io(Error::other(e.to_string())))?;
        let header = Header {
            id,
            tern: env!("CARGO_PKG_VERSION").to_owned(),
            kind: KIND.to_owned(),
            title: options.title.clone(),
            date_ns: u64::try_from(realtime_ns()).unwrap_or(0),
            setup: setup_bytes,
        };
        let writer = Writer::new(Box::new(file), &header).map_err(fail)?;
        let (current, now) = (setup.pid, monotonic_ns());
        Ok(Recorder {
            writer,
            state_at: at + options.digest_every,
            options,
            setup,
            id,
            last: at,
            current,
            forks: 0,
            files: Files::new(),
            extra: None,
            program: None,
            registers_at: at + REGISTERS_EVERY,
            state_after_ns: now,
            flushed_ns: now,
            quiet: 0,
            looked_at: at,
            ways: BTreeMap::new(),
            failed: None,
        })
    }

    /// The log's path.
    #[must_use]
    pub fn log(&self) -> &[u8] {
        &self.options.log
    }

    /// The error that has ended the recording.
    #[must_use]
    pub fn failed(&self) -> Option<&LogError> {
        self.failed.as_ref()
    }

    /// Bytes written and items so far.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        self.writer.size()
    }

    /// The thread that runs.
    #[must_use]
    pub fn current(&self) -> Tid {
        self.current
    }

    fn append(&mut self, at: u64, what: What) {
        if self.failed.is_some() {
            return;
        }
        let item = Item { after: at.wrapping_sub(self.last), what };
        self.last = at;
        if let Err(e) = self.writer.push(&item) {
            self.failed = Some(e);
        }
    }

    /// Appends an event of a thread.
    pub fn push(&mut self, at: u64, tid: Tid, what: What) {
        self.turn(at, tid);
        self.append(at, what);
    }

    /// This thread runs now.
    #[inline]
    pub fn turn(&mut self, at: u64, tid: Tid) {
        if tid != self.current {
            self.current = tid;
            self.append(at, What::Thread(tid));
        }
    }

    /// The thread that runs has this number from now on; a replay knows.
    pub fn goes_on_as(&mut self, tid: Tid) {
        self.current = tid;
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        self.flushed_ns = monotonic_ns();
        if self.failed.is_none()
            && let Err(e) = self.writer.flush()
        {
            self.failed = Some(e);
        }
    }

    /// Writes what has waited too long.  The clock is not looked at every time.
    pub fn tick(&mut self, at: u64) {
        self.quiet += 1;
        if self.quiet < LOOK_EVERY && at.wrapping_sub(self.looked_at) < LOOK_INSNS {
            return;
        }
        (self.quiet, self.looked_at) = (0, at);
        if monotonic_ns().saturating_sub(self.flushed_ns) >= WAIT_NS {
            self.flush();
        }
    }

    /// How transfers on a descriptor can be made without the log being written first.
    pub fn way(&mut self, fd: i32) -> Way {
        /// Major number of `/dev/null`, `/dev/zero` and their like.
        const MEM: u32 = 1;
        if let Some(way) = self.ways.get(&fd) {
            return *way;
        }
        let Ok(stat) = sys::fs::fstat(fd) else { return Way::Wait };
        let way = match stat.mode & 0o170_000 {
            0o100_000 => Way::AtOnce,
            0o020_000 if stat.rdev.0 == MEM => Way::AtOnce,
            0o010_000 => Way::Try,
            _ => Way::Wait,
        };
        self.ways.insert(fd, way);
        way
    }

    /// The host does not know how to try on this descriptor.
    pub fn cannot_try(&mut self, fd: i32) {
        self.ways.insert(fd, Way::Wait);
    }

    /// Descriptors may mean something else now.
    pub fn forget_descriptors(&mut self) {
        self.ways.clear();
    }

    /// Ends the log in order.
    pub fn end(&mut self) {
        if self.failed.is_none()
            && let Err(e) = self.writer.end()
        {
            self.failed = Some(e);
        }
    }

    /// Is a digest of registers due?
    #[must_use]
    pub fn wants_registers(&mut self, at: u64) -> bool {
        let due = at >= self.registers_at;
        if due {
            self.registers_at = at + REGISTERS_EVERY;
        }
        due
    }

    /// Is a digest of memory due?
    #[must_use]
    pub fn wants_state(&self, at: u64, now: u64) -> bool {
        at >= self.state_at && now >= self.state_after_ns
    }

    /// A digest of memory has been made, which began at this host time.
    pub fn state_took(&mut self, at: u64, begin: u64) {
        let now = monotonic_ns();
        self.state_at = at + self.options.digest_every;
        self.state_after_ns = now.saturating_add(now.saturating_sub(begin).saturating_mul(STATE_SHARE));
    }

    /// Keeps what the replay of the call that runs needs.
    pub fn set_extra(&mut self, extra: Extra) {
        self.extra = Some(extra);
    }

    /// Takes that.
    pub fn take_extra(&mut self) -> Option<Extra> {
        self.extra.take()
    }

    /// The program that the process begins with.
    pub fn set_program(&mut self, program: item::Program) {
        self.program = Some(program);
    }

    /// Takes that.
    pub fn take_program(&mut self) -> Option<item::Program> {
        self.program.take()
    }

    /// A reference to a file that is mapped, and where to map it from instead if it could change.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(&mut self, of: &super::files::Wanted<'_>) -> Result<(item::FileRef, Option<HiddenFd>), Errno> {
        let result = self.files.refer(of, &mut self.writer);
        match result {
            Ok(found) => Ok(found),
            Err(super::files::FileError::Os(e)) => Err(e),
            Err(super::files::FileError::Log(e)) => {
                self.failed = Some(e);
                Err(Errno::EIO)
            }
        }
    }
}

/// The number of the child that is about to be made; all that is in memory is written, so that it is not written twice.
pub fn before_fork(process: &mut Process, tid: Tid) -> Option<u64> {
    let at = process.retired;
    let shares = process.mem.shares_memory();
    let recorder = process.recorder.as_mut()?;
    recorder.forks += 1;
    let fork = recorder.forks;
    recorder.push(at, tid, What::Fork(fork));
    recorder.flush();
    if shares {
        process.mem.events.unimplemented(format_args!("recording of memory that processes share"));
    }
    Some(fork)
}

/// In the child of a fork: it records into a log of its own.
pub fn in_child(process: &mut Process, fork: u64) {
    let (pid, at, limits) = (process.pid, process.retired, process.rlimits);
    let Some(parent) = process.recorder.take() else { return };
    let Recorder { options, setup, id, files, .. } = *parent;
    let name = options.log.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    let log = [&options.log, format!(".{fork}").as_bytes()].concat();
    let parent = Some(Parent { log: name, id, fork, at });
    let setup = Setup { version: VERSION, pid, parent, limits, ..setup };
    match Recorder::new(Options { log, ..options }, setup, at) {
        Ok(mut recorder) => {
            recorder.files = files;
            process.recorder = Some(Box::new(recorder));
        }
        Err(e) => {
            process.lost_recording = Some(e.to_string());
            process.exit = Some(crate::process::ExitStatus::Code(1));
        }
    }
}
