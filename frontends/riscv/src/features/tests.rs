//! Tests of feature parsing.

use super::*;
