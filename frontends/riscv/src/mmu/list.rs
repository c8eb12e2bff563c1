//! The list of what page tables map, for people who look at a machine.

use super::{A, D, Entry, Format, GLOBAL, R, Stage, USER, W, Walk, X, data_actor, format};
use crate::privileged::{S, Unit};
use crate::state::{HGATP, SATP, VSATP};
use tern_core::engine::Platform;
use tern_core::mem::{Access, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use tern_core::state::State;
use tern_core::system::Mapped;

/// At most this many stretches are listed.
const MOST: usize = 65536;
/// At most this many pages of tables are read: tables that lead to themselves would have no end.
const MOST_TABLES: u32 = 16384;

/// What the current page tables map; see [`tern_core::system::System::mappings`].
///
/// Those of `satp`, in machine mode too, which itself is not translated; of `vsatp` in a guest (or where MPRV says so):
/// tables are read through `hgatp`, and the physical addresses are the guest's.  If `vsatp` translates nothing, those of
/// `hgatp`.  Without translation there is nothing to list.  Physical memory protection of pages is not looked at.  The list
/// ends early after 65536 stretches, or 64 MiB of tables.
pub(crate) fn mappings(state: &State, physical: &mut dyn Platform, unit: Unit) -> Vec<Mapped> {
    let mut actor = data_actor(state);
    actor.privilege = S;
    let first = format(unit, state.get(if actor.guest { VSATP } else { SATP }));
    let (found, stage) = match (first, actor.guest) {
        (None, true) => (format(unit, state.get(HGATP)), Stage::second(state)),
        (found, _) => (found, Stage::first(state, actor)),
    };
    let Some((format, root)) = found else { return Vec::new() };
    let walk =
        Walk { state, physical, unit, access: Access::Load, actor, execute: false, look: true, span: PAGE_SHIFT };
    let mut list = List { walk, stage, format, found: Vec::new(), rights: 0, tables: 0 };
    let root = if stage.second { root & !0x3fff } else { root };
    list.table(root, 0, format.levels - 1);
    list.found
}

struct List<'a> {
    walk: Walk<'a>,
    stage: Stage,
    format: Format,
    found: Vec<Mapped>,
    /// Entry bits of the last stretch.
    rights: u64,
    /// Pages of tables that were read.
    tables: u32,
}

impl List<'_> {
    fn full(&self) -> bool {
        self.found.len() >= MOST || self.tables >= MOST_TABLES
    }

    /// Lists what a table of this level maps from `virt` on.
    fn table(&mut self, table: u64, virt: u64, level: u32) {
        let entry_bytes = self.format.entry.bytes();
        let per_page = PAGE_SIZE / entry_bytes;
        let widened = if self.stage.second && level + 1 == self.format.levels { 2 } else { 0 };
        let shift = PAGE_SHIFT + level * self.format.index_bits;
        let pages = (1u64 << (self.format.index_bits + widened)) / per_page;
        for page in 0..pages {
            if self.full() {
                return;
            }
            self.tables += 1;
            let at = table + page * PAGE_SIZE;
            let Some(entries) = self.read(at) else { continue };
            for (index, entry) in (page * per_page..).zip(entries) {
                self.entry(entry, virt | index << shift, level, shift);
            }
        }
    }

    /// The entries of one page of a table; `None`: there is no memory.
    fn read(&mut self, at: u64) -> Option<Vec<u64>> {
        let place = self.walk.entry_place(at, Access::Load, self.stage).ok()?;
        let page = self.walk.physical.page(place, Access::Load, 0).ok()?;
        let (size, from) = (self.format.entry, place & PAGE_MASK);
        (0..PAGE_SIZE / size.bytes()).map(|n| page.span.load((from + n * size.bytes()) as usize, size)).collect()
    }

    fn entry(&mut self, entry: u64, virt: u64, level: u32, shift: u32) {
        match self.walk.kind(entry, self.stage) {
            Some(Entry::Table(next)) if level > 0 => self.table(next, virt, level - 1),
            Some(Entry::Page) => {
                if let Some((base, span)) = self.walk.place(entry, level, shift) {
                    // One entry of several that together are a page maps its own part.
                    let phys = base | virt & ((1 << span) - 1);
                    self.page(self.canonical(virt), phys, 1 << shift, entry);
                }
            }
            _ => {}
        }
    }

    /// A virtual address as programs write it.
    fn canonical(&self, virt: u64) -> u64 {
        if self.stage.second || self.walk.unit.rv32() {
            return virt;
        }
        let above = 64 - self.format.bits();
        (((virt << above) as i64) >> above) as u64
    }

    fn page(&mut self, virt: u64, phys: u64, size: u64, entry: u64) {
        let rights = entry & (R | W | X | USER | GLOBAL | A | D);
        if let Some(last) = self.found.last_mut()
            && self.rights == rights
            && last.virt.checked_add(last.size) == Some(virt)
            && last.phys.checked_add(last.size) == Some(phys)
        {
            last.size += size;
            return;
        }
        if self.found.len() < MOST {
            self.found.push(Mapped { virt, phys, size, rights: letters(rights) });
            self.rights = rights;
        }
    }
}

/// `rwxugad`, with `-` for what is not there.
fn letters(rights: u64) -> String {
    const ROWS: [(u64, char); 7] = [(R, 'r'), (W, 'w'), (X, 'x'), (USER, 'u'), (GLOBAL, 'g'), (A, 'a'), (D, 'd')];
    ROWS.iter().map(|(bit, letter)| if rights & bit != 0 { *letter } else { '-' }).collect()
}
