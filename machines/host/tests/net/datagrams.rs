//! What is not TCP: ARP, DHCP, names, UDP, echo requests, IPv6, and nonsense.

use crate::guest::{DNS, GATEWAY, GUEST, Guest, MAC};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::{dhcpv4, icmp};
use smoltcp::wire::{DhcpOption, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr, Ipv4Packet, UdpPacket};
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;
use tern_host::clock::monotonic_ns;
use tern_host::net::user::{Forward, Resolver, UserNet, UserOptions};
use tern_host::net::{Link, Port};

/// A server of datagrams on loopback that answers `answers` of them, each with its bytes reversed.
fn echo(at: IpAddr, answers: usize) -> (SocketAddr, thread::JoinHandle<Vec<SocketAddr>>) {
    let socket = UdpSocket::bind((at, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let addr = socket.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut buf = [0; 65_536];
        (0..answers)
            .map(|_| {
                let (len, from) = socket.recv_from(&mut buf).unwrap();
                buf[..len].reverse();
                socket.send_to(&buf[..len], from).unwrap();
                from
            })
            .collect()
    });
    (addr, server)
}

#[test]
fn dhcp_gives_address_router_and_names() {
    let mut guest = Guest::bare(
        UserNet::new(UserOptions {
            hostname: Some("guest1".into()),
            domainname: Some("example.org".into()),
            dnssearch: vec!["a.example".into()],
            ..UserOptions::default()
        })
        .unwrap(),
    );
    let mut socket = dhcpv4::Socket::new();
    static WANTED: [u8; 5] = [1, 3, 6, 12, 15];
    socket.set_parameter_request_list(&WANTED);
    let room: &'static mut [u8] = Box::leak(Box::new([0; 1500]));
    socket.set_receive_packet_buffer(room);
    let handle: SocketHandle = guest.sockets.add(socket);
    let (address, router, dns, options) =
        guest.until(|g| match g.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            Some(dhcpv4::Event::Configured(config)) => {
                let options: Vec<(u8, Vec<u8>)> =
                    config.packet.unwrap().options().map(|DhcpOption { kind, data }| (kind, data.to_vec())).collect();
                Some((config.address, config.router, config.dns_servers.to_vec(), options))
            }
            _ => None,
        });
    assert_eq!((address.address(), address.prefix_len()), (GUEST, 24));
    assert_eq!((router, dns.as_slice()), (Some(GATEWAY), &[DNS][..]));
    let option = |kind: u8| options.iter().find(|o| o.0 == kind).map(|o| o.1.clone());
    assert_eq!(option(12).as_deref(), Some(&b"guest1"[..]));
    assert_eq!(option(15).as_deref(), Some(&b"example.org"[..]));
    assert_eq!(option(119).as_deref(), Some(&b"\x01a\x07example\0"[..]));
    assert_eq!(option(51).as_deref(), Some(&86_400u32.to_be_bytes()[..]));
}

#[test]
fn arp_answers_for_ours_only() {
    let mut net = UserNet::new(UserOptions::default()).unwrap();
    let ask = |target: [u8; 4]| {
        let mut f = vec![0xff; 6];
        f.extend(MAC);
        f.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        f.extend(MAC);
        f.extend([10, 0, 2, 15, 0, 0, 0, 0, 0, 0]);
        f.extend(target);
        f
    };
    for (target, last) in [([10, 0, 2, 2], 2), ([10, 0, 2, 3], 3)] {
        net.send(&ask(target));
        let answer = net.next_frame().unwrap();
        assert_eq!(answer[..6], MAC);
        assert_eq!(answer[6..12], [0x52, 0x55, 0x0a, 0x00, 0x02, last]);
        assert_eq!((answer[21], &answer[28..32]), (2, &target[..]));
    }
    for target in [[10, 0, 2, 15], [10, 0, 2, 77], [1, 1, 1, 1]] {
        net.send(&ask(target));
        assert!(net.next_frame().is_none());
    }
}

