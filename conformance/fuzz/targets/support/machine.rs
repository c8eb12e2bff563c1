//! Machines that targets drive, and what they must not do to the host: nothing that reaches files, sockets, processes.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ffi::OsString;
use std::panic::{set_hook, take_hook};
use std::sync::Once;
use tern_board::host::Host;
use tern_board::{Plan, build};
use tern_control::qemu::{Command, parse};
use tern_control::vm::Vm;
use tern_host::entropy::Seeded;
use tern_session::machine::Settings;

/// No machine at all.
#[allow(dead_code, reason = "qtest has devices to drive")]
pub const NONE: &str = "-machine none -nodefaults -display none -accel qtest";

/// A board with buses of several kinds, and memory that is soon made.
pub const VIRT: &str = "-machine virt -accel qtest -m 8 -nodefaults -display none -bios none \
    -drive if=none,id=d0,driver=null-co,size=1M -device virtio-blk-pci,id=blk,drive=d0,addr=1 \
    -drive if=none,id=d1,driver=null-co,size=1M -device nvme,id=nvme,drive=d1,serial=n,addr=2 \
    -netdev hubport,id=n0,hubid=0 -device e1000e,id=e,netdev=n0,addr=3 \
    -netdev hubport,id=n1,hubid=0 -device virtio-net-pci,id=net,netdev=n1,addr=4 \
    -chardev ringbuf,id=c0,size=256 -device virtio-serial-pci,id=vs,addr=5 -device virtconsole,chardev=c0 \
    -device virtio-rng-device,id=rng -device virtio-balloon-pci,id=balloon,addr=7 -device pcie-root-port,id=rp,addr=8 \
    -device megasas,id=raid,addr=9 -drive if=none,id=cd,media=cdrom -device scsi-cd,id=tray,drive=cd,bus=raid.0";

/// How many inputs a machine gets: making one takes longer than most inputs do.
const INPUTS: usize = 64;

/// A machine, and what it has been given.
struct Used {
    line: &'static str,
    vm: Vm,
    inputs: Vec<Vec<u8>>,
}

thread_local! {
    static USED: RefCell<Vec<Used>> = const { RefCell::new(Vec::new()) };
    /// What a machine that is being used has been given.
    static GIVEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Gives an input to a machine that others may have had before it.  When that panics, all of them are written to files
/// `input-00`, `input-01` ... of the current folder: the target does the same again when it is run on those.
pub fn with(line: &'static str, bytes: &[u8], give: impl FnOnce(&mut Vm)) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let inner = take_hook();
        set_hook(Box::new(move |info| {
            for (n, input) in GIVEN.take().iter().enumerate() {
                let _ = std::fs::write(format!("input-{n:02}"), input);
            }
            inner(info);
        }));
    });
    let found = USED.with_borrow_mut(|all| all.iter().position(|u| u.line == line).map(|n| all.swap_remove(n)));
    let mut used = found.unwrap_or_else(|| Used { line, vm: machine(line), inputs: Vec::new() });
    used.inputs.push(bytes.to_vec());
    GIVEN.set(used.inputs);
    give(&mut used.vm);
    used.inputs = GIVEN.take();
    if used.inputs.len() < INPUTS && used.vm.ended().is_none() {
        USED.with_borrow_mut(|all| all.push(used));
    }
}

/// The machine of a command line; its CPUs never run.
fn machine(line: &str) -> Vm {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let (config, options) = match parse("qemu-system-riscv64", &words) {
        Ok(Command::Run(config, options)) => (*config, *options),
        other => panic!("{line}: {other:?}"),
    };
    let plan = Plan::new(&config, &mut Seeded::new(1)).expect("the plan is sound");
    let mut host = Host::new(&config, Box::new(|_| {})).expect("the backends need nothing of the host");
    let board = build(plan, &config, Settings::default(), &mut host).expect("the board can be built");
    let mut vm = Vm::new(board, host.clone(), config, options);
    vm.board.machine.set_outside(Box::new(host));
    vm.board.power_on().expect("the machine can be switched on");
    vm
}

/// What the loop does around surfaces: devices' wishes, backends' news.
#[allow(dead_code, reason = "not every target has a loop")]
pub fn settle(vm: &mut Vm) -> Vec<tern_control::vm::Event> {
    vm.board.machine.exchange();
    let _ = vm.requests();
    vm.hear();
    vm.take_events()
}

/// Do words of an argument name a file, another process or the host's network?
fn reaches_out(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "file", "path", "host", "fwd", "tftp", "smb", "bootfile", "vhost", "memfd", "shm", "mem-path", "dev/", "json:",
        "nbd", "tap", "socket", "stream", "dgram", "vde", "l2tp", "pipe", "pty", "stdio", "serial", "tty", "udp",
        "parallel", "exec", "unix", "tcp", "logfile", "random,f", "fd", "config",
    ];
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|w| text.contains(w))
}

/// May this line of the monitor for people be run?
#[allow(dead_code, reason = "qtest has no monitor")]
pub fn harmless_line(line: &str) -> bool {
    let line = line.trim();
    let name = line.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    match name {
        "memsave" | "pmemsave" | "dumpdtb" | "dump-guest-memory" | "migrate" | "migrate_incoming" | "logfile"
        | "screendump" | "wavcapture" | "gdbserver" | "getfd" | "hostfwd_add" | "savevm" | "loadvm" => false,
        "change" => false,
        // 64 MiB of what is no memory take seconds, in such a program.
        "sum" => line.split_whitespace().nth(2).is_none_or(|size| size.len() <= 6) && !line.contains(['*', '-', '~']),
        "drive_add" | "chardev-add" | "chardev-change" | "netdev_add" | "object_add" | "device_add" => {
            !reaches_out(line)
        }
        _ => true,
    }
}

/// May this command of QMP be run?
#[allow(dead_code, reason = "only QMP has commands")]
pub fn harmless_command(name: &str, arguments: &Map<String, Value>) -> bool {
    match name {
        "memsave"
        | "pmemsave"
        | "dumpdtb"
        | "dump-guest-memory"
        | "migrate"
        | "migrate-incoming"
        | "migrate-recover"
        | "screendump"
        | "getfd"
        | "add-fd"
        | "add_client"
        | "blockdev-change-medium" => false,
        "human-monitor-command" => arguments.get("command-line").and_then(Value::as_str).is_none_or(harmless_line),
        "blockdev-add" | "chardev-add" | "chardev-change" | "netdev_add" | "object-add" | "device_add" => {
            let decoded = |v: &Value| v.to_string();
            !reaches_out(&arguments.iter().map(|(k, v)| format!("{k} {}", decoded(v))).collect::<String>())
        }
        _ => true,
    }
}
