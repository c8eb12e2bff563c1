//! The machine as a tree of typed objects, with names, parents, paths and properties as QEMU's users know them.  All of it
//! follows from the declarations of models, parts, boards and objects: there is no second list.

use super::Vm;
use crate::qemu::device::type_name;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tern_board::BOARDS;
use tern_board::host::objects;
use tern_devices::model::{self, Build, BusKind, Prop, PropKind, Props, Type, Value, Via};
use tern_session::isa;

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeInfo {
    /// Its name.
    pub name: String,
    /// The type that it derives from.
    pub parent: Option<String>,
    /// It has no instances of its own.
    pub is_abstract: bool,
}

/// A property of an object or type.
#[derive(Clone, PartialEq, Debug)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its type: `bool`, `child<container>`.
    pub kind: String,
    /// One line.
    pub about: String,
    /// Its default, if it has one.
    pub default: Option<Json>,
}

impl Property {
    fn new(name: impl Into<String>, kind: impl Into<String>) -> Property {
        Property { name: name.into(), kind: kind.into(), about: String::new(), default: None }
    }

    fn declared(prop: &Prop) -> Property {
        Property {
            name: prop.name.to_owned(),
            kind: type_name(prop),
            about: prop.about.to_owned(),
            default: prop.default().map(|v| json_of(prop, &v)),
        }
    }
}

/// A value as JSON.
#[must_use]
pub fn json_of(prop: &Prop, value: &Value) -> Json {
    match value {
        Value::Bool(on) => json!(on),
        Value::Number(n) => json!(n),
        Value::Signed(n) => json!(n),
        Value::Text(text) if type_name(prop) == "bool" => json!(tern_core::text::switch(text).unwrap_or(false)),
        Value::Text(text) => json!(text),
        Value::Mac(mac) => {
            let parts: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            json!(parts.join(":"))
        }
    }
}

/// An object of the tree.
struct Node {
    kind: String,
    /// Properties that are values: name, type, value.
    values: Vec<(String, String, Json)>,
}

impl Node {
    fn new(kind: &str) -> Node {
        let values = vec![("type".to_owned(), "string".to_owned(), json!(kind))];
        Node { kind: kind.to_owned(), values }
    }

    fn with(mut self, name: &str, kind: &str, value: Json) -> Node {
        self.values.push((name.to_owned(), kind.to_owned(), value));
        self
    }

    fn props(mut self, props: &Props) -> Node {
        for (prop, value) in props.iter() {
            let value = value.map_or(json!(""), |v| json_of(prop, v));
            self.values.push((prop.name.to_owned(), type_name(prop), value));
        }
        self
    }
}

/// Types that are there whatever is built: name, parent, abstract.
static BASE: &[(&str, &str, bool)] = &[
    ("object", "", true),
    ("interface", "", true),
    ("user-creatable", "interface", true),
    ("hotplug-handler", "interface", true),
    ("container", "object", false),
    ("irq", "object", false),
    ("memory-region", "object", false),
    ("accel", "object", true),
    ("tcg-accel", "accel", false),
    ("qtest-accel", "accel", false),
    ("machine", "object", true),
    ("bus", "object", true),
    ("chardev", "object", true),
    ("device", "object", true),
    ("cpu", "device", true),
    ("riscv-cpu", "cpu", true),
    ("sys-bus-device", "device", true),
    ("virtio-pci", "pci-device", true),
    ("fsdev", "object", true),
];

/// Buses that there are, by their type.
static BUSES: &[BusKind] = &[
    BusKind::Pci,
    BusKind::VirtioMmio,
    BusKind::VirtioSerial,
    BusKind::Scsi,
    BusKind::Usb,
    BusKind::Sd,
    BusKind::Nvme,
    BusKind::Ufs,
    BusKind::Ipack,
    BusKind::System,
];

#[derive(Default)]
struct Types(BTreeMap<String, TypeInfo>);

