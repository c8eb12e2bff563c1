//! Dumps of the guest's memory (QEMU QMP Reference Manual, "Dump guest memory"), of which none can be written yet, and
//! of its device tree.

use crate::qmp::command::{Command, Empty, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;

qapi! {
    /// Whether a dump is being written.
    enum DumpStatus { None, Active, Completed, Failed }
    /// How far a dump is, in bytes.
    struct DumpResult { status: DumpStatus, completed: i64, total: i64 }
    /// Formats of dumps.
    enum DumpFormat { Elf }
    /// What formats there are.
    struct DumpFormats { formats: Vec<DumpFormat> }
    /// Where the device tree is written to.
    struct DumpDtb { filename: String }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-dump" (Empty) -> DumpResult = |_, _| Ok(DumpResult { status: DumpStatus::None, completed: 0, total: 0 });
    "query-dump-guest-memory-capability" (Empty) -> DumpFormats = |_, _| Ok(DumpFormats { formats: Vec::new() });
    "dumpdtb" (DumpDtb) -> Empty = |vm, args| {
        vm.dump_dtb(&args.filename)?;
        Ok(Empty {})
    };
};
