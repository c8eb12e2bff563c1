//! Options of user-mode networking, with QEMU's names and defaults (`-netdev user`).

use crate::net::options::switch;
use crate::net::{NetError, Options};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The guest's IPv4 network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct V4 {
    /// The network's address.
    pub net: Ipv4Addr,
    /// Bits of the network.
    pub prefix: u8,
    /// The gateway, which stands for the host's loopback.
    pub host: Ipv4Addr,
    /// The name server.
    pub dns: Ipv4Addr,
    /// The first address that DHCP gives.
    pub dhcp_start: Ipv4Addr,
}

impl V4 {
    /// The network's mask.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0))
    }

    /// Is the address in the network?
    #[must_use]
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        addr.to_bits() & self.mask().to_bits() == self.net.to_bits()
    }

    /// The network's broadcast address.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.net.to_bits() | !self.mask().to_bits())
    }
}

/// The guest's IPv6 network, always of 64 bits since guests configure themselves (RFC 4862).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct V6 {
    /// The prefix that is announced.
    pub net: Ipv6Addr,
    /// The gateway, which stands for the host's loopback.
    pub host: Ipv6Addr,
    /// The name server.
    pub dns: Ipv6Addr,
}

impl V6 {
    /// Is the address in the network?
    #[must_use]
    pub fn contains(&self, addr: Ipv6Addr) -> bool {
        addr.segments()[..4] == self.net.segments()[..4]
    }
}

/// A transport that can be forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A rule of `hostfwd`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// What is forwarded.
    pub transport: Transport,
    /// Where the host listens.
    pub host: SocketAddr,
    /// Where it goes; without an address to the first one that DHCP gives.
    pub guest: (Option<Ipv4Addr>, u16),
}

/// An address of the host in a rule: nothing is every one.
fn host_addr(text: &str) -> Option<IpAddr> {
    match text.trim_start_matches('[').trim_end_matches(']') {
        "" => Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        addr => addr.parse().ok(),
    }
}

impl Forward {
    /// Reads what of a rule names it, `[tcp|udp]:[hostaddr]:hostport`.
    ///
    /// # Errors
    /// What QEMU's monitor says.
    pub fn parse_name(text: &str) -> Result<(Transport, SocketAddr), NetError> {
        let parse = || {
            let (transport, host) = text.split_once(':')?;
            let transport = match transport {
                "tcp" | "" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return None,
            };
            let (addr, port) = host.rsplit_once(':')?;
            Some((transport, SocketAddr::new(host_addr(addr)?, port.parse().ok()?)))
        };
        parse().ok_or_else(|| NetError::new("invalid format"))
    }

    /// Reads `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn parse(text: &str) -> Result<Forward, NetError> {
        let error = |what: &str| NetError::new(format!("hostfwd '{text}': {what}"));
        let (transport, rest) = text.split_once(':').ok_or_else(|| error("wants tcp: or udp: first"))?;
        let transport = match transport {
            "tcp" | "" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(error("the protocol is tcp or udp")),
        };
        let (host, guest) = rest.split_once('-').ok_or_else(|| error("wants HOST:PORT-GUEST:PORT"))?;
        let (address, host_port) = host.rsplit_once(':').ok_or_else(|| error("no port of the host"))?;
        let (guest_addr, guest_port) = guest.rsplit_once(':').ok_or_else(|| error("no port of the guest"))?;
        let host_addr = host_addr(address).ok_or_else(|| error("bad address of the host"))?;
        let guest_addr = match guest_addr {
            "" => None,
            addr => Some(addr.parse().map_err(|_| error("bad address of the guest"))?),
        };
        // Port 0 of the host asks the system for a free one; the guest has none to ask.
        let host_port = host_port.parse().map_err(|_| error("bad port of the host"))?;
        let guest_port = guest_port.parse().ok().filter(|p| *p != 0).ok_or_else(|| error("bad port of the guest"))?;
        Ok(Forward { transport, host: SocketAddr::new(host_addr, host_port), guest: (guest_addr, guest_port) })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.transport == Transport::Tcp { "tcp" } else { "udp" };
        write!(f, "{transport}:{}-", self.host)?;
        if let Some(addr) = self.guest.0 {
            write!(f, "{addr}")?;
        }
        write!(f, ":{}", self.guest.1)
    }
}

/// Where the guest's questions for names go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolver {
    /// To the first `nameserver` of a file like `/etc/resolv.conf`.
    File(PathBuf),
    /// To this server.
    Fixed(SocketAddr),
}

