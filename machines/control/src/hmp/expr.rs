//! Expressions of the monitor: numbers, registers (`$pc`), `+ - * / % & | ^ ~ ( )`.

/// Deepest nesting.
const DEEPEST: u32 = 64;

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    register: &'a dyn Fn(&str) -> Option<u64>,
}

/// The value of the expression that `text` begins with, and what is behind it.
///
/// # Errors
/// In one line.
pub fn value<'a>(text: &'a str, register: &dyn Fn(&str) -> Option<u64>) -> Result<(u64, &'a str), String> {
    let mut parser = Parser { text: text.as_bytes(), at: 0, depth: 0, register };
    let value = parser.sum()?;
    Ok((value, text.get(parser.at..).unwrap_or_default().trim_start()))
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn sum(&mut self) -> Result<u64, String> {
        let mut value = self.product()?;
        loop {
            match self.peek() {
                Some(b'+') => value = value.wrapping_add(self.next(Parser::product)?),
                Some(b'-') => value = value.wrapping_sub(self.next(Parser::product)?),
                _ => return Ok(value),
            }
        }
    }

    fn product(&mut self) -> Result<u64, String> {
        let mut value = self.bits()?;
        loop {
            match self.peek() {
                Some(b'*') => value = value.wrapping_mul(self.next(Parser::bits)?),
                Some(b'/') => value = value.checked_div(self.next(Parser::bits)?).ok_or("division by zero")?,
                Some(b'%') => value = value.checked_rem(self.next(Parser::bits)?).ok_or("division by zero")?,
                _ => return Ok(value),
            }
        }
    }

    fn bits(&mut self) -> Result<u64, String> {
        let mut value = self.unary()?;
        loop {
            match self.peek() {
                Some(b'&') => value &= self.next(Parser::unary)?,
                Some(b'|') => value |= self.next(Parser::unary)?,
                Some(b'^') => value ^= self.next(Parser::unary)?,
                _ => return Ok(value),
            }
        }
    }

    fn next(&mut self, f: fn(&mut Self) -> Result<u64, String>) -> Result<u64, String> {
        self.at += 1;
        f(self)
    }

    fn unary(&mut self) -> Result<u64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the expression is too deep".to_owned());
        }
        let value = match self.peek() {
            Some(b'+') => self.next(Parser::unary)?,
            Some(b'-') => self.next(Parser::unary)?.wrapping_neg(),
            Some(b'~') => !self.next(Parser::unary)?,
            Some(b'(') => {
                let value = self.next(Parser::sum)?;
                if self.peek() != Some(b')') {
                    return Err("')' is missing".to_owned());
                }
                self.at += 1;
                value
            }
            Some(b'$') => {
                self.at += 1;
                let name = self.word().to_owned();
                (self.register)(&name).ok_or_else(|| format!("there is no register '{name}'"))?
            }
            Some(b'0'..=b'9') => {
                let word = self.word().to_owned();
                tern_core::text::number(&word).ok_or_else(|| format!("'{word}' is no number"))?
            }
            _ => return Err("a number is missing".to_owned()),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self) -> &str {
        let begin = self.at;
        while self.text.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_' || *c == b'.') {
            self.at += 1;
        }
        core::str::from_utf8(&self.text[begin..self.at]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let register = |name: &str| (name == "pc").then_some(0x1000);
        for (text, wanted) in [
            ("1+2*3", Ok((7, ""))),
            ("$pc + 8 rest", Ok((0x1008, "rest"))),
            ("-(0x10 - 1)", Ok((15_u64.wrapping_neg(), ""))),
            ("~0 & 0xff", Ok((0xff, ""))),
            ("7/0", Err("division by zero")),
            ("$x", Err("there is no register 'x'")),
            ("(1", Err("')' is missing")),
            ("", Err("a number is missing")),
            ("9x", Err("'9x' is no number")),
        ] {
            assert_eq!(value(text, &register), wanted.map_err(str::to_owned), "{text}");
        }
        assert!(value(&"(".repeat(10_000), &register).is_err());
        assert!(value(&"-".repeat(10_000), &register).is_err());
    }
}
