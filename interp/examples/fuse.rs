//! fuse: makes `src/fused/list.rs` from profiles.
//!
//!     tern run --sequences a.txt PROGRAM ...
//!     cargo run --release -p tern-interp --example fuse -- ROWS LONGEST a.txt b.txt ... > interp/src/fused/list.rs
//!
//! Byte-pair encoding: the two neighbours that follow each other most often become one row, again and again, until there
//! are ROWS rows; none is longer than LONGEST words.  Each profile counts the same, however long its program ran.
#![forbid(unsafe_code)]

use hashbrown::HashMap;
use std::io::Write;
use std::process::ExitCode;

/// Words that ran one after the other, cut into what one dispatch covers, and how often (as a share of the profile).
struct Run {
    chunks: Vec<u32>,
    weight: f64,
}

/// What one dispatch covers: the names of its bodies.
#[derive(Default)]
struct Chunks {
    names: Vec<Vec<String>>,
    ids: HashMap<Vec<String>, u32>,
}

impl Chunks {
    fn id(&mut self, names: Vec<String>) -> u32 {
        let next = self.names.len() as u32;
        *self.ids.entry(names).or_insert_with_key(|names| {
            self.names.push(names.clone());
            next
        })
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers = args.get(..2).map(|n| (n[0].parse::<usize>(), n[1].parse::<usize>()));
    let Some((Ok(rows), Ok(longest))) = numbers else {
        eprintln!("fuse: usage: fuse ROWS LONGEST FILE...");
        return ExitCode::from(2);
    };
    let (mut chunks, mut runs) = (Chunks::default(), Vec::new());
    for file in &args[2..] {
        match std::fs::read_to_string(file) {
            Ok(text) => read(&text, &mut chunks, &mut runs),
            Err(e) => {
                eprintln!("fuse: {file}: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    let made = pair(&mut chunks, &mut runs, rows, longest);
    let left: f64 = runs.iter().map(|r| r.chunks.len() as f64 * r.weight).sum();
    eprintln!("fuse: {:.3} dispatches per word remain", left / (args.len() - 2) as f64);
    match std::io::stdout().write_all(list(&chunks, &made).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads a profile: the number of words, then lines of a count and names between ` ;; `.
fn read(text: &str, chunks: &mut Chunks, runs: &mut Vec<Run>) {
    let mut lines = text.lines();
    let words: f64 = lines.next().and_then(|n| n.trim().parse().ok()).unwrap_or(1.0);
    for line in lines {
        let Some((count, names)) = line.split_once('\t') else { continue };
        let weight = count.parse().unwrap_or(0.0) / words;
        // A word that takes the slow path anyway gains nothing, and what stands before it has a dispatch less to save.
        let mut part = Vec::new();
        for name in names.split(" ;; ").map(tidy) {
            let alone = name.contains("slow::") || name.contains("Count") || name.contains("Exit");
            if !alone {
                part.push(chunks.id(vec![name]));
            } else if !part.is_empty() {
                runs.push(Run { chunks: core::mem::take(&mut part), weight });
            }
        }
        runs.push(Run { chunks: part, weight });
    }
}

/// A body's name as the list writes it.
fn tidy(name: &str) -> String {
    let mut s: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    s = s.replace(',', ", ").replace("asu8", " as u8").replace('{', "{ ").replace('}', " }");
    for room in ["int::", "memory::", "flow::"] {
        s = s.replace(room, "");
    }
    // Braces around a number are not wanted.
    for n in 0..32 {
        s = s.replace(&format!("{{ {n} }}"), &n.to_string());
    }
    s
}

/// Makes rows of the pairs that save most dispatches.
fn pair(chunks: &mut Chunks, runs: &mut [Run], rows: usize, longest: usize) -> Vec<u32> {
    let mut made = Vec::new();
    while made.len() < rows {
        let mut gain: HashMap<(u32, u32), f64> = HashMap::new();
        for run in &*runs {
            for pair in run.chunks.windows(2) {
                *gain.entry((pair[0], pair[1])).or_default() += run.weight;
            }
        }
        let fits = |(a, b): (u32, u32)| chunks.names[a as usize].len() + chunks.names[b as usize].len() <= longest;
        let best = gain.into_iter().filter(|(p, _)| fits(*p)).max_by(|x, y| x.1.total_cmp(&y.1).then(y.0.cmp(&x.0)));
        let Some(((a, b), _)) = best else { break };
        let names = [&chunks.names[a as usize][..], &chunks.names[b as usize][..]].concat();
        let id = chunks.id(names);
        if !made.contains(&id) {
            made.push(id);
        }
        for run in &mut *runs {
            join(&mut run.chunks, a, b, id);
        }
    }
    made
}

/// Replaces `a` followed by `b` by `id`.
fn join(chunks: &mut Vec<u32>, a: u32, b: u32, id: u32) {
    let mut to = 0;
    let mut from = 0;
    while from < chunks.len() {
        let both = chunks[from] == a && chunks.get(from + 1) == Some(&b);
        chunks[to] = if both { id } else { chunks[from] };
        from += 1 + usize::from(both);
        to += 1;
    }
    chunks.truncate(to);
}

/// The text of the list.
fn list(chunks: &Chunks, made: &[u32]) -> String {
    let mut text = String::from(HEAD);
    for id in made {
        text += &format!("    [{}];\n", chunks.names[*id as usize].join(", "));
    }
    text + "}\n"
}

/// What the list begins with.
const HEAD: &str = "//! The fused sequences, in the order in which they were found to save most: written by `examples/fuse.rs` from profiles
//! of the benchmark's kernels and of Debian programs (`tern run --sequences FILE`).

#[allow(unused_imports, reason = \"which bodies the rows name changes with the profiles\")]
use crate::body::{
    float::{self, Boxed, from},
    flow::{Branch, Goto, Jump, PushReturn, Return},
    int::{Bin, Cmp, Conv, GetFar, Icount, Imm, Literal, Mov, Select, SetEnv, SetFar, Un, row, width},
    memory::{Load, Store},
    variant,
};
use super::*;
use tern_core::ir::Op;

fused! {
";
