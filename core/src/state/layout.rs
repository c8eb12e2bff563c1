//! State layouts: the rows that name a CPU's slots.  gdb descriptions, snapshots, traces and `tern regs` read them.

use super::{NEAR, Slot};
use crate::ir::Ty;
use tern_softfloat::Style;

/// What a register is for; the loader, the gdb stub and the syscall layer find registers by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// General-purpose register number n.
    Gpr(u8),
    /// Floating-point register number n.
    Fpr(u8),
    /// Vector register number n, element word m (64 bits each, least significant first).
    Vector(u8, u16),
    /// The program counter.
    Pc,
    /// A flag or a part of a status register.
    Flag,
    /// A control or system register; the number is the ISA's.
    Control(u32),
    /// State that software cannot name (reservations and the like).
    Hidden,
}

/// One slot's row.
#[derive(Clone, Debug)]
pub struct SlotDesc {
    /// The manual's name, lower case.
    pub name: String,
    /// Where it is.
    pub slot: Slot,
    /// Type that IR reads and writes it with.
    pub ty: Ty,
    /// Architectural width in bits (at most 64; an `I64` slot may hold a sign-extended 32-bit register).
    pub bits: u8,
    /// What it is for.
    pub role: Role,
    /// Value after reset.
    pub reset: u64,
}

impl SlotDesc {
    /// The bits that count.
    #[must_use]
    pub fn mask(&self) -> u64 {
        u64::MAX >> (64 - u32::from(self.bits.clamp(1, 64)))
    }
}

/// The declared state of one CPU model.
#[derive(Clone, Debug)]
pub struct StateLayout {
    rows: Vec<SlotDesc>,
    near_used: u32,
    far_used: u32,
    styles: [Style; 4],
}

impl StateLayout {
    /// All rows, by slot number.
    #[must_use]
    pub fn rows(&self) -> &[SlotDesc] {
        &self.rows
    }

    /// First near slot that is free for temporaries.
    #[must_use]
    pub fn near_used(&self) -> u32 {
        self.near_used
    }

    /// Number of far slots.
    #[must_use]
    pub fn far_len(&self) -> usize {
        self.far_used as usize
    }

    /// NaN, tininess and flush style of floating-point environment `env`.
    #[must_use]
    pub fn style(&self, env: u8) -> Style {
        self.styles[usize::from(env & 3)]
    }

    /// All four styles.
    #[must_use]
    pub fn styles(&self) -> &[Style; 4] {
        &self.styles
    }

    /// The row with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&SlotDesc> {
        self.rows.iter().find(|r| r.name == name)
    }

    /// The row with this role.
    #[must_use]
    pub fn by_role(&self, role: Role) -> Option<&SlotDesc> {
        self.rows.iter().find(|r| r.role == role)
    }

    /// The row of this slot.
    #[must_use]
    pub fn by_slot(&self, slot: Slot) -> Option<&SlotDesc> {
        self.rows.binary_search_by_key(&slot, |r| r.slot).ok().map(|i| &self.rows[i])
    }
}

/// Collects rows; near slots are handed out in order of declaration, so declare by heat.
pub struct LayoutBuilder {
    layout: StateLayout,
}

impl LayoutBuilder {
    /// A layout with the program counter and `envs` floating-point environments (flags and control slots `fpflagsN`,
    /// `fpcontrolN`), whose styles are `styles`.
    #[must_use]
    pub fn new(pc_bits: u8, styles: &[Style]) -> LayoutBuilder {
        let mut all = [Style::RISCV; 4];
        for (to, from) in all.iter_mut().zip(styles) {
            *to = *from;
        }
        let mut b = LayoutBuilder {
            layout: StateLayout { rows: Vec::new(), near_used: Slot::FIRST.0, far_used: 0, styles: all },
        };
        b.push("pc".into(), Slot::PC, Ty::I64, pc_bits, Role::Pc, 0);
        for env in 0..styles.len().min(4) as u8 {
            b.push(format!("fpflags{env}"), Slot::fp_flags(env), Ty::I64, 8, Role::Hidden, 0);
            b.push(format!("fpcontrol{env}"), Slot::fp_control(env), Ty::I64, 16, Role::Hidden, 0);
        }
        b
    }

    fn push(&mut self, name: String, slot: Slot, ty: Ty, bits: u8, role: Role, reset: u64) {
        self.layout.rows.push(SlotDesc { name, slot, ty, bits, role, reset });
    }

    /// Declares the next near slot.
    ///
    /// # Panics
    /// If more than 192 near slots are declared: 64 are kept for temporaries.
    pub fn near(&mut self, name: impl Into<String>, ty: Ty, bits: u8, role: Role) -> Slot {
        let slot = Slot(self.layout.near_used);
        assert!((slot.0 as usize) < NEAR - 64, "a layout may name at most 192 near slots");
        self.layout.near_used += 1;
        self.push(name.into(), slot, ty, bits, role, 0);
        slot
    }

    /// Declares the next far slot.
    pub fn far(&mut self, name: impl Into<String>, ty: Ty, bits: u8, role: Role) -> Slot {
        let slot = Slot(NEAR as u32 + self.layout.far_used);
        self.layout.far_used += 1;
        self.push(name.into(), slot, ty, bits, role, 0);
        slot
    }

    /// Gives the slot that was declared last a reset value.
    pub fn reset(&mut self, value: u64) {
        if let Some(row) = self.layout.rows.last_mut() {
            row.reset = value;
        }
    }

    /// The finished layout.
    #[must_use]
    pub fn finish(mut self) -> StateLayout {
        self.layout.rows.sort_by_key(|r| r.slot);
        self.layout
    }
}
