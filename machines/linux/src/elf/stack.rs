//! The initial stack: strings, auxiliary vector, environment, arguments (fs/binfmt_elf.c, `create_elf_tables`).

use super::loader::LoadedProgram;
use super::{LoadError, Phdr32, Phdr64, Reason};
use crate::abi::flags::Map;
use crate::abi::{Field, ULong};
use crate::config::CpuModel;
use crate::isa::Isa;
use crate::mm::map::Request;
use crate::mm::vma::{Name, Perm};
use crate::mm::{Space, page_up};
use tern_core::mem::PAGE_SIZE;
use tern_host::sys::cred::Ids;

/// Types of entries of the auxiliary vector (linux/auxvec.h).
pub mod at {
    #![allow(missing_docs, reason = "the kernel's names")]
    pub const NULL: u64 = 0;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const PAGESZ: u64 = 6;
    pub const BASE: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const UID: u64 = 11;
    pub const EUID: u64 = 12;
    pub const GID: u64 = 13;
    pub const EGID: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const HWCAP: u64 = 16;
    pub const CLKTCK: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const HWCAP2: u64 = 26;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
    pub const MINSIGSTKSZ: u64 = 51;
}

/// Longest single argument (`MAX_ARG_STRLEN`).
const ARG_MAX: usize = 32 * PAGE_SIZE as usize;
/// Stack that is mapped besides the arguments (`stack_expand`); the rest grows when it is touched.
const EXPAND: u64 = 128 << 10;

/// What the stack is made from.
pub struct StackRequest<'a> {
    /// The guest.
    pub isa: &'static Isa,
    /// Its CPU.
    pub model: &'a CpuModel,
    /// What was loaded.
    pub loaded: &'a LoadedProgram,
    /// Address of the vDSO.
    pub vdso: u64,
    /// Path of the program as it was given.
    pub execfn: &'a [u8],
    /// Arguments.
    pub argv: &'a [Vec<u8>],
    /// Environment.
    pub env: &'a [Vec<u8>],
    /// Users: real, effective.
    pub uid: Ids,
    /// Groups: real, effective.
    pub gid: Ids,
    /// 16 random bytes for `AT_RANDOM`.
    pub random: [u8; 16],
}

/// A finished stack.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// Stack pointer: `argc` is there.
    pub sp: u64,
    /// The auxiliary vector's bytes.
    pub auxv: Vec<u8>,
    /// The arguments' strings: start and end.
    pub args: (u64, u64),
    /// The environment's strings: start and end.
    pub envs: (u64, u64),
}

/// Maps the stack and fills it.
///
/// # Errors
/// Arguments that are too long; no memory.
pub fn build(space: &mut Space, request: &StackRequest<'_>) -> Result<Stack, LoadError> {
    let fail = |reason| LoadError::new(request.execfn, reason);
    let abi = request.isa.abi;
    let strings: u64 = request.argv.iter().chain(request.env).map(|s| s.len() as u64 + 1).sum();
    let pointers = (request.argv.len() + request.env.len()) as u64 * abi.word_bytes() as u64;
    // fs/exec.c: a quarter of the stack, at most three quarters of 8 MiB, at least 128 KiB.
    let limit = (space.limits.stack / 4).min(6 << 20).max(ARG_MAX as u64);
    let longest = request.argv.iter().chain(request.env).map(Vec::len).max().unwrap_or(0);
    if longest >= ARG_MAX || strings + pointers > limit {
        return Err(fail(Reason::ArgumentsTooLong));
    }
    let need = strings + 2 * pointers + request.execfn.len() as u64 + 4096;
    let top = space.layout().task_size - PAGE_SIZE;
    let len = page_up(need + EXPAND).unwrap_or(need).min(page_up(space.limits.stack.max(need)).unwrap_or(need));
    let perm = Perm { exec: request.loaded.exec_stack, ..Perm::RW };
    let area = Request {
        addr: top - len,
        len,
        perm,
        flags: Map::MAP_FIXED_NOREPLACE | Map::MAP_GROWSDOWN,
        shared: false,
        file: None,
        name: Name::Stack,
    };
    space.mmap(&area).map_err(|e| fail(Reason::Os(e)))?;
    fill(space, request, top).map_err(|e| fail(Reason::Os(e)))
}

