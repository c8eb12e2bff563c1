//! How QEMU's arguments are written (QEMU documentation, "Invocation"): `value,key=value,...` with `,,` for a comma in a
//! value, or the same as JSON; sizes, numbers, switches, dates, addresses.

use serde_json::Value;
pub use tern_core::text::{mac, number, size, switch};

/// The keys and values of an argument.  Handlers take what they know; [`Keys::done`] refuses the rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys(Vec<(String, String)>);

impl Keys {
    /// Reads an argument, JSON if it begins with a brace.  A first part without `=` is the value of `implied`; any other
    /// part without one means `on`.
    ///
    /// # Errors
    /// A key without a name; text that is no JSON object.
    pub fn parse(text: &str, implied: Option<&str>) -> Result<Keys, String> {
        if text.trim_start().starts_with('{') {
            return Keys::json(text);
        }
        let mut keys = Vec::new();
        for (n, part) in parts(text).into_iter().enumerate() {
            let pair = match (part.split_once('='), implied) {
                (Some((key, value)), _) => (key.to_owned(), value.to_owned()),
                (None, Some(implied)) if n == 0 => (implied.to_owned(), part),
                (None, _) => (part, "on".to_owned()),
            };
            if pair.0.is_empty() {
                // As `a,` and the empty argument: nothing was said.
                if pair.1 == "on" {
                    continue;
                }
                return Err(format!("'={}' has no name in front", pair.1));
            }
            keys.push(pair);
        }
        Ok(Keys(keys))
    }

    fn json(text: &str) -> Result<Keys, String> {
        match serde_json::from_str(text).map_err(|e| format!("JSON: {e}"))? {
            Value::Object(map) => Keys::of(map),
            _ => Err("JSON: an object is wanted".to_owned()),
        }
    }

    /// The members of an object.
    ///
    /// # Errors
    /// One is null.
    pub fn of(map: serde_json::Map<String, Value>) -> Result<Keys, String> {
        let mut keys = Vec::new();
        flatten(&mut keys, "", &Value::Object(map))?;
        Ok(Keys(keys))
    }

    /// Takes a key's value: the last one, as in QEMU.
    pub fn take(&mut self, key: &str) -> Option<String> {
        self.take_all(key).pop()
    }

    /// Takes all values of a key.
    pub fn take_all(&mut self, key: &str) -> Vec<String> {
        let values = self.0.extract_if(.., |(k, _)| k == key);
        values.map(|(_, v)| v).collect()
    }

