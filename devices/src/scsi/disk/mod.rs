//! Direct-access and CD/DVD units: `scsi-hd` and `scsi-cd` (SPC-4, SBC-3, MMC-6).

mod blocks;
mod identity;
mod mmc;
mod mode;
mod table;

use super::task::{Cdb, Command, Data, Expected, Failure, Task};
use super::{Sense, Unit, peripheral};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Value, Wants};
use serde::{Deserialize, Serialize};
use tern_core::backend::Block;
use tern_core::snapshot::{self, StateError, check};

/// Bytes moved at once between medium and buffers: what fits into a second-level cache.
const PIECE: usize = 256 << 10;
/// Longest serial number in bytes, as QEMU's.
const MOST_SERIAL: usize = 36;
/// Longest serial number that stands for an identification too.
const MOST_SERIAL_AS_ID: usize = 20;
/// `discard_granularity` that nobody has set.
const UNSET: u64 = u32::MAX as u64;

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: "scsi-hd",
        aliases: &[],
        class: Class::Storage,
        about: "SCSI disk (SPC-4, SBC-3): thin provisioning, caching, all sizes of commands",
        parents: &["scsi-disk-base"],
        props: HD_PROPS,
        bus: None,
        build: Build::Child(BusKind::Scsi, |wants| build(wants, Config::hd)),
    },
    Model {
        name: "scsi-cd",
        aliases: &[],
        class: Class::Storage,
        about: "SCSI CD/DVD drive (SPC-4, MMC-6): tray, lock, change of media",
        parents: &["scsi-disk-base"],
        props: CD_PROPS,
        bus: None,
        build: Build::Child(BusKind::Scsi, |wants| build(wants, Config::cd)),
    },
];

/// Declares the properties that both have, behind those of one.
macro_rules! with_common {
    ($($own:expr),* $(,)?) => {
        &[
            Prop::new("drive", PropKind::Drive, "the medium"),
            Prop::new("serial", PropKind::Text(""), "serial number"),
            Prop::new("vendor", PropKind::Text("QEMU"), "vendor in INQUIRY, 8 characters"),
            Prop::new("ver", PropKind::Text("2.5+"), "revision in INQUIRY, 4 characters"),
            Prop::new("device_id", PropKind::Text(""), "identification; unset: the serial number or the drive"),
            Prop::new("wwn", PropKind::Number(64, 0), "name of the unit (NAA)"),
            Prop::new("port_wwn", PropKind::Number(64, 0), "name of the target port (NAA)"),
            Prop::new("port_index", PropKind::Number(16, 0), "number of the target port"),
            Prop::new("scsi_version", PropKind::Signed(5), "version in INQUIRY"),
            Prop::new("max_io_size", PropKind::Number(64, 0x7fff_ffff), "most bytes of one command"),
            Prop::new("write-cache", PropKind::Choice(&["auto", "on", "off"]), "are writes cached at first"),
            Prop::new("min_io_size", PropKind::Size(0), "smallest sensible I/O in bytes"),
            Prop::new("opt_io_size", PropKind::Size(0), "best I/O in bytes"),
            Prop::new("discard_granularity", PropKind::Size(UNSET), "unit of unmapping in bytes; 0: none"),
            Prop::only("bootindex", &["*"]),
            Prop::only("backend_defaults", &["auto", "off"]),
            Prop::only("share-rw", &["off"]),
            Prop::only("account-invalid", &["auto"]),
            Prop::only("account-failed", &["auto"]),
            Prop::only("stats-intervals", &[""]),
            Prop::only("werror", &["auto", "report", "enospc"]),
            Prop::only("rerror", &["auto", "report"]),
            Prop::only("migrate-emulated-scsi-request", &["on", "off"]),
            Prop::only("quirk_mode_page_vendor_specific_apple", &["off"]),
            $($own),*
        ]
    };
}

static HD_PROPS: &[Prop] = with_common![
    Prop::new("product", PropKind::Text("QEMU HARDDISK"), "product in INQUIRY, 16 characters"),
    Prop::new("logical_block_size", PropKind::Size(512), "block size in bytes"),
    Prop::new("physical_block_size", PropKind::Size(0), "physical block size in bytes; 0: as the logical one"),
    Prop::new("removable", PropKind::Bool(false), "is the medium removable"),
    Prop::new("dpofua", PropKind::Bool(false), "does it say that it knows DPO and FUA"),
    Prop::new("max_unmap_size", PropKind::Number(64, 1 << 30), "most bytes of one UNMAP"),
    Prop::new("rotation_rate", PropKind::Number(16, 0), "turns a minute; 1: none"),
    Prop::new("cyls", PropKind::Number(32, 0), "cylinders"),
    Prop::new("heads", PropKind::Number(32, 0), "heads"),
    Prop::new("secs", PropKind::Number(32, 0), "sectors of a track"),
    Prop::only("lcyls", &["0"]),
    Prop::only("lheads", &["0"]),
    Prop::only("lsecs", &["0"]),
];

