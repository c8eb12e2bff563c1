//! The fused sequences, most profitable first.

use super::*;
use crate::body::float::{self, arith};
use crate::body::flow::{self, Branch, Goto};
use crate::body::int::{self, Bin, Cmp, Mov, row, width};
use crate::body::memory::{Load, Store};
use crate::body::variant;

fused! {
    [Bin<row::Add, { width::W64 }, { variant::SI }>, Bin<row::Add, { width::W64 }, { variant::SI }>];
}
