//! The one codec: what bytes a saved state or log record has, on every host (I4).
//!
//! bincode with fixed-size little-endian integers (logs: with short ones).  Whatever is saved is a versioned plain struct; what is left over after
//! decoding is an error.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes could not be encoded or decoded.
#[derive(Debug)]
pub enum CodecError {
    /// The value could not be written.
    Encode(bincode::error::EncodeError),
    /// The bytes are not a value of the wanted type.
    Decode(bincode::error::DecodeError),
    /// The bytes go on after the value.
    Leftover {
        /// How many bytes are left.
        bytes: usize,
    },
}

impl core::fmt::Display for CodecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CodecError::Encode(e) => write!(f, "cannot encode: {e}"),
            CodecError::Decode(e) => write!(f, "cannot decode: {e}"),
            CodecError::Leftover { bytes } => write!(f, "{bytes} bytes are left over"),
        }
    }
}

impl core::error::Error for CodecError {}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<{ 1 << 30 }>()
}

/// Encodes a value.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, config()).map_err(CodecError::Encode)
}

fn compact() -> impl bincode::config::Config {
    bincode::config::standard().with_little_endian().with_limit::<{ 1 << 30 }>()
}

/// Encodes a value with integers as short as they can be: for logs, which hold many small ones.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode_compact<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, compact()).map_err(CodecError::Encode)
}

/// Appends what [`encode_compact`] gives.
///
/// # Errors
/// [`CodecError::Encode`]; a part may have been appended.
pub fn append_compact<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    struct Append<'a>(&'a mut Vec<u8>);
    impl bincode::enc::write::Writer for Append<'_> {
        #[inline]
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    bincode::serde::encode_into_writer(value, Append(out), compact()).map_err(CodecError::Encode)
}

/// Decodes a value of [`encode_compact`] at the beginning of `bytes`; how many bytes it had.
///
/// # Errors
/// [`CodecError::Decode`] for malformed or short data.
pub fn decode_compact<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, compact()).map_err(CodecError::Decode)
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError::Decode`] for malformed or short data, [`CodecError::Leftover`] for long data.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, config()).map_err(CodecError::Decode)?;
    match bytes.len() - used {
        0 => Ok(value),
        bytes => Err(CodecError::Leftover { bytes }),
    }
}
