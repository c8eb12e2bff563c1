//! Machines that are recorded or replayed: what their configuration becomes, and what a log has to say of it.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tern_board::bios::{self, Chosen};
use tern_board::config::{
    Bios, BoardConfig, Chardev, ClockMode, Content, FwCfgContent, RtcBase, Setup as CharSetup, Spec,
};
use tern_session::record::{Hash, Hasher};

/// What a machine's log begins with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The command line: the verb (`boot`) or emulator (`qemu-system-riscv64`), then its options.
    pub words: Vec<String>,
    /// Where it was given.
    pub folder: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The real-time clock at power-on, in nanoseconds since 1970.
    pub rtc_ns: u64,
    /// The firmware's file, if the options left it open.
    pub firmware: Option<String>,
    /// Files that were read whole.
    pub files: Vec<Used>,
    /// Media: name, size, may they not be written.
    pub drives: Vec<(String, u64, bool)>,
    /// The log has all that was used of files and media.
    pub packed: bool,
}

/// A file that was used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Its name.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its contents.
    pub hash: Hash,
}

/// Contents of a file.
///
/// # Errors
/// It cannot be read.
pub fn contents(path: &Path) -> Result<(u64, Hash), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(fail)?);
    let (mut hasher, mut size) = (Hasher::new(), 0);
    let mut buf = vec![0; 1 << 20];
    loop {
        match file.read(&mut buf).map_err(fail)? {
            0 => return Ok((size, hasher.value())),
            n => {
                hasher.update(&buf[..n]);
                size += n as u64;
            }
        }
    }
}

/// Files of a configuration that are read whole.
pub fn files(config: &mut BoardConfig) -> Vec<&mut PathBuf> {
    let mut all: Vec<&mut PathBuf> = Vec::new();
    if let Bios::File(path) = &mut config.bios {
        all.push(path);
    }
    all.extend([&mut config.kernel, &mut config.initrd, &mut config.dtb].into_iter().flatten());
    all.extend(config.fw_cfg.iter_mut().filter_map(|item| match &mut item.content {
        FwCfgContent::File(path) => Some(path),
        FwCfgContent::Bytes(_) => None,
    }));
    all
}

/// What a machine has that nothing can bring back.
fn refuse(config: &BoardConfig) -> Result<(), String> {
    let no = |what: &str| Err(format!("a machine with {what} cannot be recorded"));
    if !config.fsdevs.is_empty() {
        return no("shared folders");
    }
    if !config.tpmdevs.is_empty() {
        return no("a TPM");
    }
    if config.devices.iter().any(|d| d.driver.starts_with("vhost-user") || d.driver.starts_with("ivshmem")) {
        return no("vhost-user or ivshmem devices");
    }
    if config.netdevs.iter().any(|n| n.spec.starts_with("vhost-user")) {
        return no("vhost-user networks");
    }
    Ok(())
}

/// What recorded and replayed machines have in common: time counts instructions, and media stay as they are.
fn fix(config: &mut BoardConfig, setup: &Setup) -> Result<(), String> {
    refuse(config)?;
    if config.clock == ClockMode::Host {
        config.clock = ClockMode::Instructions { shift: None };
    }
    (config.seed, config.rtc) = (Some(setup.seed), RtcBase::At(setup.rtc_ns));
    if let Some(firmware) = &setup.firmware {
        config.bios = Bios::File(firmware.into());
    } else if config.bios == Bios::Default {
        config.bios = Bios::Builtin;
    }
    for drive in config.drives.iter_mut().filter_map(|medium| medium.drive.as_mut()) {
        drive.snapshot = drive.over.is_none() && !drive.read_only;
    }
    Ok(())
}

/// Makes a configuration one to be recorded; what the log is to say.
///
/// # Errors
/// Something in it that cannot be recorded, or a file that cannot be read.
pub fn recorded(config: &mut BoardConfig, words: Vec<String>, seed: u64, now_ns: u64) -> Result<Setup, String> {
    let folder = std::env::current_dir().map_err(|e| format!("current folder: {e}"))?;
    let is64 = config.board.contains("64");
    let firmware = match (&config.bios, bios::choose(&config.bios, is64).map_err(|e| e.to_string())?) {
        (Bios::Default, Chosen::File(path)) => Some(path.to_string_lossy().into_owned()),
        _ => None,
    };
    let rtc_ns = match config.rtc {
        RtcBase::At(ns) => ns,
        RtcBase::Utc => now_ns,
    };
    let mut setup = Setup {
        words,
        folder: folder.to_string_lossy().into_owned(),
        seed: config.seed.unwrap_or(seed),
        rtc_ns,
        firmware,
        files: Vec::new(),
        drives: Vec::new(),
        packed: false,
    };
    fix(config, &setup)?;
    for path in files(config) {
        let (size, hash) = contents(path)?;
        setup.files.push(Used { path: path.to_string_lossy().into_owned(), size, hash });
    }
    Ok(setup)
}

/// Makes a configuration that of a replay: files and media must be as they were; what the guest says goes where `output`
/// says (`None`: where it went), and nothing else is opened.
///
/// # Errors
/// A file that has changed, or cannot be read.
pub fn replayed(
    config: &mut BoardConfig,
    setup: &Setup,
    output: &dyn Fn(&Chardev) -> Option<Spec>,
) -> Result<(), String> {
    fix(config, setup)?;
    if !setup.packed {
        for used in &setup.files {
            let (size, hash) = contents(Path::new(&used.path))?;
            if (size, hash) != (used.size, used.hash) {
                return Err(format!("{} has changed since the recording", used.path));
            }
        }
    }
    for chardev in &mut config.chardevs {
        if let Some(spec) = output(chardev) {
            chardev.setup = CharSetup { spec, log: None, mux: chardev.setup.mux };
        }
    }
    for (n, netdev) in config.netdevs.iter_mut().enumerate() {
        // A hub of its own, on which nobody else is.
        (netdev.spec, netdev.dump) = (format!("hubport,hubid={n}"), None);
    }
    if setup.packed {
        for medium in &mut config.drives {
            let size = setup.drives.iter().find(|(name, ..)| *name == medium.id).map_or(0, |(_, size, _)| *size);
            if let Some(drive) = &mut medium.drive {
                (drive.content, drive.format) = (Content::Null(size), None);
            }
        }
    }
    Ok(())
}
