//! The table of rules and connections that `info usernet` shows, with the columns of slirp's.

use core::fmt::Write;
use core::net::SocketAddr;

/// A line.
pub(super) struct Row {
    /// Protocol and state, such as `TCP[ESTABLISHED]`.
    pub(super) what: String,
    /// The host's descriptor, -1 if there is none any more.
    pub(super) fd: i32,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Bytes from the guest that the host has still to take, and the other way round.
    pub(super) queued: (usize, usize),
    /// Without ports (echo requests).
    pub(super) bare: bool,
}

/// All lines under their head.
pub(super) fn print(rows: &[Row]) -> String {
    let mut text = "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n".to_owned();
    for row in rows {
        let name = |addr: SocketAddr| match (row.bare, addr.ip()) {
            (false, ip) if ip.is_unspecified() => "*".to_owned(),
            (_, ip) => ip.to_string(),
        };
        let port = |addr: SocketAddr| if row.bare { "-".to_owned() } else { addr.port().to_string() };
        let (from, to, (received, sent)) = (row.from, row.to, row.queued);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:<17} {:>3} {:>15} {:>5} {:>15} {:>5} {received:>5} {sent:>5}",
            row.what,
            row.fd,
            name(from),
            port(from),
            name(to),
            port(to)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, print};

    #[test]
    fn columns() {
        let row = |what: &str, from: &str, bare| Row {
            what: what.into(),
            fd: 12,
            from: from.parse().unwrap(),
            to: "10.0.2.15:22".parse().unwrap(),
            queued: (0, 7),
            bare,
        };
        let text = print(&[row("TCP[HOST_FORWARD]", "127.0.0.1:2222", false), row("ICMP[9 sec]", "10.0.2.15:1", true)]);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "  TCP[HOST_FORWARD]  12       127.0.0.1  2222       10.0.2.15    22     0     7",
                "  ICMP[9 sec]        12       10.0.2.15     -       10.0.2.15     -     0     7",
            ]
        );
        assert!(print(&[row("UDP[HOST_FORWARD]", "0.0.0.0:53", false)]).contains("               *    53 "));
    }
}