#[test]
fn questions_for_names_go_to_the_resolver() {
    let (addr, server) = echo(Ipv4Addr::LOCALHOST.into(), 2);
    let mut guest = Guest::user(|o| o.resolver = Resolver::Fixed(addr));
    let socket = guest.udp(5000);
    guest.send_to(socket, (DNS, 53), b"question");
    assert_eq!(guest.recv_from(socket), (b"noitseuq".to_vec(), (DNS, 53).into()));
    // The same over IPv6, whose resolver is the same.
    let v6: Ipv6Addr = "fec0::15".parse().unwrap();
    guest.iface.update_ip_addrs(|list| list.push(IpCidr::new(v6.into(), 64)).unwrap());
    let dns: Ipv6Addr = "fec0::3".parse().unwrap();
    guest.send_to(socket, (dns, 53), b"six");
    assert_eq!(guest.recv_from(socket), (b"xis".to_vec(), (dns, 53).into()));
    server.join().unwrap();
}

#[test]
fn resolver_file() {
    let path = std::env::temp_dir().join(format!("tern-resolv-{}", std::process::id()));
    std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
    let (addr, server) = echo(Ipv4Addr::LOCALHOST.into(), 1);
    let mut guest = Guest::user(|o| o.resolver = Resolver::File(path.clone()));
    let socket = guest.udp(5000);
    guest.send_to(socket, (DNS, addr.port()), b"ab");
    assert_eq!(guest.recv_from(socket).0, b"ba");
    server.join().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn datagrams_there_and_back() {
    let (one, server_one) = echo(Ipv4Addr::LOCALHOST.into(), 2);
    let (two, server_two) = echo(Ipv4Addr::LOCALHOST.into(), 1);
    let mut guest = Guest::user(|_| {});
    let socket = guest.udp(6000);
    for (to, data) in [(one, &b"first"[..]), (two, b"second"), (one, &[7; 1400])] {
        guest.send_to(socket, (GATEWAY, to.port()), data);
        let (answer, from) = guest.recv_from(socket);
        assert_eq!(from, (GATEWAY, to.port()).into());
        assert!(answer.iter().rev().eq(data));
    }
    let (a, b) = (server_one.join().unwrap(), server_two.join().unwrap());
    assert!(a[0] == a[1] && a[0] == b[0], "one port of the guest is one port of the host");
    assert_eq!(guest.plug.0.in_use(), (0, 1));
}

/// Answers that are longer than a frame arrive in parts.
#[test]
fn long_datagrams_arrive_in_parts() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut guest = Guest::user(|_| {});
    let socket = guest.udp(6000);
    guest.send_to(socket, (GATEWAY, server.local_addr().unwrap().port()), b"?");
    guest.for_ms(5);
    let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
    let long: Vec<u8> = (0..4000_u32).map(|i| (i * 7 / 3) as u8).collect();
    server.send_to(&long, from).unwrap();
    server.send_to(&[1; 65_507], from).unwrap();
    let mut frames = Vec::new();
    let net = &mut guest.plug.0;
    let start = monotonic_ns();
    while frames.len() < 3 + 45 && monotonic_ns() - start < 5_000_000_000 {
        net.poll(monotonic_ns());
        frames.extend(core::iter::from_fn(|| net.next_frame()));
    }
    let mut whole = Vec::new();
    for frame in &frames[..3] {
        assert!(frame.len() <= 1514);
        let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
        assert!(packet.verify_checksum() && !packet.dont_frag());
        assert_eq!((usize::from(packet.frag_offset()), packet.more_frags()), (whole.len(), whole.len() < 2960));
        whole.extend_from_slice(packet.payload());
    }
    let udp = UdpPacket::new_checked(&whole[..]).unwrap();
    assert!(udp.verify_checksum(&IpAddress::Ipv4(GATEWAY), &IpAddress::Ipv4(GUEST)));
    assert!(udp.payload() == long);
    assert_eq!((frames.len(), net.counts().overflow), (48, 0));
}

#[test]
fn idle_ports_are_closed() {
    let (addr, server) = echo(Ipv4Addr::LOCALHOST.into(), 1);
    let mut guest = Guest::user(|_| {});
    let socket = guest.udp(6000);
    guest.send_to(socket, (GATEWAY, addr.port()), b"x");
    guest.recv_from(socket);
    server.join().unwrap();
    let net = &mut guest.plug.0;
    let until = net.deadline().unwrap();
    assert!(until > monotonic_ns() && until < monotonic_ns() + 241_000_000_000);
    net.poll(until - 1_000_000);
    assert_eq!(net.in_use().1, 1);
    net.poll(until + 1);
    assert_eq!(net.in_use().1, 0);
}

