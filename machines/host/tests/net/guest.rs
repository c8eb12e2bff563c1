//! A guest made of smoltcp, on the cable of a link.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Cidr};
use std::time::Duration;
use tern_host::clock::monotonic_ns;
use tern_host::net::Link;
use tern_host::net::user::{Resolver, UserNet, UserOptions};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The guest's hardware address: the first that QEMU gives.
pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// The guest's address where a test does not ask DHCP.
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The gateway.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The guest.
pub(crate) struct Guest<L: Link> {
    pub(crate) plug: Plug<L>,
    pub(crate) iface: Interface,
    pub(crate) sockets: SocketSet<'static>,
}

/// The guest's network device.
pub(crate) struct Plug<L: Link>(pub(crate) L);

impl<L: Link> Guest<L> {
    /// A guest without addresses.
    pub(crate) fn bare(link: L) -> Guest<L> {
        let mut plug = Plug(link);
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(MAC)));
        config.random_seed = monotonic_ns();
        let iface = Interface::new(config, &mut plug, now());
        Guest { plug, iface, sockets: SocketSet::new(Vec::new()) }
    }

    /// A guest with a fixed address, and a default route.
    pub(crate) fn new(link: L) -> Guest<L> {
        let mut guest = Guest::bare(link);
        guest.iface.update_ip_addrs(|list| list.push(IpCidr::Ipv4(Ipv4Cidr::new(GUEST, 24))).unwrap());
        guest.iface.routes_mut().add_default_ipv4_route(GATEWAY).unwrap();
        guest
    }

    /// Lets both sides work once; true if the guest saw something.
    pub(crate) fn step(&mut self) -> bool {
        self.plug.0.poll(monotonic_ns());
        self.iface.poll(now(), &mut self.plug, &mut self.sockets) == PollResult::SocketStateChanged
    }

    /// Works until there is something.
    pub(crate) fn until<T>(&mut self, mut done: impl FnMut(&mut Guest<L>) -> Option<T>) -> T {
        let start = monotonic_ns();
        loop {
            let moved = self.step();
            if let Some(result) = done(self) {
                return result;
            }
            assert!(monotonic_ns() - start < PATIENCE.as_nanos() as u64, "nothing happened");
            if !moved {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
    }

    /// Works for a while.
    pub(crate) fn for_ms(&mut self, ms: u64) {
        let end = monotonic_ns() + ms * 1_000_000;
        self.until(|_| (monotonic_ns() > end).then_some(()));
    }

    /// Begins a connection from a port of the guest's.
    pub(crate) fn connect(&mut self, to: impl Into<SocketAddr>, port: u16) -> SocketHandle {
        let to = to.into();
        let handle = self.tcp();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.connect(self.iface.context(), (IpAddress::from(to.ip()), to.port()), port).unwrap();
        handle
    }

    /// A TCP socket.
    pub(crate) fn tcp(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 512 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    /// A UDP socket at a port of the guest's.
    pub(crate) fn udp(&mut self, port: u16) -> SocketHandle {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 1 << 17]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    /// The socket.
    pub(crate) fn at(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Sends a datagram.
    pub(crate) fn send_to(&mut self, handle: SocketHandle, to: impl Into<SocketAddr>, data: &[u8]) {
        let to = to.into();
        let to = (IpAddress::from(to.ip()), to.port());
        self.sockets.get_mut::<udp::Socket<'_>>(handle).send_slice(data, to).unwrap();
    }

    /// Waits for a datagram.
    pub(crate) fn recv_from(&mut self, handle: SocketHandle) -> (Vec<u8>, SocketAddr) {
        self.until(|g| {
            let socket = g.sockets.get_mut::<udp::Socket<'_>>(handle);
            let (data, meta) = socket.recv().ok()?;
            Some((data.to_vec(), SocketAddr::new(IpAddr::from(meta.endpoint.addr), meta.endpoint.port)))
        })
    }

    /// Sends all, as there is room.
    pub(crate) fn write_all(&mut self, handle: SocketHandle, data: &[u8]) {
        let mut done = 0;
        self.until(|g| {
            let socket = g.at(handle);
            if socket.can_send() {
                done += socket.send_slice(&data[done..]).unwrap();
            }
            assert!(socket.is_open(), "the connection is gone");
            (done == data.len()).then_some(())
        });
    }

    /// Reads until the peer is done, handing over each part.
    pub(crate) fn read_all(&mut self, handle: SocketHandle, mut part: impl FnMut(&[u8])) {
        self.until(|g| {
            let socket = g.at(handle);
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), part(bytes))).unwrap();
            }
            match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived | tcp::State::Established => None,
                tcp::State::FinWait1 | tcp::State::FinWait2 => None,
                tcp::State::Closed => panic!("reset"),
                _ => Some(()),
            }
        });
    }
}

impl Guest<UserNet> {
    /// A guest on a NAT with these options.
    pub(crate) fn user(change: impl FnOnce(&mut UserOptions)) -> Guest<UserNet> {
        let resolver = Resolver::Fixed(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let mut options = UserOptions { resolver, ..UserOptions::default() };
        change(&mut options);
        Guest::new(UserNet::new(options).unwrap())
    }
}

/// The guest's clock.
pub(crate) fn now() -> Instant {
    Instant::from_micros((monotonic_ns() / 1000) as i64)
}

impl<L: Link> Device for Plug<L> {
    type RxToken<'a>
        = Rx
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a, L>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_, L>)> {
        let frame = self.0.next_frame()?;
        Some((Rx(frame), Tx(&mut self.0)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_, L>> {
        Some(Tx(&mut self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        caps
    }
}

/// A frame for the guest.
pub(crate) struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Leave to send a frame.
pub(crate) struct Tx<'a, L: Link>(&'a mut L);

impl<L: Link> TxToken for Tx<'_, L> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(&frame);
        result
    }
}
