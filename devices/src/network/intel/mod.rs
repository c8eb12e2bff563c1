//! Intel's gigabit cards: the 8254x family (`PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual`,
//! cited as 8254x), the 82574 (`82574 GbE Controller Family Datasheet`) and the 82576 (`82576EB Gigabit Ethernet Controller
//! Datasheet`).
//!
//! Shared: packets, checksums and large segments (`packet`, `segment`), filters, statistics, EEPROM, PHY, throttling, rings,
//! and registers that only keep what is written (`kept`).  `gbe` are the 8254x and the 82574, `igb` is the 82576.
//!
//! Backend 0 hands over frames, backend `CONTROL_PORT` tells about the cable.

mod eeprom;
mod filter;
mod gate;
mod gbe;
mod igb;
mod kept;
mod mac;
mod packet;
mod phy;
mod ring;
mod segment;
mod stats;

use crate::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::Config;
use gbe::{Gbe, Kind};
use igb::Igb;
use mac::Spec;

/// The backend that tells about the cable, a byte each time: 0 it is pulled, 1 it is plugged in.
pub const CONTROL_PORT: u32 = 0xff;
/// What `CONTROL_PORT` tells when the cable is plugged in.
const UP: u8 = 1;
/// Intel's vendor ID.
const VENDOR: u16 = 0x8086;
/// Size of the memory with the MSI-X table, and where its pending bits are.
const MSIX_SIZE: u64 = 0x4000;
const MSIX_PENDING: u64 = 0x2000;
/// Longest packet that a driver may send: a large segment of 64 KiB, with room for headers.
const MOST_FRAME: usize = 0x2_0000;
/// Buffers for a frame of usual size are what a queue needs before frames are handed over.
const FULL_FRAME: usize = 1522;
/// Bytes that are sent at once, at most by a packet more; and the nanoseconds until the card goes on.
const BUDGET: usize = 1 << 22;
const PAUSE: u64 = 1000;

