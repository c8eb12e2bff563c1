//! JSON as it comes over a monitor's connection (QEMU documentation, "QEMU Machine Protocol Specification"; RFC 8259):
//! bytes in, values out as soon as they are complete, without lengths or line ends.
//!
//! Beyond the RFC a string may stand in single quotes.  After a byte that fits nowhere the reader skips to the next bracket,
//! comma, colon or control character, so that a client that sends `0xff` brings it to a known state.

use serde_json::{Map, Number, Value};

/// Most bytes of one value's tokens.
const MOST_BYTES: usize = 64 << 20;
/// Most tokens of one value.
const MOST_TOKENS: usize = 2 << 20;
/// Deepest nesting of one value.
const DEEPEST: usize = 1 << 10;

/// Where in a token the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lex {
    /// Between tokens.
    Between,
    /// Behind something that fits nowhere.
    Lost,
    /// In a string that ends with this quote; true: behind a backslash.
    Text(u8, bool),
    Number(Digits),
    Word,
}

/// Where in a number the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Digits {
    Sign,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

/// What a byte does to a token.
enum Step {
    /// It belongs to it.
    Into(Lex),
    /// It ends it and belongs to it.
    Last,
    /// It does not belong to it: the token ended before.
    Behind,
    /// It cannot stand here.
    Stray,
}

impl Digits {
    fn step(self, byte: u8) -> Step {
        let next = match (self, byte) {
            (Digits::Sign, b'0') => Digits::Zero,
            (Digits::Sign, b'1'..=b'9') | (Digits::Whole, b'0'..=b'9') => Digits::Whole,
            (Digits::Zero, b'0'..=b'9') => return Step::Stray,
            (Digits::Zero | Digits::Whole, b'.') => Digits::Point,
            (Digits::Whole | Digits::Fraction, b'e' | b'E') => Digits::E,
            (Digits::Point | Digits::Fraction, b'0'..=b'9') => Digits::Fraction,
            (Digits::E, b'+' | b'-') => Digits::ESign,
            (Digits::E | Digits::ESign | Digits::Exponent, b'0'..=b'9') => Digits::Exponent,
            (Digits::Zero | Digits::Whole | Digits::Fraction | Digits::Exponent, _) => return Step::Behind,
            _ => return Step::Stray,
        };
        Step::Into(Lex::Number(next))
    }
}

impl Lex {
    fn step(self, byte: u8) -> Step {
        match (self, byte) {
            (Lex::Between, b'"' | b'\'') => Step::Into(Lex::Text(byte, false)),
            (Lex::Between, b'-') => Step::Into(Lex::Number(Digits::Sign)),
            (Lex::Between, b'0'..=b'9') => Digits::Sign.step(byte),
            (Lex::Between | Lex::Word, b'a'..=b'z') => Step::Into(Lex::Word),
            (Lex::Between, b'{' | b'}' | b'[' | b']' | b',' | b':') => Step::Last,
            (Lex::Between, b' ' | b'\t' | b'\r' | b'\n') => Step::Into(Lex::Between),
            (Lex::Between, _) => Step::Stray,
            (Lex::Word, _) => Step::Behind,
            (Lex::Number(digits), _) => digits.step(byte),
            (Lex::Text(..), 0..=0x1f | 0xfe | 0xff) => Step::Stray,
            (Lex::Text(quote, false), _) if byte == quote => Step::Last,
            (Lex::Text(quote, escaped), _) => Step::Into(Lex::Text(quote, !escaped && byte == b'\\')),
            (Lex::Lost, b'\t') => Step::Into(Lex::Lost),
            (Lex::Lost, 0..=0x1f | 0xfe | 0xff | b'{' | b'}' | b'[' | b']' | b',' | b':') => Step::Behind,
            (Lex::Lost, _) => Step::Into(Lex::Lost),
        }
    }
}