/// Options of user-mode networking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserOptions {
    /// The IPv4 network, if any.
    pub v4: Option<V4>,
    /// The IPv6 network, if any.
    pub v6: Option<V6>,
    /// Keep the guest from everything but what [`UserOptions::forwards`] let in.
    pub restrict: bool,
    /// The name that DHCP tells the guest.
    pub hostname: Option<String>,
    /// The domain that DHCP tells the guest.
    pub domainname: Option<String>,
    /// The search list that DHCP tells the guest.
    pub dnssearch: Vec<String>,
    /// Ports of the host that lead into the guest.
    pub forwards: Vec<Forward>,
    /// Who answers questions for names.
    pub resolver: Resolver,
}

impl Default for UserOptions {
    fn default() -> UserOptions {
        let v4 = |last| Ipv4Addr::new(10, 0, 2, last);
        let v6 = |last| Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, last);
        UserOptions {
            v4: Some(V4 { net: v4(0), prefix: 24, host: v4(2), dns: v4(3), dhcp_start: v4(15) }),
            v6: Some(V6 { net: v6(0), host: v6(2), dns: v6(3) }),
            restrict: false,
            hostname: None,
            domainname: None,
            dnssearch: Vec::new(),
            forwards: Vec::new(),
            resolver: Resolver::File("/etc/resolv.conf".into()),
        }
    }
}

/// Options of QEMU's that tern does not have.
const NOT_BUILT: [&str; 6] = ["tftp", "tftp-server-name", "bootfile", "smb", "smbserver", "guestfwd"];

impl UserOptions {
    /// Reads the options of a `-netdev user` text.
    ///
    /// # Errors
    /// The first option that is unknown, wrong, or not built.
    pub fn from_options(options: &Options) -> Result<UserOptions, NetError> {
        let mut user = UserOptions::default();
        for (name, value) in options.iter() {
            match name {
                "restrict" => user.restrict = switch(options, name, value)?,
                "hostname" => user.hostname = Some(value.to_owned()),
                "domainname" => user.domainname = Some(value.to_owned()),
                "dnssearch" => user.dnssearch.push(value.to_owned()),
                "hostfwd" => user.forwards.push(Forward::parse(value)?),
                // These need the networks, below.
                "ipv4" | "net" | "host" | "dns" | "dhcpstart" => {}
                "ipv6" | "ipv6-net" | "ipv6-host" | "ipv6-dns" => {}
                _ if NOT_BUILT.contains(&name) => return Err(options.error(name, "tern has not built this yet")),
                _ => return Err(options.error(name, "tern does not know this option")),
            }
        }
        user.v4 = v4(options)?;
        user.v6 = v6(options)?;
        if user.v4.is_none() && user.v6.is_none() {
            return Err(options.error("ipv4", "neither ipv4 nor ipv6 is left"));
        }
        Ok(user)
    }
}

/// Is a family on?  Naming the other one alone turns it off, as in QEMU.
fn family(options: &Options, name: &str, other: &str) -> Result<bool, NetError> {
    let on = |name: &str| options.get(name).map(|v| switch(options, name, v)).transpose();
    Ok(on(name)?.unwrap_or(on(other)? != Some(true)))
}

/// An address option inside of a network.
fn inside<A: core::str::FromStr>(
    options: &Options,
    name: &str,
    default: A,
    contains: impl Fn(&A) -> bool,
) -> Result<A, NetError> {
    let addr = match options.get(name) {
        None => default,
        Some(text) => text.parse().map_err(|_| options.error(name, "bad address"))?,
    };
    if contains(&addr) { Ok(addr) } else { Err(options.error(name, "not an address of the network")) }
}

fn v4(options: &Options) -> Result<Option<V4>, NetError> {
    if !family(options, "ipv4", "ipv6")? {
        return Ok(None);
    }
    let text = options.get("net").unwrap_or("10.0.2.0/24");
    let (addr, mask) = text.split_once('/').unwrap_or((text, ""));
    let addr: Ipv4Addr = addr.parse().map_err(|_| options.error("net", "bad address"))?;
    let prefix = match mask {
        // The classes of addresses that have no mask (RFC 791).
        "" => match addr.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        },
        text => match text.parse::<u8>() {
            Ok(bits) => bits,
            Err(_) => {
                let mask: Ipv4Addr = text.parse().map_err(|_| options.error("net", "bad mask"))?;
                let bits = mask.to_bits();
                if bits.leading_ones() + bits.trailing_zeros() != 32 {
                    return Err(options.error("net", "bad mask"));
                }
                bits.leading_ones() as u8
            }
        },
    };
    // Room for the gateway, the name server and guests.
    if !(4..=27).contains(&prefix) {
        return Err(options.error("net", "the mask must have 4 to 27 bits"));
    }
    let mut v4 = V4 { net: addr, prefix, host: addr, dns: addr, dhcp_start: addr };
    v4.net = Ipv4Addr::from_bits(addr.to_bits() & v4.mask().to_bits());
    let nth = |n: u32| Ipv4Addr::from_bits(v4.net.to_bits() | n);
    let host = |a: &Ipv4Addr| v4.contains(*a) && *a != v4.net && *a != v4.broadcast();
    let (gateway, dns) = (inside(options, "host", nth(2), host)?, inside(options, "dns", nth(3), host)?);
    if gateway == dns {
        return Err(options.error("dns", "this is the host's address"));
    }
    let taken = |a: &Ipv4Addr| host(a) && *a != gateway && *a != dns;
    let dhcp_start = inside(options, "dhcpstart", nth(15), taken)?;
    Ok(Some(V4 { host: gateway, dns, dhcp_start, ..v4 }))
}

