//! Virtio devices: in memory-mapped slots, and as functions of the PCI host bridge.

use super::{Builder, bad};
use crate::backends::Port;
use crate::config::{BoardConfig, Console, Disk, Net, Rng, Share, Transport};
use crate::error::BoardError;
use crate::part::{Kind, Part};
use tern_core::device::{Device as _, Reporter};
use tern_core::engine::Event;
use tern_core::mem::space::Region;
use tern_devices::pci::{BarKind, PciHost};
use tern_devices::virtio::balloon::{self, Balloon};
use tern_devices::virtio::blk::{self, Blk};
use tern_devices::virtio::p9::P9;
use tern_devices::virtio::pci::{Interface, VirtioPci};
use tern_devices::virtio::{Options, VirtioDevice, VirtioMmio, console, net, rng};

/// A virtio device that is wanted.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Disk(&'a Disk),
    Net(&'a Net, [u8; 6]),
    Share(&'a Share),
    Console(&'a Console),
    Rng(&'a Rng),
    Balloon,
}

impl Wanted<'_> {
    /// What it is, for people whose configuration of it is refused.
    fn role(&self) -> &'static str {
        match self {
            Wanted::Disk(_) => "disk",
            Wanted::Net(..) => "network",
            Wanted::Share(_) => "shared folder",
            Wanted::Console(_) => "console",
            Wanted::Rng(_) => "entropy device",
            Wanted::Balloon => "balloon",
        }
    }
}

/// The address of network device `n` that nobody chose another for.
fn mac(n: usize) -> [u8; 6] {
    [0x52, 0x54, 0x00, 0x12, 0x34, 0x56u8.wrapping_add(n as u8)]
}

/// All of them, in the order in which guests shall find them.
fn wanted(config: &BoardConfig) -> Vec<(Wanted<'_>, Transport)> {
    let disks = config.disks.iter().map(|d| (Wanted::Disk(d), d.transport));
    let nets = config.nets.iter().enumerate();
    let nets = nets.map(|(n, net)| (Wanted::Net(net, net.mac.unwrap_or(mac(n))), net.transport));
    let shares = config.shares.iter().map(|s| (Wanted::Share(s), s.transport));
    let consoles = config.consoles.iter().map(|c| (Wanted::Console(c), c.transport));
    let rngs = config.rngs.iter().map(|r| (Wanted::Rng(r), r.transport));
    let balloons = config.balloons.iter().map(|t| (Wanted::Balloon, *t));
    disks.chain(nets).chain(shares).chain(consoles).chain(rngs).chain(balloons).collect()
}

/// A device, and the slot on the bus that it must have.
type OnBus<'a> = (Wanted<'a>, Option<u8>);

/// Those for memory-mapped slots, and those for PCI.
fn sorted(config: &BoardConfig, slots: usize) -> Result<(Vec<Wanted<'_>>, Vec<OnBus<'_>>), BoardError> {
    let (mut mmio, mut pci) = (Vec::new(), Vec::new());
    let fixed = wanted(config).iter().filter(|(_, t)| *t == Transport::Mmio).count();
    if fixed > slots {
        return Err(bad(format!("{fixed} memory-mapped virtio devices; the board has {slots} slots")));
    }
    let mut free = slots - fixed;
    for (device, transport) in wanted(config) {
        match transport {
            Transport::Mmio => mmio.push(device),
            Transport::Any if free > 0 => {
                free -= 1;
                mmio.push(device);
            }
            Transport::Any => pci.push((device, None)),
            Transport::Pci(slot) => pci.push((device, slot)),
        }
    }
    // What must have a slot gets it before the rest takes what is free.
    pci.sort_by_key(|(_, slot)| slot.is_none());
    Ok((mmio, pci))
}

