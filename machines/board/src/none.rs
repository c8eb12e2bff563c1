//! The empty machine: CPUs that do nothing and RAM at address 0, if any are asked for.

use crate::config::{Aia, BoardConfig};
use crate::load::Symbols;
use crate::part::{Kind, Part, Parts, Range};

/// The parts.
#[must_use]
pub fn parts(config: &BoardConfig, _symbols: &Symbols) -> Parts {
    let ram = (config.memory != 0).then(|| Part::new(Kind::Ram, Range::new(0, config.memory)));
    Parts { list: ram.into_iter().collect(), aia: Aia::None, sources: 1, msi_ids: 0, guests: 0 }
}
