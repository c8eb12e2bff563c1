//! The two passes: statements, labels, and the choice of a row.

use super::expr::{Scope, evaluate, is_symbol};
use super::matching::{MAX_TEXT, Template, split_operands, substitute, without_blanks};
use super::tail::{Encoded, form};
use super::{AsmError, AsmReason, Assembler, Image, MAX_OUTPUT};
use crate::kind::Class;
use crate::shape::Shape;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Deepest nesting of expansions.
const MAX_EXPANSIONS: u32 = 8;

/// State of one pass.
pub(super) struct Pass<'a> {
    pub(super) asm: &'a Assembler,
    first: bool,
    pub(super) pc: u64,
    pub(super) bytes: Vec<u8>,
    symbols: BTreeMap<String, i64>,
    /// In the second pass, the symbols that the first one knew at this place.
    earlier: BTreeMap<String, i64>,
    /// Labels of this pass, to find duplicates.
    labels: BTreeMap<String, u64>,
    locals: Vec<(u64, u64)>,
    passed: usize,
    arguments: RefCell<BTreeMap<u64, i64>>,
    /// Lengths in bits of the instructions chosen in the first pass; the second keeps to them.
    widths: Vec<u32>,
    chosen: usize,
}

pub(super) fn assemble(
    asm: &Assembler,
    source: &str,
    base: u64,
    symbols: &BTreeMap<String, i64>,
) -> Result<Image, AsmError> {
    let mut pass = Pass {
        asm,
        first: true,
        pc: base,
        bytes: Vec::new(),
        symbols: symbols.clone(),
        earlier: BTreeMap::new(),
        labels: BTreeMap::new(),
        locals: Vec::new(),
        passed: 0,
        arguments: RefCell::default(),
        widths: Vec::new(),
        chosen: 0,
    };
    pass.run(source)?;
    pass.first = false;
    pass.earlier = symbols.clone();
    pass.pc = base;
    pass.bytes.clear();
    pass.passed = 0;
    pass.chosen = 0;
    pass.arguments = RefCell::default();
    pass.run(source)?;
    Ok(Image { bytes: pass.bytes, symbols: pass.symbols })
}

pub(super) fn instruction(asm: &Assembler, text: &str, pc: u64) -> Result<Encoded, AsmReason> {
    let (symbols, arguments) = (BTreeMap::new(), RefCell::default());
    let scope = Scope {
        pc,
        address_bits: asm.address_bits,
        dialect: asm.dialect,
        symbols: &symbols,
        earlier: &symbols,
        locals: &[],
        passed: 0,
        lenient: false,
        arguments: &arguments,
    };
    let mut failure = None;
    let mut line = text.to_owned();
    for _ in 0..MAX_EXPANSIONS {
        let (mnemonic, operands) = split_mnemonic(&line);
        match asm.encode(mnemonic, operands, &scope, None) {
            Ok(found) => return Ok(found),
            Err(reason) => keep_better(&mut failure, reason),
        }
        match asm.rewrite(mnemonic, operands, &scope).into_iter().find(|l| l.len() == 1) {
            Some(mut lines) => line = lines.remove(0),
            None => break,
        }
    }
    Err(failure.unwrap_or(AsmReason::TooDeep))
}

