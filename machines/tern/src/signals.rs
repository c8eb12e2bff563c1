//! What a shell says when a program is ended by a signal.

/// Texts by number, as the C library's `strsignal` has them for the numbers that Linux guests share (asm-generic).
const TEXTS: [&str; 32] = [
    "",
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// A signal's text.
pub(crate) fn text(signo: i32) -> String {
    match usize::try_from(signo).ok().and_then(|n| TEXTS.get(n)) {
        Some(text) if !text.is_empty() => (*text).to_owned(),
        _ if (34..=64).contains(&signo) => format!("Real-time signal {}", signo - 34),
        _ => format!("Unknown signal {signo}"),
    }
}

/// Does a shell keep quiet about it?
pub(crate) fn silent(signo: i32) -> bool {
    const SIGINT: i32 = 2;
    const SIGPIPE: i32 = 13;
    matches!(signo, SIGINT | SIGPIPE)
}