impl Types {
    fn add(&mut self, name: &str, parent: &str, is_abstract: bool) {
        let parent = (!parent.is_empty()).then(|| parent.to_owned());
        self.0.entry(name.to_owned()).or_insert(TypeInfo { name: name.to_owned(), parent, is_abstract });
    }

    /// A type with the abstract types between it and `base`.
    fn chain(&mut self, name: &str, between: &[&str], base: &str) {
        let mut child = name;
        for (n, parent) in between.iter().copied().chain([base]).enumerate() {
            self.add(child, parent, n != 0);
            child = parent;
        }
    }

    fn device(&mut self, kind: &Type) {
        let base = kind.bus().device_type();
        match (kind.model.build, kind.via) {
            (Build::Virtio(..), Via::Mmio) => self.chain(kind.name(), kind.model.parents, "virtio-device"),
            (Build::Virtio(..), _) => {
                let common = format!("{}-base", kind.name());
                self.add(&common, "virtio-pci", true);
                for tail in ["", "-transitional", "-non-transitional"] {
                    self.add(&format!("{}{tail}", kind.name()), &common, false);
                }
            }
            // A type between that is the base of its bus too.
            _ if kind.name() == base => self.add(base, "device", false),
            _ => self.chain(kind.name(), kind.model.parents, base),
        }
    }
}

/// All types of a build with machines of this ISA.
#[must_use]
pub fn types(isa_name: &str) -> Vec<TypeInfo> {
    let mut types = Types::default();
    for (name, parent, is_abstract) in BASE {
        types.add(name, parent, *is_abstract);
    }
    types.add("virtio-device", "device", true);
    for kind in model::types() {
        types.device(&kind);
    }
    for bus in BUSES {
        types.add(bus.name(), "bus", false);
        if *bus != BusKind::VirtioMmio {
            types.add(bus.device_type(), "device", true);
        }
    }
    for part in tern_devices::catalogue() {
        types.add(part_type(part), "sys-bus-device", false);
    }
    for kind in objects::KINDS {
        types.chain(kind.name, kind.parents, "object");
    }
    for name in crate::qemu::chars::BACKENDS {
        types.add(&format!("chardev-{name}"), "chardev", false);
    }
    for board in BOARDS.iter().filter(|b| b.isa == isa_name) {
        let name = board.name.rsplit('/').next().unwrap_or(board.name);
        types.add(&format!("{name}-machine"), "machine", false);
    }
    if let Some(isa) = isa::by_name(isa_name) {
        for (name, _) in (isa.models)() {
            types.add(&format!("{name}-riscv-cpu"), "riscv-cpu", false);
        }
    }
    types.0.into_values().collect()
}

/// The type's name of a part of boards, as QEMU's users know it.
fn part_type(part: &tern_devices::Part) -> &'static str {
    part.aliases.first().copied().unwrap_or(part.name)
}

/// Does a type derive from another, or is it the same?
#[must_use]
pub fn derives(types: &[TypeInfo], name: &str, from: &str) -> bool {
    let mut at = Some(name.to_owned());
    while let Some(name) = at {
        if name == from {
            return true;
        }
        at = types.iter().find(|t| t.name == name).and_then(|t| t.parent.clone());
    }
    false
}

/// The properties of a type of device; `None`: there is no such type, or it has no instances.
#[must_use]
pub fn device_properties(isa: &str, name: &str) -> Option<Vec<Property>> {
    let all = types(isa);
    let info = all.iter().find(|t| t.name == name)?;
    if info.is_abstract || !derives(&all, name, "device") {
        return None;
    }
    let mut props: Vec<Property> =
        model::find(name).map_or(Vec::new(), |t| t.props().map(Property::declared).collect());
    props.sort_by(|a, b| a.name.cmp(&b.name));
    props.dedup_by(|a, b| a.name == b.name);
    Some(props)
}

