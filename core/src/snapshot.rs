//! Saved states: every part of a machine saves a versioned plain struct, and checks what it is given back (I4, I5).

use crate::codec::{self, CodecError};
use core::fmt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Why a saved state is refused.
#[derive(Debug)]
pub enum StateError {
    /// The bytes are no state of this part.
    Codec(CodecError),
    /// The part has another layout by now: saved, known.
    Version(u32, u32),
    /// The state is of another kind of part: saved, wanted.
    Kind(String, &'static str),
    /// A field holds what the part can never be in: field, why.
    Field(&'static str, String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Codec(e) => e.fmt(f),
            StateError::Version(saved, known) => write!(f, "saved in version {saved}, this is version {known}"),
            StateError::Kind(saved, wanted) => write!(f, "saved by a `{saved}`, not a `{wanted}`"),
            StateError::Field(field, why) => write!(f, "field {field}: {why}"),
        }
    }
}

impl core::error::Error for StateError {}

impl From<CodecError> for StateError {
    fn from(e: CodecError) -> StateError {
        StateError::Codec(e)
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    kind: String,
    version: u32,
    body: Vec<u8>,
}

/// The bytes of a part's state.
///
/// # Errors
/// A state that cannot be encoded.
pub fn save<T: Serialize>(kind: &str, version: u32, state: &T) -> Result<Vec<u8>, StateError> {
    Ok(codec::encode(&Head { kind: kind.to_owned(), version, body: codec::encode(state)? })?)
}

/// The state in such bytes; the part still has to look at its fields.
///
/// # Errors
/// Bytes that another part, another version, or nobody saved.
pub fn load<T: DeserializeOwned>(kind: &'static str, version: u32, bytes: &[u8]) -> Result<T, StateError> {
    let head: Head = codec::decode(bytes)?;
    if head.kind != kind {
        return Err(StateError::Kind(head.kind, kind));
    }
    if head.version != version {
        return Err(StateError::Version(head.version, version));
    }
    Ok(codec::decode(&head.body)?)
}

/// Refuses a field unless `ok`.
///
/// # Errors
/// [`StateError::Field`].
pub fn check(ok: bool, field: &'static str, why: impl FnOnce() -> String) -> Result<(), StateError> {
    if ok { Ok(()) } else { Err(StateError::Field(field, why())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_saved_is_loaded() {
        let bytes = save("uart", 1, &(7u32, vec![1u8, 2])).unwrap();
        assert_eq!(load::<(u32, Vec<u8>)>("uart", 1, &bytes).unwrap(), (7, vec![1, 2]));
        assert!(matches!(load::<(u32, Vec<u8>)>("uart", 2, &bytes), Err(StateError::Version(1, 2))));
        assert!(matches!(load::<(u32, Vec<u8>)>("rtc", 1, &bytes), Err(StateError::Kind(..))));
        for n in 0..bytes.len() {
            assert!(load::<(u32, Vec<u8>)>("uart", 1, &bytes[..n]).is_err(), "{n}");
        }
        assert!(check(false, "level", || "too deep".into()).is_err_and(|e| e.to_string() == "field level: too deep"));
    }
}
