//! `-machine`, `-cpu`, `-smp`, `-m`, `-accel`, clocks: what the machine is.

use super::{LIKE, Line, Stop};
use crate::grammar::{Keys, date_ns, number, size, switch};
use crate::parts;
use crate::run::{CHECKPOINTS, OnPanic, OnWatchdog, TapeOption};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tern_board::BOARDS;
use tern_board::config::{Bios, ClockMode, FwCfgContent, FwCfgItem, RtcBase, Smp};
use tern_session::{Items, log};

/// `-machine`.
pub(super) fn machine(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    if let Some(name) = keys.take("type") {
        if name == "help" || name == "?" {
            return Err(Stop::Print(machines(line)));
        }
        let full = format!("{}/{name}", line.isa.name);
        if !BOARDS.iter().any(|b| b.name == full) {
            return Err(Stop::Refuse("unsupported machine type (see -machine help)".to_owned()));
        }
        line.config.board = full;
    }
    if let Some(accel) = keys.take("accel") {
        accel.split(':').try_for_each(|name| accelerator(line, name))?;
    }
    parts::board_options(&mut keys, &mut line.config.options)?;
    let config = &mut line.config;
    for (key, place) in [
        ("dumpdtb", &mut config.dump_dtb),
        ("kernel", &mut config.kernel),
        ("initrd", &mut config.initrd),
        ("dtb", &mut config.dtb),
    ] {
        if let Some(file) = keys.take(key) {
            *place = Some(file.into());
        }
    }
    if let Some(append) = keys.take("append") {
        config.append = append;
    }
    if let Some(file) = keys.take("firmware") {
        bios(line, &file)?;
    }
    for (n, key) in ["pflash0", "pflash1"].into_iter().enumerate() {
        if let Some(node) = keys.take(key) {
            line.config.flash[n] = Some(node);
        }
    }
    if let Some(object) = keys.take("memory-backend") {
        line.config.memory_object = Some(object);
    }
    for key in ["acpi", "iommu-sys"] {
        keys.fixed(key, &["off", "auto"])?;
    }
    for key in ["usb", "graphics", "dump-guest-core", "mem-merge", "suppress-vmdesc"] {
        if key == "usb" {
            keys.fixed(key, &["off"])?;
        } else if let Some(value) = keys.take(key) {
            // There are no displays, no core files and no page merging that these could change.
            switch(&value).ok_or_else(|| format!("Parameter '{key}' expects 'on' or 'off'"))?;
        }
    }
    Ok(keys.done()?)
}

/// `-numa node`: one node, which holds all CPUs and all memory.
pub(super) fn numa(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("type"))?;
    let kind = keys.need("type")?;
    if kind != "node" || core::mem::replace(&mut line.numa, true) {
        return Err(Stop::Refuse("only one node is supported".to_owned()));
    }
    keys.fixed("nodeid", &["0"])?;
    let last = line.config.smp.cpus.saturating_sub(1);
    keys.fixed("cpus", &["0", &format!("0-{last}")])?;
    if let Some(object) = keys.take("memdev") {
        if line.config.memory_object.is_some() {
            return Err("'-machine memory-backend' and '-numa memdev' properties are mutually exclusive"
                .to_owned()
                .into());
        }
        line.config.memory_object = Some(object);
    }
    Ok(keys.done()?)
}

fn machines(line: &Line) -> String {
    let mut out = "Supported machines are:\n".to_owned();
    for board in BOARDS.iter().filter(|b| b.isa == line.isa.name) {
        let name = board.name.rsplit('/').next().unwrap_or(board.name);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:20} {}", board.about);
    }
    out
}

