//! Keys and movements (QEMU QMP Reference Manual, "Input").

use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;

qapi! {
    /// Keys of a keyboard.
    open Key { r#type: String }
    /// Keys to be pressed together, for so many milliseconds.
    struct SendKey { keys: Vec<Key>, hold_time: Option<i64> }
    /// Keys, buttons, movements.
    struct SendInput { device: Option<String>, head: Option<i64>, events: Vec<Key> }
    /// A mouse.
    struct MouseInfo { name: String, index: i64, current: bool, absolute: bool }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-mice" (Empty) -> Vec<MouseInfo> = |_, _| Ok(Vec::new());
    "send-key" (SendKey) -> Empty = |_, _| Err(Error::new("there is no way yet to give keys to a device"));
    "input-send-event" (SendInput) -> Empty = |_, args| match args.device {
        Some(device) => Err(Error::new(format!("Device '{device}' not found"))),
        None => Err(Error::new("there is no way yet to give input to a device")),
    };
};
