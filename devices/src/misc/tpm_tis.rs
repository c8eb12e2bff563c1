//! TPM interface with a FIFO (TCG PC Client TPM Interface Specification 1.3; for TPM 2.0, TCG PC Client Platform TPM Profile
//! 1.03, chapter 6): five localities with a page of registers each, one buffer, one interrupt.  The TPM is a backend, and
//! is no part of saved states.

use crate::catalogue::Class;
use crate::model::{Build, Model, Platform, Prop, PropKind};
use serde::{Deserialize, Serialize};
use tern_core::backend::{Tpm, TpmVersion};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "tpm-tis-device";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "TPM interface with a FIFO (TCG PC Client TIS 1.3, PTP 1.03)",
    parents: &["dynamic-sysbus-device"],
    props: &[
        Prop::new("irq", PropKind::Number(32, 5), "what the interrupt vector register says"),
        Prop::new("tpmdev", PropKind::Text(""), "the TPM"),
    ],
    bus: None,
    build: Build::System(&PLATFORM, |kit, mut lines, wants| {
        let line = lines.pop().unwrap_or_else(IrqLine::open);
        let tpm = wants.tpm("tpmdev", 0)?;
        Ok(Box::new(Tis::new(kit, line, tpm, wants.props.number("irq") as u32)))
    }),
}];

static PLATFORM: Platform = Platform { node: "tpm_tis", compatible: "tcg,tpm-tis-mmio", window: WINDOW, lines: 1 };

const LOCALITIES: usize = 5;
/// The locality that only hardware may use.
const HARDWARE: usize = 4;
/// Length of a locality's registers.
const PAGE: u64 = 0x1000;
/// Size of the interface's registers.
const WINDOW: u64 = PAGE * LOCALITIES as u64;
/// Largest command and response.
const MOST: usize = 4096;
/// Length of the header of commands and responses: tag, length, code.
const HEADER: usize = 10;
/// Codes of the commands that test everything: TPM 1.2 (two), TPM 2.0.
const SELF_TESTS: [u32; 3] = [0x50, 0x53, 0x143];

/// Bits of the access register.
mod access {
    pub(super) const VALID: u8 = 0x80;
    pub(super) const ACTIVE: u8 = 0x20;
    pub(super) const SEIZED: u8 = 0x10;
    pub(super) const SEIZE: u8 = 0x08;
    pub(super) const PENDING: u8 = 0x04;
    pub(super) const REQUEST: u8 = 0x02;
    pub(super) const NOT_ESTABLISHED: u8 = 0x01;
}

/// Bits of the status register.
mod sts {
    pub(super) const FAMILY_2: u32 = 1 << 26;
    pub(super) const RESET_ESTABLISHED: u32 = 1 << 25;
    pub(super) const CANCEL: u32 = 1 << 24;
    pub(super) const VALID: u32 = 0x80;
    pub(super) const READY: u32 = 0x40;
    pub(super) const GO: u32 = 0x20;
    pub(super) const AVAILABLE: u32 = 0x10;
    pub(super) const EXPECT: u32 = 0x08;
    pub(super) const TESTED: u32 = 0x04;
    pub(super) const RETRY: u32 = 0x02;
    pub(super) const HELD: u32 = VALID | READY | AVAILABLE | EXPECT;
}

/// Interrupts: response there, status valid, locality changed, ready for a command.
mod int {
    pub(super) const AVAILABLE: u32 = 1;
    pub(super) const VALID: u32 = 2;
    pub(super) const LOCALITY: u32 = 4;
    pub(super) const READY: u32 = 0x80;
    pub(super) const ALL: u32 = 0x87;
    /// In the enable register: any; polarity, which is low level.
    pub(super) const ANY: u32 = 1 << 31;
    pub(super) const POLARITY: u32 = 3 << 3;
    pub(super) const LOW: u32 = 1 << 3;
}

