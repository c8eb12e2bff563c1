//! SD memory cards (SD Physical Layer Simplified Specification 3.01): `sd-card`, for any host controller.
//!
//! A host gives a card commands, and moves the data that follows with `Card::take` and `Card::put`.

mod data;
mod registers;
#[cfg(test)]
mod tests;

use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Wants};
use serde::{Deserialize, Serialize};
use tern_core::backend::Block;
use tern_core::snapshot::{StateError, check};

/// The card's row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: "sd-card",
    aliases: &[],
    class: Class::Storage,
    about: "SD memory card, standard, high and extended capacity (SD Physical Layer 3.01)",
    parents: &[],
    props: &[
        Prop::new("drive", PropKind::Drive, "the medium; without one, the slot is empty"),
        Prop::new("spec_version", PropKind::Number(8, 3), "1, 2 or 3: versions 1.10, 2.00 and 3.01"),
    ],
    bus: None,
    build: Build::Child(BusKind::Sd, |wants| Ok(Child::new(Card::build(wants)?))),
}];

/// Length of a block in bytes.
pub(super) const BLOCK: usize = 512;
/// Largest standard capacity card in bytes.
const STANDARD: u64 = 2 << 30;
/// Bytes that a write protection group of a standard capacity card has.
const GROUP: u64 = 2 << 20;

/// Card status (4.10.1).
mod status {
    pub(super) const APP_CMD: u32 = 1 << 5;
    pub(super) const READY_FOR_DATA: u32 = 1 << 8;
    pub(super) const ERASE_RESET: u32 = 1 << 13;
    pub(super) const WP_ERASE_SKIP: u32 = 1 << 15;
    pub(super) const CSD_OVERWRITE: u32 = 1 << 16;
    pub(super) const ERROR: u32 = 1 << 19;
    pub(super) const ILLEGAL_COMMAND: u32 = 1 << 22;
    pub(super) const WP_VIOLATION: u32 = 1 << 26;
    pub(super) const ERASE_PARAM: u32 = 1 << 27;
    pub(super) const ERASE_SEQ_ERROR: u32 = 1 << 28;
    pub(super) const BLOCK_LEN_ERROR: u32 = 1 << 29;
    pub(super) const ADDRESS_ERROR: u32 = 1 << 30;
    pub(super) const OUT_OF_RANGE: u32 = 1 << 31;
}

/// Operation conditions: all voltages, high capacity, ready.
const OCR_VOLTAGES: u32 = 0x00ff_ff00;
const OCR_CAPACITY: u32 = 1 << 30;
const OCR_READY: u32 = 1 << 31;

/// States of a card (4.1); programming takes no time here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mode {
    Idle,
    Ready,
    Identification,
    Standby,
    Transfer,
    Sending,
    Receiving,
    Inactive,
}

/// What the data is that is moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Data {
    /// Blocks of the medium: one, or until the host says stop.
    Blocks {
        /// More than one?
        many: bool,
    },
    /// A register, or what it is to be.
    Register,
}

/// How a card answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Response {
    /// Not at all.
    None,
    /// With 32 bits: R1, R3, R6, R7.
    Short(u32),
    /// With 128 bits, the CRC included: R2.
    Long([u8; 16]),
}

/// What is saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct CardState {
    mode: Mode,
    /// Errors that the next R1 tells of.
    status: u32,
    rca: u16,
    csd: [u8; 16],
    /// Size of the medium in bytes; 0: there is no card.
    bytes: u64,
    powered: bool,
    /// Is the next command an application-specific one?
    app: bool,
    /// Block length that a standard capacity card has been given.
    block: u32,
    /// Blocks that the next, or this, transfer has; 0: it ends when the host says so.
    count: u32,
    what: Data,
    address: u64,
    /// A block that is being moved, and how much of it has been.
    data: Vec<u8>,
    at: u32,
    erase: (Option<u32>, Option<u32>),
    /// Blocks that the last write has written.
    written: u32,
    wide: bool,
    /// Is high speed on?
    fast: bool,
    protected: Vec<bool>,
}

