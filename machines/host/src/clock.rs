//! Clocks of the host, in nanoseconds.

/// Time since an arbitrary moment; never goes back.
#[must_use]
pub fn monotonic_ns() -> u64 {
    #[cfg(target_os = "linux")]
    return linux(libc::CLOCK_MONOTONIC).unwrap_or(0).cast_unsigned();
    #[cfg(not(target_os = "linux"))]
    return since_start();
}

/// Time since 1970-01-01 00:00 UTC; may be set, and is negative before.
#[must_use]
pub fn realtime_ns() -> i64 {
    let nanos = |d: core::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

/// As [`monotonic_ns`], and counts while the host sleeps where the host can tell.
#[must_use]
pub fn boottime_ns() -> u64 {
    #[cfg(target_os = "linux")]
    if let Some(ns) = linux(libc::CLOCK_BOOTTIME) {
        return ns.cast_unsigned();
    }
    monotonic_ns()
}

/// Processor time that this process has used, if the host can tell.
#[must_use]
pub fn cpu_ns() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux(libc::CLOCK_PROCESS_CPUTIME_ID).map(i64::cast_unsigned);
    #[cfg(not(target_os = "linux"))]
    return None;
}

#[cfg(target_os = "linux")]
fn linux(clock: i32) -> Option<i64> {
    crate::sys::time::clock_gettime(clock).ok().map(crate::sys::Time::nanos)
}

#[cfg(not(target_os = "linux"))]
fn since_start() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
