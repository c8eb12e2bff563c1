//! The way from functions to memory: through an IOMMU, if there is one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tern_core::backend::SharedRange;
use tern_core::device::{Bus, BusError, Dma, Iommu, Kit};
use tern_core::mem::HostSpan;

/// The IOMMU of a host bridge, shared by the ways of all its functions.
pub(super) type Shared = Rc<RefCell<Option<Rc<dyn Iommu>>>>;

/// One function's way.
pub(super) struct Way {
    memory: Dma,
    iommu: Shared,
    /// Bus, device and function number now.
    pub(super) requester: Cell<u16>,
    /// It is the IOMMU itself.
    pub(super) exempt: Cell<bool>,
    /// It uses physical addresses ([`super::PciFunction::behind_iommu`]).
    pub(super) direct: Cell<bool>,
}

impl Way {
    /// From a function with this kit; and the kit that it is to have.
    pub(super) fn new(kit: Kit, iommu: &Shared) -> (Rc<Way>, Kit) {
        let (requester, exempt, direct) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let way = Rc::new(Way { memory: kit.dma, iommu: iommu.clone(), requester, exempt, direct });
        let route = way.clone();
        let route = Rc::new(move |addr, data| match route.iommu() {
            Some(iommu) => iommu.message(route.requester.get(), addr, data),
            None => Some((addr, data)),
        });
        let kit = Kit { dma: Dma::new(way.clone()), messenger: kit.messenger.through(route), ..kit };
        (way, kit)
    }

    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        if self.exempt.get() { None } else { self.iommu.borrow().clone() }
    }

    /// What accesses to memory pass through.
    fn translator(&self) -> Option<Rc<dyn Iommu>> {
        self.iommu().filter(|_| !self.direct.get())
    }

    /// Calls `f` with (physical address, offset, length) for the pieces of `addr..addr + len`.
    fn pieces(
        &self,
        addr: u64,
        len: u64,
        write: bool,
        mut f: impl FnMut(u64, usize, usize) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let Some(iommu) = self.translator() else { return f(addr, 0, len as usize) };
        let mut done = 0;
        while done < len {
            let at = addr.wrapping_add(done);
            let to = iommu.translate(self.requester.get(), at, write)?;
            let n = to.len.clamp(1, len - done);
            f(to.addr, done as usize, n as usize).map_err(|_| BusError { addr: at })?;
            done += n;
        }
        Ok(())
    }
}

impl Bus for Way {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.pieces(addr, buf.len() as u64, false, |to, at, n| self.memory.read(to, &mut buf[at..at + n]))
    }

    fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError> {
        self.pieces(addr, buf.len() as u64, true, |to, at, n| self.memory.write(to, &buf[at..at + n]))
    }

    fn span(&self, addr: u64, len: u64, write: bool) -> Result<HostSpan, BusError> {
        let Some(iommu) = self.translator() else { return self.memory.span(addr, len, write) };
        let to = iommu.translate(self.requester.get(), addr, write)?;
        self.memory.span(to.addr, to.len.min(len), write).map_err(|_| BusError { addr })
    }

    fn discard(&self, addr: u64, len: u64) -> Result<(), BusError> {
        self.pieces(addr, len, true, |to, _, n| self.memory.discard(to, n as u64))
    }

    fn shared(&self) -> Vec<SharedRange> {
        if self.translator().is_some() { Vec::new() } else { self.memory.shared() }
    }

    /// Windows are moved by the bridge, not on this way.
    fn map(&self, _device: u32, _window: u32, _addr: Option<u64>) {}
}
