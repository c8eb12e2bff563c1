//! QMP: the monitor for programs.

use crate::surface::Surface;
use crate::vm::{Event, Vm};
use serde_json::{Value, json};
use tern_core::backend::CharSink;

/// A QMP monitor on a character device.
///
/// # Errors
/// One that is not there, or in use.
pub fn monitor(vm: &Vm, id: &str, _pretty: bool) -> Result<Box<dyn Surface>, String> {
    let mut sink = vm.host.world().chars.attach_surface(id)?;
    let greeting = json!({"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}});
    sink.write(format!("{greeting}\r\n").as_bytes());
    Ok(Box::new(Qmp { id: id.to_owned(), sink, buffer: Vec::new() }))
}

struct Qmp {
    id: String,
    sink: Box<dyn CharSink>,
    buffer: Vec<u8>,
}

impl Surface for Qmp {
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String> {
        let bytes = vm.host.world().chars.read(&self.id);
        self.buffer.extend(bytes);
        loop {
            let mut stream = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<Value>();
            let Some(Ok(value)) = stream.next() else { break };
            let used = stream.byte_offset();
            self.buffer.drain(..used);
            let reply = command(vm, &value);
            self.sink.write(format!("{reply}\r\n").as_bytes());
        }
        Ok(())
    }

    fn event(&mut self, _vm: &mut Vm, event: &Event) {
        let mut out = json!({"event": event.name, "timestamp": {"seconds": event.time_ns / 1_000_000_000, "microseconds": event.time_ns / 1000 % 1_000_000}});
        if !event.data.is_null() {
            out["data"] = event.data.clone();
        }
        self.sink.write(format!("{out}\r\n").as_bytes());
    }
}

fn command(vm: &mut Vm, value: &Value) -> Value {
    let name = value["execute"].as_str().unwrap_or_default();
    let args = &value["arguments"];
    let result = match name {
        "qmp_capabilities" => Ok(json!({})),
        "quit" => {
            vm.quit(crate::vm::Cause::HostQmpQuit);
            Ok(json!({}))
        }
        "system_reset" => vm.reset(crate::vm::Cause::HostQmpSystemReset).map(|()| json!({})),
        "query-machines" => Ok(tern_board::BOARDS
            .iter()
            .filter(|b| b.isa == vm.isa())
            .map(|b| {
                json!({"name": b.name.rsplit('/').next(), "cpu-max": b.max_cpus, "hotpluggable-cpus": false,
                    "numa-mem-supported": false, "deprecated": false, "acpi": false})
            })
            .collect()),
        "qom-list-types" => {
            let all = crate::vm::qom::types(vm.isa());
            let from = args["implements"].as_str().unwrap_or("object").to_owned();
            let abstracts = args["abstract"].as_bool().unwrap_or(false);
            Ok(all
                .iter()
                .filter(|t| (abstracts || !t.is_abstract) && crate::vm::qom::derives(&all, &t.name, &from))
                .map(|t| {
                    let mut o = json!({"name": t.name});
                    if let Some(p) = &t.parent {
                        o["parent"] = json!(p);
                    }
                    if t.is_abstract {
                        o["abstract"] = json!(true);
                    }
                    o
                })
                .collect())
        }
        "human-monitor-command" => Ok(json!(crate::hmp::run(vm, args["command-line"].as_str().unwrap_or_default()))),
        _ => Err(format!("The command {name} has not been found")),
    };
    match result {
        Ok(value) => json!({ "return": value }),
        Err(why) => json!({"error": {"class": "CommandNotFound", "desc": why}}),
    }
}
