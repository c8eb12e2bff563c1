//! State layouts, states, and the codec.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use tern_core::bare::BareGuest;
use tern_core::codec::{CodecError, decode, encode};
use tern_core::frontend::Frontend;
use tern_core::ir::Ty;
use tern_core::state::{LayoutBuilder, NEAR, Role, Slot, State};
use tern_softfloat::Style;

#[test]
fn layouts_hand_out_slots_in_order() {
    let mut b = LayoutBuilder::new(32, &[Style::RISCV, Style::ARM]);
    let first = b.near("a", Ty::I64, 64, Role::Gpr(1));
    b.reset(7);
    let second = b.near("b", Ty::I32, 32, Role::Flag);
    let far = b.far("c", Ty::I64, 64, Role::Vector(0, 1));
    b.reset(9);
    let layout = b.finish();
    assert_eq!((first, second), (Slot::FIRST, Slot(Slot::FIRST.0 + 1)));
    assert_eq!((far, far.is_near(), second.is_near()), (Slot(NEAR as u32), false, true));
    assert_eq!((layout.near_used(), layout.far_len()), (Slot::FIRST.0 + 2, 1));
    assert!(layout.rows().is_sorted_by_key(|r| r.slot));
    let names: Vec<&str> = layout.rows().iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["pc", "fpflags0", "fpcontrol0", "fpflags1", "fpcontrol1", "a", "b", "c"]);
    for row in layout.rows() {
        assert_eq!(layout.by_slot(row.slot).map(|r| &r.name), Some(&row.name));
        assert_eq!(layout.by_name(&row.name).map(|r| r.slot), Some(row.slot));
    }
    assert_eq!(layout.by_role(Role::Vector(0, 1)).map(|r| r.slot), Some(far));
    assert!(layout.by_slot(Slot(200)).is_none() && layout.by_name("d").is_none());
    assert_eq!((layout.style(1), layout.style(5)), (Style::ARM, Style::ARM));
    let state = State::new(&layout);
    assert_eq!((state.get(first), state.get(second), state.get(far), state.pc()), (7, 0, 9, 0));
}

#[test]
fn reset_values_apply_to_pc_and_widths_mask() {
    let mut b = LayoutBuilder::new(32, &[Style::RISCV]);
    let wide = b.near("w", Ty::I64, 64, Role::Gpr(0));
    let narrow = b.near("n", Ty::I32, 32, Role::Gpr(1));
    let bit = b.near("z", Ty::Bool, 1, Role::Flag);
    let layout = b.finish();
    let masks = [wide, narrow, bit].map(|s| layout.by_slot(s).unwrap().mask());
    assert_eq!(masks, [u64::MAX, 0xffff_ffff, 1]);
    let (a, mut b) = (State::new(&layout), State::new(&layout));
    // What a slot does not define does not count.
    b.set(narrow, 1 << 32);
    b.set(bit, 2);
    b.set(Slot(100), 5);
    assert_eq!(a.first_difference(&b, &layout), None);
    b.set(bit, 3);
    assert_eq!(a.first_difference(&b, &layout), Some(bit));
    b.set(wide, 1 << 63);
    assert_eq!(a.first_difference(&b, &layout), Some(wide));
    b.set_pc(4);
    assert_eq!(a.first_difference(&b, &layout), Some(Slot::PC));
}

#[test]
fn slots_outside_the_layout_are_harmless() {
    let guest = BareGuest::new();
    let mut state = State::new(guest.layout());
    for slot in [Slot(NEAR as u32 + 1000), Slot(u32::MAX)] {
        state.set(slot, 5);
        assert_eq!(state.get(slot), 0);
    }
}

#[test]
#[should_panic(expected = "a layout may name at most 192 near slots")]
fn near_slots_are_limited() {
    let mut b = LayoutBuilder::new(64, &[]);
    for n in 0..200 {
        b.near(format!("r{n}"), Ty::I64, 64, Role::Hidden);
    }
}

#[test]
fn environments_have_their_slots() {
    let mut seen = std::collections::BTreeSet::from([Slot::PC]);
    for env in 0..4 {
        assert!(seen.insert(Slot::fp_flags(env)) && seen.insert(Slot::fp_control(env)));
    }
    assert!(seen.iter().all(|s| *s < Slot::FIRST));
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Part {
    name: String,
    words: Vec<u32>,
    wide: u64,
    signed: i16,
    maybe: Option<bool>,
}

fn part() -> Part {
    Part { name: "uart".into(), words: vec![1, 0x0203_0405], wide: u64::MAX - 1, signed: -2, maybe: Some(true) }
}

#[test]
fn encoding_is_little_endian_and_fixed() {
    let bytes = encode(&part()).unwrap();
    let mut want = vec![4, 0, 0, 0, 0, 0, 0, 0];
    want.extend(b"uart");
    want.extend([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 4, 3, 2]);
    want.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 1, 1]);
    assert_eq!(bytes, want);
    assert_eq!(decode::<Part>(&bytes).unwrap(), part());
}

#[test]
fn short_long_and_malformed_data_are_errors() {
    let bytes = encode(&part()).unwrap();
    for len in 0..bytes.len() {
        assert!(matches!(decode::<Part>(&bytes[..len]), Err(CodecError::Decode(_))), "{len} bytes");
    }
    for more in 1..4 {
        let mut long = bytes.clone();
        long.resize(bytes.len() + more, 0);
        let error = decode::<Part>(&long).unwrap_err();
        assert!(matches!(error, CodecError::Leftover { bytes } if bytes == more));
        assert_eq!(error.to_string(), format!("{more} bytes are left over"));
    }
    let mut bad = bytes.clone();
    // The Bool in the option is 2; the option's tag is 7; the string's length is absurd.
    let last = bad.len() - 1;
    bad[last] = 2;
    assert!(matches!(decode::<Part>(&bad), Err(CodecError::Decode(_))));
    bad[last - 1] = 7;
    assert!(matches!(decode::<Part>(&bad), Err(CodecError::Decode(_))));
    let mut huge = bytes;
    huge[..8].fill(0xff);
    assert!(matches!(decode::<Part>(&huge), Err(CodecError::Decode(_))));
}
