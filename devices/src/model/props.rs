//! Properties of models: their declarations and values.

use std::collections::BTreeMap;
use tern_core::text;

/// What a property takes, and its default.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PropKind {
    /// `on` or `off`.
    Bool(bool),
    /// A number of this many bits (8 to 64).
    Number(u32, u64),
    /// A signed 32-bit number.
    Signed(i32),
    /// A number of bytes, with a suffix as in `4K`.
    Size(u64),
    /// A text.
    Text(&'static str),
    /// One of these; the first is the default.
    Choice(&'static [&'static str]),
    /// What tern does in any case: other values than these are refused; the first is the default.
    Only(&'static [&'static str]),
    /// An Ethernet address; unset: the machine's next.
    Mac,
    /// The medium: a block device or node.
    Drive,
    /// A network backend.
    Netdev,
    /// A character device.
    Chardev,
    /// An object of this type.
    Link(&'static str),
}

/// A property.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prop {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: PropKind,
    /// One line; may be empty.
    pub about: &'static str,
}

impl Prop {
    /// A property.
    #[must_use]
    pub const fn new(name: &'static str, kind: PropKind, about: &'static str) -> Prop {
        Prop { name, kind, about }
    }

    /// A property of which tern has only these values.
    #[must_use]
    pub const fn only(name: &'static str, values: &'static [&'static str]) -> Prop {
        Prop { name, kind: PropKind::Only(values), about: "" }
    }

    /// Its value if nobody sets it; `None`: it is not set.
    #[must_use]
    pub fn default(&self) -> Option<Value> {
        match self.kind {
            PropKind::Bool(on) => Some(Value::Bool(on)),
            PropKind::Number(_, n) | PropKind::Size(n) => Some(Value::Number(n)),
            PropKind::Signed(n) => Some(Value::Signed(n)),
            PropKind::Text(text) => Some(Value::Text(text.to_owned())),
            PropKind::Choice(values) | PropKind::Only(values) => {
                values.first().filter(|v| **v != "*").map(|v| Value::Text((*v).to_owned()))
            }
            PropKind::Mac | PropKind::Drive | PropKind::Netdev | PropKind::Chardev | PropKind::Link(_) => None,
        }
    }
}

impl Prop {
    /// Reads a value as people write it.
    ///
    /// # Errors
    /// A value that the property does not take, in one line.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let name = self.name;
        match self.kind {
            PropKind::Bool(_) => {
                let on = text::switch(text).ok_or_else(|| format!("Parameter '{name}' expects 'on' or 'off'"))?;
                Ok(Value::Bool(on))
            }
            PropKind::Number(bits, _) => {
                let n = text::number(text).filter(|n| bits >= 64 || n >> bits == 0);
                n.map(Value::Number).ok_or_else(|| format!("Parameter '{name}' expects uint{bits}"))
            }
            PropKind::Signed(_) => {
                let n = text.parse::<i32>().ok();
                n.map(Value::Signed).ok_or_else(|| format!("Parameter '{name}' expects int32"))
            }
            PropKind::Size(_) => {
                let n = text::size(text, 0);
                n.map(Value::Number).ok_or_else(|| format!("Parameter '{name}' expects a size"))
            }
            PropKind::Choice(values) => match values.contains(&text) {
                true => Ok(Value::Text(text.to_owned())),
                false => Err(format!("Parameter '{name}' does not accept value '{text}'")),
            },
            PropKind::Only(values) => match values.iter().any(|v| *v == text || *v == "*" || same(v, text)) {
                true => Ok(Value::Text(text.to_owned())),
                false => Err(format!("{name}={text} is not supported, only {}", values.join(", "))),
            },
            PropKind::Mac => text::mac(text).map(Value::Mac),
            PropKind::Text(_) | PropKind::Drive | PropKind::Netdev | PropKind::Chardev | PropKind::Link(_) => {
                Ok(Value::Text(text.to_owned()))
            }
        }
    }
}

/// Are both the same switch?
fn same(a: &str, b: &str) -> bool {
    text::switch(a).is_some_and(|on| text::switch(b) == Some(on))
}

/// A property's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A switch.
    Bool(bool),
    /// A number or size.
    Number(u64),
    /// A signed number.
    Signed(i32),
    /// A text, a choice, or a name of something.
    Text(String),
    /// An Ethernet address.
    Mac([u8; 6]),
}

/// The properties of a device that is being built: every one of its type's has its declaration here, and a value unless it
/// is unset.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Props(BTreeMap<&'static str, (Prop, Option<Value>)>);

impl Props {
    /// With their defaults.
    #[must_use]
    pub fn defaults(props: impl Iterator<Item = &'static Prop>) -> Props {
        Props(props.map(|p| (p.name, (*p, p.default()))).collect())
    }

