//! qtest: devices driven from outside by a line protocol (QEMU, system/qtest.c for the commands; documented in
//! `docs/devel/testing/qtest.rst`).  No CPU runs; time stands unless it is moved.

use crate::surface::Surface;
use crate::vm::Vm;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::fmt::Write as _;
use tern_core::backend::CharSink;
use tern_core::mem::Size;

/// Longest line, in bytes: `write` carries its data in hexadecimal.
const LONGEST: usize = 1 << 27;
/// Most bytes of one read or write.
const MOST: u64 = 1 << 26;

/// The surface.
pub struct Qtest {
    id: String,
    sink: Box<dyn CharSink>,
    line: Vec<u8>,
}

impl Qtest {
    /// On this character device.
    ///
    /// # Errors
    /// One that is not there, or in use.
    pub fn new(vm: &Vm, id: &str) -> Result<Qtest, String> {
        let sink = vm.host.world().chars.attach_surface(id)?;
        Ok(Qtest { id: id.to_owned(), sink, line: Vec::new() })
    }

    /// Tells of interrupts that have been intercepted.
    fn interrupts(&mut self, vm: &mut Vm) {
        for event in vm.board.machine.take_line_events() {
            let word = if event.level { "raise" } else { "lower" };
            self.sink.write(format!("IRQ {word} {}\n", event.pin).as_bytes());
        }
    }

    fn take(&mut self, vm: &mut Vm, line: &str) {
        let reply = execute(vm, line);
        // What a command leads to is told before its reply.
        self.interrupts(vm);
        self.sink.write(reply.as_bytes());
    }
}

/// Runs a line of the protocol; the reply's line.  What was intercepted waits in the machine.
pub fn execute(vm: &mut Vm, line: &str) -> String {
    match command(vm, line) {
        Ok(text) => format!("OK{}{text}\n", if text.is_empty() { "" } else { " " }),
        Err(why) => format!("FAIL {why}\n"),
    }
}

impl Surface for Qtest {
    fn attend(&mut self, vm: &mut Vm) -> Result<(), String> {
        let bytes = vm.host.world().chars.read(&self.id);
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = core::mem::take(&mut self.line);
                    self.take(vm, &String::from_utf8_lossy(&line));
                }
                _ if self.line.len() < LONGEST => self.line.push(byte),
                _ => {}
            }
        }
        self.interrupts(vm);
        Ok(())
    }
}

/// A number as C's `strtoull` with base 0 reads it.
fn number(text: &str) -> Result<u64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(&digits[1..], 8)
    } else {
        digits.parse()
    };
    let value = value.map_err(|_| format!("'{text}' is no number"))?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

fn argument<'a>(words: &[&'a str], n: usize) -> Result<&'a str, String> {
    words.get(n).copied().ok_or_else(|| format!("argument {n} is missing"))
}

fn length(words: &[&str], n: usize) -> Result<u64, String> {
    let len = number(argument(words, n)?)?;
    if len > MOST { Err(format!("{len} bytes are too many")) } else { Ok(len) }
}

fn command(vm: &mut Vm, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let nothing = || Ok(String::new());
    let Some(name) = words.first().copied() else { return Err("there is no command".to_owned()) };
    match name {
        "endianness" => Ok("little".to_owned()),
        "readb" | "readw" | "readl" | "readq" => {
            let value = load(vm, number(argument(&words, 1)?)?, size(name))?;
            Ok(format!("{value:#018x}"))
        }
        "writeb" | "writew" | "writel" | "writeq" => {
            let (addr, value) = (number(argument(&words, 1)?)?, number(argument(&words, 2)?)?);
            store(vm, addr, size(name), value);
            nothing()
        }
        "read" => {
            let bytes = read(vm, number(argument(&words, 1)?)?, length(&words, 2)?);
            Ok(format!("0x{}", hex(&bytes)))
        }
        "write" => {
            let (addr, len) = (number(argument(&words, 1)?)?, length(&words, 2)?);
            let mut bytes = unhex(argument(&words, 3)?)?;
            bytes.resize(len as usize, 0);
            write(vm, addr, &bytes);
            nothing()
        }
        "b64read" => {
            let bytes = read(vm, number(argument(&words, 1)?)?, length(&words, 2)?);
            Ok(BASE64_STANDARD.encode(&bytes))
        }
        "b64write" => {
            let (addr, len) = (number(argument(&words, 1)?)?, length(&words, 2)?);
            let bytes = BASE64_STANDARD.decode(argument(&words, 3)?).map_err(|e| e.to_string())?;
            write(vm, addr, &bytes[..bytes.len().min(len as usize)]);
            nothing()
        }
        "memset" => {
            let (addr, len) = (number(argument(&words, 1)?)?, length(&words, 2)?);
            let byte = number(argument(&words, 3)?)? as u8;
            write(vm, addr, &vec![byte; len as usize]);
            nothing()
        }
        "clock_step" => {
            let machine = &mut vm.board.machine;
            let now = machine.time();
            let to = match words.get(1) {
                Some(ns) => now.saturating_add(number(ns)?),
                None => machine.next_event().unwrap_or(now),
            };
            machine.pass_time(to.max(now));
            Ok(vm.board.machine.time().to_string())
        }
        "clock_set" => {
            let to = number(argument(&words, 1)?)?;
            vm.board.machine.pass_time(to);
            Ok(vm.board.machine.time().to_string())
        }
        "irq_intercept_in" => {
            let number_of = device(vm, argument(&words, 1)?)?;
            vm.board.machine.watch_lines(number_of);
            nothing()
        }
        "irq_intercept_out" => Err("interrupts are intercepted where they arrive: irq_intercept_in".to_owned()),
        "set_irq_in" => {
            let number_of = device(vm, argument(&words, 1)?)?;
            let (pin, level) = (number(argument(&words, 3)?)?, number(argument(&words, 4)?)?);
            let pin = u32::try_from(pin).map_err(|_| format!("there is no pin {pin}"))?;
            vm.board.machine.set_pin(number_of, pin, level != 0);
            nothing()
        }
        "csr" => csr(vm, &words),
        "module_load" => Err("there are no modules".to_owned()),
        "inb" | "inw" | "inl" | "outb" | "outw" | "outl" => Err("this machine has no I/O ports of its own".to_owned()),
        _ => Err(format!("Unknown command '{name}'")),
    }
}

