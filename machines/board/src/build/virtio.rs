//! Virtio devices in their slots.

use super::{Builder, bad};
use crate::config::{BoardConfig, Disk, Transport};
use crate::error::BoardError;
use crate::part::{Kind, Part};
use tern_devices::virtio::blk::{self, Blk};
use tern_devices::virtio::{Options, VirtioDevice, VirtioMmio};

/// A virtio device that is wanted.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Disk(&'a Disk),
}

/// All of them, in the order in which guests shall find them.
fn wanted(config: &BoardConfig) -> Vec<(Wanted<'_>, Transport)> {
    let disks = config.disks.iter().map(|d| (Wanted::Disk(d), d.transport));
    disks.collect()
}

/// Those for memory-mapped slots, and those for PCI.
fn sorted(config: &BoardConfig, slots: usize) -> Result<(Vec<Wanted<'_>>, Vec<(Wanted<'_>, Option<u8>)>), BoardError> {
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
                Some(wanted) => VirtioMmio::new(kit, irq, b.virtio(wanted, number)?, Options::default(), false),
            }))
        })
    }

    pub(super) fn pcie(&mut self, _part: &Part) -> Result<(), BoardError> {
        let (_, pci) = sorted(self.config, self.slots())?;
        if pci.is_empty() { Ok(()) } else { Err(bad("virtio on PCI is not built yet")) }
    }

    /// The device itself; `_number` is where input for it enters.
    fn virtio(&mut self, wanted: Wanted<'_>, _number: u32) -> Result<Box<dyn VirtioDevice>, BoardError> {
        Ok(match wanted {
            Wanted::Disk(disk) => {
                let medium = self.backends.disk(&disk.drive).map_err(BoardError::Config)?;
                let mut config = blk::Config { serial: disk.serial.clone(), ..blk::Config::default() };
                if let Some(queues) = disk.queues {
                    config.queues = queues;
                }
                Box::new(Blk::new(medium, config))
            }
        })
    }
}
