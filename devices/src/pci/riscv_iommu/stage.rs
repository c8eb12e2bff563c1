//! Both stages of translation: the page tables of the privileged architecture (Privileged ISA, 12.4 to 12.6 and 20.5),
//! without updates of A and D bits.

use super::Core;
use super::context::{ATP_PPN, Fault, atp_mode};

/// Bits of a page table entry.
const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
/// Where the page number is, and what lies above it and means nothing here.
const PTE_PPN: u64 = 0x003f_ffff_ffff_fc00;
const PTE_RESERVED: u64 = 0xffc0_0000_0000_0000;

/// Causes of faults: of a read, and how much more a write's is (3.2).
const ACCESS_FAULT: u16 = 5;
const PAGE_FAULT: u16 = 13;
const GUEST_PAGE_FAULT: u16 = 21;
const WRITE: u16 = 2;

/// Why a walk ends without a page.
enum Stop {
    /// A table is where no memory is.
    Memory,
    /// The tables say no.
    Page,
    /// The second stage said no for a table of the first.
    Guest(Fault),
}

/// What an entry says of the page that holds `addr`.
enum Entry {
    /// The next table.
    Table(u64),
    /// The address that it leads to.
    Page(u64),
}

/// Levels of tables in a mode: Sv39 (8) to Sv57 (10).
fn levels(atp: u64) -> u32 {
    atp_mode(atp).clamp(8, 10) as u32 - 5
}

/// What an entry at `level` (0 is the lowest) says of an access.
fn read(pte: u64, level: u32, addr: u64, write: bool) -> Result<Entry, Stop> {
    let wrong = pte & V == 0 || pte & (R | W) == W || pte & PTE_RESERVED != 0;
    if wrong {
        return Err(Stop::Page);
    }
    let page = (pte & PTE_PPN) << 2;
    if pte & (R | W | X) == 0 {
        let reserved = pte & (A | D | U) != 0;
        return if reserved || level == 0 { Err(Stop::Page) } else { Ok(Entry::Table(page)) };
    }
    let inside = (1u64 << (12 + 9 * level)) - 1;
    let wanted = if write { W | D } else { R };
    if pte & (wanted | A | U) != wanted | A | U || page & inside != 0 {
        return Err(Stop::Page);
    }
    Ok(Entry::Page(page | addr & inside))
}

impl Core {
    /// Walks the tables of a mode from their root; `table` tells where a table is.
    fn walk(
        &self,
        atp: u64,
        addr: u64,
        write: bool,
        top_bits: u32,
        table: impl Fn(u64) -> Result<u64, Fault>,
    ) -> Result<u64, Stop> {
        let mut at = (atp & ATP_PPN) << 12;
        for level in (0..levels(atp)).rev() {
            let bits = if level + 1 == levels(atp) { top_bits } else { 9 };
            let index = addr >> (12 + 9 * level) & ((1 << bits) - 1);
            let at_entry = table(at.wrapping_add(8 * index)).map_err(Stop::Guest)?;
            let pte = self.dma.array(at_entry).map_err(|_| Stop::Memory)?;
            match read(u64::from_le_bytes(pte), level, addr, write)? {
                Entry::Table(next) => at = next,
                Entry::Page(page) => return Ok(page),
            }
        }
        Err(Stop::Page)
    }

    /// The guest physical address of `addr` by the first stage `atp`, whose tables are behind the second stage `iohgatp`.
    pub(super) fn walk_first(&self, atp: u64, iohgatp: u64, addr: u64, write: bool) -> Result<u64, Fault> {
        let more = if write { WRITE } else { 0 };
        let unused = 64 - (12 + 9 * levels(atp));
        // The bits above are copies of the highest one that is used.
        let canonical = (addr << unused).cast_signed() >> unused == addr.cast_signed();
        let result = if canonical {
            self.walk(atp, addr, write, 9, |at| self.second_stage(iohgatp, at, false, write, true))
        } else {
            Err(Stop::Page)
        };
        result.map_err(|stop| match stop {
            Stop::Memory => Fault::new(ACCESS_FAULT + more),
            Stop::Page => Fault::new(PAGE_FAULT + more),
            Stop::Guest(fault) => fault,
        })
    }

    /// The physical address of guest physical `addr` by the second stage `iohgatp`.  `write`: what is done there; `original`:
    /// what the device wanted to do, which is what faults say; `implicit`: the walk wants it for itself.
    pub(super) fn second_stage(
        &self,
        iohgatp: u64,
        addr: u64,
        write: bool,
        original: bool,
        implicit: bool,
    ) -> Result<u64, Fault> {
        if atp_mode(iohgatp) == 0 {
            return Ok(addr);
        }
        let more = if original { WRITE } else { 0 };
        // Two bits more than the mode's first stage has.
        let result = if addr >> (14 + 9 * levels(iohgatp)) == 0 {
            self.walk(iohgatp, addr, write, 11, Ok)
        } else {
            Err(Stop::Page)
        };
        result.map_err(|stop| match stop {
            Stop::Memory => Fault::new(ACCESS_FAULT + more),
            _ => Fault { guest: addr & !3 | u64::from(implicit), ..Fault::new(GUEST_PAGE_FAULT + more) },
        })
    }
}