/// The properties that every object of a type has.
#[must_use]
pub fn type_properties(isa: &str, name: &str) -> Option<Vec<Property>> {
    let all = types(isa);
    all.iter().find(|t| t.name == name)?;
    let mut props = vec![Property::new("type", "string")];
    if derives(&all, name, "device") {
        props.extend(["realized", "hotpluggable", "hotplugged"].map(|n| Property::new(n, "bool")));
        props.extend(device_properties(isa, name).unwrap_or_default());
    }
    if let Some(kind) = objects::kind(name) {
        props.extend(kind.props.iter().map(Property::declared));
    }
    if derives(&all, name, "machine") {
        let names = ["kernel", "initrd", "append", "dtb", "firmware", "memory-backend"];
        props.extend(names.map(|n| Property::new(n, "string")));
    }
    Some(props)
}

impl Vm {
    /// The tree: paths and objects.
    fn tree(&self) -> BTreeMap<String, Node> {
        let mut tree = BTreeMap::new();
        let mut put = |path: String, node: Node| {
            tree.insert(path, node);
        };
        put("/".into(), Node::new("container"));
        put("/machine".into(), self.machine_node());
        for name in ["peripheral", "peripheral-anon", "unattached", "soc0"] {
            put(format!("/machine/{name}"), Node::new("container"));
        }
        let device = |node: Node, hotplugged: bool| {
            let node = node.with("realized", "bool", json!(true));
            node.with("hotplugged", "bool", json!(hotplugged)).with("hotpluggable", "bool", json!(true))
        };
        for cpu in 0..self.board.machine.cpus() {
            let node = device(Node::new(&self.cpu_type()), false);
            put(format!("/machine/soc0/harts[{cpu}]"), node.with("hartid", "uint64", json!(cpu)));
        }
        let parts: BTreeMap<&str, &str> = tern_devices::catalogue().map(|p| (p.name, part_type(p))).collect();
        let plugged = self.board.plugged();
        for (_, name, dev) in self.board.machine.devices() {
            // What was added has a path of its own.
            let Some(kind) = parts.get(dev.kind()) else { continue };
            put(format!("/machine/unattached/{name}"), device(Node::new(kind), false));
        }
        for p in plugged {
            let node = device(Node::new(p.name).props(&p.props), p.hotplugged);
            if let Some((kind, bus)) = p.bus() {
                put(format!("{}/{bus}", p.path), Node::new(kind.name()));
            }
            put(p.path.clone(), node);
            if let (Some(inside), Some(Build::Virtio(kind, _))) = (p.virtio_inside(), p.kind().map(|k| k.model.build)) {
                put(inside, device(Node::new(kind.mmio).props(&p.props), p.hotplugged));
            }
        }
        let world = self.host.world();
        put("/objects".into(), Node::new("container"));
        for (id, made) in world.objects.iter() {
            put(format!("/objects/{id}"), Node::new(made.kind.name).props(&made.props));
        }
        put("/chardevs".into(), Node::new("container"));
        for (id, node) in world.chars.nodes() {
            let kind = node.shown().split([':', ',']).next().unwrap_or("null").to_owned();
            put(format!("/chardevs/{id}"), Node::new(&format!("chardev-{kind}")));
        }
        tree
    }

    fn machine_node(&self) -> Node {
        let text =
            |path: &Option<std::path::PathBuf>| json!(path.as_ref().map_or(String::new(), |p| p.display().to_string()));
        let config = &self.config;
        let mut node = Node::new(&format!("{}-machine", self.machine_name()));
        for (name, value) in [("kernel", &config.kernel), ("initrd", &config.initrd), ("dtb", &config.dtb)] {
            node = node.with(name, "string", text(value));
        }
        node = node.with("append", "string", json!(config.append));
        node = node.with("memory-backend", "string", json!(config.memory_object.clone().unwrap_or_default()));
        node.with("usb", "bool", json!(false)).with("graphics", "bool", json!(false))
    }

    /// The type's name of its CPUs.
    #[must_use]
    pub fn cpu_type(&self) -> String {
        let isa = isa::by_name(self.isa());
        let spec = self.config.cpu.as_deref().or(isa.map(|i| i.default_cpu)).unwrap_or("max");
        format!("{}-riscv-cpu", spec.split(',').next().unwrap_or(spec))
    }

