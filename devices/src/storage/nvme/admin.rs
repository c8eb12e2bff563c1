//! Admin commands (NVM Express 1.4, 5).

use super::command::Command;
use super::namespace::{FORMATS, MAX};
use super::queue::{Completion, Submission};
use super::reach::Way;
use super::status::{Answer, OK, Status};
use super::{Nvme, features, log};

/// Opcodes (figure 139), in the order of their numbers.
pub(super) mod op {
    pub(crate) const DELETE_SQ: u8 = 0x00;
    pub(crate) const CREATE_SQ: u8 = 0x01;
    pub(crate) const GET_LOG: u8 = 0x02;
    pub(crate) const DELETE_CQ: u8 = 0x04;
    pub(crate) const CREATE_CQ: u8 = 0x05;
    pub(crate) const IDENTIFY: u8 = 0x06;
    pub(crate) const ABORT: u8 = 0x08;
    pub(crate) const SET_FEATURES: u8 = 0x09;
    pub(crate) const GET_FEATURES: u8 = 0x0a;
    pub(crate) const EVENT_REQUEST: u8 = 0x0c;
    pub(crate) const FORMAT: u8 = 0x80;
}

/// All namespaces.
pub(super) const BROADCAST: u32 = u32::MAX;
/// Exponents of the sizes of the entries of submission and completion queues.
const ENTRY_SIZES: (u32, u32) = (6, 4);

impl Nvme {
    /// Serves a command of the admin queue.
    pub(super) fn admin(&mut self, c: &Command) -> Result<Answer, Status> {
        if c.psdt() != 0 {
            return Err(Status::INVALID_FIELD);
        }
        match c.opcode() {
            op::DELETE_SQ => self.delete_submission(c),
            op::CREATE_SQ => self.create_submission(c),
            op::GET_LOG => self.get_log(c),
            op::DELETE_CQ => self.delete_completion(c),
            op::CREATE_CQ => self.create_completion(c),
            op::IDENTIFY => self.identify(c),
            op::ABORT => Ok(Answer::Done(self.abort(c))),
            op::SET_FEATURES => self.set_features(c),
            op::GET_FEATURES => self.get_features(c),
            op::EVENT_REQUEST => self.request_event(c),
            op::FORMAT => self.format(c),
            other => {
                self.kit.report.unimplemented(format_args!("admin command {other:#x}"));
                Err(Status::INVALID_OPCODE)
            }
        }
    }

    /// Sends data of an admin command to the host: as much of it as there are `len` bytes.
    pub(super) fn answer(&mut self, c: &Command, data: &[u8], len: usize) -> Result<Answer, Status> {
        let data = &data[..len.min(data.len())];
        if data.is_empty() {
            return OK;
        }
        let pieces = self.reach.pieces(c, data.len(), self.page(), Way::ToHost)?;
        self.reach.scatter(&pieces, data)?;
        OK
    }

    /// The number of a queue in dword 10, which must not be the admin queue's.
    fn io_queue(&self, c: &Command) -> Result<usize, Status> {
        let id = (c.dword(10) & 0xffff) as usize;
        if id == 0 || id >= self.completions.len() { Err(Status::INVALID_QID) } else { Ok(id) }
    }

    /// Base and size of a queue that is to be created (5.3, 5.4).
    fn memory_of_queue(&self, c: &Command) -> Result<(u64, u32), Status> {
        let (base, size) = (c.prp1(), c.dword(10) >> 16);
        if size == 0 || size > u32::from(self.options.mqes) {
            return Err(Status::QUEUE_SIZE);
        }
        // Queues are contiguous here (CAP.CQR).
        if c.dword(11) & 1 == 0 {
            return Err(Status::INVALID_FIELD);
        }
        if base == 0 || base & (self.page() - 1) != 0 {
            return Err(Status::PRP_OFFSET);
        }
        Ok((base, size + 1))
    }

