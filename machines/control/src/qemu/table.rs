//! The options, one row each.

use super::{LIKE, Line, Stop, block, chars, device, machine, net, readconfig};
use crate::run::MonitorMode;
use std::fmt::Write as _;

type Set = fn(&mut Line, &str) -> Result<(), Stop>;

/// An option.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Another name; empty if there is none.
    pub(super) alias: &'static str,
    /// What the help calls the argument; empty if there is none.
    pub(super) arg: &'static str,
    /// One line; empty for options that are only refused.
    about: &'static str,
    pub(super) set: Set,
}

impl Row {
    /// Is it more than refused?
    pub(super) fn is_taken(&self) -> bool {
        !self.about.is_empty()
    }
}

const fn row(name: &'static str, arg: &'static str, about: &'static str, set: Set) -> Row {
    Row { name, alias: "", arg, about, set }
}

const fn also(name: &'static str, alias: &'static str, arg: &'static str, about: &'static str, set: Set) -> Row {
    Row { name, alias, arg, about, set }
}

/// An option with an argument that is refused.
const fn never(name: &'static str, set: Set) -> Row {
    Row { name, alias: "", arg: "value", about: "", set }
}

/// One without an argument.
const fn never_flag(name: &'static str, set: Set) -> Row {
    Row { name, alias: "", arg: "", about: "", set }
}

fn refuse(why: &str) -> Result<(), Stop> {
    Err(Stop::Refuse(why.to_owned()))
}

fn yet(_: &mut Line, _: &str) -> Result<(), Stop> {
    refuse("not built yet")
}

fn unsupported(_: &mut Line, _: &str) -> Result<(), Stop> {
    refuse("not supported")
}

/// What has a meaning only for hardware that machines here do not have, and switches it off.
fn off(_: &mut Line, text: &str) -> Result<(), Stop> {
    match text {
        "none" | "off" | "driver=none" => Ok(()),
        _ => refuse("not supported, only none"),
    }
}

