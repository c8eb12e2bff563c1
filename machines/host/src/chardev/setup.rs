//! The texts that describe character devices: `-serial` and `-chardev`, which both become a kind and pairs.

use super::{Address, ChardevError, Inet, SocketSpec, Spec};
use std::path::PathBuf;

/// Where a copy of the output goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A file.
    pub path: PathBuf,
    /// What it has stays.
    pub append: bool,
}

/// A character device as users describe it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// What it is.
    pub spec: Spec,
    /// Where a copy of its output goes.
    pub log: Option<Log>,
    /// Several devices share it (`mux=on`), each with its own [`super::Handle::sink`]; who gets the input is up to the
    /// caller.
    pub mux: bool,
}

/// Kinds that QEMU has and tern has not.
const NOT_BUILT: [&str; 14] = [
    "vc",
    "parallel",
    "parport",
    "testdev",
    "hub",
    "mux",
    "msmouse",
    "wctablet",
    "braille",
    "spicevmc",
    "spiceport",
    "qemu-vdagent",
    "dbus",
    "console",
];

/// Most bytes of a ring.
const RING: u64 = 1 << 30;

/// A kind with its options.
struct Pairs<'a> {
    text: &'a str,
    list: Vec<(&'a str, String)>,
}

impl<'a> Pairs<'a> {
    fn wrong(&self, why: &str) -> ChardevError {
        ChardevError::Spec(format!("character device {:?}: {why}", self.text))
    }

    /// Takes an option out; the last one counts.
    fn take(&mut self, name: &str) -> Option<String> {
        let found = self.list.iter().rposition(|(n, _)| *n == name)?;
        let value = self.list.remove(found).1;
        self.list.retain(|(n, _)| *n != name);
        Some(value)
    }

    fn switch(&mut self, name: &str) -> Result<Option<bool>, ChardevError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                "on" | "yes" | "true" | "y" => Ok(Some(true)),
                "off" | "no" | "false" | "n" => Ok(Some(false)),
                _ => Err(self.wrong(&format!("{:?} is neither on nor off", format!("{name}={value}")))),
            },
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, ChardevError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| self.wrong(&format!("{name}={value} is no number")))
    }

    fn port(&mut self, name: &str) -> Result<Option<u16>, ChardevError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| self.wrong(&format!("{value:?} is no port")))
    }

    fn want(&mut self, name: &str) -> Result<String, ChardevError> {
        let value = self.take(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| self.wrong(&format!("{name} is missing")))
    }

    /// Reads `[HOST]:PORT` into two options.
    fn add_host_port(
        &mut self,
        text: &str,
        host_name: &'static str,
        port_name: &'static str,
    ) -> Result<(), ChardevError> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| self.wrong("HOST:PORT is missing"))?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        self.list.push((host_name, host.to_owned()));
        self.list.push((port_name, port.to_owned()));
        Ok(())
    }
}

impl Setup {
    /// Reads the text of `-serial`, see [`super`]'s table.
    ///
    /// # Errors
    /// A text that is none of the table's.
    pub fn parse(text: &str) -> Result<Setup, ChardevError> {
        let parts = split(text);
        let (head, options) = parts.split_first().map_or(("", &[][..]), |(h, o)| (h.as_str(), o));
        let mut pairs = Pairs { text, list: Vec::new() };
        let (kind, rest) = head.split_once(':').unwrap_or((head, ""));
        let mut escapes = false;
        let kind = match kind {
            "null" | "none" if rest.is_empty() => "null",
            "stdio" if rest.is_empty() => "stdio",
            "mon" if rest == "stdio" => {
                escapes = true;
                "stdio"
            }
            "pty" => {
                if !rest.is_empty() {
                    pairs.list.push(("path", rest.to_owned()));
                }
                "pty"
            }
            "file" | "pipe" if !rest.is_empty() => {
                pairs.list.push(("path", rest.to_owned()));
                kind
            }
            "unix" if !rest.is_empty() => {
                pairs.list.push(("path", rest.to_owned()));
                "socket"
            }
            "tcp" | "telnet" | "tn3270" | "websocket" => {
                pairs.add_host_port(rest, "host", "port")?;
                if kind != "tcp" {
                    pairs.list.push((if kind == "telnet" { "telnet" } else { "websocket" }, "on".to_owned()));
                }
                "socket"
            }
            "udp" => {
                let (remote, local) = rest.split_once('@').map_or((rest, None), |(r, l)| (r, Some(l)));
                pairs.add_host_port(remote, "host", "port")?;
                if let Some(local) = local {
                    pairs.add_host_port(local, "localaddr", "localport")?;
                }
                "udp"
            }
            _ if head.starts_with("/dev/parport") => "parallel",
            _ if head.starts_with("/dev/") => {
                pairs.list.push(("path", head.to_owned()));
                "serial"
            }
            "ringbuf" | "memory" if rest.is_empty() => kind,
            _ if NOT_BUILT.contains(&kind) => kind,
            _ => {
                return Err(pairs.wrong(
                    "none of null, stdio, mon:stdio, file:PATH, pipe:PATH, pty, tcp:HOST:PORT, telnet:HOST:PORT, \
                     unix:PATH, udp:HOST:PORT, /dev/PORT, ringbuf",
                ));
            }
        };
        pairs.list.extend(options.iter().map(|option| pair(option)));
        let mut setup = build(kind, pairs)?;
        if let Spec::Stdio { escapes: with, signals } = &mut setup.spec {
            (*with, *signals) = (escapes || *with, *signals && !escapes);
        }
        Ok(setup)
    }

