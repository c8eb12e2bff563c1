//! Objects that users make (`-object`, `object-add`), one row each.

use crate::config::Object;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tern_core::backend::{Entropy, Memory};
use tern_core::mem::space::HostMemory;
use tern_devices::model::{Prop, PropKind, Props, Value};
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

/// The types.
pub static KINDS: &[Kind] = &[
    Kind { name: "memory-backend-ram", parents: &["memory-backend"], about: "memory of the host", props: MEMORY },
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
    match props.get("size") {
        Some(Value::Number(0)) | None => Err("can't create backend with size 0".to_owned()),
        _ => anonymous(props.number("size")).map(Some),
    }
}
