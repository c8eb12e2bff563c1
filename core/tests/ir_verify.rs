//! Every rule of the verifier refuses something.
#![forbid(unsafe_code)]

mod common;

use bumpalo::Bump;
use tern_core::bare::BareGuest;
use tern_core::frontend::Frontend;
use tern_core::ir::parse::parse_block;
use tern_core::ir::verify::{Context, Rule, verify, verify_in};
use tern_core::ir::{Block, Exit, Inst, Op, Ref, Ty};

const GOOD: &str = "block pc=0 mode=0 {
  insn 0
  a:i64 = get x1
  b:i64 = get x2
  c:i64 = add a, b
  set x3, c
} goto 4";

/// The rule that a change to the good block breaks.
fn broken(change: impl FnOnce(&mut Block<'_>)) -> (usize, Rule) {
    let arena = Bump::new();
    let guest = BareGuest::new();
    let mut block = parse_block(&arena, GOOD, Some(guest.layout())).unwrap();
    change(&mut block);
    let error = verify(&block, Some(guest.layout())).unwrap_err();
    // A broken block can still be printed: that is what the passes do before they give up.
    assert!(block.text(Some(guest.layout())).to_string().contains("block pc=0x0"));
    (error.at, error.rule)
}

#[test]
fn changed_blocks_are_refused() {
    let add = 3;
    let i = |op, ty, args, imm| Inst { op, ty, args, imm };
    let none = [Ref::NONE; 3];
    assert_eq!(broken(|b| b.insts[add].args[1] = Ref::NONE), (3, Rule::OperandCount));
    assert_eq!(broken(|b| b.insts[add].args[2] = Ref(1)), (3, Rule::OperandCount));
    assert_eq!(broken(|b| b.insts[add].args[1] = Ref(3)), (3, Rule::OperandUndefined(Ref(3))));
    assert_eq!(broken(|b| b.insts[add].args[1] = Ref(4)), (3, Rule::OperandUndefined(Ref(4))));
    assert_eq!(broken(|b| b.insts[add].args[1] = Ref(77)), (3, Rule::OperandUndefined(Ref(77))));
    assert_eq!(broken(|b| b.insts[add].args[1] = Ref(0)), (3, Rule::OperandUndefined(Ref(0))));
    assert_eq!(broken(|b| b.insts[add].ty = Ty::I32), (3, Rule::OperandType(Ref(1), Ty::I32)));
    assert_eq!(broken(|b| b.insts[add].ty = Ty::Bool), (3, Rule::Type));
    assert_eq!(broken(|b| b.insts[add].imm = 1), (3, Rule::Immediate));
    assert_eq!(broken(|b| b.insts[0].ty = Ty::I32), (0, Rule::Type));
    assert_eq!(broken(|b| b.insts[1].imm = 0), (1, Rule::SlotPc));
    assert_eq!(broken(|b| b.insts[1].imm = 1 << 40), (1, Rule::SlotUnknown(1 << 40)));
    assert_eq!(broken(|b| b.insts[1] = i(Op::Const, Ty::I32, none, 1 << 32)), (1, Rule::Immediate));
    assert_eq!(broken(|b| b.insts[1] = i(Op::Load, Ty::I64, [Ref(0), Ref::NONE, Ref::NONE], 0)).0, 1);
    assert_eq!(broken(|b| b.insts[1] = i(Op::GetLocal, Ty::I64, none, 0)), (1, Rule::LocalUnknown(0)));
    assert_eq!(broken(|b| b.insts[1] = i(Op::Bind, Ty::Bool, none, 0)), (1, Rule::LabelUnknown(0)));
    assert_eq!(broken(|b| b.insns = 2), (5, Rule::InsnCount));
    assert_eq!(broken(|b| b.insts[0] = i(Op::Fence, Ty::I64, none, 0)), (5, Rule::NoInsn));
    assert_eq!(broken(|b| b.insts[0] = i(Op::Icount, Ty::I64, none, 0)), (0, Rule::NoInsn));
    assert_eq!(broken(|b| b.exit = Exit::Branch(Ref(3), 0, 0)), (5, Rule::OperandType(Ref(3), Ty::Bool)));
    assert_eq!(broken(|b| b.exit = Exit::Branch(Ref::NONE, 0, 0)), (5, Rule::OperandCount));
    assert_eq!(broken(|b| b.exit = Exit::Trap(1, Ref(9))), (5, Rule::OperandUndefined(Ref(9))));
    assert_eq!(broken(|b| b.exit = Exit::Trap(1, Ref(4))), (5, Rule::OperandUndefined(Ref(4))));
}

/// The rule that refuses a block given by its lines.
fn refused(body: &str) -> String {
    let arena = Bump::new();
    let guest = BareGuest::new();
    let text = format!("block pc=0 mode=0 {{\ninsn 0\n{body}\n}} goto 4");
    parse_block(&arena, &text, Some(guest.layout())).expect_err(body).reason
}

#[test]
fn values_and_locals_follow_every_path() {
    let r = refused("c:bool = get b0\nbr_if c -> L0\nx:i64 = get x1\nbind L0\nset x2, x");
    assert!(r.contains("v3 is not defined on every path"), "{r}");
    let r = refused("c:bool = get b0\nbr_if c -> L0\nset_local t0, 1:i64\nbind L0\nx:i64 = get_local t0");
    assert!(r.contains("local 0 is not set on every path"), "{r}");
    let r = refused("set_local t0, 1:i64\nx:i32 = get_local t0");
    assert!(r.contains("local 0 has another type"), "{r}");
    let r = refused("br -> L0\nset_local t0, 1:i64\nbind L0\nx:i64 = get_local t0");
    assert!(r.contains("local 0 is not set on every path"), "{r}");
    let r = refused("c:bool = get b0\nbr_if c -> L0\ninsn 4\nbind L0");
    assert!(r.contains("a branch skips the beginning of this guest instruction"), "{r}");
    // Set on both arms; and a value from before the first branch.
    let arena = Bump::new();
    let text = "block pc=0 mode=0 {
        insn 0
        c:bool = get %25
        br_if c -> L0
        set_local t0, 1:i64
        br -> L1
        bind L0
        set_local t0, 2:i64
        bind L1
        x:i64 = get_local t0
        set %9, x
        exit_if c -> 8
        } goto 4";
    parse_block(&arena, text, None).unwrap();
}

#[test]
fn helpers_and_environments_must_exist() {
    let arena = Bump::new();
    let text = "block pc=0 mode=0 {\ninsn 0\nx:i64 = helper 5()\ny:i64 = fadd.f64.e3 x, x\n} goto 4";
    let block = parse_block(&arena, text, None).unwrap();
    let helpers = |n| Context { layout: None, helpers: Some(n) };
    assert_eq!(verify_in(&block, helpers(5)).map_err(|e| e.rule), Err(Rule::HelperUnknown(5)));
    assert_eq!(verify_in(&block, helpers(6)), Ok(()));
    let layout = tern_core::state::LayoutBuilder::new(64, &[tern_softfloat::Style::RISCV]).finish();
    assert_eq!(verify(&block, Some(&layout)).map_err(|e| (e.at, e.rule)), Err((2, Rule::SlotUnknown(7))));
}
