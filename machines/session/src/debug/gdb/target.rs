//! The subject as the `gdbstub` crate wants its targets.
//!
//! One packet is one [`Target`]: what outlives a packet is in [`super::Server`].

use super::super::{Files, Subject, Thread};
use super::regs::Registers;
use super::{Points, Running, signals};
use core::num::NonZeroUsize;
use gdbstub::common::{Pid, Signal, Tid};
use gdbstub::target::ext::auxv::{Auxv, AuxvOps};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadRangeStepping, MultiThreadRangeSteppingOps, MultiThreadResume, MultiThreadResumeOps,
    MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::base::reverse_exec::{ReverseCont, ReverseContOps, ReverseStep, ReverseStepOps};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints as bp;
use gdbstub::target::ext::exec_file::{ExecFile, ExecFileOps};
use gdbstub::target::ext::extended_mode as ext;
use gdbstub::target::ext::host_io as io;
use gdbstub::target::ext::libraries::{LibrariesSvr4, LibrariesSvr4Ops};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::section_offsets::{Offsets, SectionOffsets, SectionOffsetsOps};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{TargetError, TargetResult};

/// Registers as a packet has them; which are there depends on the subject.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Bytes(Vec<Option<u8>>);

impl gdbstub::arch::Registers for Bytes {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        0
    }

    fn gdb_serialize(&self, mut write: impl FnMut(Option<u8>)) {
        self.0.iter().for_each(|b| write(*b));
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = bytes.iter().map(|b| Some(*b)).collect();
        Ok(())
    }
}

/// A register's number.
#[derive(Debug)]
pub(super) struct Number(usize);

impl gdbstub::arch::RegId for Number {
    fn from_raw_id(id: usize) -> Option<(Number, Option<NonZeroUsize>)> {
        Some((Number(id), None))
    }
}

/// Any ISA: what there is to know of it is in the subject.
pub(super) enum Arch {}

impl gdbstub::arch::Arch for Arch {
    type Usize = u64;
    type Registers = Bytes;
    type RegId = Number;
    type BreakpointKind = usize;
}

/// What went wrong for good.
#[derive(Debug)]
pub(super) enum Never {}

/// A subject for the time of one packet.
pub(super) struct Target<'a> {
    pub(super) subject: &'a mut dyn Subject,
    pub(super) registers: Option<&'a Registers>,
    pub(super) points: &'a mut Points,
    /// How the subject is to go on, once a packet has said so.
    pub(super) running: Running,
    /// What files and lists are that packets read piece by piece; made before the packet is looked at.
    pub(super) texts: Texts,
}

/// Texts that are read piece by piece.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) auxv: Option<Vec<u8>>,
    pub(super) exec_file: Option<Vec<u8>>,
    pub(super) libraries: Option<Vec<u8>>,
    pub(super) offset: Option<u64>,
}

fn thread(tid: Tid) -> Thread {
    tid.get() as u64
}

/// A thread's number as the crate has it.
pub(super) fn tid(thread: Thread) -> Tid {
    usize::try_from(thread).ok().and_then(Tid::new).unwrap_or(Tid::MIN)
}

/// The piece of a text that a packet asks for.
fn piece(text: &[u8], offset: u64, length: usize, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..)).unwrap_or_default();
    let n = rest.len().min(length).min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

impl gdbstub::target::Target for Target<'_> {
    type Arch = Arch;
    type Error = Never;

    fn base_ops(&mut self) -> BaseOps<'_, Arch, Never> {
        BaseOps::MultiThread(self)
    }
    fn use_rle(&self) -> bool {
        false
    }
    fn use_fork_stop_reason(&self) -> bool {
        self.subject.tells_events()
    }
    fn use_vfork_stop_reason(&self) -> bool {
        self.subject.tells_events()
    }
    fn use_vforkdone_stop_reason(&self) -> bool {
        false
    }
    fn support_breakpoints(&mut self) -> Option<bp::BreakpointsOps<'_, Self>> {
        Some(self)
    }
    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
    fn support_extended_mode(&mut self) -> Option<ext::ExtendedModeOps<'_, Self>> {
        Some(self)
    }
    fn support_section_offsets(&mut self) -> Option<SectionOffsetsOps<'_, Self>> {
        self.texts.offset.map(|_| self as SectionOffsetsOps<'_, Self>)
    }
    fn support_target_description_xml_override(&mut self) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        self.registers.map(|_| self as TargetDescriptionXmlOverrideOps<'_, Self>)
    }
    fn support_host_io(&mut self) -> Option<io::HostIoOps<'_, Self>> {
        if self.subject.files().is_some() { Some(self) } else { None }
    }
    fn support_exec_file(&mut self) -> Option<ExecFileOps<'_, Self>> {
        if self.texts.exec_file.is_some() { Some(self) } else { None }
    }
    fn support_auxv(&mut self) -> Option<AuxvOps<'_, Self>> {
        if self.texts.auxv.is_some() { Some(self) } else { None }
    }
    fn support_libraries_svr4(&mut self) -> Option<LibrariesSvr4Ops<'_, Self>> {
        if self.texts.libraries.is_some() { Some(self) } else { None }
    }
}

