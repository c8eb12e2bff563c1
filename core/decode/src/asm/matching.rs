//! Matching operand text against templates.

use crate::kind::{Class, Kind};
use crate::shape::{Piece, pieces};
use alloc::string::String;
use alloc::vec::Vec;

/// Longest statement taken.
pub(crate) const MAX_TEXT: usize = 4096;
/// Steps one match may take; templates need a few per operand, only nonsense needs many.
const MAX_STEPS: u32 = 100_000;

/// The text without the blanks outside quotes.
pub(crate) fn without_blanks(text: &str) -> String {
    let mut quoted = None;
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            match quoted {
                Some(_) if escaped => escaped = false,
                Some(_) if c == '\\' => escaped = true,
                Some(q) if c == q => quoted = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => quoted = Some(c),
                None => return !c.is_whitespace(),
            }
            true
        })
        .collect()
}

/// Splits at commas outside parentheses and quotes.
pub(crate) fn split_operands(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in top_level_commas(text) {
        parts.push(text[start..at].trim());
        start = at + 1;
    }
    if !text[start..].trim().is_empty() || start > 0 {
        parts.push(text[start..].trim());
    }
    parts
}

fn top_level_commas(text: &str) -> impl Iterator<Item = usize> {
    let mut depth = 0i32;
    let mut quoted = None;
    let mut escaped = false;
    text.char_indices().filter_map(move |(at, c)| {
        match quoted {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quoted = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quoted = Some(c),
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                ',' if depth == 0 => return Some(at),
                _ => {}
            },
        }
        None
    })
}

/// A compiled template: literal text without blanks, and holes.
pub(crate) struct Template<'t> {
    parts: Vec<Part<'t>>,
}

enum Part<'t> {
    Text(String),
    Hole(&'t str, Option<&'static Kind>),
}

impl<'t> Template<'t> {
    /// A row's template; the kinds are those of its holes in order.
    pub(crate) fn new(texts: &[&'t str], mut kinds: impl Iterator<Item = Option<&'static Kind>>) -> Template<'t> {
        let parts = texts.iter().flat_map(|t| pieces(t)).map(|piece| match piece {
            Piece::Text(text) => Part::Text(without_blanks(text)),
            Piece::Hole(name) => Part::Hole(name, kinds.next().flatten()),
        });
        Template { parts: parts.collect() }
    }

    /// The text of each hole, if `text` (without blanks) has the template's form. Holes of a closed set of names only
    /// take such names; others take no commas. With `repeat`, holes of the same name must have the same text.
    pub(crate) fn captures<'a>(&self, text: &'a str, repeat: bool) -> Option<Vec<&'a str>> {
        let mut found = Vec::new();
        let mut steps = 0;
        (text.len() <= MAX_TEXT && self.step(0, text, repeat, &mut found, &mut steps)).then_some(found)
    }

    fn step<'a>(&self, part: usize, text: &'a str, repeat: bool, found: &mut Vec<&'a str>, steps: &mut u32) -> bool {
        *steps += 1;
        if *steps > MAX_STEPS {
            return false;
        }
        let (name, kind) = match self.parts.get(part) {
            None => return text.is_empty(),
            Some(Part::Text(literal)) => {
                return text
                    .strip_prefix(literal.as_str())
                    .is_some_and(|rest| self.step(part + 1, rest, repeat, found, steps));
            }
            Some(&Part::Hole(name, kind)) => (name, kind),
        };
        // Longest first: in `%lo(x)(a0)` the last parenthesis opens the base register.
        for end in (0..=text.len()).rev().filter(|&e| text.is_char_boundary(e)) {
            let (capture, rest) = text.split_at(end);
            let next_fits = match self.parts.get(part + 1) {
                None => rest.is_empty(),
                Some(Part::Text(literal)) => rest.starts_with(literal.as_str()),
                Some(Part::Hole(..)) => true,
            };
            if !next_fits || !fits(capture, rest, kind) || (repeat && !self.agrees(part, name, capture, found)) {
                continue;
            }
            found.push(capture);
            if self.step(part + 1, rest, repeat, found, steps) {
                return true;
            }
            found.pop();
        }
        false
    }

    /// Whether earlier holes of this name captured the same text.
    fn agrees(&self, part: usize, name: &str, capture: &str, found: &[&str]) -> bool {
        let holes = self.parts[..part].iter().filter_map(|p| match p {
            Part::Hole(name, _) => Some(*name),
            Part::Text(_) => None,
        });
        holes.zip(found).all(|(n, &text)| n != name || text == capture)
    }

    /// The names of the holes in order.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &'t str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Hole(name, _) => Some(*name),
            Part::Text(_) => None,
        })
    }
}

fn fits(capture: &str, rest: &str, kind: Option<&Kind>) -> bool {
    match kind {
        Some(k) if k.class == Class::Named => k.value_of(capture).is_some(),
        // `(a0)` is short for `0(a0)`.
        _ if capture.is_empty() => rest.starts_with('('),
        _ => top_level_commas(capture).next().is_none(),
    }
}

/// Puts captures into the holes of `text`; `None` if it has a hole that was not captured.
pub(crate) fn substitute(text: &str, template: &Template<'_>, captures: &[&str]) -> Option<String> {
    let mut out = String::new();
    for piece in pieces(text) {
        out.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Hole(name) => template.holes().zip(captures).find(|(n, _)| *n == name)?.1,
        });
    }
    Some(out)
}
