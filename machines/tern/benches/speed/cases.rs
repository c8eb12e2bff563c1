//! The programs that tern and its peers run: compiled kernels, start-up, cold code of Debian's programs.

use crate::engines::{Engine, on_path};
use crate::figures::{geometric_mean, median, table};
use crate::process::{Cost, Limits, Wrong, run};
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian cross compiler for the guest.
const CROSS: &str = "riscv64-linux-gnu-gcc";
/// As the shared benchmark compiles.
const FLAGS: [&str; 4] = ["-O2", "-static", "-pthread", "-ffp-contract=off"];

/// A program to run.
struct Case {
    name: String,
    /// Path and arguments.
    program: Vec<String>,
    /// The same program built for this host.
    native: Option<PathBuf>,
    sysroot: Option<PathBuf>,
}

/// What an engine made of a case; `None`: it cannot run it.
type Cell = Option<Result<Cost, Wrong>>;

/// What every engine made of every case.
pub(crate) struct Table {
    title: &'static str,
    engines: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

fn path_text(path: &Path) -> anyhow::Result<String> {
    Ok(path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?.to_owned())
}

/// The folder that the project shares with its peers: benchmarks, guests.
fn shared() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let given = std::env::var_os("TERN_SHARED").map(PathBuf::from);
    given.into_iter().chain([workspace.join("../shared"), workspace.join("../../shared")]).find(|d| d.is_dir())
}

/// Compiles a C file, unless the program is newer.
fn compile(compiler: &str, source: &Path, to: PathBuf) -> anyhow::Result<PathBuf> {
    let time = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    if time(&to).is_none_or(|made| time(source).is_none_or(|wrote| wrote > made)) {
        let status = Command::new(compiler).args(FLAGS).arg(source).arg("-o").arg(&to).status();
        anyhow::ensure!(
            status.context(compiler.to_owned())?.success(),
            "{compiler} cannot compile {}",
            source.display()
        );
    }
    Ok(to)
}

/// A program from a C file, for the guest and, where there is a compiler, for the host.
fn case(name: &str, source: &Path) -> anyhow::Result<Case> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let guest = compile(CROSS, source, dir.join(format!("{name}.riscv64")))?;
    let native = on_path("cc").map(|_| compile("cc", source, dir.join(format!("{name}.native")))).transpose()?;
    Ok(Case { name: name.to_owned(), program: vec![path_text(&guest)?], native, sysroot: None })
}

/// The kernels of the shared `bench` folder: all, or those named.
pub(crate) fn kernels(wanted: &[String], engines: &[Engine], limits: Limits) -> anyhow::Result<Table> {
    const TITLE: &str = "kernels";
    let Some(dir) = shared().map(|d| d.join("bench/src")).filter(|d| d.is_dir()) else {
        println!("kernels: no shared folder (TERN_SHARED, ../shared or ../../shared): not run");
        return Ok(Table::empty(TITLE));
    };
    if on_path(CROSS).is_none() {
        println!("kernels: no {CROSS} (packages gcc-riscv64-linux-gnu libc6-dev-riscv64-cross): not run");
        return Ok(Table::empty(TITLE));
    }
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&dir)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
    sources.retain(|s| s.extension().is_some_and(|e| e == "c"));
    sources.sort();
    let stem = |s: &Path| s.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    if let Some(name) = wanted.iter().find(|w| !sources.iter().any(|s| stem(s) == **w)) {
        anyhow::bail!("there is no kernel {name} in {}", dir.display());
    }
    sources.retain(|s| wanted.is_empty() || wanted.contains(&stem(s)));
    let cases: Vec<Case> = sources.iter().map(|s| case(&stem(s), s)).collect::<anyhow::Result<_>>()?;
    let table = measure(TITLE, &cases, engines, limits)?;
    table.print(|c| c.user, "user seconds");
    table.ratios();
    Ok(table)
}