#[test]
fn forwarded_datagrams() {
    let rule = Forward::parse("udp:127.0.0.1:0-:69").unwrap();
    let mut guest = Guest::user(|o| {
        o.restrict = true;
        o.forwards.push(rule);
    });
    let addr = guest.plug.0.forwards()[0];
    let socket = guest.udp(69);
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The guest has not spoken yet: its hardware address is asked for.
    client.send_to(b"ask", addr).unwrap();
    let (data, from) = guest.recv_from(socket);
    assert_eq!((data.as_slice(), from), (&b"ask"[..], (GATEWAY, client.local_addr().unwrap().port()).into()));
    guest.send_to(socket, from, b"answer");
    guest.for_ms(20);
    let mut buf = [0; 16];
    assert_eq!(client.recv_from(&mut buf).unwrap(), (6, addr));
    assert_eq!(&buf[..6], b"answer");
    // Somebody who has not asked is not reached from a restricted guest.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.set_nonblocking(true).unwrap();
    guest.send_to(socket, (GATEWAY, stranger.local_addr().unwrap().port()), b"no");
    guest.for_ms(20);
    assert!(stranger.recv_from(&mut buf).is_err());
    assert_eq!(guest.plug.0.counts().refused, 1);
}

#[test]
fn echo_requests_are_answered() {
    let mut guest = Guest::user(|_| {});
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 8], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(0x1234)).unwrap();
    let handle = guest.sockets.add(socket);
    for (seq_no, to) in [(1, GATEWAY), (2, DNS)] {
        let repr = Icmpv4Repr::EchoRequest { ident: 0x1234, seq_no, data: b"ping data" };
        let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(handle);
        let room = socket.send(repr.buffer_len(), IpAddress::Ipv4(to)).unwrap();
        repr.emit(&mut Icmpv4Packet::new_unchecked(room), &Default::default());
        let (bytes, from) = guest.until(|g| {
            let (bytes, from) = g.sockets.get_mut::<icmp::Socket<'_>>(handle).recv().ok()?;
            Some((bytes.to_vec(), from))
        });
        let packet = Icmpv4Packet::new_checked(&bytes[..]).unwrap();
        let answer = Icmpv4Repr::parse(&packet, &Default::default()).unwrap();
        assert_eq!(answer, Icmpv4Repr::EchoReply { ident: 0x1234, seq_no, data: b"ping data" });
        assert_eq!(from, IpAddress::Ipv4(to));
    }
}

#[test]
fn ipv6_router_and_gateway() {
    let mut net = UserNet::new(UserOptions::default()).unwrap();
    // A router solicitation from nowhere, without options; the checksum is over the pseudo header (RFC 4443, 2.3).
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 2];
    frame.extend(MAC);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255]);
    frame.extend([0; 16]);
    frame.extend("ff02::2".parse::<Ipv6Addr>().unwrap().octets());
    frame.extend([133, 0, 0x7b, 0xb8, 0, 0, 0, 0]);
    net.send(&frame);
    let advert = net.next_frame().unwrap();
    let payload = &advert[54..];
    assert_eq!((payload[0], u16::from_be_bytes([payload[6], payload[7]])), (134, 1800));
    let prefix = "fec0::".parse::<Ipv6Addr>().unwrap().octets();
    let dns = "fec0::3".parse::<Ipv6Addr>().unwrap().octets();
    assert!(payload.windows(16).any(|w| w == prefix) && payload.windows(16).any(|w| w == dns));

    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("SKIP: the host has no IPv6");
        return;
    };
    let mut guest = Guest::bare(net);
    guest.iface.update_ip_addrs(|list| list.push(IpCidr::new("fec0::15".parse().unwrap(), 64)).unwrap());
    let gateway: Ipv6Addr = "fec0::2".parse().unwrap();
    let handle = guest.connect((gateway, listener.local_addr().unwrap().port()), 50_000);
    guest.until(|g| g.at(handle).may_send().then_some(()));
    listener.accept().unwrap();
}

