//! Parts that fit nowhere else.

crate::devices! {
    /// Berkeley host-target interface.
    htif,
    /// SiFive's test finisher.
    sifive_test,
    /// System controller registers.
    syscon,
}

crate::models! {}
