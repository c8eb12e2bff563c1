//! Models: the devices that users add to a machine by name (`-device`, `device_add`), their properties, and how they are
//! built.  Command line, QMP's introspection, `tern list devices` and the contract tests all read these rows.
//!
//! # Adding a model
//! In the device's file: `pub static MODELS: &[Model]`, one row for each name; in the class's `mod.rs`: the file's name in
//! [`models!`](macro@crate::models).  A row's `build` gets the properties, typed, and what they refer to ([`Wants`]).

mod props;
mod wants;

pub use props::{Prop, PropKind, Props, Value};
pub use wants::{Backends, Wants};

use crate::bench::{Bench, BenchBackends};
use crate::catalogue::Class;
use crate::pci::PciFunction;
use crate::pci::host::Solo;
use crate::virtio::{Interface, Kind, Options, VirtioDevice, VirtioMmio, VirtioPci};
use std::any::Any;
use tern_core::device::{Device, IrqLine, Kit};

/// What devices plug into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the buses")]
pub enum BusKind {
    Pci,
    VirtioMmio,
    VirtioSerial,
    Scsi,
    Usb,
    Sd,
    Nvme,
    Ufs,
    Ipack,
    /// Windows and interrupts of the board's own address space: devices that a board finds a place for.
    System,
}

impl BusKind {
    /// The type's name, as QEMU's users know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BusKind::Pci => "PCI",
            BusKind::VirtioMmio => "virtio-bus",
            BusKind::VirtioSerial => "virtio-serial-bus",
            BusKind::Scsi => "SCSI",
            BusKind::Usb => "usb-bus",
            BusKind::Sd => "sd-bus",
            BusKind::Nvme => "nvme-bus",
            BusKind::Ufs => "ufs-bus",
            BusKind::Ipack => "IndustryPack",
            BusKind::System => "System",
        }
    }

    /// The type that all devices on such a bus derive from.
    #[must_use]
    pub fn device_type(self) -> &'static str {
        match self {
            BusKind::Pci => "pci-device",
            BusKind::VirtioMmio => "virtio-device",
            BusKind::VirtioSerial => "virtio-serial-port",
            BusKind::Scsi => "scsi-device",
            BusKind::Usb => "usb-device",
            BusKind::Sd => "sd-card",
            BusKind::Nvme => "nvme-ns",
            BusKind::Ufs => "ufs-lu",
            BusKind::Ipack => "ipack-device",
            BusKind::System => "sys-bus-device",
        }
    }
}

/// A device on the bus of another device, in a box of the bus's own kind: `Child::new(unit)` with `unit` a
/// `Box<dyn scsi::Unit>`, `Box<dyn usb::UsbDevice>`, `console::Port`, ...
pub struct Child(Box<dyn Any>);

impl Child {
    /// Boxes it.
    pub fn new<T: 'static>(device: T) -> Child {
        Child(Box::new(device))
    }

    /// What is in the box.
    ///
    /// # Errors
    /// Something that does not fit the bus.
    pub fn take<T: 'static>(self) -> Result<T, String> {
        self.0.downcast::<T>().map(|b| *b).map_err(|_| "this device does not fit the bus".to_owned())
    }
}