/// A card, or the empty place for one.
pub(super) struct Card {
    disk: Option<Box<dyn Block>>,
    version: u8,
    state: CardState,
}

impl Card {
    fn build(wants: &mut Wants<'_>) -> Result<Card, String> {
        let version = wants.props.number("spec_version");
        if !(1..=3).contains(&version) {
            return Err(format!("Invalid SD card Spec version: {version}"));
        }
        let disk = wants.optional_drive("drive", 0)?;
        let size = measure(disk.as_deref());
        if size != 0 && !size.is_power_of_two() {
            let next = size.checked_next_power_of_two().unwrap_or(u64::MAX);
            return Err(format!(
                "Invalid SD card size: {size} bytes; SD card size has to be a power of 2, e.g. {next} bytes"
            ));
        }
        Ok(Card::new(disk, version as u8))
    }

    fn new(disk: Option<Box<dyn Block>>, version: u8) -> Card {
        let bytes = measure(disk.as_deref());
        Card { disk, version, state: Card::fresh(bytes, 0) }
    }

    fn fresh(bytes: u64, rca: u16) -> CardState {
        CardState {
            mode: Mode::Idle,
            status: 0,
            rca,
            csd: registers::csd(bytes),
            bytes,
            powered: false,
            app: false,
            block: BLOCK as u32,
            count: 0,
            what: Data::Register,
            address: 0,
            data: Vec::new(),
            at: 0,
            erase: (None, None),
            written: 0,
            wide: false,
            fast: false,
            protected: vec![false; if bytes <= STANDARD { bytes.div_ceil(GROUP) as usize } else { 0 }],
        }
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.state = Card::fresh(measure(self.disk.as_deref()), 0);
    }

    /// Looks whether there is another medium now.
    pub(super) fn look(&mut self) -> bool {
        let changed = measure(self.disk.as_deref()) != self.state.bytes;
        if changed {
            self.reset();
        }
        changed
    }

    /// Is there a card?
    pub(super) fn inserted(&self) -> bool {
        self.state.bytes != 0
    }

