//! Rows: futexes.

use crate::abi::process_flags::{ClockId, Futex2, FutexOp};
use crate::abi::process_structs::FutexWaitv;
use crate::abi::structs::Timespec64;
use crate::args::{Const, Flags, Hex, InArr, InOpt, Num, Ptr, Size, Uint};
use crate::sys;

crate::syscalls! {
    futex(uaddr: Ptr, op: Flags<FutexOp>, val: Uint, timeout: Ptr, uaddr2: Ptr, val3: Hex) -> Num = sys::futex::futex;
    futex_time64(uaddr: Ptr, op: Flags<FutexOp>, val: Uint, timeout: Ptr, uaddr2: Ptr, val3: Hex) -> Num = sys::futex::futex_time64;
    futex_waitv(waiters: InArr<FutexWaitv>[count], count: Uint, flags: Uint, timeout: InOpt<Timespec64>, clock: Const<ClockId>) -> Num = sys::futex::futex_waitv;
    futex_wake(uaddr: Ptr, mask: Size, count: Uint, flags: Flags<Futex2>) -> Num = sys::futex::futex_wake;
    futex_wait(uaddr: Ptr, val: Size, mask: Size, flags: Flags<Futex2>, timeout: InOpt<Timespec64>, clock: Const<ClockId>) -> Num = sys::futex::futex_wait;
}
