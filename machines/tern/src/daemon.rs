//! `-daemonize`: tern goes on in the background once the machine is made, and whoever called it goes on too.

use tern_host::sys::{Fd, file, host, proc};

/// What the child says when all is well.
const READY: u8 = 1;

/// The child's end.
pub(crate) struct Daemon(Fd);

impl Daemon {
    /// Splits off the child, which gets this; the parent waits for it and ends.
    ///
    /// # Errors
    /// The system has no process or descriptor left.
    pub(crate) fn split() -> Result<Daemon, String> {
        let failed = |what: &str, e: tern_host::sys::Errno| format!("-daemonize: {what}: {e}");
        let (read, write) = file::pipe2(host::O_CLOEXEC).map_err(|e| failed("pipe", e))?;
        let child = proc::fork().map_err(|e| failed("fork", e))?;
        if child == 0 {
            let _ = file::close(read);
            proc::setsid().map_err(|e| failed("setsid", e))?;
            return Ok(Daemon(write));
        }
        let _ = file::close(write);
        let mut word = [0];
        let well = file::read(read, &mut word) == Ok(1) && word[0] == READY;
        // What went wrong has been said by the child.
        std::process::exit(i32::from(!well));
    }

    /// The machine is made: the parent may go, and with it the terminal.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn ready(self) -> Result<(), String> {
        let failed = |e: tern_host::sys::Errno| format!("-daemonize: {e}");
        let null = file::openat(host::AT_FDCWD, c"/dev/null", host::O_RDWR, 0).map_err(failed)?;
        for fd in 0..3 {
            file::dup3(null, fd, 0).map_err(failed)?;
        }
        if null > 2 {
            let _ = file::close(null);
        }
        file::write(self.0, &[READY]).map_err(failed)?;
        file::close(self.0).map_err(failed)
    }
}
