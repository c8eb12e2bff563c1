//! What RISC-V adds to the assembler: relocation functions and `li` of any constant.

use tern_decode::{Argument, Dialect};

/// The GNU assembler's RISC-V conventions.
#[derive(Clone, Copy, Debug)]
pub struct RiscvAsm {
    rv32: bool,
}

/// For RV32.
pub static RV32: RiscvAsm = RiscvAsm { rv32: true };
/// For RV64.
pub static RV64: RiscvAsm = RiscvAsm { rv32: false };

impl RiscvAsm {
    /// For this XLEN.
    #[must_use]
    pub fn for_xlen(xlen: u8) -> &'static RiscvAsm {
        if xlen == 32 { &RV32 } else { &RV64 }
    }
}

impl Dialect for RiscvAsm {
    fn function(&self, name: &str, argument: Argument) -> Option<i64> {
        let high = |v: i64| (v.wrapping_add(0x800) >> 12) & 0xf_ffff;
        let low = |v: i64| (v << 52) >> 52;
        match name {
            "hi" => Some(high(argument.value)),
            "lo" => Some(low(argument.value)),
            "pcrel_hi" => Some(high(argument.value.wrapping_sub(argument.pc as i64))),
            "pcrel_lo" => {
                let target = argument.earlier?;
                Some(low(target.wrapping_sub(argument.value)))
            }
            _ => None,
        }
    }

    fn expand(&self, mnemonic: &str, operands: &[&str], value: &dyn Fn(&str) -> Option<i64>) -> Option<Vec<String>> {
        let ("li", [register, constant]) = (mnemonic, operands) else { return None };
        let given = value(constant)?;
        let constant = if self.rv32 { i64::from(given as i32) } else { given };
        let mut lines = Vec::new();
        match (-2048..2048).contains(&constant) {
            true if constant == given => return None,
            true => lines.push(format!("addi {register}, zero, {constant}")),
            false => self.wide(register, constant, &mut lines),
        }
        Some(lines)
    }
}

impl RiscvAsm {
    /// Builds a constant from the top: what remains above the low 12 bits, a shift, an addition.
    fn wide(&self, register: &str, constant: i64, lines: &mut Vec<String>) {
        let low = (constant << 52) >> 52;
        let rest = constant.wrapping_sub(low);
        if i64::from(constant as i32) == constant {
            lines.push(format!("lui {register}, {}", rest >> 12 & 0xf_ffff));
            if low != 0 {
                // On RV64 the sum must wrap at 32 bits.
                let add = if rest == 0x8000_0000 && !self.rv32 { "addiw" } else { "addi" };
                lines.push(format!("{add} {register}, {register}, {low}"));
            }
            return;
        }
        let upper = rest >> 12;
        let zeros = upper.trailing_zeros();
        let top = upper >> zeros;
        if (-2048..2048).contains(&top) {
            lines.push(format!("addi {register}, zero, {top}"));
        } else {
            self.wide(register, top, lines);
        }
        lines.push(format!("slli {register}, {register}, {}", zeros + 12));
        if low != 0 {
            lines.push(format!("addi {register}, {register}, {low}"));
        }
    }
}