    /// Is its write protection switch closed?
    pub(super) fn read_only(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.read_only())
    }

    pub(super) fn save(&self) -> CardState {
        self.state.clone()
    }

    pub(super) fn check(&self, state: &CardState) -> Result<(), StateError> {
        let good = state.data.len() <= BLOCK
            && state.at as usize <= state.data.len()
            && (1..=BLOCK as u32).contains(&state.block)
            && state.address <= state.bytes
            && state.protected.len() as u64 == if state.bytes <= STANDARD { state.bytes.div_ceil(GROUP) } else { 0 };
        check(good, "SD card", || format!("{} of {} bytes at {:#x}", state.at, state.data.len(), state.address))?;
        let moving = matches!(state.mode, Mode::Sending | Mode::Receiving);
        check(!moving || !state.data.is_empty(), "SD card", || "no data to move".to_owned())
    }

    pub(super) fn load(&mut self, state: CardState) {
        self.state = state;
    }

    /// Does it count blocks, not bytes?
    fn is_high_capacity(&self) -> bool {
        self.state.bytes > STANDARD
    }

    /// The length of the blocks that it moves.
    fn block_len(&self) -> usize {
        if self.is_high_capacity() { BLOCK } else { self.state.block as usize }
    }

    /// The address in bytes that an argument means.
    fn address(&self, arg: u32) -> u64 {
        if self.is_high_capacity() { u64::from(arg) * BLOCK as u64 } else { u64::from(arg) }
    }

    /// Gives the card a command.
    pub(super) fn command(&mut self, index: u8, arg: u32) -> Response {
        if !self.inserted() || self.state.mode == Mode::Inactive {
            return Response::None;
        }
        let app = core::mem::take(&mut self.state.app);
        let before = self.state.mode;
        let answer = match if app { self.application(index, arg) } else { None } {
            Some(answer) => answer,
            None => self.basic(index, arg),
        };
        match answer {
            Answer::Status => Response::Short(self.r1(before, app || self.state.app)),
            Answer::Word(word) => Response::Short(word),
            Answer::Long(register) => Response::Long(register),
            Answer::Silent => Response::None,
            Answer::Illegal => {
                self.state.status |= status::ILLEGAL_COMMAND;
                Response::None
            }
        }
    }

    /// The status, with the state at the command; errors are told once.
    fn r1(&mut self, before: Mode, app: bool) -> u32 {
        let errors = core::mem::take(&mut self.state.status);
        errors | (before as u32) << 9 | status::READY_FOR_DATA | if app { status::APP_CMD } else { 0 }
    }

    /// Does an argument address this card?
    fn is_me(&self, arg: u32) -> bool {
        (arg >> 16) as u16 == self.state.rca
    }

    /// Commands of the basic kind (4.7.4).
    fn basic(&mut self, index: u8, arg: u32) -> Answer {
        let mode = self.state.mode;
        match (index, mode) {
            (0, _) => {
                self.state = Card::fresh(self.state.bytes, 0);
                Answer::Silent
            }
            (2, Mode::Ready) => {
                self.state.mode = Mode::Identification;
                Answer::Long(registers::cid())
            }
            (3, Mode::Identification | Mode::Standby) => self.relative_address(),
            (4, _) => Answer::Silent,
            (6, Mode::Transfer) if self.version > 0 => self.switch(arg),
            (7, _) => self.select(arg),
            (8, Mode::Idle) if self.version > 1 => match arg >> 8 & 0xf {
                1 => Answer::Word(arg & 0xfff),
                _ => Answer::Silent,
            },
            (9, Mode::Standby) if self.is_me(arg) => Answer::Long(self.state.csd),
            (10, Mode::Standby) if self.is_me(arg) => Answer::Long(registers::cid()),
            (12, Mode::Sending | Mode::Receiving) => {
                self.stop();
                Answer::Status
            }
            (13, Mode::Standby | Mode::Transfer | Mode::Sending | Mode::Receiving) if self.is_me(arg) => Answer::Status,
            (15, Mode::Standby | Mode::Transfer | Mode::Sending | Mode::Receiving) if self.is_me(arg) => {
                self.state.mode = Mode::Inactive;
                Answer::Silent
            }
            (9 | 10 | 13 | 15, _) if !self.is_me(arg) => Answer::Silent,
            (16..=18 | 23..=38, Mode::Transfer) => self.block_command(index, arg),
            (55, Mode::Idle | Mode::Standby | Mode::Transfer | Mode::Sending | Mode::Receiving) => {
                if !self.is_me(arg) {
                    return Answer::Silent;
                }
                self.state.app = true;
                Answer::Status
            }
            _ => Answer::Illegal,
        }
    }

    /// Publishes a new address.
    fn relative_address(&mut self) -> Answer {
        let before = self.state.mode;
        self.state.mode = Mode::Standby;
        self.state.rca = self.state.rca.wrapping_add(0x4567).max(1);
        let status = self.r1(before, false);
        let short = status >> 8 & 0xc000 | status >> 6 & 0x2000 | status & 0x1fff;
        Answer::Word(u32::from(self.state.rca) << 16 | short)
    }

    fn select(&mut self, arg: u32) -> Answer {
        match (self.state.mode, self.is_me(arg)) {
            (Mode::Standby, true) => self.state.mode = Mode::Transfer,
            (Mode::Transfer | Mode::Sending, false) => {
                self.stop();
                self.state.mode = Mode::Standby;
                return Answer::Silent;
            }
            (Mode::Standby, false) => return Answer::Silent,
            _ => return Answer::Illegal,
        }
        Answer::Status
    }

    /// Commands of the card when it is selected: blocks, protection, erasure.
    fn block_command(&mut self, index: u8, arg: u32) -> Answer {
        match index {
            16 if arg == 0 || arg > BLOCK as u32 => self.state.status |= status::BLOCK_LEN_ERROR,
            16 => self.state.block = arg,
            17 | 18 => self.start_read(arg, index == 18),
            23 if self.version == 3 => self.state.count = arg,
            24 | 25 => self.start_write(arg, index == 25),
            27 => self.receive_register(),
            28..=30 if self.is_high_capacity() => return Answer::Illegal,
            28 | 29 => self.protect(arg, index == 28),
            30 => self.send_protection(arg),
            32 => self.state.erase = (Some(arg), None),
            33 => self.state.erase.1 = Some(arg),
            38 => self.erase(),
            _ => return Answer::Illegal,
        }
        if !matches!(index, 32 | 33 | 38) && self.state.erase != (None, None) {
            self.state.erase = (None, None);
            self.state.status |= status::ERASE_RESET;
        }
        Answer::Status
    }

    /// Application-specific commands; `None`: this is not one.
    fn application(&mut self, index: u8, arg: u32) -> Option<Answer> {
        match (index, self.state.mode) {
            (6, Mode::Transfer) if matches!(arg & 3, 0 | 2) => self.state.wide = arg & 3 == 2,
            (13, Mode::Transfer) => self.send_register(&registers::sd_status(self.state.wide)),
            (22, Mode::Transfer) => self.send_register(&self.state.written.to_be_bytes()),
            // How many blocks may be erased before a write; and the pull-up of the card detection.
            (23 | 42, Mode::Transfer) => {}
            (41, Mode::Idle) => return Some(self.conditions(arg)),
            (51, Mode::Transfer) => self.send_register(&registers::scr(self.version, self.state.bytes)),
            _ => return None,
        }
        Some(Answer::Status)
    }

    /// Starts up, if the host can do with its voltage and capacity (4.2.3).
    fn conditions(&mut self, arg: u32) -> Answer {
        let inquiry = arg & 0x00ff_ffff == 0;
        let usable = arg & OCR_VOLTAGES != 0 && (!self.is_high_capacity() || arg & OCR_CAPACITY != 0);
        if !inquiry && usable {
            self.state.powered = true;
            self.state.mode = Mode::Ready;
        }
        let ready = if self.state.powered { OCR_READY } else { 0 };
        let capacity = if self.state.powered && self.is_high_capacity() { OCR_CAPACITY } else { 0 };
        Answer::Word(OCR_VOLTAGES | ready | capacity)
    }

    /// Looks at functions, or chooses them (4.3.10): of group 1, there is high speed; the others have their defaults only.
    fn switch(&mut self, arg: u32) -> Answer {
        let mut chosen = [0; 6];
        for (group, chosen) in chosen.iter_mut().enumerate() {
            let current = if group == 0 { u8::from(self.state.fast) } else { 0 };
            *chosen = match (arg >> (4 * group) & 0xf) as u8 {
                0xf => current,
                function if function <= u8::from(group == 0) => function,
                _ => 0xf,
            };
        }
        if arg & 1 << 31 != 0 && !chosen.contains(&0xf) {
            self.state.fast = chosen[0] == 1;
        }
        self.send_register(&registers::functions(chosen));
        Answer::Status
    }
}

/// The size of the medium in bytes, 0 if there is none.
fn measure(disk: Option<&dyn Block>) -> u64 {
    disk.filter(|disk| disk.present()).map_or(0, Block::size)
}

/// What a command leads to.
enum Answer {
    /// R1.
    Status,
    /// R3, R6, R7.
    Word(u32),
    /// R2.
    Long([u8; 16]),
    /// Nothing: the command was for all, or for another card.
    Silent,
    /// The card does not know it, or not now.
    Illegal,
}
