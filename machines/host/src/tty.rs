//! The user's terminal.

use std::io::{self, IsTerminal};

/// Is standard input a terminal?
#[must_use]
pub fn stdin_is_tty() -> bool {
    io::stdin().is_terminal()
}

/// Raw mode of a terminal; dropping it restores the settings that were in force.
#[derive(Debug)]
pub struct RawMode {
    #[cfg(target_os = "linux")]
    fd: crate::sys::Fd,
    #[cfg(target_os = "linux")]
    saved: crate::sys::termios::Termios,
}

#[cfg(target_os = "linux")]
impl RawMode {
    /// Makes the terminal `fd` raw: every byte at once, no echo, no signals from keys.
    ///
    /// # Errors
    /// `ENOTTY` if it is no terminal.
    pub fn enter(fd: i32) -> io::Result<RawMode> {
        use crate::sys::termios::{When, get, make_raw, set};
        let saved = get(fd)?;
        set(fd, When::Drain, &make_raw(saved))?;
        Ok(RawMode { fd, saved })
    }
}

#[cfg(target_os = "linux")]
impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = crate::sys::termios::set(self.fd, crate::sys::termios::When::Drain, &self.saved);
    }
}

#[cfg(not(target_os = "linux"))]
impl RawMode {
    /// std has no raw mode.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn enter(_fd: i32) -> io::Result<RawMode> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}
