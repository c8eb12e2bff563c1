//! Tests of the commands on machines whose CPUs stand.

use super::ALL;
use crate::qmp::command::{Answer, Error};
use crate::qmp::events::EVENTS;
use crate::qmp::introspect::introspect;
use crate::qmp::schema::{Kind, Type as _};
use crate::run::RunOptions;
use crate::vm::Vm;
use serde_json::{Value, json};
use std::rc::Rc;
use tern_board::config::{Bios, BoardConfig, DeviceConfig};
use tern_board::host::Host;
use tern_board::{Plan, build};
use tern_core::device::Device;
use tern_core::mem::Size;
use tern_host::entropy::Seeded;
use tern_session::machine::Settings;

fn machine(board: &str, devices: &[DeviceConfig]) -> Vm {
    let mut config = BoardConfig { bios: Bios::None, ..BoardConfig::new(format!("riscv64/{board}")) };
    config.memory = if board == "none" { 0 } else { 8 << 20 };
    config.devices = devices.to_vec();
    let mut options = RunOptions::new("test");
    options.qtest_only = true;
    let plan = Plan::new(&config, &mut Seeded::new(1)).unwrap();
    let mut host = Host::new(&config, Rc::new(|text| panic!("{text}"))).unwrap();
    let board = build(plan, &config, Settings::default(), &mut host).unwrap();
    let mut vm = Vm::new(board, host.clone(), config, options);
    vm.board.machine.set_outside(Box::new(host));
    vm.board.power_on().unwrap();
    vm
}

fn ask(vm: &mut Vm, name: &str, arguments: Value) -> Result<Value, Error> {
    let command = ALL.iter().copied().flatten().find(|c| c.name == name).unwrap();
    let Value::Object(arguments) = arguments else { panic!("{arguments}") };
    match (command.run)(vm, arguments)? {
        Answer::Now(value) => Ok(value),
        Answer::Later(mut later) => loop {
            if let Some(result) = later(vm) {
                return result;
            }
        },
    }
}

fn good(vm: &mut Vm, name: &str, arguments: Value) -> Value {
    ask(vm, name, arguments).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn bad(vm: &mut Vm, name: &str, arguments: Value) -> String {
    let why = ask(vm, name, arguments).unwrap_err();
    format!("{}: {}", why.class.name(), why.text)
}

/// Every command without arguments that asks only answers, or refuses as it does in QEMU.
#[test]
fn questions() {
    let refused = [
        ("query-acpi-ospm-status", "GenericError"),
        ("query-balloon", "DeviceNotActive"),
        ("query-hotpluggable-cpus", "GenericError"),
        ("query-hv-balloon-status-report", "GenericError"),
        ("query-vm-generation-id", "GenericError"),
        ("x-query-usb", "GenericError"),
        ("x-query-jit", "GenericError"),
        ("x-query-opcount", "GenericError"),
        ("x-query-virtio", "GenericError"),
    ];
    for board in ["none", "virt"] {
        let mut vm = machine(board, &[]);
        for command in ALL.iter().copied().flatten() {
            let Kind::Object(members, _) = (command.args)().kind else { panic!("{}: no object", command.name) };
            if !command.name.contains("query-") || members.iter().any(|m| !m.optional) {
                continue;
            }
            let class = refused.iter().find(|(name, _)| *name == command.name).map(|(_, class)| *class);
            match (ask(&mut vm, command.name, json!({})), class) {
                (Ok(_), None) => {}
                (Err(why), Some(class)) => assert_eq!(why.class.name(), class, "{}", command.name),
                (result, _) => panic!("{} on {board}: {result:?}", command.name),
            }
        }
    }
}

#[test]
fn the_tables_are_sound() {
    let names: Vec<&str> = ALL.iter().copied().flatten().map(|c| c.name).collect();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(names.iter().position(|m| m == name), Some(n), "{name} twice");
    }
    let schema = introspect(ALL, EVENTS).encode();
    let list = schema.as_array().unwrap();
    // Two types of one name would be taken for one.
    let mut described: Vec<&str> = list.iter().map(|i| i["name"].as_str().unwrap()).collect();
    described.sort_unstable();
    assert!(described.windows(2).all(|w| w[0] != w[1]));
    assert!(list.len() > 300, "{}", list.len());
    let oob: Vec<&Value> = list.iter().filter(|i| i["allow-oob"] == json!(true)).map(|i| &i["name"]).collect();
    assert_eq!(oob, ["migrate-recover", "migrate-pause", "query-yank", "yank"]);
}

