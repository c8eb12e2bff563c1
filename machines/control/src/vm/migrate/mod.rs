//! A machine goes to another process while it runs, or comes from one.
//!
//! `source` sends memory while the machine runs, and again what is written meanwhile, until the rest takes no longer than
//! the downtime that is allowed; then the machine stops, and the rest and the devices' state follow.  `target` takes it all
//! in, and lets the machine run once the other side has given it up.  Both do some of their work in each turn of the
//! machine and never wait.  `stream` is what goes between them, `place` where it goes.

pub mod place;
mod source;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use super::{RunState, Vm};
use crate::qmp::commands::migration::{self, MigrationStatus};
use stream::Config;
use tern_host::channel::{Channel, Place};
use tern_host::clock::monotonic_ns;

/// How long one turn works for a migration while the machine runs, and while it stands, in nanoseconds.
const SHARE_NS: u64 = 5_000_000;
const WHOLE_NS: u64 = 50_000_000;
/// How often something is looked at for which one cannot wait.
const LOOK_NS: u64 = 10_000_000;

/// The migration that goes on.
#[derive(Default)]
pub(super) enum Migration {
    /// None.
    #[default]
    Idle,
    Out(Box<source::Source>),
    In(Box<target::Target>),
}

/// When a turn's work for a migration ends.
struct Share(u64);

impl Share {
    fn over(&self) -> bool {
        monotonic_ns() >= self.0
    }
}

impl Vm {
    /// Does this machine go to another process?
    #[must_use]
    pub fn is_migrating(&self) -> bool {
        matches!(self.migration, Migration::Out(_))
    }

    /// Begins to send the machine.
    ///
    /// # Errors
    /// In one line.
    pub fn migrate(&mut self, place: &Place) -> Result<(), String> {
        self.may_change()?;
        self.host.world().blocks.may_be_released()?;
        let channel = Channel::outgoing(place, &mut self.host.world().nets.commons.descriptors)?;
        migration::begin(self);
        self.migration = Migration::Out(Box::new(source::Source::new(channel)));
        self.migration_turn();
        Ok(())
    }

    /// Ends the migration; the machine goes on here.
    pub fn migrate_cancel(&mut self) {
        if let Migration::Out(source) = core::mem::take(&mut self.migration) {
            migration::set_status(self, MigrationStatus::Cancelling);
            source.give_up(self);
            self.host.world().set_migration(Vec::new(), None);
            migration::set_status(self, MigrationStatus::Cancelled);
        }
    }

    /// Waits for the machine from there.
    ///
    /// # Errors
    /// In one line.
    pub fn migrate_incoming(&mut self, place: &Place, exit_on_error: bool) -> Result<(), String> {
        self.may_change()?;
        if let Migration::In(_) = self.migration {
            return Err("The incoming migration has already been started".to_owned());
        }
        let channel = Channel::incoming(place, &mut self.host.world().nets.commons.descriptors)?;
        migration::begin(self);
        self.migration = Migration::In(Box::new(target::Target::new(channel, exit_on_error)));
        Ok(())
    }

    /// Where a machine is waited for.
    #[must_use]
    pub fn migration_address(&self) -> Option<tern_host::net::Address> {
        match &self.migration {
            Migration::In(target) => target.address(),
            _ => None,
        }
    }

    /// What the command line says of where the machine comes from.
    ///
    /// # Errors
    /// In one line.
    pub fn begin_incoming(&mut self) -> Result<(), String> {
        match self.options.incoming.clone() {
            Some(text) if text != "defer" => {
                let place = match text.starts_with('{') {
                    true => migration::place_of(&text)?,
                    false => place::uri(&text)?,
                };
                self.migrate_incoming(&place, true)
            }
            _ => Ok(()),
        }
    }

    /// Works for the migration, a while.
    pub(super) fn migration_turn(&mut self) {
        let share = if self.is_running() { SHARE_NS } else { WHOLE_NS };
        let share = Share(monotonic_ns().saturating_add(share));
        let watch = match core::mem::take(&mut self.migration) {
            Migration::Idle => return,
            Migration::Out(mut source) => match source.work(self, &share) {
                Ok(Some(watch)) => {
                    self.migration = Migration::Out(source);
                    watch
                }
                Ok(None) => (Vec::new(), None),
                Err(why) => {
                    source.give_up(self);
                    migration::failed(self, why);
                    (Vec::new(), None)
                }
            },
            Migration::In(mut target) => match target.work(self, &share) {
                Ok(Some(watch)) => {
                    self.migration = Migration::In(target);
                    watch
                }
                Ok(None) => (Vec::new(), None),
                Err(why) => {
                    target.give_up(self, why);
                    (Vec::new(), None)
                }
            },
        };
        self.host.world().set_migration(watch.0, watch.1);
    }

    /// What this machine is made of.
    fn made_of(&self, answer: bool) -> Config {
        let blocks = self.board.machine.space().layout().into_iter().map(|b| (b.name, b.size));
        let devices = self.board.plugged().iter().map(|p| match &p.config.id {
            Some(id) => format!("{}={id}", p.name),
            None => p.name.to_owned(),
        });
        Config {
            board: self.config.board.clone(),
            cpus: self.board.machine.cpus() as u32,
            memory: self.config.memory,
            parts: self.board.machine.part_names(),
            devices: devices.collect(),
            blocks: blocks.collect(),
            answer,
        }
    }

    /// The machine is here, all of it.
    fn arrived(&mut self) -> Result<(), String> {
        self.set_status(RunState::Paused);
        if self.options.paused { Ok(()) } else { self.cont() }
    }
}

/// What ends a wait: descriptors, and the longest one in nanoseconds.
type Watch = (Vec<(i32, tern_host::wait::Interest)>, Option<u64>);
