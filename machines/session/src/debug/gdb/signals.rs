//! gdb's own numbers of signals (gdb's `include/gdb/signals.def`), and Linux's in the asm-generic numbering.

/// gdb's numbers of Linux's signals 1 to 31; 143 is "unknown".
const TO_GDB: [u8; 31] = [
    1, 2, 3, 4, 5, 6, 10, 8, 9, 30, 11, 31, 13, 14, 15, 143, 20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12,
];

/// gdb's number of a signal.
pub(super) fn to_gdb(signo: i32) -> u8 {
    match signo {
        1..=31 => TO_GDB[signo as usize - 1],
        32 => 77,
        33..=63 => (signo - 33 + 45) as u8,
        64 => 78,
        _ => 143,
    }
}

/// Linux's number of a signal of gdb's; `None` for none, and for one that Linux does not have.
pub(super) fn from_gdb(number: u8) -> Option<i32> {
    (1..=64).find(|signo| number != 143 && to_gdb(*signo) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree() {
        for signo in (1..=64).filter(|n| *n != 16) {
            assert_eq!(from_gdb(to_gdb(signo)), Some(signo));
        }
        assert_eq!((from_gdb(0), from_gdb(143), to_gdb(7), to_gdb(17), to_gdb(34)), (None, None, 10, 20, 46));
    }
}
