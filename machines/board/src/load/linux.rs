//! Linux images: the boot image header of RISC-V kernels (Linux, Documentation/arch/riscv/boot-image-header.rst), with or
//! without an EFI stub, and EFI zboot files (Linux, drivers/firmware/efi/libstub/zboot-header.S).

use super::{LoadError, field};

/// Linux's header of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// What it is, for people.
    pub kind: &'static str,
    /// Bytes of memory that the kernel needs from its first one on, as far as the header tells.
    pub image_size: u64,
}

/// Bit of `flags`: the kernel is big-endian.
const BIG_ENDIAN: u64 = 1;

/// The header, if these bytes are such an image.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, LoadError> {
    let pe = bytes.starts_with(b"MZ");
    let magic = field(bytes, 56) == Some(*b"RSC\x05") || field(bytes, 48) == Some(*b"RISCV\0\0\0");
    if !magic {
        return if pe { other(bytes) } else { Ok(None) };
    }
    let word = |offset| field(bytes, offset).map(u64::from_le_bytes).ok_or(LoadError::Broken("Linux image header"));
    if word(24)? & BIG_ENDIAN != 0 {
        return Err(LoadError::Foreign("a big-endian Linux kernel".to_owned()));
    }
    let kind = if pe { "Linux image with EFI stub" } else { "Linux image" };
    Ok(Some(Header { kind, image_size: word(16)? }))
}

/// A PE file that is no RISC-V kernel.
fn other(bytes: &[u8]) -> Result<Option<Header>, LoadError> {
    match field(bytes, 56) {
        Some([b'A', b'R', b'M', 0x64]) => Err(LoadError::Foreign("a Linux kernel for arm64".to_owned())),
        _ => Err(LoadError::Unsupported("an EFI program that is no Linux kernel; only EFI firmware can run it".into())),
    }
}

/// The packed kernel in an EFI zboot file; `None` for other files.
pub(super) fn zboot(bytes: &[u8]) -> Result<Option<&[u8]>, LoadError> {
    if !bytes.starts_with(b"MZ") || field(bytes, 4) != Some(*b"zimg") {
        return Ok(None);
    }
    let word = |offset| field(bytes, offset).map(u32::from_le_bytes).ok_or(LoadError::Broken("EFI zboot header"));
    let (offset, size) = (word(8)? as usize, word(12)? as usize);
    let kind: [u8; 32] = field(bytes, 24).ok_or(LoadError::Broken("EFI zboot header"))?;
    if !kind.starts_with(b"gzip\0") {
        let name: Vec<u8> = kind.iter().copied().take_while(|c| c.is_ascii_graphic()).collect();
        let name = String::from_utf8_lossy(&name);
        return Err(LoadError::Unsupported(format!("an EFI zboot kernel packed with {name}; tern unpacks gzip only")));
    }
    let packed = offset.checked_add(size).and_then(|end| bytes.get(offset..end));
    packed.map(Some).ok_or(LoadError::Broken("EFI zboot payload that the file does not have"))
}
