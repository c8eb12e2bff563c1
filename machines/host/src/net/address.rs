//! Addresses of sockets, with the names of QEMU's `SocketAddress` (qapi/sockets.json).

use super::options::switch;
use super::{NetError, Options};
use core::fmt;
use std::path::PathBuf;

/// An address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A host and a port.
    Inet(Inet),
    /// A socket of this host.
    Unix {
        /// Its file, or its name in Linux's abstract name space.
        path: PathBuf,
        /// It is a name, not a file.
        abstract_name: bool,
        /// The name ends with its last byte; else zeros follow to the end of the address.
        tight: bool,
    },
    /// A descriptor: its number or its name.
    Fd(String),
}

/// An address of the Internet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inet {
    /// Name or address; empty is every address (of a server), or this host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The last port that a server tries.
    pub to: Option<u16>,
    /// May it be, must it be, IPv4?
    pub ipv4: Option<bool>,
    /// May it be, must it be, IPv6?
    pub ipv6: Option<bool>,
    /// The host is an address, never a name.
    pub numeric: bool,
    /// Peers that have gone silent are asked whether they are there.
    pub keep_alive: bool,
}

impl fmt::Display for Address {
    /// As `info network` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(inet) => write!(f, "tcp:{}:{}", inet.host, inet.port),
            Address::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Address::Fd(text) => write!(f, "fd:{text}"),
        }
    }
}

impl Address {
    /// A host and a port.
    #[must_use]
    pub fn inet(host: &str, port: u16) -> Address {
        Address::Inet(Inet { host: host.to_owned(), port, ..Inet::default() })
    }

    /// A socket with a file.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Address {
        Address::Unix { path: path.into(), abstract_name: false, tight: true }
    }

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn host_port(text: &str) -> Result<Address, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("wants HOST:PORT")?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Ok(Address::inet(host, port.parse().map_err(|_| "bad port")?))
    }

    /// Reads `PREFIX.type`, `PREFIX.host` and so on; none without any of them.
    ///
    /// # Errors
    /// What is missing, wrong or unknown.
    pub fn from_options(options: &Options, prefix: &str) -> Result<Option<Address>, NetError> {
        let dotted = format!("{prefix}.");
        let mut given = options.iter().filter_map(|(name, _)| name.strip_prefix(&dotted)).peekable();
        if given.peek().is_none() {
            return Ok(None);
        }
        let full = |name: &str| format!("{prefix}.{name}");
        let want = |name: &str| options.get(&full(name)).ok_or_else(|| options.error(&full(name), "is missing"));
        let on = |name: &str| options.get(&full(name)).map(|v| switch(options, &full(name), v)).transpose();
        let port = |name: &str, text: &str| text.parse().map_err(|_| options.error(&full(name), "bad port"));
        let (address, known): (_, &[&str]) = match want("type")? {
            "inet" => {
                let inet = Inet {
                    host: want("host")?.to_owned(),
                    port: port("port", want("port")?)?,
                    to: options.get(&full("to")).map(|text| port("to", text)).transpose()?,
                    ipv4: on("ipv4")?,
                    ipv6: on("ipv6")?,
                    numeric: on("numeric")? == Some(true),
                    keep_alive: on("keep-alive")? == Some(true),
                };
                (Address::Inet(inet), &["type", "host", "port", "to", "ipv4", "ipv6", "numeric", "keep-alive"])
            }
            "unix" => {
                let abstract_name = on("abstract")? == Some(true);
                let address =
                    Address::Unix { path: want("path")?.into(), abstract_name, tight: on("tight")? != Some(false) };
                (address, &["type", "path", "abstract", "tight"])
            }
            "fd" => (Address::Fd(want("str")?.to_owned()), &["type", "str"]),
            _ => return Err(options.error(&full("type"), "is inet, unix or fd")),
        };
        match given.find(|name| !known.contains(name)) {
            None => Ok(Some(address)),
            Some(name) => Err(options.error(&full(name), "tern does not know this option")),
        }
    }
}