    /// Reads the text of `-chardev`: a kind and `name=value` pairs (`socket,id=c0,path=/x,server=on,wait=off`).  The
    /// identifier is the caller's and is ignored here.
    ///
    /// # Errors
    /// An unknown kind or option, or one that is not built.
    pub fn parse_chardev(text: &str) -> Result<Setup, ChardevError> {
        let parts = split(text);
        let (kind, options) = parts.split_first().map_or(("", &[][..]), |(k, o)| (k.as_str(), o));
        let list: Vec<_> = options.iter().map(|option| pair(option)).collect();
        let mut pairs = Pairs { text, list };
        pairs.take("id");
        let kind = pairs.take("backend").unwrap_or_else(|| kind.to_owned());
        build(&kind, pairs)
    }
}

/// The parts between single commas.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match parts.last_mut() {
            Some(last) if c != ',' || chars.next_if_eq(&',').is_some() => last.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// An option; a name alone is on, and `nowait` is the old spelling of `wait=off`.
fn pair(option: &str) -> (&str, String) {
    match option.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match option {
            "nowait" => ("wait", "off".to_owned()),
            _ => (option, "on".to_owned()),
        },
    }
}

fn build(kind: &str, mut pairs: Pairs<'_>) -> Result<Setup, ChardevError> {
    let append = pairs.switch("logappend")? == Some(true);
    let log = pairs.take("logfile").map(|path| Log { path: path.into(), append });
    let mux = pairs.switch("mux")? == Some(true);
    let spec = match kind {
        "null" => Spec::Null,
        "stdio" => Spec::Stdio { escapes: mux, signals: pairs.switch("signal")? != Some(false) },
        "file" => Spec::File {
            path: pairs.want("path")?.into(),
            append: pairs.switch("append")? == Some(true),
            input: pairs.take("input-path").map(PathBuf::from),
        },
        "pipe" => Spec::Pipe(pairs.want("path")?.into()),
        "serial" | "tty" => Spec::Serial(pairs.want("path")?.into()),
        "pty" => Spec::Pty { path: pairs.take("path").map(PathBuf::from) },
        "socket" => Spec::Socket(socket(&mut pairs)?),
        "udp" => udp(&mut pairs)?,
        "ringbuf" | "memory" => ring(&mut pairs, kind == "memory")?,
        _ if NOT_BUILT.contains(&kind) => return Err(pairs.wrong(&format!("tern has not built {kind}"))),
        _ => return Err(pairs.wrong(&format!("'{kind}' is not a valid char driver name"))),
    };
    match pairs.list.first() {
        Some((name, _)) => Err(pairs.wrong(&format!("unknown option {name:?}"))),
        None => Ok(Setup { spec, log, mux }),
    }
}

