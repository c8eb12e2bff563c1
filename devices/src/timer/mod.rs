//! Timers and clocks.

pub mod mtime;

crate::devices! {
    /// RISC-V ACLINT, machine-level timer.
    aclint_mtimer,
    /// Goldfish real-time clock.
    goldfish_rtc,
    /// SiFive's core-local interruptor.
    sifive_clint,
}
