//! Snapshots of machines: every part's own state, the CPUs' slots by name, memory page by page; and digests of the same.

use super::{CpuState, Machine};
use core::fmt;
use serde::{Deserialize, Serialize};
use tern_core::codec;
use tern_core::mem::space::BlockLayout;
use tern_core::snapshot::StateError;

const MAGIC: &str = "tern machine";
const VERSION: u32 = 2;

/// Why a snapshot cannot be made or taken on.
#[derive(Debug)]
pub enum SnapshotError {
    /// The bytes are no snapshot: why.
    Malformed(String),
    /// The snapshot is of another machine: what differs.
    Other(String),
    /// A part refuses its state, or cannot save it.
    Part(String, StateError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Malformed(why) => write!(f, "not a snapshot of a machine: {why}"),
            SnapshotError::Other(what) => write!(f, "a snapshot of another machine: {what}"),
            SnapshotError::Part(name, e) => write!(f, "part {name}: {e}"),
        }
    }
}

impl core::error::Error for SnapshotError {}

#[derive(Serialize, Deserialize)]
struct Saved {
    magic: String,
    version: u32,
    isa: Vec<String>,
    retired: u64,
    skipped: u64,
    stops: u64,
    polled: u64,
    digested: u64,
    turn: u64,
    unfinished: Option<(u32, u64)>,
    cpus: Vec<SavedCpu>,
    queue: Vec<u8>,
    wires: Vec<u8>,
    firmware: Option<Vec<u8>>,
    parts: Vec<SavedPart>,
    map: Vec<u8>,
    layout: Vec<BlockLayout>,
}

#[derive(Serialize, Deserialize)]
struct SavedCpu {
    icount: u64,
    state: u8,
    slots: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct SavedPart {
    name: String,
    state: Vec<u8>,
}

/// 64-bit FNV-1a, over 8 bytes at a time where there are as many.
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn value(&self) -> u64 {
        self.0
    }

    fn number(&mut self, v: u64) {
        self.0 = (self.0 ^ v).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.number(chunk.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)));
        }
        chunks.remainder().iter().for_each(|b| self.number(u64::from(*b)));
    }
}

/// Appends a value with its length in front.
fn frame<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<(), SnapshotError> {
    let bytes = codec::encode(value).map_err(|e| SnapshotError::Malformed(e.to_string()))?;
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Splits the first frame off.
fn next_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), SnapshotError> {
    let short = || SnapshotError::Malformed("it ends in the middle".into());
    let (len, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| short())?;
    rest.split_at_checked(len).ok_or_else(short)
}

impl CpuState {
    fn number(self) -> u8 {
        match self {
            CpuState::Running => 0,
            CpuState::Waiting => 1,
            CpuState::Stopped => 2,
        }
    }

    fn from_number(n: u8) -> Option<CpuState> {
        [CpuState::Running, CpuState::Waiting, CpuState::Stopped].get(usize::from(n)).copied()
    }
}

impl Machine {
    fn slots(&self, cpu: usize) -> Vec<u64> {
        let state = self.engine.state(self.harts[cpu].cpu);
        self.frontend.layout().rows().iter().map(|r| state.get(r.slot)).collect()
    }

    fn save_parts(&self) -> Result<Vec<SavedPart>, SnapshotError> {
        let parts = self.fabric.parts.iter().flatten();
        parts
            .map(|p| match p.device.save() {
                Ok(state) => Ok(SavedPart { name: p.name.clone(), state }),
                Err(e) => Err(SnapshotError::Part(p.name.clone(), e)),
            })
            .collect()
    }

