//! `riscv_hwprobe(2)`: what the CPU model offers (Documentation/arch/riscv/hwprobe.rst).

use crate::abi::structs::RiscvHwprobe;
use crate::abi::{Errno, Field};
use crate::args::{OutArr, Ptr, Size, Uint};
use crate::cx::{Cx, SysResult};
use crate::isa::riscv::{has_extension, has_letter};

/// Bits of key 4 (`RISCV_HWPROBE_KEY_IMA_EXT_0`) by multi-letter extension.
const EXTENSIONS: &[(u32, &str)] = &[
    (3, "zba"),
    (4, "zbb"),
    (5, "zbs"),
    (6, "zicboz"),
    (7, "zbc"),
    (8, "zbkb"),
    (9, "zbkc"),
    (10, "zbkx"),
    (11, "zknd"),
    (12, "zkne"),
    (13, "zknh"),
    (14, "zksed"),
    (15, "zksh"),
    (16, "zkt"),
    (17, "zvbb"),
    (18, "zvbc"),
    (19, "zvkb"),
    (20, "zvkg"),
    (21, "zvkned"),
    (22, "zvknha"),
    (23, "zvknhb"),
    (24, "zvksed"),
    (25, "zvksh"),
    (26, "zvkt"),
    (27, "zfh"),
    (28, "zfhmin"),
    (29, "zihintntl"),
    (30, "zvfh"),
    (31, "zvfhmin"),
    (32, "zfa"),
    (33, "ztso"),
    (34, "zacas"),
    (35, "zicond"),
    (36, "zihintpause"),
    (37, "zve32x"),
    (38, "zve32f"),
    (39, "zve64x"),
    (40, "zve64f"),
    (41, "zve64d"),
    (42, "zimop"),
    (43, "zca"),
    (44, "zcb"),
    (45, "zcd"),
    (46, "zcf"),
    (47, "zcmop"),
    (48, "zawrs"),
];

/// Highest key of Linux 6.12.
const KEY_MAX: i64 = 8;
/// `RISCV_HWPROBE_WHICH_CPUS`.
const WHICH_CPUS: u32 = 1;

/// The value of a key; `None` for a key that is not known.
fn value(cx: &Cx<'_>, key: i64) -> Option<u64> {
    let isa = cx.process.model.isa_string.as_str();
    Some(match key {
        // mvendorid, marchid, mimpid: none that JEDEC or RISC-V International gave out.
        0..=2 => 0,
        // Base behaviour IMA.
        3 => u64::from(has_letter(isa, 'i') && has_letter(isa, 'm') && has_letter(isa, 'a')),
        4 => extensions(isa),
        // Misaligned scalar accesses are fast (3) in both encodings.
        5 | 8 => 3,
        // Size of a cbo.zero block.
        6 => {
            if has_extension(isa, "zicboz") {
                64
            } else {
                0
            }
        }
        // Highest user virtual address.
        7 => cx.process.mem.layout().task_size - 1,
        _ => return None,
    })
}

fn extensions(isa: &str) -> u64 {
    let fd = has_letter(isa, 'f') && has_letter(isa, 'd');
    let mut bits = u64::from(fd) | u64::from(has_letter(isa, 'c')) << 1 | u64::from(has_letter(isa, 'v')) << 2;
    for (bit, name) in EXTENSIONS {
        bits |= u64::from(has_extension(isa, name)) << bit;
    }
    bits
}

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
        match value(cx, want.key).filter(|_| (0..=KEY_MAX).contains(&want.key)) {
            Some(have) if want.key == 3 || want.key == 4 => alike &= have & want.value == want.value,
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
        f.process.model.isa_string = "rv64imafdc_zba_zbs".into();
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
