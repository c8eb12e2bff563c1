//! Serial ports.

crate::devices! {
    /// The 16550A UART of National Semiconductor.
    ns16550a,
}

crate::models! {
    /// GE's IndustryPack module with eight UARTs.
    ipoctal232,
}