/// `-accel`.
pub(super) fn accel(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("accel"))?;
    let name = keys.need("accel")?;
    if name == "help" || name == "?" {
        return Err(Stop::Print("Accelerators supported in QEMU binary:\ntcg\nqtest\n".to_owned()));
    }
    accelerator(line, &name)?;
    if name != "tcg" {
        return Ok(());
    }
    keys.fixed("thread", &["single"])?;
    if let Some(mib) = keys.number::<u32>("tb-size")?.filter(|n| *n != 0) {
        // A word has 8 bytes.
        line.run.engine.cache_words = (mib as usize) << 17;
    }
    if let Some(on) = keys.switch("one-insn-per-tb")? {
        line.run.engine.one_insn = on;
    }
    // The engine writes no host code.
    keys.switch("split-wx")?;
    Ok(keys.done()?)
}

/// Several may be given: the first that works.
fn accelerator(line: &mut Line, name: &str) -> Result<(), Stop> {
    line.accels.push(name.to_owned());
    Ok(())
}

/// `-cpu`: `model,extension=on,...`.
pub(super) fn cpu(line: &mut Line, text: &str) -> Result<(), Stop> {
    if text == "help" || text == "?" {
        let models = (line.isa.models)().into_iter();
        return Err(Stop::Print(models.map(|(name, _)| format!("{name}\n")).collect()));
    }
    line.isa.machine(Some(text)).map_err(|e| e.reason)?;
    line.config.cpu = Some(text.to_owned());
    Ok(())
}

/// `-smp`.
pub(super) fn smp(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("cpus"))?;
    for key in ["drawers", "books", "dies", "clusters", "modules"] {
        keys.fixed(key, &["1"])?;
    }
    let max = keys.number::<u32>("maxcpus")?;
    let cpus = keys.number("cpus")?;
    let smp = Smp::new(cpus.or(max), keys.number("sockets")?, keys.number("cores")?, keys.number("threads")?)?;
    if max.is_some_and(|max| max != smp.cpus) {
        return Err("maxcpus must be equal to cpus: CPUs cannot be added to a running machine".to_owned().into());
    }
    line.config.smp = smp;
    Ok(keys.done()?)
}

/// `-m`.
pub(super) fn memory(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("size"))?;
    keys.fixed("slots", &["0"])?;
    if keys.take("maxmem").is_some() {
        return Err("maxmem is not supported: memory cannot be added to a running machine".to_owned().into());
    }
    if let Some(given) = keys.take("size") {
        line.memory_given = true;
        let bytes = size(&given, 20).filter(|n| *n != 0);
        let bytes = bytes.ok_or_else(|| "Parameter 'size' expects a size (as 512M or 2G)".to_owned())?;
        // As QEMU: whole pages of 8 KiB.
        line.config.memory = bytes.checked_next_multiple_of(8192).ok_or_else(|| "too large".to_owned())?;
    }
    Ok(keys.done()?)
}

/// `-bios`.
pub(super) fn bios(line: &mut Line, text: &str) -> Result<(), Stop> {
    line.config.bios = match text {
        "default" => Bios::Default,
        "none" => Bios::None,
        "builtin" => Bios::Builtin,
        file => Bios::File(PathBuf::from(file)),
    };
    Ok(())
}

/// `-icount`.
pub(super) fn icount(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("shift"))?;
    let file = keys.take("rrfile");
    line.run.tape = match (keys.take("rr").as_deref(), file) {
        (None, None) => TapeOption::None,
        (Some("record"), Some(file)) => TapeOption::Record { file: file.into(), words: Vec::new() },
        (Some("replay"), Some(file)) => {
            TapeOption::Replay { file: file.into(), output: true, checkpoints: Some(CHECKPOINTS) }
        }
        (Some("record" | "replay"), None) => return Err("rr: rrfile=FILE is wanted too".to_owned().into()),
        (None, Some(_)) => return Err("rrfile: rr=record or rr=replay is wanted too".to_owned().into()),
        (Some(other), _) => return Err(format!("rr={other}: record or replay is wanted").into()),
    };
    if keys.take("rrsnapshot").is_some() {
        return Err("rrsnapshot: a recording begins at power-on".to_owned().into());
    }
    keys.fixed("align", &["off"])?;
    let sleep = keys.switch("sleep")?.unwrap_or(true);
    let shift = match keys.take("shift").as_deref() {
        Some("auto") | None if !sleep => {
            return Err("shift=auto and sleep=off are incompatible".to_owned().into());
        }
        Some("auto") | None => None,
        Some(text) => {
            let shift = number(text).and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 10);
            Some(shift.ok_or_else(|| "shift expects auto or a number from 0 to 10".to_owned())?)
        }
    };
    line.icount = true;
    line.config.clock = ClockMode::Instructions { shift };
    line.run.paced = sleep;
    Ok(keys.done()?)
}

