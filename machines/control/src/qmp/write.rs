//! JSON as QEMU writes it: ASCII only, a space behind colons and commas, or one member a line.

use serde_json::{Number, Value};
use std::fmt::Write as _;

/// Writes a value on one line, or with an indent of four spaces.
#[must_use]
pub fn text(value: &Value, pretty: bool) -> String {
    let mut out = String::new();
    write(&mut out, value, pretty.then_some(0));
    out
}

/// An object with its members in this order.
#[must_use]
pub fn object(members: &[(&str, &Value)], pretty: bool) -> String {
    let mut out = String::new();
    members_into(&mut out, members.iter().copied(), pretty.then_some(0));
    out
}

fn write(out: &mut String, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => number(out, n),
        Value::String(s) => {
            out.push('"');
            out.push_str(&escape(s));
            out.push('"');
        }
        Value::Array(list) => {
            out.push('[');
            for (n, item) in list.iter().enumerate() {
                separate(out, n, depth);
                write(out, item, depth.map(|d| d + 1));
            }
            finish(out, list.is_empty(), depth);
            out.push(']');
        }
        Value::Object(map) => members_into(out, map.iter().map(|(k, v)| (k.as_str(), v)), depth),
    }
}

fn members_into<'a>(out: &mut String, members: impl Iterator<Item = (&'a str, &'a Value)>, depth: Option<usize>) {
    out.push('{');
    let mut empty = true;
    for (n, (key, value)) in members.enumerate() {
        empty = false;
        separate(out, n, depth);
        let _ = write!(out, "\"{}\": ", escape(key));
        write(out, value, depth.map(|d| d + 1));
    }
    finish(out, empty, depth);
    out.push('}');
}

fn separate(out: &mut String, n: usize, depth: Option<usize>) {
    match depth {
        Some(depth) => {
            out.push_str(if n == 0 { "\n" } else { ",\n" });
            indent(out, depth + 1);
        }
        None if n != 0 => out.push_str(", "),
        None => {}
    }
}

fn finish(out: &mut String, empty: bool, depth: Option<usize>) {
    if let Some(depth) = depth.filter(|_| !empty) {
        out.push('\n');
        indent(out, depth);
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(core::iter::repeat_n("    ", depth));
}

/// Doubles without the point if they are whole.
fn number(out: &mut String, n: &Number) {
    match n.as_f64().filter(|_| n.is_f64()) {
        Some(f) => {
            let _ = write!(out, "{f}");
        }
        None => {
            let _ = write!(out, "{n}");
        }
    }
}

/// What stands between the quotes of a string.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
    out
}
