//! Delivery, masks, frames and restart on a CPU without code.

use super::*;
use crate::abi::process_structs::{Sigaction, SignalSet};
use crate::abi::{Field, GuestPtr};
use crate::isa::riscv::{RISCV32, RISCV64};
use crate::sched::Wait;
use crate::testing::{Fixture, SCRATCH};
use crate::thread::Call;
use tern_core::state::{Role, Slot};

const STACK: u64 = SCRATCH + 0x2000;
const HANDLER: u64 = 0x4_0000;
const USR1: i32 = 10;
const USR2: i32 = 12;

fn fixture(isa: &'static crate::isa::Isa) -> Fixture {
    let mut f = Fixture::new(isa);
    f.process.image.trampoline = 0x5000;
    let sp = f.process.registers.sp;
    f.cx().state().set(sp, STACK);
    f.cx().state().set_pc(0x1000);
    f
}

fn catch(f: &mut Fixture, signo: i32, flags: u64) {
    let action = Action { handler: HANDLER + signo as u64 * 16, flags, mask: 0 };
    f.process.signals.set_action(signo, action);
}

fn send_user(f: &mut Fixture, signo: i32) {
    send(&mut f.process, SigInfo::sent(signo, SI_USER, 1, 2));
}

#[test]
fn a_handler_gets_its_frame_and_sigreturn_restores_everything() {
    for isa in [&RISCV64, &RISCV32] {
        let mut f = fixture(isa);
        let regs = f.process.registers;
        let layout = f.process.model.layout.clone();
        let f3 = layout.by_role(Role::Fpr(3)).expect("f3").slot;
        let s1 = layout.by_role(Role::Gpr(9)).expect("s1").slot;
        f.cx().state().set(f3, 0x4010_0000_0000_0000);
        f.cx().state().set(s1, 77);
        f.cx().state().set(Slot::fp_control(0), 2);
        f.cx().thread().signals.mask = bit(USR2);
        catch(&mut f, USR1, 0);
        send_user(&mut f, USR1);
        deliver(&mut f.cx());
        let size = isa.signal.size(&layout, isa.abi);
        assert_eq!(size, if isa.abi.is64() { 1088 } else { 944 }, "sizeof(struct rt_sigframe)");
        let frame = STACK - size;
        let state = f.cx().state().clone();
        assert_eq!(state.pc(), HANDLER + 160);
        assert_eq!(state.get(regs.sp), frame);
        assert_eq!((state.get(regs.args[0]), state.get(regs.args[1])), (10, frame));
        assert_eq!((state.get(regs.args[2]), state.get(regs.ra)), (frame + 128, 0x5000));
        assert_eq!(f.cx().thread().signals.mask, bit(USR1) | bit(USR2));
        f.cx().state().set(f3, 0);
        f.cx().state().set(s1, 0);
        f.cx().state().set(Slot::fp_control(0), 0);
        assert_eq!(f.call("rt_sigreturn", [0; 6]), None);
        let state = f.cx().state().clone();
        assert_eq!((state.pc(), state.get(regs.sp), state.get(s1)), (0x1000, STACK, 77));
        assert_eq!((state.get(f3), state.get(Slot::fp_control(0))), (0x4010_0000_0000_0000, 2));
        assert_eq!(f.cx().thread().signals.mask, bit(USR2));
        assert!(f.cx().thread().signals.pending.is_empty());
    }
}

#[test]
fn the_context_lies_where_the_kernel_puts_it() {
    let mut f = fixture(&RISCV64);
    catch(&mut f, USR1, 0);
    send_user(&mut f, USR1);
    deliver(&mut f.cx());
    // siginfo 128, then in ucontext: mask at 40, registers at 176, fcsr after 32 doubles.
    let frame = STACK - 1088;
    let abi = RISCV64.abi;
    let word = |f: &mut Fixture, at: u64| f.process.mem.get::<u64>(GuestPtr::new(frame + at), abi).expect("mapped");
    assert_eq!(word(&mut f, 128 + 176), 0x1000, "pc");
    assert_eq!(word(&mut f, 128 + 176 + 16), STACK, "sp");
    assert_eq!(word(&mut f, 16), 2 << 32 | 1, "sender");
    assert_eq!(word(&mut f, 1080), 0, "end mark");
}

#[test]
fn a_bad_frame_is_a_segmentation_fault() {
    let mut f = fixture(&RISCV64);
    let sp = f.process.registers.sp;
    f.cx().state().set(sp, 0x10);
    assert_eq!(f.call("rt_sigreturn", [0; 6]), None);
    deliver(&mut f.cx());
    assert_eq!(f.process.exit, Some(ExitStatus::Signal(SIGSEGV)));
}