/// Start-up of a static program, and of programs of the Debian sysroot if it is there.
pub(crate) fn start(engines: &[Engine], limits: Limits) -> anyhow::Result<Table> {
    let mut cases = Vec::new();
    if on_path(CROSS).is_some() {
        let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hello.c");
        if !source.exists() {
            std::fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"hello, world\") < 0; }\n")?;
        }
        cases.push(case("hello", &source)?);
    } else {
        println!("start: no {CROSS}: no static program");
    }
    let guests = std::env::var_os("GUESTS_DIR").map(PathBuf::from);
    let guests = guests.or_else(|| Some(std::env::home_dir()?.join(".cache/tern-guests")));
    match guests.map(|dir| dir.join("sysroot-riscv64")).filter(|dir| dir.join("MANIFEST").is_file()) {
        Some(sysroot) => cases.extend(debian(&sysroot)?),
        None => println!("start: no Debian sysroot (guests/get sysroot-riscv64 of the shared folder fetches it)"),
    }
    let table = measure("start", &cases, engines, limits)?;
    table.print(|c| c.user * 1e3, "user milliseconds");
    table.print(|c| c.wall * 1e3, "wall milliseconds");
    table.print(|c| c.resident, "MiB resident");
    table.ratios();
    Ok(table)
}

/// Short runs of big programs: mostly code that runs once.
fn debian(sysroot: &Path) -> anyhow::Result<Vec<Case>> {
    let programs: [(&str, &[&str]); 4] = [
        ("python3", &["usr/bin/python3", "-c", "import json, re; print(json.dumps(re.findall('e.', 'eerie')))"]),
        ("perl", &["usr/bin/perl", "-e", "print join(',', map { $_ * $_ } grep { $_ % 3 } 1 .. 20), \"\\n\""]),
        ("bash", &["usr/bin/bash", "-c", "for i in {1..20}; do s=$((s + i)); done; echo $s"]),
        (
            "sqlite3",
            &["usr/bin/sqlite3", ":memory:", "create table t(x); insert into t values(6),(7); select sum(x*x) from t"],
        ),
    ];
    let mut cases = Vec::new();
    for (name, line) in programs {
        let file = sysroot.join(line[0]);
        if !file.is_file() {
            println!("start: the sysroot has no {}", line[0]);
            continue;
        }
        let mut program = vec![path_text(&file)?];
        program.extend(line[1..].iter().map(|s| (*s).to_owned()));
        cases.push(Case { name: name.to_owned(), program, native: None, sysroot: Some(sysroot.to_owned()) });
    }
    Ok(cases)
}

/// Runs every case on every engine, in turn, and takes medians.
fn measure(title: &'static str, cases: &[Case], engines: &[Engine], limits: Limits) -> anyhow::Result<Table> {
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

fn measure_case(case: &Case, engines: &[Engine], limits: Limits) -> anyhow::Result<Vec<Cell>> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("output");
    let native = case.native.as_deref().map(path_text).transpose()?;
    let line = |engine: &Engine| match (engine.native, &native) {
        (true, native) => native.clone().map(|n| vec![n]),
        (false, _) => engine.line(&case.program, case.sysroot.as_deref()),
    };
    let lines: Vec<Option<Vec<String>>> = engines.iter().map(line).collect();
    let mut costs = vec![Vec::new(); engines.len()];
    let mut outputs: Vec<Option<Vec<u8>>> = vec![None; engines.len()];
    let mut wrong: Vec<Option<Wrong>> = vec![None; engines.len()];
    for _ in 0..limits.runs {
        for (i, line) in lines.iter().enumerate() {
            let Some(line) = line.as_ref().filter(|_| wrong[i].is_none()) else { continue };
            match run(line, &scratch, limits.seconds)? {
                Ok((cost, output)) => {
                    if outputs[i].as_ref().is_some_and(|first| *first != output) {
                        wrong[i] = Some(Wrong::Output);
                    }
                    costs[i].push(cost);
                    outputs[i] = Some(output);
                }
                Err(reason) => wrong[i] = Some(reason),
            }
        }
    }
    // Native is right; without it, the first engine that is not tern; without one, the first.
    let tern = |i: &usize| engines[*i].name.starts_with("tern");
    let judge = (0..engines.len()).find(|i| engines[*i].native && outputs[*i].is_some());
    let judge = judge.or_else(|| (0..engines.len()).find(|i| !tern(i) && outputs[*i].is_some()));
    let judge = judge.or_else(|| outputs.iter().position(Option::is_some));
    let cell = |i: usize| {
        lines[i].as_ref()?;
        if let Some(wrong) = &wrong[i] {
            return Some(Err(wrong.clone()));
        }
        if judge.is_some_and(|j| outputs[i] != outputs[j]) {
            return Some(Err(Wrong::Output));
        }
        Some(Ok(middle(&costs[i])))
    };
    Ok((0..engines.len()).map(cell).collect())
}

