//! Lists of names for values, written as one string.

use core::fmt;

/// Names of consecutive values in one string. Names are separated by blanks, or by `|` when the string holds one (then
/// a name may be empty or hold blanks). `-` leaves a value without name, `x0..x31` stands for a run of numbered names,
/// `name=0x300` gives that value and the following names continue from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names(&'static str);

/// The name of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    text: &'static str,
    number: Option<u64>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)?;
        self.number.map_or(Ok(()), |n| write!(f, "{n}"))
    }
}

#[derive(Clone, Copy)]
struct Entry {
    /// The name, or what precedes the number of a run, as byte range.
    start: usize,
    end: usize,
    /// First value, how many, and the first number of a run.
    value: u64,
    count: u64,
    number: Option<u64>,
    /// Whether the word is `-`.
    hole: bool,
    /// Where the next word starts.
    next: usize,
}

impl Names {
    /// No names.
    pub const NONE: Names = Names("");

    /// A list in the notation above.
    #[must_use]
    pub const fn new(list: &'static str) -> Names {
        Names(list)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    const fn barred(self) -> bool {
        let b = self.0.as_bytes();
        let mut i = 0;
        while i < b.len() {
            if b[i] == b'|' {
                return true;
            }
            i += 1;
        }
        false
    }

    /// The word at or after `at`; `value` is the value it gets unless it names one.
    const fn entry(self, at: usize, value: u64, barred: bool) -> Option<Entry> {
        let b = self.0.as_bytes();
        let mut start = at;
        if !barred {
            while start < b.len() && b[start].is_ascii_whitespace() {
                start += 1;
            }
            if start == b.len() {
                return None;
            }
        } else if start > b.len() {
            return None;
        }
        let mut end = start;
        let (mut dots, mut equals) = (0, 0);
        while end < b.len() && !(if barred { b[end] == b'|' } else { b[end].is_ascii_whitespace() }) {
            if b[end] == b'.' && end > start && b[end - 1] == b'.' {
                dots = end + 1;
            }
            if b[end] == b'=' && end > start {
                equals = end;
            }
            end += 1;
        }
        let next = if barred { end + 1 } else { end };
        let mut e = Entry { start, end, value, count: 1, number: None, hole: false, next };
        e.hole = end - start == 1 && b[start] == b'-';
        if barred {
            return Some(e);
        }
        if equals != 0 {
            e.value = integer(b, equals + 1, end);
            e.end = equals;
        } else if dots != 0 {
            e.end = digits_before(b, start, dots - 2);
            let first = integer(b, e.end, dots - 2);
            let last = integer(b, digits_before(b, dots, end), end);
            assert!(last >= first, "a run of names counts upwards");
            e.number = Some(first);
            e.count = last - first + 1;
        }
        Some(e)
    }

    /// Bit `i` of the result is set when value `from + i` has a name, for `i < count <= 64`. All ones without names.
    pub(crate) const fn present(self, from: u64, count: u32) -> u64 {
        if self.0.is_empty() {
            return u64::MAX;
        }
        let barred = self.barred();
        let mut set = 0;
        let (mut at, mut value) = (0, 0);
        while let Some(e) = self.entry(at, value, barred) {
            let mut v = e.value;
            while v < e.value + e.count && !e.hole {
                if v >= from && v - from < count as u64 {
                    set |= 1 << (v - from);
                }
                v += 1;
            }
            value = e.value + e.count;
            at = e.next;
        }
        set
    }

    /// The name of a value.
    #[must_use]
    pub fn name_of(self, value: u64) -> Option<Name> {
        let barred = self.barred();
        let (mut at, mut next) = (0, 0);
        if self.0.is_empty() {
            return None;
        }
        while let Some(e) = self.entry(at, next, barred) {
            if !e.hole && value >= e.value && value - e.value < e.count {
                return Some(Name { text: &self.0[e.start..e.end], number: e.number.map(|n| n + (value - e.value)) });
            }
            next = e.value + e.count;
            at = e.next;
        }
        None
    }

    /// The value of a name; blanks inside names do not count.
    #[must_use]
    pub fn value_of(self, name: &str) -> Option<u64> {
        let barred = self.barred();
        let (mut at, mut next) = (0, 0);
        if self.0.is_empty() {
            return None;
        }
        while let Some(e) = self.entry(at, next, barred) {
            let text = &self.0[e.start..e.end];
            if let Some(first) = e.number {
                let number = name.strip_prefix(text).filter(|n| *n == "0" || !n.starts_with('0'));
                let offset = number.and_then(|n| n.parse::<u64>().ok()).and_then(|n| n.checked_sub(first));
                if let Some(offset) = offset.filter(|&o| o < e.count) {
                    return Some(e.value + offset);
                }
            } else if !e.hole && text.bytes().filter(|b| *b != b' ').eq(name.bytes().filter(|b| *b != b' ')) {
                return Some(e.value);
            }
            next = e.value + e.count;
            at = e.next;
        }
        None
    }
}

const fn digits_before(b: &[u8], start: usize, end: usize) -> usize {
    let mut i = end;
    while i > start && b[i - 1].is_ascii_digit() {
        i -= 1;
    }
    i
}

/// A decimal or `0x` hexadecimal number that fills `b[at..end]`.
const fn integer(b: &[u8], at: usize, end: usize) -> u64 {
    let hexadecimal = end - at > 2 && b[at] == b'0' && b[at + 1] == b'x';
    let (base, mut i) = if hexadecimal { (16, at + 2) } else { (10, at) };
    assert!(i < end, "a number was expected in a list of names");
    let mut n = 0u64;
    while i < end {
        let digit = match b[i] {
            c @ b'0'..=b'9' => c - b'0',
            c @ b'a'..=b'f' if hexadecimal => c - b'a' + 10,
            _ => panic!("a number was expected in a list of names"),
        };
        assert!(n < 1 << 32, "a number in a list of names is too large");
        n = n * base + digit as u64;
        i += 1;
    }
    n
}