impl MultiThreadBase for Target<'_> {
    fn read_registers(&mut self, regs: &mut Bytes, tid: Tid) -> TargetResult<(), Self> {
        let registers = self.registers.ok_or(TargetError::NonFatal)?;
        if self.subject.state(thread(tid)).is_none() {
            return Err(TargetError::NonFatal);
        }
        regs.0 = registers.read_all(self.subject, thread(tid));
        Ok(())
    }

    fn write_registers(&mut self, regs: &Bytes, tid: Tid) -> TargetResult<(), Self> {
        let bytes: Vec<u8> = regs.0.iter().map(|b| b.unwrap_or(0)).collect();
        let registers = self.registers.ok_or(TargetError::NonFatal)?;
        registers.write_all(self.subject, thread(tid), &bytes).then_some(()).ok_or(TargetError::NonFatal)
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, addr: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        match self.subject.read(thread(tid), addr, data) {
            0 if !data.is_empty() => Err(TargetError::Errno(14)),
            n => Ok(n),
        }
    }

    fn write_addrs(&mut self, addr: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let n = self.subject.write(thread(tid), addr, data);
        if n == data.len() { Ok(()) } else { Err(TargetError::Errno(14)) }
    }

    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), Never> {
        self.subject.threads().into_iter().for_each(|t| active(tid(t)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl SingleRegisterAccess<Tid> for Target<'_> {
    fn read_register(&mut self, tid: Tid, number: Number, buf: &mut [u8]) -> TargetResult<usize, Self> {
        let registers = self.registers.ok_or(TargetError::NonFatal)?;
        let bytes = registers.read(self.subject, thread(tid), number.0).ok_or(TargetError::NonFatal)?;
        let to = buf.get_mut(..bytes.len()).ok_or(TargetError::NonFatal)?;
        to.copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_register(&mut self, tid: Tid, number: Number, value: &[u8]) -> TargetResult<(), Self> {
        let registers = self.registers.ok_or(TargetError::NonFatal)?;
        registers.write(self.subject, thread(tid), number.0, value).then_some(()).ok_or(TargetError::NonFatal)
    }
}

impl ThreadExtraInfo for Target<'_> {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Never> {
        Ok(piece(self.subject.describe(thread(tid)).as_bytes(), 0, buf.len(), buf))
    }
}

impl MultiThreadResume for Target<'_> {
    fn resume(&mut self) -> Result<(), Never> {
        self.running.go = true;
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Never> {
        self.running = Running::default();
        Ok(())
    }

    fn set_resume_action_continue(&mut self, tid: Tid, signal: Option<Signal>) -> Result<(), Never> {
        self.running.named.push(thread(tid));
        self.signal(tid, signal);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }
    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
    fn support_reverse_step(&mut self) -> Option<ReverseStepOps<'_, Tid, Self>> {
        if self.subject.reverses() { Some(self) } else { None }
    }
    fn support_reverse_cont(&mut self) -> Option<ReverseContOps<'_, Tid, Self>> {
        if self.subject.reverses() { Some(self) } else { None }
    }
}

impl Target<'_> {
    fn signal(&mut self, tid: Tid, signal: Option<Signal>) {
        if let Some(signo) = signal.and_then(|s| signals::from_gdb(s.0)) {
            self.running.signals.push((thread(tid), signo));
        }
    }
}

impl MultiThreadSingleStep for Target<'_> {
    fn set_resume_action_step(&mut self, tid: Tid, signal: Option<Signal>) -> Result<(), Never> {
        self.running.named.push(thread(tid));
        self.running.step = Some(thread(tid));
        self.signal(tid, signal);
        Ok(())
    }
}

impl MultiThreadRangeStepping for Target<'_> {
    fn set_resume_action_range_step(&mut self, tid: Tid, start: u64, end: u64) -> Result<(), Never> {
        self.running.named.push(thread(tid));
        self.running.step = Some(thread(tid));
        self.running.range = Some(start..end);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Target<'_> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Never> {
        self.running.locked = true;
        Ok(())
    }
}

