//! The world outside of a machine: host time, and what backends have for its devices.  This is the one door through which
//! anything that differs from run to run comes in (I1).

/// What somebody outside wants of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// End the run at once.
    Quit,
    /// Reset the machine.
    Reset,
    /// Hold the machine.
    Pause,
    /// Give control back to the caller of [`super::Machine::run`]: somebody outside wants something.
    Attend,
}

/// The outside of a machine.
pub trait Outside {
    /// Nanoseconds of host time since some fixed point.
    fn now(&mut self) -> u64;

    /// Lets backends do their own work, and looks at what has come.  Called often: cheap if there is nothing.
    fn poll(&mut self);

    /// Waits until there may be something new, at most this many nanoseconds (`None`: however long it takes).
    fn wait(&mut self, timeout_ns: Option<u64>);

    /// The ports (device and its backend number) that may have something.
    fn ports(&self) -> Vec<(u32, u32)>;

    /// Takes what there is for a port: at most `room` bytes, or one frame.
    fn take(&mut self, device: u32, port: u32, room: usize) -> Option<Vec<u8>>;

    /// Takes what somebody wants of the run.
    fn control(&mut self) -> Option<Control>;

    /// Can anything still come?  If not, a machine that waits for input waits in vain.
    fn alive(&self) -> bool;
}

/// Nothing outside: a machine that is alone is determined by its initial state.
#[derive(Clone, Copy, Default, Debug)]
pub struct Nobody;

impl Outside for Nobody {
    fn now(&mut self) -> u64 {
        0
    }

    fn poll(&mut self) {}

    fn wait(&mut self, _timeout_ns: Option<u64>) {}

    fn ports(&self) -> Vec<(u32, u32)> {
        Vec::new()
    }

    fn take(&mut self, _device: u32, _port: u32, _room: usize) -> Option<Vec<u8>> {
        None
    }

    fn control(&mut self) -> Option<Control> {
        None
    }

    fn alive(&self) -> bool {
        false
    }
}
