//! Flattened device trees (Devicetree Specification 0.4, chapter 5), version 17.

use super::{Node, Tree};
use core::fmt;
use std::collections::BTreeMap;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
/// Oldest version that readers of version 17 can read, and the other way round.
const COMPATIBLE: u32 = 16;
const HEADER: usize = 40;
/// Most bytes of a tree; Linux and U-Boot take less.
const MAX_SIZE: usize = 16 << 20;
/// Room for a name and its zero; the specification allows 31 characters.
const MAX_NAME: usize = 256;
/// Most nodes inside one another.
const MAX_DEPTH: usize = 64;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// What is wrong with a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FdtError {
    /// It does not begin as one.
    Magic,
    /// It is of a version that this reader does not know.
    Version(u32),
    /// The named part does not lie in the blob.
    Short(&'static str),
    /// At this offset of the structure block stands something that may not stand there.
    Structure(usize),
    /// A name is not text, at this offset of the structure block.
    Name(usize),
    /// Nodes are nested too deep.
    Depth,
    /// It is too big.
    Size(usize),
}

impl fmt::Display for FdtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FdtError::Magic => f.write_str("not a flattened device tree"),
            FdtError::Version(v) => write!(f, "device tree of version {v}, this is 17"),
            FdtError::Short(what) => write!(f, "device tree whose {what} does not lie in the file"),
            FdtError::Structure(at) => write!(f, "device tree with a broken structure at offset {at:#x} of it"),
            FdtError::Name(at) => write!(f, "device tree with a broken name at offset {at:#x} of its structure"),
            FdtError::Depth => write!(f, "device tree with more than {MAX_DEPTH} nodes inside one another"),
            FdtError::Size(size) => write!(f, "device tree of {size} bytes, more than {MAX_SIZE}"),
        }
    }
}

impl core::error::Error for FdtError {}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

fn wide(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}

/// The text up to the next zero byte.
fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let bytes = bytes.get(at..)?;
    let end = bytes.iter().take(MAX_NAME).position(|b| *b == 0)?;
    core::str::from_utf8(&bytes[..end]).ok().filter(|s| s.bytes().all(|b| b.is_ascii_graphic()))
}

/// Reads the structure block.
struct Reader<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn broken(&self) -> FdtError {
        FdtError::Structure(self.at)
    }

    fn word(&mut self) -> Result<u32, FdtError> {
        let word = word(self.structure, self.at).ok_or(self.broken())?;
        self.at += 4;
        Ok(word)
    }

    fn token(&mut self) -> Result<u32, FdtError> {
        loop {
            let token = self.word()?;
            if token != NOP {
                return Ok(token);
            }
        }
    }

    fn skip(&mut self, len: usize) {
        self.at = (self.at + len).next_multiple_of(4);
    }

    /// A node after its first token.
    fn node(&mut self, depth: usize) -> Result<Node, FdtError> {
        if depth > MAX_DEPTH {
            return Err(FdtError::Depth);
        }
        let name = text(self.structure, self.at).ok_or(FdtError::Name(self.at))?;
        let mut node = Node::new(name);
        self.skip(name.len() + 1);
        loop {
            match self.token()? {
                PROP if node.children.is_empty() => {
                    let prop = self.prop()?;
                    node.props.push(prop);
                }
                BEGIN_NODE => {
                    let child = self.node(depth + 1)?;
                    node.children.push(child);
                }
                END_NODE => return Ok(node),
                _ => return Err(FdtError::Structure(self.at - 4)),
            }
        }
    }

    fn prop(&mut self) -> Result<(String, Vec<u8>), FdtError> {
        let (len, name) = (self.word()? as usize, self.word()? as usize);
        let name = text(self.strings, name).ok_or(FdtError::Name(self.at - 4))?.to_owned();
        let value = self.at.checked_add(len).and_then(|end| self.structure.get(self.at..end)).ok_or(self.broken())?;
        let value = value.to_vec();
        self.skip(len);
        Ok((name, value))
    }
}

impl Tree {
    /// The tree in a blob; bytes after it are ignored.
    ///
    /// # Errors
    /// [`FdtError`].
    pub fn parse(blob: &[u8]) -> Result<Tree, FdtError> {
        let field = |n: usize| word(blob, 4 * n).ok_or(FdtError::Short("header"));
        if field(0)? != MAGIC {
            return Err(FdtError::Magic);
        }
        let total = field(1)? as usize;
        if total > MAX_SIZE {
            return Err(FdtError::Size(total));
        }
        let blob = blob.get(..total).ok_or(FdtError::Short("total size"))?;
        let (version, compatible) = (field(5)?, field(6)?);
        if version < COMPATIBLE || compatible > VERSION {
            return Err(FdtError::Version(version));
        }
        let block = |offset: u32, size: Option<u32>, what| {
            let rest = blob.get(offset as usize..);
            let block = rest.and_then(|r| size.map_or(Some(r), |size| r.get(..size as usize)));
            block.ok_or(FdtError::Short(what))
        };
        let structure_size = if version >= VERSION { Some(field(9)?) } else { None };
        let structure = block(field(2)?, structure_size, "structure block")?;
        let strings = block(field(3)?, Some(field(8)?), "strings block")?;
        let reserved = reserved(block(field(4)?, None, "reservation block")?)?;
        let mut reader = Reader { structure, strings, at: 0 };
        if reader.token()? != BEGIN_NODE {
            return Err(FdtError::Structure(0));
        }
        let root = reader.node(0)?;
        if reader.token()? != END {
            return Err(FdtError::Structure(reader.at - 4));
        }
        Ok(Tree { root, reserved, boot_cpu: field(7)? })
    }

    /// The tree as a blob without spare room.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.node(&self.root);
        writer.word(END);
        let reserved: Vec<u8> = self
            .reserved
            .iter()
            .chain([&(0, 0)])
            .flat_map(|(addr, size)| [addr.to_be_bytes(), size.to_be_bytes()].concat())
            .collect();
        let structure_at = HEADER + reserved.len();
        let strings_at = structure_at + writer.structure.len();
        let total = strings_at + writer.strings.len();
        let fields = [
            MAGIC as usize,
            total,
            structure_at,
            strings_at,
            HEADER,
            VERSION as usize,
            COMPATIBLE as usize,
            self.boot_cpu as usize,
            writer.strings.len(),
            writer.structure.len(),
        ];
        let header = fields.iter().flat_map(|f| (*f as u32).to_be_bytes()).collect();
        [header, reserved, writer.structure, writer.strings].concat()
    }
}

fn reserved(block: &[u8]) -> Result<Vec<(u64, u64)>, FdtError> {
    let mut all = Vec::new();
    loop {
        let at = 16 * all.len();
        let entry = wide(block, at).zip(wide(block, at + 8)).ok_or(FdtError::Short("reservation block"))?;
        if entry == (0, 0) {
            return Ok(all);
        }
        all.push(entry);
    }
}

/// Makes the blocks of a blob.
#[derive(Default)]
struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
    names: BTreeMap<String, u32>,
}

impl Writer {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(at) = self.names.get(name) {
            return *at;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        self.names.insert(name.to_owned(), at);
        at
    }

    fn node(&mut self, node: &Node) {
        self.word(BEGIN_NODE);
        let name: Vec<u8> = node.name.bytes().chain([0]).collect();
        self.bytes(&name);
        for (name, value) in &node.props {
            let name = self.name(name);
            self.word(PROP);
            self.word(value.len() as u32);
            self.word(name);
            self.bytes(value);
        }
        for child in &node.children {
            self.node(child);
        }
        self.word(END_NODE);
    }
}
