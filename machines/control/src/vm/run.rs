//! The machine runs, stops, is reset, comes to its end.

use super::{Cause, RunState, Vm};
use crate::run::{OnPanic, OnWatchdog, RunOptions, Save};
use serde_json::{Value, json};
use tern_host::clock::monotonic_ns;
use tern_session::machine::{Control, Ended, Tape};

/// Longest wait for the outside, so that signals are noticed.
const LONGEST_WAIT_NS: u64 = 1_000_000_000;

/// Positions at which the machine is stopped for something: a snapshot, a digest, the end.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    save: Option<Save>,
    digest_every: Option<u64>,
    until: Option<u64>,
}

impl Stops {
    pub(super) fn new(options: &RunOptions) -> Stops {
        Stops { save: options.save.clone(), digest_every: options.digest_every, until: options.until }
    }

    /// The next one after this position.
    fn next(&self, retired: u64) -> u64 {
        let save = self.save.as_ref().and_then(|s| s.at).filter(|at| *at > retired);
        let digest = self.digest_every.map(|n| (retired / n + 1).saturating_mul(n));
        [save, digest, self.until].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

impl Vm {
    /// Lets the machine run until something wants attention, or waits for that while it stands.
    ///
    /// # Errors
    /// What ends tern: in one line.
    pub fn turn(&mut self) -> Result<(), String> {
        self.migration_turn();
        if self.ended.is_some() {
            return Ok(());
        }
        if !self.is_running() || self.options.qtest_only {
            return self.stand();
        }
        if self.patience.is_some() || self.is_migrating() {
            self.host.world().request(Control::Attend);
        }
        let stop = self.stops.next(self.board.machine.retired()).min(self.next_checkpoint());
        let ended = self.board.machine.run(stop);
        self.dealt_with(ended)
    }

    /// Does what the end of a run asks for.
    fn dealt_with(&mut self, ended: Ended) -> Result<(), String> {
        let over = matches!(ended, Ended::PowerOff(_) | Ended::Replayed | Ended::Panic | Ended::Shutdown);
        if over && self.stands_at_end() {
            return Ok(());
        }
        match ended {
            Ended::Limit => self.limit()?,
            Ended::Attend => {}
            Ended::Pause => self.stop(),
            Ended::Debug => {
                self.debug_stop = self.board.machine.take_debug_stop();
                self.stop_as(RunState::Debug);
            }
            Ended::Reset => self.guest_reset(Cause::GuestReset)?,
            Ended::Quit => self.quit(Cause::HostSignal),
            Ended::PowerOff(status) => self.shutdown(Cause::GuestShutdown, status as u8),
            Ended::Panic => self.panicked(),
            Ended::CrashLoaded => self.emit("GUEST_CRASHLOADED", json!({ "action": "run" })),
            Ended::Shutdown => {
                self.emit("GUEST_PVSHUTDOWN", Value::Null);
                self.shutdown(Cause::GuestShutdown, 0);
            }
            Ended::Watchdog => self.watchdog()?,
            Ended::Dead => {
                self.tell("every CPU waits, and nothing will ever wake one");
                self.ended = Some(1);
            }
            Ended::RecordedReset => self.reset(Cause::HostUi)?,
            Ended::Replayed => self.ended = Some(0),
            Ended::Trouble => self.trouble(),
        }
        Ok(())
    }

    /// A recording cannot go on, or a replay is not the recorded run.
    fn trouble(&mut self) {
        self.ended = Some(1);
        if let Some(why) = self.board.machine.tape().recorder().and_then(|recorder| recorder.trouble()) {
            self.tell(&format!("the recording ends here: {why}"));
        }
    }

    /// Ends the recording or the replay, if there is one.
    fn end_tape(&mut self) -> Result<(), String> {
        let machine = &mut self.board.machine;
        if machine.tape().recorder().is_some_and(|recorder| recorder.trouble().is_none()) {
            machine.record_digest().map_err(|e| e.to_string())?;
            machine.end_recording(&format!("status {}", self.ended.unwrap_or(0)))?;
        }
        let Some(player) = machine.tape().player().cloned() else { return Ok(()) };
        machine.end_replay();
        let at = machine.at();
        if let Some(trouble) = player.trouble() {
            self.ended = Some(1);
            return Err(format!("this is not the recorded run: {trouble}"));
        }
        let compared = player.compared();
        self.tell(&format!("replayed up to {at}; {compared} digests are equal"));
        if let Some(why) = player.over().filter(|_| player.is_over()) {
            self.tell(&format!("the log goes no further: {why}"));
        }
        Ok(())
    }

    /// Nothing but what is logged may change a machine that is recorded or replayed.
    ///
    /// # Errors
    /// It is one.
    pub fn may_change(&self) -> Result<(), String> {
        match self.board.machine.tape() {
            Tape::None => Ok(()),
            Tape::Record(_) => Err("not while the machine is recorded".to_owned()),
            Tape::Replay(_) => Err("not while a recording is replayed".to_owned()),
        }
    }

    /// The next turn ends after about so many nanoseconds, even if nothing wants attention; `None`: it goes on.
    pub fn set_patience(&mut self, patience_ns: Option<u64>) {
        self.patience = patience_ns;
    }

    /// The machine stands: backends go on.
    fn stand(&mut self) -> Result<(), String> {
        let machine = &mut self.board.machine;
        machine.wait(Some(self.patience.unwrap_or(LONGEST_WAIT_NS).min(LONGEST_WAIT_NS)));
        machine.exchange();
        self.requests()?;
        let machine = &mut self.board.machine;
        match machine.control() {
            Some(Control::Quit) => self.quit(Cause::HostSignal),
            Some(Control::Reset) => {
                self.may_reset()?;
                self.reset(Cause::HostUi)?;
            }
            Some(Control::Pause | Control::Attend) | None => {}
        }
        Ok(())
    }

    /// Does what devices have asked for while no CPU runs.
    ///
    /// # Errors
    /// What ends tern: in one line.
    pub fn requests(&mut self) -> Result<(), String> {
        while let Some(ended) = self.board.machine.request() {
            self.dealt_with(ended)?;
        }
        Ok(())
    }

    /// Does what is to be done after so many instructions.
    fn limit(&mut self) -> Result<(), String> {
        self.checkpoint()?;
        let retired = self.board.machine.retired();
        let last = self.stops.until.is_some_and(|until| retired >= until);
        if !last && self.stops.digest_every.is_some_and(|n| retired.is_multiple_of(n)) {
            self.digest()?;
        }
        if let Some(save) = self.stops.save.clone().filter(|s| s.at == Some(retired)) {
            self.save_file(&save.file)?;
        }
        if last {
            self.ended = Some(0);
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<(), String> {
        let digest = self.board.machine.digest().map_err(|e| e.to_string())?;
        let retired = self.board.machine.retired();
        self.tell(&format!("digest {retired} {digest:016x}"));
        Ok(())
    }

    /// What is to be done at the very end.
    ///
    /// # Errors
    /// A snapshot that cannot be written.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.stops.digest_every.is_some() {
            self.digest()?;
        }
        self.end_tape()?;
        if let Some(save) = self.stops.save.clone().filter(|s| s.at.is_none()) {
            self.save_file(&save.file)?;
        }
        if self.options.stats {
            self.figures();
        }
        Ok(())
    }

    fn figures(&mut self) {
        let machine = &self.board.machine;
        let seconds = monotonic_ns().saturating_sub(self.begin) as f64 / 1e9;
        let (insns, guest) = (machine.retired(), machine.time() as f64 / 1e9);
        let rate = insns as f64 / 1e6 / seconds.max(1e-9);
        let (errors, missing) = machine.counts();
        let s = machine.stats();
        for line in [
            format!("{insns} guest instructions in {seconds:.3} s: {rate:.0} million per second"),
            format!("guest time {guest:.3} s; {} inputs", machine.inputs()),
            format!("{errors} guest errors, {missing} uses of what is not built (--log guest_errors,unimp says which)"),
            format!(
                "blocks {}, of {} instructions, {} words; flushes {}, invalidations {}, evaluated {}",
                s.blocks, s.insns, s.words, s.flushes, s.invalidations, s.evaluated
            ),
        ] {
            self.tell(&line);
        }
    }

    pub(super) fn set_status(&mut self, status: RunState) {
        self.status = status;
    }

    /// Stops the CPUs.
    pub fn stop(&mut self) {
        self.stop_as(RunState::Paused);
    }

    pub(crate) fn stop_as(&mut self, status: RunState) {
        if self.is_running() {
            self.set_status(status);
            self.emit("STOP", Value::Null);
        } else if !matches!(self.status, RunState::Inmigrate | RunState::Shutdown) {
            self.set_status(status);
        }
    }

    /// Lets the CPUs go on.
    ///
    /// # Errors
    /// The machine has come to its end, or waits for its state.
    pub fn cont(&mut self) -> Result<(), String> {
        match self.status {
            RunState::Running => return Ok(()),
            RunState::Shutdown | RunState::InternalError | RunState::GuestPanicked => {
                return Err("Resetting the Virtual Machine is required".to_owned());
            }
            RunState::Inmigrate => {
                // It goes on when it is there.
                self.options.paused = false;
                return Ok(());
            }
            RunState::FinishMigrate => return Err("Migration is not finalized yet".to_owned()),
            _ => {}
        }
        // After a migration that has come to its end, the other machine may have them.
        self.host.world().blocks.take_media()?;
        self.options.preconfig = false;
        self.board.machine.resume_clock();
        self.set_status(RunState::Running);
        self.emit("RESUME", Value::Null);
        Ok(())
    }

    /// Resets the machine; it runs or stands as before.
    ///
    /// # Errors
    /// A file that has changed since the machine was switched on.
    pub fn reset(&mut self, cause: Cause) -> Result<(), String> {
        if matches!(cause, Cause::HostQmpSystemReset) {
            self.may_reset()?;
        }
        self.board.power_on().map_err(|e| e.to_string())?;
        self.emit("RESET", json!({ "guest": cause.is_guest(), "reason": cause.name() }));
        if matches!(self.status, RunState::Shutdown | RunState::GuestPanicked | RunState::InternalError) {
            self.set_status(RunState::Paused);
        }
        Ok(())
    }

    /// Somebody outside resets the machine: a recording notes it, and a replay does it by itself.
    fn may_reset(&self) -> Result<(), String> {
        if matches!(self.board.machine.tape(), Tape::Replay(_)) {
            self.may_change()?;
        }
        self.board.machine.record_reset();
        Ok(())
    }

    fn guest_reset(&mut self, cause: Cause) -> Result<(), String> {
        if self.options.actions.reboot_ends {
            self.shutdown(cause, 0);
            return Ok(());
        }
        self.reset(cause)
    }

    /// The machine is switched off.
    pub fn shutdown(&mut self, cause: Cause, status: u8) {
        self.emit("SHUTDOWN", json!({ "guest": cause.is_guest(), "reason": cause.name() }));
        if self.options.actions.shutdown_pauses {
            self.stop_as(RunState::Shutdown);
            self.set_status(RunState::Shutdown);
        } else {
            self.ended = Some(status);
        }
    }

    /// Ends the run, whatever the machine does.
    pub fn quit(&mut self, cause: Cause) {
        if self.ended.is_none() {
            self.emit("SHUTDOWN", json!({ "guest": cause.is_guest(), "reason": cause.name() }));
            self.ended = Some(0);
        }
    }

    /// A watchdog was not fed.
    fn watchdog(&mut self) -> Result<(), String> {
        let action = self.options.actions.watchdog;
        self.emit("WATCHDOG", json!({ "action": action.name() }));
        match action {
            OnWatchdog::Reset => self.guest_reset(Cause::GuestReset)?,
            OnWatchdog::Shutdown => self.powerdown()?,
            OnWatchdog::Poweroff => self.quit(Cause::GuestShutdown),
            OnWatchdog::Pause => self.stop_as(RunState::Watchdog),
            OnWatchdog::Debug => self.tell("watchdog: timer expired"),
            OnWatchdog::None | OnWatchdog::InjectNmi => {}
        }
        Ok(())
    }

    fn panicked(&mut self) {
        let action = self.options.actions.panic;
        let word = if matches!(action, OnPanic::None) { "run" } else { "pause" };
        self.emit("GUEST_PANICKED", json!({ "action": word }));
        match action {
            OnPanic::None => {}
            OnPanic::Pause => self.stop_as(RunState::GuestPanicked),
            OnPanic::Shutdown => self.shutdown(Cause::GuestPanic, 0),
            OnPanic::ExitFailure => {
                self.tell("the guest reports that it has crashed");
                self.shutdown(Cause::GuestPanic, 1);
            }
        }
    }

    /// Asks the guest to switch itself off, as by its power button.
    ///
    /// # Errors
    /// The machine has no power button.
    pub fn powerdown(&mut self) -> Result<(), String> {
        // As in QEMU, the event is there whether the board does anything with it or not; `virt` has no button.
        self.emit("POWERDOWN", Value::Null);
        Ok(())
    }
}
