//! Network cards.

mod chip;
mod microwire;
#[cfg(test)]
mod testing;

pub use chip::CONTROL_PORT;

crate::models! {
    /// Intel 8255x.
    i8255x,
    /// Intel gigabit cards.
    intel,
    /// NE2000 on PCI.
    ne2k_pci,
    /// AMD PCnet-PCI II.
    pcnet,
    /// Realtek RTL8139C+.
    rtl8139,
    /// DEC 21143.
    tulip,
    /// VMware vmxnet3.
    vmxnet3,
}
