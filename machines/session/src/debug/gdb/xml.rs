//! Lists that the peer reads as XML: threads, shared libraries.

use super::super::{Library, Subject};
use super::Server;
use core::fmt::Write as _;

/// Text as XML has it.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// The list of threads (gdb manual, "Thread List Format").
pub(super) fn threads(server: &Server, subject: &dyn Subject) -> Vec<u8> {
    let mut xml = "<?xml version=\"1.0\"?>\n<threads>\n".to_owned();
    for thread in subject.threads() {
        let (id, text) = (server.name(subject.process(), thread), quoted(&subject.describe(thread)));
        // Writing to a string cannot fail.
        let _ = writeln!(xml, "<thread id=\"{id}\">{text}</thread>");
    }
    (xml + "</threads>\n").into_bytes()
}

/// The list of shared libraries (gdb manual, "Library List Format for SVR4 Targets"); the first entry of the dynamic linker's
/// list is the program itself.
pub(super) fn libraries(list: &[Library]) -> Vec<u8> {
    let main = list.first().map_or(String::new(), |l| format!(" main-lm=\"{:#x}\"", l.map));
    let mut xml = format!("<library-list-svr4 version=\"1.0\"{main}>\n");
    for library in list.iter().skip(1) {
        let name = quoted(&String::from_utf8_lossy(&library.name));
        let Library { map, offset, dynamic, .. } = library;
        let _ = writeln!(
            xml,
            "<library name=\"{name}\" lm=\"{map:#x}\" l_addr=\"{offset:#x}\" l_ld=\"{dynamic:#x}\" lmid=\"0x0\"/>"
        );
    }
    (xml + "</library-list-svr4>\n").into_bytes()
}