impl Pass<'_> {
    fn run(&mut self, source: &str) -> Result<(), AsmError> {
        for (i, line) in source.lines().enumerate() {
            self.line(line).map_err(|reason| AsmError { line: i + 1, reason })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), AsmReason> {
        if line.len() > MAX_TEXT {
            return Err(AsmReason::TooDeep);
        }
        statements(line, self.asm.dialect.comment()).into_iter().try_for_each(|s| self.statement(s))
    }

    fn statement(&mut self, statement: &str) -> Result<(), AsmReason> {
        let mut rest = statement.trim();
        while let Some((label, after)) = rest.split_once(':') {
            if !is_symbol(label.trim()) && (label.is_empty() || !label.bytes().all(|b| b.is_ascii_digit())) {
                break;
            }
            self.label(label.trim())?;
            rest = after.trim();
        }
        let (word, operands) = split_mnemonic(rest);
        if word.is_empty() {
            Ok(())
        } else if word.starts_with('.') {
            self.directive(word, operands)
        } else {
            self.instruction(word, operands, 0)
        }
    }

    fn label(&mut self, name: &str) -> Result<(), AsmReason> {
        if let Ok(number) = name.parse() {
            if self.first {
                self.locals.push((number, self.pc));
            } else if self.locals.get(self.passed) != Some(&(number, self.pc)) {
                return Err(AsmReason::Phase);
            }
            self.passed += 1;
            return Ok(());
        }
        if !is_symbol(name) || name == "." {
            return Err(AsmReason::Syntax(name.to_owned()));
        }
        if self.first {
            if self.labels.insert(name.to_owned(), self.pc).is_some() {
                return Err(AsmReason::Duplicate(name.to_owned()));
            }
            self.define(name, self.pc.cast_signed());
        } else if self.labels.get(name) != Some(&self.pc) {
            return Err(AsmReason::Phase);
        } else {
            self.define(name, self.pc.cast_signed());
        }
        Ok(())
    }

    pub(super) fn define(&mut self, symbol: &str, value: i64) {
        self.symbols.insert(symbol.to_owned(), value);
        if !self.first {
            self.earlier.insert(symbol.to_owned(), value);
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            pc: self.pc,
            address_bits: self.asm.address_bits,
            dialect: self.asm.dialect,
            symbols: &self.symbols,
            earlier: if self.first { &self.symbols } else { &self.earlier },
            locals: &self.locals,
            passed: self.passed,
            lenient: self.first,
            arguments: &self.arguments,
        }
    }

    pub(super) fn evaluate(&self, text: &str) -> Result<Option<i64>, AsmReason> {
        evaluate(text, &self.scope())
    }

    pub(super) fn emit(&mut self, bytes: &[u8]) -> Result<(), AsmReason> {
        if bytes.len() > MAX_OUTPUT - self.bytes.len() {
            return Err(AsmReason::Size);
        }
        self.bytes.extend_from_slice(bytes);
        self.pc = self.pc.wrapping_add(bytes.len() as u64);
        Ok(())
    }

    fn instruction(&mut self, mnemonic: &str, operands: &str, depth: u32) -> Result<(), AsmReason> {
        if depth > MAX_EXPANSIONS {
            return Err(AsmReason::TooDeep);
        }
        let width = if self.first { None } else { self.widths.get(self.chosen).copied() };
        let mut failure = None;
        match self.asm.encode(mnemonic, operands, &self.scope(), width) {
            Ok(encoded) => {
                if self.first {
                    self.widths.push(encoded.width());
                }
                self.chosen += 1;
                return self.emit(&self.asm.bytes(&encoded));
            }
            Err(reason) => keep_better(&mut failure, reason),
        }
        let rewritings = self.asm.rewrite(mnemonic, operands, &self.scope());
        for lines in rewritings {
            let (length, chosen, widths, pc) = (self.bytes.len(), self.chosen, self.widths.len(), self.pc);
            let result = lines.iter().try_for_each(|line| {
                let (mnemonic, operands) = split_mnemonic(line);
                self.instruction(mnemonic, operands, depth + 1)
            });
            match result {
                Ok(()) => return Ok(()),
                Err(reason) => keep_better(&mut failure, reason),
            }
            self.bytes.truncate(length);
            self.chosen = chosen;
            self.pc = pc;
            if self.first {
                self.widths.truncate(widths);
            }
        }
        Err(failure.unwrap_or_else(|| AsmReason::UnknownMnemonic(mnemonic.to_owned())))
    }
}

impl Assembler {
    /// The first row that takes the operands; of the failures, the one that got furthest.
    fn encode(
        &self,
        mnemonic: &str,
        operands: &str,
        scope: &Scope<'_>,
        width: Option<u32>,
    ) -> Result<Encoded, AsmReason> {
        let mut failure = None;
        let operands = without_blanks(operands);
        for len in (0..=mnemonic.len()).rev().filter(|&l| mnemonic.is_char_boundary(l)) {
            for &shape in self.rows.get(&mnemonic[..len]).into_iter().flatten() {
                if width.is_some_and(|w| w != shape.width() && !shape.has_tail()) {
                    keep_better(&mut failure, AsmReason::Phase);
                    continue;
                }
                match self.encode_row(shape, mnemonic, &operands, scope) {
                    Some(Ok(found)) if width.is_some_and(|w| w != found.width()) => {
                        keep_better(&mut failure, AsmReason::Phase);
                    }
                    Some(Ok(found)) => return Ok(found),
                    Some(Err(reason)) => keep_better(&mut failure, reason),
                    None => {}
                }
            }
        }
        Err(failure.unwrap_or_else(|| AsmReason::UnknownMnemonic(mnemonic.to_owned())))
    }

