//! TPMs that swtpm emulates: commands on a data connection, everything else on a control connection (swtpm's "Control
//! Channel Specification", `swtpm_ioctls(3)`; QEMU, docs/specs/tpm.rst).

use crate::sys::socket::{Control, sendmsg};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tern_core::backend::{Tpm, TpmVersion};

/// Commands of the control connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    GetCapability = 1,
    Init = 2,
    Shutdown = 3,
    GetEstablished = 4,
    SetLocality = 5,
    Cancel = 9,
    ResetEstablished = 11,
    Stop = 14,
    SetDataFd = 16,
    SetBufferSize = 17,
}

/// Capabilities: what a TPM 1.2 and what a TPM 2.0 must be able to, and to cancel commands.
const CAN_1_2: u32 = 0x0000_340f;
const CAN_2_0: u32 = CAN_1_2 | 0x80;
const CAN_CANCEL: u32 = 0x20;
/// How long an answer on the control connection may take; it is given at once unless the emulator hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest command and response that the interface has room for.
const BUFFER: u32 = 4096;
/// Length of the header of commands and responses: tag, length, code.
const HEADER: usize = 10;
/// Tags of commands without authorization, and of such responses.
const TAG_1_2: u16 = 0x00c1;
const TAG_1_2_RESPONSE: u16 = 0x00c4;
const TAG_2_0: u16 = 0x8001;
/// `TPM_ORD_GetTicks`, `TPM2_CC_ReadClock`: they change nothing.
const GET_TICKS: u32 = 0xf1;
const READ_CLOCK: u32 = 0x181;
/// `TPM_FAIL`, `TPM_RC_FAILURE`.
const FAIL_1_2: u32 = 9;
const FAIL_2_0: u32 = 0x101;
/// No locality.
const NOWHERE: u8 = 0xff;

/// A command or response that is only a header.
fn header(tag: u16, code: u32) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &(HEADER as u32).to_be_bytes(), &code.to_be_bytes()].concat()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| b.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn failed(what: &str, error: &dyn core::fmt::Display) -> String {
    format!("TPM emulator: {what}: {error}")
}

/// A connected emulator.
struct Emulator {
    control: UnixStream,
    data: UnixStream,
    capabilities: u32,
    version: TpmVersion,
    buffer_size: usize,
    locality: u8,
    established: Option<bool>,
    /// Responses that do not come from the emulator.
    own: Rc<RefCell<VecDeque<Vec<u8>>>>,
    tell: Box<dyn FnMut(&str)>,
}

/// The responses of an emulator.
pub struct Responses {
    data: UnixStream,
    bytes: Vec<u8>,
    own: Rc<RefCell<VecDeque<Vec<u8>>>>,
    open: bool,
}

/// The emulator at the other end of this control connection; `tell` gets one line about each thing that fails later.
///
/// # Errors
/// One line: it is not what it should be.
pub fn open(control: UnixStream, tell: Box<dyn FnMut(&str)>) -> Result<(Box<dyn Tpm>, Responses), String> {
    Emulator::new(control, tell).map(|(emulator, responses)| (Box::new(emulator) as Box<dyn Tpm>, responses))
}

