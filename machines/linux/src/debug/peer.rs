//! A connection with a debugger.

use crate::abi::Errno;
use crate::mm::map::hide;
use crate::mm::vma::HiddenFd;
use tern_host::sys;
use tern_host::sys::wait::PollFd;
use tern_session::debug::gdb::Wire;

/// Most bytes of one look.
const PIECE: usize = 1 << 14;

/// A connected stream socket, out of the guest's way.
#[derive(Debug)]
pub struct Peer(HiddenFd);

impl Peer {
    /// A connection that somebody has accepted; it is the peer's own from now on.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn new(fd: i32) -> Result<Peer, Errno> {
        let hidden = hide(fd);
        let _ = sys::file::close(fd);
        Ok(Peer(hidden?))
    }

    /// A connection that the program before this one had.
    ///
    /// # Errors
    /// There is no such descriptor.
    pub fn inherited(fd: i32) -> Result<Peer, Errno> {
        sys::file::fcntl(fd, sys::host::F_SETFD, sys::host::FD_CLOEXEC)?;
        Ok(Peer(HiddenFd(fd)))
    }

    /// Its descriptor.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.0.0
    }
}

impl Wire for Peer {
    fn receive(&mut self, wait: bool) -> Option<Vec<u8>> {
        loop {
            let mut fds = [PollFd { fd: self.0.0, events: sys::host::POLLIN, revents: 0 }];
            let timeout = if wait { None } else { Some(sys::Time::default()) };
            match sys::wait::ppoll(&mut fds, timeout, None) {
                Ok(0) if !wait => return Some(Vec::new()),
                Ok(0) | Err(sys::Errno::EINTR) => continue,
                Ok(_) => {}
                Err(_) => return None,
            }
            let mut buf = vec![0; PIECE];
            match sys::file::read(self.0.0, &mut buf) {
                Ok(0) => return None,
                Ok(n) => {
                    buf.truncate(n);
                    return Some(buf);
                }
                Err(sys::Errno::EINTR | sys::Errno::EAGAIN) => {}
                Err(_) => return None,
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Nobody is told by a signal that the peer is gone.
            match sys::socket::sendto(self.0.0, rest, sys::host::MSG_NOSIGNAL, None) {
                Ok(n) => rest = &rest[n..],
                Err(sys::Errno::EINTR) => {}
                Err(sys::Errno::EAGAIN) => {
                    let mut fds = [PollFd { fd: self.0.0, events: sys::host::POLLOUT, revents: 0 }];
                    let _ = sys::wait::ppoll(&mut fds, None, None);
                }
                Err(_) => return false,
            }
        }
        true
    }
}
