//! Loads a program and its interpreter into the address space.

use super::{ET_DYN, Headers, LoadError, PT_GNU_STACK, PT_INTERP, PT_LOAD, Reason, Segment, headers};
use crate::abi::Errno;
use crate::abi::flags::Map;
use crate::mm::map::{FileSource, Request};
use crate::mm::vma::{FileId, HiddenFd, Name, Perm};
use crate::mm::{Space, page_down, page_up};
use crate::paths::{Last, Paths, absolute};
use std::ffi::CString;
use std::rc::Rc;
use tern_core::mem::PAGE_SIZE;
use tern_host::sys;

/// An open program file.
#[derive(Debug)]
pub struct Program {
    fd: HiddenFd,
    /// The path that names it, for messages.
    pub path: Vec<u8>,
    /// Its host path.
    pub host: CString,
    /// Its absolute path, if it is not the descriptor's.
    absolute: Option<Vec<u8>>,
    dev: (u32, u32),
    ino: u64,
    size: u64,
    /// [`FileId::recorded`].
    recorded: u32,
}

/// Finds a file by its path.
pub type Opener<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Program, LoadError>;

impl Program {
    /// Opens the program that a guest path names.
    ///
    /// # Errors
    /// It does not exist, is no file, may not be executed.
    pub fn open(paths: &Paths, path: &[u8]) -> Result<Program, LoadError> {
        let fail = |reason| LoadError::new(path, reason);
        let name = CString::new(path).map_err(|_| fail(Reason::Os(Errno::ENOENT)))?;
        let host = paths.lookup(&name, Last::Follow);
        let os = |e: sys::Errno| fail(Reason::Os(e.into()));
        // Looked at before it is opened, which could block for a FIFO.
        let stat = sys::fs::fstatat(sys::CWD, &host, 0).map_err(os)?;
        if stat.mode & 0o170_000 != 0o100_000 {
            return Err(fail(Reason::NotAFile));
        }
        if stat.mode & 0o111 == 0 {
            return Err(fail(Reason::NotExecutable));
        }
        sys::fs::faccessat(sys::CWD, &host, 1, 0).map_err(os)?;
        let flags = sys::host::O_RDONLY | sys::host::O_CLOEXEC | sys::host::O_NOCTTY | sys::host::O_NONBLOCK;
        let fd = HiddenFd(sys::file::openat(sys::CWD, &host, flags, 0).map_err(os)?);
        let stat = sys::fs::fstat(fd.0).map_err(os)?;
        let (dev, ino, size) = (stat.dev, stat.ino, stat.size);
        Ok(Program { fd, path: path.to_vec(), host, absolute: None, dev, ino, size, recorded: 0 })
    }

    /// A program as a recording has it, from an open file with its contents.
    #[must_use]
    pub fn recorded(fd: HiddenFd, path: Vec<u8>, id: &FileId, size: u64) -> Program {
        let host = CString::new(id.path.as_slice()).unwrap_or_default();
        let absolute = Some(id.path.clone());
        Program { fd, path, host, absolute, dev: id.dev, ino: id.ino, size, recorded: id.recorded }
    }

    /// Hands the program to a recorder: it may be loaded from a copy from now on.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn record(
        &mut self,
        recorder: &mut crate::record::Recorder,
    ) -> Result<crate::record::item::FileRef, LoadError> {
        let path = self.absolute();
        let range = (0, self.size);
        let wanted = crate::record::files::Wanted { fd: self.fd.0, path: &path, range, writable: false, shared: false };
        let (file, copy) = recorder.file(&wanted).map_err(|e| LoadError::new(&self.path, Reason::Os(e)))?;
        if let Some(copy) = copy {
            self.absolute = Some(path);
            self.fd = copy;
        }
        Ok(file)
    }

    /// Reads at a position; short at the end.
    ///
    /// # Errors
    /// The host's errno.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        match i64::try_from(at) {
            Ok(at) => Ok(sys::file::pread(self.fd.0, buf, at)?),
            Err(_) => Ok(0),
        }
    }

    /// Reads and checks the ELF headers.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn headers(&self) -> Result<Headers, LoadError> {
        headers(&mut |at, buf| self.read_at(at, buf), self.size).map_err(|r| LoadError::new(&self.path, r))
    }

    /// The absolute host path, without links and dots where the host can tell.
    #[must_use]
    pub fn absolute(&self) -> Vec<u8> {
        if let Some(path) = &self.absolute {
            return path.clone();
        }
        let path = crate::sys::mem::fd_path(self.fd.0);
        if path.is_empty() { absolute(self.host.as_bytes()) } else { path }
    }

    fn source(&self, offset: u64, id: &Rc<FileId>) -> FileSource {
        FileSource { fd: self.fd.0, offset, writable: false, id: Rc::clone(id), size: Some(self.size) }
    }
}