/// `-rtc`.
pub(super) fn rtc(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("base"))?;
    keys.fixed("driftfix", &["none"])?;
    match keys.take("clock").as_deref() {
        None | Some("vm") => {}
        // Unless -icount is given, guest time is host time.
        Some("host") => line.rtc_host = Some(line.here(())),
        Some(other) => return Err(format!("clock={other} is not supported, only host, vm").into()),
    }
    match keys.take("base").as_deref() {
        None => {}
        Some("utc") => line.config.rtc = RtcBase::Utc,
        Some("localtime") => return Err("base=localtime is not supported, only utc and dates".to_owned().into()),
        Some(date) => {
            let ns = date_ns(date).ok_or_else(|| {
                "invalid datetime format; valid formats: '2006-06-17T16:01:21' or '2006-06-17'".to_owned()
            })?;
            line.config.rtc = RtcBase::At(ns);
        }
    }
    Ok(keys.done()?)
}

/// `-boot`: there is no firmware here that reads an order.
pub(super) fn boot(_: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("order"))?;
    keys.switch("strict")?;
    keys.fixed("menu", &["off"])?;
    for key in ["order", "once"] {
        let order = keys.take(key).unwrap_or_default();
        if let Some(bad) = order.chars().find(|c| !('a'..='p').contains(c)) {
            return Err(format!("Invalid boot device '{bad}'").into());
        }
    }
    Ok(keys.done()?)
}

/// `-fw_cfg`.
pub(super) fn fw_cfg(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("name"))?;
    let name = keys.need("name")?;
    if name.is_empty() || name.len() > 55 {
        return Err("the name must have 1 to 55 bytes".to_owned().into());
    }
    let content = match (keys.take("file"), keys.take("string")) {
        (Some(file), None) => FwCfgContent::File(file.into()),
        (None, Some(text)) => FwCfgContent::Bytes(text.into_bytes()),
        _ => return Err("one of file= and string= is wanted".to_owned().into()),
    };
    if line.config.fw_cfg.iter().any(|i| i.name == name) {
        return Err(format!("an item '{name}' exists already").into());
    }
    line.config.fw_cfg.push(FwCfgItem { name, content });
    Ok(keys.done()?)
}

/// `-uuid`.
pub(super) fn uuid(line: &mut Line, text: &str) -> Result<(), Stop> {
    let wrong = || "wrong format of a UUID".to_owned();
    let groups: Vec<&str> = text.split('-').collect();
    let digits: String = groups.concat();
    let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong().into());
    }
    let value = u128::from_str_radix(&digits, 16).map_err(|_| wrong())?;
    line.config.uuid = Some(value.to_be_bytes());
    Ok(())
}

/// `-name`.
pub(super) fn name(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("guest"))?;
    if let Some(name) = keys.take("guest") {
        line.run.guest_name = Some(name);
    }
    keys.switch("debug-threads")?;
    if keys.take("process").is_some() {
        return Err("process= is not supported".to_owned().into());
    }
    Ok(keys.done()?)
}

