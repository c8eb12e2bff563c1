//! Functions come and go behind ports with slots while the machine runs (PCI Express Base 4.0, 6.7), and in snapshots.

use super::{Bar, BarKind, Decoder, Entry, MAX_FUNCTIONS, MAX_WINDOWS, PciError, PciHost, Saved, Way};
use crate::pci::PciFunction;
use crate::pci::port::{SLOT, Slot};
use tern_core::device::{Kit, Reporter, Request};
use tern_core::snapshot::{StateError, check};

/// What the bridge has to know of a slot before the guest writes to its port.
#[derive(Clone, Copy)]
pub(super) struct Before {
    off: bool,
    link: bool,
}

impl PciHost {
    /// As [`PciHost::try_add`], while the machine runs: the port tells the guest when function 0 comes, so that others come
    /// before it.
    ///
    /// # Errors
    /// [`PciError`], or what `build` says.
    pub fn hot_add<E: From<PciError>>(
        &mut self,
        parent: usize,
        place: Option<(u8, u8)>,
        report: Reporter,
        build: impl FnOnce(Kit) -> Result<Box<dyn PciFunction>, E>,
    ) -> Result<usize, E> {
        if !self.takes_hotplug(parent) {
            return Err(PciError::NoHotplug(parent).into());
        }
        let first = self.find(Some(parent), 0, 0).and_then(|n| self.function(n));
        if let (Some(first), Some((0, 1..))) = (first, place) {
            return Err(PciError::Exposed(0, first.kind()).into());
        }
        let at = self.place(Some(parent), place)?;
        let number = self.insert(Some(parent), at, report, build)?;
        if at == (0, 0) {
            self.change_slot(parent, Slot::fill);
        }
        Ok(number)
    }

    /// Do functions behind function `port` come and go while the machine runs?
    #[must_use]
    pub fn takes_hotplug(&self, port: usize) -> bool {
        self.function(port).and_then(|p| p.slot()).is_some_and(Slot::hotplug)
    }

    /// Asks the guest to let function `number` go: it is gone when the guest has switched its slot off, or at once if it is
    /// ([`PciHost::take_ejected`]).
    ///
    /// # Errors
    /// [`PciError::Gone`], [`PciError::NoHotplug`], [`PciError::Busy`].
    pub fn ask_to_go(&mut self, number: usize) -> Result<(), PciError> {
        let (_, _, function) = self.place_of(number).ok_or(PciError::Gone(number))?;
        let slot = self.slot_of(number).filter(|(_, slot)| slot.hotplug());
        let (port, slot) = slot.ok_or(PciError::NoHotplug(number))?;
        let config = self.config(port).ok_or(PciError::Gone(port))?;
        if slot.is_busy(config) {
            return Err(PciError::Busy);
        }
        if function != 0 && !slot.is_full(config) {
            // The guest has never seen it.
            self.take_off(number);
        } else if slot.is_off(config) {
            self.eject(port);
            self.change_slot(port, Slot::release);
        } else {
            self.change_slot(port, Slot::press);
        }
        Ok(())
    }

    /// The functions that have gone since the last call, each after all that was behind it.
    pub fn take_ejected(&mut self) -> Vec<usize> {
        core::mem::take(&mut self.ejected)
    }

    /// The port that function `number` is behind, and its slot.
    pub(super) fn slot_of(&self, number: usize) -> Option<(usize, Slot)> {
        let port = self.place_of(number)?.0?;
        Some((port, self.function(port)?.slot()?))
    }

    /// Changes the slot of function `port`, and lets the port tell the guest.
    fn change_slot(&mut self, port: usize, f: impl FnOnce(Slot, &mut crate::pci::Config)) {
        self.with(port, |p| {
            if let Some(slot) = p.slot() {
                f(slot, p.config_mut());
                p.changed(SLOT);
            }
        });
    }

    /// How the slot of a function is, if it has one.
    pub(super) fn slot_state(&self, entry: usize) -> Option<Before> {
        let part = self.function(entry)?;
        let slot = part.slot()?;
        Some(Before { off: slot.is_off(part.config()), link: slot.link(part.config()) })
    }