/// What building comes to; errors are one line.
type Built<T> = Result<T, String>;
/// Builds a device with windows and lines of its own.
type BuildSystem = fn(Kit, Vec<IrqLine>, &mut Wants<'_>) -> Built<Box<dyn Device>>;

/// How a model is built.
#[derive(Clone, Copy)]
pub enum Build {
    /// A PCI function.
    Pci(fn(Kit, &mut Wants<'_>) -> Built<Box<dyn PciFunction>>),
    /// A virtio device, for either transport: `NAME-device` and `NAME-pci`.
    Virtio(&'static Kind, fn(&mut Wants<'_>) -> Built<Box<dyn VirtioDevice>>),
    /// A device on the bus of another one.
    Child(BusKind, fn(&mut Wants<'_>) -> Built<Child>),
    /// A device of the platform bus.
    System(&'static Platform, BuildSystem),
}

/// What a board must know of a device of its platform bus before it is built.
#[derive(PartialEq, Eq, Debug)]
pub struct Platform {
    /// Name of its node in the device tree.
    pub node: &'static str,
    /// What the node says that it is.
    pub compatible: &'static str,
    /// Size of its window in bytes.
    pub window: u64,
    /// How many interrupt lines it has.
    pub lines: u32,
}

/// A device that can be added by name.
pub struct Model {
    /// Its type's name (a virtio device's without `-device` and `-pci`), as QEMU's.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub class: Class,
    /// One line: what it is, and where it is specified.
    pub about: &'static str,
    /// Types between it and the base of its bus, nearest first (`e1000-base`).
    pub parents: &'static [&'static str],
    /// Its properties beside those of its bus.
    pub props: &'static [Prop],
    /// The bus that it has for others.
    pub bus: Option<BusKind>,
    /// How it is built.
    pub build: Build,
}

impl Model {
    /// What it plugs into; a virtio device's transport decides.
    #[must_use]
    pub fn plugs_into(&self) -> Option<BusKind> {
        match self.build {
            Build::Pci(_) => Some(BusKind::Pci),
            Build::Virtio(..) => None,
            Build::Child(bus, _) => Some(bus),
            Build::System(..) => Some(BusKind::System),
        }
    }
}

/// Declares models of a class: their modules, each with a `pub static MODELS: &[Model]`, and the list of these.
#[macro_export]
macro_rules! models {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        $($(#[$meta])* pub mod $name;)*
        /// The models of this class.
        pub(crate) static MODELS: &[&[$crate::model::Model]] = &[$($name::MODELS),*];
    };
}

/// All models, by class.
pub fn models() -> impl Iterator<Item = &'static Model> {
    [
        crate::pci::MODELS,
        crate::misc::MODELS,
        crate::network::MODELS,
        crate::scsi::MODELS,
        crate::serial::MODELS,
        crate::sound::MODELS,
        crate::storage::MODELS,
        crate::usb::MODELS,
        crate::virtio::MODELS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .flatten()
}

/// How a virtio device meets the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Via {
    /// As it is: it plugs into its bus.
    Own,
    /// A memory-mapped virtio slot.
    Mmio,
    /// A PCI function around a virtio device.
    Pci,
}

/// A type that can be instantiated: a model, and for virtio devices the transport.
#[derive(Clone, Copy)]
pub struct Type {
    /// The model.
    pub model: &'static Model,
    /// How it meets the machine.
    pub via: Via,
}

impl Type {
    /// Its name: `virtio-blk-pci`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.model.build, self.via) {
            (Build::Virtio(kind, _), Via::Mmio) => kind.mmio,
            (Build::Virtio(kind, _), _) => kind.pci,
            _ => self.model.name,
        }
    }

    /// What it plugs into.
    #[must_use]
    pub fn bus(&self) -> BusKind {
        match self.via {
            Via::Mmio => BusKind::VirtioMmio,
            Via::Pci => BusKind::Pci,
            Via::Own => self.model.plugs_into().unwrap_or(BusKind::System),
        }
    }

    /// Other names: a PCI virtio device is also `virtio-blk`, `virtio-blk-pci-transitional` and
    /// `virtio-blk-pci-non-transitional`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        if name == self.name() {
            return true;
        }
        match self.via {
            Via::Mmio => false,
            Via::Own => self.model.aliases.contains(&name),
            Via::Pci => {
                let tail = name.strip_prefix(self.name());
                name == self.model.name
                    || self.model.aliases.contains(&name)
                    || matches!(tail, Some("-transitional" | "-non-transitional"))
            }
        }
    }

    /// All its properties: its own, and those of its bus.
    pub fn props(&self) -> impl Iterator<Item = &'static Prop> {
        let (transport, bus) = match (self.via, self.bus()) {
            (Via::Mmio, _) => (props::VIRTIO, &[] as &[Prop]),
            (Via::Pci, _) => (props::VIRTIO, props::PCI),
            (_, BusKind::Pci) => (&[] as &[Prop], props::PCI),
            (_, BusKind::Scsi) => (&[] as &[Prop], props::SCSI),
            (_, BusKind::Usb) => (&[] as &[Prop], props::USB),
            _ => (&[] as &[Prop], &[] as &[Prop]),
        };
        let virtio_pci = if self.via == Via::Pci { props::VIRTIO_PCI } else { &[] };
        self.model.props.iter().chain(transport).chain(virtio_pci).chain(bus)
    }

    /// Its properties with their defaults.
    #[must_use]
    pub fn defaults(&self) -> Props {
        Props::defaults(self.props())
    }

    /// One with its defaults, on a test bench; a device that is a child is on a bus of a device that has one.
    ///
    /// # Panics
    /// If it cannot be built there: that is the model's fault.
    pub fn sample(&self, bench: &mut Bench) -> Box<dyn Device> {
        let mut backends = BenchBackends::new(bench);
        let mut props = self.defaults();
        props.fill_for_tests();
        let mut wants = Wants::new(&props, &mut backends);
        let good = |e: String| -> ! { panic!("{}: {e}", self.name()) };
        match self.model.build {
            Build::Pci(build) => Solo::sample(bench, self.name(), |bench, kit| {
                let mut part = build(kit, &mut wants).unwrap_or_else(|e| good(e));
                for (props, child) in samples_for(self.model, bench) {
                    part.plug(&props, child).unwrap_or_else(|e| good(e));
                }
                part
            }),
            Build::Virtio(_, build) => {
                let mut device = build(&mut wants).unwrap_or_else(|e| good(e));
                for (props, child) in samples_for(self.model, bench) {
                    device.plug(&props, child).unwrap_or_else(|e| good(e));
                }
                let options = Options { packed: true, ..Options::default() };
                if self.via == Via::Mmio {
                    let (kit, line) = (bench.kit(self.name()), bench.line());
                    return Box::new(VirtioMmio::new(kit, line, device, options, false));
                }
                Solo::sample(bench, self.name(), |_, kit| {
                    Box::new(VirtioPci::new(kit, device, options, Interface::Transitional))
                })
            }
            Build::Child(bus, _) => {
                let on = types().find(|t| t.model.bus == Some(bus)).expect("some model has the bus");
                on.sample(bench)
            }
            Build::System(platform, build) => {
                let lines = (0..platform.lines).map(|_| bench.line()).collect();
                build(bench.kit(self.name()), lines, &mut wants).unwrap_or_else(|e| good(e))
            }
        }
    }
}

/// One child of each model that fits the bus of `parent`, with its properties.
fn samples_for(parent: &Model, bench: &Bench) -> Vec<(Props, Child)> {
    let Some(bus) = parent.bus.filter(|bus| *bus != BusKind::Pci) else { return Vec::new() };
    let mut children = Vec::new();
    for child in types() {
        let Build::Child(kind, build) = child.model.build else { continue };
        if kind != bus {
            continue;
        }
        let mut backends = BenchBackends::new(bench);
        let mut props = child.defaults();
        props.fill_for_tests();
        let built = build(&mut Wants::new(&props, &mut backends));
        children.push((props, built.unwrap_or_else(|e| panic!("{}: {e}", child.name()))));
    }
    children
}

/// All types that can be instantiated.
pub fn types() -> impl Iterator<Item = Type> {
    models().flat_map(|model| {
        let via: &[Via] = match model.build {
            Build::Virtio(..) => &[Via::Mmio, Via::Pci],
            _ => &[Via::Own],
        };
        via.iter().map(move |via| Type { model, via: *via })
    })
}

/// The type with this name or alias.
#[must_use]
pub fn find(name: &str) -> Option<Type> {
    types().find(|t| t.name() == name).or_else(|| types().find(|t| t.is_called(name)))
}
