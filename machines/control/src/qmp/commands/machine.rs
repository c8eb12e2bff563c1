//! The machine and its CPUs (QEMU QMP Reference Manual, "Machines").

use crate::qmp::command::{Command, Empty, Error, commands};
use crate::qmp::qapi::qapi;
use crate::qmp::schema::word_of;
use crate::run::TapeOption;
use crate::vm::Vm;
use std::fmt::Write as _;
use tern_board::{BOARDS, Plugged};
use tern_devices::model::BusKind;
use tern_session::isa;

qapi! {
    /// Three numbers of a version.
    struct VersionTriple { major: i64, minor: i64, micro: i64 }
    /// The version.
    struct VersionInfo { qemu: VersionTriple, package: String }
    /// Guests' architectures.
    enum Arch { Riscv32, Riscv64 }
    /// The guest's architecture.
    struct TargetInfo { arch: Arch }
    /// Where a CPU is.
    struct CpuPlace {
        node_id: Option<i64>, drawer_id: Option<i64>, book_id: Option<i64>, socket_id: Option<i64>,
        die_id: Option<i64>, cluster_id: Option<i64>, module_id: Option<i64>, core_id: Option<i64>,
        thread_id: Option<i64>,
    }
    /// A CPU.
    struct CpuInfo { cpu_index: i64, qom_path: String, thread_id: i64, props: Option<CpuPlace>, target: Arch }
    /// With the defaults of older boards?
    struct MachinesArgs { compat_props: Option<bool> }
    /// A default of an older board.
    struct CompatProperty { qom_type: String, property: String, value: String }
    /// A board.
    struct MachineInfo {
        name: String, alias: Option<String>, is_default: Option<bool>, cpu_max: i64, hotpluggable_cpus: bool,
        numa_mem_supported: bool, deprecated: bool, default_cpu_type: Option<String>, default_ram_id: Option<String>,
        acpi: bool, compat_props: Option<Vec<CompatProperty>>,
    }
    /// What the machine can do.
    struct CurrentMachine { wakeup_suspend_support: bool }
    /// The machine's identity.
    struct Uuid { uuid as "UUID": String }
    /// A CPU that can be added.
    struct HotpluggableCpu { r#type: String, vcpus_count: i64, props: CpuPlace, qom_path: Option<String> }
    /// Text for people.
    struct HumanText { human_readable_text: String }
    /// Whether the run is recorded or replayed.
    enum ReplayMode { None, Record, Play }
    /// The position to go to: instructions retired.
    struct ReplaySeek { icount: i64 }
    /// The recording.
    struct ReplayInfo { mode: ReplayMode, filename: Option<String>, icount: i64 }
    /// A model of CPUs.
    struct CpuDefinition {
        name: String, migration_safe: Option<bool>, r#static: bool, unavailable_features: Option<Vec<String>>,
        typename: String, alias_of: Option<String>, deprecated: bool,
    }
}

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    "query-target" (Empty) -> TargetInfo = |vm, _| Ok(TargetInfo { arch: arch(vm)? });
    "query-cpus-fast" (Empty) -> Vec<CpuInfo> = |vm, _| {
        let target = arch(vm)?;
        // Dead CPUs of the empty board are no CPUs for others.
        let cpus = if vm.machine_name() == "none" { 0 } else { vm.board.machine.cpus() as i64 };
        Ok((0..cpus).map(|n| cpu(n, target)).collect())
    };
    "query-machines" (MachinesArgs) -> Vec<MachineInfo> = machines;
    "query-current-machine" (Empty) -> CurrentMachine = |_, _| Ok(CurrentMachine { wakeup_suspend_support: false });
    "query-uuid" [preconfig] (Empty) -> Uuid = |vm, _| Ok(Uuid { uuid: uuid(vm.config.uuid.unwrap_or_default()) });
    "query-hotpluggable-cpus" [preconfig] (Empty) -> Vec<HotpluggableCpu> = |_, _| {
        Err(Error::new("machine does not support hot-plugging CPUs"))
    };
    "query-cpu-definitions" (Empty) -> Vec<CpuDefinition> = definitions;
    "query-replay" (Empty) -> ReplayInfo = |vm, _| {
        let (mode, file) = match &vm.options.tape {
            TapeOption::None => (ReplayMode::None, None),
            TapeOption::Record { file, .. } => (ReplayMode::Record, Some(file)),
            TapeOption::Replay { file, .. } => (ReplayMode::Play, Some(file)),
        };
        let filename = file.map(|file| file.to_string_lossy().into_owned());
        Ok(ReplayInfo { mode, filename, icount: counted(vm) })
    };
    "replay-seek" (ReplaySeek) -> Empty = |vm, args| {
        let icount = u64::try_from(args.icount).map_err(|_| Error::new("icount: a position is wanted"))?;
        vm.stop();
        vm.seek(icount).map_err(Error::new).map(|()| Empty {})
    };
    "x-query-irq" (Empty) -> HumanText = |_, _| human("");
    "x-query-interrupt-controllers" (Empty) -> HumanText = |_, _| human("");
    "x-query-jit" (Empty) -> HumanText = |vm, _| {
        engine(vm, "JIT information is only available with accel=tcg")
    };
    "x-query-opcount" (Empty) -> HumanText = |vm, _| {
        engine(vm, "Opcode count information is only available with accel=tcg")
    };
    "x-query-numa" (Empty) -> HumanText = |_, _| human("0 nodes\n");
    "x-query-ramblock" (Empty) -> HumanText = |vm, _| {
        let size = vm.config.memory;
        human(&if size == 0 { String::new() } else { format!("ram size=0x{size:x}\n") })
    };
    "x-query-roms" (Empty) -> HumanText = |_, _| human("");
    "x-query-usb" (Empty) -> HumanText = |vm, _| {
        let all = vm.board.children(BusKind::Usb).ok_or_else(|| Error::new("USB support not enabled"))?;
        let id = |p: &Plugged| p.config.id.as_ref().map(|id| format!(", ID: {id}")).unwrap_or_default();
        let line = |(n, p, words): &(u32, Plugged, String)| format!("  Device 0.{n}, {words}{}\n", id(p));
        human(&all.iter().map(line).collect::<String>())
    };
};