#[test]
fn the_run() {
    let mut vm = machine("none", &[]);
    assert_eq!(good(&mut vm, "query-status", json!({})), json!({"running": true, "status": "running"}));
    good(&mut vm, "stop", json!({}));
    assert_eq!(good(&mut vm, "query-status", json!({})), json!({"running": false, "status": "paused"}));
    good(&mut vm, "cont", json!({}));
    good(&mut vm, "system_reset", json!({}));
    good(&mut vm, "set-action", json!({"shutdown": "pause", "panic": "none"}));
    good(&mut vm, "quit", json!({}));
    let names: Vec<&str> = vm.take_events().iter().map(|e| e.name).collect();
    assert_eq!(names, ["STOP", "RESUME", "RESET", "SHUTDOWN"]);
    assert_eq!(vm.ended(), Some(0));
    assert_eq!(
        bad(&mut vm, "x-exit-preconfig", json!({})),
        "GenericError: The command is permitted only before machine initialization"
    );
}

#[test]
fn objects() {
    let mut vm = machine("none", &[]);
    let ram = |size: Value| json!({"qom-type": "memory-backend-ram", "id": "ram1", "size": size});
    assert_eq!(bad(&mut vm, "object-add", json!({"id": "r"})), "GenericError: Parameter 'qom-type' is missing");
    let plain = json!({"qom-type": "memory-backend-ram", "id": "ram1"});
    assert_eq!(bad(&mut vm, "object-add", plain), "GenericError: Parameter 'size' is missing");
    assert_eq!(bad(&mut vm, "object-add", ram(json!("1048576"))), "GenericError: Parameter 'size' expects uint64");
    let more = json!({"qom-type": "memory-backend-ram", "id": "ram1", "sized": 1});
    assert_eq!(bad(&mut vm, "object-add", more), "GenericError: Parameter 'sized' is unexpected");
    good(&mut vm, "object-add", ram(json!(1_048_576)));
    assert!(bad(&mut vm, "object-add", ram(json!(1_048_576))).starts_with("GenericError: attempt to add duplicate"));
    assert_eq!(good(&mut vm, "qom-get", json!({"path": "/objects/ram1", "property": "size"})), json!(1_048_576));
    assert_eq!(good(&mut vm, "query-memdev", json!({}))[0]["id"], json!("ram1"));
    assert_eq!(
        bad(&mut vm, "qom-set", json!({"path": "/machine", "property": "x"})),
        "GenericError: Parameter 'value' is missing"
    );
    assert_eq!(bad(&mut vm, "qom-list", json!({"path": "/no"})), "DeviceNotFound: Device '/no' not found");
    good(&mut vm, "object-del", json!({"id": "ram1"}));
    assert_eq!(bad(&mut vm, "object-del", json!({"id": "ram1"})), "GenericError: object 'ram1' not found");
}