/// Where a file was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// What was added to its addresses.
    pub bias: u64,
    /// Entry point.
    pub entry: u64,
    /// Address of the program headers in memory; zero if they are not loaded.
    pub phdr: u64,
    /// Their number.
    pub phnum: u64,
    /// End of the highest segment.
    pub end: u64,
    /// Executable segments: start and end.
    pub code: (u64, u64),
    /// Writable segments: start and end.
    pub data: (u64, u64),
}

/// A loaded program with its interpreter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoadedProgram {
    /// The program.
    pub program: Loaded,
    /// Its interpreter, if it has one.
    pub interpreter: Option<Loaded>,
    /// The stack is executable.
    pub exec_stack: bool,
}

/// Loads a program and the interpreter that it names, and sets the start of the brk area.
///
/// # Errors
/// What is wrong with either file, or no memory.
pub fn load(space: &mut Space, open: Opener<'_>, file: &Program, elf: &Headers) -> Result<LoadedProgram, LoadError> {
    let interpreter = interpreter_path(file, elf)?;
    let pie = elf.ehdr.kind == ET_DYN;
    let base = if pie { Some(space.layout().pie_base) } else { None };
    let program = place(space, file, elf, base)?;
    space.set_brk_start(page_up(program.end).unwrap_or(program.end));
    let interpreter = match interpreter {
        None => None,
        Some(path) => {
            let missing = |e: LoadError| match e.reason {
                Reason::Os(errno) => LoadError::new(&file.path, Reason::Interpreter(path.clone(), errno)),
                _ => e,
            };
            let loader = open(&path).map_err(missing)?;
            let headers = loader.headers()?;
            if !core::ptr::eq(headers.isa, elf.isa) {
                return Err(LoadError::new(&path, Reason::OtherIsa(headers.isa.name)));
            }
            Some(place(space, &loader, &headers, None)?)
        }
    };
    let stack = elf.segments.iter().find(|s| s.kind == PT_GNU_STACK);
    Ok(LoadedProgram { program, interpreter, exec_stack: stack.is_none_or(|s| s.flags & 1 != 0) })
}

/// The path in `PT_INTERP`.
fn interpreter_path(file: &Program, elf: &Headers) -> Result<Option<Vec<u8>>, LoadError> {
    let Some(s) = elf.segments.iter().find(|s| s.kind == PT_INTERP) else { return Ok(None) };
    let fail = |reason| LoadError::new(&file.path, reason);
    if s.filesz < 2 || s.filesz > crate::cx::PATH_MAX as u64 {
        return Err(fail(Reason::Malformed { what: "the length of the interpreter's path" }));
    }
    let read = &mut |at: u64, buf: &mut [u8]| file.read_at(at, buf);
    let mut path = super::exact(read, s.offset, s.filesz as usize, "the interpreter's path").map_err(fail)?;
    if path.pop() != Some(0) {
        return Err(fail(Reason::Malformed { what: "the interpreter's path has no terminator" }));
    }
    path.truncate(path.iter().position(|b| *b == 0).unwrap_or(path.len()));
    Ok(Some(path))
}

fn loads(elf: &Headers) -> impl Iterator<Item = &Segment> {
    elf.segments.iter().filter(|s| s.kind == PT_LOAD && s.memsz > 0)
}

