//! Network cards.

crate::models! {
    /// Intel gigabit cards.
    intel,
}
