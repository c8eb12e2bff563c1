//! The header of a qcow2 image (QEMU's `docs/interop/qcow2.rst`): every field that decides how much is read, where, and from
//! which other files is checked before `imago` sees the image.

use super::{Format, ImageError, SECTOR};
use crate::file;
use std::fs::File;
use std::path::Path;

/// First bytes of an image: `QFI\xfb`.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";

/// Largest L1 table in bytes, as in QEMU.
const MAX_L1: u64 = 32 << 20;
/// Largest refcount table in bytes, as in QEMU.
const MAX_REFTABLE: u64 = 8 << 20;
/// Longest name of a backing file in bytes.
const MAX_NAME: u64 = 1023;
/// Most internal snapshots, as in QEMU.
const MAX_SNAPSHOTS: u64 = 65536;
/// Bits of a table entry that are an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Header extensions.
const EXT_END: u64 = 0;
const EXT_BACKING_FORMAT: u64 = 0xe279_2aca;
const EXT_DATA_FILE: u64 = 0x4441_5441;

/// Incompatible features: bit, name, what to do.
const INCOMPATIBLE: [(u32, &str); 4] = [
    (0, "the image was not closed properly (dirty bit); `qemu-img check -r all` repairs it"),
    (1, "the image is marked corrupt; `qemu-img check -r all` may repair it"),
    (3, "compression other than zlib is not supported; `qemu-img convert` makes another image"),
    (4, "extended L2 entries are not supported; `qemu-img convert` makes another image"),
];
/// The incompatible feature that is supported: data in a file of their own.
const EXTERNAL_DATA: u32 = 2;

/// What the header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Size of the disk in bytes.
    pub size: u64,
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Name of the backing file.
    pub backing: Option<String>,
    /// Its format.
    pub backing_format: Option<Format>,
    /// Name of the file with the data, if the image has only the tables.
    pub data_file: Option<String>,
}

/// Reads and checks a header and the first-level tables.
///
/// # Errors
/// [`ImageError::Header`] with the field's name.
pub fn check(path: &Path, file: &File) -> Result<Header, ImageError> {
    let len = file.metadata().map_err(ImageError::io(path, "cannot find its size"))?.len();
    Checker { path, file, len }.run()
}

struct Checker<'a> {
    path: &'a Path,
    file: &'a File,
    /// Length of the file in bytes.
    len: u64,
}

