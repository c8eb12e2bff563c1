//! Address translation: Sv32, Sv39, Sv48, Sv57 and their two-stage forms, Svnapot, Svpbmt, Svade, Svadu; physical memory
//! protection applies to what comes out (privileged manual, "Supervisor-Level ISA", "Hypervisor Extension").

mod list;

pub(crate) use list::mappings;

use crate::pmp;
use crate::privileged::{M, S, U, Unit, envcfg, hstatus, status};
use crate::state::{HENVCFG, HGATP, HSTATUS, MENVCFG, MSTATUS, PRIVILEGE, SATP, VIRTUAL, VSATP, VSSTATUS};
use crate::trap;
use tern_core::engine::Platform;
use tern_core::mem::{Access, FaultKind, MemFault, PAGE_SHIFT, Size};
use tern_core::state::State;
use tern_core::system::{Mapping, load_physical, update_physical};

/// MMU mode of `hlv` and `hsv`.
pub(crate) const AS_GUEST: u8 = 1;
/// MMU mode of `hlvx`.
pub(crate) const AS_GUEST_FETCH: u8 = 2;

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
const PBMT: u64 = 3 << 61;
const N: u64 = 1 << 63;

/// What a guest-page fault tells besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestFault {
    /// Guest physical address.
    pub(crate) addr: u64,
    /// It was that of a page table entry; what was tried there.
    table: Option<Access>,
}

impl GuestFault {
    /// For `htinst` and `mtinst`: what stands for the access to a page table entry (table "Special pseudoinstruction
    /// values"); 0 for others.
    pub(crate) fn pseudo_instruction(self, unit: Unit) -> u64 {
        let read = if unit.rv32() { 0x2000 } else { 0x3000 };
        match self.table {
            None => 0,
            Some(Access::Store) => read | 0x20,
            Some(_) => read,
        }
    }
}

/// Why there is no translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    cause: u32,
    pub(crate) guest: Option<GuestFault>,
}

impl Fault {
    fn page(access: Access) -> Fault {
        let cause = match access {
            Access::Fetch => trap::INSN_PAGE,
            Access::Load => trap::LOAD_PAGE,
            Access::Store => trap::STORE_PAGE,
        };
        Fault { cause, guest: None }
    }

    fn access(access: Access) -> Fault {
        let cause = match access {
            Access::Fetch => trap::INSN_ACCESS,
            Access::Load => trap::LOAD_ACCESS,
            Access::Store => trap::STORE_ACCESS,
        };
        Fault { cause, guest: None }
    }

    fn guest_page(access: Access, guest: GuestFault) -> Fault {
        let cause = match access {
            Access::Fetch => trap::INSN_GUEST_PAGE,
            Access::Load => trap::LOAD_GUEST_PAGE,
            Access::Store => trap::STORE_GUEST_PAGE,
        };
        Fault { cause, guest: Some(guest) }
    }
}

/// On whose behalf an access is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Actor {
    /// Privilege.
    pub(crate) privilege: u64,
    /// In a guest.
    pub(crate) guest: bool,
}

/// On whose behalf loads and stores are made: MPRV may say that of another mode.
pub(crate) fn data_actor(state: &State) -> Actor {
    let machine = state.get(MSTATUS);
    let privilege = state.get(PRIVILEGE);
    if privilege != M || machine & status::MPRV == 0 {
        return Actor { privilege, guest: state.get(VIRTUAL) != 0 };
    }
    let privilege = (machine & status::MPP) >> status::MPP_SHIFT;
    Actor { privilege, guest: privilege != M && machine & status::MPV != 0 }
}

fn actor(state: &State, access: Access, mode: u8) -> Actor {
    match (mode, access) {
        (0, Access::Fetch) => Actor { privilege: state.get(PRIVILEGE), guest: state.get(VIRTUAL) != 0 },
        (0, _) => data_actor(state),
        _ => Actor { privilege: if state.get(HSTATUS) & hstatus::SPVP != 0 { S } else { U }, guest: true },
    }
}

/// Is the address of such an access a guest's?
pub(crate) fn is_guest_access(state: &State, access: Access, mode: u8) -> bool {
    actor(state, access, mode).guest
}

/// A table format.
#[derive(Clone, Copy)]
struct Format {
    levels: u32,
    /// log2 of the entries of a table.
    index_bits: u32,
    entry: Size,
}

