//! Processes that backends speak with over a character device's own connection: TPM emulators and ivshmem servers.

use super::chars::Chars;
use crate::backends::{Port, User};
use std::collections::VecDeque;
use std::rc::Rc;
use tern_core::backend::{Peers, Tpm};
#[cfg(target_os = "linux")]
use tern_host::{ivshmem, tpm};

/// Most bytes that wait for a device; more stays with the process.
const BACKLOG: usize = 1 << 16;

/// What comes from a process.
#[cfg(target_os = "linux")]
enum Source {
    Tpm(tpm::Responses),
    Peers(ivshmem::Interrupts),
}

#[cfg(target_os = "linux")]
impl Source {
    fn poll(&mut self) -> Vec<u8> {
        match self {
            Source::Tpm(responses) => responses.poll().unwrap_or_default(),
            Source::Peers(interrupts) => interrupts.poll(),
        }
    }

    fn fds(&self, list: &mut Vec<i32>) {
        match self {
            Source::Tpm(responses) => list.extend(responses.fd()),
            Source::Peers(interrupts) => list.extend(interrupts.fds()),
        }
    }
}

/// Other systems have none.
#[cfg(not(target_os = "linux"))]
enum Source {}

#[cfg(not(target_os = "linux"))]
impl Source {
    fn poll(&mut self) -> Vec<u8> {
        match *self {}
    }

    fn fds(&self, _: &mut Vec<i32>) {
        match *self {}
    }
}

struct Link {
    chardev: String,
    user: User,
    source: Source,
    waiting: VecDeque<u8>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Links(Vec<Link>);

impl Links {
    /// The emulator at the other end of a character device, for the device of `user`.
    #[cfg(target_os = "linux")]
    pub(super) fn tpm(
        &mut self,
        chardev: &str,
        user: User,
        chars: &mut Chars,
        tell: Rc<dyn Fn(&str)>,
    ) -> Result<Box<dyn Tpm>, String> {
        self.open(chardev, user, chars, |stream| {
            let (tpm, responses) = tpm::open(stream, Box::new(move |text| tell(text)))?;
            Ok((tpm, Source::Tpm(responses)))
        })
    }

    /// The server at the other end of a character device, for the device of `user` with these many vectors.
    #[cfg(target_os = "linux")]
    pub(super) fn peers(
        &mut self,
        chardev: &str,
        user: User,
        chars: &mut Chars,
        vectors: u16,
    ) -> Result<Box<dyn Peers>, String> {
        self.open(chardev, user, chars, |stream| {
            let (peers, interrupts) = ivshmem::open(stream, vectors)?;
            Ok((peers, Source::Peers(interrupts)))
        })
    }

    #[cfg(target_os = "linux")]
    fn open<T>(
        &mut self,
        chardev: &str,
        user: User,
        chars: &mut Chars,
        f: impl FnOnce(std::os::unix::net::UnixStream) -> Result<(T, Source), String>,
    ) -> Result<T, String> {
        let opened = chars.take_over(chardev)?.stream().and_then(f);
        let (end, source) = opened.inspect_err(|_| chars.give_back(chardev))?;
        self.0.push(Link { chardev: chardev.to_owned(), user, source, waiting: VecDeque::new() });
        Ok(end)
    }

    /// Other systems have none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn tpm(&mut self, _: &str, _: User, _: &mut Chars, _: Rc<dyn Fn(&str)>) -> Result<Box<dyn Tpm>, String> {
        Err("TPM emulators: on Linux only".to_owned())
    }

    /// Other systems have none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn peers(&mut self, _: &str, _: User, _: &mut Chars, _: u16) -> Result<Box<dyn Peers>, String> {
        Err("ivshmem servers: on Linux only".to_owned())
    }

    /// Looks at all of them.
    pub(super) fn poll(&mut self) {
        for link in self.0.iter_mut().filter(|link| link.waiting.len() < BACKLOG) {
            link.waiting.extend(link.source.poll());
        }
    }

    pub(super) fn watch(&self, fds: &mut Vec<i32>) {
        self.0.iter().filter(|link| link.waiting.len() < BACKLOG).for_each(|link| link.source.fds(fds));
    }

    pub(super) fn users(&mut self) -> impl Iterator<Item = &mut User> {
        self.0.iter_mut().map(|link| &mut link.user)
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.0.iter().map(|link| link.user.port)
    }

    pub(super) fn take(&mut self, port: Port, room: usize) -> Option<Vec<u8>> {
        let link = self.0.iter_mut().find(|link| link.user.port == port)?;
        let n = link.waiting.len().min(room);
        (n > 0).then(|| link.waiting.drain(..n).collect())
    }

    /// A device is gone.
    pub(super) fn release(&mut self, path: &str, chars: &mut Chars) {
        for link in self.0.extract_if(.., |link| link.user.path == path) {
            chars.give_back(&link.chardev);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        !self.0.is_empty()
    }
}