static CD_PROPS: &[Prop] = with_common![
    Prop::new("product", PropKind::Text("QEMU CD-ROM"), "product in INQUIRY, 16 characters"),
    Prop::new("physical_block_size", PropKind::Size(0), "block size in bytes; 0: 2048"),
    Prop::only("logical_block_size", &["512", "0", "2048"]),
    Prop::only("quirk_mode_page_apple_vendor", &["off"]),
    Prop::only("quirk_mode_sense_rom_use_dbd", &["off"]),
    Prop::only("quirk_mode_page_truncated", &["off"]),
];

/// Builds either.
fn build(wants: &mut Wants<'_>, config: fn(&Wants<'_>) -> Result<Config, String>) -> Result<Child, String> {
    let config = config(wants)?;
    let drive = if config.cd { wants.optional_drive("drive", 0)? } else { Some(wants.drive("drive", 0)?) };
    if drive.as_ref().is_some_and(|drive| !drive.present()) && !config.removable {
        return Err("Device needs media, but drive is empty".to_owned());
    }
    Ok(Child::new(Box::new(Disk::new(drive, config)) as Box<dyn Unit>))
}

/// What the unit looks like to the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// A CD/DVD drive, not a disk?
    pub cd: bool,
    /// Block size in bytes, a power of two from 512 to 32768.
    pub block_size: u32,
    /// Physical block size in bytes, not smaller.
    pub physical_block_size: u32,
    /// Vendor, product and revision in INQUIRY.
    pub names: [String; 3],
    /// Serial number; may be empty.
    pub serial: String,
    /// Identification; may be empty.
    pub device_id: String,
    /// Name of the unit, 0 if it has none.
    pub wwn: u64,
    /// Name of the target port, 0 if it has none.
    pub port_wwn: u64,
    /// Number of the target port, 0 if it has none.
    pub port_index: u16,
    /// Version in INQUIRY.
    pub version: u8,
    /// Is the medium removable?
    pub removable: bool,
    /// Does it say that it knows DPO and FUA?
    pub dpofua: bool,
    /// Are writes cached at first?
    pub write_cache: bool,
    /// Smallest sensible and best I/O in bytes.
    pub io_sizes: [u64; 2],
    /// Unit of unmapping in bytes; 0: nothing is unmapped.
    pub discard_granularity: u64,
    /// Most bytes of one command.
    pub max_io: u64,
    /// Most bytes of one UNMAP.
    pub max_unmap: u64,
    /// Turns a minute, 1 if it has no motor, 0 if it does not say.
    pub rotation_rate: u16,
    /// Cylinders, heads, sectors; zeros are guessed.
    pub geometry: [u32; 3],
}

impl Default for Config {
    /// A disk with blocks of 512 bytes.
    fn default() -> Config {
        Config {
            cd: false,
            block_size: 512,
            physical_block_size: 512,
            names: ["QEMU".to_owned(), "QEMU HARDDISK".to_owned(), "2.5+".to_owned()],
            serial: String::new(),
            device_id: String::new(),
            wwn: 0,
            port_wwn: 0,
            port_index: 0,
            version: 5,
            removable: false,
            dpofua: false,
            write_cache: true,
            io_sizes: [0; 2],
            discard_granularity: 4096,
            max_io: 0x7fff_ffff,
            max_unmap: 1 << 30,
            rotation_rate: 0,
            geometry: [0; 3],
        }
    }
}

/// A block size that a property gives, in bytes.
fn block_size(name: &str, bytes: u64) -> Result<u32, String> {
    let good = bytes.is_power_of_two() && (512..=32768).contains(&bytes);
    if good { Ok(bytes as u32) } else { Err(format!("{name} property must be a power of two from 512 to 32768")) }
}