impl Checker<'_> {
    fn wrong<T>(&self, field: &'static str, why: impl Into<String>) -> Result<T, ImageError> {
        Err(ImageError::Header { path: self.path.to_owned(), field, why: why.into() })
    }

    fn bytes(&self, field: &'static str, offset: u64, len: u64) -> Result<Vec<u8>, ImageError> {
        let mut buf = vec![0; len as usize];
        let n = file::read_at(self.file, &mut buf, offset).map_err(ImageError::io(self.path, "cannot read"))?;
        if n < buf.len() {
            return self.wrong(field, format!("the file ends at byte {}", offset.saturating_add(n as u64)));
        }
        Ok(buf)
    }

    /// A big-endian number of 4 or 8 bytes.
    fn number(buf: &[u8], at: usize, bytes: usize) -> u64 {
        buf.iter().skip(at).take(bytes).fold(0, |n, b| n << 8 | u64::from(*b))
    }

    fn run(&self) -> Result<Header, ImageError> {
        let base = self.bytes("header", 0, 72)?;
        let field = |at, bytes| Self::number(&base, at, bytes);
        if base[..4] != MAGIC {
            return self.wrong("magic", "this is no qcow2 image");
        }
        let version = field(4, 4) as u32;
        if !(2..=3).contains(&version) {
            return self.wrong("version", format!("{version} is not supported, 2 and 3 are"));
        }
        let cluster_bits = field(20, 4);
        if !(9..=21).contains(&cluster_bits) {
            return self.wrong("cluster_bits", format!("{cluster_bits} is outside of 9 to 21"));
        }
        let cluster = 1u64 << cluster_bits;
        if field(32, 4) != 0 {
            return self.wrong("crypt_method", "encrypted images are not supported");
        }
        let data_in_file = if version == 3 { self.version3(cluster)? } else { false };
        self.tables(&base, cluster, data_in_file)?;
        let (snapshots, at) = (field(60, 4), field(64, 8));
        if snapshots > MAX_SNAPSHOTS {
            return self.wrong("nb_snapshots", format!("{snapshots} are too many"));
        }
        if snapshots > 0 && (!at.is_multiple_of(cluster) || at >= self.len) {
            return self.wrong("snapshots_offset", format!("{at:#x} is not a cluster of the file"));
        }
        let backing = self.backing(field(8, 8), field(16, 4), cluster)?;
        let (mut backing_format, data_file) = if version == 3 { self.extensions(cluster)? } else { (None, None) };
        if backing.is_none() {
            backing_format = None;
        }
        if data_in_file && data_file.is_none() {
            return self.wrong("incompatible_features", "the data are in another file, whose name is missing");
        }
        let data_file = data_file.filter(|_| data_in_file);
        let size = field(24, 8);
        Ok(Header { size: size - size % SECTOR, version, backing, backing_format, data_file })
    }

    /// The fields of version 3: are the data in another file?
    fn version3(&self, cluster: u64) -> Result<bool, ImageError> {
        let more = self.bytes("header", 72, 32)?;
        let incompatible = Self::number(&more, 0, 8);
        for (bit, text) in INCOMPATIBLE {
            if incompatible >> bit & 1 != 0 {
                return self.wrong("incompatible_features", text);
            }
        }
        let unknown = incompatible & !(1 << EXTERNAL_DATA);
        if unknown != 0 {
            return self.wrong("incompatible_features", format!("unknown features {unknown:#x}"));
        }
        let order = Self::number(&more, 24, 4);
        if order > 6 {
            return self.wrong("refcount_order", format!("{order} is more than 6"));
        }
        let header_length = Self::number(&more, 28, 4);
        if header_length < 104 || header_length > cluster || !header_length.is_multiple_of(8) {
            return self
                .wrong("header_length", format!("{header_length} is not a multiple of 8 from 104 to {cluster}"));
        }
        Ok(incompatible >> EXTERNAL_DATA & 1 != 0)
    }

    /// L1 and refcount table: sizes, places, and the places they name.
    fn tables(&self, base: &[u8], cluster: u64, data_in_file: bool) -> Result<(), ImageError> {
        let field = |at, bytes| Self::number(base, at, bytes);
        let (size, l1_size, l1) = (field(24, 8), field(36, 4), field(40, 8));
        // One L1 entry maps an L2 table, which is a cluster of 8-byte entries.
        let needed = size.div_ceil(cluster * (cluster / 8));
        if size > i64::MAX as u64 || needed * 8 > MAX_L1 {
            return self.wrong("size", format!("{size} is too large for clusters of {cluster} bytes"));
        }
        if l1_size * 8 > MAX_L1 || l1_size < needed {
            return self.wrong("l1_size", format!("{l1_size}; {needed} to {} are possible", MAX_L1 / 8));
        }
        self.table(("l1_table_offset", "L1 table"), l1, l1_size, cluster, OFFSET)?;
        let (reftable, clusters) = (field(48, 8), field(56, 4));
        if clusters == 0 || clusters * cluster > MAX_REFTABLE {
            let why = format!("{clusters}; 1 to {} are possible", MAX_REFTABLE / cluster);
            return self.wrong("refcount_table_clusters", why);
        }
        if reftable == 0 {
            return self.wrong("refcount_table_offset", "0");
        }
        let entries = clusters * cluster / 8;
        self.table(("refcount_table_offset", "refcount table"), reftable, entries, cluster, !0x1ff)?;
        if data_in_file && !cfg!(unix) {
            return self.wrong("incompatible_features", "data files of their own are not supported on this host");
        }
        Ok(())
    }

    /// A table of offsets of clusters.
    fn table(
        &self,
        (place, name): (&'static str, &'static str),
        offset: u64,
        entries: u64,
        cluster: u64,
        mask: u64,
    ) -> Result<(), ImageError> {
        if entries == 0 {
            return Ok(());
        }
        if !offset.is_multiple_of(cluster) || offset == 0 {
            return self.wrong(place, format!("{offset:#x} is not the offset of a cluster"));
        }
        if offset.checked_add(entries * 8).is_none_or(|end| end > self.len) {
            return self.wrong(place, format!("{offset:#x} and {entries} entries reach beyond the end of the file"));
        }
        let table = self.bytes(name, offset, entries * 8)?;
        for (i, entry) in table.chunks_exact(8).enumerate() {
            let target = Self::number(entry, 0, 8) & mask;
            if !target.is_multiple_of(cluster) || target >= self.len {
                return self.wrong(name, format!("entry {i}: {target:#x} is not a cluster of the file"));
            }
        }
        Ok(())
    }

    fn backing(&self, offset: u64, len: u64, cluster: u64) -> Result<Option<String>, ImageError> {
        if offset == 0 {
            return Ok(None);
        }
        if len == 0 || len > MAX_NAME {
            return self.wrong("backing_file_size", format!("{len} is outside of 1 to {MAX_NAME}"));
        }
        if offset.checked_add(len).is_none_or(|end| end >= cluster) {
            return self.wrong("backing_file_offset", format!("{offset:#x} is outside of the first cluster"));
        }
        let name = self.bytes("backing_file_offset", offset, len)?;
        match String::from_utf8(name) {
            Ok(name) if !name.contains('\0') => Ok(Some(name)),
            _ => self.wrong("backing file name", "it is no text"),
        }
    }

    /// The extensions that matter here: format of the backing file, name of the data file.
    fn extensions(&self, cluster: u64) -> Result<(Option<Format>, Option<String>), ImageError> {
        let mut at = Self::number(&self.bytes("header_length", 100, 4)?, 0, 4);
        let (mut format, mut data_file) = (None, None);
        loop {
            if at + 8 > cluster {
                return self.wrong("header extensions", "they have no end in the first cluster");
            }
            let head = self.bytes("header extensions", at, 8)?;
            let (kind, len) = (Self::number(&head, 0, 4), Self::number(&head, 4, 4));
            if kind == EXT_END {
                return Ok((format, data_file));
            }
            at += 8;
            if at + len > cluster {
                return self.wrong("header extensions", format!("extension {kind:#x} is {len} bytes long"));
            }
            if kind == EXT_BACKING_FORMAT || kind == EXT_DATA_FILE {
                let text = self.bytes("header extensions", at, len)?;
                let Ok(text) = String::from_utf8(text) else {
                    return self.wrong("header extensions", format!("extension {kind:#x} is no text"));
                };
                if kind == EXT_DATA_FILE {
                    data_file = Some(text);
                } else if let Some(known) = Format::by_name(&text) {
                    format = Some(known);
                } else {
                    return self.wrong("backing file format", format!("{text:?} is not supported, raw and qcow2 are"));
                }
            }
            at += len.next_multiple_of(8);
        }
    }
}
