//! Runs cases on every engine in turn, checks what they print, and makes tables.

use crate::engines::Engine;
use crate::figures::{geometric_mean, table};
use crate::process::{Cost, Limits, Wrong, run};
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// User seconds of a run from which on three runs are enough.
const LONG: f64 = 4.0;

/// A program to run, or several, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Paths with arguments; what they cost is added up.
    pub(crate) steps: Vec<Vec<String>>,
    /// The same program built for this host.
    pub(crate) native: Option<PathBuf>,
    pub(crate) sysroot: Option<PathBuf>,
    /// Variables of the environment.
    pub(crate) env: Vec<(String, String)>,
    /// A file that it makes, compared like its output.
    pub(crate) makes: Option<PathBuf>,
    /// Only lines of the output with this text are compared, and there must be one.
    pub(crate) lines: Option<String>,
    /// It is so short that ten times the runs are needed.
    pub(crate) short: bool,
    /// It leaves caches behind, so that its first run does not count.
    pub(crate) warm: bool,
}

/// What an engine made of a case; `None`: it cannot run it.
type Cell = Option<Result<Cost, Wrong>>;

/// What every engine made of every case.
pub(crate) struct Table {
    title: &'static str,
    engines: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

/// A path as an argument.
pub(crate) fn path_text(path: &Path) -> anyhow::Result<String> {
    Ok(path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?.to_owned())
}

/// Runs every case on every engine, in turn, and takes medians.
pub(crate) fn measure(
    title: &'static str,
    cases: &[Case],
    engines: &[Engine],
    limits: Limits,
) -> anyhow::Result<Table> {
    let mut table = Table { title, engines: engines.iter().map(|e| e.name.clone()).collect(), rows: Vec::new() };
    for case in cases {
        let row = measure_case(case, engines, limits)?;
        for (engine, cell) in engines.iter().zip(&row) {
            if let Some(Err(wrong)) = cell {
                println!("{title}: {}: {}: {wrong}", case.name, engine.name);
            }
        }
        table.rows.push((case.name.clone(), row));
    }
    Ok(table)
}

/// What one engine has done of a case so far.
#[derive(Default)]
struct Runs {
    lines: Vec<Vec<String>>,
    costs: Vec<Cost>,
    output: Option<Vec<u8>>,
    wrong: Option<Wrong>,
}

impl Runs {
    /// Another run is to be made.
    fn wants(&self, runs: u32) -> bool {
        let enough = self.costs.len() >= 3 && self.costs.iter().any(|c| c.user >= LONG);
        self.wrong.is_none() && !self.lines.is_empty() && !enough && self.costs.len() < runs as usize
    }
}

/// The command lines of an engine for a case; none if it cannot run it.
fn lines(case: &Case, engine: &Engine) -> anyhow::Result<Vec<Vec<String>>> {
    if engine.native {
        return case.native.iter().map(|n| Ok(vec![path_text(n)?])).collect();
    }
    Ok(case.steps.iter().map_while(|step| engine.line(step, case.sysroot.as_deref())).collect())
}

fn measure_case(case: &Case, engines: &[Engine], limits: Limits) -> anyhow::Result<Vec<Cell>> {
    let mut all = Vec::new();
    for engine in engines {
        let mut runs = Runs { lines: lines(case, engine)?, ..Runs::default() };
        if case.warm && !runs.lines.is_empty() {
            // Whether it works is seen below.
            let _ = once(case, &runs.lines, limits.seconds)?;
        }
        runs.costs.reserve(limits.runs as usize);
        all.push(runs);
    }
    let count = if case.short { limits.runs * 10 } else { limits.runs };
    for _ in 0..count {
        for runs in all.iter_mut().filter(|runs| runs.wants(count)) {
            match once(case, &runs.lines, limits.seconds)? {
                Ok((cost, output)) => {
                    if runs.output.as_ref().is_some_and(|first| *first != output) {
                        runs.wrong = Some(Wrong::Output);
                    }
                    runs.costs.push(cost);
                    runs.output = Some(output);
                }
                Err(wrong) => runs.wrong = Some(wrong),
            }
        }
    }
    // Native is right; without it, the first engine that is not tern; without one, the first.
    let told = |i: &usize| all[*i].output.is_some();
    let judge = (0..engines.len()).find(|i| engines[*i].native && told(i));
    let judge = judge.or_else(|| (0..engines.len()).find(|i| !engines[*i].tern && told(i)));
    let judge = judge.or_else(|| (0..engines.len()).find(told));
    let cell = |runs: &Runs| match (&runs.wrong, judge) {
        _ if runs.lines.is_empty() => None,
        (Some(wrong), _) => Some(Err(wrong.clone())),
        (None, Some(judge)) if runs.output != all[judge].output => Some(Err(Wrong::Output)),
        _ => Some(Ok(Cost::middle(&runs.costs))),
    };
    Ok(all.iter().map(cell).collect())
}

/// Runs the steps of a case once: their cost, and all of the output that counts.
fn once(case: &Case, lines: &[Vec<String>], seconds: u64) -> anyhow::Result<Result<(Cost, Vec<u8>), Wrong>> {
    if let Some(file) = case.makes.as_ref().filter(|file| file.exists()) {
        std::fs::remove_file(file).with_context(|| file.display().to_string())?;
    }
    let (mut cost, mut output) = (Cost::default(), Vec::new());
    for line in lines {
        match run(line, &case.env, seconds)? {
            Ok((more, printed)) => {
                cost = cost.and(more);
                output.extend(printed.out);
            }
            Err(wrong) => return Ok(Err(wrong)),
        }
    }
    if let Some(text) = &case.lines {
        let has = |line: &&[u8]| line.windows(text.len()).any(|part| part == text.as_bytes());
        output = output.split_inclusive(|b| *b == b'\n').filter(has).flatten().copied().collect();
        if output.is_empty() {
            return Ok(Err(Wrong::Output));
        }
    }
    if let Some(file) = &case.makes {
        match std::fs::read(file) {
            Ok(made) => output.extend(made),
            Err(_) => return Ok(Err(Wrong::Output)),
        }
    }
    Ok(Ok((cost, output)))
}

impl Table {
    /// Runs of tern that went wrong; a peer that cannot run a program only lacks a figure.
    pub(crate) fn wrong(&self, engines: &[Engine]) -> usize {
        let tern = |name: &str| engines.iter().any(|e| e.tern && e.name == name);
        let cells = self.rows.iter().flat_map(|(_, row)| self.engines.iter().zip(row));
        cells.filter(|(name, cell)| tern(name) && matches!(cell, Some(Err(_)))).count()
    }

