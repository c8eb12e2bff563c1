//! Finds what can run riscv64 programs on this machine: tern, and its peers.

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use tern_interp::Dispatch;

/// Something that runs the cases.
pub(crate) struct Engine {
    /// Its column.
    pub(crate) name: String,
    command: Vec<String>,
    /// The option that names a sysroot.
    sysroot: Option<&'static str>,
    /// It runs the program as built for this host.
    pub(crate) native: bool,
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

/// tern with each dispatcher, native, and the peers that are there; tern's default comes first.
pub(crate) fn find(peers: &[String]) -> anyhow::Result<Vec<Engine>> {
    let tern = |name: &str, dispatch: &str| {
        let command = [env!("CARGO_BIN_EXE_tern"), "run", "--dispatch", dispatch].map(str::to_owned).to_vec();
        Engine { name: name.to_owned(), command, sysroot: Some("--sysroot"), native: false }
    };
    let mut engines = Vec::new();
    if Dispatch::Tail.available() {
        engines.push(tern("tern", "tail"));
    }
    engines.push(tern("tern-loop", "loop"));
    engines.push(Engine { name: "native".to_owned(), command: Vec::new(), sysroot: None, native: true });
    match on_path("qemu-riscv64").or_else(|| on_path("qemu-riscv64-static")) {
        Some(path) => engines.push(qemu("qemu", &path)?),
        None => {
            println!("qemu: neither qemu-riscv64 nor qemu-riscv64-static is on the PATH (package qemu-user-static)")
        }
    }
    let oracle = std::env::var_os("ORACLE_DIR").map(PathBuf::from);
    let oracle = oracle.or_else(|| Some(std::env::home_dir()?.join(".cache/tern-oracle")));
    match oracle.map(|dir| dir.join("tci/qemu-riscv64")).filter(|path| path.is_file()) {
        Some(path) => engines.push(qemu("tci", &path)?),
        None => println!("tci: not built (oracle/build tci riscv64 of the shared folder builds it)"),
    }
    for peer in peers {
        let (name, command) = peer.split_once('=').with_context(|| format!("--peer {peer}: NAME=CMD is wanted"))?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        ensure!(!name.is_empty() && !command.is_empty(), "--peer {peer}: NAME=CMD is wanted");
        engines.push(Engine { name: name.to_owned(), command, sysroot: None, native: false });
    }
    Ok(engines)
}

fn qemu(name: &str, path: &Path) -> anyhow::Result<Engine> {
    let path = path.to_str().context("a path that is not UTF-8")?.to_owned();
    Ok(Engine { name: name.to_owned(), command: vec![path], sysroot: Some("-L"), native: false })
}
