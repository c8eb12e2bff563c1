//! The side to which a machine comes.

use super::stream::{Config, Kind, Page, Reader, Writer, end_of, page_len};
use super::{Share, Watch};
use crate::qmp::commands::migration::{self, MigrationStatus};
use crate::vm::{Cause, Vm};
use tern_core::mem::PAGE_SHIFT;
use tern_core::mem::space::{BlockLayout, RamBlock};
use tern_host::channel::Channel;
use tern_host::net::Address;
use tern_host::wait::Interest;

/// Most bytes of the state of everything but memory.
const MOST_STATE: usize = 1 << 30;
/// Bytes that are read at a time.
const STEP: usize = 256 << 10;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nobody is there yet.
    Waiting,
    /// It is not known yet what comes.
    Config,
    /// Memory and state come.
    Contents,
    /// All is there; the other side has not given the machine up yet.
    Ready,
}

/// A migration that comes in.
pub(in crate::vm) struct Target {
    channel: Channel,
    phase: Phase,
    reader: Reader,
    writer: Writer,
    answer: bool,
    blocks: Vec<RamBlock>,
    state: Vec<u8>,
    exit_on_error: bool,
    /// The machine is no longer as after power-on.
    touched: bool,
}

impl Target {
    pub(super) fn new(channel: Channel, exit_on_error: bool) -> Target {
        Target {
            channel,
            phase: Phase::Waiting,
            reader: Reader::default(),
            writer: Writer::default(),
            answer: false,
            blocks: Vec::new(),
            state: Vec::new(),
            exit_on_error,
            touched: false,
        }
    }

    /// Where it is waited for.
    pub(super) fn address(&self) -> Option<Address> {
        self.channel.listens_at()
    }

    /// Works until the share is over or nothing more is there; what to wait for, or none: it is done.
    pub(super) fn work(&mut self, vm: &mut Vm, share: &Share) -> Result<Option<Watch>, String> {
        if self.phase == Phase::Waiting {
            if !self.channel.ready()? {
                return Ok(Some(self.wait()));
            }
            self.phase = Phase::Config;
            migration::set_status(vm, MigrationStatus::Active);
        }
        let mut buf = vec![0; STEP];
        loop {
            while let Some((kind, payload)) = self.reader.next()? {
                if self.take(vm, kind, &payload)? {
                    return Ok(None);
                }
            }
            match self.channel.read(&mut buf)? {
                None => return Ok(Some(self.wait())),
                Some(0) if self.phase == Phase::Ready => return Err("the other side has kept the machine".to_owned()),
                Some(0) => return Err("the stream ends in the middle".to_owned()),
                Some(n) => {
                    vm.qmp.migration.figures.transferred += n as i64;
                    self.reader.feed(&buf[..n]);
                }
            }
            if share.over() {
                return Ok(Some((Vec::new(), Some(0))));
            }
        }
    }

    fn wait(&self) -> Watch {
        let fd = self.channel.watch(Interest::READ);
        let longest = if fd.is_some() { None } else { Some(super::LOOK_NS) };
        (fd.into_iter().collect(), longest)
    }

    /// Takes a frame in; true: the machine is here.
    fn take(&mut self, vm: &mut Vm, kind: Kind, payload: &[u8]) -> Result<bool, String> {
        match (self.phase, kind) {
            (Phase::Config, Kind::Config) => self.begin(vm, &Config::decode(payload)?)?,
            (Phase::Contents, Kind::Pages) => {
                Page::each(payload, &mut |page| self.page(page))?;
            }
            (Phase::Contents, Kind::State) => {
                if self.state.len() + payload.len() > MOST_STATE {
                    return Err("the state is too long".to_owned());
                }
                self.state.extend_from_slice(payload);
            }
            (Phase::Contents, Kind::End) => {
                self.load(vm, end_of(payload)?)?;
                if !self.answer {
                    return self.done(vm);
                }
                let mut out = Vec::new();
                self.writer.put(&mut out, Kind::Ready, &[]);
                self.say(&out)?;
                self.phase = Phase::Ready;
            }
            (Phase::Ready, Kind::Go) => return self.done(vm),
            (phase, kind) => return Err(format!("a frame {kind:?} came in phase {phase:?}")),
        }
        Ok(false)
    }

    /// The machine that comes must be made as this one.
    fn begin(&mut self, vm: &mut Vm, other: &Config) -> Result<(), String> {
        vm.made_of(false).check(other)?;
        self.answer = other.answer;
        let space = vm.board.machine.space();
        let layout = other.blocks.iter().map(|(name, size)| BlockLayout { name: name.clone(), size: *size });
        let layout: Vec<BlockLayout> = layout.collect();
        self.touched = true;
        space.begin_restore(&layout).map_err(|e| e.to_string())?;
        self.blocks = space.blocks();
        vm.qmp.migration.figures.total = self.blocks.iter().map(|b| b.size() as i64).sum();
        self.phase = Phase::Contents;
        Ok(())
    }

    fn page(&self, page: Page<'_>) -> Result<(), String> {
        let block = self.blocks.get(page.block as usize);
        let block = block.ok_or_else(|| format!("there is no block of memory {}", page.block))?;
        let len = page_len(block.size(), page.page);
        let len = len.ok_or_else(|| format!("block {} has no page {}", block.name(), page.page))?;
        let at = page.page << PAGE_SHIFT;
        if page.bytes.is_empty() {
            block.zero(at, len);
            return Ok(());
        }
        if page.bytes.len() as u64 != len || !block.write(at, page.bytes) {
            return Err(format!("page {} of block {}: {} bytes", page.page, block.name(), page.bytes.len()));
        }
        Ok(())
    }

    /// All is there.
    fn load(&mut self, vm: &mut Vm, len: u64) -> Result<(), String> {
        if self.state.len() as u64 != len {
            return Err(format!("{} bytes of state came, not {len}", self.state.len()));
        }
        vm.board.machine.load_state(&self.state).map_err(|e| e.to_string())?;
        self.state = Vec::new();
        vm.host.world().blocks.take_media()
    }

    fn done(&self, vm: &mut Vm) -> Result<bool, String> {
        vm.arrived()?;
        migration::set_status(vm, MigrationStatus::Completed);
        Ok(true)
    }

    /// Sends a few bytes, for which there is always room.
    fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.channel.write(bytes)? == bytes.len() {
            Ok(())
        } else {
            Err("the other side does not listen".to_owned())
        }
    }

    /// It does not come.
    pub(super) fn give_up(mut self, vm: &mut Vm, why: String) {
        if vm.host.world().blocks.is_active() {
            // The other side wants its disks back.
            let _ = vm.host.world().blocks.release_media();
        }
        if self.answer {
            let mut out = Vec::new();
            self.writer.put(&mut out, Kind::Failed, &why.as_bytes()[..why.len().min(500)]);
            // It notices anyway that nobody is there any more.
            let _ = self.say(&out);
        }
        let touched = self.touched;
        let exit = self.exit_on_error;
        drop(self);
        if touched && let Err(e) = vm.board.power_on() {
            vm.tell(&e.to_string());
        }
        migration::failed(vm, why.clone());
        if exit {
            vm.tell(&format!("load of migration failed: {why}"));
            vm.shutdown(Cause::HostError, 1);
        }
    }
}
