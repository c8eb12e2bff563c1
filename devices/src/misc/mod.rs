//! Parts that fit nowhere else.

crate::devices! {
    /// Berkeley host-target interface.
    htif,
    /// SiFive's test finisher.
    sifive_test,
    /// System controller registers.
    syscon,
}

crate::models! {
    /// QEMU's educational device.
    edu,
    /// Intel's 6300ESB watchdog.
    i6300esb,
    /// QEMU's test device.
    pci_testdev,
    /// QEMU's panic notifier.
    pvpanic,
}
