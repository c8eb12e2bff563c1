//! Maps as text, in the form of QEMU's `info mtree` and `info mtree -f`.

use super::tree::{Kind, Tree};
use super::{AddressSpace, Region, View};
use core::fmt::Write as _;
use std::rc::Rc;

impl AddressSpace {
    /// The trees of all spaces over the same regions, then what their aliases show, as `info mtree` prints them; with
    /// `disabled` also what is not enabled, as with `-D`.
    #[must_use]
    pub fn tree_text(&self, disabled: bool) -> String {
        let tree = self.shared.tree.borrow();
        let mut printer = Printer { tree: &tree, disabled, targets: Vec::new(), out: String::new() };
        for views in self.by_root() {
            let mut names: Vec<&str> = views.iter().map(|v| v.name.as_str()).collect();
            names.sort_unstable();
            for name in names {
                printer.out += &format!("address-space: {name}\n");
            }
            printer.region(views[0].root, 1, 0);
            printer.out.push('\n');
        }
        let mut next = 0;
        while let Some(target) = printer.targets.get(next).copied() {
            next += 1;
            printer.out += &format!("memory-region: {}\n", tree.get(target).name);
            printer.region(target, 1, 0);
            printer.out.push('\n');
        }
        printer.out
    }

    /// The flat views of all spaces over the same regions, as `info mtree -f` prints them.
    #[must_use]
    pub fn flat_text(&self) -> String {
        let mut out = String::new();
        for (index, views) in self.by_root().iter().enumerate() {
            out += &format!("FlatView #{index}\n");
            let root = views[0].root;
            let tree = self.shared.tree.borrow();
            for view in views {
                out += &format!(" AS \"{}\", root: {}", view.name, tree.get(root).name);
                if let Kind::Alias { target, .. } = tree.get(root).kind {
                    out += &format!(", alias {}", tree.get(target).name);
                }
                out.push('\n');
            }
            drop(tree);
            self.ranges_text(views[0].clone(), &mut out);
            out.push('\n');
        }
        out
    }

    fn ranges_text(&self, view: Rc<View>, out: &mut String) {
        let space = AddressSpace { shared: self.shared.clone(), view };
        let flat = space.flat();
        let tree = self.shared.tree.borrow();
        let none = flat.ranges().is_empty();
        let name = if none { "(none)" } else { &tree.get(space.view.root).name };
        *out += &format!(" Root memory region: {name}\n");
        if none {
            out.push_str("  No rendered FlatView\n");
        }
        for range in flat.ranges() {
            let node = tree.get(range.region);
            let _ = write!(
                out,
                "  {:016x}-{:016x} (prio {}, {}): {}",
                range.first,
                range.last,
                node.priority,
                type_name(&tree, range.region),
                node.name
            );
            if range.offset != 0 {
                let _ = write!(out, " @{:016x}", range.offset);
            }
            out.push('\n');
        }
    }

    /// All views, those with the same root together.
    fn by_root(&self) -> Vec<Vec<Rc<View>>> {
        let mut groups: Vec<Vec<Rc<View>>> = Vec::new();
        for view in self.shared.views.borrow().iter() {
            match groups.iter_mut().find(|g| g[0].root == view.root) {
                Some(group) => group.push(view.clone()),
                None => groups.push(vec![view.clone()]),
            }
        }
        groups
    }
}

/// The kind of a region, in QEMU's words.
fn type_name(tree: &Tree, region: Region) -> &'static str {
    match &tree.get(region).kind {
        Kind::Alias { target, .. } => type_name(tree, *target),
        Kind::Ram { readonly: false, .. } => "ram",
        Kind::Ram { readonly: true, .. } => "rom",
        Kind::RomDevice { direct: true, .. } => "romd",
        Kind::Container | Kind::Open | Kind::Device { .. } | Kind::RomDevice { .. } => "i/o",
    }
}

struct Printer<'a> {
    tree: &'a Tree,
    disabled: bool,
    /// What aliases have shown so far.
    targets: Vec<Region>,
    out: String,
}

impl Printer<'_> {
    /// Prints a region that lies in one at `base`, and what lies in it.
    fn region(&mut self, region: Region, level: usize, base: u64) {
        let node = self.tree.get(region);
        let first = base.wrapping_add(node.offset);
        if let Kind::Alias { target, .. } = node.kind
            && !self.targets.contains(&target)
        {
            self.targets.push(target);
        }
        if node.enabled || self.disabled {
            self.line(region, level, first);
        }
        let mut children = node.children.clone();
        // Stable: among equals the one that answers comes first.
        children.sort_by_key(|c| self.tree.get(*c).offset);
        for child in children {
            self.region(child, level + 1, first);
        }
    }

    fn line(&mut self, region: Region, level: usize, first: u64) {
        let node = self.tree.get(region);
        let last = first.wrapping_add(node.last);
        if last < first || first < node.offset {
            // Moved by the guest to where no address reaches.
            self.out.push_str("[DETECTED OVERFLOW!] ");
        }
        let kind = type_name(self.tree, region);
        let _ = write!(self.out, "{:1$}{first:016x}-{last:016x} (prio {2}, {kind}): ", "", 2 * level, node.priority);
        if let Kind::Alias { target, offset } = node.kind {
            let (target, end) = (&self.tree.get(target).name, offset + node.last);
            let _ = write!(self.out, "alias {} @{target} {offset:016x}-{end:016x}", node.name);
        } else {
            self.out.push_str(&node.name);
        }
        self.out.push_str(if node.enabled { "\n" } else { " [disabled]\n" });
    }
}