    /// Takes a key that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&mut self, key: &str) -> Result<String, String> {
        self.take(key).ok_or_else(|| format!("Parameter '{key}' is missing"))
    }

    /// Takes a switch.
    ///
    /// # Errors
    /// A value other than `on` and `off` (`yes`, `no`, `true`, `false`, `y`, `n`).
    pub fn switch(&mut self, key: &str) -> Result<Option<bool>, String> {
        self.take(key).map(|v| switch(&v).ok_or_else(|| format!("Parameter '{key}' expects 'on' or 'off'"))).transpose()
    }

    /// Takes a number.
    ///
    /// # Errors
    /// A value that is none, or too large.
    pub fn number<T: TryFrom<u64>>(&mut self, key: &str) -> Result<Option<T>, String> {
        let read = |v: String| number(&v).and_then(|n| T::try_from(n).ok());
        self.take(key).map(|v| read(v).ok_or_else(|| format!("Parameter '{key}' expects a number"))).transpose()
    }

    /// Takes a key that may only have one of the values that change nothing.
    ///
    /// # Errors
    /// Any other value.
    pub fn fixed(&mut self, key: &str, values: &[&str]) -> Result<(), String> {
        match self.take(key) {
            Some(v) if !values.contains(&v.as_str()) => {
                Err(format!("{key}={v} is not supported, only {}", values.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Takes all that is left, in order.
    #[must_use]
    pub fn rest(self) -> Vec<(String, String)> {
        self.0
    }

    /// Everything has been taken.
    ///
    /// # Errors
    /// The first key that has not.
    pub fn done(&self) -> Result<(), String> {
        self.0.first().map_or(Ok(()), |(key, _)| Err(format!("Invalid parameter '{key}'")))
    }
}

/// Nested objects and lists as keys with dots, as QEMU flattens them: `file.filename`, `hostfwd.0.str`.
fn flatten(out: &mut Vec<(String, String)>, prefix: &str, value: &Value) -> Result<(), String> {
    let inner = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    let text = match value {
        Value::Object(map) => return map.iter().try_for_each(|(k, v)| flatten(out, &inner(k), v)),
        Value::Array(list) => {
            return (0..).zip(list).try_for_each(|(n, v): (u32, _)| flatten(out, &inner(&n.to_string()), v));
        }
        // The image's own backing file is not wanted.
        Value::Null if prefix == "backing" || prefix.ends_with(".backing") => String::new(),
        Value::Null => return Err(format!("JSON: {prefix} is null")),
        Value::Bool(b) => if *b { "on" } else { "off" }.to_owned(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
    };
    out.push((prefix.to_owned(), text));
    Ok(())
}

/// The parts between single commas.
#[must_use]
pub fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// Nanoseconds from 1970 to a date and time, UTC.
#[must_use]
pub fn date_ns(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let fields = |text: &str, by: char, digits: [usize; 3]| -> Option<[u64; 3]> {
        let mut out = [0; 3];
        let mut parts = text.split(by);
        for (slot, digits) in out.iter_mut().zip(digits) {
            let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
            *slot = part.parse().ok()?;
        }
        parts.next().is_none().then_some(out)
    };
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let of_month = |m: u64| match m {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // Nanoseconds since 1970 fit 64 bits until 2554.
    if !(1970..2500).contains(&year) || !(1..=12).contains(&month) || !(1..=of_month(month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year).map(|y| 365 + u64::from(leap(y))).sum();
    let days = years + (1..month).map(of_month).sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str, implied: Option<&str>) -> Vec<(String, String)> {
        Keys::parse(text, implied).unwrap().rest()
    }

    #[test]
    fn arguments() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(keys("virt,aia=aplic", Some("type")), [pair("type", "virt"), pair("aia", "aplic")]);
        assert_eq!(keys("type=virt,a,b=", Some("type")), [pair("type", "virt"), pair("a", "on"), pair("b", "")]);
        assert_eq!(keys("file=a,,b,,,c=d=e", None), [pair("file", "a,b,"), pair("c", "d=e")]);
        assert_eq!(keys("a=1,", None), [pair("a", "1")]);
        assert_eq!(keys("", Some("x")), [pair("x", "")]);
        assert_eq!(keys("", None), []);
        assert_eq!(Keys::parse("=x", None).unwrap_err(), "'=x' has no name in front");
        let json = r#"{"driver":"raw","read-only":true,"n":3,"file":{"filename":"a,b"},"l":[{"str":"x"},"y"]}"#;
        assert_eq!(
            keys(json, Some("driver")).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["driver=raw", "file.filename=a,b", "l.0.str=x", "l.1=y", "n=3", "read-only=on"]
        );
        assert_eq!(Keys::parse("{", None).unwrap_err(), "JSON: EOF while parsing an object at line 1 column 1");
        assert_eq!(Keys::parse(r#"{"a":null}"#, None).unwrap_err(), "JSON: a is null");
        assert!(Keys::parse(&"{\"a\":".repeat(100_000), None).is_err());
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut keys = Keys::parse("a=1,a=2,b=on,c=maybe,d=0x10,e=300,f=x", None).unwrap();
        assert_eq!(keys.take("a").as_deref(), Some("2"));
        assert_eq!(keys.take("a"), None);
        assert_eq!(keys.switch("b"), Ok(Some(true)));
        assert_eq!(keys.switch("b"), Ok(None));
        assert_eq!(keys.switch("c").unwrap_err(), "Parameter 'c' expects 'on' or 'off'");
        assert_eq!(keys.number::<u64>("d"), Ok(Some(16)));
        assert_eq!(keys.number::<u8>("e").unwrap_err(), "Parameter 'e' expects a number");
        assert_eq!(keys.need("id").unwrap_err(), "Parameter 'id' is missing");
        assert_eq!(keys.clone().fixed("f", &["off", "auto"]).unwrap_err(), "f=x is not supported, only off, auto");
        assert_eq!(keys.done().unwrap_err(), "Invalid parameter 'f'");
    }

    #[test]
    fn sizes() {
        for (text, unit, bytes) in [
            ("512", 20, Some(512 << 20)),
            ("512M", 20, Some(512 << 20)),
            ("1g", 20, Some(1 << 30)),
            ("1.5G", 20, Some(3 << 29)),
            ("0x100", 20, Some(256 << 20)),
            ("4096b", 20, Some(4096)),
            ("1k", 0, Some(1024)),
            ("15E", 0, Some(15 << 60)),
            ("16E", 0, None),
            ("1.5", 0, None),
            ("1.5", 20, Some(3 << 19)),
            ("", 20, None),
            ("G", 20, None),
            ("-1", 20, None),
            ("+1", 20, None),
            ("1.G", 20, None),
            ("1..5G", 20, None),
            ("1MM", 20, None),
            ("ü", 20, None),
        ] {
            assert_eq!(size(text, unit), bytes, "{text}");
        }
    }

    #[test]
    fn dates() {
        const S: u64 = 1_000_000_000;
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("2000-03-01", Some(951_868_800)),
            ("2006-06-17T16:01:21", Some(1_150_560_081)),
            ("2024-02-29T23:59:59", Some(1_709_251_199)),
            ("2023-02-29", None),
            ("1969-12-31", None),
            ("2006-6-17", None),
            ("2006-06-17T24:00:00", None),
            ("2006-06-17T", None),
            ("2006-06-17-01", None),
            ("+006-06-17", None),
            ("", None),
        ] {
            assert_eq!(date_ns(text), seconds.map(|s: u64| s * S), "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(mac("52:54:00:12:34:56"), Ok([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        assert_eq!(mac("52-54-00-12-34-aB"), Ok([0x52, 0x54, 0, 0x12, 0x34, 0xab]));
        for bad in
            ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "53:54:00:12:34:56", "5:54:00:12:34:56", "+5:54:0:1:2:3"]
        {
            assert_eq!(mac(bad), Err(format!("'{bad}' is no Ethernet address")));
        }
    }
}