impl Format {
    /// Bits of an address that it translates.
    fn bits(self) -> u32 {
        12 + self.levels * self.index_bits
    }
}

/// The format and the root table of a value of `satp`, `vsatp` or `hgatp`; `None`: there is no translation.
fn format(unit: Unit, atp: u64) -> Option<(Format, u64)> {
    if unit.rv32() {
        let format = Format { levels: 2, index_bits: 10, entry: Size::B4 };
        return (atp >> 31 & 1 != 0).then_some((format, (atp & 0x3f_ffff) << 12));
    }
    let levels = match atp >> 60 {
        8 => 3,
        9 => 4,
        10 => 5,
        _ => return None,
    };
    let format = Format { levels, index_bits: 9, entry: Size::B8 };
    Some((format, (atp & 0xfff_ffff_ffff) << 12))
}

/// Does this CPU have the mode of a `satp` (or, with `guest`, an `hgatp`) value?
pub(crate) fn has_mode(unit: Unit, atp: u64) -> bool {
    if unit.rv32() {
        return atp >> 31 & 1 == 0 || unit.has(Unit::SV32);
    }
    match atp >> 60 {
        0 => true,
        8 => unit.has(Unit::SV39),
        9 => unit.has(Unit::SV48),
        10 => unit.has(Unit::SV57),
        _ => false,
    }
}

/// A number for the address space; see [`tern_core::system::System::space`].
pub(crate) fn space(state: &State) -> u64 {
    let actor = data_actor(state);
    let mix = |a: u64, b: u64| (a ^ b.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63;
    match actor {
        Actor { privilege: M, .. } => 0,
        Actor { guest: true, .. } => mix(state.get(VSATP).wrapping_add(1), state.get(HGATP)),
        _ => state.get(SATP),
    }
}

/// One access being translated.
struct Walk<'a> {
    state: &'a State,
    physical: &'a mut dyn Platform,
    unit: Unit,
    access: Access,
    actor: Actor,
    /// `hlvx`: execution permission stands for the right to read.
    execute: bool,
    /// Nothing is written: accessed and dirty bits stay what they are, and do not matter.
    look: bool,
    /// log2 of the size of the page that the first stage found.
    span: u32,
}

/// A translation, and log2 of the size of the virtual page that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) mapping: Mapping,
    pub(crate) span: u32,
}

/// What the rules of one stage are.
#[derive(Clone, Copy)]
struct Stage {
    /// Pages must be of U.
    user: bool,
    /// S may use U's pages.
    sum: bool,
    /// Executable pages may be read.
    mxr: bool,
    /// Environment bits ADUE and PBMTE.
    env: u64,
    /// The second stage: the address is a guest physical one, the table larger.
    second: bool,
}

impl Stage {
    /// The first stage, for `actor`.
    fn first(state: &State, actor: Actor) -> Stage {
        let machine = state.get(MSTATUS);
        let user = actor.privilege == U;
        if actor.guest {
            let guest = state.get(VSSTATUS);
            // What menvcfg denies, henvcfg cannot grant.
            let env = state.get(HENVCFG) & state.get(MENVCFG);
            let mxr = (guest | machine) & status::MXR != 0;
            return Stage { user, sum: guest & status::SUM != 0, mxr, env, second: false };
        }
        let (sum, mxr) = (machine & status::SUM != 0, machine & status::MXR != 0);
        Stage { user, sum, mxr, env: state.get(MENVCFG), second: false }
    }

    /// The second stage.
    fn second(state: &State) -> Stage {
        let mxr = state.get(MSTATUS) & status::MXR != 0;
        Stage { user: true, sum: false, mxr, env: state.get(MENVCFG), second: true }
    }
}

/// A page table entry that maps a page.
#[derive(Clone, Copy)]
struct Leaf {
    /// Its address, a guest physical one in a guest's own tables.
    at: u64,
    /// Where that is in physical memory.
    place: u64,
    entry: u64,
    level: u32,
    /// Bits of an address within the page.
    shift: u32,
    format: Format,
}

/// What a valid page table entry leads to.
#[derive(Clone, Copy)]
enum Entry {
    /// A page.
    Page,
    /// The next table, which is here.
    Table(u64),
}