fn size(name: &str) -> Size {
    match name.as_bytes().last() {
        Some(b'b') => Size::B1,
        Some(b'w') => Size::B2,
        Some(b'l') => Size::B4,
        _ => Size::B8,
    }
}

fn load(vm: &mut Vm, addr: u64, size: Size) -> Result<u64, String> {
    // Where nothing is, a CPU would fault; qtest reads zero, as QEMU's.
    Ok(vm.board.machine.physical().load(addr, size).unwrap_or(0))
}

fn store(vm: &mut Vm, addr: u64, size: Size, value: u64) {
    let masked = if size == Size::B8 { value } else { value & ((1 << (8 * size.bytes())) - 1) };
    vm.board.machine.physical().store(addr, size, masked);
}

fn read(vm: &mut Vm, addr: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    vm.board.machine.physical().read(addr, &mut bytes);
    bytes
}

fn write(vm: &mut Vm, addr: u64, bytes: &[u8]) {
    vm.board.machine.physical().write(addr, bytes);
}

/// The machine's device that a possibly partial path names.
fn device(vm: &Vm, path: &str) -> Result<u32, String> {
    let full = vm.qom_resolve(path)?;
    let name = full.rsplit('/').next().unwrap_or_default();
    vm.board.machine.device_named(name).ok_or_else(|| format!("{path} has no interrupt inputs"))
}

/// `csr get_csr|set_csr CPU NUMBER VALUE`: a control and status register of a RISC-V hart.
fn csr(vm: &mut Vm, words: &[&str]) -> Result<String, String> {
    let (what, cpu) = (argument(words, 1)?, number(argument(words, 2)?)?);
    let (register, value) = (number(argument(words, 3)?)?, number(argument(words, 4)?)?);
    let cpu = usize::try_from(cpu).ok().filter(|n| *n < vm.board.machine.cpus());
    let cpu = cpu.ok_or_else(|| "there is no such CPU".to_owned())?;
    let set = match what {
        "get_csr" => None,
        "set_csr" => Some(value),
        other => return Err(format!("Unknown csr operation '{other}'")),
    };
    let result = vm.board.machine.control_register(cpu, register as u32, set);
    Ok(match result {
        Some(value) => format!("0 {value:016x}"),
        None => "ffffffffffffffff 0".to_owned(),
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bad = || "the data is not hexadecimal".to_owned();
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(bad());
    }
    (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16).map_err(|_| bad())).collect()
}

#[cfg(all(test, feature = "riscv64"))]
mod tests {
    use super::*;
    use crate::qemu::{Command, parse};
    use std::ffi::OsString;
    use std::rc::Rc;
    use tern_board::host::Host;
    use tern_board::{Plan, build};
    use tern_host::entropy::Seeded;
    use tern_session::machine::Settings;

    fn machine(line: &str) -> Vm {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let Ok(Command::Run(config, options)) = parse("qemu-system-riscv64", &words) else { panic!("{line}") };
        let plan = Plan::new(&config, &mut Seeded::new(1)).unwrap();
        let mut host = Host::new(&config, Rc::new(|_| {})).unwrap();
        let board = build(plan, &config, Settings::default(), &mut host).unwrap();
        let mut vm = Vm::new(board, host.clone(), *config, *options);
        vm.board.machine.set_outside(Box::new(host));
        vm.board.power_on().unwrap();
        vm
    }

    #[test]
    fn time_stands_unless_it_is_moved() {
        let mut vm = machine("-M virt -accel qtest -m 8 -nodefaults -display none");
        for (line, reply) in [
            ("clock_step 0", "OK 0\n"),
            ("clock_step 5", "OK 5\n"),
            ("clock_set 1000000", "OK 1000000\n"),
            // The MTIMER counts at 10 MHz.
            ("readq 0x200bff8", "OK 0x0000000000002710\n"),
            ("clock_set 7", "OK 1000000\n"),
            ("clock_step -1", "OK 18446744073709551615\n"),
            ("clock_step -1", "OK 18446744073709551615\n"),
            ("clock_set -1", "OK 18446744073709551615\n"),
        ] {
            assert_eq!(execute(&mut vm, line), reply, "{line}");
        }
    }

    #[test]
    fn lines_that_are_none() {
        let mut vm = machine("-M virt -accel qtest -m 8 -nodefaults -display none");
        for line in
            ["", " ", "read", "read 0", "read 0 -1", "write 0 4 0x1", "b64write 0 4 *", "csr get_csr 9 0 0", "é"]
        {
            assert!(execute(&mut vm, line).starts_with("FAIL "), "{line}");
        }
        assert_eq!(execute(&mut vm, "write 0x80000000 4 0x1122"), "OK\n");
        assert_eq!(execute(&mut vm, "readl 0x80000000"), "OK 0x0000000000002211\n");
    }
}
