//! `riscv_hwprobe(2)`: what the CPU model offers (Documentation/arch/riscv/hwprobe.rst).

use crate::abi::structs::RiscvHwprobe;
use crate::abi::{Errno, Field};
use crate::args::{OutArr, Ptr, Size, Uint};
use crate::cx::{Cx, SysResult};

/// Highest user virtual address, which is the address space's to tell.
const KEY_HIGHEST_VIRT_ADDRESS: i64 = 7;
/// `RISCV_HWPROBE_WHICH_CPUS`.
const WHICH_CPUS: u32 = 1;

/// The value of a key; `None` for a key that is not known.
fn value(cx: &Cx<'_>, key: i64) -> Option<u64> {
    match key {
        KEY_HIGHEST_VIRT_ADDRESS => Some(cx.process.mem.layout().task_size - 1),
        _ => cx.process.model.probe.iter().find(|(k, _)| *k == key).map(|(_, value)| *value),
    }
}

/// Keys whose values are sets of bits; a wanted value is one that the CPU has all bits of.
const BIT_SETS: [i64; 2] = [3, 4];

/// `riscv_hwprobe(2)`.
pub fn riscv_hwprobe(
    cx: &mut Cx<'_>,
    pairs: OutArr<RiscvHwprobe>,
    count: Size,
    size: Size,
    cpus: Ptr,
    flags: Uint,
) -> SysResult {
    if flags.0 & !WHICH_CPUS != 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags.0 & WHICH_CPUS != 0 {
        return which_cpus(cx, pairs, count.0, (cpus.0, size.0));
    }
    // Either all CPUs (no set) or a set with at least one that exists.
    if cpus.0 != 0 || size.0 != 0 {
        let set = cx.bytes(cpus.0, size.0.min(1024))?;
        if set.iter().all(|b| *b == 0) {
            return Err(Errno::EINVAL.into());
        }
    }
    let abi = cx.abi();
    for n in 0..count.0 {
        let at = pairs.0.at(n, abi);
        let key = cx.read(at)?.key;
        let pair = match value(cx, key) {
            Some(value) => RiscvHwprobe { key, value },
            None => RiscvHwprobe { key: -1, value: 0 },
        };
        cx.write(at, &pair)?;
    }
    Ok(0)
}

/// Keeps the CPUs of a set that have the wanted values; all CPUs are alike.
fn which_cpus(cx: &mut Cx<'_>, pairs: OutArr<RiscvHwprobe>, count: u64, set: (u64, u64)) -> SysResult {
    let (addr, size) = set;
    if addr == 0 || size == 0 {
        return Err(Errno::EINVAL.into());
    }
    let abi = cx.abi();
    let online = tern_host::sys::proc::cpus_online();
    let mut bits = cx.bytes(addr, size.min(1024))?;
    let any = bits.iter().any(|b| *b != 0);
    let mut alike = true;
    for n in 0..count {
        let at = pairs.0.at(n, abi);
        let want = cx.read(at)?;
        match value(cx, want.key) {
            Some(have) if BIT_SETS.contains(&want.key) => alike &= have & want.value == want.value,
            Some(have) => alike &= have == want.value,
            None => {
                alike = false;
                cx.put_bytes(at.addr, &RiscvHwprobe::to_bytes(&RiscvHwprobe { key: -1, value: 0 }, abi))?;
            }
        }
    }
    for (n, byte) in bits.iter_mut().enumerate() {
        let exist = (0..8).filter(|b| (n as u64 * 8 + b) < online).fold(0u8, |acc, b| acc | 1 << b);
        *byte = if alike { exist & if any { *byte } else { 0xff } } else { 0 };
    }
    cx.put_bytes(addr, &bits)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::GuestPtr;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn keys_tell_the_model() {
        let mut f = Fixture::new(&RISCV64);
        for (n, key) in [3i64, 4, 99].into_iter().enumerate() {
            let at = GuestPtr::<RiscvHwprobe>::new(SCRATCH).at(n as u64, RISCV64.abi);
            f.cx().write(at, &RiscvHwprobe { key, value: 7 }).expect("scratch");
        }
        assert_eq!(f.call("riscv_hwprobe", [SCRATCH, 3, 0, 0, 0, 0]), Some(Ok(0)));
        let mut get = |n| {
            let pair = f.cx().read(GuestPtr::<RiscvHwprobe>::new(SCRATCH).at(n, RISCV64.abi)).expect("written");
            (pair.key, pair.value)
        };
        assert_eq!((get(0), get(1), get(2)), ((3, 1), (4, 0b10_1011), (-1, 0)));
        assert_eq!(f.call("riscv_hwprobe", [SCRATCH, 3, 0, 0, 2, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("riscv_hwprobe", [SCRATCH + 0x2000, 1, 0, 0, 0, 0]), Some(Err(Errno::EFAULT)));
    }
}
