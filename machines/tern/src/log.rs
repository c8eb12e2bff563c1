//! `tern log`: what is in a log.

use crate::failure::Failure;
use crate::tape::Log;
use serde_json::{Value, json};
use std::io::{BufWriter, Write as _, stdout};
use std::path::PathBuf;
use tern_session::machine::tape::{Data, Item};

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only how much there is of everything
    #[arg(long)]
    summary: bool,
}

/// How much there is of everything.
#[derive(Default)]
struct Counts {
    inputs: u64,
    bytes: u64,
    idle: u64,
    idle_ns: u64,
    digests: u64,
    stretches: u64,
    resets: u64,
    last: Option<String>,
}

impl Counts {
    fn add(&mut self, item: &Item) {
        match item {
            Item::Input(_, data) => {
                self.inputs += data.len() as u64;
                self.bytes += data.iter().map(|d| d.bytes.len() as u64).sum::<u64>();
            }
            Item::Idle(_, ns) => {
                self.idle += 1;
                self.idle_ns = self.idle_ns.saturating_add(*ns);
            }
            Item::Reset(_) => self.resets += 1,
            Item::Cpus(..) | Item::Whole(..) => self.digests += 1,
            Item::Image(..) => self.stretches += 1,
            Item::End(..) => {}
        }
        self.last = item.place().map(|at| at.to_string()).or(self.last.take());
    }

    fn lines(&self) -> Vec<String> {
        vec![
            format!("inputs: {} with {} bytes", self.inputs, self.bytes),
            format!("idle: {} times, {:.3} s", self.idle, self.idle_ns as f64 / 1e9),
            format!("digests: {}", self.digests),
            format!("stretches of media: {}", self.stretches),
            format!("resets from outside: {}", self.resets),
            format!("last position: {}", self.last.as_deref().unwrap_or("none")),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "inputs": self.inputs, "input-bytes": self.bytes, "idle": self.idle, "idle-ns": self.idle_ns,
            "digests": self.digests, "stretches": self.stretches, "resets": self.resets, "last": self.last,
        })
    }
}

fn json_of(item: &Item) -> Value {
    let place = item.place();
    let at = json!({ "retired": place.map(|p| p.retired), "stops": place.map(|p| p.stops) });
    let one = |d: &Data| {
        let hex: String = d.bytes.iter().map(|b| format!("{b:02x}")).collect();
        json!({ "device": d.device, "port": d.port, "bytes": hex })
    };
    let (kind, what) = match item {
        Item::Input(_, data) => ("input", data.iter().map(one).collect()),
        Item::Idle(_, ns) => ("idle", json!({ "ns": ns })),
        Item::Reset(_) => ("reset", Value::Null),
        Item::Cpus(_, digest) => ("cpus", json!({ "digest": format!("{digest:016x}") })),
        Item::Whole(_, digest) => ("whole", json!({ "digest": format!("{digest:016x}") })),
        Item::Image(drive, n, hash) => ("image", json!({ "drive": drive, "stretch": n, "hash": hash.to_string() })),
        Item::End(_, how) => ("end", json!({ "how": how })),
    };
    json!({ "kind": kind, "at": if place.is_some() { at } else { Value::Null }, "what": what })
}

/// Prints what is in the log; status 1 if it is not whole.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut log = Log::open(&args.log).map_err(|text| Failure::bare(1, text))?;
    let mut out = BufWriter::new(stdout().lock());
    let setup = &log.setup;
    if args.json {
        let drives: Vec<Value> =
            setup.drives.iter().map(|(name, size, _)| json!({ "name": name, "size": size })).collect();
        let files = setup.files.iter().map(|f| json!({ "path": f.path, "size": f.size, "hash": f.hash.to_string() }));
        let head = json!({
            "kind": "header", "title": log.header.title, "tern": log.header.tern, "date-ns": log.header.date_ns,
            "folder": setup.folder, "seed": setup.seed, "packed": setup.packed, "drives": drives,
            "files": files.collect::<Vec<_>>(),
        });
        writeln!(out, "{head}")?;
    } else {
        writeln!(out, "{} of tern {}: {}", log.header.kind, log.header.tern, log.header.title)?;
        for used in &setup.files {
            writeln!(out, "file {}: {} bytes, {}", used.path, used.size, used.hash)?;
        }
    }
    let mut counts = Counts::default();
    let fault = loop {
        let item = match log.reader.next() {
            Ok(Some(item)) => item,
            Ok(None) => break (!log.reader.ended()).then(|| "the recording was cut off".to_owned()),
            Err(e) => break Some(e.to_string()),
        };
        counts.add(&item);
        match (args.summary, args.json) {
            (true, _) => {}
            (false, true) => writeln!(out, "{}", json_of(&item))?,
            (false, false) => {
                let at = item.place().map_or_else(|| "-".to_owned(), |at| at.to_string());
                writeln!(out, "{at} {}", item.what())?;
            }
        }
    };
    if args.json {
        writeln!(out, "{}", json!({ "kind": "summary", "counts": counts.json(), "fault": fault }))?;
    } else {
        for line in counts.lines() {
            writeln!(out, "{line}")?;
        }
        if let Some(fault) = &fault {
            writeln!(out, "{fault}")?;
        }
    }
    out.flush()?;
    Ok(u8::from(fault.is_some()))
}
