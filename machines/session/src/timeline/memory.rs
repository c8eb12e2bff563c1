//! Contents of memory at a point of a run: pages that do not differ are shared between points.

use std::cell::Cell;
use std::rc::Rc;
use tern_core::mem::space::{AddressSpace, DirtyClient, RamBlock};
use tern_core::mem::{PAGE_SHIFT, PAGE_SIZE};

/// Pages of a group, which is shared as a whole when none of them differs.
const GROUP: usize = 256;

/// How many bytes all pages of a timeline have together.
pub(super) type Total = Rc<Cell<usize>>;

/// A page.
struct Page {
    bytes: Box<[u8]>,
    total: Total,
}

impl Page {
    fn new(bytes: Box<[u8]>, total: &Total) -> Page {
        total.set(total.get() + bytes.len());
        Page { bytes, total: total.clone() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.total.set(self.total.get().saturating_sub(self.bytes.len()));
    }
}

/// Pages in a row; `None`: zeros.
struct Group {
    pages: Vec<Option<Rc<Page>>>,
    total: Total,
}

impl Group {
    const SIZE: usize = GROUP * size_of::<Option<Rc<Page>>>();

    fn new(pages: Vec<Option<Rc<Page>>>, total: &Total) -> Group {
        total.set(total.get() + Group::SIZE);
        Group { pages, total: total.clone() }
    }
}

impl Clone for Group {
    fn clone(&self) -> Group {
        Group::new(self.pages.clone(), &self.total)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.total.set(self.total.get().saturating_sub(Group::SIZE));
    }
}

/// All memory at one point.
#[derive(Clone, Default)]
pub(super) struct Image {
    /// By block, in groups of pages.
    blocks: Vec<Vec<Rc<Group>>>,
}

fn length(block: &RamBlock, page: u64) -> usize {
    (block.size() - (page << PAGE_SHIFT)).min(PAGE_SIZE) as usize
}

fn contents(block: &RamBlock, page: u64, total: &Total) -> Option<Rc<Page>> {
    let mut bytes = vec![0; length(block, page)].into_boxed_slice();
    let there = block.touched(page) && block.read(page << PAGE_SHIFT, &mut bytes);
    (there && bytes.iter().any(|byte| *byte != 0)).then(|| Rc::new(Page::new(bytes, total)))
}

impl Image {
    /// Brings the image to what memory holds now: it differs in the pages that have been written since the last call.
    pub(super) fn update(&mut self, space: &AddressSpace, total: &Total) {
        for (n, block) in space.blocks().iter().enumerate() {
            let dirty = block.take_dirty(DirtyClient::Checkpoint);
            if n == self.blocks.len() {
                let pages = usize::try_from(block.pages()).unwrap_or(usize::MAX);
                let zeros = Rc::new(Group::new(vec![None; GROUP], total));
                self.blocks.push(vec![zeros; pages.div_ceil(GROUP)]);
                for page in (0..block.pages()).filter(|page| block.touched(*page)) {
                    self.set(n, page, contents(block, page, total));
                }
                continue;
            }
            for page in dirty {
                self.set(n, page, contents(block, page, total));
            }
        }
    }

    fn set(&mut self, block: usize, page: u64, contents: Option<Rc<Page>>) {
        let at = page as usize;
        if let Some(group) = self.blocks[block].get_mut(at / GROUP) {
            Rc::make_mut(group).pages[at % GROUP] = contents;
        }
    }

    /// Brings memory, which holds what `self` says, to what `to` says; `self` is that afterwards.
    pub(super) fn restore(&mut self, space: &AddressSpace, to: &Image) {
        for (n, block) in space.blocks().iter().enumerate() {
            let (Some(from), Some(to)) = (self.blocks.get(n), to.blocks.get(n)) else { continue };
            for (g, (old, new)) in from.iter().zip(to).enumerate() {
                if Rc::ptr_eq(old, new) {
                    continue;
                }
                for (i, (old, new)) in old.pages.iter().zip(&new.pages).enumerate() {
                    let same = match (old, new) {
                        (Some(old), Some(new)) => Rc::ptr_eq(old, new),
                        (None, None) => true,
                        _ => false,
                    };
                    let offset = ((g * GROUP + i) as u64) << PAGE_SHIFT;
                    match new {
                        _ if same => {}
                        Some(page) => {
                            let inside = block.write(offset, &page.bytes);
                            debug_assert!(inside, "the page was read there");
                        }
                        None => block.zero(offset, PAGE_SIZE.min(block.size().saturating_sub(offset))),
                    }
                }
            }
            // What was written here is what the image says.
            let _ = block.take_dirty(DirtyClient::Checkpoint);
        }
        *self = to.clone();
    }
}
