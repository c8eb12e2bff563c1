//! What the log of a process holds.

use crate::args::RawArgs;
use crate::process::{ExitStatus, MemRlimits};
use crate::signal::SigInfo;
use crate::thread::Tid;
use serde::{Deserialize, Serialize};
use tern_session::record::Hash;

/// `Header::kind` of these logs.
pub const KIND: &str = "process";
/// Version of what follows.
pub const VERSION: u32 = 1;

/// The setup in a log's header: what does not depend on the program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// [`VERSION`].
    pub version: u32,
    /// The guest's ISA.
    pub isa: String,
    /// The CPU as the user chose it.
    pub cpu: Option<String>,
    /// The process's number.
    pub pid: Tid,
    /// Limits on memory.
    pub limits: MemRlimits,
    /// The end of the address space, if it is not the ISA's.
    pub reserved_va: Option<u64>,
    /// log2 of nanoseconds per instruction.
    pub shift: u8,
    /// Absolute guest paths are looked up here first: for messages.
    pub sysroot: Option<Vec<u8>>,
    /// How threads take turns: for people.
    pub schedule: String,
    /// The process was forked off another one.
    pub parent: Option<Parent>,
}

/// Where a forked process comes from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Parent {
    /// The parent's log: a file name in the same directory.
    pub log: Vec<u8>,
    /// Identity of that log.
    pub id: [u8; 16],
    /// The how many-th child, from 1.
    pub fork: u64,
    /// The position of the fork.
    pub at: u64,
}

/// An event of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Instructions that the process has retired since the item before.
    pub after: u64,
    /// What happened.
    pub what: What,
}

impl Item {
    /// The files that it refers to.
    #[must_use]
    pub fn files(&self) -> Vec<&FileRef> {
        match &self.what {
            What::Start(start) => start.program.files.iter().collect(),
            What::Call(Call { extra: Some(extra), .. }) => match &**extra {
                Extra::Map(file) => vec![file],
                Extra::Exec(program) => program.files.iter().collect(),
                Extra::Left(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum What {
    /// The process begins.
    Start(Box<Start>),
    /// From here on this thread runs.
    Thread(Tid),
    /// The call that the thread is in has ended.
    Call(Call),
    /// The call that the thread is in has written memory and goes on.
    Writes(Vec<Write>),
    /// The thread's call makes the how many-th child, from 1.
    Fork(u64),
    /// The next instruction traps or faults and raises this signal.
    Fault(SigInfo),
    /// A signal is delivered.
    Signal(Box<Signal>),
    /// Digest of all threads' registers.
    Registers(u64),
    /// The same, and the digest of memory.
    State(u64, u64),
    /// The process ends.
    Exit(Exit),
}

/// How a process begins.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// The program.
    pub program: Program,
    /// Blocked signals.
    pub mask: u64,
    /// Ignored signals.
    pub ignored: u64,
}

/// A program that is loaded, and what the kernel tells it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Its path as the guest, or a script, named it.
    pub path: Vec<u8>,
    /// Its path as it was given (`AT_EXECFN`).
    pub execfn: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub env: Vec<Vec<u8>>,
    /// The file, and its interpreter's.
    pub files: Vec<FileRef>,
    /// `AT_RANDOM`.
    pub random: [u8; 16],
    /// Users: real, effective.
    pub uid: (u32, u32),
    /// Groups: real, effective.
    pub gid: (u32, u32),
}

/// A file, or a part of one, that is mapped.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FileRef {
    /// Path as the host knew it.
    pub path: Vec<u8>,
    /// Device, major and minor.
    pub dev: (u32, u32),
    /// Inode.
    pub ino: u64,
    /// Size in bytes, if it had one.
    pub size: Option<u64>,
    /// It was opened for writing.
    pub writable: bool,
    /// What is in it.
    pub contents: Contents,
}

/// The contents of a file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Contents {
    /// The file itself, if it still has this hash.
    Whole(Hash),
    /// Blobs of the log, by their position in the file: the file could change.
    Pieces(Vec<(u64, Hash)>),
}

/// Bytes that a call has written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Write {
    /// Where.
    pub addr: u64,
    /// What.
    pub bytes: Bytes,
}

/// Bytes that are encoded as a whole.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Bytes(pub Vec<u8>);

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// A call that has ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Its number.
    pub nr: u64,
    /// The registers that it takes arguments from, as they were; the others count as zero.
    pub args: RawArgs,
    /// What it returned (an error is a negative number); `None`: it does not return.
    pub result: Option<i64>,
    /// What it wrote.
    pub writes: Vec<Write>,
    /// Where stacks grew meanwhile.
    pub grown: Vec<u64>,
    /// What else its replay needs.
    pub extra: Option<Box<Extra>>,
}

/// What the replay of a call needs besides.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Extra {
    /// The file that it maps.
    Map(FileRef),
    /// The program that it executes.
    Exec(Program),
    /// The process went on as something that cannot be recorded.
    Left(String),
}

/// A signal that is delivered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Signal {
    /// The signal.
    pub info: SigInfo,
    /// The mask that the thread's call has set until it ends.
    pub temporary_mask: Option<u64>,
    /// What becomes of the thread's call, if a handler runs.
    pub call: Ending,
}

/// What a handler does to the call that it interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ending {
    /// Nothing: there is none, or no handler runs.
    None,
    /// It returns this.
    Value(i64),
    /// The guest makes it again.
    Again,
}

/// The end of a process.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// How.
    pub status: ExitStatus,
    /// Digest of registers and of memory.
    pub digest: (u64, u64),
}