    /// Names of the cases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(name, _)| name.as_str())
    }

    /// What a case cost the first engine.
    pub(crate) fn first(&self, case: &str) -> Option<&Cost> {
        self.rows.iter().find(|(name, _)| name == case)?.1.first()?.as_ref()?.as_ref().ok()
    }

    /// One figure of every cell.
    pub(crate) fn print(&self, figure: fn(&Cost) -> f64, unit: &str) {
        if self.rows.is_empty() {
            return;
        }
        let mut rows = vec![vec![self.title.to_owned()]];
        rows[0].extend(self.engines.iter().cloned());
        for (name, cells) in &self.rows {
            let cell = |c: &Cell| match c {
                None => "-".to_owned(),
                Some(Err(_)) => "wrong".to_owned(),
                Some(Ok(cost)) => format!("{:.3}", figure(cost)),
            };
            rows.push([name.clone()].into_iter().chain(cells.iter().map(cell)).collect());
        }
        println!("\n{} ({unit}, medians)", self.title);
        print!("{}", table(&rows));
    }

    /// The first engine's user time divided by each other's.
    pub(crate) fn ratios(&self) {
        let Some((first, others)) = self.engines.split_first() else { return };
        if self.rows.is_empty() {
            return;
        }
        let mut rows = vec![vec![format!("{first} against")]];
        rows[0].extend(others.iter().cloned());
        let text = |r: Option<f64>| r.map_or_else(|| "-".to_owned(), |r| format!("{r:.3}"));
        for (name, _) in &self.rows {
            let cells = others.iter().map(|other| text(self.ratio(name, other)));
            rows.push([name.clone()].into_iter().chain(cells).collect());
        }
        println!("\n{}: user time of {first} divided by that of the others", self.title);
        print!("{}", table(&rows));
    }

    /// The geometric means of the ratios, in words.
    pub(crate) fn means(&self) {
        let Some((first, others)) = self.engines.split_first() else { return };
        for name in others {
            let both = self.mean_of(name, &[], |c| c.user + c.system);
            if let (Some((user, n)), Some((both, _))) = (self.mean(name), both) {
                println!(
                    "{first} takes {user:.3} times the user time of {name}, {both:.3} with system time (geometric means of {n})"
                );
            }
        }
    }

    /// The first engine's user time divided by another's; times below a millisecond count as one.
    pub(crate) fn ratio(&self, case: &str, other: &str) -> Option<f64> {
        self.ratio_of(case, other, |c| c.user)
    }

    fn ratio_of(&self, case: &str, other: &str, figure: fn(&Cost) -> f64) -> Option<f64> {
        let (_, cells) = self.rows.iter().find(|(name, _)| name == case)?;
        let other = self.engines.iter().position(|name| name == other)?;
        let time = |i: usize| cells.get(i)?.as_ref()?.as_ref().ok().map(|c| figure(c).max(1e-3));
        Some(time(0)? / time(other)?)
    }

    /// Geometric mean of the ratios of user time, and of how many.
    pub(crate) fn mean(&self, other: &str) -> Option<(f64, usize)> {
        self.mean_of(other, &[], |c| c.user)
    }

    /// The same without some cases.
    pub(crate) fn mean_without(&self, other: &str, cases: &[&str]) -> Option<(f64, usize)> {
        self.mean_of(other, cases, |c| c.user)
    }

    fn mean_of(&self, other: &str, without: &[&str], figure: fn(&Cost) -> f64) -> Option<(f64, usize)> {
        let names = self.names().filter(|name| !without.contains(name));
        let ratios: Vec<f64> = names.filter_map(|name| self.ratio_of(name, other, figure)).collect();
        Some((geometric_mean(&ratios)?, ratios.len()))
    }

    /// Everything.
    pub(crate) fn json(&self) -> Value {
        let mut out = Map::new();
        for (name, cells) in &self.rows {
            let mut row = Map::new();
            for (engine, cell) in self.engines.iter().zip(cells) {
                let value = match cell {
                    None => Value::Null,
                    Some(Err(wrong)) => json!({ "wrong": wrong.to_string() }),
                    Some(Ok(c)) => json!({
                        "user_s": c.user, "system_s": c.system, "wall_s": c.wall, "resident_mib": c.resident,
                        "first_engine_user_ratio": self.ratio(name, engine),
                    }),
                };
                row.insert(engine.clone(), value);
            }
            out.insert(name.clone(), Value::Object(row));
        }
        let mut means = Map::new();
        for name in self.engines.iter().skip(1) {
            if let Some((mean, n)) = self.mean(name) {
                means.insert(name.clone(), json!({ "user_ratio": mean, "of": n }));
            }
        }
        json!({ "cases": out, "first_engine_against": means })
    }
}