/// Translates; see [`tern_core::system::System::walk`].
pub(crate) fn translate(
    state: &State,
    physical: &mut dyn Platform,
    unit: Unit,
    addr: u64,
    access: Access,
    mode: u8,
) -> Result<Found, Fault> {
    let actor = actor(state, access, mode);
    let execute = mode == AS_GUEST_FETCH;
    let mut walk = Walk { state, physical, unit, access, actor, execute, look: false, span: PAGE_SHIFT };
    let stage = Stage::first(state, actor);
    let phys = if actor.privilege == M {
        addr
    } else if actor.guest {
        let at = match format(unit, state.get(VSATP)) {
            Some((format, root)) => walk.tables(format, root, addr, stage)?,
            None => addr,
        };
        walk.second_stage(at, access, None)?
    } else {
        match format(unit, state.get(SATP)) {
            Some((format, root)) => walk.tables(format, root, addr, stage)?,
            None => addr,
        }
    };
    let verdict = pmp::check(state, unit, phys, access, actor.privilege);
    if !verdict.allowed {
        return Err(Fault::access(access));
    }
    Ok(Found { mapping: Mapping { phys, slow: !verdict.whole_page }, span: walk.span })
}

/// The same, with the fault as engines carry it.
pub(crate) fn walk(
    state: &State,
    physical: &mut dyn Platform,
    unit: Unit,
    addr: u64,
    access: Access,
    mode: u8,
) -> Result<Found, MemFault> {
    translate(state, physical, unit, addr, access, mode).map_err(|fault| {
        let kind = FaultKind::Arch(fault.cause | u32::from(mode) << 8);
        MemFault { addr, access, kind }
    })
}

