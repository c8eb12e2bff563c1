//! virtio-iommu: translation of the addresses that PCI functions use (virtio 1.2, 5.13).
//!
//! Endpoints are numbered by bus, device and function, as the host bridge knows them; behind a memory-mapped transport there
//! are none.  Mappings need not be whole pages.

mod table;
#[cfg(test)]
mod tests;

use super::{Broken, Chain, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use crate::pci::ATTENTION;
use std::rc::Rc;
use table::{Reserved, State, Status, Table};
use tern_core::device::Iommu;
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    23, "virtio-iommu", [], Misc, class 0x00_ff00, legacy 0,
    "virtio IOMMU: translates addresses of PCI functions",
    [
        Prop::new("boot-bypass", PropKind::Bool(true), "functions reach memory before the driver has set anything up"),
        Prop::new("aw-bits", PropKind::Number(8, 64), "bits of an address that functions use, 32 to 64"),
        Prop::new("reserved-regions", PropKind::Text(""), "regions without translation: first:last:type, ..."),
        Prop::only("granule", &["host", "4k"]),
    ],
    None, |wants| {
        let bits = wants.props.number("aw-bits");
        if !(32..=64).contains(&bits) {
            return Err("aw-bits must be within [32,64]".to_owned());
        }
        let regions = wants.props.text("reserved-regions");
        let reserved = regions.split([',', ' ']).filter(|r| !r.is_empty()).map(region).collect::<Result<_, _>>()?;
        Ok(Box::new(VirtioIommu::new(wants.props.bool("boot-bypass"), u64::MAX >> (64 - bits), reserved)))
    }
}

/// A reserved region: `first:last:type`, type 0 for nothing and 1 for messages.
fn region(text: &str) -> Result<Reserved, String> {
    let number = |t: &str| match t.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => t.parse().ok(),
    };
    let fields: Vec<Option<u64>> = text.split(':').map(number).collect();
    match fields[..] {
        [Some(first), Some(last), Some(kind @ (0 | 1))] if first <= last => Ok(Reserved { first, last, msi: kind == 1 }),
        _ => Err(format!("reserved region `{text}` is not first:last:type with type 0 or 1")),
    }
}

/// Feature bits (5.13.3).
const INPUT_RANGE: u64 = 1;
const DOMAIN_RANGE: u64 = 2;
const MAP_UNMAP: u64 = 4;
const PROBE: u64 = 0x10;
const MMIO: u64 = 0x20;
const BYPASS_CONFIG: u64 = 0x40;

const REQUESTS: u16 = 0;
const EVENTS: u16 = 1;
const QUEUE_SIZE: u16 = 256;
/// Pages of mappings that are worth having.
const PAGE_MASK: u64 = !0xfff;
/// Bytes of properties in the answer to a probe.
const PROBE_SIZE: usize = 512;
/// Offset of `bypass` in the configuration space.
const BYPASS_AT: u32 = 36;
/// Length of a request's tail: a status and three zeros.
const TAIL: u64 = 4;
/// Property: a reserved region (5.13.6.7.1); its length without its head.
const RESERVED: (u16, u16) = (1, 20);

/// Request types and the flag of an attachment (5.13.6).
mod request {
    pub(super) const ATTACH: u8 = 1;
    pub(super) const DETACH: u8 = 2;
    pub(super) const MAP: u8 = 3;
    pub(super) const UNMAP: u8 = 4;
    pub(super) const PROBE: u8 = 5;
    pub(super) const ATTACH_BYPASS: u32 = 1;
}

/// The device.
struct VirtioIommu {
    table: Rc<Table>,
    boot_bypass: bool,
}

/// Takes the fields of a request one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Result<u32, Status> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Status::Invalid)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*head))
    }

    fn u64(&mut self) -> Result<u64, Status> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Status::Invalid)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }
}

impl VirtioIommu {
    fn new(boot_bypass: bool, last: u64, reserved: Vec<Reserved>) -> VirtioIommu {
        VirtioIommu { table: Rc::new(Table::new(boot_bypass, last, reserved)), boot_bypass }
    }

    fn serve(&self, cx: &mut Cx<'_>, chain: &mut Chain) -> Result<(), Broken> {
        // The longest request is a probe, of 72 bytes.
        let mut bytes = [0; 72];
        let len = cx.read(chain, &mut bytes)?;
        let kind = if len >= 4 { bytes[0] } else { 0 };
        if chain.writable() < TAIL {
            return Err(cx.broken(format_args!("request {kind} without room for its status")));
        }
        let body = Fields(bytes.get(4..len).unwrap_or_default());
        let (status, properties) = match self.request(kind, body) {
            Ok(properties) => (Status::Ok, properties),
            Err(status) => (status, Vec::new()),
        };
        if matches!(status, Status::Unsupported | Status::DeviceError) {
            cx.kit.report.guest_error(format_args!("request {kind} of {len} bytes: {status:?}"));
        }
        if kind == request::PROBE && chain.writable() >= PROBE_SIZE as u64 + TAIL {
            let mut answer = properties;
            answer.resize(PROBE_SIZE, 0);
            cx.write(chain, &answer)?;
        }
        cx.write(chain, &[status as u8, 0, 0, 0])?;
        Ok(())
    }

