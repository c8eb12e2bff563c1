//! What boards tell their firmware.

crate::devices! {
    /// QEMU's firmware configuration device.
    fw_cfg,
}
