//! Device trees: nodes and properties that can be changed, read from and written to flattened blobs.

mod blob;

pub use blob::FdtError;
use core::fmt::Write as _;

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Its name with its unit address: `serial@10000000`; empty at the root.
    pub name: String,
    /// Its properties, in order.
    pub props: Vec<(String, Vec<u8>)>,
    /// The nodes below it, in order.
    pub children: Vec<Node>,
}

impl Node {
    /// A node without properties.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Node {
        Node { name: name.into(), ..Node::default() }
    }

    /// Sets a property.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) -> &mut Node {
        let value = value.into();
        match self.props.iter_mut().find(|(n, _)| n == name) {
            Some(prop) => prop.1 = value,
            None => self.props.push((name.to_owned(), value)),
        }
        self
    }

    /// Sets a property without a value.
    pub fn flag(&mut self, name: &str) -> &mut Node {
        self.set(name, [])
    }

    /// Sets a property of 32-bit cells.
    pub fn cells(&mut self, name: &str, cells: &[u32]) -> &mut Node {
        let bytes: Vec<u8> = cells.iter().flat_map(|c| c.to_be_bytes()).collect();
        self.set(name, bytes)
    }

    /// Sets a property of 64-bit numbers, two cells each.
    pub fn wide(&mut self, name: &str, numbers: &[u64]) -> &mut Node {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        self.set(name, bytes)
    }

    /// Sets a property to a string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Node {
        self.strings(name, &[value])
    }

    /// Sets a property to a list of strings.
    pub fn strings<S: AsRef<str>>(&mut self, name: &str, values: &[S]) -> &mut Node {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.as_ref().bytes().chain([0])).collect();
        self.set(name, bytes)
    }

    /// A property's bytes.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.props.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// Takes a property away.
    pub fn remove(&mut self, name: &str) {
        self.props.retain(|(n, _)| n != name);
    }

    /// Puts a node below this one.
    pub fn push(&mut self, child: Node) -> &mut Node {
        self.children.push(child);
        self
    }

    /// The node with this name below this one, a new one if there is none.
    pub fn child(&mut self, name: &str) -> &mut Node {
        let at = self.children.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.children.push(Node::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// The node at a path below this one (`soc/serial@10000000`); an empty path is this one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Node> {
        let mut parts = path.split('/').filter(|p| !p.is_empty());
        parts.try_fold(self, |node, part| node.children.iter().find(|c| c.name == part))
    }

    /// Text of this node as in a `.dts` file.
    fn text(&self, depth: usize, out: &mut String) {
        let pad = "\t".repeat(depth);
        let name = if depth == 0 { "/" } else { &self.name };
        let _ = writeln!(out, "{pad}{name} {{");
        for (name, value) in &self.props {
            let _ = match value_text(value) {
                text if text.is_empty() => writeln!(out, "{pad}\t{name};"),
                text => writeln!(out, "{pad}\t{name} = {text};"),
            };
        }
        for child in &self.children {
            child.text(depth + 1, out);
        }
        let _ = writeln!(out, "{pad}}};");
    }
}

/// A value as strings, cells or bytes, whichever it looks like.
fn value_text(value: &[u8]) -> String {
    let strings = value.split_last().filter(|(last, _)| **last == 0).map(|(_, rest)| rest.split(|b| *b == 0));
    let printable = |s: &[u8]| !s.is_empty() && s.iter().all(|b| matches!(b, b' '..=b'~'));
    if let Some(parts) = strings
        && parts.clone().all(printable)
    {
        let quote = |s: &[u8]| format!("\"{}\"", String::from_utf8_lossy(s).replace('\\', "\\\\").replace('"', "\\\""));
        return parts.map(quote).collect::<Vec<_>>().join(", ");
    }
    if value.is_empty() {
        return String::new();
    }
    let (cells, rest) = value.as_chunks::<4>();
    if rest.is_empty() {
        let cells: Vec<String> = cells.iter().map(|c| format!("{:#x}", u32::from_be_bytes(*c))).collect();
        return format!("<{}>", cells.join(" "));
    }
    let bytes: Vec<String> = value.iter().map(|b| format!("{b:02x}")).collect();
    format!("[{}]", bytes.join(" "))
}

/// A device tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// Its root.
    pub root: Node,
    /// Memory that the kernel must leave alone: address and size.
    pub reserved: Vec<(u64, u64)>,
    /// Physical number of the CPU that boots.
    pub boot_cpu: u32,
}

impl Tree {
    /// The tree as source text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = "/dts-v1/;\n\n".to_owned();
        for (addr, size) in &self.reserved {
            let _ = writeln!(out, "/memreserve/ {addr:#x} {size:#x};");
        }
        self.root.text(0, &mut out);
        out
    }
}

#[cfg(test)]
mod tests;
