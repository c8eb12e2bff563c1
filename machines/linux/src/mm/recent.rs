//! Pages that were found a moment ago: engines and system calls ask for the same few again and again.

use super::vma::Perm;
use tern_core::mem::{Access, PAGE_SHIFT, PageRef};

/// Places; a page's number chooses one.
const PLACES: usize = 64;

struct Place {
    page: PageRef,
    perm: Perm,
    /// The memory's generation when the page was found: later it may be another one's.
    generation: u64,
}

/// A direct-mapped table of pages.
pub(super) struct Recent {
    places: [Option<Place>; PLACES],
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { places: [const { None }; PLACES] }
    }
}

impl Recent {
    /// The page that holds `addr`, if it is known and allows `access`.
    pub(super) fn find(&self, addr: u64, access: Access, generation: u64) -> Option<PageRef> {
        let number = addr >> PAGE_SHIFT;
        let place = self.places[number as usize % PLACES].as_ref()?;
        let allowed = match access {
            Access::Load => place.perm.read || place.perm.write,
            Access::Store => place.perm.write,
            Access::Fetch => place.perm.exec,
        };
        (place.page.phys == number && place.generation == generation && allowed).then_some(place.page)
    }

    /// Remembers a page.
    pub(super) fn keep(&mut self, page: PageRef, perm: Perm, generation: u64) {
        self.places[page.phys as usize % PLACES] = Some(Place { page, perm, generation });
    }

    /// Forgets a page, whose flags change.
    pub(super) fn forget(&mut self, number: u64) {
        let place = &mut self.places[number as usize % PLACES];
        if place.as_ref().is_some_and(|p| p.page.phys == number) {
            *place = None;
        }
    }
}