/// Interface capabilities: all interrupts, low level, transfers of 64 bytes; its version.
const CAPABILITY: u32 = 0x0000_0697;
const CAPABILITY_1_2: u32 = 2 << 28;
const CAPABILITY_2_0: u32 = 3 << 28;
/// Interface of TPM 2.0: FIFO, five localities; the choice of another is locked.
const INTERFACE: u32 = 0x2100;
const INTERFACE_LOCK: u32 = 1 << 19;
/// Device 1 of IBM, as QEMU has it.
const DID_VID: u64 = 0x0001_1014;

registers! {
    static REGS: Tis, "tpm-tis-mmio", sizes [1, 2, 4];
    0x000 ACCESS 4 rw, "TIS 11.2.11", read |d, _| u64::from(d.access()), write |d, _, v| d.set_access(v as u8);
    0x008 INT_ENABLE 4 rw reset 8, "TIS 11.2.13", read |d, _| u64::from(d.here().enabled),
        write |d, _, v| d.here().enabled = v as u32 & (int::ANY | int::POLARITY | int::ALL);
    0x00c INT_VECTOR 4 rw, "TIS 11.2.15", read |d, _| u64::from(d.vector), write |_, _, _| {};
    0x010 INT_STATUS 4 rw reset 0, "TIS 11.2.14", read |d, _| u64::from(d.here().pending),
        write |d, _, v| d.here().pending &= !(v as u32);
    0x014 INTF_CAPABILITY 4 ro, "TIS 11.2.16", read |d, _| u64::from(d.capability());
    0x018 area 4 STS, "TIS 11.2.12", read |d, at, size| d.status(size) >> (8 * at),
        write |d, at, _, v| d.set_status((v << (8 * at)) as u32);
    0x024 area 4 DATA_FIFO, "TIS 11.2.17", read |d, _, size| d.read_data(size), write |d, _, size, v| d.write_data(size, v);
    0x030 INTERFACE_ID 4 rw, "PTP 6.4.2", read |d, _| u64::from(d.interface()),
        write |d, _, v| d.state.locked |= v as u32 & INTERFACE_LOCK != 0;
    0x080 area 0x40 XDATA_FIFO, "PTP 6.5.2.8", read |d, _, size| d.read_data(size), write |d, _, size, v| d.write_data(size, v);
    0xf00 DID_VID 4 ro reset 0x0001_1014, "TIS 11.2.9", read |_, _| DID_VID;
    0xf04 RID 4 ro reset 1, "TIS 11.2.10", read |_, _| 1;
}

/// Where a locality is with its command (TIS 11.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
enum Phase {
    #[default]
    Idle,
    Ready,
    Reception,
    Execution,
    Completion,
}

#[derive(Clone, Serialize, Deserialize)]
struct Locality {
    /// It wants to be active; it takes that; that was taken from it.
    requests: bool,
    seizes: bool,
    seized: bool,
    phase: Phase,
    status: u32,
    enabled: u32,
    pending: u32,
}