    /// The ways to write an instruction in other words: the dialect's, then those of the pseudo rows.
    fn rewrite(&self, mnemonic: &str, operands: &str, scope: &Scope<'_>) -> Vec<Vec<String>> {
        let mut ways = Vec::new();
        let value = |text: &str| evaluate(text, scope).ok().flatten();
        ways.extend(self.dialect.expand(mnemonic, &split_operands(operands), &value));
        let operands = without_blanks(operands);
        for pseudo in self.pseudos.get(mnemonic).into_iter().flatten() {
            let template = Template::new(&[pseudo.operands], core::iter::empty());
            let lines = template.captures(&operands, true).and_then(|captures| {
                pseudo.expansion.split(';').map(|line| substitute(line.trim(), &template, &captures)).collect()
            });
            ways.extend(lines);
        }
        ways
    }
}

impl Assembler {
    /// `None` if the mnemonic is another one.
    fn encode_row(
        &self,
        shape: &'static Shape,
        mnemonic: &str,
        operands: &str,
        scope: &Scope<'_>,
    ) -> Option<Result<Encoded, AsmReason>> {
        let kinds = || shape.operands().map(|(_, kind)| kind);
        let head = Template::new(&[shape.mnemonic()], kinds());
        let mut captures = head.captures(mnemonic, false)?;
        let rest = Template::new(&[shape.asm()], kinds().skip(captures.len()));
        let Some(operands) = rest.captures(operands, false) else {
            return Some(Err(AsmReason::Operands(form(shape))));
        };
        captures.extend(operands);
        Some(if shape.has_tail() {
            self.encode_tail(shape, &captures, scope)
        } else {
            encode_word(shape, &captures, scope).map(|word| Encoded { word, tail: Vec::new(), shape })
        })
    }
}

impl Encoded {
    /// Length in bits, not counting what the dialect adds.
    fn width(&self) -> u32 {
        self.shape.width() + 8 * u32::try_from(self.tail.len()).unwrap_or(u32::MAX / 16)
    }
}

/// The word of a row without tail operands.
fn encode_word(shape: &Shape, captures: &[&str], scope: &Scope<'_>) -> Result<u64, AsmReason> {
    let kinds = || shape.operands().map(|(_, kind)| kind);
    let values: Result<Vec<_>, _> =
        captures.iter().zip(kinds()).map(|(text, kind)| operand_value(text, kind, scope)).collect();
    let values = values?;
    let known = values.iter().all(Option::is_some);
    // In the first pass only the width matters; what is not known is taken as something that fits.
    let values: Vec<i64> =
        values.iter().zip(kinds()).map(|(v, k)| v.or_else(|| Some(k?.decode(0))).unwrap_or(0)).collect();
    match shape.encode(&values) {
        Ok(word) if !known || shape.matches(word) => Ok(word),
        Ok(_) => Err(AsmReason::Forbidden(form(shape))),
        Err((_, error)) => Err(AsmReason::Range(error)),
    }
}

pub(super) fn operand_value(
    text: &str,
    kind: Option<&'static crate::Kind>,
    scope: &Scope<'_>,
) -> Result<Option<i64>, AsmReason> {
    if let Some(value) = kind.and_then(|k| k.value_of(text)) {
        return Ok(Some(value));
    }
    match kind {
        Some(k) if k.class == Class::Named => Err(AsmReason::Syntax(text.to_owned())),
        _ if text.is_empty() => Ok(Some(0)),
        Some(k) if k.pc_relative => {
            let target = evaluate(text, scope)?;
            let unused = 64 - scope.address_bits;
            Ok(target.map(|t| t.wrapping_sub(k.base(scope.pc).cast_signed()) << unused >> unused))
        }
        _ => evaluate(text, scope),
    }
}

/// Of two failures the more telling: one about a value before one about the form, before an unknown name.
fn keep_better(kept: &mut Option<AsmReason>, new: AsmReason) {
    let rank = |reason: &AsmReason| match reason {
        AsmReason::UnknownMnemonic(_) => 0,
        AsmReason::Phase => 1,
        AsmReason::Operands(_) => 2,
        AsmReason::Syntax(_) => 3,
        _ => 4,
    };
    if kept.as_ref().is_none_or(|k| rank(&new) > rank(k)) {
        *kept = Some(new);
    }
}

fn split_mnemonic(statement: &str) -> (&str, &str) {
    let statement = statement.trim();
    let (word, rest) = statement.split_at(statement.find(char::is_whitespace).unwrap_or(statement.len()));
    (word, rest.trim())
}

/// The statements of a line, comments removed. Quotes protect.
fn statements<'l>(line: &'l str, comment: &str) -> Vec<&'l str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quoted = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quoted {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quoted = None,
            Some(_) => {}
            None if line[at..].starts_with("//") || line[at..].starts_with(comment) => {
                parts.push(&line[start..at]);
                return parts;
            }
            None if c == ';' => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            None if c == '"' || c == '\'' => quoted = Some(c),
            None => {}
        }
    }
    parts.push(&line[start..]);
    parts
}