#[test]
fn nodes() {
    let mut vm = machine("virt", &[]);
    let zeros = |name: &str| json!({"driver": "null-co", "node-name": name, "size": 65536, "read-zeroes": true});
    good(&mut vm, "blockdev-add", zeros("n0"));
    assert_eq!(
        bad(&mut vm, "blockdev-add", json!({"driver": "null-co"})),
        "GenericError: 'node-name' must be specified for the root node"
    );
    let faulty = json!({"driver": "blkdebug", "node-name": "n1", "image": zeros("x")});
    assert!(
        bad(&mut vm, "blockdev-add", json!({"driver": "blkdebug", "node-name": "n1"})).contains("'image' is missing")
    );
    good(&mut vm, "blockdev-add", faulty);
    let nodes = good(&mut vm, "query-named-block-nodes", json!({}));
    assert_eq!((&nodes[0]["node-name"], &nodes[1]["node-name"]), (&json!("n0"), &json!("n1")));
    assert_eq!(nodes[0]["image"]["virtual-size"], json!(65536));
    // The device's medium is in use until it is gone; no slot for it can be emptied.
    good(&mut vm, "blockdev-del", json!({"node-name": "n1"}));
    assert!(bad(&mut vm, "blockdev-del", json!({"node-name": "n1"})).starts_with("GenericError: Failed to find node"));
    assert_eq!(bad(&mut vm, "eject", json!({"device": "d"})), "DeviceNotFound: Device 'd' not found");
    assert_eq!(bad(&mut vm, "eject", json!({})), "GenericError: Need exactly one of 'device' and 'id'");
    let snapshot = json!({"job-id": "s0", "tag": "t", "vmstate": "n0", "devices": ["n0"]});
    good(&mut vm, "snapshot-save", snapshot.clone());
    let states: Vec<Value> = vm.take_events().into_iter().map(|e| e.data["status"].clone()).collect();
    assert_eq!(states, ["created", "running", "aborting", "concluded"]);
    assert_eq!(bad(&mut vm, "snapshot-save", snapshot), "GenericError: Job ID 's0' already in use");
    assert_eq!(
        bad(&mut vm, "job-cancel", json!({"id": "s0"})),
        "GenericError: Job 's0' in state 'concluded' cannot accept command verb 'cancel'"
    );
    let job = &good(&mut vm, "query-jobs", json!({}))[0];
    assert_eq!(job["error"], json!("Device 'n0' is writable but does not support snapshots"));
    good(&mut vm, "job-dismiss", json!({"id": "s0"}));
    assert_eq!(vm.take_events().len(), 1);
    assert_eq!(bad(&mut vm, "job-dismiss", json!({"id": "s0"})), "GenericError: Job not found");
}

#[test]
fn devices_and_networks() {
    let port = DeviceConfig { id: Some("rp0".to_owned()), ..DeviceConfig::new("pcie-root-port") };
    let mut vm = machine("virt", &[port]);
    good(&mut vm, "netdev_add", json!({"type": "user", "id": "n0"}));
    let card =
        json!({"driver": "virtio-net-pci", "id": "c0", "netdev": "n0", "bus": "rp0", "mac": "52:54:00:00:00:01"});
    good(&mut vm, "device_add", card.clone());
    assert_eq!(bad(&mut vm, "device_add", card), "GenericError: Duplicate device ID 'c0'");
    let wrong = json!({"driver": "virtio-net-pci", "bus": "rp0", "event_idx": "on"});
    assert_eq!(
        bad(&mut vm, "device_add", wrong),
        "GenericError: Invalid parameter type for 'event_idx', expected: boolean"
    );
    good(&mut vm, "set_link", json!({"name": "c0", "up": false}));
    assert!(!vm.host.world().nets.find("n0").unwrap().link().is_up());
    good(&mut vm, "set_link", json!({"name": "n0", "up": true}));
    assert_eq!(bad(&mut vm, "set_link", json!({"name": "x", "up": true})), "DeviceNotFound: Device 'x' not found");
    assert_eq!(good(&mut vm, "x-query-virtio", json!({}))[0]["name"], json!("virtio-net"));
    let bus = good(&mut vm, "query-pci", json!({}));
    let behind = bus[0]["devices"].as_array().unwrap().iter().find(|d| d.get("pci_bridge").is_some()).unwrap();
    assert_eq!(behind["pci_bridge"]["devices"][0]["qdev_id"], json!("c0"));
    assert_eq!(behind["pci_bridge"]["devices"][0]["id"]["vendor"], json!(0x1af4));
    assert_eq!(bad(&mut vm, "device_del", json!({"id": "x"})), "DeviceNotFound: Device 'x' not found");
    assert_eq!(bad(&mut vm, "netdev_del", json!({"id": "x"})), "DeviceNotFound: Device 'x' not found");
    assert_eq!(
        bad(&mut vm, "send-key", json!({"keys": [{"type": "qcode", "data": "a"}]})),
        "GenericError: there is no virtio-keyboard or usb-kbd that could take this"
    );
}