/// A token's meaning.
enum Token {
    /// A bracket, comma or colon.
    Sign(u8),
    Value(Value),
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Value,
    /// A value, or the list's end.
    FirstValue,
    Key,
    /// A key, or the object's end.
    FirstKey,
    Colon,
    /// A comma, or the end.
    Comma,
}

/// A list or object whose end has not come.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, String),
}

/// Reads values.
pub struct Reader {
    /// Most bytes of one value's tokens.
    most: usize,
    lex: Lex,
    token: Vec<u8>,
    /// Open brackets: braces and square ones.
    braces: isize,
    squares: isize,
    tokens: usize,
    bytes: usize,
    open: Vec<Open>,
    wanted: Wanted,
    /// The first thing wrong with the value that is being read.
    wrong: Option<String>,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    /// A reader at the beginning of a stream.
    #[must_use]
    pub fn new() -> Reader {
        Reader::with_limit(MOST_BYTES)
    }

    /// One that takes values of so many bytes.
    #[must_use]
    pub fn with_limit(most: usize) -> Reader {
        Reader {
            most,
            lex: Lex::Between,
            token: Vec::new(),
            braces: 0,
            squares: 0,
            tokens: 0,
            bytes: 0,
            open: Vec::new(),
            wanted: Wanted::Value,
            wrong: None,
        }
    }

    /// Takes the next byte.  A byte can end two things at once: `1{` is a number and what follows, `1x` a number and a
    /// mistake.
    pub fn feed(&mut self, byte: u8) -> impl Iterator<Item = Result<Value, String>> + use<> {
        let mut out = [None, None];
        for slot in &mut out {
            let (found, taken) = self.byte(byte);
            *slot = found;
            if taken {
                break;
            }
        }
        out.into_iter().flatten()
    }

    /// One step with a byte; false: it has still to be looked at.
    fn byte(&mut self, byte: u8) -> (Option<Result<Value, String>>, bool) {
        match self.lex.step(byte) {
            Step::Into(lex) => {
                self.lex = lex;
                if matches!(lex, Lex::Between | Lex::Lost) {
                    return (None, true);
                }
                self.token.push(byte);
                if self.token.len() > self.most {
                    return (Some(self.fail("JSON token size limit exceeded".to_owned())), true);
                }
                (None, true)
            }
            Step::Last => {
                self.token.push(byte);
                (self.end_of_token(), true)
            }
            Step::Behind if self.lex == Lex::Lost => {
                self.lex = Lex::Between;
                (None, false)
            }
            Step::Behind => (self.end_of_token(), false),
            Step::Stray => {
                self.token.push(byte);
                let text = format!("JSON parse error, stray '{}'", String::from_utf8_lossy(&self.token));
                let found = self.fail(text);
                self.lex = Lex::Lost;
                (Some(found), true)
            }
        }
    }

    /// Gives up the value that is being read.
    fn fail(&mut self, why: String) -> Result<Value, String> {
        *self = Reader::with_limit(self.most);
        Err(why)
    }

    fn end_of_token(&mut self) -> Option<Result<Value, String>> {
        let lex = core::mem::replace(&mut self.lex, Lex::Between);
        let text = core::mem::take(&mut self.token);
        match text.first() {
            Some(b'{') => self.braces += 1,
            Some(b'}') => self.braces -= 1,
            Some(b'[') => self.squares += 1,
            Some(b']') => self.squares -= 1,
            _ => {}
        }
        self.bytes += text.len();
        self.tokens += 1;
        if self.bytes > self.most {
            return Some(self.fail("JSON token size limit exceeded".to_owned()));
        }
        if self.tokens > MOST_TOKENS {
            return Some(self.fail("JSON token count limit exceeded".to_owned()));
        }
        if self.braces + self.squares > DEEPEST as isize {
            return Some(self.fail("JSON nesting depth limit exceeded".to_owned()));
        }
        let mut whole = None;
        if self.wrong.is_none() {
            match meaning(lex, &text).and_then(|token| self.token(token)) {
                Ok(value) => whole = value,
                Err(why) => self.wrong = Some(format!("JSON parse error, {why}")),
            }
        }
        if (self.braces > 0 || self.squares > 0) && self.braces >= 0 && self.squares >= 0 {
            return None;
        }
        let found = match (self.wrong.take(), whole) {
            (None, Some(value)) => Ok(value),
            (why, _) => Err(why.unwrap_or_else(|| "JSON parse error, premature EOI".to_owned())),
        };
        *self = Reader::with_limit(self.most);
        Some(found)
    }