impl Config {
    /// What both have.
    fn common(wants: &Wants<'_>) -> Result<Config, String> {
        let props = wants.props;
        let text = |name: &str| props.text(name).to_owned();
        let (serial, mut device_id) = (text("serial"), text("device_id"));
        if serial.len() > MOST_SERIAL {
            return Err(format!("The serial number can't be longer than {MOST_SERIAL} characters"));
        }
        if device_id.is_empty() && serial.len() > MOST_SERIAL_AS_ID {
            return Err(format!(
                "The serial number can't be longer than {MOST_SERIAL_AS_ID} characters when it is also used as the \
                 default for device_id"
            ));
        }
        if device_id.is_empty() {
            device_id = if serial.is_empty() { text("drive") } else { serial.clone() };
        }
        Ok(Config {
            names: [text("vendor"), text("product"), text("ver")],
            serial,
            device_id,
            wwn: props.number("wwn"),
            port_wwn: props.number("port_wwn"),
            port_index: props.number("port_index") as u16,
            version: u8::try_from(props.signed("scsi_version")).map_err(|_| "scsi_version property out of range")?,
            write_cache: props.text("write-cache") != "off",
            io_sizes: [props.number("min_io_size"), props.number("opt_io_size")],
            max_io: props.number("max_io_size"),
            ..Config::default()
        })
    }

    fn hd(wants: &Wants<'_>) -> Result<Config, String> {
        let props = wants.props;
        let logical = block_size("logical_block_size", props.number("logical_block_size"))?;
        let physical = match props.number("physical_block_size") {
            0 => logical,
            bytes => block_size("physical_block_size", bytes)?,
        };
        if physical < logical {
            return Err("logical_block_size > physical_block_size not supported".to_owned());
        }
        let part = |name: &str| props.number(name) as u32;
        Ok(Config {
            block_size: logical,
            physical_block_size: physical,
            removable: props.bool("removable"),
            dpofua: props.bool("dpofua"),
            discard_granularity: match props.number("discard_granularity") {
                UNSET => u64::from(logical).max(4096),
                bytes => bytes,
            },
            max_unmap: props.number("max_unmap_size"),
            rotation_rate: props.number("rotation_rate") as u16,
            geometry: [part("cyls"), part("heads"), part("secs")],
            ..Config::common(wants)?
        })
    }

    fn cd(wants: &Wants<'_>) -> Result<Config, String> {
        let size = match wants.props.number("physical_block_size") {
            0 => 2048,
            bytes => block_size("physical_block_size", bytes)?,
        };
        Ok(Config {
            cd: true,
            block_size: size,
            physical_block_size: size,
            removable: true,
            discard_granularity: 0,
            ..Config::common(wants)?
        })
    }
}

/// What is saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// Are writes cached?
    write_cache: bool,
    tray_open: bool,
    locked: bool,
    /// A medium is in the drive.
    present: bool,
    /// Size of the medium in blocks, as the guest knows it.
    blocks: u64,
    /// GET EVENT STATUS NOTIFICATION has to tell of a new medium.
    new_medium: bool,
    /// And of a user who wants the medium.
    eject_request: bool,
}

/// A disk, or a CD/DVD drive.
pub struct Disk {
    drive: Option<Box<dyn Block>>,
    config: Config,
    state: State,
    piece: Vec<u8>,
}

impl Disk {
    /// A unit with this drive; a drive for removable media may be empty.
    #[must_use]
    pub fn new(drive: Option<Box<dyn Block>>, config: Config) -> Disk {
        let state = State {
            write_cache: config.write_cache,
            tray_open: false,
            locked: false,
            present: false,
            blocks: 0,
            new_medium: false,
            eject_request: false,
        };
        let mut disk = Disk { drive, config, state, piece: Vec::new() };
        disk.state = disk.fresh();
        disk
    }

    /// The state of a new unit with the medium that is there now.
    fn fresh(&self) -> State {
        State {
            write_cache: self.config.write_cache,
            tray_open: self.config.removable && self.drive.as_ref().is_some_and(|drive| drive.tray_open()),
            locked: false,
            present: self.present(),
            blocks: self.measure(),
            new_medium: false,
            eject_request: false,
        }
    }

    fn present(&self) -> bool {
        self.drive.as_ref().is_some_and(|drive| drive.present())
    }

    /// Blocks of the medium that is there now.
    fn measure(&self) -> u64 {
        match &self.drive {
            Some(drive) if drive.present() => drive.size() / u64::from(self.config.block_size),
            _ => 0,
        }
    }

    /// The medium, if the guest can use it.
    fn medium(&mut self) -> Result<&mut dyn Block, Sense> {
        let wrong = self.no_medium();
        let ready = self.state.present && !self.state.tray_open;
        match &mut self.drive {
            Some(drive) if ready => Ok(&mut **drive),
            _ => Err(wrong),
        }
    }

