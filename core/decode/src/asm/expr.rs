//! Constant expressions, with C's operators and precedence.

use super::{Argument, AsmReason, Dialect};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::cell::RefCell;

const MAX_DEPTH: u32 = 64;

/// What expressions can refer to.
pub(super) struct Scope<'a> {
    pub(super) pc: u64,
    pub(super) address_bits: u32,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) symbols: &'a BTreeMap<String, i64>,
    /// Symbols that the first pass knew here.
    pub(super) earlier: &'a BTreeMap<String, i64>,
    /// Numeric labels of the whole source as far as known, and how many of them stand before this statement.
    pub(super) locals: &'a [(u64, u64)],
    pub(super) passed: usize,
    /// In the first pass what is not defined may still come.
    pub(super) lenient: bool,
    /// Arguments of `%functions` by address of the instruction.
    pub(super) arguments: &'a RefCell<BTreeMap<u64, i64>>,
}

impl<'a> Scope<'a> {
    /// What the first pass knew at this place.
    pub(super) fn settled(&self) -> Scope<'a> {
        Scope {
            pc: self.pc,
            address_bits: self.address_bits,
            dialect: self.dialect,
            symbols: self.earlier,
            earlier: self.earlier,
            locals: self.locals.get(..self.passed).unwrap_or(&[]),
            passed: self.passed,
            lenient: true,
            arguments: self.arguments,
        }
    }
}

/// Evaluates an expression; `None` means that its value is not known in this pass.
pub(super) fn evaluate(text: &str, scope: &Scope<'_>) -> Result<Option<i64>, AsmReason> {
    let mut parser = Parser { text, at: 0, scope, depth: 0 };
    let value = parser.binary(0)?;
    parser.blanks();
    if parser.at == text.len() { Ok(value) } else { Err(AsmReason::Syntax(text.to_owned())) }
}

/// A symbol that can be defined: a letter, `_`, `.` or `$`, then also digits.
pub(super) fn is_symbol(text: &str) -> bool {
    text.bytes().enumerate().all(|(i, b)| symbol_byte(b) && (i > 0 || !b.is_ascii_digit())) && !text.is_empty()
}

fn symbol_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$')
}