    /// Puts a token to what has come before; gives the value if it is whole.
    fn token(&mut self, token: Token) -> Result<Option<Value>, String> {
        let value = match (self.wanted, token) {
            (Wanted::Key | Wanted::FirstKey, Token::Value(Value::String(key))) => {
                if let Some(Open::Object(_, slot)) = self.open.last_mut() {
                    *slot = key;
                }
                self.wanted = Wanted::Colon;
                return Ok(None);
            }
            (Wanted::FirstKey, Token::Sign(b'}')) | (Wanted::FirstValue, Token::Sign(b']')) => self.close(),
            (Wanted::Key | Wanted::FirstKey, Token::Value(_) | Token::Sign(b'{' | b'[')) => {
                return Err("key is not a string in object".to_owned());
            }
            (Wanted::Colon, Token::Sign(b':')) => {
                self.wanted = Wanted::Value;
                return Ok(None);
            }
            (Wanted::Colon, _) => return Err("missing : in object pair".to_owned()),
            (Wanted::Value | Wanted::FirstValue, Token::Value(value)) => value,
            (Wanted::Value | Wanted::FirstValue, Token::Sign(b'{')) => {
                self.open.push(Open::Object(Map::new(), String::new()));
                self.wanted = Wanted::FirstKey;
                return Ok(None);
            }
            (Wanted::Value | Wanted::FirstValue, Token::Sign(b'[')) => {
                self.open.push(Open::List(Vec::new()));
                self.wanted = Wanted::FirstValue;
                return Ok(None);
            }
            (Wanted::Value | Wanted::FirstValue | Wanted::Key | Wanted::FirstKey, _) => {
                return Err("expecting value".to_owned());
            }
            (Wanted::Comma, Token::Sign(sign)) => match (self.open.last(), sign) {
                (Some(Open::List(_)), b',') => {
                    self.wanted = Wanted::Value;
                    return Ok(None);
                }
                (Some(Open::Object(..)), b',') => {
                    self.wanted = Wanted::Key;
                    return Ok(None);
                }
                (Some(Open::List(_)), b']') | (Some(Open::Object(..)), b'}') => self.close(),
                _ => return Err(self.no_comma()),
            },
            (Wanted::Comma, _) => return Err(self.no_comma()),
        };
        self.put(value)
    }

    fn no_comma(&self) -> String {
        let place = if matches!(self.open.last(), Some(Open::List(_))) { "list" } else { "dict" };
        format!("expected separator in {place}")
    }

    /// Ends the innermost list or object.
    fn close(&mut self) -> Value {
        match self.open.pop() {
            Some(Open::List(list)) => Value::Array(list),
            Some(Open::Object(map, _)) => Value::Object(map),
            None => Value::Null,
        }
    }

    /// Puts a value where one was wanted.
    fn put(&mut self, value: Value) -> Result<Option<Value>, String> {
        self.wanted = Wanted::Comma;
        match self.open.last_mut() {
            None => return Ok(Some(value)),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Object(map, key)) => {
                if map.insert(core::mem::take(key), value).is_some() {
                    return Err("duplicate key".to_owned());
                }
            }
        }
        Ok(None)
    }
}