fn socket(pairs: &mut Pairs<'_>) -> Result<SocketSpec, ChardevError> {
    for name in ["websocket", "tn3270"] {
        if pairs.switch(name)? == Some(true) {
            return Err(pairs.wrong(&format!("tern has not built {name}")));
        }
    }
    for name in ["tls-creds", "tls-authz"] {
        if pairs.take(name).is_some() {
            return Err(pairs.wrong(&format!("tern has not built {name}")));
        }
    }
    // Keys never wait for each other here.
    let delays = (pairs.switch("delay")?, pairs.switch("nodelay")?);
    if matches!(delays, (Some(_), Some(_))) {
        return Err(pairs.wrong("'delay' and 'nodelay' are mutually exclusive"));
    }
    let server = pairs.switch("server")? == Some(true);
    let wait = pairs.switch("wait")?;
    if wait.is_some() && !server {
        return Err(pairs.wrong("'wait' option is incompatible with socket in client connect mode"));
    }
    let reconnect_ms = match (pairs.number("reconnect")?, pairs.number("reconnect-ms")?) {
        (Some(_), Some(_)) => return Err(pairs.wrong("'reconnect' and 'reconnect-ms' are mutually exclusive")),
        (seconds, ms) => seconds.map(|s| s.saturating_mul(1000)).or(ms),
    };
    if server && reconnect_ms.is_some() {
        return Err(pairs.wrong("'reconnect' option is incompatible with socket in server listen mode"));
    }
    let (path, host, fd) = (pairs.take("path"), pairs.take("host"), pairs.take("fd"));
    let address = match (path, host, fd) {
        (Some(path), None, None) => Address::Unix {
            path: path.into(),
            abstract_name: pairs.switch("abstract")? == Some(true),
            tight: pairs.switch("tight")? != Some(false),
        },
        (None, Some(host), None) => Address::Inet(Inet {
            host,
            port: pairs.port("port")?.ok_or_else(|| pairs.wrong("no port given"))?,
            to: pairs.port("to")?,
            ipv4: pairs.switch("ipv4")?,
            ipv6: pairs.switch("ipv6")?,
            ..Inet::default()
        }),
        (None, None, Some(fd)) if reconnect_ms.is_none() => Address::Fd(fd),
        (None, None, Some(_)) => {
            return Err(pairs.wrong("'reconnect' option is incompatible with 'fd' address type"));
        }
        _ => return Err(pairs.wrong("wants one of path, host, fd")),
    };
    let telnet = pairs.switch("telnet")? == Some(true);
    let reconnect_ms = reconnect_ms.unwrap_or(0);
    Ok(SocketSpec { address, server, wait: wait.unwrap_or(server), telnet, reconnect_ms })
}

fn udp(pairs: &mut Pairs<'_>) -> Result<Spec, ChardevError> {
    let (host, port) = (pairs.take("host").unwrap_or_default(), pairs.port("port")?);
    let port = port.ok_or_else(|| pairs.wrong("udp: remote port not specified"))?;
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    let (ipv4, ipv6) = (pairs.switch("ipv4")?, pairs.switch("ipv6")?);
    let remote = Address::Inet(Inet { host, port, ipv4, ipv6, ..Inet::default() });
    let local = match (pairs.take("localaddr"), pairs.port("localport")?) {
        (None, None) => None,
        (host, port) => {
            let (host, port) = (host.unwrap_or_default(), port.unwrap_or(0));
            Some(Address::Inet(Inet { host, port, ipv4, ipv6, ..Inet::default() }))
        }
    };
    Ok(Spec::Udp { local, remote })
}