/// The version that clients see: of the QEMU whose protocol this is.
#[must_use]
pub fn version() -> VersionInfo {
    let mut numbers = crate::qemu::LIKE.split('.').map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let qemu = VersionTriple { major: next(), minor: next(), micro: next() };
    VersionInfo { qemu, package: concat!("tern ", env!("CARGO_PKG_VERSION")).to_owned() }
}

fn human(text: &str) -> Result<HumanText, Error> {
    Ok(HumanText { human_readable_text: text.to_owned() })
}

fn arch(vm: &Vm) -> Result<Arch, Error> {
    word_of(vm.isa()).ok_or_else(|| Error::new(format!("there is no name for {}", vm.isa())))
}

fn cpu(n: i64, target: Arch) -> CpuInfo {
    let props = CpuPlace {
        node_id: None,
        drawer_id: None,
        book_id: None,
        socket_id: None,
        die_id: None,
        cluster_id: None,
        module_id: None,
        core_id: Some(n),
        thread_id: None,
    };
    // All CPUs take turns on one thread.
    let thread_id = i64::from(std::process::id());
    CpuInfo { cpu_index: n, qom_path: format!("/machine/soc0/harts[{n}]"), thread_id, props: Some(props), target }
}

fn machines(vm: &mut Vm, _: MachinesArgs) -> Result<Vec<MachineInfo>, Error> {
    let isa = isa::by_name(vm.isa());
    let boards = BOARDS.iter().filter(|b| b.isa == vm.isa());
    Ok(boards
        .map(|b| {
            let name = b.name.rsplit('/').next().unwrap_or(b.name);
            MachineInfo {
                name: name.to_owned(),
                alias: None,
                is_default: (name == "spike").then_some(true),
                cpu_max: b.max_cpus.into(),
                hotpluggable_cpus: false,
                numa_mem_supported: false,
                deprecated: false,
                default_cpu_type: isa.filter(|_| name != "none").map(|i| format!("{}-riscv-cpu", i.default_cpu)),
                default_ram_id: None,
                acpi: false,
                compat_props: None,
            }
        })
        .collect())
}

fn definitions(vm: &mut Vm, _: Empty) -> Result<Vec<CpuDefinition>, Error> {
    let models = isa::by_name(vm.isa()).map_or(Vec::new(), |i| (i.models)());
    Ok(models
        .into_iter()
        .map(|(name, _)| CpuDefinition {
            name: name.to_owned(),
            migration_safe: None,
            r#static: false,
            unavailable_features: None,
            typename: format!("{name}-riscv-cpu"),
            alias_of: None,
            deprecated: false,
        })
        .collect())
}

/// Instructions, where guest time is counted in them.
fn counted(vm: &Vm) -> i64 {
    match vm.config.clock {
        tern_board::config::ClockMode::Host => 0,
        tern_board::config::ClockMode::Instructions { .. } => vm.board.machine.retired() as i64,
    }
}

fn engine(vm: &Vm, without: &str) -> Result<HumanText, Error> {
    if vm.options.qtest_only {
        return Err(Error::new(without));
    }
    let s = vm.board.machine.stats();
    human(&format!(
        "blocks {}, of {} instructions, {} words\nflushes {}, invalidations {}, evaluated {}\n",
        s.blocks, s.insns, s.words, s.flushes, s.invalidations, s.evaluated
    ))
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut out = String::new();
    for (n, byte) in bytes.into_iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
