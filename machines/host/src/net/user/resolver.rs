//! The host's name server, from `resolv.conf(5)`.

use core::net::IpAddr;
use std::path::Path;

/// Longest file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// The first name server of a file; without a file or a line for it, there is none.
pub(super) fn first(path: &Path) -> Option<IpAddr> {
    let bytes = crate::file::read_limited(path, LIMIT).ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Option<IpAddr> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then_some(())?;
        words.next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{first, parse};
    use std::path::Path;

    #[test]
    fn lines() {
        let text =
            "# nameserver 1.1.1.1\nsearch a b\nnameserver fe80::1%eth0\nnameserver\t9.9.9.9 x\nnameserver 8.8.8.8\n";
        assert_eq!(parse(text).map(|a| a.to_string()).as_deref(), Some("9.9.9.9"));
        assert_eq!(parse(""), None);
        assert_eq!(first(Path::new("/nonexistent/resolv.conf")), None);
    }
}