impl Builder<'_> {
    fn slots(&self) -> usize {
        self.plan.parts.list.iter().filter(|p| matches!(p.kind, Kind::Virtio(_))).count()
    }

    /// A memory-mapped slot, which may stay empty.
    pub(super) fn virtio_slot(&mut self, part: &Part, slot: u32) -> Result<(), BoardError> {
        let (mmio, _) = sorted(self.config, self.slots())?;
        let wanted = mmio.get(slot as usize).copied();
        self.device(&format!("virtio-mmio{slot}"), part, |b, kit, number| {
            let irq = b.irq(part);
            Ok(Box::new(match wanted {
                None => VirtioMmio::empty(kit, irq, false),
                Some(wanted) => {
                    let device = b.virtio(wanted, number, |port| port)?;
                    VirtioMmio::new(kit, irq, device, Options::default(), false)
                }
            }))
        })
    }

    /// The PCI host bridge and all of its functions.
    pub(super) fn pcie(&mut self, part: &Part) -> Result<(), BoardError> {
        let (_, functions) = sorted(self.config, self.slots())?;
        let place = self.machine.place("pci");
        let number = place.number;
        let lines = [0, 1, 2, 3].map(|n| self.wire(part.irqs.get(n).copied()));
        let report = place.kit.report.clone();
        let mut host = PciHost::new(place.kit, lines);
        // The host bridge itself is function 0.
        for (n, (wanted, slot)) in (1..).zip(functions) {
            let device = self.virtio(wanted, number, |port| PciHost::port(n, port))?;
            let name = format!("{}{n}", device.kind().pci);
            let whole = report.clone();
            let own = Reporter::new(name, move |event, text| match event {
                Event::GuestError => whole.guest_error(text),
                Event::Unimplemented => whole.unimplemented(text),
            });
            let place = slot.map(|slot| (slot, 0));
            let build = |kit| {
                let function = VirtioPci::new(kit, device, Options::default(), Interface::Transitional);
                Box::new(function) as Box<dyn tern_devices::pci::PciFunction>
            };
            host.add(None, place, own, build).map_err(bad)?;
        }
        self.pci_windows(part, number, &host)?;
        self.machine.install(number, "pci", Box::new(host));
        Ok(())
    }

    /// Puts the bridge's windows where the guest has its functions appear: addresses of the memory space are those of CPUs, in
    /// two stretches; ports are another space.
    fn pci_windows(&mut self, part: &Part, number: u32, host: &PciHost) -> Result<(), BoardError> {
        let [ecam, pio, low, high] = [0, 1, 2, 3].map(|n| part.at[n]);
        let space = self.space.clone();
        let memory = space.container_of_all("pcie-mmio-space");
        let ports = space.container("pcie-pio", pio.size).map_err(bad)?;
        for (n, window) in (0..).zip(host.windows()) {
            let region = space.device(&window.name, window.size, number, n).map_err(bad)?;
            match host.decodes(n) {
                None => self.map(region, ecam)?,
                Some(kind) => {
                    let container: Region = if kind == BarKind::Io { ports } else { memory };
                    space.window((number, n), region, container, 0).map_err(bad)?;
                }
            }
        }
        self.map(ports, pio)?;
        for (name, range) in [("pcie-mmio", low), ("pcie-mmio-high", high)] {
            let alias = space.alias(name, memory, range.base, range.size).map_err(bad)?;
            self.map(alias, range)?;
        }
        // Where nothing is mapped, the bus answers all the same.
        for (name, range) in [("pcie-open-pio", pio), ("pcie-open", low), ("pcie-open-high", high)] {
            let open = space.open_bus(name, range.size).map_err(bad)?;
            space.add(space.root(), open, range.base, -1).map_err(bad)?;
        }
        Ok(())
    }

    /// The device itself; what comes in for its backend n enters at `port(n)` of device `device` of the machine.
    fn virtio(
        &mut self,
        wanted: Wanted<'_>,
        device: u32,
        port: impl Fn(u32) -> u32,
    ) -> Result<Box<dyn VirtioDevice>, BoardError> {
        let at = Port { device, port: port(0) };
        let backends = &mut *self.backends;
        let role = wanted.role();
        let made: Result<Box<dyn VirtioDevice>, String> = match wanted {
            Wanted::Disk(disk) => backends.disk(&disk.drive).map(|medium| {
                let plain = blk::Config::default();
                let queues = disk.queues.unwrap_or(plain.queues);
                let config = blk::Config { serial: disk.serial.clone(), queues, ..plain };
                Box::new(Blk::new(medium, config)) as _
            }),
            Wanted::Net(net, mac) => backends.net(net, at).map(|link| {
                let config = net::Config { mac, ..net::Config::default() };
                Box::new(net::Net::new(link, config)) as _
            }),
            Wanted::Share(share) => backends.share(share).map(|fs| Box::new(P9::new(fs, &share.tag)) as _),
            Wanted::Console(console) => backends.chars(&console.backend, at).map(|sink| {
                let port = console::Port { name: String::new(), console: true, sink };
                Box::new(console::Console::new(vec![port])) as _
            }),
            Wanted::Rng(rng) => {
                backends.entropy(rng.file.as_deref()).map(|source| Box::new(rng::Rng::new(source)) as _)
            }
            Wanted::Balloon => {
                let config = balloon::Config { free_page_reporting: true, ..balloon::Config::default() };
                Ok(Box::new(Balloon::new(config, balloon::Info::default())) as _)
            }
        };
        made.map_err(|why| BoardError::Config(format!("{role}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Drive;

    fn disk(transport: Transport) -> Disk {
        Disk { drive: Drive::new("x"), transport, serial: String::new(), queues: None }
    }

    #[test]
    fn slots_are_filled_before_the_bus() {
        let disks = [Transport::Any, Transport::Mmio, Transport::Pci(Some(3)), Transport::Any, Transport::Pci(None)];
        let config = BoardConfig { disks: disks.map(disk).to_vec(), ..BoardConfig::new("riscv64/virt") };
        let counts =
            |slots| sorted(&config, slots).map(|(mmio, pci)| (mmio.len(), pci.iter().map(|p| p.1).collect::<Vec<_>>()));
        assert_eq!(counts(8), Ok((3, vec![Some(3), None])));
        assert_eq!(counts(2), Ok((2, vec![Some(3), None, None])));
        let error = counts(0).unwrap_err().to_string();
        assert_eq!(error, "1 memory-mapped virtio devices; the board has 0 slots");
    }

    #[test]
    fn addresses_count() {
        assert_eq!(mac(0), [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(mac(2)[5], 0x58);
    }
}