fn ring(pairs: &mut Pairs<'_>, memory: bool) -> Result<Spec, ChardevError> {
    let size = match pairs.take("size") {
        None => 65_536,
        Some(text) => {
            let (digits, shift) = match text.as_bytes().last() {
                Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
                Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
                Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
                _ => (text.as_str(), 0),
            };
            let number: Option<u64> = digits.parse().ok().and_then(|n: u64| n.checked_mul(1 << shift));
            number.ok_or_else(|| pairs.wrong(&format!("size={text} is no size")))?
        }
    };
    if !size.is_power_of_two() {
        return Err(pairs.wrong("size of ringbuf chardev must be power of two"));
    }
    if size > RING {
        return Err(pairs.wrong("size of ringbuf chardev must be at most 1 GiB"));
    }
    Ok(Spec::Ring { size: size as usize, memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spec, String> {
        Spec::parse(text).map_err(|e| e.to_string())
    }

    fn chardev(text: &str) -> Result<Setup, String> {
        Setup::parse_chardev(text).map_err(|e| e.to_string())
    }

    fn tcp(host: &str, port: u16, server: bool, wait: bool) -> SocketSpec {
        SocketSpec { address: Address::inet(host, port), server, wait, telnet: false, reconnect_ms: 0 }
    }

    #[test]
    fn serial_texts() {
        assert_eq!(parse("null"), Ok(Spec::Null));
        assert_eq!(parse("stdio"), Ok(Spec::Stdio { escapes: false, signals: true }));
        assert_eq!(parse("mon:stdio"), Ok(Spec::Stdio { escapes: true, signals: false }));
        let file = |append| Spec::File { path: "a:b".into(), append, input: None };
        assert_eq!(parse("file:a:b,append=on"), Ok(file(true)));
        assert_eq!(parse("tcp:localhost:4444"), Ok(Spec::Socket(tcp("localhost", 4444, false, false))));
        assert_eq!(parse("tcp:[::1]:1,server=on"), Ok(Spec::Socket(tcp("::1", 1, true, true))));
        assert_eq!(parse("tcp::4444,server,nowait,nodelay"), Ok(Spec::Socket(tcp("", 4444, true, false))));
        let unix = SocketSpec { address: Address::unix("/x"), ..tcp("", 0, true, false) };
        assert_eq!(parse("unix:/x,server=on,wait=off"), Ok(Spec::Socket(unix)));
        let telnet = SocketSpec { telnet: true, ..tcp("", 23, true, false) };
        assert_eq!(parse("telnet::23,server=on,wait=off"), Ok(Spec::Socket(telnet)));
        let (local, remote) = (Some(Address::inet("", 5)), Address::inet("localhost", 4));
        assert_eq!(parse("udp::4@:5"), Ok(Spec::Udp { local, remote }));
        assert_eq!(parse("pipe:/p"), Ok(Spec::Pipe("/p".into())));
        assert_eq!(parse("pty:/link"), Ok(Spec::Pty { path: Some("/link".into()) }));
        assert_eq!(parse("/dev/ttyS0"), Ok(Spec::Serial("/dev/ttyS0".into())));
        for (text, why) in [
            ("", "none of null"),
            ("vcr", "none of null"),
            ("file:", "none of null"),
            ("vc:80Cx24C", "not built vc"),
            ("/dev/parport0", "not built parallel"),
            ("websocket::1,server=on", "not built websocket"),
            ("tcp:4444", "HOST:PORT is missing"),
            ("tcp:a:99999", "is no port"),
            ("udp:@:1", "HOST:PORT is missing"),
            ("null,odd=on", "unknown option \"odd\""),
            ("unix:/x,server=maybe", "neither on nor off"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn chardev_texts() {
        let setup = |spec| Setup { spec, log: None, mux: false };
        let unix = SocketSpec {
            address: Address::Unix { path: "a,b".into(), abstract_name: true, tight: false },
            ..tcp("", 0, true, false)
        };
        let text = "socket,id=c0,path=a,,b,abstract=on,tight=off,server=on,wait=off";
        assert_eq!(chardev(text), Ok(setup(Spec::Socket(unix))));
        let client = SocketSpec { reconnect_ms: 2000, ..tcp("h", 1, false, false) };
        assert_eq!(chardev("socket,id=c0,host=h,port=1,reconnect=2"), Ok(setup(Spec::Socket(client))));
        let fd = SocketSpec { address: Address::Fd("7".into()), ..tcp("", 0, false, false) };
        assert_eq!(chardev("socket,id=c0,fd=7"), Ok(setup(Spec::Socket(fd))));
        let log = Some(Log { path: "l".into(), append: true });
        let stdio = Spec::Stdio { escapes: true, signals: false };
        let text = "stdio,id=c0,mux=on,signal=off,logfile=l,logappend=on";
        assert_eq!(chardev(text), Ok(Setup { spec: stdio, log, mux: true }));
        assert_eq!(chardev("ringbuf,id=r,size=4K"), Ok(setup(Spec::Ring { size: 4096, memory: false })));
        assert_eq!(chardev("memory,id=r"), Ok(setup(Spec::Ring { size: 65_536, memory: true })));
        let file = Spec::File { path: "o".into(), append: false, input: Some("i".into()) };
        assert_eq!(chardev("file,id=f,path=o,input-path=i"), Ok(setup(file)));
        assert_eq!(chardev("tty,id=f,path=/dev/ttyS1"), Ok(setup(Spec::Serial("/dev/ttyS1".into()))));
        for (text, why) in [
            ("socket,id=c0", "one of path, host, fd"),
            ("socket,id=c0,path=a,fd=3", "one of path, host, fd"),
            ("socket,id=c0,host=h", "no port"),
            ("socket,id=c0,host=h,port=1,wait=on", "client connect mode"),
            ("socket,id=c0,path=a,server=on,reconnect-ms=1", "server listen mode"),
            ("socket,id=c0,path=a,reconnect-ms=1,reconnect=1", "mutually exclusive"),
            ("socket,id=c0,fd=3,reconnect-ms=1", "'fd' address type"),
            ("socket,id=c0,path=a,delay=on,nodelay=on", "mutually exclusive"),
            ("socket,id=c0,path=a,tls-creds=x", "not built tls-creds"),
            ("socket,id=c0,path=a,tn3270=on", "not built tn3270"),
            ("ringbuf,id=r,size=1000", "power of two"),
            ("ringbuf,id=r,size=0", "power of two"),
            ("ringbuf,id=r,size=99999999999G", "no size"),
            ("ringbuf,id=r,size=2G", "1 GiB"),
            ("pipe,id=p", "path is missing"),
            ("udp,id=u,host=h", "remote port"),
            ("testdev,id=t", "not built testdev"),
            ("tape,id=t", "'tape' is not a valid char driver name"),
            ("null,id=n,path=/x", "unknown option \"path\""),
        ] {
            let error = chardev(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
