//! Disks, drives and memories that keep what is written to them.

crate::devices! {
    /// Parallel NOR flash with Intel's command set.
    cfi_flash,
}

crate::models! {
    /// NVM Express controllers.
    nvme,
    /// SD memory cards.
    sd,
    /// SD host controllers.
    sdhci,
    /// UFS host controllers and devices.
    ufs,
}
