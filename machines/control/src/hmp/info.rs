//! What `info` shows, one row each.

use super::{Args, Result, Row, block, devices, memory, qmp, row};
use crate::vm::Vm;
use serde_json::Value;
use std::fmt::Write as _;

/// A text that QMP has for people.
fn human(vm: &mut Vm, command: &str) -> Result<String> {
    let value = qmp(vm, command, Value::Null)?;
    Ok(value["human-readable-text"].as_str().unwrap_or_default().to_owned())
}

/// An answer of QMP as lines of names and values.
fn lines(vm: &mut Vm, command: &str) -> Result<String> {
    let value = qmp(vm, command, Value::Null)?;
    let mut out = String::new();
    let mut one = |value: &Value| match value {
        Value::Object(map) => {
            let words: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {}", plain(v))).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}", words.join(", "));
        }
        other => {
            let _ = writeln!(out, "{}", plain(other));
        }
    };
    match &value {
        Value::Array(list) => list.iter().for_each(&mut one),
        other => one(other),
    }
    Ok(out)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn status(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let name = vm.status().name();
    Ok(match vm.is_running() {
        true => "VM status: running\n".to_owned(),
        false => format!("VM status: paused{}\n", if name == "paused" { String::new() } else { format!(" ({name})") }),
    })
}

fn cpus(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let here = vm.current_cpu;
    Ok((0..vm.board.machine.cpus())
        .map(|n| format!("{} CPU #{n}: thread_id={}\n", if n == here { "*" } else { " " }, std::process::id()))
        .collect())
}

fn mtree(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let space = vm.board.machine.space();
    let flag = |name: &str| args.words.iter().any(|w| w == name);
    Ok(match flag("-f") {
        true => space.flat_text(),
        false => space.tree_text(flag("-D") || flag("-o")),
    })
}

fn version(_: &mut Vm, _: &Args<'_>) -> Result<String> {
    Ok(format!("{} (tern {})\n", crate::qemu::LIKE, env!("CARGO_PKG_VERSION")))
}

fn snapshots(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    let list = vm.images()?;
    if list.is_empty() {
        return Ok("There is no snapshot available.\n".to_owned());
    }
    let mut out =
        "List of snapshots present on all disks:\nID        TAG               VM_SIZE  INSTRUCTIONS\n".to_owned();
    for (n, image) in list.iter().enumerate() {
        let _ = writeln!(out, "{:<9} {:<17} {:<8} {}", n + 1, image.tag, image.size, image.retired);
    }
    Ok(out)
}

fn name(vm: &mut Vm, _: &Args<'_>) -> Result<String> {
    Ok(vm.options.guest_name.clone().map_or_else(String::new, |name| name + "\n"))
}

fn nothing(_: &mut Vm, _: &Args<'_>) -> Result<String> {
    Ok(String::new())
}

pub(super) static ROWS: &[Row] = &[
    row("version", "", "show the version of QEMU", version),
    row("status", "", "show the current VM status (running|paused)", status),
    row("name", "", "show the current VM name", name),
    row("uuid", "", "show the current VM UUID", |vm, _| {
        let value = qmp(vm, "query-uuid", Value::Null)?;
        Ok(format!("{}\n", plain(&value["UUID"])))
    }),
    row("network", "", "show the network state", devices::network),
    row("usernet", "", "show user network stack connection states", devices::usernet),
    row("chardev", "", "show the character devices", devices::chardev),
    row("block", "[-n] [-v] [device]", "show info of one block device or all block devices", block::block),
    row("blockstats", "", "show block device statistics", block::blockstats),
    row("block-jobs", "", "show progress of ongoing block device operations", |_, _| Ok("No active jobs\n".to_owned())),
    row("snapshots", "", "show the currently saved VM snapshots", snapshots),
    row("registers", "[-a]", "show the cpu registers (-a: for all cpus)", memory::registers),
    row("cpus", "", "show infos for each CPU", cpus),
    row("mem", "", "show the active virtual memory mappings", |vm, _| vm.mappings()),
    row("tlb", "", "show virtual to physical memory mappings", |vm, _| vm.mappings()),
    row("mtree", "[-f][-d][-o][-D]", "show memory tree (-f: dump flat view for address spaces)", mtree),
    row("qtree", "[-b]", "show device tree", devices::qtree),
    row("qdm", "", "show qdev device model list", |_, _| Ok(crate::qemu::device::list())),
    row("qom-tree", "[path]", "show QOM composition tree", |vm, args| {
        let path = vm.qom_resolve(args.get(0).unwrap_or("/machine"))?;
        Ok(vm.qom_tree_text(&path))
    }),
    row("pci", "", "show PCI info", devices::pci),
    row("roms", "", "show roms", |vm, _| human(vm, "x-query-roms")),
    row("irq", "", "show the interrupts statistics (if available)", |vm, _| human(vm, "x-query-irq")),
    row("pic", "", "show PIC state", |vm, _| human(vm, "x-query-interrupt-controllers")),
    row("jit", "", "show dynamic compiler info", |vm, _| human(vm, "x-query-jit")),
    row("opcount", "", "show dynamic compiler opcode counters", |vm, _| human(vm, "x-query-opcount")),
    row("numa", "", "show NUMA information", |vm, _| human(vm, "x-query-numa")),
    row("usb", "", "show guest USB devices", |vm, _| human(vm, "x-query-usb")),
    row("ramblock", "", "display system ramblock information", |vm, _| human(vm, "x-query-ramblock")),
    row("memdev", "", "show memory backends", |vm, _| lines(vm, "query-memdev")),
    row("memory_size_summary", "", "show the amount of initially allocated memory", |vm, _| {
        lines(vm, "query-memory-size-summary")
    }),
    row("memory-devices", "", "show memory devices", |vm, _| lines(vm, "query-memory-devices")),
    row("iothreads", "", "show iothreads", |vm, _| lines(vm, "query-iothreads")),
    row("balloon", "", "show balloon information", |vm, _| lines(vm, "query-balloon")),
    row("migrate", "", "show migration status", |vm, _| lines(vm, "query-migrate")),
    row("migrate_capabilities", "", "show current migration capabilities", |vm, _| {
        lines(vm, "query-migrate-capabilities")
    }),
    row("migrate_parameters", "", "show current migration parameters", |vm, _| lines(vm, "query-migrate-parameters")),
    row("replay", "", "show record/replay information", |vm, _| lines(vm, "query-replay")),
    row("tpm", "", "show the TPM device", |vm, _| lines(vm, "query-tpm")),
    row("mice", "", "show which guest mouse is receiving events", |vm, _| lines(vm, "query-mice")),
    row("vnc", "", "show the vnc server status", |vm, _| lines(vm, "query-vnc")),
    row("kvm", "", "show KVM information", |_, _| Ok("kvm support: not compiled\n".to_owned())),
    row("accelerators", "", "show the accelerator", |vm, _| {
        Ok(format!("{}\n", if vm.options.qtest_only { "qtest" } else { "tcg (tern's engine)" }))
    }),
    row("hotpluggable-cpus", "", "show information about hotpluggable CPUs", |vm, _| {
        lines(vm, "query-hotpluggable-cpus")
    }),
    row("dump", "", "display the latest dump status", |vm, _| lines(vm, "query-dump")),
    row("capture", "", "show capture information", nothing),
    row("trace-events", "", "show available trace-events & their state", nothing),
];
