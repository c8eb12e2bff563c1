//! A guest whose TCP is wrong on purpose: segments with good checksums and everything else at random.

use crate::guest::{GATEWAY, GUEST, Guest, MAC};
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, IpRepr, TcpPacket};
use std::io::Write;
use std::net::TcpListener;
use tern_host::clock::monotonic_ns;
use tern_host::net::Link;
use tern_host::net::user::{UserNet, UserOptions};

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A frame with a TCP segment whose checksums are good.
fn frame(from: Ipv4Addr, to: Ipv4Addr, segment: &mut [u8]) -> Vec<u8> {
    let (from, to) = (IpAddr::from(from).into(), IpAddr::from(to).into());
    TcpPacket::new_unchecked(&mut segment[..]).fill_checksum(&from, &to);
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, segment.len(), 64);
    let mut frame = vec![0x52, 0x55, 10, 0, 2, 2];
    frame.extend(MAC);
    frame.extend([8, 0]);
    frame.resize(14 + ip.header_len(), 0);
    ip.emit(&mut frame[14..], &ChecksumCapabilities::default());
    frame.extend_from_slice(segment);
    frame
}

/// What the guest knows of one of its ports: the next numbers that would be right.
#[derive(Clone, Copy, Default)]
struct End {
    seq: u32,
    ack: u32,
}

#[test]
fn segments_at_random() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut net = UserNet::new(UserOptions::default()).unwrap();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut ends = [End::default(); 8];
    let mut servers = Vec::new();
    let (mut opened, mut resets) = (0, 0);
    for n in 0..60_000_u64 {
        let i = random.below(8) as usize;
        let len = if random.one_in(3) { random.below(1400) as usize } else { 0 };
        // Right numbers, numbers nearby, numbers at the end of the world, any numbers.
        let off = |r: &mut Random| match r.below(8) {
            0 => r.next() as u32,
            1 => r.below(3) as u32,
            2 => (r.below(3) as u32).wrapping_neg(),
            3 => 0x7fff_fffe + r.below(4) as u32,
            4 => r.below(300_000) as u32,
            _ => 0,
        };
        let flags = match random.below(10) {
            0 | 1 => 0x02,
            2 => random.next() as u8 & 0x3f,
            3 if random.one_in(8) => 0x04,
            4 => 0x11,
            5 => 0x18,
            _ => 0x10,
        };
        let options = if random.one_in(4) { random.below(11) as usize } else { 0 };
        let mut segment = vec![0; 20 + 4 * options + len];
        for byte in &mut segment[20..] {
            *byte = if random.one_in(2) { random.below(9) as u8 } else { random.next() as u8 };
        }
        segment[..2].copy_from_slice(&(30_000 + i as u16).to_be_bytes());
        segment[2..4].copy_from_slice(&port.to_be_bytes());
        let (seq, ack) = (ends[i].seq.wrapping_add(off(&mut random)), ends[i].ack.wrapping_add(off(&mut random)));
        segment[4..8].copy_from_slice(&seq.to_be_bytes());
        segment[8..12].copy_from_slice(&ack.to_be_bytes());
        segment[12] = ((5 + options) as u8) << 4;
        segment[13] = flags;
        let window = if random.one_in(3) { random.next() as u16 } else { 0xffff };
        segment[14..16].copy_from_slice(&window.to_be_bytes());
        net.send(&frame(GUEST, GATEWAY, &mut segment));
        if random.one_in(2) {
            net.poll(monotonic_ns() + n * 10_000_000);
        }
        while let Some(answer) = net.next_frame() {
            let Ok(segment) = TcpPacket::new_checked(&answer[34..]) else { continue };
            let end = &mut ends[usize::from(segment.dst_port() - 30_000)];
            // What would be right after this segment.
            let next = segment.seq_number() + segment.segment_len();
            end.ack = next.0 as u32;
            end.seq = segment.ack_number().0 as u32;
            opened += u64::from(segment.syn());
            resets += u64::from(segment.rst());
        }
        if let Ok((mut server, _)) = listener.accept() {
            server.set_nonblocking(true).unwrap();
            server.write_all(&[7; 5000]).unwrap();
            servers.push(server);
            if servers.len() > 20 {
                servers.remove(random.below(20) as usize);
            }
        }
    }
    println!("{opened} opened, {resets} reset");
    assert!(opened > 100 && resets > 100, "{opened} opened, {resets} reset: the segments do not come far");
    assert!(net.in_use().0 <= 8);
    // It still works.
    drop(servers);
    while listener.accept().is_ok() {}
    let mut guest = Guest::new(net);
    let handle = guest.connect((GATEWAY, port), 45_000);
    guest.until(|g| g.at(handle).may_send().then_some(()));
}
