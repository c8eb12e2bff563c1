//! Codes and handlers: generated from the op table and the short lists here.

use super::{Bad, Plain, Tail, plain, tail};
use crate::body::float::{self, Boxed, from};
use crate::body::int::{self, row, width};
use crate::body::memory::{ADDR32, BIG, Load, Store};
use crate::body::{Body, Coded};
use crate::body::{flow, slow, variant};

/// Code numbers.
pub(crate) mod code {
    use crate::body::float::{form, from};
    use crate::body::memory::{base, store_variant};
    use crate::body::variant;
    use tern_core::ir::Op;

    const BINARY: u16 = 0;
    const COMPARE: u16 = BINARY + Op::BINARY.len() as u16 * 3 * variant::COUNT;
    const UNARY: u16 = COMPARE + Op::COMPARE.len() as u16 * 2 * variant::COUNT;
    const CONVERT: u16 = UNARY + Op::UNARY.len() as u16 * 6;
    const BRANCH: u16 = CONVERT + Op::CONVERT.len() as u16 * 2;
    const LOAD: u16 = BRANCH + Op::COMPARE.len() as u16 * 2 * variant::COUNT;
    const STORE: u16 = LOAD + 32 * base::COUNT;
    const FLOAT: u16 = STORE + 32 * store_variant::COUNT;
    const HOST: u16 = FLOAT + Op::OTHER.len() as u16;
    const MUL_ADD: u16 = HOST + Op::OTHER.len() as u16 * form::COUNT * from::COUNT;
    const MISC: u16 = MUL_ADD + 4 * form::COUNT * from::COUNT;
    /// First code of fused sequences.
    pub(crate) const FUSED: u16 = MISC + 32;

    /// Codes of words that stand alone.
    macro_rules! misc {
        ($($name:ident = $n:literal),* $(,)?) => { $(pub(crate) const $name: u16 = MISC + $n;)* };
    }
    misc! {
        MOV = 0, MOV_A = 1, IMM = 2, LITERAL = 3, SELECT = 4, SELECT_A = 5, GET_FAR = 6, SET_FAR = 7, ICOUNT = 8,
        GOTO = 9, EXIT = 10, PUSH_RETURN = 11, LOAD_GENERAL = 12, STORE_GENERAL = 13, RMW = 14, CAS = 15, HELPER = 16,
        BAD = 17, PROBE = 18, COUNT = 19, JUMP = 20, RETURN = 24, SET_ENV = 28, FAR = 29,
    }

    pub(crate) const fn binary(op: Op, width: u8, variant: u8) -> u16 {
        BINARY + (op as u16 * 3 + width as u16) * variant::COUNT + variant as u16
    }

    pub(crate) const fn compare(op: Op, width: u8, variant: u8) -> u16 {
        COMPARE + ((op as u16 - Op::COMPARE[0] as u16) * 2 + width as u16) * variant::COUNT + variant as u16
    }

    pub(crate) const fn unary(op: Op, width: u8, acc: bool) -> u16 {
        UNARY + ((op as u16 - Op::UNARY[0] as u16) * 3 + width as u16) * 2 + acc as u16
    }

    pub(crate) const fn convert(op: Op, acc: bool) -> u16 {
        CONVERT + (op as u16 - Op::CONVERT[0] as u16) * 2 + acc as u16
    }

    pub(crate) const fn branch(op: Op, width: u8, variant: u8) -> u16 {
        BRANCH + ((op as u16 - Op::COMPARE[0] as u16) * 2 + width as u16) * variant::COUNT + variant as u16
    }

    pub(crate) const fn load(kind: u8, from: u8) -> u16 {
        LOAD + kind as u16 * base::COUNT + from as u16
    }

    pub(crate) const fn store(kind: u8, variant: u8) -> u16 {
        STORE + kind as u16 * store_variant::COUNT + variant as u16
    }

    /// Any floating-point operation through softfloat.
    pub(crate) const fn float(op: Op) -> u16 {
        FLOAT + (op as u16 - Op::Const as u16)
    }

