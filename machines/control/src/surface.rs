//! Control surfaces on a machine, and the loop that serves them: monitors, QMP, qtest.

use crate::gdb::GdbServer;
use crate::hmp::HumanMonitor;
use crate::qtest::Qtest;
use crate::run::MonitorMode;
use crate::vm::{Event, Vm};

/// A surface.
pub trait Surface {
    /// Reads what has come for it, and acts.
    ///
    /// # Errors
    /// What ends tern: in one line.
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String>;

    /// Something happened.
    fn event(&mut self, vm: &mut Vm, event: &Event) {
        let _ = (vm, event);
    }

    /// What happened has been told: sends what was held back until then; true: there is more to attend to at once.
    fn settle(&mut self) -> bool {
        false
    }

    /// How long the machine may run or wait, in nanoseconds, before this one wants attention, whatever comes; `None`: forever.
    fn patience(&self) -> Option<u64> {
        None
    }
}

/// A machine with its surfaces.
pub struct Control {
    vm: Vm,
    surfaces: Vec<Box<dyn Surface>>,
    gdb: Option<GdbServer>,
}

impl Control {
    /// With the surfaces that the machine's options name.
    ///
    /// # Errors
    /// A character device that cannot be used.
    pub fn new(vm: Vm) -> Result<Control, String> {
        let mut surfaces: Vec<Box<dyn Surface>> = Vec::new();
        if let Some(id) = &vm.options.qtest {
            surfaces.push(Box::new(Qtest::new(&vm, id)?));
        }
        for monitor in vm.options.monitors.clone() {
            surfaces.push(match monitor.mode {
                MonitorMode::Readline => Box::new(HumanMonitor::new(&vm, &monitor.chardev)?),
                MonitorMode::Control(pretty) => crate::qmp::monitor(&vm, &monitor.chardev, pretty)?,
            });
        }
        let gdb = vm.options.gdb.as_deref().map(|id| GdbServer::new(&vm, id)).transpose()?;
        Ok(Control { vm, surfaces, gdb })
    }

    /// Runs until the machine comes to its end; the status that tern ends with.
    ///
    /// # Errors
    /// What ends tern: in one line.
    pub fn run(mut self) -> Result<u8, String> {
        loop {
            for surface in &mut self.surfaces {
                surface.attend(&mut self.vm)?;
            }
            if let Some(request) = self.vm.gdb_request.take() {
                self.change_gdb(request);
            }
            if let Some(gdb) = &mut self.gdb {
                gdb.attend(&mut self.vm)?;
            }
            self.tell();
            let mut more = false;
            for surface in &mut self.surfaces {
                more |= surface.settle();
            }
            if let Some(status) = self.vm.ended() {
                self.vm.finish()?;
                return Ok(status);
            }
            if more {
                continue;
            }
            self.vm.set_patience(self.surfaces.iter().filter_map(|s| s.patience()).min());
            self.vm.turn()?;
            self.tell();
        }
    }

    /// Another gdb server, or none.
    fn change_gdb(&mut self, id: Option<String>) {
        if let Some(old) = self.gdb.take() {
            old.end(&mut self.vm);
        }
        if let Some(id) = id {
            match GdbServer::new(&self.vm, &id) {
                Ok(server) => self.gdb = Some(server),
                Err(why) => self.vm.tell(&format!("gdbserver: {why}")),
            }
        }
    }

    fn tell(&mut self) {
        self.vm.hear();
        for event in self.vm.take_events() {
            if let Some(gdb) = &mut self.gdb {
                gdb.event(&mut self.vm, &event);
            }
            for surface in &mut self.surfaces {
                surface.event(&mut self.vm, &event);
            }
        }
    }
}
