//! The machine as a whole: it runs, stops, is saved, moves.

use super::{Args, Result, quiet};
use crate::vm::{Cause, Vm};
use serde_json::{Value, json};

pub(super) fn quit(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    vm.quit(Cause::HostQmpQuit);
    Ok(String::new())
}

pub(super) fn stop(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    vm.stop();
    Ok(String::new())
}

pub(super) fn cont(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    vm.cont().map(|()| String::new())
}

pub(super) fn reset(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    vm.reset(Cause::HostQmpSystemReset).map(|()| String::new())
}

pub(super) fn powerdown(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    vm.powerdown().map(|()| String::new())
}

pub(super) fn gdbserver(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    match args.get(0).unwrap_or(crate::gdb::DEFAULT) {
        "none" => {
            vm.gdb_request = Some(None);
            Ok("Disabled gdbserver\n".to_owned())
        }
        device => {
            let id = crate::gdb::add_chardev(vm, device)?;
            vm.gdb_request = Some(Some(id));
            Ok(format!("Waiting for gdb connection on device '{device}'\n"))
        }
    }
}

pub(super) fn cpu(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let n = args.need(0, "an index")?.parse::<usize>().map_err(|_| "invalid CPU index".to_owned())?;
    if n >= vm.board.machine.cpus() {
        return Err("invalid CPU index".to_owned());
    }
    vm.current_cpu = n;
    Ok(String::new())
}

/// The value of a parameter as QMP wants it: a number where it is one, with a size's suffix.
fn number_or_text(text: &str) -> Value {
    match tern_core::text::size(text, 0) {
        Some(n) => json!(n),
        None => tern_core::text::switch(text).map_or_else(|| json!(text), Value::Bool),
    }
}

pub(super) fn migrate_set_parameter(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (name, value) = (args.need(0, "a parameter")?, args.need(1, "a value")?);
    // A bandwidth without a suffix counts mebibytes.
    let value = match (name, value.parse::<u64>()) {
        ("max-bandwidth" | "avail-switchover-bandwidth" | "max-postcopy-bandwidth", Ok(n)) => {
            json!(n.saturating_mul(1 << 20))
        }
        _ => number_or_text(value),
    };
    quiet(vm, "migrate-set-parameters", json!({ name: value }))
}

pub(super) fn migrate_set_capability(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (name, on) = (args.need(0, "a capability")?, args.need(1, "on or off")?);
    let on = tern_core::text::switch(on).ok_or_else(|| "on or off is wanted".to_owned())?;
    quiet(vm, "migrate-set-capabilities", json!({ "capabilities": [{ "capability": name, "state": on }] }))
}

pub(super) fn migrate(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let uri = args.words.iter().find(|w| !w.starts_with('-')).ok_or_else(|| "a URI is missing".to_owned())?;
    let detached = args.words.iter().any(|w| w == "-d");
    quiet(vm, "migrate", json!({ "uri": uri }))?;
    Ok(if detached { String::new() } else { "the migration goes on (see info migrate)\n".to_owned() })
}

pub(super) fn migrate_incoming(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    quiet(vm, "migrate-incoming", json!({ "uri": args.need(0, "a URI")? }))
}

/// A command of QMP without arguments.
macro_rules! plain {
    ($($name:ident = $command:literal;)*) => {
        $(pub(super) fn $name(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
            quiet(vm, $command, Value::Null)
        })*
    };
}

plain! {
    wakeup = "system_wakeup";
    nmi = "inject-nmi";
    exit_preconfig = "x-exit-preconfig";
    migrate_cancel = "migrate_cancel";
}

pub(super) fn watchdog_action(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    quiet(vm, "watchdog-set-action", json!({ "action": args.need(0, "an action")? }))
}

pub(super) fn savevm(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    vm.save_image(args.get(0).unwrap_or_default()).map(|()| String::new())
}

pub(super) fn loadvm(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let tag = args.need(0, "a name")?.to_owned();
    vm.load_image(&tag).map(|()| String::new())
}

pub(super) fn delvm(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let tag = args.need(0, "a name")?.to_owned();
    vm.delete_image(&tag).map(|()| String::new())
}

/// What tern has not built.
pub(super) fn not_built(_: &mut Vm, _: &Args<'_>) -> Result<String> {
    Err("this command is not built yet".to_owned())
}

/// What the machine has no hardware for.
pub(super) fn no_hardware(_: &mut Vm, _: &Args<'_>) -> Result<String> {
    Err("this machine has no such hardware".to_owned())
}