#[test]
fn usb_devices_come_type_and_go() {
    let hc = DeviceConfig { id: Some("usb".to_owned()), ..DeviceConfig::new("qemu-xhci") };
    let mut vm = machine("virt", &[hc]);
    assert_eq!(good(&mut vm, "x-query-usb", json!({})), json!({"human-readable-text": ""}));
    good(&mut vm, "device_add", json!({"driver": "usb-kbd", "id": "k", "bus": "usb.0", "port": "2"}));
    good(&mut vm, "device_add", json!({"driver": "usb-tablet"}));
    assert_eq!(
        bad(&mut vm, "device_add", json!({"driver": "usb-mouse", "port": "2"})),
        "GenericError: usb port 2 (bus usb) not found (in use?)"
    );
    let text = "  Device 0.1, Port 1, Speed 480 Mb/s, Product QEMU USB Tablet\n";
    let keyboard = "  Device 0.0, Port 2, Speed 480 Mb/s, Product QEMU USB Keyboard, ID: k\n";
    let all = json!({"human-readable-text": format!("{keyboard}{text}")});
    assert_eq!(good(&mut vm, "x-query-usb", json!({})), all);
    let key = json!({"type": "key", "data": {"down": true, "key": {"type": "qcode", "data": "a"}}});
    let place = json!({"type": "abs", "data": {"axis": "x", "value": 100}});
    good(&mut vm, "input-send-event", json!({"events": [key, place]}));
    assert_eq!(good(&mut vm, "query-mice", json!({}))[0]["absolute"], json!(true));
    good(&mut vm, "device_del", json!({"id": "k"}));
    assert_eq!(good(&mut vm, "x-query-usb", json!({})), json!({"human-readable-text": text}));
}

/// What the guest writes to the port's slot control.
fn slot_control(vm: &mut Vm, value: u64) {
    let host = vm.board.pci().unwrap();
    Device::write(host, 0, (1 << 15) + 0x58, Size::B2, value);
    vm.board.machine.settle();
}

fn deleted(vm: &mut Vm) -> Vec<Value> {
    vm.hear();
    let events = vm.take_events();
    events.into_iter().filter(|e| e.name == "DEVICE_DELETED").map(|e| e.data["device"].clone()).collect()
}

#[test]
fn guests_let_devices_go() {
    let device = |driver: &str, id: &str, props: &[(&str, &str)]| {
        let mut config = DeviceConfig { id: Some(id.to_owned()), ..DeviceConfig::new(driver) };
        config.props = props.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        config
    };
    let mut rng = device("virtio-rng-pci", "r0", &[]);
    rng.bus = Some("rp0".to_owned());
    let ports = [
        device("pcie-root-port", "rp0", &[]),
        device("pcie-root-port", "rp1", &[("chassis", "1"), ("hotplug", "off")]),
        rng,
        device("virtio-rng-pci", "r1", &[]),
    ];
    let mut vm = machine("virt", &ports);
    for (id, bus) in [("r1", "pcie.0"), ("rp0", "pcie.0")] {
        let why = format!("GenericError: Bus '{bus}' does not support hotplugging");
        assert_eq!(bad(&mut vm, "device_del", json!({"id": id})), why);
    }
    for bus in ["pcie.0", "rp1"] {
        let why = format!("GenericError: Bus '{bus}' does not support hotplugging");
        assert_eq!(bad(&mut vm, "device_add", json!({"driver": "virtio-rng-pci", "bus": bus})), why);
    }
    let cold = vm.board.machine.save().unwrap();
    good(&mut vm, "device_del", json!({"id": "r0"}));
    assert_eq!(
        bad(&mut vm, "device_del", json!({"id": "r0"})),
        "GenericError: Device r0 is already in the process of unplug"
    );
    assert_eq!(deleted(&mut vm), [json!(null); 0]);
    // A reset forgets the question.
    vm.board.power_on().unwrap();
    good(&mut vm, "device_del", json!({"id": "r0"}));
    slot_control(&mut vm, 0x0600);
    assert_eq!(deleted(&mut vm), [json!(null); 0]);
    slot_control(&mut vm, 0x0700);
    assert_eq!(deleted(&mut vm), [json!("r0")]);
    assert_eq!(bad(&mut vm, "device_del", json!({"id": "r0"})), "DeviceNotFound: Device 'r0' not found");
    let gone = vm.board.machine.save().unwrap();
    // The slot takes another; before the guest has switched it on, it goes at once.
    good(&mut vm, "device_add", json!({"driver": "virtio-scsi-pci", "id": "s0", "bus": "rp0"}));
    good(&mut vm, "chardev-add", json!({"id": "n0", "backend": {"type": "null", "data": {}}}));
    let other = json!({"driver": "virtio-rng-pci", "bus": "rp0", "addr": "0.1"});
    assert_eq!(
        bad(&mut vm, "device_add", other),
        "GenericError: PCI: slot 0 function 0 already occupied by virtio-scsi-pci, new func cannot be exposed to guest."
    );
    good(&mut vm, "device_del", json!({"id": "s0"}));
    assert_eq!(deleted(&mut vm), [json!("s0")]);
    good(&mut vm, "device_add", json!({"driver": "virtio-serial-pci", "id": "s1", "bus": "rp0"}));
    good(&mut vm, "device_add", json!({"driver": "virtconsole", "id": "c1", "bus": "s1.0", "chardev": "n0"}));
    good(&mut vm, "device_del", json!({"id": "s1"}));
    assert_eq!(deleted(&mut vm), [json!("c1"), json!("s1")]);
    good(&mut vm, "chardev-remove", json!({"id": "n0"}));
    // Machines like the one that was switched on take both states on; the second lets the device go there too.
    let mut other = machine("virt", &ports);
    other.board.machine.load(&cold).unwrap();
    assert_eq!(deleted(&mut other), [json!(null); 0]);
    other.board.machine.load(&gone).unwrap();
    assert_eq!(deleted(&mut other), [json!("r0")]);
    assert!(other.board.machine.load(&cold).is_err());
}