impl ReverseStep<Tid> for Target<'_> {
    fn reverse_step(&mut self, tid: Tid) -> Result<(), Never> {
        self.running = Running { go: true, back: true, step: Some(thread(tid)), ..Running::default() };
        Ok(())
    }
}

impl ReverseCont<Tid> for Target<'_> {
    fn reverse_cont(&mut self) -> Result<(), Never> {
        self.running = Running { go: true, back: true, ..Running::default() };
        Ok(())
    }
}

impl bp::Breakpoints for Target<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<bp::SwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_breakpoint(&mut self) -> Option<bp::HwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_watchpoint(&mut self) -> Option<bp::HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl bp::SwBreakpoint for Target<'_> {
    fn add_sw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.points.add(0, addr, 0))
    }
    fn remove_sw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.points.remove(0, addr, 0))
    }
}

impl bp::HwBreakpoint for Target<'_> {
    fn add_hw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.points.add(1, addr, 0))
    }
    fn remove_hw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.points.remove(1, addr, 0))
    }
}

/// The packets' number of a kind of watchpoint.
fn kind(kind: bp::WatchKind) -> u8 {
    match kind {
        bp::WatchKind::Write => 2,
        bp::WatchKind::Read => 3,
        bp::WatchKind::ReadWrite => 4,
    }
}

impl bp::HwWatchpoint for Target<'_> {
    fn add_hw_watchpoint(&mut self, addr: u64, len: u64, watch: bp::WatchKind) -> TargetResult<bool, Self> {
        Ok(self.points.add(kind(watch), addr, len))
    }
    fn remove_hw_watchpoint(&mut self, addr: u64, len: u64, watch: bp::WatchKind) -> TargetResult<bool, Self> {
        Ok(self.points.remove(kind(watch), addr, len))
    }
}

impl MonitorCmd for Target<'_> {
    fn handle_monitor_cmd(&mut self, line: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Never> {
        let text = super::monitor::run(self.subject, &String::from_utf8_lossy(line));
        out.write_raw(text.as_bytes());
        Ok(())
    }
}

impl ext::ExtendedMode for Target<'_> {
    fn run(&mut self, _file: Option<&[u8]>, _args: ext::Args<'_, '_>) -> TargetResult<Pid, Self> {
        Err(TargetError::NonFatal)
    }
    fn attach(&mut self, _pid: Pid) -> TargetResult<(), Self> {
        Err(TargetError::NonFatal)
    }
    fn query_if_attached(&mut self, _pid: Pid) -> TargetResult<ext::AttachKind, Self> {
        Ok(ext::AttachKind::Attach)
    }
    fn kill(&mut self, _pid: Option<Pid>) -> TargetResult<ext::ShouldTerminate, Self> {
        // `Server` deals with it before.
        Err(TargetError::NonFatal)
    }
    fn restart(&mut self) -> Result<(), Never> {
        Ok(())
    }
    fn support_current_active_pid(&mut self) -> Option<ext::CurrentActivePidOps<'_, Self>> {
        Some(self)
    }
}

impl ext::CurrentActivePid for Target<'_> {
    fn current_active_pid(&mut self) -> Result<Pid, Never> {
        Ok(tid(self.subject.process()))
    }
}

impl SectionOffsets for Target<'_> {
    fn get_section_offsets(&mut self) -> Result<Offsets<u64>, Never> {
        let by = self.texts.offset.unwrap_or(0);
        Ok(Offsets::Sections { text: by, data: by, bss: Some(by) })
    }
}

impl TargetDescriptionXmlOverride for Target<'_> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let registers = self.registers.filter(|_| annex == b"target.xml").ok_or(TargetError::NonFatal)?;
        Ok(piece(registers.xml.as_bytes(), offset, length, buf))
    }
}

impl ExecFile for Target<'_> {
    fn get_exec_file(&self, _: Option<Pid>, offset: u64, length: usize, buf: &mut [u8]) -> TargetResult<usize, Self> {
        Ok(piece(self.texts.exec_file.as_deref().unwrap_or_default(), offset, length, buf))
    }
}

impl Auxv for Target<'_> {
    fn get_auxv(&self, offset: u64, length: usize, buf: &mut [u8]) -> TargetResult<usize, Self> {
        Ok(piece(self.texts.auxv.as_deref().unwrap_or_default(), offset, length, buf))
    }
}

impl LibrariesSvr4 for Target<'_> {
    fn get_libraries_svr4(&self, offset: u64, length: usize, buf: &mut [u8]) -> TargetResult<usize, Self> {
        Ok(piece(self.texts.libraries.as_deref().unwrap_or_default(), offset, length, buf))
    }
}

