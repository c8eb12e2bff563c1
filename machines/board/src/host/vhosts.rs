//! vhost-user processes behind character devices, and the devices whose queues they run.

use super::chars::Chars;
use crate::backends::{Port, User};
use std::collections::BTreeMap;
use tern_core::backend::{NetSink, VhostUser};
#[cfg(target_os = "linux")]
use tern_host::vhost::Process;
use tern_host::wait::Interest;

/// Other systems have none.
#[cfg(not(target_os = "linux"))]
enum Process {}

#[cfg(not(target_os = "linux"))]
impl Process {
    fn open(_: tern_host::chardev::Handle, _: u16) -> Result<Process, String> {
        Err("vhost-user: on Linux only".to_owned())
    }

    fn device(&self) -> Box<dyn VhostUser> {
        match *self {}
    }

    fn poll(&self) -> Option<String> {
        match *self {}
    }

    fn fds(&self, _: &mut Vec<i32>) {}

    fn take(&self, _: usize) -> Option<Vec<u8>> {
        match *self {}
    }
}

struct Entry {
    process: Process,
    user: Option<User>,
}

/// All of them, by their character devices.
#[derive(Default)]
pub(super) struct Vhosts(BTreeMap<String, Entry>);

impl Vhosts {
    /// Takes a character device over.
    pub(super) fn open(&mut self, chardev: &str, queues: u16, chars: &mut Chars) -> Result<(), String> {
        let handle = chars.take_over(chardev)?;
        match Process::open(handle, queues) {
            Ok(process) => {
                self.0.insert(chardev.to_owned(), Entry { process, user: None });
                Ok(())
            }
            Err(e) => {
                chars.give_back(chardev);
                Err(e)
            }
        }
    }

    /// Gives a character device back.
    pub(super) fn close(&mut self, chardev: &str, chars: &mut Chars) {
        if self.0.remove(chardev).is_some() {
            chars.give_back(chardev);
        }
    }

    pub(super) fn attach(&mut self, chardev: &str, user: User) -> Result<Box<dyn VhostUser>, String> {
        let entry = self.0.get_mut(chardev).ok_or_else(|| format!("there is no process at chardev '{chardev}'"))?;
        entry.user = Some(user);
        Ok(entry.process.device())
    }

    pub(super) fn users(&mut self) -> impl Iterator<Item = &mut User> {
        self.0.values_mut().filter_map(|e| e.user.as_mut())
    }

    /// A device is gone: its processes with it, but those that `keeps` says belong to something else.
    pub(super) fn release(&mut self, path: &str, chars: &mut Chars, keeps: impl Fn(&str) -> bool) {
        let its = |e: &Entry| e.user.as_ref().is_some_and(|u| u.path == path);
        let mut gone: Vec<String> = Vec::new();
        for (chardev, entry) in self.0.iter_mut().filter(|(_, e)| its(e)) {
            entry.user = None;
            if !keeps(chardev) {
                gone.push(chardev.clone());
            }
        }
        gone.iter().for_each(|chardev| self.close(chardev, chars));
    }

    /// Looks at all of them; lines for the user.
    pub(super) fn poll(&self) -> Vec<String> {
        self.0.values().filter_map(|e| e.process.poll()).collect()
    }

    pub(super) fn watch(&self, fds: &mut Vec<(i32, Interest)>) {
        let mut list = Vec::new();
        self.0.values().for_each(|e| e.process.fds(&mut list));
        fds.extend(list.into_iter().map(|fd| (fd, Interest::READ)));
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.0.values().filter_map(|e| e.user.as_ref()).map(|u| u.port)
    }

    pub(super) fn take(&self, port: Port, room: usize) -> Option<Vec<u8>> {
        let entry = self.0.values().find(|e| e.user.as_ref().is_some_and(|u| u.port == port))?;
        entry.process.take(room)
    }

    pub(super) fn is_used(&self) -> bool {
        self.0.values().any(|e| e.user.is_some())
    }
}

/// A network backend whose frames a process moves.
pub(super) struct Queues {
    sink: Box<dyn NetSink>,
    process: Option<(Box<dyn VhostUser>, u16)>,
}

impl Queues {
    pub(super) fn new(sink: Box<dyn NetSink>, process: Box<dyn VhostUser>, pairs: u16) -> Queues {
        Queues { sink, process: Some((process, pairs)) }
    }
}

impl NetSink for Queues {
    fn send(&mut self, frame: &[u8]) {
        self.sink.send(frame);
    }

    fn vhost(&mut self) -> Option<(Box<dyn VhostUser>, u16)> {
        self.process.take()
    }
}
