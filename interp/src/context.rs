//! Contexts: what a CPU remembers of memory and code, kept apart by mode word and address space.
//!
//! A guest that translates addresses has several contexts at a time: its user and kernel modes, the address spaces that it
//! ran in last.  To change from one to another the registers move; the tables stay, so that handlers find one set of tables
//! at a fixed place and pay nothing for the others.

use crate::cx::Cx;
use tern_core::state::State;
use tern_core::system::Flush;

/// Contexts that one CPU keeps (about 130 KB each, as far as they are touched).
const MOST: usize = 12;

/// What contexts are told apart by: mode word and address space.
pub(crate) type ContextKey = (u32, u64);

/// The contexts of one CPU that are not in use.
#[derive(Default)]
pub(crate) struct Contexts {
    key: ContextKey,
    others: Vec<(ContextKey, Box<Cx>)>,
}

impl Contexts {
    /// Makes the context of `key` the current one, `cx`.
    pub(crate) fn select(&mut self, cx: &mut Box<Cx>, key: ContextKey) {
        if self.key == key {
            return;
        }
        let old = core::mem::replace(&mut self.key, key);
        let next = match self.others.iter().position(|(k, _)| *k == key) {
            Some(i) => self.others.remove(i).1,
            None if self.others.len() + 1 < MOST => {
                Cx::new(State { near: cx.state.near, far: Box::default() }, cx.styles, cx.helpers)
            }
            // The one that was left longest ago.
            None => {
                let mut oldest = self.others.remove(0).1;
                oldest.flush_tlb();
                oldest.flush_jumps();
                oldest
            }
        };
        let mut before = core::mem::replace(cx, next);
        cx.state.near = before.state.near;
        cx.state.far = core::mem::take(&mut before.state.far);
        cx.profile = before.profile.take();
        cx.flush = core::mem::take(&mut before.flush);
        self.others.push((old, before));
    }

    /// Does what helpers of `cx` asked for, in all contexts.
    pub(crate) fn flush(&mut self, cx: &mut Cx, flush: Flush) {
        let all = self.others.iter_mut().map(|(_, cx)| &mut **cx).chain([cx]);
        match flush {
            Flush::None => {}
            Flush::Page(addr) => all.for_each(|cx| cx.forget_page(addr)),
            Flush::All => all.for_each(|cx| {
                cx.flush_tlb();
                cx.flush_jumps();
            }),
        }
    }
}
