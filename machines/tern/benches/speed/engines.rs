//! Finds what can run riscv64 programs on this machine: tern, and its peers.

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tern_interp::Dispatch;

/// Something that runs the cases.
#[derive(Default)]
pub(crate) struct Engine {
    /// Its column.
    pub(crate) name: String,
    command: Vec<String>,
    /// The option that names a sysroot.
    sysroot: Option<&'static str>,
    /// It runs the program as built for this host.
    pub(crate) native: bool,
    /// It is this project's.
    pub(crate) tern: bool,
    /// It generates code of the host.
    pub(crate) jit: bool,
    /// What it says of itself.
    pub(crate) version: String,
}

impl Engine {
    /// The command line for a program, if it can run it.
    pub(crate) fn line(&self, program: &[String], sysroot: Option<&Path>) -> Option<Vec<String>> {
        let mut line = self.command.clone();
        if let Some(dir) = sysroot {
            line.extend([self.sysroot?.to_owned(), dir.to_str()?.to_owned()]);
        }
        line.extend_from_slice(program);
        Some(line)
    }
}

/// A program of this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// tern with a dispatcher.
pub(crate) fn tern(name: &str, dispatch: &str, options: &[&str]) -> Engine {
    let command =
        [env!("CARGO_BIN_EXE_tern"), "run", "--dispatch", dispatch].into_iter().chain(options.iter().copied());
    let command = command.map(str::to_owned).collect();
    Engine { name: name.to_owned(), command, sysroot: Some("--sysroot"), tern: true, ..Engine::default() }
}

/// tern with each dispatcher, native, and the peers that are there; tern's default comes first.
pub(crate) fn find(peers: &[String]) -> anyhow::Result<Vec<Engine>> {
    let mut engines = Vec::new();
    if Dispatch::Tail.available() {
        engines.push(tern("tern", "tail", &[]));
    }
    engines.push(tern("tern-loop", "loop", &[]));
    engines.push(Engine { name: "native".to_owned(), native: true, ..Engine::default() });
    match on_path("qemu-riscv64").or_else(|| on_path("qemu-riscv64-static")) {
        Some(path) => engines.push(qemu("jit", &path, true)?),
        None => {
            println!("jit: neither qemu-riscv64 nor qemu-riscv64-static is on the PATH (package qemu-user-static)");
        }
    }
    let oracle = std::env::var_os("ORACLE_DIR").map(PathBuf::from);
    let oracle = oracle.or_else(|| Some(std::env::home_dir()?.join(".cache/tern-oracle")));
    for (name, kind) in [("jit-built", "jit"), ("tci", "tci")] {
        match oracle.as_ref().map(|dir| dir.join(kind).join("qemu-riscv64")).filter(|path| path.is_file()) {
            Some(path) => engines.push(qemu(name, &path, kind == "jit")?),
            None => println!("{name}: not built (oracle/build {kind} riscv64 of the shared folder builds it)"),
        }
    }
    for peer in peers {
        let (name, command) = peer.split_once('=').with_context(|| format!("--peer {peer}: NAME=CMD is wanted"))?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        ensure!(!name.is_empty() && !command.is_empty(), "--peer {peer}: NAME=CMD is wanted");
        ensure!(engines.iter().all(|e| e.name != name), "--peer {peer}: there is an engine {name} already");
        engines.push(Engine { name: name.to_owned(), command, ..Engine::default() });
    }
    for engine in engines.iter().filter(|e| !e.version.is_empty()) {
        println!("{}: {}", engine.name, engine.version);
    }
    Ok(engines)
}

/// A QEMU, if it can tell its version.
fn qemu(name: &str, path: &Path, jit: bool) -> anyhow::Result<Engine> {
    let told = Command::new(path).arg("--version").output().with_context(|| path.display().to_string())?;
    let version = String::from_utf8_lossy(&told.stdout).lines().next().unwrap_or_default().to_owned();
    let path = path.to_str().context("a path that is not UTF-8")?;
    // The default CPU of newer versions has vectors: the C library then picks code that QEMU is slow at.
    let command = [path, "-cpu", "rv64"].map(str::to_owned).to_vec();
    Ok(Engine { name: name.to_owned(), command, sysroot: Some("-L"), jit, version, ..Engine::default() })
}

/// Commands and versions.
pub(crate) fn json(engines: &[Engine]) -> Value {
    let row = |e: &Engine| (e.name.clone(), json!({ "command": e.command.join(" "), "version": e.version }));
    Value::Object(engines.iter().map(row).collect::<Map<_, _>>())
}
