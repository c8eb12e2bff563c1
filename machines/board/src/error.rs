//! Why a board cannot be built as it is configured.

use core::fmt;
use std::path::{Path, PathBuf};

/// What is wrong, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BoardError {
    /// No board has this name.
    Unknown(String),
    /// The board cannot be configured like this.
    Config(String),
    /// A file cannot be used: what it is for, which, why.
    File {
        /// What it is for.
        role: &'static str,
        /// Which it is.
        path: PathBuf,
        /// Why, in one line.
        why: String,
    },
    /// Something does not fit into RAM beside the rest.
    NoRoom(String),
}

impl BoardError {
    /// A file that cannot be used.
    pub(crate) fn file(role: &'static str, path: &Path, why: impl fmt::Display) -> BoardError {
        BoardError::File { role, path: path.to_owned(), why: why.to_string() }
    }
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoardError::Unknown(name) => write!(f, "no board is called `{name}`; see tern list boards"),
            BoardError::Config(why) | BoardError::NoRoom(why) => f.write_str(why),
            BoardError::File { role, path, why } => write!(f, "{role} {}: {why}", path.display()),
        }
    }
}

impl core::error::Error for BoardError {}
