//! Counted events: guest mistakes, and what tern has not built.

use std::collections::BTreeMap;

/// Where log lines go: the kind (`unimp`, `guest_errors`, `strace`) and the text.
pub type LogHook = Box<dyn FnMut(&str, core::fmt::Arguments<'_>)>;

/// Counters and the log.
#[derive(Default)]
pub struct Events {
    guest_errors: BTreeMap<String, u64>,
    unimplemented: BTreeMap<String, u64>,
    log: Option<LogHook>,
}

/// Distinct texts that are kept; a hostile guest must not fill our memory with them.
const DISTINCT_MAX: usize = 4096;

fn count(map: &mut BTreeMap<String, u64>, text: String) -> bool {
    if let Some(n) = map.get_mut(&text) {
        *n += 1;
        return false;
    }
    let text = if map.len() < DISTINCT_MAX { text } else { "(further kinds)".to_owned() };
    *map.entry(text).or_insert(0) += 1;
    true
}

impl Events {
    /// Sends log lines to `hook`.
    pub fn set_log(&mut self, hook: Option<LogHook>) {
        self.log = hook;
    }

    /// Writes a log line.
    pub fn log(&mut self, kind: &str, text: core::fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            log(kind, text);
        }
    }

    /// Counts a guest mistake; the first of its kind is logged.
    pub fn guest_error(&mut self, text: core::fmt::Arguments<'_>) {
        if count(&mut self.guest_errors, text.to_string()) {
            self.log("guest_errors", text);
        }
    }

    /// Counts something that tern has not built; the first of its kind is logged.
    pub fn unimplemented(&mut self, text: core::fmt::Arguments<'_>) {
        if count(&mut self.unimplemented, text.to_string()) {
            self.log("unimp", text);
        }
    }

    /// What was missing and how often it was asked for.
    #[must_use]
    pub fn unimplemented_counts(&self) -> &BTreeMap<String, u64> {
        &self.unimplemented
    }

    /// Guest mistakes and how often they were made.
    #[must_use]
    pub fn guest_error_counts(&self) -> &BTreeMap<String, u64> {
        &self.guest_errors
    }

    /// The summary of what was missing, one line each; empty if nothing was.
    #[must_use]
    pub fn summary(&self) -> String {
        self.unimplemented.iter().map(|(text, n)| format!("unimplemented: {text}: {n}\n")).collect()
    }
}
