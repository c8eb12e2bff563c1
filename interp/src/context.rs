//! Contexts: what a CPU remembers of memory and code, kept apart by mode word and address space.
//!
//! A guest that translates addresses has several contexts at a time: its user and kernel modes, the address spaces that it
//! ran in last.  To change from one to another the registers move; the tables stay, so that handlers find one set of tables
//! at a fixed place and pay nothing for the others.

use crate::cx::Cx;
use smallvec::SmallVec;
use tern_core::state::State;
use tern_core::system::Flush;

/// Contexts that one CPU keeps (about 130 KB each, as far as they are touched).
const MOST: usize = 12;
/// Pages that a context is yet to forget one by one.
const PAGES: usize = 16;

/// What contexts are told apart by: mode word and address space.
pub(crate) type ContextKey = (u32, u64);

/// A context that is not in use, and what it is to forget before it is.
struct Idle {
    key: ContextKey,
    cx: Box<Cx>,
    all: bool,
    pages: SmallVec<[u64; PAGES]>,
}

impl Idle {
    fn forget(&mut self, flush: Flush) {
        match flush {
            Flush::Page(addr) if !self.all && self.pages.len() < PAGES => self.pages.push(addr),
            Flush::None => {}
            _ => self.all = true,
        }
    }

    fn wake(mut self) -> Box<Cx> {
        if self.all {
            flush_all(&mut self.cx);
        } else {
            self.pages.iter().for_each(|addr| self.cx.forget_page(*addr));
        }
        self.cx
    }
}

fn flush_all(cx: &mut Cx) {
    cx.flush_tlb();
    cx.flush_jumps();
}

/// The contexts of one CPU that are not in use.
#[derive(Default)]
pub(crate) struct Contexts {
    key: ContextKey,
    idle: Vec<Idle>,
}

impl Contexts {
    /// Makes the context of `key` the current one, `cx`.
    pub(crate) fn select(&mut self, cx: &mut Box<Cx>, key: ContextKey) {
        if self.key == key {
            return;
        }
        let old = core::mem::replace(&mut self.key, key);
        let next = match self.idle.iter().position(|i| i.key == key) {
            Some(i) => self.idle.remove(i).wake(),
            None if self.idle.len() + 1 < MOST => {
                Cx::new(State { near: cx.state.near, far: Box::default() }, cx.styles, cx.helpers)
            }
            // The one that was left longest ago.
            None => {
                let mut oldest = self.idle.remove(0);
                oldest.all = true;
                oldest.wake()
            }
        };
        let mut before = core::mem::replace(cx, next);
        cx.state.near = before.state.near;
        cx.state.far = core::mem::take(&mut before.state.far);
        cx.profile = before.profile.take();
        cx.flush = core::mem::take(&mut before.flush);
        self.idle.push(Idle { key: old, cx: before, all: false, pages: SmallVec::new() });
    }

    /// Does what helpers of `cx` asked for, in all contexts.
    pub(crate) fn flush(&mut self, cx: &mut Cx, flush: Flush) {
        match flush {
            Flush::None => return,
            Flush::Page(addr) => cx.forget_page(addr),
            Flush::All => flush_all(cx),
        }
        self.idle.iter_mut().for_each(|idle| idle.forget(flush));
    }
}
