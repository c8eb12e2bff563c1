//! The side from which a machine goes.

use super::stream::{Kind, LARGEST, PAGES, Page, Reader, Writer, page_len};
use super::{LOOK_NS, Share, Watch};
use crate::qmp::commands::migration::{self, MigrationStatus};
use crate::vm::{RunState, Vm};
use serde_json::json;
use tern_core::mem::space::{DirtyClient, RamBlock};
use tern_core::mem::{PAGE_SHIFT, PAGE_SIZE};
use tern_host::channel::Channel;
use tern_host::clock::monotonic_ns;
use tern_host::wait::Interest;

/// How long the bandwidth is measured over, in nanoseconds.
const WINDOW_NS: u64 = 100_000_000;
/// Bytes that are made ready before they are sent.
const AHEAD: usize = 1 << 20;

/// What the other side says if it does not take the machine.
const REFUSED: &str = "the other side cannot take the machine";

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nobody is there yet.
    Connecting,
    /// Memory goes while the machine runs.
    Rounds,
    /// The machine stands; the rest of memory goes.
    Rest,
    /// All is sent; the other side says whether it has it.
    Answer,
    /// It has.
    Close,
}

/// A migration that goes out.
pub(in crate::vm) struct Source {
    channel: Channel,
    phase: Phase,
    writer: Writer,
    reader: Reader,
    /// What is to be sent next, from this byte on.
    out: Vec<u8>,
    at: usize,
    blocks: Vec<RamBlock>,
    /// Pages of this round, from this one on.
    pages: Vec<(u32, u64)>,
    next: usize,
    began: u64,
    stopped: Option<u64>,
    was: RunState,
    /// When this round began, and what had been sent then.
    round: (u64, u64),
    /// The window of the bandwidth: its begin, and what was sent in it.
    window: (u64, u64),
    /// The disks have been let go.
    released: bool,
}

impl Source {
    pub(super) fn new(channel: Channel) -> Source {
        let now = monotonic_ns();
        Source {
            channel,
            phase: Phase::Connecting,
            writer: Writer::default(),
            reader: Reader::default(),
            out: Vec::new(),
            at: 0,
            blocks: Vec::new(),
            pages: Vec::new(),
            next: 0,
            began: now,
            stopped: None,
            was: RunState::Paused,
            round: (now, 0),
            window: (now, 0),
            released: false,
        }
    }

    /// Works until the share is over or there is nothing to do now; what to wait for, or none: it is done.
    pub(super) fn work(&mut self, vm: &mut Vm, share: &Share) -> Result<Option<Watch>, String> {
        loop {
            if self.phase == Phase::Connecting {
                if !self.channel.ready()? {
                    return Ok(Some((Vec::new(), Some(LOOK_NS))));
                }
                self.begin(vm)?;
            }
            if let Some(watch) = self.flush(vm)? {
                return Ok(Some(watch));
            }
            match self.phase {
                Phase::Connecting => {}
                Phase::Rounds | Phase::Rest if self.next < self.pages.len() => self.fill(vm),
                Phase::Rounds => self.end_round(vm),
                Phase::Rest => self.hand_over(vm)?,
                Phase::Answer => {
                    if !self.hear()? {
                        let fd = self.channel.watch(Interest::READ);
                        return Ok(Some((fd.into_iter().collect(), Some(LOOK_NS))));
                    }
                }
                Phase::Close => {
                    if !self.channel.finish()? {
                        return Ok(Some((Vec::new(), Some(LOOK_NS))));
                    }
                    self.completed(vm);
                    return Ok(None);
                }
            }
            if share.over() {
                return Ok(Some((Vec::new(), Some(0))));
            }
        }
    }

    /// Somebody is there: everything that is not zero is to be sent.
    fn begin(&mut self, vm: &mut Vm) -> Result<(), String> {
        let now = monotonic_ns();
        vm.qmp.migration.figures.setup_ms = (now.saturating_sub(self.began) / 1_000_000) as i64;
        migration::set_status(vm, MigrationStatus::Active);
        let config = vm.made_of(self.channel.answers()).encode()?;
        self.writer.put(&mut self.out, Kind::Config, &config);
        self.blocks = vm.board.machine.space().blocks();
        for (n, block) in self.blocks.iter().enumerate() {
            let _ = block.take_dirty(DirtyClient::Migration);
            self.pages.extend((0..block.pages()).filter(|page| block.touched(*page)).map(|page| (n as u32, page)));
        }
        let figures = &mut vm.qmp.migration.figures;
        figures.total = self.blocks.iter().map(|b| b.size() as i64).sum();
        figures.syncs = 1;
        self.round = (now, 0);
        self.phase = Phase::Rounds;
        self.passed(vm);
        self.count(vm);
        Ok(())
    }