#[test]
fn character_devices() {
    let mut vm = machine("none", &[]);
    let ring = json!({"id": "r0", "backend": {"type": "ringbuf", "data": {"size": 16}}});
    good(&mut vm, "chardev-add", ring.clone());
    assert_eq!(bad(&mut vm, "chardev-add", ring), "GenericError: Chardev with id 'r0' already exists");
    good(&mut vm, "ringbuf-write", json!({"device": "r0", "data": "aGk=", "format": "base64"}));
    assert_eq!(good(&mut vm, "ringbuf-read", json!({"device": "r0", "size": 8})), json!("hi"));
    good(&mut vm, "chardev-change", json!({"id": "r0", "backend": {"type": "null", "data": {}}}));
    assert_eq!(
        bad(&mut vm, "ringbuf-read", json!({"device": "r0", "size": 8})),
        "GenericError: r0 is not a ringbuf device"
    );
    good(&mut vm, "chardev-send-break", json!({"id": "r0"}));
    good(&mut vm, "chardev-remove", json!({"id": "r0"}));
    assert_eq!(bad(&mut vm, "chardev-remove", json!({"id": "r0"})), "GenericError: Chardev 'r0' not found");
    assert_eq!(
        bad(&mut vm, "getfd", json!({"fdname": "a"})),
        "GenericError: No file descriptor supplied via SCM_RIGHTS"
    );
    assert_eq!(
        bad(&mut vm, "remove-fd", json!({"fdset-id": 1, "fd": 3})),
        "GenericError: File descriptor named 'fdset-id:1, fd:3' not found"
    );
}

#[test]
fn settings_of_migrations() {
    let mut vm = machine("virt", &[]);
    assert!(bad(&mut vm, "migrate", json!({"uri": "nowhere:1"})).contains("unknown migration protocol"));
    assert!(bad(&mut vm, "migrate", json!({})).contains("need either 'uri' or 'channels'"));
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    good(&mut vm, "migrate-set-capabilities", events);
    let postcopy = json!({"capabilities": [{"capability": "postcopy-ram", "state": true}]});
    assert!(bad(&mut vm, "migrate-set-capabilities", postcopy).contains("is not supported"));
    good(&mut vm, "migrate-set-parameters", json!({"downtime-limit": 100}));
    let parameters = good(&mut vm, "query-migrate-parameters", json!({}));
    assert_eq!((&parameters["downtime-limit"], &parameters["announce-max"]), (&json!(100), &json!(550)));
    assert!(
        bad(&mut vm, "migrate-incoming", json!({"uri": "tcp:127.0.0.1:0"})).contains("'-incoming' was not specified")
    );
}

#[test]
fn memory() {
    let path = std::env::temp_dir().join(format!("tern-memory-{}", std::process::id()));
    let mut vm = machine("virt", &[DeviceConfig::new("virtio-balloon-pci")]);
    vm.board.machine.physical().write(0x8000_0000, b"hello");
    good(&mut vm, "pmemsave", json!({"val": 0x8000_0000_u64, "size": 5, "filename": path}));
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(good(&mut vm, "query-balloon", json!({})), json!({"actual": 8 << 20}));
    good(&mut vm, "balloon", json!({"value": 4 << 20}));
    assert_eq!(bad(&mut vm, "balloon", json!({"value": 0})), "GenericError: Parameter 'target' expects a size");
    assert_eq!(good(&mut vm, "query-memory-size-summary", json!({}))["base-memory"], json!(8 << 20));
}

