//! Legacy U-Boot images (U-Boot, include/image.h: `struct legacy_img_hdr`, all fields big-endian).

use super::{GZIP, Image, LoadError, Target, field, flat, gunzip};
use flate2::Crc;

/// How they begin.
pub(super) const MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];

/// Length of the header.
const HEADER: usize = 64;
const TYPE_KERNEL: u8 = 2;
const TYPE_RAMDISK: u8 = 3;
/// A kernel that may lie anywhere; its entry is an offset.
const TYPE_KERNEL_NOLOAD: u8 = 14;
const COMPRESSION_NONE: u8 = 0;
const COMPRESSION_GZIP: u8 = 1;
/// Names of the other compressions, from number 2 on.
const COMPRESSIONS: [&str; 5] = ["bzip2", "lzma", "lzo", "lz4", "zstd"];

struct Header<'a> {
    load: u64,
    entry: u64,
    arch: u8,
    kind: u8,
    compression: u8,
    data: &'a [u8],
}

fn crc(bytes: [&[u8]; 3]) -> u32 {
    let mut crc = Crc::new();
    bytes.iter().for_each(|b| crc.update(b));
    crc.sum()
}

fn header<'a>(bytes: &'a [u8], target: &Target) -> Result<Header<'a>, LoadError> {
    let head = bytes.first_chunk::<HEADER>().ok_or(LoadError::Broken("U-Boot image header"))?;
    let word = |offset| field(head, offset).map_or(0, u32::from_be_bytes);
    if crc([&head[..4], &[0; 4], &head[8..]]) != word(4) {
        return Err(LoadError::Broken("checksum of the U-Boot image header"));
    }
    let size = word(12) as usize;
    let data = bytes[HEADER..].get(..size).ok_or(LoadError::Broken("U-Boot image that ends too early"))?;
    if crc([data, &[], &[]]) != word(24) {
        return Err(LoadError::Broken("checksum of the U-Boot image's data"));
    }
    let (load, entry) = (word(16).into(), word(20).into());
    let header = Header { load, entry, arch: head[29], kind: head[30], compression: head[31], data };
    if header.arch != target.uimage_arch {
        return Err(LoadError::Foreign(format!("a U-Boot image for architecture {}", header.arch)));
    }
    Ok(header)
}

fn unpack(header: &Header<'_>, target: &Target) -> Result<Vec<u8>, LoadError> {
    match header.compression {
        COMPRESSION_NONE => Ok(header.data.to_vec()),
        COMPRESSION_GZIP if header.data.starts_with(&GZIP) => gunzip(header.data, target.limit()),
        COMPRESSION_GZIP => Err(LoadError::Broken("gzip data of the U-Boot image")),
        n => {
            let name = COMPRESSIONS.get(usize::from(n) - 2).copied().unwrap_or("an unknown method");
            Err(LoadError::Unsupported(format!("a U-Boot image packed with {name}; tern unpacks gzip only")))
        }
    }
}

pub(super) fn kernel(bytes: &[u8], target: &Target) -> Result<Image, LoadError> {
    let header = header(bytes, target)?;
    let (addr, entry) = match header.kind {
        TYPE_KERNEL => (header.load, header.entry),
        TYPE_KERNEL_NOLOAD => (target.free, target.free.wrapping_add(header.entry)),
        n => return Err(LoadError::Unsupported(format!("a U-Boot image of type {n}, not a kernel"))),
    };
    let payload = unpack(&header, target)?;
    if payload.is_empty() {
        return Err(LoadError::Empty);
    }
    Ok(Image { entry, ..flat("U-Boot image", addr, payload, target)? })
}

pub(super) fn ramdisk(bytes: &[u8], target: &Target) -> Result<Vec<u8>, LoadError> {
    let header = header(bytes, target)?;
    if header.kind != TYPE_RAMDISK {
        return Err(LoadError::Unsupported(format!("a U-Boot image of type {}, not a ramdisk", header.kind)));
    }
    // Linux unpacks its ramdisk itself, whatever the header says about it.
    Ok(header.data.to_vec())
}