/// Random frames, most of them with good headers so that they come far: nothing panics, memory stays bounded.
#[test]
fn nonsense_is_dropped_and_counted() {
    let mut net = UserNet::new(UserOptions::default()).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for n in 0..20_000_u64 {
        let len = (random() % 200) as usize;
        let mut frame: Vec<u8> = (0..len).map(|_| random() as u8).collect();
        if len > 40 && n % 4 != 0 {
            let kind = [[8, 0], [8, 6], [0x86, 0xdd]][(random() % 3) as usize];
            frame[12..14].copy_from_slice(&kind);
            if kind == [8, 0] {
                frame[14] = 0x45;
                let total = ((len - 14) as u16).to_be_bytes();
                frame[16..18].copy_from_slice(&total);
                frame[20..22].copy_from_slice(&[0, 0]);
                frame[23] = [1, 6, 17, 58][(random() % 4) as usize];
                frame[26..30].copy_from_slice(&[10, 0, 2, 15]);
                // Nothing of this may leave the machine that runs the test.
                let to = [[10, 0, 2, 2], [10, 0, 2, 3], [255, 255, 255, 255], [10, 0, 2, 99]][(random() % 4) as usize];
                frame[30..34].copy_from_slice(&to);
                if n % 3 == 0 {
                    // For the DHCP server.
                    frame[23] = 17;
                    frame[36..38].copy_from_slice(&[0, 67]);
                }
                Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
            } else if len > 54 {
                frame[14] = 0x60;
                frame[18..20].copy_from_slice(&((len - 54) as u16).to_be_bytes());
                frame[20] = [58, 6, 17, 44][(random() % 4) as usize];
                frame[22..38].copy_from_slice(&"fec0::15".parse::<Ipv6Addr>().unwrap().octets());
                frame[38..54].copy_from_slice(&"fec0::2".parse::<Ipv6Addr>().unwrap().octets());
            }
        }
        net.send(&frame);
        if n % 64 == 0 {
            net.poll(monotonic_ns());
        }
    }
    let counts = net.counts();
    assert_eq!(counts.from_guest, 20_000);
    assert!(counts.malformed > 5000 && counts.unserved > 100, "{counts:?}");
    let mut waiting = 0;
    while net.next_frame().is_some() {
        waiting += 1;
    }
    assert!(waiting <= 1024, "{waiting}");
    // It still works.
    let mut guest = Guest::new(net);
    let (addr, server) = echo(Ipv4Addr::LOCALHOST.into(), 1);
    let socket = guest.udp(6000);
    guest.send_to(socket, (GATEWAY, addr.port()), b"ok");
    assert_eq!(guest.recv_from(socket).0, b"ko");
    server.join().unwrap();
}

#[test]
fn fragments_are_counted() {
    let mut net = UserNet::new(UserOptions::default()).unwrap();
    let mut frame = vec![0; 60];
    frame[6..12].copy_from_slice(&MAC);
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0x20, 0, 64, 17]);
    frame[26..34].copy_from_slice(&[10, 0, 2, 15, 10, 0, 2, 2]);
    Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
    net.send(&frame);
    assert_eq!(net.counts().fragments, 1);
}

#[test]
fn a_port_is_shared() {
    let port = Port::new(tern_host::net::open("user,restrict=on").unwrap());
    let mut sink = port.sink();
    sink.send(&[0; 3]);
    let counts = port.link().counts();
    assert_eq!((counts.from_guest, counts.malformed), (1, 1));
    for (bad, word) in
        [("user,hostfwd=x", "hostfwd"), ("vde,id=1", "vde"), ("user,hostfwd=tcp::1-9.9.9.9:2", "9.9.9.9")]
    {
        assert!(tern_host::net::open(bad).err().unwrap().to_string().contains(word), "{bad}");
    }
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).unwrap();
    let text = format!("user,hostfwd=tcp:127.0.0.1:{}-:22", holder.local_addr().unwrap().port());
    assert!(tern_host::net::open(&text).err().unwrap().to_string().contains("hostfwd tcp:127.0.0.1"));
}
