//! Parts that fit nowhere else.

crate::devices! {
    /// SiFive's test finisher.
    sifive_test,
}