    /// Does it; the answer to a probe.
    fn request(&self, kind: u8, mut body: Fields<'_>) -> Result<Vec<u8>, Status> {
        let table = &self.table;
        let status = match kind {
            request::ATTACH => {
                let (domain, endpoint, flags) = (body.u32()?, body.u32()?, body.u32()?);
                body.u32()?;
                if flags & !request::ATTACH_BYPASS != 0 {
                    return Err(Status::Invalid);
                }
                table.attach(domain, endpoint, flags != 0)
            }
            request::DETACH => {
                let (domain, endpoint) = (body.u32()?, body.u32()?);
                body.u64()?;
                table.detach(domain, endpoint)
            }
            request::MAP => {
                let (domain, range, to) = (body.u32()?, (body.u64()?, body.u64()?), body.u64()?);
                table.map(domain, range, to, body.u32()?)
            }
            request::UNMAP => {
                let (domain, first, last) = (body.u32()?, body.u64()?, body.u64()?);
                body.u32()?;
                table.unmap(domain, first, last)
            }
            request::PROBE => {
                let endpoint = body.u32()?;
                return table.endpoint(endpoint).map(|_| self.properties()).ok_or(Status::NoEntry);
            }
            0 => Status::DeviceError,
            _ => Status::Unsupported,
        };
        if status == Status::Ok { Ok(Vec::new()) } else { Err(status) }
    }

    /// What a probe finds of any endpoint: the reserved regions, as far as there is room.
    fn properties(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for region in &self.table.reserved {
            let (kind, len) = RESERVED;
            if bytes.len() + usize::from(len) + 4 > PROBE_SIZE {
                break;
            }
            bytes.extend(kind.to_le_bytes());
            bytes.extend(len.to_le_bytes());
            bytes.extend([u8::from(region.msi), 0, 0, 0]);
            bytes.extend(region.first.to_le_bytes());
            bytes.extend(region.last.to_le_bytes());
        }
        bytes
    }

    /// Tells the driver of faults, as far as there are buffers.
    fn tell(&self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        while let Some(fault) = self.first_fault() {
            let Some(mut chain) = cx.pop(EVENTS)? else { break };
            if cx.write(&mut chain, &fault)? < fault.len() {
                cx.kit.report.guest_error(format_args!("a buffer for faults of {} bytes", chain.written()));
            }
            cx.push(EVENTS, &chain);
            self.table.state.borrow_mut().faults.pop_front();
        }
        Ok(())
    }

    fn first_fault(&self) -> Option<[u8; 24]> {
        self.table.state.borrow().faults.front().map(|fault| fault.bytes())
    }
}

/// One for tests that has these endpoints.
#[cfg(test)]
pub(super) fn sample(endpoints: &[u16]) -> Box<dyn VirtioDevice> {
    let device = VirtioIommu::new(true, u64::MAX, Vec::new());
    device.table.requesters(endpoints);
    Box::new(device)
}

impl VirtioDevice for VirtioIommu {
    fn kind(&self) -> &'static super::Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        INPUT_RANGE | DOMAIN_RANGE | MAP_UNMAP | PROBE | MMIO | BYPASS_CONFIG
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 2]
    }

    fn config(&self) -> Vec<u8> {
        let mut bytes = PAGE_MASK.to_le_bytes().to_vec();
        bytes.extend(0u64.to_le_bytes());
        bytes.extend(self.table.last.to_le_bytes());
        bytes.extend([0, u32::MAX, PROBE_SIZE as u32].iter().flat_map(|field: &u32| field.to_le_bytes()));
        bytes.extend([u8::from(self.table.state.borrow().bypass), 0, 0, 0]);
        bytes
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        match data {
            [value @ (0 | 1)] if offset == BYPASS_AT && cx.has(BYPASS_CONFIG) => {
                self.table.state.borrow_mut().bypass = *value == 1;
            }
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        if queue != REQUESTS {
            return self.tell(cx);
        }
        while let Some(mut chain) = cx.pop(REQUESTS)? {
            self.serve(cx, &mut chain)?;
            cx.push(REQUESTS, &chain);
        }
        Ok(())
    }

    fn changed(&mut self, cx: &mut Cx<'_>, port: u32) {
        if port == ATTENTION {
            // What is broken has been counted.
            let _ = self.tell(cx);
        }
    }

    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        Some(self.table.clone())
    }

    /// `bypass` is as at the start of the machine again, for drivers that reset the device too.
    fn reset(&mut self, _clock: &Clock) {
        *self.table.state.borrow_mut() = State::new(self.boot_bypass);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &*self.table.state.borrow())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        state.check()?;
        *self.table.state.borrow_mut() = state;
        Ok(())
    }
}
