//! `monitor` commands that every subject has.

use super::super::Subject;
use super::frame::number;

/// Most bytes that one command shows or writes.
const MOST: u64 = 4096;

const HELP: &str = "\
info position                 instructions retired so far
xp ADDR [LENGTH]              physical memory (machines)
pw ADDR HEXBYTES              writes physical memory (machines)
";

/// Does what a line asks for; the text to show.
pub(super) fn run(subject: &mut dyn Subject, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let result = match words[..] {
        ["info", "position"] => Ok(format!("{}\n", subject.position())),
        ["xp", addr] => show(subject, addr, "40"),
        ["xp", addr, length] => show(subject, addr, length),
        ["pw", addr, bytes] => write(subject, addr, bytes),
        _ => match subject.monitor(line) {
            Some(text) => return text,
            None if matches!(words[..], [] | ["help"]) => return HELP.to_owned(),
            None => Err(format!("no such command: {line}; try `monitor help`")),
        },
    };
    result.unwrap_or_else(|why| why + "\n")
}

fn hex(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    number(digits.as_bytes()).ok_or_else(|| format!("{text} is no hexadecimal number"))
}

fn show(subject: &mut dyn Subject, addr: &str, length: &str) -> Result<String, String> {
    let (addr, length) = (hex(addr)?, hex(length)?.min(MOST));
    let mut bytes = vec![0; length as usize];
    match subject.read_physical(addr, &mut bytes) {
        None => return Err("there is no physical memory".to_owned()),
        Some(n) if n < bytes.len() => return Err(format!("not all of it is memory at {addr:#x}")),
        Some(_) => {}
    }
    let line = |(n, row): (usize, &[u8])| {
        let text: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
        format!("{:#018x}: {}\n", addr.wrapping_add(16 * n as u64), text.join(" "))
    };
    Ok(bytes.chunks(16).enumerate().map(line).collect())
}

fn write(subject: &mut dyn Subject, addr: &str, bytes: &str) -> Result<String, String> {
    let addr = hex(addr)?;
    let bytes = super::frame::unhex(bytes.as_bytes()).filter(|b| b.len() as u64 <= MOST);
    let bytes = bytes.ok_or_else(|| "not pairs of hexadecimal digits".to_owned())?;
    match subject.write_physical(addr, &bytes) {
        None => Err("there is no physical memory".to_owned()),
        Some(n) if n < bytes.len() => Err(format!("not all of it is memory at {addr:#x}")),
        Some(_) => Ok(String::new()),
    }
}
