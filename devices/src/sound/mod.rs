//! Sound cards.

crate::models! {}