/// Maps the segments of one file, a position-independent one at `base` or, without one, where there is room.
fn place(space: &mut Space, file: &Program, elf: &Headers, base: Option<u64>) -> Result<Loaded, LoadError> {
    let fail = |reason| LoadError::new(&file.path, reason);
    let low = loads(elf).map(|s| page_down(s.vaddr)).min().unwrap_or(0);
    let high = loads(elf).filter_map(|s| page_up(s.vaddr + s.memsz)).max().unwrap_or(0);
    let bias = if elf.ehdr.kind == ET_DYN {
        let align =
            loads(elf).map(|s| s.align).filter(|a| a.is_power_of_two()).max().unwrap_or(1).clamp(PAGE_SIZE, 1 << 30);
        let len = high - low;
        let at = match base {
            Some(base) => base,
            None => space.place(0, len + align - PAGE_SIZE).map_err(|e| fail(Reason::Os(e)))?,
        };
        at.next_multiple_of(align).checked_sub(low & !(align - 1)).ok_or_else(|| fail(Reason::OutOfRange(low)))?
    } else {
        0
    };
    if high.checked_add(bias).is_none_or(|end| end > space.layout().task_size) {
        return Err(fail(Reason::OutOfRange(low)));
    }
    let id = Rc::new(FileId { path: file.absolute(), dev: file.dev, ino: file.ino, recorded: file.recorded });
    for segment in loads(elf) {
        map_segment(space, file, segment, bias, &id).map_err(|e| match e {
            Errno::EPERM => fail(Reason::OutOfRange(segment.vaddr)),
            e => fail(Reason::Os(e)),
        })?;
    }
    let span = |flag: u32| {
        let chosen = || loads(elf).filter(move |s| s.flags & flag != 0);
        let start = chosen().map(|s| s.vaddr).min().map_or(0, |v| v + bias);
        (start, chosen().map(|s| s.vaddr + s.filesz).max().map_or(0, |v| v + bias))
    };
    let phoff = elf.ehdr.phoff;
    let holder = loads(elf).find(|s| s.offset <= phoff && phoff < s.offset + s.filesz);
    Ok(Loaded {
        bias,
        entry: elf.ehdr.entry.wrapping_add(bias),
        phdr: holder.map_or(0, |s| phoff - s.offset + s.vaddr + bias),
        phnum: u64::from(elf.ehdr.phnum),
        end: loads(elf).map(|s| s.vaddr + s.memsz).max().unwrap_or(0) + bias,
        code: span(1),
        data: span(2),
    })
}

/// Maps one segment: the file's part, zeros behind it in its last page, anonymous pages for the rest.
fn map_segment(space: &mut Space, file: &Program, s: &Segment, bias: u64, id: &Rc<FileId>) -> Result<(), Errno> {
    let perm = Perm { read: s.flags & 4 != 0, write: s.flags & 2 != 0, exec: s.flags & 1 != 0 };
    let vaddr = s.vaddr + bias;
    let start = page_down(vaddr);
    let file_end = vaddr + s.filesz;
    let file_page_end = page_up(file_end).ok_or(Errno::ENOMEM)?;
    let end = page_up(vaddr + s.memsz).ok_or(Errno::ENOMEM)?;
    let request =
        |addr, len, file| Request { addr, len, perm, flags: Map::MAP_FIXED, shared: false, file, name: Name::Anon };
    let mut anon_from = start;
    if s.filesz > 0 {
        let source = file.source(page_down(s.offset), id);
        space.mmap(&request(start, file_page_end - start, Some(source)))?;
        anon_from = file_page_end;
        // As the kernel does, to the end of the page whatever `memsz`: ld.so's first allocations lie behind its bss
        // and count on zeros.
        if s.memsz > s.filesz && perm.write && file_page_end > file_end {
            space.put_bytes(file_end, &vec![0; (file_page_end - file_end) as usize])?;
        }
    }
    if end > anon_from {
        space.mmap(&request(anon_from, end - anon_from, None))?;
    }
    Ok(())
}
