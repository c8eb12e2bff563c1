//! The whole state of a replayed process as plain data: to go back to.
//!
//! A replayed process has nothing of the host, so this is all of it: the map and the pages that were written, registers and
//! what the kernel keeps of each thread, and the place in the log.  Pages that have not changed between two
//! checkpoints are the same memory.

use super::item::FileRef;
use super::outputs::Outputs;
use super::replay::{Replay, ReplayError, Stopped};
use crate::abi::Errno;
use crate::args::RawArgs;
use crate::config::Config;
use crate::mm::map::{FileSource, anon, file_parts};
use crate::mm::pages::PageBytes;
use crate::mm::vma::{Backing, FileId, Name, Perm, Traits, Vma};
use crate::process::{Image, MemRlimits};
use crate::signal::{Action, AltStack, SigInfo, ThreadSignals};
use crate::thread::{Call, Thread, Tid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_core::codec::{self, CodecError};
use tern_core::mem::PAGE_SIZE;
use tern_session::record::Cursor;

/// Version of the plain data.
const VERSION: u32 = 1;

/// A state to go back to.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    plain: Rc<Plain>,
    pages: BTreeMap<u64, PageBytes>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plain {
    version: u32,
    place: Place,
    pid: Tid,
    current: Tid,
    retired: u64,
    threads: Vec<SavedThread>,
    actions: Vec<Action>,
    main_status: Option<u8>,
    image: Image,
    program: Vec<u8>,
    argv: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    limits: MemRlimits,
    brk: (u64, u64),
    locks_future: bool,
    vmas: Vec<SavedVma>,
    outputs: Outputs,
    stopped: Option<Stopped>,
}

/// A place in the logs of a process and its ancestors.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    /// Which log.
    pub(super) log: u64,
    pub(super) cursor: Cursor,
    /// The position of the item before.
    pub(super) last: u64,
    pub(super) taken: u64,
    pub(super) becoming: Option<Tid>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct SavedThread {
    tid: Tid,
    /// The layout's rows in order.
    slots: Vec<u64>,
    retired: u64,
    /// The call that it is in.
    call: Option<(u64, RawArgs)>,
    mask: u64,
    saved_mask: Option<u64>,
    pending: Vec<SigInfo>,
    alt: AltStack,
    clear_child_tid: u64,
    robust_list: (u64, u64),
    name: Vec<u8>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct SavedVma {
    start: u64,
    end: u64,
    perm: Perm,
    traits: Traits,
    name: SavedName,
    file_offset: u64,
    /// Behind the end of its file.
    beyond: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum SavedName {
    Anon,
    Heap,
    Stack,
    Vdso,
    /// By number among the files of the replay.
    File(u32),
    Named(Vec<u8>),
    SysV(i32),
}

/// The form in a file.
#[derive(Serialize, Deserialize)]
struct Encoded {
    plain: Plain,
    pages: Vec<(u64, Vec<u8>)>,
}

impl Checkpoint {
    /// The position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.plain.retired
    }

    /// Pages, by number.
    #[must_use]
    pub fn pages(&self) -> &BTreeMap<u64, PageBytes> {
        &self.pages
    }

    /// As bytes.
    ///
    /// # Errors
    /// [`CodecError::Encode`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let pages = self.pages.iter().map(|(number, bytes)| (*number, bytes.to_vec())).collect();
        codec::encode(&Encoded { plain: Plain::clone(&self.plain), pages })
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are not a checkpoint of this version, in one line.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
        let Encoded { plain, pages } = codec::decode(bytes).map_err(|e| e.to_string())?;
        if plain.version != VERSION {
            return Err(format!("a checkpoint of version {}; this tern reads version {VERSION}", plain.version));
        }
        if let Some((number, _)) = pages.iter().find(|(_, bytes)| bytes.len() as u64 != PAGE_SIZE) {
            return Err(format!("page {number:#x} has another size than a page"));
        }
        let pages = pages.into_iter().map(|(number, bytes)| (number, PageBytes::from(bytes))).collect();
        Ok(Checkpoint { plain: Rc::new(plain), pages })
    }
}

fn saved_vma(vma: &Vma) -> SavedVma {
    let name = match &vma.name {
        Name::Anon => SavedName::Anon,
        Name::Heap => SavedName::Heap,
        Name::Stack => SavedName::Stack,
        Name::Vdso => SavedName::Vdso,
        Name::File(id) => SavedName::File(id.recorded),
        Name::Named(name) => SavedName::Named(name.to_vec()),
        Name::SysV(id) => SavedName::SysV(*id),
    };
    let Vma { start, end, perm, traits, file_offset, .. } = *vma;
    SavedVma { start, end, perm, traits, name, file_offset, beyond: matches!(vma.backing, Backing::Beyond(_)) }
}

impl Replay {
    /// The state now.
    pub fn save(&mut self) -> Checkpoint {
        let process = &mut self.process;
        let rows = process.model.layout.rows();
        let thread = |t: &Thread| {
            let state = self.engine.state(t.cpu);
            SavedThread {
                tid: t.tid,
                slots: rows.iter().map(|row| state.get(row.slot)).collect(),
                retired: t.retired,
                call: t.call.active.then_some((t.call.nr, t.call.args)),
                mask: t.signals.mask,
                saved_mask: t.signals.saved_mask,
                pending: t.signals.pending.iter().copied().collect(),
                alt: t.signals.alt,
                clear_child_tid: t.clear_child_tid,
                robust_list: t.robust_list,
                name: t.name.clone(),
            }
        };
        let plain = Plain {
            version: VERSION,
            place: self.logs.place(),
            pid: process.pid,
            current: self.current,
            retired: process.retired,
            threads: process.threads.values().map(thread).collect(),
            actions: process.signals.actions.to_vec(),
            main_status: process.main_status,
            image: process.image.clone(),
            program: process.config.program.clone(),
            argv: process.config.argv.clone(),
            env: process.config.env.clone(),
            limits: process.rlimits,
            brk: process.mem.brk_area(),
            locks_future: process.mem.locks_future(),
            vmas: process.mem.vmas().map(saved_vma).collect(),
            outputs: self.outputs.clone(),
            stopped: self.stopped.clone(),
        };
        Checkpoint { plain: Rc::new(plain), pages: self.process.mem.copy_pages() }
    }

    /// Goes to a state of this replay that was saved.
    ///
    /// # Errors
    /// It is of another recording, or a file is not what it was.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> Result<(), ReplayError> {
        let plain = &*checkpoint.plain;
        self.check(plain)?;
        self.logs.go(&plain.place)?;
        let now: Vec<SavedVma> = self.process.mem.vmas().map(saved_vma).collect();
        if now != plain.vmas || !crate::mm::Space::resets_pages() {
            let vmas: Result<Vec<Vma>, ReplayError> = plain.vmas.iter().map(|vma| self.mapped(vma)).collect();
            self.process.mem.set_vmas(vmas?);
        }
        self.process.mem.set_brk_area(plain.brk);
        self.process.mem.restore_pages(&checkpoint.pages);
        self.process.mem.set_locks_future(plain.locks_future);
        self.load_threads(plain);
        let process = &mut self.process;
        for (action, saved) in process.signals.actions.iter_mut().zip(&plain.actions) {
            *action = *saved;
        }
        (process.pid, process.retired, process.exit) = (plain.pid, plain.retired, None);
        process.main_status = plain.main_status;
        process.image = plain.image.clone();
        process.rlimits = plain.limits;
        process.apply_limits();
        let config = &process.config;
        if (&config.program, &config.argv, &config.env) != (&plain.program, &plain.argv, &plain.env) {
            let (program, argv, env) = (plain.program.clone(), plain.argv.clone(), plain.env.clone());
            process.config = Rc::new(Config { program, argv, env, ..Config::clone(config) });
        }
        self.current = plain.current;
        self.outputs = plain.outputs.clone();
        self.stopped.clone_from(&plain.stopped);
        Ok(())
    }

    /// Is it a state that this replay can have?
    fn check(&self, plain: &Plain) -> Result<(), ReplayError> {
        let bad = |what: &str| Err(ReplayError::Setup(format!("this checkpoint is of another recording: its {what}")));
        let rows = self.process.model.layout.rows().len();
        let mut end = 0;
        for vma in &plain.vmas {
            let whole = vma.start.is_multiple_of(PAGE_SIZE) && vma.end.is_multiple_of(PAGE_SIZE);
            if vma.start < end || vma.end <= vma.start || !whole || vma.end > self.process.mem.layout().task_size {
                return bad("memory map");
            }
            end = vma.end;
        }
        if plain.threads.iter().any(|t| t.slots.len() != rows) || plain.actions.len() != 64 {
            return bad("threads");
        }
        match plain.threads.iter().any(|t| t.tid == plain.current) || plain.stopped.is_some() {
            true => Ok(()),
            false => bad("current thread"),
        }
    }

    /// A mapping with its host memory.
    fn mapped(&mut self, saved: &SavedVma) -> Result<Vma, ReplayError> {
        let no_memory = |e: Errno| ReplayError::Setup(format!("no memory for a checkpoint: {e}"));
        let len = saved.end - saved.start;
        let (name, backing) = match &saved.name {
            SavedName::File(number) => {
                let (file, id) = self.files.get(*number as usize).cloned().ok_or_else(|| {
                    ReplayError::Setup("this checkpoint is of another recording: its files".to_owned())
                })?;
                let backing = if saved.beyond { Backing::Beyond(None) } else { self.file(&file, &id, saved, len)? };
                (Name::File(id), backing)
            }
            other => (name(other), anon(len, false).map_err(no_memory)?),
        };
        let backing = if saved.beyond { Backing::Beyond(None) } else { backing };
        let SavedVma { start, end, perm, traits, file_offset, .. } = *saved;
        Ok(Vma { start, end, perm, traits, backing, name, file_offset })
    }

    fn file(&mut self, file: &FileRef, id: &Rc<FileId>, vma: &SavedVma, len: u64) -> Result<Backing, ReplayError> {
        let fd = self.open(file)?;
        let id = Rc::clone(id);
        let source = FileSource { fd: fd.0, offset: vma.file_offset, writable: file.writable, id, size: file.size };
        let parts = file_parts(&source, len, false, true);
        let parts = parts.map_err(|e| ReplayError::Setup(format!("no memory for a checkpoint: {e}")))?;
        let first = parts.into_iter().next();
        Ok(first.filter(|(had, _)| *had == len).map_or(Backing::Beyond(None), |(_, backing)| backing))
    }

    fn load_threads(&mut self, plain: &Plain) {
        let layout = &self.process.model.layout;
        let mut cpus: Vec<_> = self.process.threads.values().map(|t| t.cpu).collect();
        self.process.threads.clear();
        for saved in &plain.threads {
            let cpu = cpus.pop().unwrap_or_else(|| self.engine.add_cpu());
            let state = self.engine.state_mut(cpu);
            for (row, value) in layout.rows().iter().zip(&saved.slots) {
                state.set(row.slot, *value);
            }
            let mut thread = Thread::new(saved.tid, cpu);
            if let Some((nr, args)) = saved.call {
                thread.call = Call { active: true, nr, args, ..Call::default() };
            }
            thread.signals = ThreadSignals {
                mask: saved.mask,
                saved_mask: saved.saved_mask,
                pending: saved.pending.iter().copied().collect(),
                alt: saved.alt,
            };
            (thread.clear_child_tid, thread.robust_list) = (saved.clear_child_tid, saved.robust_list);
            (thread.retired, thread.name) = (saved.retired, saved.name.clone());
            self.process.threads.insert(saved.tid, thread);
        }
        cpus.into_iter().for_each(|cpu| self.engine.remove_cpu(cpu));
    }
}

fn name(saved: &SavedName) -> Name {
    match saved {
        SavedName::Anon | SavedName::File(_) => Name::Anon,
        SavedName::Heap => Name::Heap,
        SavedName::Stack => Name::Stack,
        SavedName::Vdso => Name::Vdso,
        SavedName::Named(text) => Name::Named(Rc::new(text.clone())),
        SavedName::SysV(id) => Name::SysV(*id),
    }
}

/// The files of a recording's beginning and what they are known by, for [`Replay`].
pub(super) type Files = Vec<(FileRef, Rc<FileId>)>;

/// Gives a file its number.
pub(super) fn number(files: &mut Files, file: &FileRef) -> Rc<FileId> {
    if let Some((_, id)) = files.iter().find(|(known, _)| known == file) {
        return Rc::clone(id);
    }
    let recorded = u32::try_from(files.len()).unwrap_or(u32::MAX);
    let id = Rc::new(FileId { path: file.path.clone(), dev: file.dev, ino: file.ino, recorded });
    files.push((file.clone(), Rc::clone(&id)));
    id
}
