//! Looking at the machine: address mappings, the device tree.

use super::Vm;
use std::fmt::Write as _;

impl Vm {
    /// The mappings of the current CPU's virtual memory, ranges that go on as one line (`info mem`).
    ///
    /// # Errors
    /// There is no CPU, or its frontend does not list them.
    pub fn mappings(&mut self) -> Result<String, String> {
        if self.board.machine.cpus() == 0 {
            return Err("No CPU available".to_owned());
        }
        let cpu = self.current_cpu;
        let found = self.board.machine.mappings(cpu);
        let found = found.ok_or_else(|| "mappings of this ISA's page tables are not listed yet".to_owned())?;
        let mut out = "vaddr            paddr            size             attr\n".to_owned();
        for m in found {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:016x} {:016x} {:016x} {}", m.virt, m.phys, m.size, m.rights);
        }
        Ok(out)
    }

    /// Writes the device tree to a file.
    ///
    /// # Errors
    /// In one line.
    pub fn dump_dtb(&self, path: &str) -> Result<(), String> {
        if self.board.dtb.is_empty() {
            return Err("This machine doesn't have an FDT".to_owned());
        }
        std::fs::write(path, &self.board.dtb).map_err(|e| format!("{path}: {e}"))
    }
}
