//! Cold code: short runs of big programs in the Debian trees of the shared folder's `guests/get`.
//!
//! Nothing here starts another program, since an emulator without binfmt_misc cannot follow: a compilation is its steps one
//! by one, and costs their sum.

use crate::engines::on_path;
use crate::measure::{Case, path_text};
use crate::process::scratch;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The compilation's row.
const GCC: &str = "gcc -c";
/// Git's row.
const STATUS: &str = "git status";
/// The rows for which there is a goal.
pub(crate) const GOALS: [&str; 4] = ["python3", "python3-imports", GCC, STATUS];

/// What the compiler gets: small, but with headers.
const SOURCE: &str = "#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry { char *word; unsigned count; struct entry *next; };
static struct entry *table[256];

static unsigned hash(const char *s)
{
	unsigned h = 0;
	while (*s)
		h = h * 31 + (unsigned char)*s++;
	return h & 255;
}

static struct entry *look_up(const char *word)
{
	struct entry **at = &table[hash(word)];
	for (; *at; at = &(*at)->next)
		if (strcmp((*at)->word, word) == 0)
			return *at;
	*at = calloc(1, sizeof **at);
	(*at)->word = strdup(word);
	return *at;
}

int main(void)
{
	char word[64];
	while (scanf(\"%63s\", word) == 1)
		look_up(word)->count++;
	for (int i = 0; i < 256; i++)
		for (struct entry *e = table[i]; e; e = e->next)
			printf(\"%u %s\\n\", e->count, e->word);
	return 0;
}
";

/// A tree of the shared folder's `guests/get`, if it is there.
fn tree(name: &str) -> Option<PathBuf> {
    let guests = std::env::var_os("GUESTS_DIR").map(PathBuf::from);
    let guests = guests.or_else(|| Some(std::env::home_dir()?.join(".cache/tern-guests")));
    let found = guests.map(|dir| dir.join(name)).filter(|dir| dir.join("MANIFEST").is_file());
    if found.is_none() {
        println!("cold: no {name} (guests/get {name} of the shared folder fetches it)");
    }
    found
}

/// All cases of the trees that are there.
pub(crate) fn cases() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    if let Some(sysroot) = tree("sysroot-riscv64") {
        cases.extend(scripts(&sysroot)?);
    }
    if let Some(sysroot) = tree("toolchain-riscv64") {
        for (name, case) in [(GCC, compilation(&sysroot)), (STATUS, status(&sysroot))] {
            match case {
                Ok(case) => cases.push(Case { name: name.to_owned(), sysroot: Some(sysroot.clone()), ..case }),
                Err(e) => println!("cold: {name}: not run: {e:#}"),
            }
        }
    }
    Ok(cases)
}

/// A program of a tree with arguments.
fn step(sysroot: &Path, program: &str, args: &[&str]) -> anyhow::Result<Vec<String>> {
    let file = path_text(&sysroot.join(program))?;
    Ok([file].into_iter().chain(args.iter().map(|s| (*s).to_owned())).collect())
}

/// Interpreters that run a line.
fn scripts(sysroot: &Path) -> anyhow::Result<Vec<Case>> {
    let imports = "import json, re, argparse, subprocess; print(json.dumps(re.findall('e.', 'eerie')))";
    let programs: [(&str, &str, &[&str]); 5] = [
        ("python3", "usr/bin/python3", &["-c", "pass"]),
        ("python3-imports", "usr/bin/python3", &["-c", imports]),
        ("perl", "usr/bin/perl", &["-e", "print join(',', map { $_ * $_ } grep { $_ % 3 } 1 .. 20), \"\\n\""]),
        ("bash", "usr/bin/bash", &["-c", "for i in {1..20}; do s=$((s + i)); done; echo $s"]),
        (
            "sqlite3",
            "usr/bin/sqlite3",
            &[":memory:", "create table t(x); insert into t values(6),(7); select sum(x*x) from t"],
        ),
    ];
    // The tree has no compiled modules, an installed Debian has: they are made in the first run, which does not count.
    let env = vec![("PYTHONPYCACHEPREFIX".to_owned(), path_text(&scratch().join("pycache"))?)];
    let mut cases = Vec::new();
    for (name, program, args) in programs {
        if !sysroot.join(program).is_file() {
            println!("cold: the sysroot has no {program}");
            continue;
        }
        let steps = vec![step(sysroot, program, args)?];
        let case = Case { name: name.to_owned(), steps, sysroot: Some(sysroot.to_owned()), ..Case::default() };
        cases.push(Case { env: env.clone(), warm: true, ..case });
    }
    Ok(cases)
}

/// The only folder in another.
fn only(dir: &Path) -> anyhow::Result<PathBuf> {
    let entries: Vec<_> =
        std::fs::read_dir(dir).with_context(|| dir.display().to_string())?.collect::<Result<_, _>>()?;
    ensure!(entries.len() == 1, "{}: {} entries, not one", dir.display(), entries.len());
    Ok(entries[0].path())
}

/// `gcc -c` of a small file as what it consists of: the driver (which only says what it would start), cc1, as.
fn compilation(sysroot: &Path) -> anyhow::Result<Case> {
    let libexec = only(&sysroot.join("usr/libexec/gcc/riscv64-linux-gnu"))?;
    let version = libexec.file_name().and_then(|n| n.to_str()).context("gcc's version")?;
    let gcc = sysroot.join("usr/lib/gcc/riscv64-linux-gnu").join(version).join("include");
    let include = sysroot.join("usr/include");
    let [source, assembly, object] = ["words.c", "words.s", "words.o"].map(|name| scratch().join(name));
    std::fs::write(&source, SOURCE)?;
    let (source, assembly) = (path_text(&source)?, path_text(&assembly)?);
    let output = path_text(&object)?;
    let isa = ["-march=rv64gc", "-mabi=lp64d"];
    let system = [gcc, include.join("riscv64-linux-gnu"), include];
    let mut cc1 = vec![path_text(&libexec.join("cc1"))?];
    cc1.extend(["-quiet", "-nostdinc"].iter().chain(&isa).map(|s| (*s).to_owned()));
    for dir in &system {
        cc1.extend(["-isystem".to_owned(), path_text(dir)?]);
    }
    cc1.extend([source.clone(), "-o".to_owned(), assembly.clone()]);
    let driver = step(sysroot, "usr/bin/gcc", &["-###", "-c", &source, "-o", &output])?;
    let assembler = step(sysroot, "usr/bin/as", &[isa[0], isa[1], "-o", &output, &assembly])?;
    Ok(Case { steps: vec![driver, cc1, assembler], makes: Some(object), ..Case::default() })
}

/// `git status` in a repository of 60 files, three of them changed, which this host's git makes.
fn status(sysroot: &Path) -> anyhow::Result<Case> {
    let git = on_path("git").context("no git on this host, to make a repository")?;
    let repository = scratch().join("repository");
    let none = "/dev/null".to_owned();
    let env: Vec<(String, String)> = [
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_CONFIG_GLOBAL", none),
        ("GIT_OPTIONAL_LOCKS", "0".to_owned()),
        ("HOME", path_text(scratch())?),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if repository.exists() {
        std::fs::remove_dir_all(&repository)?;
    }
    std::fs::create_dir_all(&repository)?;
    for i in 0..60 {
        let dir = repository.join(format!("d{}", i % 6));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(format!("file{i}")), format!("text of file {i}\n").repeat(20))?;
    }
    let user = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let make: [&[&str]; 3] = [
        &["init", "-q", "--template=", "-b", "main"],
        &["add", "."],
        &["commit", "-q", "--no-gpg-sign", "-m", "first"],
    ];
    for args in make {
        let mut command = Command::new(&git);
        command.arg("-C").arg(&repository).args(user).args(args).envs(env.iter().cloned());
        let status = command.stdin(Stdio::null()).status().context("git")?;
        ensure!(status.success(), "this host's git {} failed", args[0]);
    }
    for i in [7, 20, 33] {
        std::fs::write(repository.join(format!("d{}/file{i}", i % 6)), "changed\n")?;
    }
    let steps = vec![step(sysroot, "usr/bin/git", &["-C", &path_text(&repository)?, "status"])?];
    Ok(Case { steps, env, ..Case::default() })
}
