//! The programs that are compiled here, or given: kernels, the mixed program, extra programs.

use crate::engines::{Engine, on_path};
use crate::measure::{Case, Table, measure, path_text};
use crate::process::{Limits, scratch};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian cross compiler for the guest.
const CROSS: &str = "riscv64-linux-gnu-gcc";
/// As the shared benchmark compiles.
const FLAGS: [&str; 4] = ["-O2", "-static", "-pthread", "-ffp-contract=off"];
/// The program of our own that does what CoreMark does.
pub(crate) const MIXED: &str = "coremark-like";

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
        ensure!(status.context(compiler.to_owned())?.success(), "{compiler} cannot compile {}", source.display());
    }
    Ok(to)
}

/// A program from a C file, for the guest and, where there is a compiler, for the host.
fn case(name: &str, source: &Path) -> anyhow::Result<Case> {
    let guest = compile(CROSS, source, scratch().join(format!("{name}.riscv64")))?;
    let native = on_path("cc").map(|_| compile("cc", source, scratch().join(format!("{name}.native")))).transpose()?;
    Ok(Case { name: name.to_owned(), steps: vec![vec![path_text(&guest)?]], native, ..Case::default() })
}

/// Is the cross compiler there?
fn cross(part: &str) -> bool {
    let there = on_path(CROSS).is_some();
    if !there {
        println!("{part}: no {CROSS} (packages gcc-riscv64-linux-gnu libc6-dev-riscv64-cross): not compiled");
    }
    there
}

/// The kernels of the shared `bench` folder: all, or those named.
pub(crate) fn kernels(wanted: &[String]) -> anyhow::Result<Vec<Case>> {
    let Some(dir) = shared().map(|d| d.join("bench/src")).filter(|d| d.is_dir()) else {
        println!("kernels: no shared folder (TERN_SHARED, ../shared or ../../shared): not run");
        return Ok(Vec::new());
    };
    if !cross("kernels") {
        return Ok(Vec::new());
    }
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&dir)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
    sources.retain(|s| s.extension().is_some_and(|e| e == "c"));
    sources.sort();
    let stem = |s: &Path| s.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    if let Some(name) = wanted.iter().find(|w| !sources.iter().any(|s| stem(s) == **w)) {
        anyhow::bail!("there is no kernel {name} in {}", dir.display());
    }
    sources.retain(|s| wanted.is_empty() || wanted.contains(&stem(s)));
    sources.iter().map(|s| case(&stem(s), s)).collect()
}

/// The mixed program, and those of the command line: `NAME=RISCV64[:NATIVE]`, and `NAME=TEXT` of the lines to compare.
pub(crate) fn programs(given: &[String], lines: &[String]) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    if cross("programs") {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/speed/mixed.c");
        cases.push(case(MIXED, &source)?);
    }
    for program in given {
        let parts = program.split_once('=').filter(|(name, files)| !name.is_empty() && !files.is_empty());
        let (name, files) = parts.with_context(|| format!("--program {program}: NAME=FILE[:FILE] is wanted"))?;
        let (guest, native) = files.split_once(':').map_or((files, None), |(g, n)| (g, Some(n)));
        for file in [Some(guest), native].into_iter().flatten() {
            ensure!(Path::new(file).is_file(), "--program {name}: there is no file {file}");
        }
        let absolute = |file: &str| std::path::absolute(file).context(program.clone());
        let steps = vec![vec![path_text(&absolute(guest)?)?]];
        let native = native.map(absolute).transpose()?;
        cases.push(Case { name: name.to_owned(), steps, native, ..Case::default() });
    }
    for pair in lines {
        let (name, text) = pair.split_once('=').with_context(|| format!("--lines {pair}: NAME=TEXT is wanted"))?;
        let case = cases.iter_mut().find(|case| case.name == name && !text.is_empty());
        case.with_context(|| format!("--lines {pair}: there is no program {name}"))?.lines = Some(text.to_owned());
    }
    Ok(cases)
}

/// Measures compiled programs, whose user time counts.
pub(crate) fn compiled(
    title: &'static str,
    cases: &[Case],
    engines: &[Engine],
    limits: Limits,
) -> anyhow::Result<Table> {
    let table = measure(title, cases, engines, limits)?;
    table.print(|c| c.user, "user seconds");
    table.ratios();
    Ok(table)
}

/// Start-up of a static program.
pub(crate) fn hello() -> anyhow::Result<Vec<Case>> {
    if !cross("start") {
        return Ok(Vec::new());
    }
    let source = scratch().join("hello.c");
    if !source.exists() {
        std::fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"hello, world\") < 0; }\n")?;
    }
    Ok(vec![Case { short: true, ..case("hello", &source)? }])
}
