//! What disks and CD/DVD drives can do: the rows of their commands.

use super::Disk;
use super::blocks::Verify;
use crate::scsi::task::{Command, Failure, Moves, Task};

/// A row.
const fn row(
    op: u8,
    moves: Moves,
    medium: bool,
    run: fn(&mut Disk, &mut Task<'_>) -> Result<(), Failure>,
) -> Command<Disk> {
    Command { op, action: None, moves, medium, run }
}

/// A row for one service action of an operation code.
const fn action(
    op: u8,
    action: u8,
    moves: Moves,
    run: fn(&mut Disk, &mut Task<'_>) -> Result<(), Failure>,
) -> Command<Disk> {
    Command { op, action: Some(action), moves, medium: true, run }
}

/// Nothing is to be done.
fn nothing(_: &mut Disk, _: &mut Task<'_>) -> Result<(), Failure> {
    Ok(())
}

/// A disk's (SPC-4, SBC-3).
pub(super) static HD: &[Command<Disk>] = &[
    row(0x00, Moves::Nothing, true, nothing),               // TEST UNIT READY
    row(0x04, Moves::Format, true, Disk::format),           // FORMAT UNIT
    row(0x08, Moves::BlocksIn, true, Disk::read),           // READ(6)
    row(0x0a, Moves::BlocksOut, true, Disk::write),         // WRITE(6)
    row(0x0b, Moves::Nothing, true, Disk::seek),            // SEEK(6)
    row(0x12, Moves::In(3, 2), false, Disk::inquiry),       // INQUIRY
    row(0x15, Moves::Out(4, 1), true, Disk::mode_select),   // MODE SELECT(6)
    row(0x16, Moves::Nothing, false, Disk::reserve),        // RESERVE(6)
    row(0x17, Moves::Nothing, false, Disk::reserve),        // RELEASE(6)
    row(0x1a, Moves::In(4, 1), false, Disk::mode_sense),    // MODE SENSE(6)
    row(0x1b, Moves::Nothing, false, Disk::start_stop),     // START STOP UNIT
    row(0x1e, Moves::Nothing, false, Disk::prevent),        // PREVENT ALLOW MEDIUM REMOVAL
    row(0x25, Moves::Fixed(8), true, Disk::capacity_10),    // READ CAPACITY(10)
    row(0x28, Moves::BlocksIn, true, Disk::read),           // READ(10)
    row(0x2a, Moves::BlocksOut, true, Disk::write),         // WRITE(10)
    row(0x2b, Moves::Nothing, true, Disk::seek),            // SEEK(10)
    row(0x2e, Moves::BlocksOut, true, Disk::write),         // WRITE AND VERIFY(10)
    row(0x2f, Moves::Compared, true, Disk::verify),         // VERIFY(10)
    row(0x35, Moves::Nothing, true, Disk::synchronize),     // SYNCHRONIZE CACHE(10)
    row(0x41, Moves::Pattern, true, Disk::write_same),      // WRITE SAME(10)
    row(0x42, Moves::Out(7, 2), true, Disk::unmap),         // UNMAP
    row(0x4d, Moves::In(7, 2), false, Disk::log_sense),     // LOG SENSE
    row(0x55, Moves::Out(7, 2), true, Disk::mode_select),   // MODE SELECT(10)
    row(0x56, Moves::Nothing, false, Disk::reserve),        // RESERVE(10)
    row(0x57, Moves::Nothing, false, Disk::reserve),        // RELEASE(10)
    row(0x5a, Moves::In(7, 2), false, Disk::mode_sense),    // MODE SENSE(10)
    row(0x88, Moves::BlocksIn, true, Disk::read),           // READ(16)
    row(0x8a, Moves::BlocksOut, true, Disk::write),         // WRITE(16)
    row(0x8e, Moves::BlocksOut, true, Disk::write),         // WRITE AND VERIFY(16)
    row(0x8f, Moves::Compared, true, Disk::verify),         // VERIFY(16)
    row(0x91, Moves::Nothing, true, Disk::synchronize),     // SYNCHRONIZE CACHE(16)
    row(0x93, Moves::Pattern, true, Disk::write_same),      // WRITE SAME(16)
    action(0x9e, 0x10, Moves::In(10, 4), Disk::capacity_16), // READ CAPACITY(16)
    row(0xa8, Moves::BlocksIn, true, Disk::read),           // READ(12)
    row(0xaa, Moves::BlocksOut, true, Disk::write),         // WRITE(12)
    row(0xae, Moves::BlocksOut, true, Disk::write),         // WRITE AND VERIFY(12)
    row(0xaf, Moves::Compared, true, Disk::verify),         // VERIFY(12)
];

/// A CD/DVD drive's (SPC-4, MMC-6).  Commands that write end because there is nothing to write to.
pub(super) static CD: &[Command<Disk>] = &[
    row(0x00, Moves::Nothing, true, nothing),                 // TEST UNIT READY
    row(0x08, Moves::BlocksIn, true, Disk::read),             // READ(6)
    row(0x0a, Moves::BlocksOut, true, Disk::write),           // WRITE(6)
    row(0x0b, Moves::Nothing, true, Disk::seek),              // SEEK(6)
    row(0x12, Moves::In(3, 2), false, Disk::inquiry),         // INQUIRY
    row(0x15, Moves::Out(4, 1), false, Disk::mode_select),    // MODE SELECT(6)
    row(0x16, Moves::Nothing, false, Disk::reserve),          // RESERVE(6)
    row(0x17, Moves::Nothing, false, Disk::reserve),          // RELEASE(6)
    row(0x1a, Moves::In(4, 1), false, Disk::mode_sense),      // MODE SENSE(6)
    row(0x1b, Moves::Nothing, false, Disk::start_stop),       // START STOP UNIT
    row(0x1e, Moves::Nothing, false, Disk::prevent),          // PREVENT ALLOW MEDIUM REMOVAL
    row(0x25, Moves::Fixed(8), true, Disk::capacity_10),      // READ CAPACITY
    row(0x28, Moves::BlocksIn, true, Disk::read),             // READ(10)
    row(0x2a, Moves::BlocksOut, true, Disk::write),           // WRITE(10)
    row(0x2b, Moves::Nothing, true, Disk::seek),              // SEEK(10)
    row(0x2e, Moves::BlocksOut, true, Disk::write),           // WRITE AND VERIFY(10)
    row(0x2f, Moves::Compared, true, Disk::verify),           // VERIFY(10)
    row(0x35, Moves::Nothing, true, Disk::synchronize),       // SYNCHRONIZE CACHE
    row(0x43, Moves::In(7, 2), true, Disk::read_toc),         // READ TOC/PMA/ATIP
    row(0x46, Moves::In(7, 2), false, Disk::configuration),   // GET CONFIGURATION
    row(0x4a, Moves::In(7, 2), false, Disk::event_status),    // GET EVENT STATUS NOTIFICATION
    row(0x51, Moves::In(7, 2), true, Disk::disc_information), // READ DISC INFORMATION
    row(0x52, Moves::In(7, 2), true, Disk::track_information), // READ TRACK INFORMATION
    row(0x55, Moves::Out(7, 2), false, Disk::mode_select),    // MODE SELECT(10)
    row(0x56, Moves::Nothing, false, Disk::reserve),          // RESERVE(10)
    row(0x57, Moves::Nothing, false, Disk::reserve),          // RELEASE(10)
    row(0x5a, Moves::In(7, 2), false, Disk::mode_sense),      // MODE SENSE(10)
    row(0x88, Moves::BlocksIn, true, Disk::read),             // READ(16)
    row(0x8a, Moves::BlocksOut, true, Disk::write),           // WRITE(16)
    action(0x9e, 0x10, Moves::In(10, 4), Disk::capacity_16),  // READ CAPACITY(16)
    row(0xa8, Moves::BlocksIn, true, Disk::read),             // READ(12)
    row(0xaa, Moves::BlocksOut, true, Disk::write),           // WRITE(12)
    row(0xad, Moves::In(8, 2), true, Disk::dvd_structure),    // READ DISC STRUCTURE
    row(0xbb, Moves::Nothing, false, nothing),                // SET CD SPEED
    row(0xbd, Moves::In(8, 2), false, Disk::mechanism_status), // MECHANISM STATUS
    row(0xbe, Moves::SectorsIn(6, 3, 2048), true, Disk::read_cd), // READ CD
];

impl Disk {
    fn verify(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let how = match task.cdb.byte(1) >> 1 & 3 {
            0 => Verify::Readable,
            1 => Verify::Same,
            _ => Verify::Unknown,
        };
        self.verify_blocks(task, how)
    }
}
