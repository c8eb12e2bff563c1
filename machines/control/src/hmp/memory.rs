//! Looking at memory: `x`, `xp`, `print`, `sum`, `memsave`, addresses.

use super::{Args, Result, expr, quiet};
use crate::vm::Vm;
use serde_json::json;
use std::fmt::Write as _;

/// Most units of one command.
const MOST: u64 = 1 << 20;

/// `/COUNT FORMAT SIZE`.
#[derive(Clone, Copy)]
struct Format {
    count: u64,
    kind: char,
    size: usize,
}

/// Takes a format off the front.
fn format(rest: &str, size: usize) -> Result<(Format, &str)> {
    let mut format = Format { count: 1, kind: 'x', size };
    let Some(text) = rest.strip_prefix('/') else { return Ok((format, rest)) };
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (spec, rest) = text.split_at(end);
    let digits = spec.find(|c: char| !c.is_ascii_digit()).unwrap_or(spec.len());
    if digits > 0 {
        let count = spec[..digits].parse::<u64>().ok().filter(|n| *n <= MOST);
        format.count = count.ok_or_else(|| format!("'{}' is no count", &spec[..digits]))?;
    }
    for c in spec[digits..].chars() {
        match c {
            'o' | 'd' | 'u' | 'x' | 'i' | 'c' | 's' => format.kind = c,
            'b' => format.size = 1,
            'h' => format.size = 2,
            'w' => format.size = 4,
            'g' | 'L' => format.size = 8,
            _ => return Err(format!("invalid char '{c}' in format")),
        }
    }
    if format.kind == 'c' {
        format.size = 1;
    }
    Ok((format, rest.trim_start()))
}

/// A register of the current CPU by its name.
fn register(vm: &Vm, name: &str) -> Option<u64> {
    let machine = &vm.board.machine;
    let state = machine.state(vm.current_cpu)?;
    let layout = machine.frontend().layout();
    if name == "pc" {
        return Some(state.pc());
    }
    layout.rows().iter().find(|r| r.name == name).map(|r| state.get(r.slot))
}

fn address<'a>(vm: &Vm, text: &'a str) -> Result<(u64, &'a str)> {
    expr::value(text, &|name| register(vm, name))
}

fn put(out: &mut String, format: Format, value: u64) {
    let bits = 8 * format.size as u32;
    let signed = (value << (64 - bits)) as i64 >> (64 - bits);
    // Writing to a string cannot fail.
    let _ = match format.kind {
        'o' => write!(out, "0{value:o}"),
        'd' => write!(out, "{signed}"),
        'u' => write!(out, "{value}"),
        'c' => write!(out, "'{}'", (value as u8).escape_ascii()),
        _ => write!(out, "{value:#0width$x}", width = 2 + 2 * format.size),
    };
}

/// `print`.
pub(super) fn print(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (format, rest) = format(args.rest, 8)?;
    let (value, rest) = address(vm, rest)?;
    if !rest.is_empty() {
        return Err(format!("'{rest}' is too much"));
    }
    let mut out = String::new();
    match format.kind {
        'x' => {
            let _ = write!(out, "{value:#x}");
        }
        _ => put(&mut out, Format { size: 8, ..format }, value),
    }
    out.push('\n');
    Ok(out)
}

/// `x`: virtual memory.
pub(super) fn x(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    dump(vm, args.rest, true)
}

/// `xp`: physical memory.
pub(super) fn xp(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    dump(vm, args.rest, false)
}

fn read(vm: &mut Vm, virt: bool, addr: u64, buf: &mut [u8]) -> Result<()> {
    if !virt {
        return match vm.board.machine.physical().read(addr, buf) {
            true => Ok(()),
            false => Err(format!("Cannot access memory at {addr:#x}")),
        };
    }
    if vm.board.machine.cpus() == 0 {
        return Err("No CPU".to_owned());
    }
    let cpu = vm.current_cpu;
    vm.board.machine.read_virtual(cpu, addr, buf).map_err(|e| format!("Cannot access memory at {:#x}", e.addr))
}

