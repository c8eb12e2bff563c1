//! The text of `-netdev`: a kind and `name=value` pairs, separated by commas.

use super::NetError;

/// A parsed text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    kind: String,
    list: Vec<(String, String)>,
}

impl Options {
    /// Reads a text. A comma in a value is doubled, as on QEMU's command line.
    ///
    /// # Errors
    /// An option without a value.
    pub fn parse(text: &str) -> Result<Options, NetError> {
        let mut parts = split(text).into_iter();
        let kind = parts.next().unwrap_or_default();
        let mut list = Vec::new();
        // A comma at the end is nobody's mistake in QEMU.
        for part in parts.filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(NetError::new(format!("netdev {kind}: '{part}' wants a value")));
            };
            list.push((name.to_owned(), value.to_owned()));
        }
        Ok(Options { kind, list })
    }

    /// The first word.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The options in order, without `id`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().filter(|(n, _)| n != "id").map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The last value of an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Fails for an option that is not in `known`, where `addr.` stands for all names that begin with it.
    ///
    /// # Errors
    /// The first unknown name.
    pub fn only(&self, known: &[&str]) -> Result<(), NetError> {
        let is_known = |n: &str| known.iter().any(|k| *k == n || (k.ends_with('.') && n.starts_with(k)));
        match self.iter().find(|(n, _)| !is_known(n)) {
            None => Ok(()),
            Some((name, _)) => Err(self.error(name, "tern does not know this option")),
        }
    }

    /// An error about an option.
    #[must_use]
    pub fn error(&self, name: &str, what: &str) -> NetError {
        NetError::new(format!("netdev {}: {name}: {what}", self.kind))
    }
}

/// The parts between single commas.
fn split(text: &str) -> Vec<String> {
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

/// `on` or `off`, and what QEMU takes for them.
///
/// # Errors
/// Anything else.
pub(crate) fn switch(options: &Options, name: &str, value: &str) -> Result<bool, NetError> {
    match value {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(options.error(name, "wants on or off")),
    }
}

/// A number, if the option is there.
///
/// # Errors
/// Anything else.
#[cfg(unix)]
pub(crate) fn number(options: &Options, name: &str) -> Result<Option<u64>, NetError> {
    options.get(name).map(|text| text.parse().map_err(|_| options.error(name, "wants a number"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn commas_and_values() {
        let o = Options::parse("user,id=n0,hostname=a,,b,hostfwd=x,hostfwd=y").unwrap();
        assert_eq!(o.kind(), "user");
        assert_eq!(o.iter().collect::<Vec<_>>(), [("hostname", "a,b"), ("hostfwd", "x"), ("hostfwd", "y")]);
        assert_eq!(o.get("hostfwd"), Some("y"));
        assert_eq!(Options::parse("stream,addr.path=/x,").unwrap().get("addr.path"), Some("/x"));
        assert!(Options::parse("user,restrict").unwrap_err().to_string().contains("restrict"));
        assert!(o.only(&["hostname"]).unwrap_err().to_string().contains("hostfwd"));
    }
}
