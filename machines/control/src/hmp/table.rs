//! The commands of the monitor, one row each.

use super::machine::{no_hardware, not_built};
use super::{Row, block, devices, help, machine, memory, quiet, row, show};
use serde_json::json;

pub(super) static ROWS: &[Row] = &[
    row("help|?", "[cmd]", "show the help", help),
    row("info", "[subcommand]", "show various information about the system state", show),
    // The machine.
    row("quit|q", "", "quit the emulator", machine::quit),
    row("stop|s", "", "stop emulation", machine::stop),
    row("cont|c", "", "resume emulation", machine::cont),
    row("system_reset", "", "reset the system", machine::reset),
    row("system_powerdown", "", "send system power down event", machine::powerdown),
    row("system_wakeup", "", "wakeup guest from suspend", machine::wakeup),
    row("nmi", "", "inject an NMI", machine::nmi),
    row("cpu", "index", "set the default CPU", machine::cpu),
    row("exit_preconfig", "", "exit the preconfig state", machine::exit_preconfig),
    row("watchdog_action", "action", "change watchdog action", machine::watchdog_action),
    row("savevm", "tag", "save a VM snapshot", machine::savevm),
    row("loadvm", "tag", "restore a VM snapshot from its tag", machine::loadvm),
    row("delvm", "tag", "delete a VM snapshot from its tag", machine::delvm),
    row("migrate", "[-d] uri", "migrate to URI", machine::migrate),
    row("migrate_cancel", "", "cancel the current VM migration", machine::migrate_cancel),
    row("migrate_incoming", "uri", "continue an incoming migration", machine::migrate_incoming),
    row("migrate_set_parameter", "parameter value", "set a migration parameter", machine::migrate_set_parameter),
    row(
        "migrate_set_capability",
        "capability state",
        "enable or disable a capability",
        machine::migrate_set_capability,
    ),
    row("boot_set", "bootdevice", "define new values for the boot device list", no_hardware),
    row("gdbserver", "[device]", "start gdbserver on given device (default 'tcp::1234')", machine::gdbserver),
    row("log", "item1[,...]", "activate logging of the specified items", log),
    row("logfile", "filename", "output logs to 'filename'", not_built),
    row("trace-event", "name on|off", "changes status of a specific trace event", |_, _| {
        Err("there are no trace events".to_owned())
    }),
    row("one-insn-per-tb", "[on|off]", "run emulation with one guest instruction per translation block", |_, _| {
        Err("only -accel tcg,one-insn-per-tb=on sets it, before the machine is made".to_owned())
    }),
    row("dump-guest-memory", "[-p] [-d] filename [begin length]", "dump guest memory into a file", not_built),
    row("dumpdtb", "filename", "dump the FDT in dtb format to 'filename'", |vm, args| {
        vm.dump_dtb(args.need(0, "a file")?).map(|()| String::new())
    }),
    // Memory.
    row("x", "/fmt addr", "virtual memory dump starting at 'addr'", memory::x),
    row("xp", "/fmt addr", "physical memory dump starting at 'addr'", memory::xp),
    row("print|p", "/fmt expr", "print expression value (use $reg for CPU register access)", memory::print),
    row("i", "/fmt addr", "I/O port read", no_hardware),
    row("o", "/fmt addr value", "I/O port write", no_hardware),
    row("sum", "addr size", "compute the checksum of a memory region", memory::sum),
    row("memsave", "addr size file", "save to disk virtual memory dump", memory::memsave),
    row("pmemsave", "addr size file", "save to disk physical memory dump", memory::pmemsave),
    row("gva2gpa", "addr", "print the guest physical address of a guest virtual address", memory::gva2gpa),
    row("gpa2hva", "addr", "print the host virtual address of a guest physical address", |_, _| {
        Err("addresses of the host are not shown".to_owned())
    }),
    // Devices and backends.
    row("device_add", "driver[,prop=value][,...]", "add device, like -device on the command line", devices::device_add),
    row("device_del", "device", "remove device", devices::device_del),
    row("netdev_add", "type,id=str[,prop=value][,...]", "add host network device", devices::netdev_add),
    row("netdev_del", "id", "remove host network device", devices::netdev_del),
    row("object_add", "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object", devices::object_add),
    row("object_del", "id", "destroy QOM object", devices::object_del),
    row("chardev-add", "args", "add chardev", devices::chardev_add),
    row("chardev-change", "id args", "change chardev", devices::chardev_change),
    row("chardev-remove", "id", "remove chardev", devices::chardev_remove),
    row("chardev-send-break", "id", "send a break on chardev", devices::chardev_send_break),
    row("ringbuf_write", "device data", "write to a ring buffer character device", |vm, args| {
        quiet(vm, "ringbuf-write", json!({ "device": args.need(0, "a device")?, "data": args.need(1, "data")? }))
    }),
    row("ringbuf_read", "device size", "read from a ring buffer character device", |vm, args| {
        let size = args.need(1, "a size")?.parse::<i64>().map_err(|e| e.to_string())?;
        let text = super::qmp(vm, "ringbuf-read", json!({ "device": args.need(0, "a device")?, "size": size }))?;
        Ok(format!("{}\n", text.as_str().unwrap_or_default()))
    }),
    row(
        "hostfwd_add",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
        "redirect TCP or UDP connections from host to guest",
        devices::hostfwd_add,
    ),
    row(
        "hostfwd_remove",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
        "remove host-to-guest TCP or UDP redirection",
        devices::hostfwd_remove,
    ),
    row("set_link", "name on|off", "change the link status of a network adapter", devices::set_link),
    row("announce_self", "", "trigger GARP/RARP announcements", devices::announce_self),
    row("balloon", "target", "request VM to change its memory allocation (in MB)", devices::balloon),
    row("qom-list", "path", "list QOM properties", devices::qom_list),
    row("qom-get", "path property", "print QOM property", devices::qom_get),
    row("qom-set", "[-j] path property value", "set QOM property", devices::qom_set),
    row("getfd", "name", "receive a file descriptor via SCM rights and assign it a name", |vm, args| {
        quiet(vm, "getfd", json!({ "fdname": args.need(0, "a name")? }))
    }),
    row("closefd", "name", "close a file descriptor previously passed via SCM rights", |vm, args| {
        quiet(vm, "closefd", json!({ "fdname": args.need(0, "a name")? }))
    }),
    row("sendkey", "keys [hold_ms]", "send keys to the VM", no_hardware),
    row("mouse_move", "dx dy [dz]", "send mouse move events", no_hardware),
    row("mouse_button", "state", "change mouse button state", no_hardware),
    row("mouse_set", "index", "set which mouse device receives events", no_hardware),
    row("screendump", "filename", "save screen to an image", no_hardware),
    row("wavcapture", "path audiodev", "capture audio to a wav file", not_built),
    row("stopcapture", "capture index", "stop capture", not_built),
    // Media.
    row("drive_add", "[-n] [pci_addr] opts", "add drive", block::drive_add),
    row("drive_del", "device", "remove host block device", block::drive_del),
    row("eject", "[-f] device", "eject a removable medium (use -f to force it)", block::eject),
    row("change", "device [-f] filename [format [read-only-mode]]", "change a removable medium", block::change),
    row("block_resize", "device size", "resize a block image", block::block_resize),
    row("commit", "device|all", "commit changes to the disk images (if -snapshot is used)", block::commit),
];

fn log(_: &mut crate::vm::Vm, args: &super::Args<'_>) -> super::Result<String> {
    match args.need(0, "items")? {
        "none" => Ok(String::new()),
        _ => Err("only -d switches log items on, before the machine is made".to_owned()),
    }
}
