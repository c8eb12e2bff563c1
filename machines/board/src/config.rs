//! What a machine is made of, as plain data: `tern boot` and the QEMU-style command line fill it, boards read it.

use std::path::PathBuf;
pub use tern_host::chardev::{Setup, Spec};

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardConfig {
    /// ISA and board, as in `tern list boards`: `riscv64/virt`.
    pub board: String,
    /// How many CPUs, and how they are grouped.
    pub smp: Smp,
    /// RAM in bytes.
    pub memory: u64,
    /// CPU model and properties; `None`: the board's own.
    pub cpu: Option<String>,
    /// What runs first.
    pub bios: Bios,
    /// What the firmware starts.
    pub kernel: Option<PathBuf>,
    /// First root file system of a Linux kernel.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub append: String,
    /// A device tree instead of the board's own.
    pub dtb: Option<PathBuf>,
    /// Where to write the device tree; the machine is not started then.
    pub dump_dtb: Option<PathBuf>,
    /// Media, by name.
    pub drives: Vec<Medium>,
    /// Network backends, by name.
    pub netdevs: Vec<Netdev>,
    /// Character devices, by name.
    pub chardevs: Vec<Chardev>,
    /// TPMs, by name.
    pub tpmdevs: Vec<Tpmdev>,
    /// Shared folders, by name.
    pub fsdevs: Vec<Fsdev>,
    /// Where sound cards play, by name: nowhere.
    pub audiodevs: Vec<String>,
    /// Objects that users make: sources of entropy, memory, ...
    pub objects: Vec<Object>,
    /// Devices that are added to the board's own, in this order.
    pub devices: Vec<DeviceConfig>,
    /// Serial ports: the character devices behind the board's first, and so on.  A board that has more leaves the rest open.
    pub serials: Vec<Option<String>>,
    /// Parallel flash banks: the names of their media.
    pub flash: [Option<String>; 2],
    /// The object that is the board's RAM; `None`: it has its own.
    pub memory_object: Option<String>,
    /// Values of properties for all devices of a type: type, property, value.
    pub globals: Vec<(String, String, String)>,
    /// Items of the fw_cfg device beyond the board's own.
    pub fw_cfg: Vec<FwCfgItem>,
    /// The real-time clock at power-on.
    pub rtc: RtcBase,
    /// What guest time follows.
    pub clock: ClockMode,
    /// Seed of everything random that the machine itself makes (`rng-seed` of the device tree, entropy of seeded
    /// devices); `None`: the host's entropy.
    pub seed: Option<u64>,
    /// What the machine says its identity is, where it has a place to say it.
    pub uuid: Option<[u8; 16]>,
    /// What only some boards know.
    pub options: BoardOptions,
}

impl BoardConfig {
    /// The named board with one CPU and 128 MiB, as QEMU's default.
    #[must_use]
    pub fn new(board: impl Into<String>) -> BoardConfig {
        BoardConfig {
            board: board.into(),
            smp: Smp::default(),
            memory: 128 << 20,
            cpu: None,
            bios: Bios::Default,
            kernel: None,
            initrd: None,
            append: String::new(),
            dtb: None,
            dump_dtb: None,
            drives: Vec::new(),
            netdevs: Vec::new(),
            chardevs: Vec::new(),
            tpmdevs: Vec::new(),
            fsdevs: Vec::new(),
            audiodevs: Vec::new(),
            objects: Vec::new(),
            devices: Vec::new(),
            serials: Vec::new(),
            flash: [None, None],
            memory_object: None,
            globals: Vec::new(),
            fw_cfg: Vec::new(),
            rtc: RtcBase::Utc,
            clock: ClockMode::Instructions { shift: None },
            seed: None,
            uuid: None,
            options: BoardOptions::default(),
        }
    }
}

/// CPUs: there are `sockets * cores * threads` of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Smp {
    /// All CPUs.
    pub cpus: u32,
    /// Sockets.
    pub sockets: u32,
    /// Cores of a socket.
    pub cores: u32,
    /// Threads of a core.
    pub threads: u32,
}

impl Default for Smp {
    fn default() -> Smp {
        Smp { cpus: 1, sockets: 1, cores: 1, threads: 1 }
    }
}

