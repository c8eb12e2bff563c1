//! How a machine is run: what is no part of the machine itself.

use std::path::PathBuf;
use tern_session::{Items, Options};

/// How a machine is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What messages begin with: the name tern was called by.
    pub name: String,
    /// Does a machine that waits let as much host time pass as guest time?
    pub paced: bool,
    /// The engine; its log is made from `items`.
    pub engine: Options,
    /// What is logged.
    pub items: Items,
    /// Where the log goes; `None`: standard error.
    pub log_file: Option<PathBuf>,
    /// A file that holds tern's process number while the machine runs.
    pub pid_file: Option<PathBuf>,
    /// Begin with this snapshot.
    pub load: Option<PathBuf>,
    /// Write a snapshot when this many instructions have retired, or at the end.
    pub save: Option<Save>,
    /// End after this many instructions, counted from power-on.
    pub until: Option<u64>,
    /// Print position and digest whenever this many instructions have retired, and at the end.
    pub digest_every: Option<u64>,
    /// Print figures at the end.
    pub stats: bool,
}

/// A snapshot to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Save {
    /// When, in retired instructions; `None`: when the run ends.
    pub at: Option<u64>,
    /// Where to.
    pub file: PathBuf,
}

/// Words of a machine's translation cache: with four times as many Debian boots 9 % faster, and tern takes 195 MiB for itself
/// in place of 57.
const CACHE_WORDS: usize = 1 << 20;

impl RunOptions {
    /// A plain run.
    #[must_use]
    pub fn new(name: impl Into<String>) -> RunOptions {
        RunOptions {
            name: name.into(),
            paced: true,
            engine: Options { cache_words: CACHE_WORDS, ..Options::default() },
            items: Items::NONE,
            log_file: None,
            pid_file: None,
            load: None,
            save: None,
            until: None,
            digest_every: None,
            stats: false,
        }
    }
}