impl Walk<'_> {
    /// A guest physical address; `table`: what is tried there if it is that of a page table entry.
    fn second_stage(&mut self, addr: u64, access: Access, table: Option<Access>) -> Result<u64, Fault> {
        let Some((format, root)) = format(self.unit, self.state.get(HGATP)) else { return Ok(addr) };
        let stage = Stage::second(self.state);
        let (outer, execute) = (self.access, self.execute);
        if table.is_some() {
            self.execute = false;
        }
        self.access = access;
        let result = self.tables(format, root & !0x3fff, addr, stage);
        (self.access, self.execute) = (outer, execute);
        // The fault is that of the original access.
        result.map_err(|fault| match fault.cause {
            trap::INSN_PAGE | trap::LOAD_PAGE | trap::STORE_PAGE => {
                Fault::guest_page(outer, GuestFault { addr, table })
            }
            _ => Fault::access(outer),
        })
    }

    /// Where a page table entry is in physical memory.
    fn entry_place(&mut self, addr: u64, access: Access, stage: Stage) -> Result<u64, Fault> {
        let at = if self.actor.guest && !stage.second { self.second_stage(addr, access, Some(access))? } else { addr };
        if pmp::check(self.state, self.unit, at, access, S).allowed { Ok(at) } else { Err(Fault::access(self.access)) }
    }

    fn tables(&mut self, format: Format, root: u64, addr: u64, stage: Stage) -> Result<u64, Fault> {
        self.canonical(format, addr, stage)?;
        let mut table = root;
        for level in (0..format.levels).rev() {
            let shift = 12 + level * format.index_bits;
            let widened = if stage.second && level + 1 == format.levels { 2 } else { 0 };
            let index = addr >> shift & ((1 << (format.index_bits + widened)) - 1);
            let at = table + index * format.entry.bytes();
            let place = self.entry_place(at, Access::Load, stage)?;
            let entry = load_physical(self.physical, place, format.entry).ok_or(Fault::access(self.access))?;
            let Some(kind) = self.kind(entry, stage) else { return Err(self.page_fault()) };
            table = match kind {
                Entry::Page => return self.leaf(Leaf { at, place, entry, level, shift, format }, addr, stage),
                Entry::Table(table) => table,
            };
        }
        Err(self.page_fault())
    }

    fn page_fault(&self) -> Fault {
        Fault::page(self.access)
    }

    /// The upper bits of an address must be copies of the highest that is translated; of a guest physical address, clear.
    fn canonical(&self, format: Format, addr: u64, stage: Stage) -> Result<(), Fault> {
        let bits = format.bits();
        let good = match (stage.second, self.unit.rv32()) {
            (true, _) => addr >> (bits + 2) == 0,
            (false, true) => true,
            (false, false) => {
                let top = (addr as i64) >> (bits - 1);
                top == 0 || top == -1
            }
        };
        if good { Ok(()) } else { Err(self.page_fault()) }
    }

    /// What an entry is; `None`: nothing that is valid.
    fn kind(&self, entry: u64, stage: Stage) -> Option<Entry> {
        if entry & V == 0 || entry & (R | W) == W || self.reserved(entry, stage) {
            return None;
        }
        if entry & (R | X) != 0 {
            return Some(Entry::Page);
        }
        let strange = entry & (A | D | USER) != 0 || !self.unit.rv32() && entry & (N | PBMT) != 0;
        (!strange).then(|| Entry::Table(self.frame(entry) << 12))
    }

    /// Where the page of a valid entry of this level begins, and log2 of its size; `None`: it is not aligned, or of a size
    /// that there is not.
    fn place(&self, entry: u64, level: u32, shift: u32) -> Option<(u64, u32)> {
        let frame = self.frame(entry);
        if !self.unit.rv32() && entry & N != 0 {
            // 64 KiB: the only size there is.
            return (level == 0 && frame & 0xf == 8).then_some(((frame & !0xf) << 12, 16));
        }
        let below = (1u64 << (shift - 12)) - 1;
        (frame & below == 0).then_some((frame << 12, shift))
    }

    /// Does an entry have bits set that mean nothing?
    fn reserved(&self, entry: u64, stage: Stage) -> bool {
        if self.unit.rv32() {
            return false;
        }
        let mut known = (1 << 54) - 1;
        if self.unit.has(Unit::SVNAPOT) {
            known |= N;
        }
        if self.unit.has(Unit::SVPBMT) && stage.env & envcfg::PBMTE != 0 {
            known |= PBMT;
        }
        entry & !known != 0 || entry & PBMT == PBMT
    }

    fn frame(&self, entry: u64) -> u64 {
        if self.unit.rv32() { entry >> 10 & 0x3f_ffff } else { entry >> 10 & 0xfff_ffff_ffff }
    }

    fn permitted(&self, entry: u64, stage: Stage) -> bool {
        let user_page = entry & USER != 0;
        let right_user = match (stage.user, user_page) {
            (true, user) => user,
            (false, true) => stage.sum && self.access != Access::Fetch,
            (false, false) => true,
        };
        let right_kind = match self.access {
            _ if self.execute => entry & X != 0,
            Access::Fetch => entry & X != 0,
            Access::Store => entry & W != 0,
            Access::Load => entry & R != 0 || stage.mxr && entry & X != 0,
        };
        right_user && right_kind
    }

    fn leaf(&mut self, leaf: Leaf, addr: u64, stage: Stage) -> Result<u64, Fault> {
        if !self.permitted(leaf.entry, stage) {
            return Err(self.page_fault());
        }
        let Some((base, span)) = self.place(leaf.entry, leaf.level, leaf.shift) else { return Err(self.page_fault()) };
        if !stage.second {
            self.span = span;
        }
        self.accessed(leaf, stage)?;
        Ok(base | addr & ((1 << span) - 1))
    }

    /// Sets the accessed and dirty bits, or faults where software does.
    fn accessed(&mut self, leaf: Leaf, stage: Stage) -> Result<(), Fault> {
        let Leaf { at, place, entry, format, .. } = leaf;
        let wanted = entry | A | if self.access == Access::Store { D } else { 0 };
        if wanted == entry || self.look {
            return Ok(());
        }
        let hardware = match self.unit.has(Unit::SVADU) {
            true => stage.env & envcfg::ADUE != 0,
            false => !self.unit.has(Unit::SVADE),
        };
        if !hardware {
            return Err(self.page_fault());
        }
        let writable = self.entry_place(at, Access::Store, stage)?;
        match update_physical(self.physical, writable, format.entry, entry, wanted) {
            Some(true) => Ok(()),
            // Another hart was faster: the next attempt sees what it wrote.
            Some(false) => {
                let now = load_physical(self.physical, place, format.entry).ok_or(Fault::access(self.access))?;
                if now & wanted == wanted { Ok(()) } else { Err(self.page_fault()) }
            }
            None => Err(Fault::access(self.access)),
        }
    }
}
