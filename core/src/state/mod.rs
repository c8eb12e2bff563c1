//! CPU state: declared layouts and the slots themselves.
//!
//! All architectural state lives in 64-bit slots.  The first [`NEAR`] are *near*: bytecode words address them with eight
//! bits.  Those that the layout does not name are temporaries of the interpreter.  The rest are *far* (vector registers,
//! control registers); they are reached by wide moves, helpers and vector operations.  Values are numbers, never bytes, so
//! host byte order and size cannot show (I4).

mod layout;

pub use layout::{LayoutBuilder, Role, SlotDesc, StateLayout};

/// Number of near slots.
pub const NEAR: usize = 256;

/// A slot's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// The program counter.  Written whenever a tier hands control back, not while blocks run.
    pub const PC: Slot = Slot(0);

    /// Accumulated IEEE flags of floating-point environment `env` (0 to 3), as [`tern_softfloat::Flags`] bits.
    #[must_use]
    pub const fn fp_flags(env: u8) -> Slot {
        Slot(1 + 2 * (env as u32 & 3))
    }

    /// Control word of floating-point environment `env`: see [`FP_RM_MASK`] and the `FP_*` bits.
    #[must_use]
    pub const fn fp_control(env: u8) -> Slot {
        Slot(2 + 2 * (env as u32 & 3))
    }

    /// The first slot that a frontend may name.
    pub const FIRST: Slot = Slot(9);

    /// Is it near?
    #[must_use]
    pub const fn is_near(self) -> bool {
        self.0 < NEAR as u32
    }
}

/// Bits of an fp control slot that hold the rounding mode ([`tern_softfloat::Rm`] numbers; 5 to 7 are invalid).
pub const FP_RM_MASK: u64 = 7;
/// Bit of an fp control slot: results that are subnormal become zero.
pub const FP_FTZ: u64 = 1 << 8;
/// Bit of an fp control slot: operands that are subnormal count as zero.
pub const FP_DAZ: u64 = 1 << 9;
/// Bit of an fp control slot: every NaN result is the default NaN.
pub const FP_DEFAULT_NAN: u64 = 1 << 10;

/// The slots of one CPU.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct State {
    /// Slots 0 to 255.
    pub near: [u64; NEAR],
    /// Slots from 256 on.
    pub far: Box<[u64]>,
}

impl State {
    /// All slots at their reset values.
    #[must_use]
    pub fn new(layout: &StateLayout) -> State {
        let mut state = State { near: [0; NEAR], far: vec![0; layout.far_len()].into_boxed_slice() };
        for row in layout.rows() {
            state.set(row.slot, row.reset);
        }
        state
    }

    /// The value of a slot; a slot outside the layout reads as zero.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> u64 {
        match self.near.get(slot.0 as usize) {
            Some(v) => *v,
            None => self.far.get(slot.0 as usize - NEAR).copied().unwrap_or(0),
        }
    }

    /// Sets a slot; a slot outside the layout is ignored.
    #[inline]
    pub fn set(&mut self, slot: Slot, value: u64) {
        let cell = match self.near.get_mut(slot.0 as usize) {
            Some(v) => Some(v),
            None => self.far.get_mut(slot.0 as usize - NEAR),
        };
        if let Some(cell) = cell {
            *cell = value;
        }
    }

    /// The program counter.
    #[must_use]
    pub fn pc(&self) -> u64 {
        self.near[Slot::PC.0 as usize]
    }

    /// Sets the program counter.
    pub fn set_pc(&mut self, pc: u64) {
        self.near[Slot::PC.0 as usize] = pc;
    }

    /// Architectural equality: compares the slots that `layout` names, each in its width.  Returns the first that differs.
    #[must_use]
    pub fn first_difference(&self, other: &State, layout: &StateLayout) -> Option<Slot> {
        layout.rows().iter().find(|r| (self.get(r.slot) ^ other.get(r.slot)) & r.mask() != 0).map(|r| r.slot)
    }
}
