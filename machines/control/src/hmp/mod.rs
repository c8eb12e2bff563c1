//! HMP: the monitor for people.  Commands are rows.

use crate::surface::Surface;
use crate::vm::Vm;
use tern_core::backend::CharSink;

/// Runs a command line; what it prints.
pub fn run(vm: &mut Vm, line: &str) -> String {
    let line = line.trim();
    match line {
        "info qom-tree" => vm.qom_tree_text("/"),
        _ => format!("unknown command: '{}'\n", line.split(' ').next().unwrap_or_default()),
    }
}

/// A monitor on a character device.
pub struct HumanMonitor {
    id: String,
    sink: Box<dyn CharSink>,
    line: Vec<u8>,
}

impl HumanMonitor {
    /// On this character device.
    ///
    /// # Errors
    /// One that is not there, or in use.
    pub fn new(vm: &Vm, id: &str) -> Result<HumanMonitor, String> {
        let sink = vm.host.world().chars.attach_surface(id)?;
        Ok(HumanMonitor { id: id.to_owned(), sink, line: Vec::new() })
    }
}

impl Surface for HumanMonitor {
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String> {
        let bytes = vm.host.world().chars.read(&self.id);
        for byte in bytes {
            if byte != b'\n' && byte != b'\r' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            let text = run(vm, &line).replace('\n', "\r\n");
            self.sink.write(text.as_bytes());
        }
        Ok(())
    }
}