/// The character that a backslash and `c` stand for.
pub(super) fn escape(c: char) -> Option<u8> {
    Some(match c {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        '0' => 0,
        '\\' | '\'' | '"' => c as u8,
        _ => return None,
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    scope: &'a Scope<'a>,
    depth: u32,
}

/// Binary operators by precedence, loosest first.
const OPERATORS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn malformed<T>(&self) -> Result<T, AsmReason> {
        Err(AsmReason::Syntax(self.text.to_owned()))
    }

    fn binary(&mut self, level: usize) -> Result<Option<i64>, AsmReason> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|o| self.take(o)) {
            let right = self.binary(level + 1)?;
            left = match (left, right) {
                (Some(a), Some(b)) => match apply(operator, a, b) {
                    Some(value) => Some(value),
                    None => return self.malformed(),
                },
                _ => None,
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Option<i64>, AsmReason> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(AsmReason::TooDeep);
        }
        let value = if self.take("-") {
            self.unary()?.map(i64::wrapping_neg)
        } else if self.take("~") {
            self.unary()?.map(|v| !v)
        } else if self.take("+") {
            self.unary()?
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<Option<i64>, AsmReason> {
        if self.take("(") {
            let value = self.binary(0)?;
            return if self.take(")") { Ok(value) } else { self.malformed() };
        }
        if self.take("%") {
            return self.function();
        }
        if self.take("'") {
            return self.character().map(Some);
        }
        let word_len = self.rest().bytes().take_while(|&b| symbol_byte(b)).count();
        let word = self.rest().get(..word_len).unwrap_or("").to_owned();
        self.at += word_len;
        match word.bytes().next() {
            None => self.malformed(),
            Some(b'0'..=b'9') => self.number(&word),
            Some(_) if word == "." => Ok(Some(self.scope.pc.cast_signed())),
            Some(_) => match self.scope.symbols.get(&word) {
                Some(&value) => Ok(Some(value)),
                None if self.scope.lenient => Ok(None),
                None => Err(AsmReason::Undefined(word)),
            },
        }
    }

    fn character(&mut self) -> Result<i64, AsmReason> {
        let mut chars = self.rest().chars();
        let (value, len) = match chars.next() {
            Some('\\') => match chars.next().and_then(escape) {
                Some(b) => (i64::from(b), 2),
                None => return self.malformed(),
            },
            Some(c) if c != '\'' => (i64::from(u32::from(c)), c.len_utf8()),
            _ => return self.malformed(),
        };
        self.at += len;
        if self.rest().starts_with('\'') {
            self.at += 1;
            Ok(value)
        } else {
            self.malformed()
        }
    }

    fn function(&mut self) -> Result<Option<i64>, AsmReason> {
        let name_len = self.rest().bytes().take_while(|&b| symbol_byte(b)).count();
        let name = self.rest().get(..name_len).unwrap_or("").to_owned();
        self.at += name_len;
        if !self.take("(") {
            return self.malformed();
        }
        let argument = self.binary(0)?;
        if !self.take(")") {
            return self.malformed();
        }
        let Some(value) = argument else { return Ok(None) };
        let earlier = self.scope.arguments.borrow().get(&value.cast_unsigned()).copied();
        self.scope.arguments.borrow_mut().entry(self.scope.pc).or_insert(value);
        match self.scope.dialect.function(&name, Argument { value, pc: self.scope.pc, earlier }) {
            Some(value) => Ok(Some(value)),
            None if self.scope.lenient => Ok(None),
            None => Err(AsmReason::Undefined(["%", &name].concat())),
        }
    }

    fn number(&mut self, word: &str) -> Result<Option<i64>, AsmReason> {
        let local = |digits: &str| digits.parse::<u64>().ok();
        if let Some(label) = word.strip_suffix('b').and_then(local) {
            let before = self.scope.locals.get(..self.scope.passed).unwrap_or(&[]);
            return self.local(word, before.iter().rev().find(|l| l.0 == label));
        }
        if let Some(label) = word.strip_suffix('f').and_then(local) {
            let after = self.scope.locals.get(self.scope.passed..).unwrap_or(&[]);
            return self.local(word, after.iter().find(|l| l.0 == label));
        }
        let lower = word.to_ascii_lowercase();
        let parsed = if let Some(digits) = lower.strip_prefix("0x") {
            u64::from_str_radix(digits, 16)
        } else if let Some(digits) = lower.strip_prefix("0b") {
            u64::from_str_radix(digits, 2)
        } else if lower.len() > 1 && lower.starts_with('0') {
            u64::from_str_radix(&lower, 8)
        } else {
            lower.parse()
        };
        parsed.map(|v| Some(v.cast_signed())).map_err(|_| AsmReason::Syntax(word.to_owned()))
    }

    fn local(&self, word: &str, found: Option<&(u64, u64)>) -> Result<Option<i64>, AsmReason> {
        match found {
            Some(label) => Ok(Some(label.1.cast_signed())),
            None if self.scope.lenient => Ok(None),
            None => Err(AsmReason::Undefined(word.to_string())),
        }
    }
}

/// `None` for a division by zero and for unknown operators.
fn apply(operator: &str, a: i64, b: i64) -> Option<i64> {
    let count = u32::try_from(b).ok();
    Some(match operator {
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "<<" => count.and_then(|c| a.checked_shl(c)).unwrap_or(0),
        ">>" => count.and_then(|c| a.cast_unsigned().checked_shr(c)).unwrap_or(0).cast_signed(),
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        "/" => a.checked_div(b)?,
        "%" => a.checked_rem(b)?,
        _ => return None,
    })
}