fn fill(space: &mut Space, request: &StackRequest<'_>, top: u64) -> Result<Stack, crate::abi::Errno> {
    let abi = request.isa.abi;
    let mut p = top - abi.word_bytes() as u64;
    let mut push = |space: &mut Space, bytes: &[u8], terminate: bool| {
        p -= bytes.len() as u64 + u64::from(terminate);
        space.put_bytes(p, bytes)?;
        Ok::<u64, crate::abi::Errno>(p)
    };
    let execfn = push(space, request.execfn, true)?;
    let mut strings = |space: &mut Space, list: &[Vec<u8>]| {
        let mut at = list.iter().rev().map(|s| push(space, s, true)).collect::<Result<Vec<u64>, _>>()?;
        at.reverse();
        Ok::<Vec<u64>, crate::abi::Errno>(at)
    };
    let env = strings(space, request.env)?;
    let argv = strings(space, request.argv)?;
    let args = (argv.first().copied().unwrap_or(execfn), env.first().copied().unwrap_or(execfn));
    let platform = request.isa.platform.map(|name| push(space, name.as_bytes(), true)).transpose()?;
    let random = push(space, &request.random, false)?;
    let auxv = auxv(request, Strings { execfn, platform, random });
    let mut words = vec![argv.len() as u64];
    words.extend(&argv);
    words.push(0);
    words.extend(&env);
    words.push(0);
    words.extend(auxv.iter().flat_map(|(k, v)| [*k, *v]));
    let size = words.len() as u64 * abi.word_bytes() as u64;
    let sp = (random - size) & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|w| ULong::to_bytes(w, abi)).collect();
    space.put_bytes(sp, &bytes)?;
    let auxv_bytes = auxv.len() * 2 * abi.word_bytes();
    Ok(Stack { sp, auxv: bytes[bytes.len() - auxv_bytes..].to_vec(), args, envs: (args.1, execfn) })
}

/// Where the strings that the auxiliary vector names lie.
struct Strings {
    execfn: u64,
    platform: Option<u64>,
    random: u64,
}

fn auxv(request: &StackRequest<'_>, strings: Strings) -> Vec<(u64, u64)> {
    let isa = request.isa;
    let program = &request.loaded.program;
    let [hwcap, hwcap2] = request.model.hwcap;
    let phent = if isa.abi.is64() { Phdr64::size(isa.abi) } else { Phdr32::size(isa.abi) };
    let mut list = vec![
        (at::SYSINFO_EHDR, request.vdso),
        (at::MINSIGSTKSZ, (isa.min_sigstack)(&request.model.isa_string)),
        (at::HWCAP, hwcap),
        (at::PAGESZ, PAGE_SIZE),
        (at::CLKTCK, tern_host::sys::proc::clock_ticks()),
        (at::PHDR, program.phdr),
        (at::PHENT, phent as u64),
        (at::PHNUM, program.phnum),
        (at::BASE, request.loaded.interpreter.map_or(0, |i| i.bias)),
        (at::FLAGS, 0),
        (at::ENTRY, program.entry),
        (at::UID, u64::from(request.uid.real)),
        (at::EUID, u64::from(request.uid.effective)),
        (at::GID, u64::from(request.gid.real)),
        (at::EGID, u64::from(request.gid.effective)),
        // tern itself is not set-user-id, and execve of a guest program does not make it so.
        (at::SECURE, 0),
        (at::RANDOM, strings.random),
        (at::HWCAP2, hwcap2),
        (at::EXECFN, strings.execfn),
    ];
    if let Some(platform) = strings.platform {
        list.push((at::PLATFORM, platform));
    }
    list.push((at::NULL, 0));
    list
}
