//! `prctl(2)`.

use crate::abi::flags::Prctl;
use crate::abi::{Errno, GuestPtr, ULong};
use crate::args::{Const, Ptr, RawArgs};
use crate::cx::{Cx, SysResult};
use crate::process::Process;
use tern_host::sys;

/// Longest name of anonymous memory with its terminator (`ANON_VMA_NAME_MAX_LEN`).
const ANON_NAME_MAX: usize = 80;

/// Does the option change what tern keeps?
pub fn is_own(_process: &Process, args: &RawArgs) -> bool {
    matches!(args[0] & 0xffff_ffff, Prctl::PR_SET_NAME | Prctl::PR_SET_VMA)
}

/// `prctl(2)`.
pub fn prctl(cx: &mut Cx<'_>, option: Const<Prctl>, a: Ptr, b: Ptr, c: Ptr, d: Ptr) -> SysResult {
    let args = [a.0, b.0, c.0, d.0];
    match u64::from(option.0) {
        Prctl::PR_SET_NAME => set_name(cx, a.0),
        Prctl::PR_GET_NAME => {
            let mut name = [0; 16];
            let own = &cx.thread().name;
            name[..own.len().min(15)].copy_from_slice(&own[..own.len().min(15)]);
            cx.put_bytes(a.0, &name)?;
            Ok(0)
        }
        Prctl::PR_GET_PDEATHSIG | Prctl::PR_GET_CHILD_SUBREAPER => {
            let value = sys::proc::prctl_get(option.0 as i32)?;
            cx.write(GuestPtr::<i32>::new(a.0), &value)?;
            Ok(0)
        }
        Prctl::PR_GET_TID_ADDRESS => {
            let address = cx.thread().clear_child_tid;
            cx.write(GuestPtr::<ULong>::new(a.0), &address)?;
            Ok(0)
        }
        Prctl::PR_SET_VMA => set_vma(cx, args),
        // No guest here has an alignment or timestamp control, and the kernel then says the same.
        Prctl::PR_GET_UNALIGN | Prctl::PR_SET_UNALIGN | Prctl::PR_GET_TSC | Prctl::PR_SET_TSC => {
            Err(Errno::EINVAL.into())
        }
        Prctl::PR_GET_TIMING => Ok(0),
        Prctl::PR_SET_TIMING => {
            if a.0 == 0 {
                Ok(0)
            } else {
                Err(Errno::EINVAL.into())
            }
        }
        // A guest is not under tern's seccomp filters, and tern does not interpret the guest's.
        Prctl::PR_GET_SECCOMP => Ok(0),
        Prctl::PR_RISCV_V_GET_CONTROL => vector_control(cx),
        Prctl::PR_SET_PDEATHSIG
        | Prctl::PR_GET_DUMPABLE
        | Prctl::PR_SET_DUMPABLE
        | Prctl::PR_GET_KEEPCAPS
        | Prctl::PR_SET_KEEPCAPS
        | Prctl::PR_CAPBSET_READ
        | Prctl::PR_CAPBSET_DROP
        | Prctl::PR_GET_SECUREBITS
        | Prctl::PR_SET_SECUREBITS
        | Prctl::PR_GET_TIMERSLACK
        | Prctl::PR_SET_TIMERSLACK
        | Prctl::PR_SET_CHILD_SUBREAPER
        | Prctl::PR_SET_NO_NEW_PRIVS
        | Prctl::PR_GET_NO_NEW_PRIVS
        | Prctl::PR_SET_THP_DISABLE
        | Prctl::PR_GET_THP_DISABLE
        | Prctl::PR_CAP_AMBIENT => Ok(sys::proc::prctl(option.0 as i32, args)? as u64),
        other => {
            cx.unimplemented(format_args!("prctl option {other}"));
            Err(Errno::EINVAL.into())
        }
    }
}

/// `PR_SET_NAME`; the main thread's name is also the host's, so that `ps` shows it.
fn set_name(cx: &mut Cx<'_>, addr: u64) -> SysResult {
    let mut name = Vec::new();
    for at in 0..15 {
        match cx.bytes(addr.wrapping_add(at), 1)?[0] {
            0 => break,
            b => name.push(b),
        }
    }
    if cx.tid == cx.process.pid && cx.process.script.is_none() {
        sys::proc::set_thread_name(&name)?;
    }
    cx.thread().name = name;
    Ok(0)
}

/// `PR_SET_VMA_ANON_NAME`, the only sub-option of `PR_SET_VMA`.
fn set_vma(cx: &mut Cx<'_>, args: [u64; 4]) -> SysResult {
    let [which, addr, len, name] = args;
    if which != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = if name == 0 {
        None
    } else {
        let text = cx.mem().cstr(name, ANON_NAME_MAX).map_err(|e| if e == Errno::E2BIG { Errno::EINVAL } else { e })?;
        let ok = |b: &u8| matches!(b, 0x20..=0x7e) && !b"\\`$[]".contains(b);
        if !text.as_bytes().iter().all(ok) {
            return Err(Errno::EINVAL.into());
        }
        Some(text.into_bytes())
    };
    cx.mem().name_anon(addr, len, name)?;
    Ok(0)
}

/// `PR_RISCV_V_GET_CONTROL`: V is on for this thread and by default (Documentation/arch/riscv/vector.rst).
fn vector_control(cx: &Cx<'_>) -> SysResult {
    const ON: u64 = 2;
    if cx.isa().machine == 243 && crate::isa::riscv::has_letter(&cx.process.model.isa_string, 'v') {
        Ok(ON)
    } else {
        Err(Errno::EINVAL.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::abi::Errno;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    #[test]
    fn names_are_cut_to_fifteen_bytes() {
        let mut f = Fixture::new(&RISCV64);
        f.process.pid += 1;
        let tid = f.process.pid - 1;
        f.cx().process.mem.put_bytes(SCRATCH, b"a-very-long-thread-name\0").expect("scratch");
        let row = crate::table::row("prctl").expect("a row");
        let mut cx = crate::cx::Cx { process: &mut f.process, engine: &mut f.engine, tid };
        assert!((row.run)(&mut cx, &[15, SCRATCH, 0, 0, 0, 0]).is_ok());
        assert_eq!(cx.thread().name, b"a-very-long-thr");
        assert!((row.run)(&mut cx, &[16, SCRATCH, 0, 0, 0, 0]).is_ok());
        assert_eq!(cx.bytes(SCRATCH, 16), Ok(b"a-very-long-thr\0".to_vec()));
    }

    #[test]
    fn unknown_options_are_counted() {
        let mut f = Fixture::new(&RISCV64);
        assert_eq!(f.call("prctl", [0x7777, 0, 0, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.process.mem.events.summary(), "unimplemented: prctl option 30583: 1\n");
        assert_eq!(f.call("prctl", [39, 0, 0, 0, 0, 0]), Some(Ok(0)), "PR_GET_NO_NEW_PRIVS");
    }
}
