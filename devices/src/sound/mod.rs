//! Sound cards.

mod gain;
mod pace;

crate::models! {
    /// Intel's 82801AA audio controller.
    ac97,
    /// Ensoniq's AudioPCI.
    es1370,
}