    /// The declaration of a property.
    #[must_use]
    pub fn declared(&self, name: &str) -> Option<&Prop> {
        self.0.get(name).map(|(prop, _)| prop)
    }

    /// Sets a declared property.
    ///
    /// # Panics
    /// If there is no such property: look with [`Props::declared`].
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.get_mut(name).unwrap_or_else(|| panic!("no property {name}")).1 = Some(value);
    }

    /// A value, if it is set.
    ///
    /// # Panics
    /// If the model does not declare it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).unwrap_or_else(|| panic!("no property {name}")).1.as_ref()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&Prop, Option<&Value>)> {
        self.0.values().map(|(prop, value)| (prop, value.as_ref()))
    }

    /// A switch.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    /// A number or size; 0 if it is unset.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Number(n)) => *n,
            _ => 0,
        }
    }

    /// A signed number; 0 if it is unset.
    #[must_use]
    pub fn signed(&self, name: &str) -> i32 {
        match self.get(name) {
            Some(Value::Signed(n)) => *n,
            _ => 0,
        }
    }

    /// A text, a choice or a name; empty if it is unset.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// An Ethernet address, if one is set.
    #[must_use]
    pub fn mac(&self, name: &str) -> Option<[u8; 6]> {
        match self.get(name) {
            Some(Value::Mac(mac)) => Some(*mac),
            _ => None,
        }
    }

    /// Gives everything that refers to a backend a name, as a bench has them, and a serial number or tag to what must have one.
    pub(super) fn fill_for_tests(&mut self) {
        for (prop, value) in self.0.values_mut() {
            if matches!(prop.name, "serial" | "tag" | "tpmdev")
                || matches!(prop.kind, PropKind::Drive | PropKind::Netdev | PropKind::Chardev | PropKind::Link(_))
            {
                *value = Some(Value::Text("bench".to_owned()));
            }
        }
    }
}

/// Properties of PCI functions; `addr` and `bus` are read by whoever places the function.
pub(super) static PCI: &[Prop] = &[
    Prop::new("addr", PropKind::Text(""), "slot and function: 3, 3.1"),
    Prop::new("multifunction", PropKind::Bool(false), "does the slot have several functions"),
    Prop::only("romfile", &[""]),
    Prop::only("romsize", &["4294967295"]),
    Prop::only("rombar", &["0", "1", "-1"]),
    Prop::only("failover_pair_id", &[""]),
    Prop::only("acpi-index", &["0"]),
    Prop::only("x-pcie-lnksta-dllla", &["on"]),
    Prop::only("x-pcie-extcap-init", &["on"]),
];

/// Properties of units on a SCSI bus; -1 stands for a free place.
pub(super) static SCSI: &[Prop] = &[
    Prop::new("channel", PropKind::Number(32, 0), "channel of the controller"),
    Prop::new("scsi-id", PropKind::Signed(-1), "target"),
    Prop::new("lun", PropKind::Signed(-1), "logical unit number"),
];

/// Properties of devices on a USB bus.
pub(super) static USB: &[Prop] = &[
    Prop::new("port", PropKind::Text(""), "root port, or ports of hubs: 2, 1.4"),
    Prop::new("serial", PropKind::Text(""), "serial number; unset: the model's own"),
    Prop::only("msos-desc", &["off"]),
    Prop::only("pcap", &[""]),
];

/// Properties of every virtio device.
pub(super) static VIRTIO: &[Prop] = &[
    Prop::new("indirect_desc", PropKind::Bool(true), "descriptors may name tables of descriptors"),
    Prop::new("event_idx", PropKind::Bool(true), "both sides say when they want to hear of the other"),
    Prop::new("packed", PropKind::Bool(false), "packed rings"),
    Prop::new("queue_reset", PropKind::Bool(true), "single queues can be reset"),
    Prop::only("notify_on_empty", &["on"]),
    Prop::only("any_layout", &["on"]),
    Prop::new("iommu_platform", PropKind::Bool(false), "the driver must use addresses that pass through an IOMMU"),
    Prop::only("in_order", &["off"]),
    Prop::only("use-started", &["on"]),
    Prop::only("use-disabled-flag", &["on"]),
    Prop::only("x-disable-legacy-check", &["off"]),
];

/// Properties of virtio devices behind PCI.
pub(super) static VIRTIO_PCI: &[Prop] = &[
    Prop::new("disable-legacy", PropKind::Choice(&["auto", "off", "on"]), "no legacy interface"),
    Prop::only("disable-modern", &["off"]),
    Prop::only("ats", &["off"]),
    Prop::only("migrate-extra", &["on"]),
    Prop::only("modern-pio-notify", &["off"]),
    Prop::only("page-per-vq", &["off"]),
    Prop::only("virtio-pci-bus-master-bug-migration", &["off"]),
    Prop::only("x-disable-pcie", &["off"]),
    Prop::only("x-ignore-backend-features", &["off"]),
];