fn meaning(lex: Lex, text: &[u8]) -> Result<Token, String> {
    Ok(match lex {
        Lex::Text(..) => Token::Value(Value::String(string(text)?)),
        Lex::Number(_) => Token::Value(Value::Number(number(text)?)),
        Lex::Word => Token::Value(match text {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            _ => return Err(format!("invalid keyword '{}'", String::from_utf8_lossy(text))),
        }),
        Lex::Between | Lex::Lost => Token::Sign(text.first().copied().unwrap_or(0)),
    })
}

/// An integer of 64 bits, signed if possible; else the nearest double.
fn number(text: &[u8]) -> Result<Number, String> {
    let text = String::from_utf8_lossy(text);
    if let Ok(n) = text.parse::<i64>() {
        return Ok(n.into());
    }
    if let Ok(n) = text.parse::<u64>() {
        return Ok(n.into());
    }
    // What is beyond a double would be an infinity, which JSON does not know.
    text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(|| "number out of range".to_owned())
}

/// The text of a string with its quotes.
fn string(token: &[u8]) -> Result<String, String> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        plain(&mut out, &rest[..at])?;
        rest = escaped(&mut out, &rest[at..])?;
    }
    plain(&mut out, rest)?;
    Ok(out)
}

/// Text without escapes: UTF-8 without the code points that are no characters; a NUL may be two bytes.
fn plain(out: &mut String, bytes: &[u8]) -> Result<(), String> {
    let wrong = || "invalid UTF-8 sequence in string".to_owned();
    let mut nul = false;
    for part in bytes.split_inclusive(|b| *b == 0xc0) {
        let part = if core::mem::take(&mut nul) {
            out.push('\0');
            part.strip_prefix(&[0x80]).ok_or_else(wrong)?
        } else {
            part
        };
        let part = part.strip_suffix(&[0xc0]).inspect(|_| nul = true).unwrap_or(part);
        let text = core::str::from_utf8(part).map_err(|_| wrong())?;
        if !text.is_ascii() && !text.chars().all(character) {
            return Err(wrong());
        }
        out.push_str(text);
    }
    if nul { Err(wrong()) } else { Ok(()) }
}

/// Is it a code point that stands for a character?
fn character(c: char) -> bool {
    !matches!(c, '\u{fdd0}'..='\u{fdef}') && u32::from(c) & 0xfffe != 0xfffe
}

/// An escape sequence; gives what follows it.
fn escaped<'a>(out: &mut String, text: &'a [u8]) -> Result<&'a [u8], String> {
    let (kind, rest) = match text {
        [b'\\', kind, rest @ ..] => (*kind, rest),
        _ => return Err("invalid escape sequence in string".to_owned()),
    };
    out.push(match kind {
        b'"' | b'\'' | b'\\' | b'/' => char::from(kind),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(out, text, rest),
        _ => return Err("invalid escape sequence in string".to_owned()),
    });
    Ok(rest)
}

/// Four hexadecimal digits, and a second four if the first are half of a pair.
fn unicode<'a>(out: &mut String, text: &'a [u8], rest: &'a [u8]) -> Result<&'a [u8], String> {
    let digits = |bytes: &[u8]| -> Option<u32> {
        let hex = bytes.get(..4)?;
        hex.iter().try_fold(0, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
    };
    let mut len = 4;
    let mut code = digits(rest);
    if let (Some(high @ 0xd800..=0xdbff), Some([b'\\', b'u', low @ ..])) = (code, rest.get(4..)) {
        let low = digits(low).filter(|low| (0xdc00..=0xdfff).contains(low));
        code = low.map(|low| 0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff));
        len = if code.is_some() { 10 } else { 4 };
    }
    match code.and_then(char::from_u32).filter(|c| character(*c)) {
        Some(c) => {
            out.push(c);
            Ok(rest.get(len..).unwrap_or_default())
        }
        None => {
            let shown = String::from_utf8_lossy(text.get(..2 + len).unwrap_or(text));
            Err(format!("{shown} is not a valid Unicode character"))
        }
    }
}