pub(super) static ROWS: &[Row] = &[
    also("h", "help", "", "display this help and exit", |line, _| Err(Stop::Print(usage(line)))),
    row("version", "", "display version information and exit", machine::version),
    // The machine.
    also("machine", "M", "[type=]name[,prop=value...]", "the board (-machine help lists them)", machine::machine),
    row("cpu", "model[,extension=on|off...]", "the CPUs (-cpu help lists them)", machine::cpu),
    row(
        "accel",
        "tcg[,tb-size=MiB][,one-insn-per-tb=on|off]",
        "the accelerator: tcg names tern's engine",
        machine::accel,
    ),
    row("smp", "[cpus=]n[,sockets=n][,cores=n][,threads=n]", "how many CPUs", machine::smp),
    row("m", "[size=]size", "memory, in MiB without a suffix", machine::memory),
    row("fw_cfg", "[name=]name,file=file|string=text", "add an item to the firmware configuration", machine::fw_cfg),
    row("uuid", "uuid", "the machine's identity", machine::uuid),
    row("name", "name", "the machine's name", machine::name),
    row("boot", "[order=drives][,strict=on|off]", "boot order (no effect: no firmware here reads it)", machine::boot),
    row("seed", "number", "seed of everything random that the machine itself makes", |line, v| {
        let seed = crate::grammar::number(v).ok_or_else(|| "a number is wanted".to_owned())?;
        line.config.seed = Some(seed);
        Ok(())
    }),
    // What it starts.
    row("bios", "file|default|none|builtin", "firmware; builtin is tern's own SBI", machine::bios),
    row("kernel", "file", "kernel", |line, v| {
        line.config.kernel = Some(v.into());
        Ok(())
    }),
    row("initrd", "file", "first root file system", |line, v| {
        line.config.initrd = Some(v.into());
        Ok(())
    }),
    row("append", "words", "the kernel's command line", |line, v| {
        line.config.append = v.to_owned();
        Ok(())
    }),
    row("dtb", "file", "a device tree instead of the board's own", |line, v| {
        line.config.dtb = Some(v.into());
        Ok(())
    }),
    row("L", "folder", "a folder to look for firmware in", |line, v| {
        line.dirs.push(v.into());
        Ok(())
    }),
    // Disks.
    row("drive", "file=file[,if=none|virtio|pflash][,id=id][,format=raw|qcow2]...", "a medium", block::drive),
    row("blockdev", "driver=file|raw|qcow2,node-name=name,...", "a medium, as a node", block::blockdev),
    row("hda", "file", "the first disk, as an image without option", block::image),
    row("hdb", "file", "the next disk", block::image),
    row("hdc", "file", "the next disk", block::image),
    row("hdd", "file", "the next disk", block::image),
    row("pflash", "file", "contents of the next flash bank", block::pflash),
    row("snapshot", "", "writes to drives are lost when the machine ends", |line, _| {
        line.snapshot = true;
        Ok(())
    }),
    row("tpmdev", "emulator,id=id,chardev=dev", "a TPM: swtpm at a socket", chars::tpmdev),
    row("fsdev", "local,id=id,path=folder,security_model=model[,readonly=on]", "a folder to share", net::fsdev),
    row(
        "virtfs",
        "local,path=folder,mount_tag=tag,security_model=model",
        "share a folder (virtio-9p-pci)",
        net::virtfs,
    ),
    row("numa", "node,memdev=id", "the object that is all RAM (one node only)", machine::numa),
    // Devices and what they are connected to.
    row("device", "driver[,prop=value...]", "add a device (-device help lists them)", device::device),
    row("netdev", "user|tap|socket,id=id[,option=value...]", "a network backend", net::netdev),
    row("nic", "user|tap|socket|none[,model=name][,mac=address]...", "a network backend and its device", net::nic),
    row("net", "none", "no network", net::net),
    row("object", "rng-random|rng-builtin|filter-dump,id=id,...", "an object", net::object),
    row("chardev", "stdio|null|file|pty|socket,id=id[,option=value...]", "a character device", chars::chardev),
    row(
        "serial",
        "dev",
        "what stands behind a serial port: stdio, mon:stdio, null, none, file:, chardev:...",
        |line, v| {
            let serial = line.here(v.to_owned());
            line.serials.push(serial);
            Ok(())
        },
    ),
    row("monitor", "dev", "a monitor for people on a character device", |line, v| {
        let monitor = line.here((v.to_owned(), Some(MonitorMode::Readline)));
        line.monitors.push(monitor);
        Ok(())
    }),
    row("qmp", "dev", "a QMP monitor on a character device", |line, v| {
        let monitor = line.here((v.to_owned(), Some(MonitorMode::Control(false))));
        line.monitors.push(monitor);
        Ok(())
    }),
    row("qmp-pretty", "dev", "the same, laid out for people", |line, v| {
        let monitor = line.here((v.to_owned(), Some(MonitorMode::Control(true))));
        line.monitors.push(monitor);
        Ok(())
    }),
    row("mon", "[chardev=]name[,mode=readline|control][,pretty=on|off]", "a monitor", |line, v| {
        let monitor = line.here((v.to_owned(), None));
        line.monitors.push(monitor);
        Ok(())
    }),
    row("qtest", "dev", "drives devices from outside, with -accel qtest", |line, v| {
        let chardev = chars::named(line, v, "qtest")?;
        line.run.qtest = Some(chardev);
        Ok(())
    }),
    row("qtest-log", "file", "accepted; nothing is logged of qtest", |_, _| Ok(())),
    row(
        "gdb",
        "dev",
        "a gdb server on a character device: tcp:[HOST]:PORT, unix:PATH, stdio, chardev:ID, none",
        chars::gdb,
    ),
    row("s", "", "the same as -gdb tcp::1234", |line, _| chars::gdb(line, crate::gdb::DEFAULT)),
    row("S", "", "do not start the machine before a monitor says so", |line, _| {
        line.run.paused = true;
        Ok(())
    }),
    row("preconfig", "", "make the machine when a monitor says so", |line, _| {
        line.run.preconfig = true;
        Ok(())
    }),
    row("no-shutdown", "", "a machine that is switched off stays, stopped", |line, _| {
        line.run.actions.shutdown_pauses = true;
        Ok(())
    }),
    row("global", "driver.property=value", "a property of all devices of a type", machine::global),
    row("readconfig", "file", "options from a file, in sections", readconfig::readconfig),
    row("set", "group.id.property=value", "a property of a device or object that was named before", |line, v| {
        let set = line.here(v.to_owned());
        line.sets.push(set);
        Ok(())
    }),
    row("loadvm", "name", "begin with a snapshot that is in the images", |line, v| {
        line.run.loadvm = Some(v.to_owned());
        Ok(())
    }),
    row("incoming", "uri|defer", "the machine comes from another process", |line, v| {
        line.run.incoming = Some(v.to_owned());
        Ok(())
    }),
    row("parallel", "none", "parallel ports (no machine here has one)", off),
    row("display", "none", "the display (no machine here has one)", |line, v| {
        line.display = true;
        off(line, v)
    }),
    row("vga", "none", "the display adapter (no machine here has one)", off),
    row("audiodev", "[driver=]none,id=id[,option=value...]", "where a sound card plays: nowhere", machine::audiodev),
    row("audio", "none", "sound (no machine here has it)", off),
    row("nographic", "", "the first serial port is the terminal, with its escape keys", |line, _| {
        line.nographic = true;
        Ok(())
    }),
    row("nodefaults", "", "nothing that was not asked for", |line, _| {
        line.nodefaults = true;
        Ok(())
    }),
    row("no-user-config", "", "no configuration files (none is ever read)", |_, _| Ok(())),
    // How it runs.
    row("no-reboot", "", "a reset ends the run", |line, _| {
        line.run.actions.reboot_ends = true;
        Ok(())
    }),
    row("action", "reboot=reset|shutdown", "what a reset does", machine::action),
    row("icount", "[shift=]n|auto[,sleep=on|off]", "guest time is counted in instructions", machine::icount),
    row("rtc", "[base=]utc|date[,clock=host|vm]", "the real-time clock at power-on", machine::rtc),
    row("daemonize", "", "go on in the background once the machine is made", |line, _| {
        line.run.daemonize = true;
        Ok(())
    }),
    row("msg", "[timestamp[=on|off]][,guest-name=off]", "messages begin with the time", |line, v| {
        let mut keys = crate::grammar::Keys::parse(v, None)?;
        line.run.timestamps = keys.switch("timestamp")?.unwrap_or(false);
        keys.fixed("guest-name", &["off"])?;
        Ok(keys.done()?)
    }),
    row("run-with", "[async-teardown=off][,exit-with-parent=off]", "how the process runs", |_, v| {
        let mut keys = crate::grammar::Keys::parse(v, None)?;
        keys.fixed("async-teardown", &["off"])?;
        keys.fixed("exit-with-parent", &["off"])?;
        Ok(keys.done()?)
    }),
    row("pidfile", "file", "write tern's process number to a file", |line, v| {
        line.run.pid_file = Some(v.into());
        Ok(())
    }),
    row("d", "item[,...]", "what to log (-d help lists the items)", machine::log_items),
    row("D", "file", "where to log", |line, v| {
        line.run.log_file = Some(v.into());
        Ok(())
    }),
    row("sandbox", "off", "no system call filter", off),
    row("overcommit", "[mem-lock=off][,cpu-pm=off]", "how the host's memory and CPUs are used", |_, v| {
        let mut keys = crate::grammar::Keys::parse(v, None)?;
        keys.fixed("mem-lock", &["off"])?;
        keys.fixed("cpu-pm", &["off"])?;
        Ok(keys.done()?)
    }),
    // Refused.
    never_flag("only-migratable", yet),
    never("trace", |_, _| refuse("there are no trace events")),
    never("dfilter", yet),
    never("plugin", |_, _| refuse("there are no plugins")),
    never_flag("semihosting", yet),
    never("semihosting-config", yet),
    never("echr", yet),
    never("add-fd", yet),
    never("debugcon", unsupported),
    never("usbdevice", unsupported),
    never_flag("usb", unsupported),
    never("sd", unsupported),
    never("mtdblock", unsupported),
    never("cdrom", unsupported),
    never("fda", unsupported),
    never("fdb", unsupported),
    never("iscsi", unsupported),
    never("vnc", unsupported),
    never("spice", unsupported),
    never("g", unsupported),
    never_flag("full-screen", unsupported),
    never("k", unsupported),
    never("mem-path", unsupported),
    never_flag("mem-prealloc", unsupported),
    never("acpitable", unsupported),
    never("smbios", unsupported),
    never("shim", unsupported),
    never("compat", unsupported),
    never("option-rom", unsupported),
    never("prom-env", unsupported),
    never("watchdog-action", unsupported),
    never("dump-vmstate", unsupported),
    never_flag("enable-sync-profile", unsupported),
    never_flag("perfmap", unsupported),
    never_flag("jitdump", unsupported),
    never_flag("enable-kvm", |_, _| refuse("invalid accelerator kvm, only tcg is supported")),
];

fn usage(line: &Line) -> String {
    let name = &line.run.name;
    let mut out = format!(
        "QEMU emulator version {LIKE} (tern {})\nusage: {name} [options] [disk image]\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for row in ROWS.iter().filter(|r| !r.about.is_empty()) {
        let alias = if row.alias.is_empty() { String::new() } else { format!(" or -{}", row.alias) };
        let left = format!("-{}{alias} {}", row.name, row.arg);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}\n                {}", left.trim_end(), row.about);
    }
    out += "\nOther options of QEMU's are refused by name.  On the terminal, Ctrl-A h lists the escape keys.\n";
    out
}
