//! Where firmware of others is: tern carries none.

use crate::config::Bios;
use crate::error::BoardError;
use std::path::{Path, PathBuf};

/// What runs first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// This file.
    File(PathBuf),
    /// Nothing: the kernel itself.
    Nothing,
    /// tern's own SBI; a note for people, if they did not ask for it.
    Builtin(Option<String>),
}

/// OpenSBI's generic firmware below folders of data: as QEMU installs it, as OpenSBI's own installation does.
const SHARED: [(&str, &str); 3] = [
    ("qemu/opensbi-riscv64-generic-fw_dynamic.bin", "qemu/opensbi-riscv32-generic-fw_dynamic.bin"),
    ("opensbi/lp64/generic/firmware/fw_dynamic.bin", "opensbi/ilp32/generic/firmware/fw_dynamic.bin"),
    ("opensbi/generic/fw_dynamic.bin", "opensbi/generic32/fw_dynamic.bin"),
];

/// The same where Debian's package opensbi has it.
const DEBIAN: (&str, &str) = (
    "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin",
    "/usr/lib/riscv32-linux-gnu/opensbi/generic/fw_dynamic.bin",
);

/// Where OpenSBI may be, the likeliest place first.
fn places(folders: &[PathBuf], is64: bool) -> Vec<PathBuf> {
    let pick = |pair: (&'static str, &'static str)| if is64 { pair.0 } else { pair.1 };
    let shared = SHARED.iter().flat_map(|pair| folders.iter().map(move |folder| folder.join(pick(*pair))));
    core::iter::once(PathBuf::from(pick(DEBIAN))).chain(shared).collect()
}

/// Finds what runs first.
///
/// # Errors
/// A file that is not there.
pub fn choose(bios: &Bios, is64: bool) -> Result<Chosen, BoardError> {
    choose_from(bios, is64, &tern_host::file::data_folders(), Path::exists)
}

fn choose_from(
    bios: &Bios,
    is64: bool,
    folders: &[PathBuf],
    there: impl Fn(&Path) -> bool,
) -> Result<Chosen, BoardError> {
    Ok(match bios {
        Bios::None => Chosen::Nothing,
        Bios::Builtin => Chosen::Builtin(None),
        Bios::Default => match places(folders, is64).into_iter().find(|p| there(p)) {
            Some(path) => Chosen::File(path),
            None => Chosen::Builtin(Some(
                "no OpenSBI is installed (Debian, Ubuntu, Fedora: package opensbi); using tern's own SBI".to_owned(),
            )),
        },
        Bios::File(path) if there(path) => Chosen::File(path.clone()),
        // As QEMU: a mere name may be one of its data folder.
        Bios::File(path) => {
            let bare = path.components().count() == 1;
            let found = folders.iter().map(|f| f.join("qemu").join(path)).find(|p| bare && there(p));
            Chosen::File(found.ok_or_else(|| BoardError::file("firmware", path, "no such file"))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(bios: &Bios, is64: bool, there: &[&str]) -> Result<Chosen, BoardError> {
        let folders = [PathBuf::from("/home/me/share"), PathBuf::from("/usr/share")];
        choose_from(bios, is64, &folders, |p| there.contains(&p.to_str().unwrap()))
    }

    #[test]
    fn opensbi_is_found_where_distributions_put_it() {
        let debian = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
        let qemu = "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin";
        let file = |path: &str| Ok(Chosen::File(path.into()));
        assert_eq!(chosen(&Bios::Default, true, &[qemu, debian]), file(debian));
        assert_eq!(chosen(&Bios::Default, true, &[qemu]), file(qemu));
        let narrow = "/home/me/share/opensbi/ilp32/generic/firmware/fw_dynamic.bin";
        assert_eq!(chosen(&Bios::Default, false, &[qemu, narrow]), file(narrow));
    }

    #[test]
    fn without_it_there_is_a_note() {
        let Ok(Chosen::Builtin(Some(note))) = chosen(&Bios::Default, true, &[]) else { panic!("something was found") };
        assert!(note.contains("package opensbi"));
        assert_eq!(chosen(&Bios::Builtin, true, &[]), Ok(Chosen::Builtin(None)));
        assert_eq!(chosen(&Bios::None, true, &[]), Ok(Chosen::Nothing));
    }

    #[test]
    fn files_are_looked_for_by_path_and_by_name() {
        let file = |path: &str| Bios::File(path.into());
        let there = ["/usr/share/qemu/fw.bin", "fw/fw.bin"];
        assert_eq!(chosen(&file("fw.bin"), true, &there), Ok(Chosen::File("/usr/share/qemu/fw.bin".into())));
        assert_eq!(chosen(&file("fw/fw.bin"), true, &there), Ok(Chosen::File("fw/fw.bin".into())));
        let error = chosen(&file("other/fw.bin"), true, &there).unwrap_err();
        assert_eq!(error.to_string(), "firmware other/fw.bin: no such file");
    }
}
