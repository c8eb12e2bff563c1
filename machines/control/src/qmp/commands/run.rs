//! The run of the machine (QEMU QMP Reference Manual, "VM run state", "Machines").

use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::qmp::schema::word_of;
use crate::run::{OnPanic, OnWatchdog};
use crate::vm::{Cause, Vm};

qapi! {
    /// Why a machine runs or does not.
    enum RunState {
        Debug, InMigrate as "inmigrate", InternalError, IoError, Paused, PostMigrate as "postmigrate",
        PreLaunch as "prelaunch", FinishMigrate, RestoreVm, Running, SaveVm, Shutdown, Suspended, Watchdog,
        GuestPanicked, Colo,
    }
    /// Whether the machine runs.
    struct StatusInfo { running: bool, status: RunState }
    /// What a watchdog does.
    enum WatchdogAction { Reset, Shutdown, Poweroff, Pause, Debug, None, InjectNmi }
    /// The same as an argument.
    struct WatchdogArgs { action: WatchdogAction }
    /// What a reset does.
    enum RebootAction { Reset, Shutdown }
    /// What happens when the guest has switched off.
    enum ShutdownAction { Poweroff, Pause }
    /// What happens when the guest has crashed.
    enum PanicAction { Pause, Shutdown, ExitFailure, None }
    /// What is done about what the guest does.
    struct Actions {
        reboot: Option<RebootAction>, shutdown: Option<ShutdownAction>, panic: Option<PanicAction>,
        watchdog: Option<WatchdogAction>,
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-status" [preconfig] (Empty) -> StatusInfo = |vm, _| {
        let status = word_of(vm.status().name()).ok_or_else(|| Error::new("the state has no name"))?;
        Ok(StatusInfo { running: vm.is_running(), status })
    };
    "stop" (Empty) -> Empty = |vm, _| {
        vm.stop();
        Ok(Empty {})
    };
    "cont" (Empty) -> Empty = |vm, _| {
        vm.cont()?;
        Ok(Empty {})
    };
    "system_reset" (Empty) -> Empty = |vm, _| {
        vm.reset(Cause::HostQmpSystemReset)?;
        Ok(Empty {})
    };
    "system_powerdown" (Empty) -> Empty = |vm, _| {
        vm.powerdown()?;
        Ok(Empty {})
    };
    "system_wakeup" (Empty) -> Empty = |_, _| Err(Error::new("wake-up from suspend is not supported by this guest"));
    "inject-nmi" (Empty) -> Empty = |_, _| Err(Error::new("machine does not provide NMIs"));
    "x-exit-preconfig" [preconfig] (Empty) -> Empty = exit_preconfig;
    "set-action" [preconfig] (Actions) -> Empty = set_action;
    "watchdog-set-action" (WatchdogArgs) -> Empty = |vm, args| {
        vm.options.actions.watchdog = watchdog(args.action);
        Ok(Empty {})
    };
};

fn exit_preconfig(vm: &mut Vm, _: Empty) -> Result<Empty, Error> {
    if !vm.options.preconfig {
        return Err(Error::new("The command is permitted only before machine initialization"));
    }
    vm.options.preconfig = false;
    if !vm.options.paused {
        vm.cont()?;
    }
    Ok(Empty {})
}

fn watchdog(action: WatchdogAction) -> OnWatchdog {
    match action {
        WatchdogAction::Reset => OnWatchdog::Reset,
        WatchdogAction::Shutdown => OnWatchdog::Shutdown,
        WatchdogAction::Poweroff => OnWatchdog::Poweroff,
        WatchdogAction::Pause => OnWatchdog::Pause,
        WatchdogAction::Debug => OnWatchdog::Debug,
        WatchdogAction::None => OnWatchdog::None,
        WatchdogAction::InjectNmi => OnWatchdog::InjectNmi,
    }
}

fn set_action(vm: &mut Vm, args: Actions) -> Result<Empty, Error> {
    let actions = &mut vm.options.actions;
    if let Some(reboot) = args.reboot {
        actions.reboot_ends = reboot == RebootAction::Shutdown;
    }
    if let Some(shutdown) = args.shutdown {
        actions.shutdown_pauses = shutdown == ShutdownAction::Pause;
    }
    if let Some(panic) = args.panic {
        actions.panic = match panic {
            PanicAction::None => OnPanic::None,
            PanicAction::Pause => OnPanic::Pause,
            PanicAction::Shutdown => OnPanic::Shutdown,
            PanicAction::ExitFailure => OnPanic::ExitFailure,
        };
    }
    if let Some(action) = args.watchdog {
        actions.watchdog = watchdog(action);
    }
    Ok(Empty {})
}