/// A little-endian word of a descriptor.
fn field(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Device control of the express capability: function-level reset, which reads as zero.
const RESET_FUNCTION: u64 = 1 << 15;

/// Adds the capabilities of a PCI Express card besides interrupts: express itself (with function-level reset if `flr`),
/// power management, error reporting and the serial number, which is made of the address; where its device control is.
fn power_and_errors(config: &mut Config, mac: [u8; 6], flr: bool) -> usize {
    let express = config.add_express();
    if flr {
        config.put(express + 7, &[0x10]);
    }
    // Version 2, needs its driver after power-up; state and PME enable can be written.
    let at = config.add_capability(1, &[0x22, 0, 0, 0, 0, 0]);
    config.writable(at + 4, &[0x03, 0x01]);
    let errors = config.add_extended(1, 1, &[0; 0x3c]);
    config.put(errors + 0x0c, &0x0006_2030u32.to_le_bytes());
    config.put(errors + 0x14, &0x2000u32.to_le_bytes());
    config.writable(errors + 0x08, &0x001f_f010u32.to_le_bytes());
    config.writable(errors + 0x0c, &0x001f_f010u32.to_le_bytes());
    config.writable(errors + 0x14, &0x31c1u32.to_le_bytes());
    let [a, b, c, d, e, f] = mac;
    config.add_extended(3, 1, &[f, e, d, 0xff, 0xff, c, b, a]);
    express + 8
}

/// Both extremes of the properties that a card of the 8254x family has.
static PROPS_8254X: &[Prop] = &[
    Prop::new("mac", PropKind::Mac, "its address"),
    Prop::new("netdev", PropKind::Netdev, "the backend"),
    Prop::only("bootindex", &["*"]),
    Prop::only("extra_mac_registers", &["on"]),
    Prop::only("migrate_tso_props", &["on"]),
    Prop::only("init-vet", &["on"]),
];
/// Contents of the 8254x family's EEPROM: settings, part number, initial control words, identifiers, wake-up off.
macro_rules! words_8254x {
    ($device:literal) => {
        &[
            (3, 0x0000),
            (8, 0x3000),
            (9, 0x1000),
            (10, 0x400b),
            (11, $device),
            (12, 0x8086),
            (13, $device),
            (14, 0x8086),
            (15, 0x3040),
            (16, 0x0008),
            (20, 0x0000),
            (33, 0x7863),
            (36, 0x0000),
        ]
    };
}

/// A card of the 8254x family.
macro_rules! kind_8254x {
    ($name:literal, $device:literal, $phy:ident) => {
        Kind {
            name: $name,
            device: $device,
            revision: 3,
            spec: Spec {
                phy: &phy::$phy,
                eeprom: (64, words_8254x!($device)),
                kept: gbe::ROWS_8254X,
                addresses: 16,
                address_mask: 0x8003_ffff,
                rxcsum: 0,
                tick: 1,
            },
            queues: 1,
            eecd: 0,
            microwire: true,
            // Pins, 1000 Mb/s, link up.
            ctrl: 0x0014_0240,
        }
    };
}

static E1000: Kind = kind_8254x!("e1000", 0x100e, M88E1011);
static E1000_82544GC: Kind = kind_8254x!("e1000-82544gc", 0x100c, M88E1000);
static E1000_82545EM: Kind = kind_8254x!("e1000-82545em", 0x100f, M88E1011);
static E1000E: Kind = Kind {
    name: "e1000e",
    device: 0x10d3,
    revision: 0,
    spec: Spec {
        phy: &phy::BM,
        eeprom: (64, WORDS_82574),
        kept: gbe::ROWS_82574,
        addresses: 16,
        address_mask: 0x8007_ffff,
        rxcsum: 0x300,
        tick: 40,
    },
    queues: 2,
    // Read at power-on.
    eecd: 1 << 9,
    microwire: false,
    ctrl: 0x0014_0241,
};

/// Contents of the 82574's EEPROM: settings, part number, initial control words, identifiers; no other address.
static WORDS_82574: eeprom::Words = &[
    (3, 0x0400),
    (5, 0x2010),
    (8, 0x3000),
    (9, 0x1000),
    (10, 0x424b),
    (11, 0x0000),
    (12, 0x8086),
    (13, 0x10d3),
    (15, 0xb050),
    (36, 0x0000),
];

/// The rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: "e1000",
        aliases: &["e1000-82540em"],
        class: Class::Network,
        about: "Intel 82540EM gigabit network card (8254x Software Developer's Manual)",
        parents: &["e1000-base"],
        props: PROPS_8254X,
        bus: None,
        build: Build::Pci(|kit, wants| Ok(Box::new(Gbe::build(&E1000, kit, wants, SUBSYSTEM)?))),
    },
    Model {
        name: "e1000-82544gc",
        aliases: &[],
        class: Class::Network,
        about: "Intel 82544GC gigabit network card (8254x Software Developer's Manual)",
        parents: &["e1000-base"],
        props: PROPS_8254X,
        bus: None,
        build: Build::Pci(|kit, wants| Ok(Box::new(Gbe::build(&E1000_82544GC, kit, wants, SUBSYSTEM)?))),
    },
    Model {
        name: "e1000-82545em",
        aliases: &[],
        class: Class::Network,
        about: "Intel 82545EM gigabit network card (8254x Software Developer's Manual)",
        parents: &["e1000-base"],
        props: PROPS_8254X,
        bus: None,
        build: Build::Pci(|kit, wants| Ok(Box::new(Gbe::build(&E1000_82545EM, kit, wants, SUBSYSTEM)?))),
    },
    Model {
        name: "e1000e",
        aliases: &[],
        class: Class::Network,
        about: "Intel 82574L gigabit network card with MSI-X (82574 datasheet)",
        parents: &[],
        props: &[
            Prop::new("mac", PropKind::Mac, "its address"),
            Prop::new("netdev", PropKind::Netdev, "the backend"),
            Prop::only("bootindex", &["*"]),
            Prop::only("disable_vnet_hdr", &["0", "1"]),
            Prop::new("subsys_ven", PropKind::Number(16, 0x8086), "subsystem vendor ID"),
            Prop::new("subsys", PropKind::Number(16, 0), "subsystem ID"),
            Prop::only("init-vet", &["on"]),
            Prop::only("migrate-timadj", &["on"]),
        ],
        bus: None,
        build: Build::Pci(|kit, wants| {
            let subsystem = (wants.props.number("subsys_ven") as u16, wants.props.number("subsys") as u16);
            Ok(Box::new(Gbe::build(&E1000E, kit, wants, subsystem)?))
        }),
    },
    Model {
        name: "igb",
        aliases: &[],
        class: Class::Network,
        about: "Intel 82576 gigabit network card with 16 queue pairs, without virtual functions (82576 datasheet)",
        parents: &[],
        props: &[
            Prop::new("mac", PropKind::Mac, "its address"),
            Prop::new("netdev", PropKind::Netdev, "the backend"),
            Prop::only("bootindex", &["*"]),
            Prop::new("x-pcie-flr-init", PropKind::Bool(true), "function-level reset"),
        ],
        bus: None,
        build: Build::Pci(|kit, wants| Ok(Box::new(Igb::build(kit, wants)?))),
    },
];

/// The subsystem of cards that do not say one of their own.
const SUBSYSTEM: (u16, u16) = (0x1af4, 0x1100);