fn v6(options: &Options) -> Result<Option<V6>, NetError> {
    if !family(options, "ipv6", "ipv4")? {
        return Ok(None);
    }
    let text = options.get("ipv6-net").unwrap_or("fec0::/64");
    let (addr, bits) = text.split_once('/').unwrap_or((text, "64"));
    let addr: Ipv6Addr = addr.parse().map_err(|_| options.error("ipv6-net", "bad address"))?;
    if bits != "64" {
        return Err(options.error("ipv6-net", "the prefix must have 64 bits"));
    }
    let nth = |n: u128| Ipv6Addr::from_bits(addr.to_bits() >> 64 << 64 | n);
    let v6 = V6 { net: nth(0), host: nth(2), dns: nth(3) };
    let contains = |a: &Ipv6Addr| v6.contains(*a) && *a != v6.net;
    let (host, dns) =
        (inside(options, "ipv6-host", v6.host, contains)?, inside(options, "ipv6-dns", v6.dns, contains)?);
    if host == dns {
        return Err(options.error("ipv6-dns", "this is the host's address"));
    }
    Ok(Some(V6 { host, dns, ..v6 }))
}

#[cfg(test)]
mod tests {
    use super::{Forward, Transport, UserOptions};
    use crate::net::Options;

    fn parse(text: &str) -> Result<UserOptions, String> {
        let options = Options::parse(text).map_err(|e| e.to_string())?;
        UserOptions::from_options(&options).map_err(|e| e.to_string())
    }

    #[test]
    fn networks() {
        assert_eq!(parse("user,id=x").unwrap(), UserOptions::default());
        let v4 = parse("user,net=192.168.76.5/255.255.255.0,dhcpstart=192.168.76.9").unwrap().v4.unwrap();
        assert_eq!(v4.net.to_string(), "192.168.76.0");
        assert_eq!((v4.host.to_string(), v4.dns.to_string()), ("192.168.76.2".into(), "192.168.76.3".into()));
        assert_eq!((v4.dhcp_start.octets()[3], v4.broadcast().octets()[3]), (9, 255));
        assert_eq!(parse("user,net=172.16.0.0").unwrap().v4.unwrap().prefix, 16);
        assert!(parse("user,ipv6=on").unwrap().v4.is_none());
        assert!(parse("user,ipv6=off").unwrap().v6.is_none());
        assert!(parse("user,ipv4=on,ipv6=on").unwrap().v6.is_some());
        let v6 = parse("user,ipv6-net=fd00:1::/64").unwrap().v6.unwrap();
        assert_eq!(v6.host.to_string(), "fd00:1::2");
        for (bad, name) in [
            ("user,net=10.0.2.0/31", "net"),
            ("user,net=10.0.2.0/255.0.255.0", "mask"),
            ("user,net=ten", "net"),
            ("user,host=10.0.3.2", "host"),
            ("user,dns=10.0.2.2", "dns"),
            ("user,dhcpstart=10.0.2.255", "dhcpstart"),
            ("user,ipv4=off,ipv6=off", "ipv4"),
            ("user,ipv6-net=fec0::/48", "64 bits"),
            ("user,restrict=maybe", "restrict"),
            ("user,tftp=/x", "not built"),
            ("user,colour=red", "colour"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(name), "{bad}: {error}");
        }
    }

    #[test]
    fn forwards() {
        let f = Forward::parse("tcp::2222-:22").unwrap();
        assert_eq!((f.transport, f.to_string()), (Transport::Tcp, "tcp:0.0.0.0:2222-:22".into()));
        let f = Forward::parse("udp:127.0.0.1:5353-10.0.2.20:53").unwrap();
        assert_eq!((f.transport, f.to_string()), (Transport::Udp, "udp:127.0.0.1:5353-10.0.2.20:53".into()));
        assert_eq!(Forward::parse(":[::1]:1-:2").unwrap().to_string(), "tcp:[::1]:1-:2");
        for bad in
            ["", "tcp", "sctp::1-:2", "tcp::1", "tcp:1-2", "tcp::x-:1", "tcp::1-:0", "tcp:nine:1-:2", "tcp::1-a:2"]
        {
            assert!(Forward::parse(bad).is_err(), "{bad}");
        }
    }
}