#[cfg(unix)]
pub(crate) use os::{SocketFile, name_of, resolve};

#[cfg(unix)]
mod os {
    use super::{Address, Inet};
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use socket2::SockAddr;
    use std::ffi::OsStr;
    use std::io::{self, ErrorKind};
    use std::net::ToSocketAddrs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::{Path, PathBuf};

    /// Bytes of a name in the abstract name space that is not tight (`sizeof(sun_path)`).
    const SUN_PATH: usize = 108;

    /// What the system knows it by; a name may stand for several.
    pub(crate) fn resolve(address: &Address, server: bool) -> io::Result<Vec<SockAddr>> {
        match address {
            Address::Inet(inet) => Ok(hosts(inet, server)?.into_iter().map(SockAddr::from).collect()),
            Address::Unix { path, abstract_name: false, .. } => Ok(vec![SockAddr::unix(path)?]),
            Address::Unix { path, tight, .. } => {
                if !cfg!(target_os = "linux") {
                    return Err(io::Error::new(ErrorKind::Unsupported, "only Linux has abstract socket names"));
                }
                let mut name = vec![0];
                name.extend(path.as_os_str().as_bytes());
                if !tight {
                    name.resize(name.len().max(SUN_PATH), 0);
                }
                Ok(vec![SockAddr::unix(OsStr::from_bytes(&name))?])
            }
            Address::Fd(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn hosts(inet: &Inet, server: bool) -> io::Result<Vec<SocketAddr>> {
        let v4 = inet.ipv4.unwrap_or(inet.ipv6 != Some(true));
        let v6 = inet.ipv6.unwrap_or(inet.ipv4 != Some(true));
        let error = |text: String| io::Error::new(ErrorKind::InvalidInput, text);
        if !v4 && !v6 {
            return Err(error("neither ipv4 nor ipv6 is left".to_owned()));
        }
        let fits = |a: &SocketAddr| if a.is_ipv4() { v4 } else { v6 };
        let found: Vec<SocketAddr> = if inet.host.is_empty() {
            let ip: IpAddr = match (server, v4) {
                (true, true) => Ipv4Addr::UNSPECIFIED.into(),
                (true, false) => Ipv6Addr::UNSPECIFIED.into(),
                (false, true) => Ipv4Addr::LOCALHOST.into(),
                (false, false) => Ipv6Addr::LOCALHOST.into(),
            };
            vec![(ip, inet.port).into()]
        } else if inet.numeric {
            let ip: IpAddr = inet.host.parse().map_err(|_| error(format!("{} is no address", inet.host)))?;
            vec![(ip, inet.port).into()]
        } else {
            (inet.host.as_str(), inet.port).to_socket_addrs()?.collect()
        };
        let found: Vec<SocketAddr> = found.into_iter().filter(fits).collect();
        if found.is_empty() {
            return Err(error(format!("{}: no address of the wanted family", inet.host)));
        }
        Ok(found)
    }

    /// The address that a system's address means.
    pub(crate) fn name_of(addr: &SockAddr) -> Option<Address> {
        if let Some(inet) = addr.as_socket() {
            let family = Some(true);
            return Some(Address::Inet(Inet {
                host: inet.ip().to_string(),
                port: inet.port(),
                ipv4: family.filter(|_| inet.is_ipv4()),
                ipv6: family.filter(|_| inet.is_ipv6()),
                ..Inet::default()
            }));
        }
        if !addr.is_unix() {
            return None;
        }
        #[cfg(target_os = "linux")]
        if let Some(name) = addr.as_abstract_namespace() {
            let tight = name.len() + 1 < SUN_PATH;
            let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
            let path = PathBuf::from(OsStr::from_bytes(&name[..end]));
            return Some(Address::Unix { path, abstract_name: true, tight });
        }
        Some(Address::unix(addr.as_pathname().unwrap_or(Path::new(""))))
    }

    /// The file of a socket that we have made: it goes with the socket, unless somebody has put another one there.
    #[derive(Debug)]
    pub(crate) struct SocketFile {
        path: PathBuf,
        identity: (u64, u64),
    }

    impl SocketFile {
        /// Makes room for a socket with this address: what an earlier run has left is in the way; anything else is not ours.
        pub(crate) fn clear(addr: &SockAddr) -> io::Result<()> {
            match addr.as_pathname() {
                Some(path) if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) => {
                    std::fs::remove_file(path)
                }
                _ => Ok(()),
            }
        }

        /// The file of a socket that was bound to this address a moment ago, if it has one.
        pub(crate) fn of(addr: &SockAddr) -> Option<SocketFile> {
            let path = addr.as_pathname()?;
            let meta = std::fs::symlink_metadata(path).ok()?;
            Some(SocketFile { path: path.to_owned(), identity: (meta.dev(), meta.ino()) })
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if std::fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity) {
                // Somebody else may have removed it.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Inet};
    use crate::net::Options;

    fn parse(text: &str) -> Result<Option<Address>, String> {
        let options = Options::parse(text).map_err(|e| e.to_string())?;
        Address::from_options(&options, "addr").map_err(|e| e.to_string())
    }

    #[test]
    fn texts() {
        assert_eq!(parse("stream,server=on"), Ok(None));
        let inet =
            Inet { host: "::1".into(), port: 5, to: Some(9), ipv4: Some(false), ipv6: Some(true), ..Inet::default() };
        let text = "stream,addr.type=inet,addr.host=::1,addr.port=5,addr.to=9,addr.ipv4=off,addr.ipv6=on";
        assert_eq!(parse(text), Ok(Some(Address::Inet(inet))));
        assert_eq!(parse("stream,addr.type=unix,addr.path=/x"), Ok(Some(Address::unix("/x"))));
        assert_eq!(parse("stream,addr.type=fd,addr.str=7"), Ok(Some(Address::Fd("7".into()))));
        for (text, why) in [
            ("stream,addr.host=a", "addr.type: is missing"),
            ("stream,addr.type=inet,addr.host=a", "addr.port: is missing"),
            ("stream,addr.type=inet,addr.host=a,addr.port=99999", "bad port"),
            ("stream,addr.type=unix,addr.path=/x,addr.host=a", "addr.host"),
            ("stream,addr.type=vsock,addr.cid=1", "inet, unix or fd"),
            ("stream,addr.type=unix,addr.path=/x,addr.tight=perhaps", "addr.tight"),
        ] {
            assert!(parse(text).unwrap_err().contains(why), "{text}: {:?}", parse(text));
        }
        assert_eq!(Address::host_port("[::1]:2"), Ok(Address::inet("::1", 2)));
        assert_eq!(Address::host_port("a"), Err("wants HOST:PORT"));
    }

    #[cfg(unix)]
    #[test]
    fn families() {
        let of = |ipv4, ipv6, host: &str, server| {
            let inet = Inet { host: host.into(), port: 1, ipv4, ipv6, ..Inet::default() };
            let list = super::resolve(&Address::Inet(inet), server).map_err(|e| e.to_string())?;
            Ok::<_, String>(list[0].as_socket().unwrap().to_string())
        };
        assert_eq!(of(None, None, "", true), Ok("0.0.0.0:1".into()));
        assert_eq!(of(None, Some(true), "", true), Ok("[::]:1".into()));
        assert_eq!(of(Some(false), None, "", false), Ok("[::1]:1".into()));
        assert!(of(Some(false), Some(false), "", true).is_err());
        assert!(of(None, Some(true), "127.0.0.1", false).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn abstract_names() {
        for tight in [true, false] {
            let address = Address::Unix { path: "name".into(), abstract_name: true, tight };
            let addr = &super::resolve(&address, true).unwrap()[0];
            assert_eq!(super::name_of(addr), Some(address));
        }
    }
}
