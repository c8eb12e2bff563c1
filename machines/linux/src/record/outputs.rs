//! What a replayed guest wrote to the output that it had inherited.

use crate::abi::structs::Iovec;
use crate::abi::{Abi, Field};
use crate::args::RawArgs;
use crate::mm::Space;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most segments of a vector (`UIO_MAXIOV`).
const IOV_MAX: u64 = 1024;
/// `F_DUPFD`, `F_SETFD`, `F_DUPFD_CLOEXEC` of guests.
const DUPFD: u64 = 0;
const SETFD: u64 = 2;
const DUPFD_CLOEXEC: u64 = 1030;
/// `O_CLOEXEC` as `dup3` takes it.
const CLOEXEC: u64 = 0o2_000_000;

/// Descriptors that lead to the inherited output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outputs {
    /// By number: 1 or 2, and closed when a program is executed.
    list: BTreeMap<u64, (u8, bool)>,
    /// Bytes that went there without passing through guest memory.
    pub(super) unseen: u64,
}

impl Default for Outputs {
    fn default() -> Outputs {
        Outputs { list: BTreeMap::from([(1, (1, false)), (2, (2, false))]), unseen: 0 }
    }
}

impl Outputs {
    /// A program was executed.
    pub(super) fn exec(&mut self) {
        self.list.retain(|_, (_, closes)| !*closes);
    }

    /// A call has returned `n`: the output that it wrote to, and which parts of memory.
    pub(super) fn call(
        &mut self,
        name: &str,
        args: &RawArgs,
        n: u64,
        abi: Abi,
        mem: &mut Space,
    ) -> Option<(u8, Vec<(u64, u64)>)> {
        let fd = args[0] & 0xffff_ffff;
        match name {
            "dup" => self.copy(fd, n, false),
            "dup3" => self.copy(fd, n, args[2] & CLOEXEC != 0),
            "fcntl" | "fcntl64" => match args[1] & 0xffff_ffff {
                DUPFD => self.copy(fd, n, false),
                DUPFD_CLOEXEC => self.copy(fd, n, true),
                SETFD => {
                    if let Some((_, closes)) = self.list.get_mut(&fd) {
                        *closes = args[2] & 1 != 0;
                    }
                }
                _ => {}
            },
            "close" => {
                self.list.remove(&fd);
            }
            // CLOSE_RANGE_CLOEXEC is 4.
            "close_range" => {
                let range = fd..=args[1] & 0xffff_ffff;
                match args[2] & 4 {
                    0 => self.list.retain(|fd, _| !range.contains(fd)),
                    _ => self.list.iter_mut().filter(|(fd, _)| range.contains(fd)).for_each(|(_, (_, c))| *c = true),
                }
            }
            "write" | "pwrite64" | "sendto" => {
                let (stream, _) = *self.list.get(&fd)?;
                return Some((stream, vec![(abi.word_of(args[1]), n)]));
            }
            "writev" | "pwritev" | "pwritev2" => {
                let (stream, _) = *self.list.get(&fd)?;
                return Some((stream, segments(abi, mem, args, n)));
            }
            "sendfile" | "sendfile64" => self.pass(fd, n),
            "splice" | "copy_file_range" => self.pass(args[2] & 0xffff_ffff, n),
            "tee" => self.pass(args[1] & 0xffff_ffff, n),
            _ => {}
        }
        None
    }

    fn copy(&mut self, from: u64, to: u64, closes: bool) {
        match self.list.get(&from).copied() {
            Some((stream, _)) => self.list.insert(to, (stream, closes)),
            None => self.list.remove(&to),
        };
    }

    fn pass(&mut self, fd: u64, n: u64) {
        if self.list.contains_key(&fd) {
            self.unseen += n;
        }
    }
}

/// The first `n` bytes of a vector.
fn segments(abi: Abi, mem: &mut Space, args: &RawArgs, n: u64) -> Vec<(u64, u64)> {
    let size = Iovec::size(abi);
    let count = abi.word_of(args[2]).min(IOV_MAX);
    let bytes = mem.bytes(abi.word_of(args[1]), count * size as u64).unwrap_or_default();
    let mut left = n;
    let rows = bytes.chunks_exact(size).map(|row| Iovec::get(row, abi));
    let parts = rows.map(|row| {
        let len = row.len.min(left);
        left -= len;
        (row.base, len)
    });
    parts.filter(|(_, len)| *len > 0).collect()
}
