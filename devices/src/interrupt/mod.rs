//! Interrupt controllers.

mod bits;

crate::devices! {
    /// RISC-V ACLINT, machine-level software interrupts.
    aclint_mswi,
    /// RISC-V ACLINT, supervisor-level software interrupts.
    aclint_sswi,
    /// RISC-V advanced platform-level interrupt controller.
    aplic,
    /// RISC-V incoming MSI controller.
    imsic,
    /// RISC-V platform-level interrupt controller.
    plic,
}