    fn create_completion(&mut self, c: &Command) -> Result<Answer, Status> {
        let id = self.io_queue(c)?;
        if self.completions[id].is_some() {
            return Err(Status::INVALID_QID);
        }
        let (base, size) = self.memory_of_queue(c)?;
        let vector = (c.dword(11) >> 16) as u16;
        let vectors = if self.msix.enabled(&self.config) { self.msix.vectors() } else { 1 };
        if vector >= vectors {
            return Err(Status::INVALID_VECTOR);
        }
        if self.entry_sizes().1 != ENTRY_SIZES.1 {
            return Err(Status::INVALID_FIELD);
        }
        let interrupts = c.dword(11) & 2 != 0;
        self.completions[id] = Some(Completion::new(base, size, interrupts.then_some(vector)));
        OK
    }

    fn create_submission(&mut self, c: &Command) -> Result<Answer, Status> {
        let id = self.io_queue(c)?;
        if self.submissions[id].is_some() {
            return Err(Status::INVALID_QID);
        }
        let cq = (c.dword(11) >> 16) as u16;
        if cq == 0 || self.completions.get(usize::from(cq)).is_none_or(Option::is_none) {
            return Err(Status::INVALID_CQ);
        }
        let (base, size) = self.memory_of_queue(c)?;
        if self.entry_sizes().0 != ENTRY_SIZES.0 {
            return Err(Status::INVALID_FIELD);
        }
        self.submissions[id] = Some(Submission::new(base, size, cq));
        OK
    }

    /// Commands are complete when they have been taken from their queue: none is lost, and those that have not been taken
    /// go with it (5.6).
    fn delete_submission(&mut self, c: &Command) -> Result<Answer, Status> {
        let id = self.io_queue(c)?;
        self.submissions[id].take().ok_or(Status::INVALID_QID)?;
        OK
    }

    fn delete_completion(&mut self, c: &Command) -> Result<Answer, Status> {
        let id = self.io_queue(c)?;
        if self.submissions.iter().flatten().any(|sq| usize::from(sq.cq) == id) {
            return Err(Status::QUEUE_DELETION);
        }
        self.completions[id].take().ok_or(Status::INVALID_QID)?;
        self.update_pin();
        OK
    }

    /// Only event requests can still be there to abort (5.1); dword 0 says whether one was.
    fn abort(&mut self, c: &Command) -> u32 {
        let (queue, cid) = (c.dword(10) as u16, (c.dword(10) >> 16) as u16);
        u32::from(queue != 0 || !self.logs.abort_request(cid))
    }

    fn request_event(&mut self, c: &Command) -> Result<Answer, Status> {
        if self.logs.requests() > usize::from(self.options.aerl) {
            return Err(Status::EVENT_LIMIT);
        }
        self.logs.request(c.cid());
        Ok(Answer::Later)
    }

    /// Dword 10: format, protection information, secure erase (5.23).
    fn format(&mut self, c: &Command) -> Result<Answer, Status> {
        let [format, protection, erase] = [c.dword(10) & 0xf, c.dword(10) >> 5 & 7, c.dword(10) >> 9 & 7];
        if format as usize >= FORMATS.len() || protection != 0 || c.dword(10) & 0x10 != 0 {
            return Err(Status::INVALID_FORMAT);
        }
        // No erasure, or of user data: there is no key to throw away.
        if erase > 1 {
            return Err(Status::INVALID_FIELD);
        }
        let all = c.nsid() == BROADCAST;
        if !all {
            self.active(c.nsid())?;
        }
        for ns in self.namespaces.iter_mut().filter(|ns| all || ns.state.nsid == c.nsid()) {
            ns.format(format as u8)?;
        }
        OK
    }

    /// Where in the list an active namespace is (6.1.2).
    pub(super) fn active(&self, nsid: u32) -> Result<usize, Status> {
        if nsid == 0 || nsid > MAX {
            return Err(Status::INVALID_NAMESPACE);
        }
        self.find(nsid).map_err(|_| Status::INVALID_FIELD)
    }

    /// Something about a namespace has changed; a host that has not started the controller will find out by itself.
    pub(super) fn namespace_changed(&mut self, nsid: u32) {
        if !self.is_ready() {
            return;
        }
        self.logs.namespace_changed(nsid);
        if self.features.wants(features::NOTICE_NAMESPACE) {
            self.event_happened(log::Event::NAMESPACE);
            self.work();
        }
    }
}