fn dump(vm: &mut Vm, rest: &str, virt: bool) -> Result<String> {
    let (format, rest) = format(rest, 4)?;
    let (mut addr, rest) = address(vm, rest)?;
    if !rest.is_empty() {
        return Err(format!("'{rest}' is too much"));
    }
    let mut out = String::new();
    if format.kind == 'i' {
        return code(vm, addr, format.count, virt);
    }
    let per_line = 16 / format.size as u64;
    for n in 0..format.count {
        let mut bytes = [0; 8];
        if n % per_line == 0 {
            let _ = write!(out, "{}{addr:016x}:", if n == 0 { "" } else { "\n" });
        }
        if let Err(why) = read(vm, virt, addr, &mut bytes[..format.size]) {
            let _ = write!(out, " {why}");
            break;
        }
        out.push(' ');
        put(&mut out, format, u64::from_le_bytes(bytes));
        addr = addr.wrapping_add(format.size as u64);
    }
    out.push('\n');
    Ok(out)
}

/// Instructions.
fn code(vm: &mut Vm, mut addr: u64, count: u64, virt: bool) -> Result<String> {
    /// No instruction of any ISA here is longer.
    const LONGEST: usize = 16;
    let mut out = String::new();
    for _ in 0..count {
        let mut bytes = [0; LONGEST];
        let mut len = LONGEST;
        while len > 0 && read(vm, virt, addr, &mut bytes[..len]).is_err() {
            len /= 2;
        }
        if len == 0 {
            let _ = writeln!(out, "Cannot access memory at {addr:#x}");
            break;
        }
        match vm.board.machine.frontend().disassemble(&bytes[..len], addr, 0) {
            Some((text, n)) => {
                let hex: String = bytes[..n].iter().rev().map(|b| format!("{b:02x}")).collect();
                let _ = writeln!(out, "{addr:#018x}:  {hex:17} {text}");
                addr = addr.wrapping_add(n as u64);
            }
            None => {
                let _ = writeln!(out, "{addr:#018x}:  ?");
                addr = addr.wrapping_add(2);
            }
        }
    }
    Ok(out)
}

/// `sum`: the sum of bytes as BSD's `sum` has it.
pub(super) fn sum(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (start, rest) = address(vm, args.rest)?;
    let (len, _) = address(vm, rest)?;
    if len > MOST << 6 {
        return Err(format!("{len} bytes are too many"));
    }
    let mut bytes = vec![0; len as usize];
    vm.board.machine.physical().read(start, &mut bytes);
    let sum = bytes.iter().fold(0u16, |sum, byte| sum.rotate_right(1).wrapping_add(u16::from(*byte)));
    Ok(format!("{sum:05}\n"))
}

/// `memsave` and `pmemsave`.
fn save(vm: &mut Vm, args: &Args<'_>, command: &str) -> Result<String> {
    let (addr, rest) = address(vm, args.rest)?;
    let (size, rest) = address(vm, rest)?;
    let file = rest.trim().trim_matches('"');
    if file.is_empty() {
        return Err("a file is missing".to_owned());
    }
    quiet(vm, command, json!({ "val": addr, "size": size, "filename": file }))
}

pub(super) fn memsave(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    save(vm, args, "memsave")
}

pub(super) fn pmemsave(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    save(vm, args, "pmemsave")
}

/// `gva2gpa`.
pub(super) fn gva2gpa(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let (addr, _) = address(vm, args.rest)?;
    if vm.board.machine.cpus() == 0 {
        return Err("No cpu".to_owned());
    }
    let cpu = vm.current_cpu;
    match vm.board.machine.translate(cpu, addr) {
        Some(phys) => Ok(format!("gpa: {phys:#x}\n")),
        None => Ok("Unmapped\n".to_owned()),
    }
}

/// `info registers [-a]`.
pub(super) fn registers(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let cpus = vm.board.machine.cpus();
    if cpus == 0 {
        return Err("No CPU available".to_owned());
    }
    let which = if args.get(0) == Some("-a") { 0..cpus } else { vm.current_cpu..vm.current_cpu + 1 };
    let mut out = String::new();
    for cpu in which {
        let machine = &vm.board.machine;
        let Some(state) = machine.state(cpu) else { continue };
        let _ = writeln!(out, "\nCPU#{cpu}");
        for row in machine.frontend().layout().rows() {
            let _ = writeln!(out, " {:12} {:016x}", row.name, state.get(row.slot));
        }
    }
    Ok(out)
}