    /// Why there is no medium, if there is none.
    fn no_medium(&self) -> Sense {
        if self.state.tray_open { Sense::NO_MEDIUM_TRAY_OPEN } else { Sense::NO_MEDIUM_TRAY_CLOSED }
    }

    fn ready(&self) -> bool {
        self.drive.is_some() && self.state.present && !self.state.tray_open
    }

    /// May the guest not write?
    fn read_only(&self) -> bool {
        self.config.cd || self.drive.as_ref().is_none_or(|drive| drive.read_only())
    }

    /// The guest moves the tray.
    fn move_tray(&mut self, open: bool, by_guest: bool) {
        self.state.tray_open = open;
        if let Some(drive) = &mut self.drive {
            drive.tray(open, by_guest);
        }
    }

    fn set_lock(&mut self, locked: bool) {
        self.state.locked = locked;
        if let Some(drive) = &mut self.drive {
            drive.lock(locked);
        }
    }

    fn rows(&self) -> &'static [Command<Disk>] {
        if self.config.cd { table::CD } else { table::HD }
    }

    /// The medium of a drive may have been exchanged by the user, or the user may have asked for it.
    fn exchanged(&mut self) -> Vec<Sense> {
        let request = self.drive.as_mut().and_then(|drive| drive.eject_request());
        if let Some(force) = request {
            self.state.eject_request = true;
            if force {
                self.set_lock(false);
            }
        }
        let before = self.state.clone();
        self.state.present = self.present();
        self.state.blocks = self.measure();
        self.state.tray_open = self.drive.as_ref().is_some_and(|drive| drive.tray_open());
        let now = &self.state;
        let same = (before.present, before.blocks, before.tray_open) == (now.present, now.blocks, now.tray_open);
        if same && request.is_some() {
            return Vec::new();
        }
        let (was, is) = (before.present && !before.tray_open, now.present && !now.tray_open);
        let mut attentions = Vec::new();
        if was {
            attentions.push(Sense::MEDIUM_REMOVED);
        }
        if is {
            attentions.push(Sense::MEDIUM_CHANGED);
        }
        if was || is {
            (self.state.new_medium, self.state.eject_request) = (is, false);
        }
        attentions
    }
}

impl Unit for Disk {
    fn kind(&self) -> &'static str {
        if self.config.cd { "scsi-cd" } else { "scsi-hd" }
    }

    fn peripheral(&self) -> u8 {
        if self.config.cd { peripheral::CD_DVD } else { peripheral::DISK }
    }

    fn block_size(&self) -> u32 {
        self.config.block_size
    }

    fn blocks(&self) -> u64 {
        if self.ready() { self.state.blocks } else { 0 }
    }

    fn expected(&self, cdb: &Cdb) -> Expected {
        match Command::find(self.rows(), cdb) {
            Ok(row) => row.moves.expected(cdb, u64::from(self.config.block_size)),
            Err(_) => Expected::NOTHING,
        }
    }

    fn execute(&mut self, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        let row = Command::find(self.rows(), cdb)?;
        if row.medium && !self.ready() {
            return Err(self.no_medium().into());
        }
        let expected = row.moves.expected(cdb, u64::from(self.config.block_size));
        (row.run)(self, &mut Task { cdb: *cdb, data, expected })
    }

    fn changed(&mut self) -> Vec<Sense> {
        if self.config.removable {
            return self.exchanged();
        }
        let blocks = self.measure();
        if core::mem::replace(&mut self.state.blocks, blocks) == blocks {
            return Vec::new();
        }
        vec![Sense::CAPACITY_CHANGED]
    }

    fn get(&self, property: &str) -> Option<Value> {
        match property {
            "tray-open" if self.config.removable => Some(Value::Bool(self.state.tray_open)),
            "locked" if self.config.removable => Some(Value::Bool(self.state.locked)),
            _ => None,
        }
    }

    /// The tray closes, whoever opened it, and is not locked.
    fn reset(&mut self) {
        if self.state.locked {
            self.set_lock(false);
        }
        if self.state.tray_open {
            self.move_tray(false, false);
        }
        self.state = self.fresh();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(self.kind(), 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(self.kind(), 1, bytes)?;
        let here = self.measure();
        check(state.blocks == here, "blocks", || format!("{} blocks, this medium has {here}", state.blocks))?;
        check(state.present == self.present(), "present", || "a medium is here or there, but not both".to_owned())?;
        let tray = state.tray_open || state.locked || state.new_medium || state.eject_request;
        check(self.config.removable || !tray, "tray_open", || "this unit has no tray".to_owned())?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