#[test]
fn several_signals_stack_their_frames_lowest_first() {
    let mut f = fixture(&RISCV64);
    catch(&mut f, USR1, 0);
    catch(&mut f, USR2, 0);
    send_user(&mut f, USR2);
    send_user(&mut f, USR1);
    send_user(&mut f, USR1);
    deliver(&mut f.cx());
    // The last one delivered runs first.
    assert_eq!(f.cx().state().pc(), HANDLER + 12 * 16);
    let sp = f.process.registers.sp;
    assert_eq!(f.cx().state().get(sp), STACK - 2 * 1088, "a standard signal waits once");
}

#[test]
fn restart_depends_on_class_and_flag() {
    let cases = [
        (Interrupted::Restart, SA_RESTART, true),
        (Interrupted::Restart, 0, false),
        (Interrupted::NoHandler, SA_RESTART, false),
        (Interrupted::Block, SA_RESTART, false),
        (Interrupted::Never, SA_RESTART, false),
        (Interrupted::Always, 0, true),
    ];
    for (class, flags, again) in cases {
        let mut f = fixture(&RISCV64);
        let a0 = f.process.registers.result;
        f.cx().state().set(a0, 5);
        f.cx().thread().call = Call { active: true, interrupted: class, ..Call::default() };
        catch(&mut f, USR1, flags);
        send_user(&mut f, USR1);
        deliver(&mut f.cx());
        assert!(!f.cx().thread().call.active);
        assert_eq!(f.call("rt_sigreturn", [0; 6]), None);
        let (pc, value) = (f.cx().state().pc(), f.cx().state().get(a0));
        let expected = if again { (0xffc, 5) } else { (0x1000, (-4i64) as u64) };
        assert_eq!((pc, value), expected, "{class:?} {flags:#x}");
    }
}

#[test]
fn bytes_already_moved_are_the_result_of_an_interrupted_call() {
    let mut f = fixture(&RISCV64);
    let a0 = f.process.registers.result;
    f.cx().thread().call = Call { active: true, done: 3, ..Call::default() };
    catch(&mut f, USR1, SA_RESTART);
    send_user(&mut f, USR1);
    deliver(&mut f.cx());
    assert_eq!(f.call("rt_sigreturn", [0; 6]), None);
    assert_eq!((f.cx().state().pc(), f.cx().state().get(a0)), (0x1000, 3));
}

#[test]
fn a_fault_that_is_blocked_or_ignored_kills() {
    for (mask, handler) in [(bit(SIGSEGV), HANDLER), (0, SIG_IGN), (0, SIG_DFL)] {
        let mut f = fixture(&RISCV64);
        f.process.signals.set_action(SIGSEGV, Action { handler, ..Action::default() });
        f.cx().thread().signals.mask = mask;
        force(&mut f.cx(), SigInfo { signo: SIGSEGV, code: 1, addr: 8, ..SigInfo::default() });
        deliver(&mut f.cx());
        assert_eq!(f.process.exit, Some(ExitStatus::Signal(SIGSEGV)));
    }
}

#[test]
fn a_stack_that_cannot_hold_the_frame_kills() {
    let mut f = fixture(&RISCV64);
    let sp = f.process.registers.sp;
    f.cx().state().set(sp, 0x100);
    catch(&mut f, SIGSEGV, 0);
    force(&mut f.cx(), SigInfo { signo: SIGSEGV, code: 1, addr: 8, ..SigInfo::default() });
    deliver(&mut f.cx());
    assert_eq!(f.process.exit, Some(ExitStatus::Signal(SIGSEGV)));
}

#[test]
fn the_alternate_stack_is_used_once() {
    let mut f = fixture(&RISCV64);
    f.cx().thread().signals.alt = AltStack { sp: SCRATCH, flags: 0, size: 0x1000 };
    catch(&mut f, USR1, SA_ONSTACK);
    catch(&mut f, USR2, SA_ONSTACK);
    send_user(&mut f, USR1);
    deliver(&mut f.cx());
    let sp = f.process.registers.sp;
    assert_eq!(f.cx().state().get(sp), SCRATCH + 0x1000 - 1088);
    send_user(&mut f, USR2);
    deliver(&mut f.cx());
    assert_eq!(f.cx().state().get(sp), SCRATCH + 0x1000 - 2 * 1088, "on top of the first");
    let new = [SCRATCH, 0, 0, 0, 0, 0];
    assert_eq!(f.call("sigaltstack", new), Some(Err(Errno::EPERM)), "it is in use");
}