#[test]
fn options_of_the_command_line() {
    let mut vm = machine("none", &[]);
    let smp = good(&mut vm, "query-command-line-options", json!({"option": "smp"}));
    let names: Vec<&Value> = smp[0]["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["cpus", "sockets", "cores", "threads"]);
    assert_eq!(smp[0]["parameters"][0]["type"], json!("number"));
    assert_eq!(
        bad(&mut vm, "query-command-line-options", json!({"option": "no"})),
        "GenericError: invalid option name: no"
    );
}

#[test]
fn a_format_has_its_file_to_itself() {
    let path = std::env::temp_dir().join(format!("tern-nodes-{}", std::process::id()));
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let mut vm = machine("virt", &[DeviceConfig::new("virtio-scsi-pci")]);
    let file = json!({"driver": "file", "node-name": "file", "filename": path, "auto-read-only": true});
    good(&mut vm, "blockdev-add", file);
    good(&mut vm, "blockdev-add", json!({"driver": "raw", "node-name": "format", "file": "file"}));
    let again = json!({"driver": "raw", "node-name": "other", "file": "file"});
    let used = "GenericError: Node 'file' is in use by 'format', as its 'file'";
    assert_eq!(bad(&mut vm, "blockdev-add", again.clone()), used);
    let disk = |node: &str| json!({"driver": "scsi-hd", "id": node, "drive": node});
    assert!(bad(&mut vm, "device_add", disk("file")).contains("is in use by 'format'"));
    good(&mut vm, "device_add", disk("format"));
    assert!(bad(&mut vm, "blockdev-del", json!({"node-name": "file"})).contains("is busy"));
    let nodes = good(&mut vm, "query-named-block-nodes", json!({}));
    assert_eq!(nodes.as_array().map(Vec::len), Some(2));
    good(&mut vm, "device_del", json!({"id": "format"}));
    good(&mut vm, "blockdev-del", json!({"node-name": "format"}));
    // Without the format it is a node like others.
    good(&mut vm, "blockdev-add", again);
    good(&mut vm, "blockdev-del", json!({"node-name": "other"}));
    good(&mut vm, "device_add", disk("file"));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn places_of_functions() {
    let at = |id: &str, addr: &str| {
        let config = DeviceConfig { id: Some(id.to_owned()), ..DeviceConfig::new("virtio-rng-pci") };
        config.with("addr", addr).with("multifunction", "on")
    };
    let mut vm = machine("virt", &[at("a", "0x1f.0x0"), at("b", "0x1f.0x1"), at("c", "1e.7"), at("d", "3")]);
    let buses = good(&mut vm, "query-pci", json!({}));
    let all = buses[0]["devices"].as_array().unwrap();
    let place = |id: &str| all.iter().find(|d| d["qdev_id"] == json!(id)).map(|d| (&d["slot"], &d["function"]));
    for (id, slot, function) in [("a", 31, 0), ("b", 31, 1), ("c", 30, 7), ("d", 3, 0)] {
        assert_eq!(place(id), Some((&json!(slot), &json!(function))), "{id}");
    }
}

#[test]
fn drives_of_virtio_functions_are_inside() {
    let port = DeviceConfig { id: Some("rp".to_owned()), ..DeviceConfig::new("pcie-root-port") };
    let mut vm = machine("virt", &[port]);
    good(&mut vm, "blockdev-add", json!({"driver": "null-co", "node-name": "n0", "size": 4096}));
    let disk = json!({"driver": "virtio-blk-pci", "id": "disk", "drive": "n0", "bus": "rp"});
    good(&mut vm, "device_add", disk);
    let inside = "/machine/peripheral/disk/virtio-backend";
    assert_eq!(good(&mut vm, "query-block", json!({}))[0]["qdev"], json!(inside));
    assert_eq!(good(&mut vm, "query-blockstats", json!({}))[0]["qdev"], json!(inside));
    let kind = good(&mut vm, "qom-get", json!({"path": inside, "property": "type"}));
    assert_eq!(kind, json!("virtio-blk-device"));
}