    /// The path that a possibly partial path means.
    ///
    /// # Errors
    /// There is no such object, or several.
    pub fn qom_resolve(&self, path: &str) -> Result<String, String> {
        let tree = self.tree();
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if tree.contains_key(path) {
            return Ok(path.to_owned());
        }
        let tail = format!("/{path}");
        let mut found = tree.keys().filter(|p| !path.starts_with('/') && p.ends_with(&tail));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(format!("Path '{path}' is ambiguous")),
            _ => Err(format!("Device '{path}' not found")),
        }
    }

    /// The properties of an object: its children are among them.
    ///
    /// # Errors
    /// There is no such object.
    pub fn qom_list(&self, path: &str) -> Result<Vec<Property>, String> {
        let path = self.qom_resolve(path)?;
        let tree = self.tree();
        let node = tree.get(&path).ok_or_else(|| format!("Device '{path}' not found"))?;
        let mut props: Vec<Property> =
            node.values.iter().map(|(name, kind, _)| Property::new(name.clone(), kind.clone())).collect();
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        for (child, node) in &tree {
            if let Some(name) = child.strip_prefix(&prefix).filter(|name| !name.is_empty() && !name.contains('/')) {
                props.push(Property::new(name, format!("child<{}>", node.kind)));
            }
        }
        Ok(props)
    }

    /// The value of a property.
    ///
    /// # Errors
    /// There is no such object or property.
    pub fn qom_get(&self, path: &str, property: &str) -> Result<Json, String> {
        let path = self.qom_resolve(path)?;
        let tree = self.tree();
        let node = tree.get(&path).ok_or_else(|| format!("Device '{path}' not found"))?;
        if let Some((.., value)) = node.values.iter().find(|(name, ..)| name == property) {
            return Ok(value.clone());
        }
        let child = if path == "/" { format!("/{property}") } else { format!("{path}/{property}") };
        match tree.contains_key(&child) {
            true => Ok(json!(child)),
            false => Err(format!("Property '{}.{property}' not found", node.kind)),
        }
    }

    /// Changes the value of a property.
    ///
    /// # Errors
    /// There is no such object or property, or it cannot be changed now.
    pub fn qom_set(&mut self, path: &str, property: &str, value: &Json) -> Result<(), String> {
        self.may_change()?;
        self.qom_get(path, property)?;
        let path = self.qom_resolve(path)?;
        let text = value.as_str().map(str::to_owned);
        match (path.as_str(), property, text) {
            ("/machine", "kernel" | "initrd" | "dtb", Some(text)) => {
                let file = Some(text.into());
                match property {
                    "kernel" => self.config.kernel = file,
                    "initrd" => self.config.initrd = file,
                    _ => self.config.dtb = file,
                }
                Ok(())
            }
            ("/machine", "append", Some(text)) => {
                self.config.append = text;
                Ok(())
            }
            ("/machine", "kernel" | "initrd" | "dtb" | "append", None) => {
                Err(format!("Invalid parameter type for '{property}', expected: string"))
            }
            _ => Err(format!("Attempt to set property '{property}' on device '{path}' after it was realized")),
        }
    }

    /// The tree as text, children under their parents (`info qom-tree`).
    #[must_use]
    pub fn qom_tree_text(&self, from: &str) -> String {
        let mut out = String::new();
        for (path, node) in self.tree() {
            let inside = path == from || from == "/" || path.starts_with(&format!("{from}/"));
            if !inside {
                continue;
            }
            let depth = path[from.trim_end_matches('/').len()..].matches('/').count();
            let depth = if path == "/" { 0 } else { depth };
            let name = path.rsplit('/').next().unwrap_or_default();
            out += &format!("{}/{name} ({})\n", "  ".repeat(depth), node.kind);
        }
        out
    }

    /// Is there a property of this kind among those of a type?
    #[must_use]
    pub fn takes(kind: &Type, what: PropKind) -> bool {
        kind.props().any(|p| p.kind == what)
    }
}
