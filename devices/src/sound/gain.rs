//! Volumes: how codecs make samples louder and softer.

use tern_core::backend::AudioFormat;

/// A factor of 1.
pub(super) const UNITY: u32 = 1 << 16;

/// The factor, in parts of [`UNITY`], of `steps` steps of attenuation that are each `step` parts of [`UNITY`]; steps below
/// zero amplify.
pub(super) fn factor(step: u32, steps: i32) -> u32 {
    let (step, unity) = (u64::from(step.clamp(1, UNITY)), u64::from(UNITY));
    let by =
        |value: u64| if steps < 0 { (value * unity / step).min(u64::from(u32::MAX)) } else { value * step / unity };
    (0..steps.unsigned_abs().min(256)).fold(unity, |value, _| by(value)) as u32
}

/// Multiplies frames: left and right samples by their factors; a mono sample by the left one.
pub(super) fn apply(format: AudioFormat, frames: &mut [u8], factors: [u32; 2]) {
    if factors == [UNITY; 2] {
        return;
    }
    let channels = usize::from(format.channels.max(1));
    let factor = |n: usize| i64::from(factors[n % channels % 2]);
    if format.bits == 8 {
        for (n, sample) in frames.iter_mut().enumerate() {
            let value = ((i64::from(*sample) - 128) * factor(n)) >> 16;
            *sample = (value.clamp(-128, 127) + 128) as u8;
        }
        return;
    }
    for (n, sample) in frames.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let value = (i64::from(i16::from_le_bytes(*sample)) * factor(n)) >> 16;
        *sample = (value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_get_softer_louder_and_clipped() {
        let half = UNITY / 2;
        assert_eq!([0, 1, 3, -2, 200].map(|n| factor(half, n)), [UNITY, half, UNITY / 8, 4 * UNITY, 0]);
        assert_eq!((factor(0, -300), factor(UNITY, 300)), (u32::MAX, UNITY));
        let stereo = AudioFormat { rate: 1, channels: 2, bits: 16 };
        let mut frames = [0x00, 0x10, 0x00, 0x90, 0x00, 0x50, 0x01, 0x00];
        apply(stereo, &mut frames, [half, 2 * UNITY]);
        assert_eq!(frames, [0x00, 0x08, 0x00, 0x80, 0x00, 0x28, 0x02, 0x00]);
        let mut bytes = [0x80, 0x00, 0xff];
        apply(AudioFormat { rate: 1, channels: 1, bits: 8 }, &mut bytes, [half, 0]);
        assert_eq!(bytes, [0x80, 0x40, 0xbf]);
    }
}
