//! Objects that users make (`-object`, `object-add`), one row each.

use crate::config::Object;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tern_core::backend::{Entropy, Memory};
use tern_core::mem::space::HostMemory;
use tern_devices::model::{Prop, PropKind, Props};
use tern_host::entropy::{FromFile, Host};
use tern_host::map::GuestRam;

/// A type of object.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Types that it derives from, nearest first, below `object`.
    pub parents: &'static [&'static str],
    /// One line.
    pub about: &'static str,
    /// Its properties.
    pub props: &'static [Prop],
}

const MEMORY: &[Prop] = &[
    Prop::new("size", PropKind::Size(0), "size in bytes"),
    Prop::new("share", PropKind::Bool(false), "can other processes map it"),
    Prop::new("prealloc", PropKind::Bool(false), "take all of it at once"),
    Prop::only("merge", &["on", "off"]),
    Prop::only("dump", &["on", "off"]),
    Prop::only("reserve", &["on", "off"]),
    Prop::only("policy", &["default"]),
];

/// Memory that other processes can map, unless it is said not to be shared.
const SHARED: &[Prop] = &[
    Prop::new("size", PropKind::Size(0), "size in bytes"),
    Prop::new("share", PropKind::Bool(true), "can other processes map it"),
    Prop::new("prealloc", PropKind::Bool(false), "take all of it at once"),
    Prop::only("merge", &["off"]),
    Prop::only("dump", &["on", "off"]),
    Prop::only("reserve", &["on", "off"]),
    Prop::only("policy", &["default"]),
    Prop::only("seal", &["off", "on"]),
    Prop::only("hugetlb", &["off"]),
];

/// The types.
pub static KINDS: &[Kind] = &[
    Kind { name: "memory-backend-ram", parents: &["memory-backend"], about: "memory of the host", props: MEMORY },
    Kind {
        name: "memory-backend-memfd",
        parents: &["memory-backend"],
        about: "memory of the host that other processes can map",
        props: SHARED,
    },
    Kind {
        name: "memory-backend-shm",
        parents: &["memory-backend"],
        about: "memory of the host that other processes can map",
        props: SHARED,
    },
    Kind {
        name: "memory-backend-file",
        parents: &["memory-backend"],
        about: "memory that is the contents of a file",
        props: &[
            Prop::new("size", PropKind::Size(0), "size in bytes"),
            Prop::new("share", PropKind::Bool(false), "what is written is in the file, and others can map it"),
            Prop::new("mem-path", PropKind::Text(""), "the file, or the folder of a new one"),
            Prop::new("offset", PropKind::Size(0), "where in the file it begins"),
            Prop::new("prealloc", PropKind::Bool(false), "take all of it at once"),
            Prop::only("align", &["0"]),
            Prop::only("pmem", &["off"]),
            Prop::only("readonly", &["off"]),
            Prop::only("rom", &["auto", "off"]),
            Prop::only("discard-data", &["off"]),
            Prop::only("merge", &["off", "on"]),
            Prop::only("dump", &["on", "off"]),
            Prop::only("reserve", &["on", "off"]),
            Prop::only("policy", &["default"]),
        ],
    },
    Kind {
        name: "rng-random",
        parents: &["rng-backend"],
        about: "random bytes of a file",
        props: &[Prop::new("filename", PropKind::Text("/dev/urandom"), "the file")],
    },
    Kind { name: "rng-builtin", parents: &["rng-backend"], about: "random bytes of the host", props: &[] },
    Kind {
        name: "iothread",
        parents: &["event-loop-base"],
        about: "a name for a thread of I/O: all I/O of a machine here is in its own loop",
        props: &[
            Prop::new("poll-max-ns", PropKind::Number(63, 32768), ""),
            Prop::new("poll-grow", PropKind::Number(63, 0), ""),
            Prop::new("poll-shrink", PropKind::Number(63, 0), ""),
            Prop::new("aio-max-batch", PropKind::Number(63, 0), ""),
        ],
    },
    Kind {
        name: "secret",
        parents: &["secret_common"],
        about: "a text that other objects use",
        props: &[
            Prop::new("data", PropKind::Text(""), "the text"),
            Prop::new("file", PropKind::Text(""), "the file that holds it"),
            Prop::new("format", PropKind::Choice(&["raw", "base64"]), ""),
        ],
    },
];

/// The type of this name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.name == name)
}

/// An object.
pub struct Made {
    /// Its type.
    pub kind: &'static Kind,
    /// Its properties.
    pub props: Props,
    memory: Option<Rc<dyn HostMemory>>,
    users: u32,
}

/// All objects, by name.
#[derive(Default)]
pub struct Objects(BTreeMap<String, Made>);

impl Objects {
    /// Makes an object.
    ///
    /// # Errors
    /// A type, name or property that cannot be.
    pub fn add(&mut self, object: Object) -> Result<(), String> {
        let kind = kind(&object.kind).ok_or_else(|| format!("invalid object type: {}", object.kind))?;
        if object.id.is_empty() {
            return Err("Parameter 'id' is missing".to_owned());
        }
        if self.0.contains_key(&object.id) {
            return Err(format!("attempt to add duplicate property '{}' to object (type 'container')", object.id));
        }
        let mut props = Props::defaults(kind.props.iter());
        for (name, text) in &object.props {
            let prop = props.declared(name).copied();
            let prop = prop.ok_or_else(|| format!("Property '{}.{name}' not found", kind.name))?;
            props.set(name, prop.parse(text)?);
        }
        let memory = memory(kind, &props)?;
        self.0.insert(object.id, Made { kind, props, memory, users: 0 });
        Ok(())
    }

