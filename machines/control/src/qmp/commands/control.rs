//! The protocol itself (QEMU QMP Reference Manual, "QMP monitor control", "QMP introspection").

use super::machine::{VersionInfo, version};
use crate::qmp::command::{Command, Empty, commands};
use crate::qmp::events::EVENTS;
use crate::qmp::introspect::{SchemaInfo, introspect};
use crate::qmp::protocol::Negotiation;
use crate::qmp::qapi::qapi;
use crate::vm::{Cause, Vm};

qapi! {
    /// A command's name.
    struct CommandInfo { name: String }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    // The session does what it says when its arguments have been found right.
    "qmp_capabilities" [preconfig] (Negotiation) -> Empty = |_, _| Ok(Empty {});
    "query-version" [preconfig] (Empty) -> VersionInfo = |_, _| Ok(version());
    "query-commands" [preconfig] (Empty) -> Vec<CommandInfo> = |_, _| {
        Ok(super::ALL.iter().copied().flatten().map(|c| CommandInfo { name: c.name.to_owned() }).collect())
    };
    "query-qmp-schema" [preconfig] (Empty) -> Vec<SchemaInfo> = |_, _| Ok(introspect(super::ALL, EVENTS));
    "quit" [preconfig] (Empty) -> Empty = |vm, _| {
        vm.quit(Cause::HostQmpQuit);
        Ok(Empty {})
    };
};