    /// The whole machine as bytes, the same on every host.  To be called between runs.
    ///
    /// # Errors
    /// A part that cannot be saved.
    pub fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut out = Vec::new();
        frame(&mut out, &self.saved()?)?;
        for page in self.fabric.space.saved_pages() {
            frame(&mut out, &page)?;
        }
        Ok(out)
    }

    /// The names of its parts.
    #[must_use]
    pub fn part_names(&self) -> Vec<String> {
        self.fabric.parts.iter().flatten().map(|part| part.name.clone()).collect()
    }

    /// The machine but for the contents of its memory, as bytes.  To be called between runs.
    ///
    /// # Errors
    /// A part that cannot be saved.
    pub fn save_state(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut out = Vec::new();
        frame(&mut out, &self.saved()?)?;
        Ok(out)
    }

    fn saved(&self) -> Result<Saved, SnapshotError> {
        let part = |name: &str| {
            let name = name.to_owned();
            move |e| SnapshotError::Part(name, e)
        };
        Ok(Saved {
            magic: MAGIC.to_owned(),
            version: VERSION,
            isa: self.frontend.layout().rows().iter().map(|r| r.name.clone()).collect(),
            retired: self.fabric.position.retired,
            skipped: self.fabric.position.skipped,
            stops: self.stops,
            polled: self.polled,
            digested: self.digested,
            turn: self.turn as u64,
            unfinished: self.unfinished.map(|(cpu, left)| (cpu as u32, left)),
            cpus: (0..self.harts.len())
                .map(|i| SavedCpu {
                    icount: self.engine.icount(self.harts[i].cpu),
                    state: self.harts[i].state.number(),
                    slots: self.slots(i),
                })
                .collect(),
            queue: self.fabric.queue.save().map_err(part("events"))?,
            wires: self.fabric.wires.save().map_err(part("wires"))?,
            firmware: self.firmware.as_ref().map(|f| f.save()).transpose().map_err(part("firmware"))?,
            parts: self.save_parts()?,
            map: self.fabric.space.save_map().map_err(part("memory map"))?,
            layout: self.fabric.space.layout(),
        })
    }

    /// Takes a snapshot on: this machine must have been built alike.
    ///
    /// # Errors
    /// Bytes that are no snapshot, or one of a machine that is built otherwise.  The machine is then in no state to run:
    /// switch it on anew.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let (head, mut rest) = next_frame(bytes)?;
        let saved = self.load_saved(head)?;
        self.fabric.space.begin_restore(&saved.layout).map_err(|e| SnapshotError::Part("memory".into(), e))?;
        while !rest.is_empty() {
            let (page, after) = next_frame(rest)?;
            let page = codec::decode(page).map_err(|e| SnapshotError::Malformed(format!("a page: {e}")))?;
            self.fabric.space.restore_page(&page).map_err(|e| SnapshotError::Part("memory".into(), e))?;
            rest = after;
        }
        self.go_on_from(&saved);
        Ok(())
    }

    /// Takes on what [`Machine::save_state`] has saved; the contents of memory have been restored before.
    ///
    /// # Errors
    /// As [`Machine::load`].
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let (head, rest) = next_frame(bytes)?;
        if !rest.is_empty() {
            return Err(SnapshotError::Malformed(format!("{} bytes are left over", rest.len())));
        }
        let saved = self.load_saved(head)?;
        if saved.layout != self.fabric.space.layout() {
            return Err(SnapshotError::Other("it has other memory".into()));
        }
        self.go_on_from(&saved);
        Ok(())
    }

    /// All but the contents of memory, and the position.
    fn load_saved(&mut self, head: &[u8]) -> Result<Saved, SnapshotError> {
        let saved: Saved = codec::decode(head).map_err(|e| SnapshotError::Malformed(e.to_string()))?;
        if saved.magic != MAGIC || saved.version != VERSION {
            return Err(SnapshotError::Malformed(format!("it says `{}`, version {}", saved.magic, saved.version)));
        }
        // Positions are sums; nobody gets this far.
        if saved.retired.max(saved.skipped) >> 56 != 0 || saved.cpus.iter().any(|c| c.icount >> 56 != 0) {
            return Err(SnapshotError::Malformed("its position cannot be".into()));
        }
        self.load_cpus(&saved)?;
        self.load_parts(&saved)?;
        let part = |name: &str| {
            let name = name.to_owned();
            move |e| SnapshotError::Part(name, e)
        };
        self.fabric.queue.load(&saved.queue).map_err(part("events"))?;
        self.fabric.wires.load(&saved.wires).map_err(part("wires"))?;
        match (&mut self.firmware, &saved.firmware) {
            (Some(f), Some(bytes)) => f.load(bytes).map_err(part("firmware"))?,
            (None, None) => {}
            _ => return Err(SnapshotError::Other("one has built-in firmware, one has not".into())),
        }
        self.fabric.space.load_map(&saved.map).map_err(part("memory map"))?;
        Ok(saved)
    }

    fn go_on_from(&mut self, saved: &Saved) {
        let position = &mut self.fabric.position;
        position.retired = saved.retired;
        position.skipped = saved.skipped;
        (self.stops, self.digested) = (saved.stops, saved.digested);
        // A look at the outside is never further away than one that is due.
        self.polled = saved.retired.wrapping_sub(saved.retired.wrapping_sub(saved.polled).min(super::run::POLL));
        // A turn goes from 1 to the number of CPUs once one has run.
        self.turn = usize::try_from(saved.turn).unwrap_or(0).min(self.harts.len());
        let runs = |cpu: usize| self.harts.get(cpu).is_some_and(|h| h.state == CpuState::Running);
        let most = self.settings.turn.max(super::run::POLL);
        let unfinished = saved.unfinished.map(|(cpu, left)| (cpu as usize, left.min(most)));
        self.unfinished = unfinished.filter(|(cpu, _)| runs(*cpu));
        let elapsed = self.fabric.queue.now();
        self.fabric.position.host_zero = self.fabric.outside.now().saturating_sub(elapsed);
        self.fabric.changes.clear();
        self.fabric.requests.clear();
    }

    fn load_cpus(&mut self, saved: &Saved) -> Result<(), SnapshotError> {
        let rows: Vec<String> = self.frontend.layout().rows().iter().map(|r| r.name.clone()).collect();
        if rows != saved.isa {
            return Err(SnapshotError::Other("its CPUs have other registers".into()));
        }
        if saved.cpus.len() != self.harts.len() {
            return Err(SnapshotError::Other(format!("{} CPUs, this one has {}", saved.cpus.len(), self.harts.len())));
        }
        for (hart, cpu) in self.harts.iter_mut().zip(&saved.cpus) {
            if cpu.slots.len() != rows.len() {
                return Err(SnapshotError::Malformed("a CPU has too few registers".into()));
            }
            let state = CpuState::from_number(cpu.state);
            hart.state = state.ok_or_else(|| SnapshotError::Malformed(format!("CPU state {}", cpu.state)))?;
            let slots = self.engine.state_mut(hart.cpu);
            for (row, value) in self.frontend.layout().rows().iter().zip(&cpu.slots) {
                slots.set(row.slot, *value);
            }
            self.engine.set_icount(hart.cpu, cpu.icount);
            self.engine.forget(hart.cpu, tern_core::system::Flush::All);
        }
        Ok(())
    }

    fn load_parts(&mut self, saved: &Saved) -> Result<(), SnapshotError> {
        let here = self.fabric.parts.iter().flatten().count();
        if here != saved.parts.len() {
            return Err(SnapshotError::Other(format!("{} devices, this one has {here}", saved.parts.len())));
        }
        for (part, saved) in self.fabric.parts.iter_mut().flatten().zip(&saved.parts) {
            if part.name != saved.name {
                return Err(SnapshotError::Other(format!("`{}` is where this one has `{}`", saved.name, part.name)));
            }
            part.device.load(&saved.state).map_err(|e| SnapshotError::Part(part.name.clone(), e))?;
        }
        Ok(())
    }

    pub(super) fn digest_cpus(&self, digest: &mut Digest) {
        digest.number(self.fabric.position.retired);
        digest.number(self.fabric.position.skipped);
        for (i, hart) in self.harts.iter().enumerate() {
            digest.number(self.engine.icount(hart.cpu));
            digest.number(u64::from(hart.state.number()));
            self.slots(i).into_iter().for_each(|v| digest.number(v));
        }
    }

    /// A number that tells states apart: registers, devices, events, memory.
    ///
    /// # Errors
    /// A part that cannot be saved.
    pub fn digest(&self) -> Result<u64, SnapshotError> {
        let mut digest = Digest::new();
        self.digest_cpus(&mut digest);
        for part in self.save_parts()? {
            digest.bytes(&part.state);
        }
        let queue = self.fabric.queue.save().map_err(|e| SnapshotError::Part("events".into(), e))?;
        digest.bytes(&queue);
        digest.number(self.fabric.space.digest());
        Ok(digest.0)
    }
}