    /// Destroys an object.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn remove(&mut self, id: &str) -> Result<(), String> {
        let made = self.0.get(id).ok_or_else(|| format!("object '{id}' not found"))?;
        if made.users != 0 {
            return Err(format!("object '{id}' is in use, can not be deleted"));
        }
        self.0.remove(id);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Made)> {
        self.0.iter().map(|(id, made)| (id.as_str(), made))
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Made> {
        self.0.get(id)
    }

    pub(super) fn entropy(&self, object: Option<&str>) -> Result<Box<dyn Entropy>, String> {
        let Some(id) = object else { return Ok(Box::new(Host)) };
        let made = self.0.get(id).ok_or_else(|| format!("there is no object '{id}'"))?;
        match made.kind.name {
            "rng-random" => {
                let path = made.props.text("filename");
                Ok(Box::new(FromFile::open(Path::new(path)).map_err(|e| format!("{path}: {e}"))?))
            }
            "rng-builtin" => Ok(Box::new(Host)),
            other => Err(format!("object '{id}' is a {other}, not a source of random bytes")),
        }
    }

    pub(super) fn memory(&mut self, id: &str) -> Result<Rc<dyn Memory>, String> {
        let made = self.0.get_mut(id).ok_or_else(|| format!("there is no object '{id}'"))?;
        let memory = made.memory.clone().ok_or_else(|| format!("object '{id}' is no memory"))?;
        made.users += 1;
        Ok(Rc::new(Bytes(memory)))
    }

    pub(super) fn ram(&mut self, object: Option<&str>, size: u64) -> Result<Rc<dyn HostMemory>, String> {
        let Some(id) = object else { return anonymous(size) };
        let made = self.0.get_mut(id).ok_or_else(|| format!("there is no object '{id}'"))?;
        let memory = made.memory.clone().ok_or_else(|| format!("object '{id}' is no memory"))?;
        let has = made.props.number("size");
        if has != size {
            return Err(format!("memory object '{id}' has {has} bytes, not {size}"));
        }
        made.users += 1;
        Ok(memory)
    }
}

/// The bytes of a memory object.
struct Bytes(Rc<dyn HostMemory>);

impl Memory for Bytes {
    fn size(&self) -> u64 {
        self.0.span().len() as u64
    }

    fn read(&self, offset: u64, buf: &mut [u8]) {
        let inside = usize::try_from(offset).is_ok_and(|at| self.0.span().read(at, buf));
        if !inside {
            buf.fill(0);
        }
    }

    fn write(&self, offset: u64, buf: &[u8]) {
        // What is behind the end is nowhere.
        let _ = usize::try_from(offset).is_ok_and(|at| self.0.span().write(at, buf));
    }
}

fn anonymous(size: u64) -> Result<Rc<dyn HostMemory>, String> {
    Ok(Rc::new(GuestRam::new(size).map_err(|e| format!("cannot have {size} bytes of memory: {e}"))?))
}

fn memory(kind: &Kind, props: &Props) -> Result<Option<Rc<dyn HostMemory>>, String> {
    if !kind.parents.contains(&"memory-backend") {
        return Ok(None);
    }
    let size = props.number("size");
    if size == 0 {
        return Err("can't create backend with size 0".to_owned());
    }
    match kind.name {
        "memory-backend-ram" => anonymous(size).map(Some),
        "memory-backend-file" => named(props, size).map(Some),
        _ if props.bool("share") => shared(size).map(Some),
        // Nobody can see the difference.
        _ => anonymous(size).map(Some),
    }
}

#[cfg(target_os = "linux")]
fn shared(size: u64) -> Result<Rc<dyn HostMemory>, String> {
    use tern_host::map::SharedRam;
    Ok(Rc::new(SharedRam::anonymous(size).map_err(|e| format!("cannot have {size} bytes of memory: {e}"))?))
}

#[cfg(target_os = "linux")]
fn named(props: &Props, size: u64) -> Result<Rc<dyn HostMemory>, String> {
    use tern_host::map::{FileSpec, SharedRam};
    let path = props.text("mem-path");
    if path.is_empty() {
        return Err("mem-path property not set".to_owned());
    }
    let spec = FileSpec { path: Path::new(path), offset: props.number("offset"), share: props.bool("share") };
    Ok(Rc::new(SharedRam::open(&spec, size).map_err(|e| format!("{path}: cannot map {size} bytes: {e}"))?))
}

#[cfg(not(target_os = "linux"))]
fn shared(_: u64) -> Result<Rc<dyn HostMemory>, String> {
    Err("memory can be shared on Linux only".to_owned())
}

#[cfg(not(target_os = "linux"))]
fn named(_: &Props, _: u64) -> Result<Rc<dyn HostMemory>, String> {
    Err("files can be memory on Linux only".to_owned())
}