    /// The guest has written to a port: what is in its slot may go, or has lost its power.
    pub(super) fn slot_written(&mut self, entry: usize, before: Option<Before>) {
        let (Some(before), Some(now)) = (before, self.slot_state(entry)) else { return };
        if now.off && !before.off {
            self.eject(entry);
        } else if before.link && !now.link {
            for number in self.behind(entry) {
                self.with(number, |f| f.reset());
                self.kit.clock.part(number as u16 + 1).cancel_all();
            }
        }
    }

    /// Takes everything out of a slot, if the guest knows of it.
    fn eject(&mut self, port: usize) {
        let full = |p: &dyn PciFunction| p.slot().is_some_and(|slot| slot.is_full(p.config()));
        if !self.function(port).is_some_and(full) {
            return;
        }
        for number in self.behind(port) {
            self.take_off(number);
        }
        self.change_slot(port, Slot::empty);
    }

    /// Takes a function off the bus, and lets the board know.
    fn take_off(&mut self, number: usize) {
        self.remove(number);
        self.ejected.push(number);
        self.kit.messenger.request(Request::Attend);
    }

    /// All functions behind a bridge, each after all that is behind it.
    fn behind(&self, bridge: usize) -> Vec<usize> {
        let here = self.functions().filter(|n| self.entries[*n].parent == Some(bridge));
        here.flat_map(|n| self.behind(n).into_iter().chain([n])).collect()
    }

    /// Can what is saved be taken on?  Functions that have gone there may be here, and go; but none may be here that was
    /// never there, and none be there that is not here.
    pub(super) fn check_places(&self, saved: &[Saved]) -> Result<(), StateError> {
        let (there, here) = (saved.len(), self.entries.len());
        check(here <= there && there <= MAX_FUNCTIONS, "functions", || format!("{there}, this bridge has {here}"))?;
        for (n, saved) in saved.iter().enumerate() {
            let entry = self.entries.get(n);
            let live = entry.is_some_and(|e| e.part.is_some());
            check(saved.state.is_none() || live, "functions", || format!("number {n} is not here"))?;
            let windows = entry.map(|e| e.decoders.len());
            let fits = windows.is_none_or(|n| n == usize::from(saved.windows)) && saved.windows <= MAX_WINDOWS;
            check(fits, "windows", || format!("{} of function {n}", saved.windows))?;
        }
        Ok(())
    }

    /// Does what has been loaded fit together: is each function's bridge there, does each slot know what is in it?
    pub(super) fn check_slots(&self, saved: &[Saved]) -> Result<(), StateError> {
        let live = |n: usize| saved.get(n).is_some_and(|s| s.state.is_some());
        for (n, entry) in self.entries.iter().enumerate().filter(|(n, _)| live(*n)) {
            check(entry.parent.is_none_or(live), "functions", || format!("number {n} has no bridge"))?;
            let Some(part) = entry.part.as_ref() else { continue };
            let Some(slot) = part.slot() else { continue };
            let mut all = self.entries.iter().enumerate();
            let full = all.any(|(at, e)| live(at) && (e.parent, e.device, e.function) == (Some(n), 0, 0));
            check(slot.is_full(part.config()) == full, "slot", || format!("of function {n}: is it full?"))?;
        }
        Ok(())
    }

    /// Loads the states of functions that have one.
    pub(super) fn load_functions<'a>(
        &mut self,
        states: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Result<(), StateError> {
        for (entry, state) in self.entries.iter_mut().zip(states) {
            if let (Some(part), Some(state)) = (&mut entry.part, state) {
                part.load(state)?;
            }
        }
        Ok(())
    }

    /// Functions that have gone in what has been loaded go here too; their numbers stay taken.
    pub(super) fn follow(&mut self, saved: &[Saved]) {
        for (n, saved) in saved.iter().enumerate() {
            match self.entries.get_mut(n) {
                Some(entry) if saved.state.is_none() && entry.part.is_some() => {
                    self.drop_part(n);
                    self.ejected.push(n);
                }
                Some(_) => {}
                None => {
                    let bar = Bar { number: 0, kind: BarKind::Memory32, size: 16 };
                    let decoders = (0..saved.windows).map(|_| Decoder { bar, mapped: None }).collect();
                    let (way, _) = Way::new(self.kit.clone(), &self.iommu);
                    let window = self.windows;
                    self.windows += u32::from(saved.windows);
                    let (parent, part, line) = (None, None, None);
                    self.entries.push(Entry { parent, device: 0, function: 0, part, window, decoders, line, way });
                }
            }
        }
    }
}