    /// A floating-point operation on host arithmetic.
    pub(crate) const fn host(op: Op, form: u16, variant: u8) -> u16 {
        HOST + ((op as u16 - Op::Const as u16) * form::COUNT + form) * from::COUNT + variant as u16
    }

    /// A fused multiply-add on host arithmetic; `signs` is its kind.
    pub(crate) const fn mul_add(signs: u8, form: u16, variant: u8) -> u16 {
        MUL_ADD + (signs as u16 * form::COUNT + form) * from::COUNT + variant as u16
    }
}

use crate::fused::FUSED_COUNT;
use tern_core::ir::Op;

/// Number of codes.
pub(crate) const CODES: usize = code::FUSED as usize + FUSED_COUNT;

/// The handlers by code.
pub(crate) struct Table {
    pub(crate) tail: [Tail; CODES],
    pub(crate) plain: [Plain; CODES],
    /// The bodies, for profiles and logs.
    pub(crate) names: [&'static str; CODES],
}

/// Both dispatchers' handlers.
pub(crate) static TABLE: Table = {
    let mut t = Table { tail: [tail::<Bad>; CODES], plain: [plain::<Bad>; CODES], names: [""; CODES] };
    fill_pure(&mut t);
    fill_memory(&mut t);
    fill_float(&mut t);
    fill_misc(&mut t);
    crate::fused::fill(&mut t);
    t
};

/// Puts a body under its code.
macro_rules! put {
    ($t:expr, $body:ty) => {
        $t.put::<$body>(<$body as Coded>::CODE, stringify!($body))
    };
}

impl Table {
    /// Puts body `B` under a code.
    pub(crate) const fn put<B: Body>(&mut self, code: u16, name: &'static str) {
        self.tail[code as usize] = tail::<B>;
        self.plain[code as usize] = plain::<B>;
        self.names[code as usize] = name;
    }
}

macro_rules! pure_rows {
    ( $t:ident
      binary { $($(#[$bm:meta])* $b:ident $bf:ident ($ba:ident, $bb:ident) = $be:expr;)* }
      compare { $($(#[$cm:meta])* $c:ident $cf:ident ($ca:ident, $cb:ident) = $ce:expr;)* }
      unary { $($(#[$um:meta])* $u:ident $uf:ident ($ua:ident) = $ue:expr;)* }
      convert { $($(#[$vm:meta])* $v:ident $vf:ident ($va:ident: $vt:ident $vti:ty) -> $vr:ident $vri:ty = $ve:expr;)* } ) => {
        $(pure_rows!(@variants $t, int::Bin, $b, width::W32);
          pure_rows!(@variants $t, int::Bin, $b, width::W64);
          pure_rows!(@variants $t, int::Bin, $b, width::SX);)*
        $(pure_rows!(@variants $t, int::Cmp, $c, width::W32);
          pure_rows!(@variants $t, int::Cmp, $c, width::W64);
          pure_rows!(@variants $t, flow::Branch, $c, width::W32);
          pure_rows!(@variants $t, flow::Branch, $c, width::W64);)*
        $(pure_rows!(@unary $t, $u, width::W32);
          pure_rows!(@unary $t, $u, width::W64);
          pure_rows!(@unary $t, $u, width::SX);)*
        $(put!($t, int::Conv<row::$v, false>);
          put!($t, int::Conv<row::$v, true>);)*
    };
    (@variants $t:ident, $body:ident::$name:ident, $op:ident, $w:expr) => {
        put!($t, $body::$name<row::$op, { $w }, { variant::SS }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::AS }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::SA }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::SI }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::AI }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::PS }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::SP }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::PI }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::AP }>);
        put!($t, $body::$name<row::$op, { $w }, { variant::PA }>);
    };
    (@unary $t:ident, $op:ident, $w:expr) => {
        put!($t, int::Un<row::$op, { $w }, false>);
        put!($t, int::Un<row::$op, { $w }, true>);
    };
}

const fn fill_pure(t: &mut Table) {
    tern_core::with_pure_ops!(pure_rows, t);
}

macro_rules! memory {
    ($t:ident: $($k:literal)*) => { $(
        put!($t, Load<$k, 0>);
        put!($t, Load<$k, 1>);
        put!($t, Load<$k, 2>);
    )* };
    (store $t:ident: $($k:expr),*) => { $(
        put!($t, Store<{ $k }, 0>);
        put!($t, Store<{ $k }, 1>);
        put!($t, Store<{ $k }, 2>);
        put!($t, Store<{ $k }, 3>);
        put!($t, Store<{ $k }, 4>);
        put!($t, Store<{ $k }, 5>);
        put!($t, Store<{ $k }, 6>);
        put!($t, Store<{ $k }, 7>);
        put!($t, Store<{ $k }, 8>);
        put!($t, Store<{ $k }, 9>);
    )* };
}

const fn fill_memory(t: &mut Table) {
    memory!(t: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    memory!(store t: 0, 1, 2, 3, BIG, BIG + 1, BIG + 2, BIG + 3, ADDR32, ADDR32 + 1, ADDR32 + 2, ADDR32 + 3,
        ADDR32 + BIG, ADDR32 + BIG + 1, ADDR32 + BIG + 2, ADDR32 + BIG + 3);
}

macro_rules! floats {
    ($t:ident general $($op:ident)*) => { $(
        put!($t, slow::Only<slow::FloatSlow<{ Op::$op as u8 }>>);
    )* };
    ($t:ident $body:ident 1 $($op:ident)*) => { $(
        floats!(@forms $t, $body, { Op::$op as u8 }, SLOTS A);
    )* };
    ($t:ident $body:ident 2 $($op:ident)*) => { $(
        floats!(@forms $t, $body, { Op::$op as u8 }, SLOTS A B AB);
    )* };
    ($t:ident $body:ident 3 $($signs:literal)*) => { $(
        floats!(@forms $t, $body, $signs, SLOTS A B C);
    )* };
    (@forms $t:ident, $body:ident, $n:tt, $($v:ident)*) => { $(
        put!($t, float::$body<f32, $n, { from::$v }>);
        put!($t, float::$body<f64, $n, { from::$v }>);
        put!($t, float::$body<Boxed, $n, { from::$v }>);
    )* };
}

const fn fill_float(t: &mut Table) {
    floats!(t general FAdd FSub FMul FDiv FMin FMax FSqrt FRint FMulAdd FEq FLt FLe FLtQuiet FLeQuiet FClass FCvt FToS32
        FToU32 FToS64 FToU64 FToModS32 FFromS32 FFromU32 FFromS64 FFromU64);
    floats!(t Arith 1 FSqrt);
    floats!(t Arith 2 FAdd FSub FMul FDiv);
    floats!(t MulAdd 3 0 1 2 3);
    floats!(t MinMax 2 FMin FMax);
    floats!(t Compare 2 FEq FLt FLe FLtQuiet FLeQuiet);
    floats!(t Conv 1 FCvt FToS32 FToS64 FFromS32 FFromU32 FFromS64);
}

const fn fill_misc(t: &mut Table) {
    put!(t, int::Mov<false>);
    put!(t, int::Mov<true>);
    put!(t, int::SetEnv);
    put!(t, int::Imm);
    put!(t, int::Literal);
    put!(t, int::Select<false>);
    put!(t, int::Select<true>);
    put!(t, int::GetFar);
    put!(t, int::SetFar);
    put!(t, int::Icount);
    put!(t, flow::Goto);
    put!(t, flow::Exit);
    put!(t, flow::Far);
    put!(t, flow::Jump<false, false>);
    put!(t, flow::Jump<true, false>);
    put!(t, flow::Jump<false, true>);
    put!(t, flow::Jump<true, true>);
    put!(t, flow::Return<false, false>);
    put!(t, flow::Return<true, false>);
    put!(t, flow::Return<false, true>);
    put!(t, flow::Return<true, true>);
    put!(t, flow::PushReturn);
    put!(t, flow::Count);
    put!(t, slow::Only<slow::LoadGeneral>);
    put!(t, slow::Only<slow::StoreGeneral>);
    put!(t, slow::Only<slow::Rmw>);
    put!(t, slow::Only<slow::Cas>);
    put!(t, slow::Only<slow::Helper>);
    put!(t, slow::Only<slow::Probe>);
}
