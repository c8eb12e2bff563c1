//! The catalogue of parts.

use crate::bench::Bench;
use tern_core::device::Device;

/// What a part is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the classes")]
pub enum Class {
    Bus,
    Display,
    Firmware,
    Input,
    Interrupt,
    Misc,
    Network,
    Serial,
    Sound,
    Storage,
    Timer,
}

/// A part's row.
pub struct Part {
    /// Name in `tern list devices`, states and logs.
    pub name: &'static str,
    /// Names that QEMU's users know.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub class: Class,
    /// One line: what it is and where it is specified.
    pub about: &'static str,
    /// A typical one on a test bench, for the contract tests.
    pub sample: fn(&mut Bench) -> Box<dyn Device>,
}

/// Declares the parts of a class: their modules, each of which has a `pub static PART: Part`, and the list of them.
#[macro_export]
macro_rules! devices {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        $($(#[$meta])* pub mod $name;)*
        /// The parts of this class.
        pub(crate) static PARTS: &[&$crate::Part] = &[$(&$name::PART),*];
    };
}

/// All parts of boards, by class.
pub fn catalogue() -> impl Iterator<Item = &'static Part> {
    [
        crate::firmware::PARTS,
        crate::interrupt::PARTS,
        crate::misc::PARTS,
        crate::pci::PARTS,
        crate::serial::PARTS,
        crate::storage::PARTS,
        crate::timer::PARTS,
        crate::virtio::PARTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