impl Locality {
    fn new() -> Locality {
        let (requests, seizes, seized) = (false, false, false);
        Locality { requests, seizes, seized, phase: Phase::Idle, status: 0, enabled: int::LOW, pending: 0 }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    localities: [Locality; LOCALITIES],
    /// Who may use the TPM.
    active: Option<u8>,
    /// Who gives up a command, and who is active then.
    aborting: Option<u8>,
    next: Option<u8>,
    /// Whose command the TPM executes.
    executing: Option<u8>,
    /// The command or the response, and how much of the response has been read.
    buffer: Vec<u8>,
    at: u16,
    /// The TPM tests itself; it has done so.
    testing: bool,
    tested: bool,
    /// The interface's choice is locked.
    locked: bool,
}

impl State {
    fn new() -> State {
        State {
            localities: core::array::from_fn(|_| Locality::new()),
            active: None,
            aborting: None,
            next: None,
            executing: None,
            buffer: Vec::new(),
            at: 0,
            testing: false,
            tested: false,
            locked: false,
        }
    }
}

/// The device.
pub struct Tis {
    kit: Kit,
    line: IrqLine,
    tpm: Box<dyn Tpm>,
    vector: u32,
    version: TpmVersion,
    size: usize,
    /// The locality whose registers are being accessed.
    here: usize,
    state: State,
}

/// A number of a header of commands and responses.
fn header(buffer: &[u8], at: usize) -> Option<u32> {
    buffer.get(at..at + 4).map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

impl Tis {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit, line: IrqLine, tpm: Box<dyn Tpm>, vector: u32) -> Tis {
        let (version, size) = (tpm.version(), tpm.buffer_size().clamp(HEADER, MOST));
        let mut tis = Tis { kit, line, tpm, vector, version, size, here: 0, state: State::new() };
        tis.tpm.start();
        tis
    }

    fn here(&mut self) -> &mut Locality {
        &mut self.state.localities[self.here]
    }

    fn is_active(&self) -> bool {
        self.state.active == Some(self.here as u8)
    }

    fn access(&mut self) -> u8 {
        let others = self.state.localities.iter().enumerate().any(|(n, l)| n != self.here && l.requests);
        let established = self.tpm.established();
        let active = self.is_active();
        let locality = &self.state.localities[self.here];
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        access::VALID
            | bit(active, access::ACTIVE)
            | bit(locality.seized, access::SEIZED)
            | bit(others, access::PENDING)
            | bit(locality.requests, access::REQUEST)
            | bit(!established, access::NOT_ESTABLISHED)
    }

    fn set_access(&mut self, value: u8) {
        let here = self.here;
        if value & access::SEIZED != 0 {
            self.here().seized = false;
        }
        if value & access::SEIZE != 0 {
            return self.seize();
        }
        if value & access::ACTIVE != 0 {
            if self.is_active() {
                match self.state.localities.iter().rposition(|l| l.requests) {
                    Some(next) => self.abort(next),
                    None => self.activate(None),
                }
            } else {
                self.here().requests = false;
            }
        } else if value & access::REQUEST != 0 && !self.is_active() {
            if self.state.active.is_some() {
                self.here().requests = true;
            } else {
                self.activate(Some(here));
            }
        }
    }

    /// Takes the TPM from a lower locality (TIS 11.2.11, Seize).
    fn seize(&mut self) {
        let here = self.here;
        let lower = self.state.active.is_none_or(|active| here > usize::from(active));
        if !lower || self.state.localities[here..].iter().any(|l| l.seizes) {
            return;
        }
        self.state.localities[..here].iter_mut().for_each(|l| l.seizes = false);
        self.here().seizes = true;
        self.abort(here);
    }

    /// Makes another locality active.
    fn activate(&mut self, new: Option<usize>) {
        let before = core::mem::replace(&mut self.state.active, new.map(|n| n as u8)).map(usize::from);
        let seizes = new.is_some_and(|n| self.state.localities[n].seizes);
        if before != new
            && let Some(old) = before
        {
            let old = &mut self.state.localities[old];
            old.seized |= seizes;
            old.requests &= seizes;
            (old.phase, old.status) = (Phase::Idle, 0);
        }
        if let Some(n) = new {
            (self.state.localities[n].requests, self.state.localities[n].seizes) = (false, false);
            if before != new {
                self.raise(n, int::LOCALITY);
            }
        }
    }

    /// The active locality gives up its command; then `next` is active.
    fn abort(&mut self, next: usize) {
        self.state.aborting = self.state.active;
        self.state.next = Some(next as u8);
        if self.state.executing.is_some() {
            self.tpm.cancel();
        } else {
            self.aborted();
        }
    }

    fn aborted(&mut self) {
        let (aborting, next) = (self.state.aborting.take(), self.state.next.take());
        self.state.buffer.clear();
        self.state.at = 0;
        let Some(next) = next else { return };
        if aborting == Some(next) {
            self.ready(usize::from(next));
        }
        self.activate(Some(usize::from(next)));
    }

    /// Locality `n` may write a command.
    fn ready(&mut self, n: usize) {
        self.state.buffer.clear();
        self.state.at = 0;
        let locality = &mut self.state.localities[n];
        (locality.phase, locality.status) = (Phase::Ready, sts::READY);
        self.raise(n, int::READY);
    }

    fn raise(&mut self, n: usize, interrupts: u32) {
        let locality = &mut self.state.localities[n];
        if locality.enabled & int::ANY != 0 {
            locality.pending |= locality.enabled & interrupts;
        }
    }

    fn capability(&self) -> u32 {
        CAPABILITY | if self.version == TpmVersion::V2_0 { CAPABILITY_2_0 } else { CAPABILITY_1_2 }
    }

    fn interface(&self) -> u32 {
        let lock = if self.state.locked { INTERFACE_LOCK } else { 0 };
        if self.version == TpmVersion::V2_0 { INTERFACE | lock } else { u32::MAX }
    }

    fn status(&mut self, size: Size) -> u64 {
        if !self.is_active() {
            return u64::from(u32::MAX);
        }
        let locality = &self.state.localities[self.here];
        let (len, at) = (self.state.buffer.len(), usize::from(self.state.at));
        let available = locality.status & sts::AVAILABLE != 0;
        let burst = if available { len.saturating_sub(at) } else { self.size.saturating_sub(len) };
        // One byte of the count must not look like none.
        let burst = if size == Size::B1 { burst.min(0xff) } else { burst } as u32;
        let family = if self.version == TpmVersion::V2_0 { sts::FAMILY_2 } else { 0 };
        let tested = if self.state.tested { sts::TESTED } else { 0 };
        u64::from(locality.status | burst << 8 | family | tested)
    }

    fn set_status(&mut self, value: u32) {
        if !self.is_active() {
            return;
        }
        if self.version == TpmVersion::V2_0 {
            if value & sts::CANCEL != 0 && self.here().phase == Phase::Execution {
                self.tpm.cancel();
            }
            if value & sts::RESET_ESTABLISHED != 0 && self.here == HARDWARE - 1 {
                self.tpm.reset_established(self.here as u8);
            }
        }
        let here = self.here;
        match (value & (sts::READY | sts::GO | sts::RETRY), self.here().phase) {
            (sts::READY, Phase::Ready) => self.state.buffer.clear(),
            (sts::READY, Phase::Idle | Phase::Completion) => self.ready(here),
            (sts::READY, Phase::Execution | Phase::Reception) => self.abort(here),
            (sts::GO, Phase::Reception) if self.here().status & sts::EXPECT == 0 => self.execute(),
            (sts::RETRY, Phase::Completion) => {
                self.state.at = 0;
                self.here().status = sts::VALID | sts::AVAILABLE;
            }
            _ => {}
        }
    }

    fn execute(&mut self) {
        self.here().phase = Phase::Execution;
        self.state.executing = Some(self.here as u8);
        let command = core::mem::take(&mut self.state.buffer);
        self.state.testing = header(&command, 6).is_some_and(|code| SELF_TESTS.contains(&code));
        self.tpm.submit(self.here as u8, &command);
    }

    /// A response is there in whole.
    fn executed(&mut self) {
        let Some(n) = self.state.executing.take().map(usize::from) else { return };
        let passed = header(&self.state.buffer, 6) == Some(0);
        self.state.tested |= core::mem::take(&mut self.state.testing) && passed;
        self.state.at = 0;
        let locality = &mut self.state.localities[n];
        (locality.phase, locality.status) = (Phase::Completion, sts::VALID | sts::AVAILABLE);
        if self.state.next.is_some() {
            self.aborted();
        }
        self.raise(n, int::AVAILABLE | int::VALID);
    }

    fn read_data(&mut self, size: Size) -> u64 {
        if !self.is_active() {
            return u64::MAX;
        }
        (0..size.bytes()).fold(0, |value, n| value | u64::from(self.read_byte()) << (8 * n))
    }

    fn read_byte(&mut self) -> u8 {
        let here = self.here;
        if self.here().status & sts::AVAILABLE == 0 {
            return 0xff;
        }
        let byte = self.state.buffer.get(usize::from(self.state.at)).copied().unwrap_or(0xff);
        self.state.at = self.state.at.saturating_add(1);
        if usize::from(self.state.at) >= self.state.buffer.len() {
            self.here().status = sts::VALID;
            self.raise(here, int::VALID);
        }
        byte
    }

    fn write_data(&mut self, size: Size, value: u64) {
        if !self.is_active() || !matches!(self.here().phase, Phase::Ready | Phase::Reception) {
            return self.kit.report.guest_error(format_args!("data for the FIFO that nobody expects"));
        }
        if self.here().phase == Phase::Ready {
            self.state.buffer.clear();
            (self.here().phase, self.here().status) = (Phase::Reception, sts::VALID | sts::EXPECT);
        }
        for byte in value.to_le_bytes().into_iter().take(size.bytes() as usize) {
            let full = self.state.buffer.len() >= self.size;
            if self.here().status & sts::EXPECT == 0 || full {
                break;
            }
            self.state.buffer.push(byte);
        }
        let len = self.state.buffer.len();
        let complete = header(&self.state.buffer, 2).is_some_and(|wanted| wanted as usize <= len);
        if complete || len >= self.size {
            self.here().status = sts::VALID;
        }
    }

    /// The locality and the offset in its registers.  What lies behind all of them keeps its offset, where no row is.
    fn place(&mut self, offset: u64) -> u64 {
        if offset >= WINDOW {
            return offset;
        }
        self.here = (offset / PAGE) as usize;
        offset % PAGE
    }

    fn update(&mut self) {
        self.line.set(self.state.localities.iter().any(|l| l.pending != 0));
    }

    /// How long the response is that comes, as far as that is known, and as far as it fits.
    fn awaited(&self) -> usize {
        let known = header(&self.state.buffer, 2).map_or(HEADER, |len| len as usize);
        known.clamp(HEADER, self.size)
    }
}

impl Device for Tis {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "tpm-tis-mmio".into(), size: WINDOW }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let at = self.place(offset);
        let value = REGS.read(self, &report, at, size);
        self.update();
        value
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        let at = self.place(offset);
        if at < PAGE && self.here == HARDWARE {
            return report.guest_error(format_args!("locality 4 is for hardware only"));
        }
        REGS.write(self, &report, at, size, value);
        self.update();
    }

    fn room(&mut self, port: u32) -> usize {
        if port == 0 && self.state.executing.is_some() {
            self.awaited().saturating_sub(self.state.buffer.len()).max(1)
        } else {
            0
        }
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        if port != 0 || self.state.executing.is_none() || data.is_empty() {
            return;
        }
        let room = self.size.saturating_sub(self.state.buffer.len());
        self.state.buffer.extend(data.iter().take(room));
        if self.state.buffer.len() >= HEADER && self.state.buffer.len() >= self.awaited() {
            let len = self.awaited();
            self.state.buffer.truncate(len);
            self.executed();
        }
        self.update();
    }

    fn reset(&mut self) {
        self.here = 0;
        self.state = State::new();
        self.line.set(false);
        self.tpm.start();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        let owners = [state.active, state.aborting, state.next, state.executing];
        let known = owners.iter().flatten().all(|n| usize::from(*n) < LOCALITIES);
        check(known, "localities", || format!("{owners:?}"))?;
        let (len, at) = (state.buffer.len(), usize::from(state.at));
        check(len <= self.size && at <= len, "buffer", || format!("{at} of {len} bytes"))?;
        let enable = int::ANY | int::POLARITY | int::ALL;
        let sound = |l: &Locality| l.status & !sts::HELD == 0 && l.enabled & !enable == 0 && l.pending & !int::ALL == 0;
        check(state.localities.iter().all(sound), "localities", || "bits that there are not".into())?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