/// `-action`.
pub(super) fn action(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, None)?;
    match keys.take("reboot").as_deref() {
        None => {}
        Some("reset") => line.run.actions.reboot_ends = false,
        Some("shutdown") => line.run.actions.reboot_ends = true,
        Some(other) => return Err(format!("reboot={other} is not supported, only reset, shutdown").into()),
    }
    match keys.take("shutdown").as_deref() {
        None => {}
        Some("poweroff") => line.run.actions.shutdown_pauses = false,
        Some("pause") => line.run.actions.shutdown_pauses = true,
        Some(other) => return Err(format!("Parameter 'shutdown' does not accept value '{other}'").into()),
    }
    if let Some(name) = keys.take("panic") {
        let value = OnPanic::by_name(&name);
        line.run.actions.panic = value.ok_or_else(|| format!("Parameter 'panic' does not accept value '{name}'"))?;
    }
    if let Some(name) = keys.take("watchdog") {
        let value = OnWatchdog::by_name(&name);
        line.run.actions.watchdog =
            value.ok_or_else(|| format!("Parameter 'watchdog' does not accept value '{name}'"))?;
    }
    Ok(keys.done()?)
}

/// `-global`: `driver.property=value`, or the three by their names.
pub(super) fn global(line: &mut Line, text: &str) -> Result<(), Stop> {
    let plain = text.split_once('=').and_then(|(path, value)| Some((path.rsplit_once('.')?, value)));
    let (driver, name, value) = match plain.filter(|_| !text.starts_with("driver=")) {
        Some(((driver, name), value)) => (driver.to_owned(), name.to_owned(), value.to_owned()),
        None => {
            let mut keys = Keys::parse(text, None)?;
            let all = (keys.need("driver")?, keys.need("property")?, keys.need("value")?);
            keys.done()?;
            all
        }
    };
    if (driver.as_str(), name.as_str()) == ("virtio-mmio", "force-legacy") {
        let on = switch(&value).ok_or_else(|| "Parameter 'force-legacy' expects 'on' or 'off'".to_owned())?;
        line.config.options.legacy_virtio = on;
        return Ok(());
    }
    line.config.globals.push((driver, name, value));
    Ok(())
}

/// `-audiodev`: sound cards play at their pace, and nobody hears them.
pub(super) fn audiodev(line: &mut Line, text: &str) -> Result<(), Stop> {
    let mut keys = Keys::parse(text, Some("driver"))?;
    let driver = keys.need("driver")?;
    if driver == "help" {
        return Err(Stop::Print("Available audio drivers:\nnone\n".to_owned()));
    }
    if driver != "none" {
        return Err(format!("audio driver '{driver}' is not supported, only none").into());
    }
    let id = keys.need("id")?;
    if line.config.audiodevs.contains(&id) {
        return Err(format!("Duplicate ID '{id}' for audiodev").into());
    }
    line.config.audiodevs.push(id);
    let known = |key: &str| key.starts_with("out.") || key.starts_with("in.") || key == "timer-period";
    match keys.rest().iter().find(|(key, _)| !known(key)) {
        Some((key, _)) => Err(format!("Parameter '{key}' is unexpected").into()),
        None => Ok(()),
    }
}

/// `-d`.
pub(super) fn log_items(line: &mut Line, text: &str) -> Result<(), Stop> {
    if text == "help" || text == "?" {
        let mut out = "Log items (comma separated):\n".to_owned();
        for item in log::ALL {
            for name in item.qemu.iter().chain([&item.name]) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{name:15} {}", item.about);
            }
        }
        return Err(Stop::Print(out));
    }
    let items = Items::parse(text).map_err(|name| format!("'{name}' is no log item (see -d help)"))?;
    line.run.items = line.run.items.with(items);
    Ok(())
}

/// `-version`.
pub(super) fn version(_: &mut Line, _: &str) -> Result<(), Stop> {
    Err(Stop::Print(format!("QEMU emulator version {LIKE} (tern {})\n", env!("CARGO_PKG_VERSION"))))
}

/// Firmware is looked for where `-L` says first.
pub(super) fn find_firmware(line: &mut Line) {
    let name = match &line.config.bios {
        Bios::File(file) if file.components().count() == 1 && !file.exists() => file.clone(),
        Bios::Default => PathBuf::from(format!("opensbi-{}-generic-fw_dynamic.bin", line.isa.name)),
        _ => return,
    };
    if let Some(found) = line.dirs.iter().map(|dir| dir.join(&name)).find(|file| Path::is_file(file)) {
        line.config.bios = Bios::File(found);
    }
}