    /// Sends what is ready; what to wait for if not all of it could go.
    fn flush(&mut self, vm: &mut Vm) -> Result<Option<Watch>, String> {
        while self.at < self.out.len() {
            let now = monotonic_ns();
            if now.saturating_sub(self.window.0) >= WINDOW_NS {
                self.window = (now, 0);
            }
            // Who waits for a machine that stands waits no longer than must be.
            let limit = vm.qmp.migration.bandwidth().filter(|_| self.phase == Phase::Rounds);
            let room = limit.map_or(u64::MAX, |limit| (limit / 10).max(PAGE_SIZE).saturating_sub(self.window.1));
            if room == 0 {
                let left = WINDOW_NS.saturating_sub(now.saturating_sub(self.window.0));
                return Ok(Some((Vec::new(), Some(left.max(1_000_000)))));
            }
            let end = self.out.len().min(self.at.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
            let n = match self.channel.write(&self.out[self.at..end]) {
                Ok(n) => n,
                // The other side may have said why it takes nothing any more.
                Err(why) => return Err(self.hear().err().filter(|said| said.starts_with(REFUSED)).unwrap_or(why)),
            };
            if n == 0 {
                let fd = self.channel.watch(Interest { read: false, write: true });
                self.count(vm);
                return Ok(Some((fd.into_iter().collect(), Some(LOOK_NS))));
            }
            self.at += n;
            self.window.1 += n as u64;
            let figures = &mut vm.qmp.migration.figures;
            figures.transferred += n as i64;
            if self.stopped.is_some() {
                figures.downtime_bytes += n as u64;
            } else {
                figures.precopy_bytes += n as u64;
            }
        }
        self.out.clear();
        self.at = 0;
        Ok(None)
    }

    /// Makes the next pages ready.
    fn fill(&mut self, vm: &mut Vm) {
        let figures = &mut vm.qmp.migration.figures;
        let mut buf = [0; PAGE_SIZE as usize];
        while self.next < self.pages.len() && self.out.len() < AHEAD {
            let mut payload = Vec::new();
            for (number, page) in self.pages[self.next..].iter().take(PAGES) {
                self.next += 1;
                let Some(block) = self.blocks.get(*number as usize) else { continue };
                let len = page_len(block.size(), *page).unwrap_or(0) as usize;
                if !block.read(page << PAGE_SHIFT, &mut buf[..len]) {
                    continue;
                }
                let zero = buf[..len].iter().fold(0, |all, byte| all | byte) == 0;
                let bytes = if zero { &[] } else { &buf[..len] };
                if zero {
                    figures.duplicate += 1;
                } else {
                    figures.normal += 1;
                }
                Page { block: *number, page: *page, bytes }.put(&mut payload);
            }
            self.writer.put(&mut self.out, Kind::Pages, &payload);
        }
        self.count(vm);
    }

    /// Figures for those who ask.
    fn count(&self, vm: &mut Vm) {
        let now = monotonic_ns();
        let figures = &mut vm.qmp.migration.figures;
        let pages = (self.pages.len() - self.next) as i64 * PAGE_SIZE as i64;
        figures.remaining = pages + (self.out.len() - self.at) as i64;
        figures.total_ms = (now.saturating_sub(self.began) / 1_000_000) as i64;
        let elapsed = now.saturating_sub(self.began).max(1) as f64 / 1e9;
        figures.mbps = figures.transferred as f64 * 8.0 / 1e6 / elapsed;
        figures.pages_per_second = ((figures.normal + figures.duplicate) as f64 / elapsed) as u64;
    }

    /// A round is over: what was written meanwhile makes up the next one, or the rest.
    fn end_round(&mut self, vm: &mut Vm) {
        let now = monotonic_ns();
        let sent = vm.qmp.migration.figures.transferred as u64 - self.round.1;
        let took = now.saturating_sub(self.round.0).max(1);
        self.collect();
        let figures = &mut vm.qmp.migration.figures;
        figures.syncs += 1;
        figures.dirty_rate = (self.pages.len() as u64).saturating_mul(1_000_000_000).wrapping_div(took) as i64;
        let rest = self.pages.len() as u64 * PAGE_SIZE;
        // Nothing sent means nothing measured.
        let wait_ns = if sent == 0 { 0 } else { (u128::from(rest) * u128::from(took) / u128::from(sent)) as u64 };
        figures.expected_downtime_ms = (wait_ns / 1_000_000) as i64;
        self.round = (now, figures.transferred as u64);
        self.passed(vm);
        self.count(vm);
        if !vm.is_running() || wait_ns / 1_000_000 <= vm.qmp.migration.downtime_ms() {
            self.stop(vm);
        }
    }

    fn collect(&mut self) {
        self.pages.clear();
        self.next = 0;
        for (n, block) in self.blocks.iter().enumerate() {
            let dirty = block.take_dirty(DirtyClient::Migration);
            self.pages.extend(dirty.into_iter().map(|page| (n as u32, page)));
        }
    }

    fn passed(&self, vm: &mut Vm) {
        if vm.qmp.migration.has_events() {
            vm.emit("MIGRATION_PASS", json!({ "pass": vm.qmp.migration.figures.syncs }));
        }
    }

    /// The machine stands from now on.
    fn stop(&mut self, vm: &mut Vm) {
        self.was = vm.status();
        self.stopped = Some(monotonic_ns());
        vm.stop_as(RunState::FinishMigrate);
        migration::set_status(vm, MigrationStatus::Device);
        self.phase = Phase::Rest;
    }

    /// The last that is to be sent: what has been written since by backends, the devices' state, the end.
    fn hand_over(&mut self, vm: &mut Vm) -> Result<(), String> {
        self.collect();
        if !self.pages.is_empty() {
            return Ok(());
        }
        let state = vm.board.machine.save_state().map_err(|e| e.to_string())?;
        for part in state.chunks(LARGEST) {
            self.writer.put(&mut self.out, Kind::State, part);
        }
        vm.host.world().blocks.release_media()?;
        self.released = true;
        self.writer.put(&mut self.out, Kind::End, &(state.len() as u64).to_le_bytes());
        self.phase = if self.channel.answers() { Phase::Answer } else { Phase::Close };
        Ok(())
    }

    /// Hears the other side out; false: it says nothing yet.
    fn hear(&mut self) -> Result<bool, String> {
        let mut buf = [0; 4096];
        match self.channel.read(&mut buf)? {
            None => return Ok(false),
            Some(0) => return Err("the other side has gone".to_owned()),
            Some(n) => self.reader.feed(&buf[..n]),
        }
        match self.reader.next()? {
            None => Ok(false),
            Some((Kind::Ready, _)) => {
                self.writer.put(&mut self.out, Kind::Go, &[]);
                self.phase = Phase::Close;
                Ok(true)
            }
            Some((Kind::Failed, why)) => {
                let why: String = String::from_utf8_lossy(&why).chars().filter(|c| !c.is_control()).take(500).collect();
                Err(format!("{REFUSED}: {why}"))
            }
            Some((kind, _)) => Err(format!("the other side answers {kind:?}")),
        }
    }

    fn completed(&self, vm: &mut Vm) {
        self.count(vm);
        let figures = &mut vm.qmp.migration.figures;
        figures.remaining = 0;
        let down = self.stopped.map_or(0, |at| monotonic_ns().saturating_sub(at));
        figures.downtime_ms = Some((down / 1_000_000) as i64);
        vm.set_status(RunState::Postmigrate);
        migration::set_status(vm, MigrationStatus::Completed);
    }

    /// It does not go: the machine goes on here, if nobody else has its disks.
    pub(super) fn give_up(mut self, vm: &mut Vm) {
        // What the other side still has of this must end before the disks can come back.
        let Source { released, stopped, was, .. } = self;
        self.out.clear();
        drop(self.channel);
        let back = if released { vm.host.world().blocks.take_media() } else { Ok(()) };
        if let Err(why) = back {
            vm.set_status(RunState::Postmigrate);
            vm.tell(&format!("the machine stands, because its disks cannot be had back: {why}"));
            return;
        }
        if stopped.is_some() && vm.status() == RunState::FinishMigrate {
            vm.set_status(if was == RunState::Running { RunState::Paused } else { was });
            if was == RunState::Running
                && let Err(why) = vm.cont()
            {
                vm.tell(&why);
            }
        }
    }
}
