//! What tern's engine counts of programs: words for each guest instruction, dispatches for each.

use crate::engines::tern;
use crate::figures::table;
use crate::measure::Case;
use crate::process::run;
use anyhow::{Context, anyhow};
use serde_json::{Map, Value, json};

/// The counts of a program, for each guest instruction.
pub(crate) struct Counts {
    pub(crate) name: String,
    /// Guest instructions that were run.
    insns: u64,
    /// Guest instructions that were translated.
    translated: u64,
    /// Words made for each instruction translated.
    pub(crate) made: f64,
    /// Words run for each instruction run, none fused.
    pub(crate) words: f64,
    /// Dispatches for each instruction run.
    pub(crate) dispatches: f64,
}

/// The number before some words in the last line that has them: `12 apples` has 12 before `apples`.
fn number(text: &str, words: &str) -> anyhow::Result<u64> {
    let found = text.lines().rev().find_map(|line| {
        let (before, _) = line.split_once(words)?;
        before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    found.ok_or_else(|| anyhow!("tern's figures have no number before `{words}`: {text}"))
}

/// Runs a program and returns its figures; the instructions run, and what was counted.
fn counted(case: &Case, what: &str, words: &str, seconds: u64) -> anyhow::Result<(u64, u64, String)> {
    let engine = tern("tern", "loop", &["--stats", "--count", what]);
    let program = case.steps.first().context("a case without a program")?;
    let line = engine.line(program, case.sysroot.as_deref()).context("no command line")?;
    let (_, printed) = run(&line, &case.env, seconds)?.map_err(|wrong| anyhow!("{}: {what}: {wrong}", case.name))?;
    let text = String::from_utf8_lossy(&printed.err).into_owned();
    Ok((number(&text, "guest instructions")?, number(&text, words)?, text))
}

/// Counts every program: one run with dispatches, one with words; both are the same each time.
pub(crate) fn count(cases: &[Case], seconds: u64) -> anyhow::Result<Vec<Counts>> {
    let titles = ["counts", "instructions", "translated", "words made/insn", "words run/insn", "dispatches/insn"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    let mut all = Vec::new();
    for case in cases {
        let (insns, dispatches, text) = counted(case, "dispatches", "dispatches", seconds)?;
        let (same, words, _) = counted(case, "words", "words run", seconds)?;
        let (translated, made) = (number(&text, "instructions,")?, number(&text, "words;")?);
        let counts = Counts {
            name: case.name.clone(),
            insns,
            translated,
            made: made as f64 / translated as f64,
            words: words as f64 / same as f64,
            dispatches: dispatches as f64 / insns as f64,
        };
        let figures = [counts.made, counts.words, counts.dispatches].map(|f| format!("{f:.3}"));
        let numbers = [insns.to_string(), translated.to_string()];
        rows.push([case.name.clone()].into_iter().chain(numbers).chain(figures).collect());
        all.push(counts);
    }
    if !all.is_empty() {
        println!("\nwords and dispatches for each guest instruction");
        print!("{}", table(&rows));
    }
    Ok(all)
}

/// Everything.
pub(crate) fn json(all: &[Counts]) -> Value {
    let row = |c: &Counts| {
        let value = json!({
            "instructions": c.insns, "translated": c.translated, "words_made_per_insn": c.made,
            "words_run_per_insn": c.words, "dispatches_per_insn": c.dispatches,
        });
        (c.name.clone(), value)
    };
    Value::Object(all.iter().map(row).collect::<Map<_, _>>())
}
