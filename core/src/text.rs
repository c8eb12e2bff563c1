//! Values as people write them in options: switches, numbers, sizes, addresses.

/// A switch's value.
#[must_use]
pub fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}

/// A number: decimal, or hexadecimal after `0x`.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+')),
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    }
}

/// A size in bytes: a number, with a fraction if it has a suffix of `b`, `k`, `M`, `G`, `T`, `P`, `E`; `unit` is the suffix
/// of a number that has none, as a binary logarithm.
#[must_use]
pub fn size(text: &str, unit: u32) -> Option<u64> {
    let (digits, shift) = match text.chars().last()?.to_ascii_lowercase() {
        'b' if !text.starts_with("0x") => (&text[..text.len() - 1], 0),
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        'p' => (&text[..text.len() - 1], 50),
        'e' if !text.starts_with("0x") => (&text[..text.len() - 1], 60),
        _ => (text, unit),
    };
    let shifted = |n: u64| (n.leading_zeros() >= shift || n == 0).then(|| n << shift);
    let Some((whole, fraction)) = digits.split_once('.') else { return number(digits).and_then(shifted) };
    if shift == 0 || fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = 10_u128.pow(fraction.len() as u32);
    let part = (u128::from(number(fraction)?) << shift) / scale;
    shifted(number(whole)?)?.checked_add(u64::try_from(part).ok()?)
}

/// An Ethernet address.
///
/// # Errors
/// Not six bytes in hexadecimal with `:` or `-` between them.
pub fn mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = || format!("'{text}' is no Ethernet address");
    let mut bytes = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut bytes {
        let part = parts.next().filter(|p| p.len() == 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    if parts.next().is_some() || bytes[0] & 1 != 0 {
        return Err(wrong());
    }
    Ok(bytes)
}