impl Smp {
    /// From what was given; the rest follows: cores before sockets before threads, as QEMU prefers since its version 6.2.
    ///
    /// # Errors
    /// Numbers that are zero or do not multiply up, in one line.
    pub fn new(
        cpus: Option<u32>,
        sockets: Option<u32>,
        cores: Option<u32>,
        threads: Option<u32>,
    ) -> Result<Smp, String> {
        if [cpus, sockets, cores, threads].contains(&Some(0)) {
            return Err("a number of CPUs, sockets, cores or threads is 0".to_owned());
        }
        let given = |n: Option<u32>| n.unwrap_or(1);
        let product =
            |a: u32, b: u32, c: u32| a.checked_mul(b).and_then(|n| n.checked_mul(c)).ok_or("too many CPUs".to_owned());
        let smp = match (cpus, cores, sockets) {
            (None, ..) => {
                let cpus = product(given(sockets), given(cores), given(threads))?;
                Smp { cpus, sockets: given(sockets), cores: given(cores), threads: given(threads) }
            }
            (Some(cpus), None, _) => {
                let rest = product(given(sockets), given(threads), 1)?;
                Smp { cpus, sockets: given(sockets), cores: cpus / rest, threads: given(threads) }
            }
            (Some(cpus), Some(cores), None) => {
                Smp { cpus, sockets: cpus / product(cores, given(threads), 1)?, cores, threads: given(threads) }
            }
            (Some(cpus), Some(cores), Some(sockets)) => {
                let rest = product(sockets, cores, 1)?;
                Smp { cpus, sockets, cores, threads: threads.unwrap_or(cpus / rest) }
            }
        };
        if product(smp.sockets, smp.cores, smp.threads)? != smp.cpus {
            let Smp { cpus, sockets, cores, threads } = smp;
            return Err(format!("{sockets} sockets of {cores} cores of {threads} threads are not {cpus} CPUs"));
        }
        Ok(smp)
    }
}

/// What runs first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bios {
    /// The firmware of the board where distributions install it; else, with a note, tern's own.
    Default,
    /// Nothing: the kernel starts in the CPU's first mode.
    None,
    /// tern's own.
    Builtin,
    /// A file, or the name of one where distributions install firmware.
    File(PathBuf),
}

/// A device that is added to a board.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceConfig {
    /// Its type's name or an alias.
    pub driver: String,
    /// The name that it goes by.
    pub id: Option<String>,
    /// The bus that it plugs into; `None`: the first that fits.
    pub bus: Option<String>,
    /// Its properties, as text.
    pub props: Vec<(String, String)>,
}

impl DeviceConfig {
    /// A device of this type.
    #[must_use]
    pub fn new(driver: impl Into<String>) -> DeviceConfig {
        DeviceConfig { driver: driver.into(), ..DeviceConfig::default() }
    }

    /// With a property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> DeviceConfig {
        self.props.push((name.to_owned(), value.into()));
        self
    }
}

/// How a virtio device is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// The board's first choice: memory-mapped while there are slots for it.
    #[default]
    Any,
    /// A memory-mapped slot.
    Mmio,
    /// A PCI function.
    Pci,
}

/// What a medium's bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A file or block device.
    File(PathBuf),
    /// Nothing: this many bytes that read as zeros, whatever is written.
    Null(u64),
}

/// A medium and how it is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drive {
    /// The image.
    pub content: Content,
    /// `raw`, `qcow2`, ...; `None`: what the content shows.
    pub format: Option<String>,
    /// May it not be written?
    pub read_only: bool,
    /// Does what the guest discards become holes?
    pub discard: bool,
    /// Are writes lost when the machine ends?
    pub snapshot: bool,
    /// How the host caches it: QEMU's `cache=` modes; `None`: `writeback`.
    pub cache: Option<String>,
    /// The node that it is a format of, and has to itself.
    pub over: Option<String>,
}

impl Drive {
    /// An image that is written to, of the format that its content shows.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Drive {
        Drive::of(Content::File(file.into()))
    }

    /// The same of any content.
    #[must_use]
    pub fn of(content: Content) -> Drive {
        Drive { content, format: None, read_only: false, discard: false, snapshot: false, cache: None, over: None }
    }
}

/// A medium by its names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Medium {
    /// The drive's name (`-drive id=`); empty: it is only a node (`-blockdev`).
    pub id: String,
    /// The node's name.
    pub node: String,
    /// What it is; `None`: an empty drive.
    pub drive: Option<Drive>,
}