#[test]
fn sigaction_reports_the_old_one_and_refuses_kill() {
    let mut f = fixture(&RISCV32);
    let new = Sigaction { handler: 0x1234, flags: SA_RESTART, mask: SignalSet(bit(USR2) | bit(9) | bit(40)) };
    let bytes = Sigaction::to_bytes(&new, RISCV32.abi);
    assert_eq!(bytes.len(), 16);
    f.process.mem.put_bytes(SCRATCH, &bytes).expect("mapped");
    assert_eq!(f.call("rt_sigaction", [10, SCRATCH, 0, 8, 0, 0]), Some(Ok(0)));
    assert_eq!(f.call("rt_sigaction", [9, SCRATCH, 0, 8, 0, 0]), Some(Err(Errno::EINVAL)));
    assert_eq!(f.call("rt_sigaction", [10, SCRATCH, 0, 16, 0, 0]), Some(Err(Errno::EINVAL)));
    assert_eq!(f.call("rt_sigaction", [10, 0, SCRATCH + 64, 8, 0, 0]), Some(Ok(0)));
    let old = f.process.mem.get::<Sigaction>(GuestPtr::new(SCRATCH + 64), RISCV32.abi).expect("mapped");
    assert_eq!(old, Sigaction { mask: SignalSet(bit(USR2) | bit(40)), ..new });
    tern_host::signal::default(tern_host::sys::host::SIGUSR1).expect("a signal");
}

#[test]
fn suspending_swaps_the_mask_until_a_handler_runs() {
    let mut f = fixture(&RISCV64);
    f.cx().thread().signals.mask = bit(USR1);
    catch(&mut f, USR1, SA_RESTART);
    f.process.mem.put_bytes(SCRATCH, &[0; 8]).expect("mapped");
    assert_eq!(f.call("rt_sigsuspend", [SCRATCH, 8, 0, 0, 0, 0]), None);
    f.cx().thread().call = Call { active: true, interrupted: Interrupted::NoHandler, ..Call::default() };
    assert_eq!(f.cx().thread().signals.mask, 0);
    send_user(&mut f, USR1);
    deliver(&mut f.cx());
    assert_eq!(f.cx().thread().signals.mask, bit(USR1), "while the handler runs");
    assert_eq!(f.call("rt_sigreturn", [0; 6]), None);
    assert_eq!(f.cx().thread().signals.mask, bit(USR1), "the mask before the call");
}

#[test]
fn the_main_thread_takes_process_signals_unless_it_blocks_them() {
    let mut f = fixture(&RISCV64);
    let pid = f.process.pid;
    let cpu = f.cx().thread().cpu;
    f.process.threads.insert(pid + 1, Thread::new(pid + 1, cpu));
    catch(&mut f, USR1, 0);
    send_user(&mut f, USR1);
    assert!(!interrupts(&f.process, &f.process.threads[&(pid + 1)]));
    assert!(interrupts(&f.process, &f.process.threads[&pid]));
    f.cx().thread().signals.mask = bit(USR1);
    assert!(interrupts(&f.process, &f.process.threads[&(pid + 1)]));
}

#[test]
fn waiting_takes_a_blocked_signal_out() {
    let mut f = fixture(&RISCV64);
    f.cx().thread().signals.mask = bit(USR1);
    f.process.mem.put::<u64>(GuestPtr::new(SCRATCH), &bit(USR1), RISCV64.abi).expect("mapped");
    assert_eq!(f.call("rt_sigtimedwait", [SCRATCH, 0, 0, 8, 0, 0]), None, "nothing yet");
    send_user(&mut f, USR1);
    assert_eq!(f.call("rt_sigtimedwait", [SCRATCH, SCRATCH + 256, 0, 8, 0, 0]), Some(Ok(10)));
    assert!(f.process.signals.pending.is_empty());
    assert_eq!(f.process.mem.get::<u32>(GuestPtr::new(SCRATCH + 256), RISCV64.abi), Ok(10));
    f.cx().thread().call = Call::default();
    let zero = SCRATCH + 512;
    assert_eq!(f.call("rt_sigtimedwait", [SCRATCH, 0, zero, 8, 0, 0]), Some(Err(Errno::EAGAIN)));
}

#[test]
fn an_ignored_signal_waits_only_while_it_is_blocked() {
    let mut f = fixture(&RISCV64);
    send_user(&mut f, 28);
    assert!(f.process.signals.pending.is_empty());
    f.cx().thread().signals.mask = bit(28);
    send_user(&mut f, 28);
    assert_eq!(f.process.signals.pending.len(), 1);
    f.cx().thread().run = RunState::Blocked(Wait::default());
    assert!(!interrupts(&f.process, &f.process.threads[&f.process.pid]));
}