/// gdb's number of an error (gdb manual, "Errno Values").
fn errno(number: i32) -> io::HostIoErrno {
    use io::HostIoErrno as E;
    match number {
        1 => E::EPERM,
        2 => E::ENOENT,
        4 => E::EINTR,
        5 => E::EIO,
        9 => E::EBADF,
        13 => E::EACCES,
        14 => E::EFAULT,
        16 => E::EBUSY,
        19 => E::ENODEV,
        20 => E::ENOTDIR,
        21 => E::EISDIR,
        22 => E::EINVAL,
        23 => E::ENFILE,
        24 => E::EMFILE,
        29 => E::ESPIPE,
        30 => E::EROFS,
        36 => E::ENAMETOOLONG,
        38 => E::ENOSYS,
        _ => E::EUNKNOWN,
    }
}

impl Target<'_> {
    fn with_files<T>(
        &mut self,
        f: impl FnOnce(&mut dyn Files) -> Result<T, i32>,
    ) -> io::HostIoResult<T, Target<'static>> {
        let files = self.subject.files().ok_or(io::HostIoError::Errno(io::HostIoErrno::ENOSYS))?;
        f(files).map_err(|e| io::HostIoError::Errno(errno(e)))
    }
}

impl io::HostIo for Target<'_> {
    fn support_open(&mut self) -> Option<io::HostIoOpenOps<'_, Self>> {
        Some(self)
    }
    fn support_close(&mut self) -> Option<io::HostIoCloseOps<'_, Self>> {
        Some(self)
    }
    fn support_pread(&mut self) -> Option<io::HostIoPreadOps<'_, Self>> {
        Some(self)
    }
    fn support_fstat(&mut self) -> Option<io::HostIoFstatOps<'_, Self>> {
        Some(self)
    }
    fn support_readlink(&mut self) -> Option<io::HostIoReadlinkOps<'_, Self>> {
        Some(self)
    }
    fn support_setfs(&mut self) -> Option<io::HostIoSetfsOps<'_, Self>> {
        Some(self)
    }
}

impl io::HostIoOpen for Target<'_> {
    fn open(
        &mut self,
        path: &[u8],
        flags: io::HostIoOpenFlags,
        _mode: io::HostIoOpenMode,
    ) -> io::HostIoResult<u32, Self> {
        use io::HostIoOpenFlags as F;
        if flags.intersects(F::O_WRONLY | F::O_RDWR | F::O_CREAT | F::O_TRUNC | F::O_APPEND) {
            return Err(io::HostIoError::Errno(io::HostIoErrno::EROFS));
        }
        self.with_files(|files| files.open(path))
    }
}

impl io::HostIoClose for Target<'_> {
    fn close(&mut self, fd: u32) -> io::HostIoResult<(), Self> {
        self.with_files(|files| files.close(fd))
    }
}

impl io::HostIoPread for Target<'_> {
    fn pread(&mut self, fd: u32, count: usize, offset: u64, buf: &mut [u8]) -> io::HostIoResult<usize, Self> {
        // Escaping may double it.
        let n = count.min(buf.len()).min(super::frame::PACKET / 2 - 32);
        self.with_files(|files| files.pread(fd, offset, &mut buf[..n]))
    }
}

impl io::HostIoFstat for Target<'_> {
    fn fstat(&mut self, fd: u32) -> io::HostIoResult<io::HostIoStat, Self> {
        let s = self.with_files(|files| files.fstat(fd))?;
        Ok(io::HostIoStat {
            st_dev: s.dev as u32,
            st_ino: s.ino as u32,
            st_mode: io::HostIoOpenMode::from_bits_truncate(s.mode),
            st_nlink: s.nlink as u32,
            st_uid: s.uid,
            st_gid: s.gid,
            st_rdev: 0,
            st_size: s.size,
            st_blksize: 4096,
            st_blocks: s.size.div_ceil(512),
            st_atime: s.mtime as u32,
            st_mtime: s.mtime as u32,
            st_ctime: s.mtime as u32,
        })
    }
}

impl io::HostIoReadlink for Target<'_> {
    fn readlink(&mut self, path: &[u8], buf: &mut [u8]) -> io::HostIoResult<usize, Self> {
        let to = self.with_files(|files| files.readlink(path))?;
        Ok(piece(&to, 0, buf.len(), buf))
    }
}

impl io::HostIoSetfs for Target<'_> {
    fn setfs(&mut self, _fs: io::FsKind) -> io::HostIoResult<(), Self> {
        Ok(())
    }
}
