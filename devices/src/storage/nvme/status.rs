//! How commands end (NVM Express 1.4, 4.6.1): status codes with their type in bits 10 to 8.

use tern_core::backend::BlockError;

/// Do not retry: the same command would fail again.
pub(super) const DNR: u16 = 0x4000;

/// A status that is not success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Status(pub(super) u16);

#[rustfmt::skip]
impl Status {
    pub(super) const INVALID_OPCODE: Status = Status(0x001 | DNR);
    pub(super) const INVALID_FIELD: Status = Status(0x002 | DNR);
    pub(super) const DATA_TRANSFER: Status = Status(0x004);
    pub(super) const ABORTED: Status = Status(0x007);
    pub(super) const INVALID_NAMESPACE: Status = Status(0x00b | DNR);
    pub(super) const SGL_SEGMENT: Status = Status(0x00d | DNR);
    pub(super) const SGL_COUNT: Status = Status(0x00e | DNR);
    pub(super) const SGL_LENGTH: Status = Status(0x00f | DNR);
    pub(super) const SGL_TYPE: Status = Status(0x011 | DNR);
    pub(super) const PRP_OFFSET: Status = Status(0x013 | DNR);
    pub(super) const WRITE_PROTECTED: Status = Status(0x020 | DNR);
    pub(super) const LBA_RANGE: Status = Status(0x080 | DNR);
    pub(super) const CAPACITY: Status = Status(0x081);
    pub(super) const INVALID_CQ: Status = Status(0x100 | DNR);
    pub(super) const INVALID_QID: Status = Status(0x101 | DNR);
    pub(super) const QUEUE_SIZE: Status = Status(0x102 | DNR);
    pub(super) const EVENT_LIMIT: Status = Status(0x105 | DNR);
    pub(super) const INVALID_VECTOR: Status = Status(0x108 | DNR);
    pub(super) const INVALID_LOG: Status = Status(0x109 | DNR);
    pub(super) const INVALID_FORMAT: Status = Status(0x10a | DNR);
    pub(super) const QUEUE_DELETION: Status = Status(0x10c | DNR);
    pub(super) const NOT_SAVEABLE: Status = Status(0x10d | DNR);
    pub(super) const NOT_OF_NAMESPACE: Status = Status(0x10f | DNR);
    pub(super) const COPY_LIMIT: Status = Status(0x183 | DNR);
    pub(super) const WRITE_FAULT: Status = Status(0x280);
    pub(super) const READ_ERROR: Status = Status(0x281);
    pub(super) const COMPARE: Status = Status(0x285 | DNR);
}

impl Status {
    /// Why a medium could not be written, zeroed or flushed.
    pub(super) fn of_write(e: &BlockError) -> Status {
        match e {
            BlockError::OutOfRange => Status::LBA_RANGE,
            BlockError::ReadOnly => Status::WRITE_PROTECTED,
            BlockError::NoSpace => Status::CAPACITY,
            BlockError::Unsupported | BlockError::Io(_) => Status::WRITE_FAULT,
        }
    }

    /// Why a medium could not be read.
    pub(super) fn of_read(e: &BlockError) -> Status {
        if *e == BlockError::OutOfRange { Status::LBA_RANGE } else { Status::READ_ERROR }
    }
}

/// How a command that has not failed goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It is complete, with this in dword 0.
    Done(u32),
    /// It completes some time later.
    Later,
}

/// Complete, with nothing to say.
pub(super) const OK: Result<Answer, Status> = Ok(Answer::Done(0));