fn middle(costs: &[Cost]) -> Cost {
    let of = |f: fn(&Cost) -> f64| median(&mut costs.iter().map(f).collect::<Vec<f64>>());
    Cost { user: of(|c| c.user), system: of(|c| c.system), wall: of(|c| c.wall), resident: of(|c| c.resident) }
}

impl Table {
    fn empty(title: &'static str) -> Table {
        Table { title, engines: Vec::new(), rows: Vec::new() }
    }

    /// Cells that are wrong.
    pub(crate) fn wrong(&self) -> usize {
        self.rows.iter().flat_map(|(_, row)| row).filter(|c| matches!(c, Some(Err(_)))).count()
    }

    /// One figure of every cell.
    fn print(&self, figure: fn(&Cost) -> f64, unit: &str) {
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

    /// The first engine's user time divided by each other's, with geometric means.
    fn ratios(&self) {
        let Some((first, others)) = self.engines.split_first() else { return };
        if self.rows.is_empty() {
            return;
        }
        let mut rows = vec![vec![format!("{first} against")]];
        rows[0].extend(others.iter().cloned());
        for (name, _) in &self.rows {
            let cell = |i| self.ratio(name, i, |c| c.user).map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
            rows.push([name.clone()].into_iter().chain((1..self.engines.len()).map(cell)).collect());
        }
        println!("\n{}: user time of {first} divided by that of the others", self.title);
        print!("{}", table(&rows));
        for (i, name) in self.engines.iter().enumerate().skip(1) {
            let user = self.mean(i, |c| c.user);
            let both = self.mean(i, |c| c.user + c.system);
            if let (Some((user, n)), Some((both, _))) = (user, both) {
                println!(
                    "{first} takes {user:.3} times the user time of {name}, {both:.3} with system time (geometric means of {n})"
                );
            }
        }
    }

    /// The first engine's figure divided by another's; times below a millisecond count as one.
    fn ratio(&self, case: &str, other: usize, figure: fn(&Cost) -> f64) -> Option<f64> {
        let (_, cells) = self.rows.iter().find(|(name, _)| name == case)?;
        let time = |i: usize| cells.get(i)?.as_ref()?.as_ref().ok().map(|c| figure(c).max(1e-3));
        Some(time(0)? / time(other)?)
    }

    /// Geometric mean of the ratios, and of how many.
    fn mean(&self, other: usize, figure: fn(&Cost) -> f64) -> Option<(f64, usize)> {
        let ratios: Vec<f64> = self.rows.iter().filter_map(|(name, _)| self.ratio(name, other, figure)).collect();
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
                    Some(Ok(c)) => {
                        json!({ "user_s": c.user, "system_s": c.system, "wall_s": c.wall, "resident_mib": c.resident })
                    }
                };
                row.insert(engine.clone(), value);
            }
            out.insert(name.clone(), Value::Object(row));
        }
        let mut means = Map::new();
        for (i, name) in self.engines.iter().enumerate().skip(1) {
            if let Some((mean, n)) = self.mean(i, |c| c.user) {
                means.insert(name.clone(), json!({ "user_ratio": mean, "of": n }));
            }
        }
        json!({ "cases": out, "first_engine_against": means })
    }
}
