//! `tern log` of a recorded Linux program: its events, one line each, and figures.

use crate::replay_process::{failed, open};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tern_linux::record::item::{Item, What};
use tern_linux::record::list::{self, Walk};
use tern_linux::record::replay::setup;
use tern_linux::table::Table;

/// What a log has, in numbers.
#[derive(Default)]
struct Figures {
    kinds: BTreeMap<&'static str, u64>,
    calls: BTreeMap<String, (u64, u64)>,
    items: u64,
    written: u64,
    position: u64,
}

impl Figures {
    fn count(&mut self, table: &Table, at: u64, item: &Item) {
        self.items += 1;
        self.position = at;
        *self.kinds.entry(list::kind(&item.what)).or_default() += 1;
        let writes = match &item.what {
            What::Call(call) => {
                let entry = self.calls.entry(list::name(table, call.nr)).or_default();
                let bytes: usize = call.writes.iter().map(|w| w.bytes.len()).sum();
                *entry = (entry.0 + 1, entry.1 + bytes as u64);
                &call.writes
            }
            What::Writes(writes) => writes,
            _ => return,
        };
        self.written += writes.iter().map(|w| w.bytes.len() as u64).sum::<u64>();
    }

    fn text(&self, bytes: u64, end: &str) -> String {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|(name, (n, _))| (core::cmp::Reverse(*n), name.as_str()));
        let calls: String =
            calls.iter().map(|(name, (n, written))| format!("  {n:>8} {name}, {written} bytes written\n")).collect();
        format!(
            "{} items in {bytes} bytes ({}), {} bytes written by calls, {} instructions; {end}\n{calls}",
            self.items,
            kinds.join(", "),
            self.written,
            self.position
        )
    }
}

/// Lists the log; the status is 1 if it is not good to its end.
pub(crate) fn run(path: &Path, json: bool, summary: bool) -> anyhow::Result<u8> {
    let mut log = open(path)?;
    let setup = setup(&log).map_err(|e| failed(path, e))?;
    let isa = tern_linux::isa::by_name(&setup.isa)
        .ok_or_else(|| failed(path, format_args!("programs of {}, which this tern does not know", setup.isa)))?;
    let table = Table::new(isa);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let header = log.header();
    match json {
        true => writeln!(
            out,
            "{}",
            json!({
                "kind": "header", "title": header.title, "tern": header.tern, "date_ns": header.date_ns, "isa": setup.isa, "pid": setup.pid,
                "schedule": setup.schedule,
                "parent": setup.parent.as_ref().map(|p| json!({
                    "log": String::from_utf8_lossy(&p.log), "fork": p.fork, "position": p.at,
                })),
            })
        )?,
        false => writeln!(out, "{} ({}, pid {}, turns: {})", header.title, setup.isa, setup.pid, setup.schedule)?,
    }
    let (mut walk, mut figures) = (Walk::new(&setup), Figures::default());
    let end = loop {
        match log.next_item() {
            Ok(Some(item)) => {
                let (at, tid) = walk.step(&item);
                figures.count(&table, at, &item);
                if summary {
                    continue;
                }
                let text = list::words(&table, &item.what);
                match json {
                    true => writeln!(out, "{}", line(&table, (at, tid), &item, &text))?,
                    false => writeln!(out, "{at:>12} {tid} {text}")?,
                }
            }
            Ok(None) if log.ended() => break None,
            Ok(None) => break Some("the recorder was killed".to_owned()),
            Err(e) => break Some(e.to_string()),
        }
    };
    let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
    let whole = end.as_deref().unwrap_or("ended in order");
    match json {
        true => writeln!(
            out,
            "{}",
            json!({
                "kind": "summary", "items": figures.items, "bytes": bytes, "kinds": figures.kinds, "written": figures.written,
                "position": figures.position, "end": whole,
                "calls": figures.calls.iter().map(|(name, (n, written))| (name.clone(), json!([n, written])))
                    .collect::<BTreeMap<_, _>>(),
            })
        )?,
        false => write!(out, "{}", figures.text(bytes, whole))?,
    }
    out.flush()?;
    Ok(u8::from(end.is_some()))
}

/// An event as a line of JSON.
fn line(table: &Table, place: (u64, i32), item: &Item, text: &str) -> serde_json::Value {
    let (at, tid) = place;
    let mut line = json!({ "position": at, "thread": tid, "kind": list::kind(&item.what), "text": text });
    if let What::Call(call) = &item.what {
        line["call"] = json!(list::name(table, call.nr));
        line["args"] = json!(call.args[..list::registers(table, call.nr)]);
        line["result"] = json!(call.result);
    }
    line
}
