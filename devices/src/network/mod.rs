//! Network cards.

crate::models! {}
