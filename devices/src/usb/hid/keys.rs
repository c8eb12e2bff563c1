//! Keys: from Linux' codes (`input-event-codes.h`) to usages of the keyboard page (HID Usage Tables 1.12, chapter 10).

/// First usage of the eight modifiers.
pub(super) const MODIFIERS: u8 = 0xe0;

/// Usages by code, from 0 on; 0: there is none.
#[rustfmt::skip]
static USAGES: [u8; 142] = [
    // Escape, digits, minus to tab.
    0x00, 0x29, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e, 0x2a, 0x2b,
    // The row of Q, enter, left control.
    0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c, 0x12, 0x13, 0x2f, 0x30, 0x28, 0xe0,
    // The row of A, grave, left shift, backslash.
    0x04, 0x16, 0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33, 0x34, 0x35, 0xe1, 0x31,
    // The row of Z, right shift, keypad asterisk, left alt, space, caps lock.
    0x1d, 0x1b, 0x06, 0x19, 0x05, 0x11, 0x10, 0x36, 0x37, 0x38, 0xe5, 0x55, 0xe2, 0x2c, 0x39,
    // F1 to F10, num lock, scroll lock.
    0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x53, 0x47,
    // Keypad: 7 8 9 - 4 5 6 + 1 2 3 0 .
    0x5f, 0x60, 0x61, 0x56, 0x5c, 0x5d, 0x5e, 0x57, 0x59, 0x5a, 0x5b, 0x62, 0x63,
    // (84), Zenkaku, 102nd, F11, F12, Ro, Katakana, Hiragana, Henkan, both, Muhenkan, keypad comma.
    0x00, 0x94, 0x64, 0x44, 0x45, 0x87, 0x92, 0x93, 0x8a, 0x88, 0x8b, 0x8c,
    // Keypad enter, right control, keypad slash, print screen, right alt, (line feed).
    0x58, 0xe4, 0x54, 0x46, 0xe6, 0x00,
    // Home, up, page up, left, right, end, down, page down, insert, delete, (macro).
    0x4a, 0x52, 0x4b, 0x50, 0x4f, 0x4d, 0x51, 0x4e, 0x49, 0x4c, 0x00,
    // Mute, volume down and up, power, keypad equal, (plus-minus), pause, (scale), keypad comma.
    0x7f, 0x81, 0x80, 0x66, 0x67, 0x00, 0x48, 0x00, 0x85,
    // Hangul, Hanja, yen, left and right meta, compose.
    0x90, 0x91, 0x89, 0xe3, 0xe7, 0x65,
    // Stop, again, properties, undo, front, copy, open, paste, find, cut, help, (menu), (calculator), (setup).
    0x78, 0x79, 0x76, 0x7a, 0x77, 0x7c, 0x74, 0x7d, 0x7e, 0x7b, 0x75, 0x00, 0x00, 0x00,
];
/// Codes of F13 to F24, and the usage of the first.
const MORE_FUNCTIONS: core::ops::RangeInclusive<u16> = 183..=194;
const F13: u8 = 0x68;

/// The usage of the key with this code.
pub(super) fn usage(code: u16) -> Option<u8> {
    if MORE_FUNCTIONS.contains(&code) {
        return Some(F13 + (code - MORE_FUNCTIONS.start()) as u8);
    }
    USAGES.get(usize::from(code)).copied().filter(|usage| *usage != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_linux_has_them() {
        let pairs = [(1, 0x29), (14, 0x2a), (30, 4), (44, 0x1d), (59, 0x3a), (71, 0x5f), (87, 0x44), (96, 0x58)];
        let more = [(102, 0x4a), (111, 0x4c), (119, 0x48), (125, 0xe3), (138, 0x75), (183, 0x68), (194, 0x73)];
        pairs.iter().chain(&more).for_each(|(code, want)| assert_eq!(usage(*code), Some(*want), "{code}"));
        [0, 84, 112, 141, 142, 182, 195, 0x110, u16::MAX].iter().for_each(|code| assert_eq!(usage(*code), None));
        let mut all: Vec<u8> = (0..256).filter_map(usage).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "a usage is there twice");
    }
}