/// Sends a command of the control connection with a descriptor, or without; what comes back behind the result, which has
/// to be 0 before that is read.
fn ask(
    mut control: &UnixStream,
    command: Command,
    body: &[u8],
    descriptor: Option<i32>,
    answer: usize,
) -> Result<Vec<u8>, String> {
    let fail = |e: io::Error| failed(&format!("{command:?}"), &e);
    let bytes = [&(command as u32).to_be_bytes(), body].concat();
    match descriptor {
        Some(fd) => {
            sendmsg(
                control.as_raw_fd(),
                None,
                &[IoSlice::new(&bytes)],
                &[Control::Rights(vec![fd])],
                libc::MSG_NOSIGNAL,
            )
            .map_err(|e| fail(io::Error::from_raw_os_error(e.0)))?;
        }
        None => control.write_all(&bytes).map_err(fail)?,
    }
    let mut result = [0; 4];
    control.read_exact(&mut result).map_err(fail)?;
    if word(&result, 0) != 0 {
        return Err(failed(&format!("{command:?}"), &format_args!("result {:#x}", word(&result, 0))));
    }
    let mut bytes = vec![0; answer];
    control.read_exact(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

/// What kind of TPM answers on the data connection: each kind answers commands of the other with its own tag.
fn probe(mut data: &UnixStream) -> io::Result<Option<TpmVersion>> {
    let tests =
        [(TAG_2_0, READ_CLOCK, TAG_2_0, TpmVersion::V2_0), (TAG_1_2, GET_TICKS, TAG_1_2_RESPONSE, TpmVersion::V1_2)];
    for (tag, code, answer, version) in tests {
        data.write_all(&header(tag, code))?;
        let mut response = [0; HEADER];
        data.read_exact(&mut response)?;
        let rest = (word(&response, 2) as usize).saturating_sub(HEADER).min(BUFFER as usize);
        data.read_exact(&mut vec![0; rest])?;
        if word(&response, 0) >> 16 == u32::from(answer) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

impl Emulator {
    fn new(control: UnixStream, tell: Box<dyn FnMut(&str)>) -> Result<(Emulator, Responses), String> {
        let io = |e: io::Error| failed("connection", &e);
        control.set_read_timeout(Some(PATIENCE)).map_err(io)?;
        control.set_write_timeout(Some(PATIENCE)).map_err(io)?;
        let (data, theirs) = UnixStream::pair().map_err(io)?;
        ask(&control, Command::SetDataFd, &[], Some(theirs.as_raw_fd()), 0)?;
        drop(theirs);
        data.set_read_timeout(Some(PATIENCE)).map_err(io)?;
        data.set_write_timeout(Some(PATIENCE)).map_err(io)?;
        let version = probe(&data).map_err(io)?.ok_or("TPM emulator: neither a TPM 1.2 nor a TPM 2.0 answers")?;
        let capabilities = word(&ask(&control, Command::GetCapability, &[], None, 4)?, 0);
        let wanted = if version == TpmVersion::V2_0 { CAN_2_0 } else { CAN_1_2 };
        if capabilities & wanted != wanted {
            return Err(format!("TPM emulator: it lacks capabilities {:#x}", wanted & !capabilities));
        }
        ask(&control, Command::Stop, &[], None, 0)?;
        let sizes = ask(&control, Command::SetBufferSize, &0u32.to_be_bytes(), None, 12)?;
        let buffer_size = word(&sizes, 0).clamp(HEADER as u32, BUFFER) as usize;
        data.set_nonblocking(true).map_err(io)?;
        let own = Rc::<RefCell<VecDeque<Vec<u8>>>>::default();
        let responses =
            Responses { data: data.try_clone().map_err(io)?, bytes: Vec::new(), own: own.clone(), open: true };
        let (locality, established) = (NOWHERE, None);
        let emulator = Emulator { control, data, capabilities, version, buffer_size, locality, established, own, tell };
        Ok((emulator, responses))
    }

    fn ask(&mut self, command: Command, body: &[u8], answer: usize) -> Result<Vec<u8>, String> {
        ask(&self.control, command, body, None, answer)
    }

    fn restart(&mut self) -> Result<(), String> {
        self.ask(Command::Stop, &[], 0)?;
        let size = (self.buffer_size as u32).to_be_bytes();
        self.ask(Command::SetBufferSize, &size, 12)?;
        self.ask(Command::Init, &0u32.to_be_bytes(), 0)?;
        Ok(())
    }

    /// Sets the locality and sends a command.
    fn send(&mut self, locality: u8, command: &[u8]) -> Result<(), String> {
        if self.locality != locality {
            self.ask(Command::SetLocality, &[locality], 0)?;
            self.locality = locality;
        }
        // The connection has room for a command: the one before it has been answered.
        self.data.write_all(command).map_err(|e| failed("command", &e))
    }

    fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| (self.tell)(&text)).ok()
    }
}

impl Tpm for Emulator {
    fn version(&self) -> TpmVersion {
        self.version
    }

    fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    fn start(&mut self) {
        (self.locality, self.established) = (NOWHERE, None);
        let result = self.restart();
        self.note(result);
    }

    fn established(&mut self) -> bool {
        if let Some(established) = self.established {
            return established;
        }
        // One byte, and what the structure is filled up with.
        let result = self.ask(Command::GetEstablished, &[], 4);
        let established = self.note(result).is_some_and(|bytes| bytes.first().is_some_and(|bit| *bit != 0));
        self.established = Some(established);
        established
    }

    fn reset_established(&mut self, locality: u8) {
        let result = self.ask(Command::ResetEstablished, &[locality], 0);
        self.note(result);
        self.established = None;
    }

    fn submit(&mut self, locality: u8, command: &[u8]) {
        let result = self.send(locality, command);
        if self.note(result).is_none() {
            let response = match self.version {
                TpmVersion::V1_2 => header(TAG_1_2_RESPONSE, FAIL_1_2),
                TpmVersion::V2_0 => header(TAG_2_0, FAIL_2_0),
            };
            self.own.borrow_mut().push_back(response);
        }
    }

    fn cancel(&mut self) {
        if self.capabilities & CAN_CANCEL != 0 {
            let result = self.ask(Command::Cancel, &[], 0);
            self.note(result);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let result = self.ask(Command::Shutdown, &[], 0);
        self.note(result);
    }
}

impl Responses {
    /// The descriptor that becomes readable when [`Responses::poll`] has something to do; none when the emulator is gone.
    #[must_use]
    pub fn fd(&self) -> Option<i32> {
        self.open.then(|| self.data.as_raw_fd())
    }

    /// The next response, if it is there in whole; never waits.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        if let Some(own) = self.own.borrow_mut().pop_front() {
            return Some(own);
        }
        let mut buffer = [0; BUFFER as usize];
        while self.open && self.whole().is_none() {
            match self.data.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(n) => self.bytes.extend(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        let len = self.whole()?;
        let rest = self.bytes.split_off(len);
        Some(core::mem::replace(&mut self.bytes, rest))
    }

    /// The length of the first response, if it is there in whole.
    fn whole(&self) -> Option<usize> {
        if self.bytes.len() < HEADER {
            return None;
        }
        // Whatever the emulator says: no response is longer than this.
        let len = (word(&self.bytes, 2) as usize).clamp(HEADER, BUFFER as usize);
        (self.bytes.len() >= len).then_some(len)
    }
}