/// A network backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Netdev {
    /// Its name.
    pub id: String,
    /// What it is, with its options as the host room reads them: `user,hostfwd=tcp::2222-:22`.
    pub spec: String,
    /// Where a copy of every frame goes (pcap).
    pub dump: Option<PathBuf>,
}

/// A TPM that a process emulates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tpmdev {
    /// Its name.
    pub id: String,
    /// The character device at whose other end the emulator is.
    pub chardev: String,
}

/// A shared folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fsdev {
    /// Its name.
    pub id: String,
    /// What it is.
    pub folder: Folder,
    /// Its other options, as text.
    pub options: Vec<(String, String)>,
}

/// What a shared folder is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Folder {
    /// A folder of the host.
    Local {
        /// Where it is.
        path: PathBuf,
        /// May the guest not write?
        read_only: bool,
        /// QEMU's security model: `none`, `mapped-xattr`, `passthrough`.
        security_model: String,
    },
    /// The synthetic file system that tests know.
    Synth,
}

/// A character device by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chardev {
    /// Its name.
    pub id: String,
    /// What it is.
    pub setup: Setup,
}

/// An object that a user makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its type: `rng-random`.
    pub kind: String,
    /// Its name.
    pub id: String,
    /// Its properties, as text.
    pub props: Vec<(String, String)>,
}

/// An item of the fw_cfg device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FwCfgItem {
    /// Its name (`opt/org.example/thing`).
    pub name: String,
    /// Its content.
    pub content: FwCfgContent,
}

/// Where the content of a fw_cfg item comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FwCfgContent {
    /// A file.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// The real-time clock at power-on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RtcBase {
    /// The host's time, UTC.
    Utc,
    /// Nanoseconds since 1970.
    At(u64),
}

/// What guest time follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockMode {
    /// Retired instructions: one takes `1 << shift` nanoseconds (`None`: the session's choice), and time skips to the
    /// next event when all CPUs wait.  Two runs are the same.
    Instructions {
        /// Binary logarithm of the nanoseconds of an instruction.
        shift: Option<u8>,
    },
    /// The host's clock.
    Host,
}

/// What only some boards know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BoardOptions {
    /// RISC-V `virt`: interrupt controllers.
    pub aia: Aia,
    /// RISC-V `virt`: guest interrupt files of a hart, 0 to 7.
    pub aia_guests: u8,
    /// RISC-V `virt`: ACLINT devices in place of SiFive's CLINT.
    pub aclint: bool,
    /// Memory-mapped virtio slots speak to legacy drivers, as QEMU's do by default.
    pub legacy_virtio: bool,
}

/// Interrupt controllers of RISC-V `virt`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Aia {
    /// SiFive's PLIC.
    #[default]
    None,
    /// APLIC, wired to the harts.
    Aplic,
    /// APLIC that sends messages, and IMSIC.
    AplicImsic,
}

mod add;

pub use add::{Disk, Net, Rng, Share};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topologies() {
        let smp = |cpus, sockets, cores, threads| Smp { cpus, sockets, cores, threads };
        assert_eq!(Smp::new(None, None, None, None), Ok(smp(1, 1, 1, 1)));
        assert_eq!(Smp::new(Some(4), None, None, None), Ok(smp(4, 1, 4, 1)));
        assert_eq!(Smp::new(Some(4), Some(2), None, None), Ok(smp(4, 2, 2, 1)));
        assert_eq!(Smp::new(Some(8), None, Some(2), Some(2)), Ok(smp(8, 2, 2, 2)));
        assert_eq!(Smp::new(Some(8), Some(2), Some(2), None), Ok(smp(8, 2, 2, 2)));
        assert_eq!(Smp::new(None, Some(2), Some(3), None), Ok(smp(6, 2, 3, 1)));
        assert_eq!(
            Smp::new(Some(3), Some(2), None, None).unwrap_err(),
            "2 sockets of 1 cores of 1 threads are not 3 CPUs"
        );
        assert_eq!(
            Smp::new(Some(2), Some(3), None, None).unwrap_err(),
            "3 sockets of 0 cores of 1 threads are not 2 CPUs"
        );
        assert!(Smp::new(Some(0), None, None, None).is_err());
        assert!(Smp::new(None, Some(1 << 20), Some(1 << 20), None).is_err());
        assert!(Smp::new(Some(4), Some(1 << 20), None, Some(1 << 20)).is_err());
    }
}
