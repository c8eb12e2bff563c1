//! Logs of machines: made when a run is recorded, read when it is replayed.

use crate::boot;
use crate::failure::plain;
use clap::Parser;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tern_board::BoardConfig;
use tern_board::config::{Chardev, Spec};
use tern_board::host::Host;
use tern_control::qemu::{self, Command};
use tern_control::record::{Setup, files, recorded, replayed};
use tern_control::run::{RunOptions, TapeOption};
use tern_core::codec;
use tern_host::{clock, entropy};
use tern_session::machine::tape::{Item, Player, Recorder, Tape};
use tern_session::record::{Header, Reader, Writer};

/// What the header of a machine's log says that it is.
pub(crate) const KIND: &str = "machine";

/// The options of `tern boot`, apart from tern's others.
#[derive(Parser)]
#[command(name = "tern boot", no_binary_name = true)]
struct Boot {
    #[command(flatten)]
    args: boot::Args,
}

/// The machine that a command line makes: a verb or an emulator's name, and its options.
pub(crate) fn machine_of(words: &[String]) -> anyhow::Result<(BoardConfig, RunOptions)> {
    match words.split_first() {
        Some((verb, rest)) if verb == "boot" => boot::machine_of(Boot::try_parse_from(rest)?.args),
        Some((name, rest)) if name.starts_with("qemu-system-") => {
            let rest: Vec<std::ffi::OsString> = rest.iter().map(Into::into).collect();
            match qemu::parse(name, &rest) {
                Ok(Command::Run(config, options)) => Ok((*config, *options)),
                Ok(Command::Print(_)) => anyhow::bail!("these options run nothing"),
                Err(refusal) => anyhow::bail!(refusal.0),
            }
        }
        _ => anyhow::bail!("run, boot or qemu-system-ISA is wanted, and its options"),
    }
}

/// A log, opened.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) setup: Setup,
    pub(crate) reader: Reader<Item>,
}

/// What is wrong with a log, in one line.
pub(crate) fn bad(path: &Path, why: impl core::fmt::Display) -> String {
    format!("{}: {}", path.display(), plain(&why.to_string()))
}

impl Log {
    /// Opens the log of a machine.
    pub(crate) fn open(path: &Path) -> Result<Log, String> {
        let file = File::open(path).map_err(|e| bad(path, e))?;
        let reader = Reader::new(Box::new(BufReader::new(file))).map_err(|e| bad(path, e))?;
        let header = reader.header().clone();
        if header.kind != KIND {
            return Err(bad(path, format_args!("this is the log of a {}, not of a machine", header.kind)));
        }
        if header.tern != env!("CARGO_PKG_VERSION") {
            return Err(bad(
                path,
                format_args!("tern {} made it, this is tern {}", header.tern, env!("CARGO_PKG_VERSION")),
            ));
        }
        let setup = codec::decode(&header.setup).map_err(|e| bad(path, format_args!("its header: {e}")))?;
        Ok(Log { path: path.to_owned(), header, setup, reader })
    }

    /// The machine that was recorded, as its command line has it.
    pub(crate) fn machine(&self) -> Result<(BoardConfig, RunOptions), String> {
        // Names of files are relative to where the command line was given.
        let there = std::env::set_current_dir(&self.setup.folder);
        if let (false, Err(e)) = (self.setup.packed, there) {
            return Err(bad(Path::new(&self.setup.folder), e));
        }
        machine_of(&self.setup.words).map_err(|e| bad(&self.path, format_args!("its command line: {e:#}")))
    }
}

/// What is recorded or replayed in a run.
pub(crate) enum Session {
    None,
    Record { file: PathBuf, setup: Box<Setup> },
    Replay { player: Player, packed: bool, _files: Option<Folder> },
}

impl Session {
    /// Makes `config` one to be recorded or replayed, as the options say.
    pub(crate) fn open(config: &mut BoardConfig, options: &RunOptions) -> Result<Session, String> {
        match &options.tape {
            TapeOption::None => Ok(Session::None),
            TapeOption::Record { file, words } => {
                if options.load.is_some()
                    || options.loadvm.is_some()
                    || options.incoming.is_some()
                    || options.qtest.is_some()
                {
                    return Err("a recording begins at power-on, without snapshots, migration and qtest".to_owned());
                }
                let mut seed = [0; 8];
                entropy::fill(&mut seed).map_err(|e| format!("entropy: {e}"))?;
                let now = u64::try_from(clock::realtime_ns()).unwrap_or(0);
                let setup = recorded(config, words.clone(), u64::from_le_bytes(seed), now)?;
                Ok(Session::Record { file: file.clone(), setup: Box::new(setup) })
            }
            TapeOption::Replay { file, output, .. } => {
                let Log { reader, setup, .. } = Log::open(file)?;
                let (player, packed) = (Player::new(reader), setup.packed);
                let is_monitor = |chardev: &Chardev| {
                    let id = &chardev.id;
                    options.monitors.iter().any(|m| m.chardev == *id) || options.gdb.as_ref() == Some(id)
                };
                let output = |chardev: &Chardev| match chardev.setup.spec {
                    _ if is_monitor(chardev) => None,
                    Spec::Stdio { .. } if *output => {
                        Some(Spec::File { path: "/dev/stdout".into(), append: true, input: None })
                    }
                    _ => Some(Spec::Null),
                };
                replayed(config, &setup, &output)?;
                let unpacked = packed.then(|| Folder::unpack(config, &setup, &player)).transpose()?;
                Ok(Session::Replay { player, packed, _files: unpacked })
            }
        }
    }

    /// The backends are there: the log begins.
    pub(crate) fn begin(&self, host: &Host) -> Result<Tape, String> {
        match self {
            Session::None => Ok(Tape::None),
            Session::Replay { player, .. } => Ok(Tape::Replay(player.clone())),
            Session::Record { file, setup } => {
                let mut setup = setup.clone();
                setup.drives = host.world().blocks.media();
                let mut id = [0; 16];
                entropy::fill(&mut id).map_err(|e| format!("entropy: {e}"))?;
                let header = Header {
                    id,
                    tern: env!("CARGO_PKG_VERSION").to_owned(),
                    kind: KIND.to_owned(),
                    title: setup.words.join(" "),
                    date_ns: setup.rtc_ns,
                    setup: codec::encode(&*setup).map_err(|e| e.to_string())?,
                };
                let out = File::create(file).map_err(|e| bad(file, e))?;
                let writer = Writer::new(Box::new(out), &header).map_err(|e| bad(file, e))?;
                Ok(Tape::Record(Recorder::new(writer)))
            }
        }
    }

    /// Does the log have all that was used of files and media?
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Session::Replay { packed: true, .. })
    }
}

/// A folder that is there as long as this is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Puts the files of a packed log into a folder, and lets the configuration name them there.
    fn unpack(config: &mut BoardConfig, setup: &Setup, player: &Player) -> Result<Folder, String> {
        let folder = Folder(std::env::temp_dir().join(format!("tern-replay-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).map_err(|e| bad(&folder.0, e))?;
        for (n, (path, used)) in files(config).into_iter().zip(&setup.files).enumerate() {
            let contents = player.blob(&used.hash).map_err(|e| e.to_string())?;
            let contents = contents.ok_or_else(|| format!("the log lacks {}", used.path))?;
            *path = folder.0.join(n.to_string());
            std::fs::write(&*path, contents).map_err(|e| bad(path, e))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is below the folder for temporary things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
