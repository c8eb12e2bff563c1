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
    /// Memory that machines share.
    ivshmem,
    /// QEMU's test device.
    pci_testdev,
    /// QEMU's panic notifier.
    pvpanic,
    /// TEWS' IndustryPack carrier.
    tpci200,
    /// TPM interface with a FIFO.
    tpm_tis,
}
