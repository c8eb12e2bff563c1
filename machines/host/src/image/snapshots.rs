//! Snapshots inside of qcow2 images (QEMU's `docs/interop/qcow2.rst`, "Snapshots" and "Refcounts"), made, applied and
//! deleted in a file that nobody else uses meanwhile.
//!
//! A snapshot is a copy of the L1 table; what the table leads to is shared, and counted.  The machine's state lies behind
//! the end of the virtual disk, in the snapshot's table only.
//!
//! Before anything is changed, all that the image's tables lead to is counted and compared with its refcounts: an image in
//! which something is used more often than its refcount says, or in two ways, is left alone.  Whenever power is lost, the
//! image is whole, with some clusters counted that nobody uses: counts go up first, then come the tables, then one write to
//! the header, then counts go down.

use super::{ImageError, header};
use crate::file;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use tern_core::backend::SnapshotInfo;

/// Bits of an entry of the L1 or an L2 table that are an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// The cluster is used once, and may be written.
const COPIED: u64 = 1 << 63;
/// The cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// The cluster reads as zeros.
const ZERO: u64 = 1;
/// Bits of entries that must be zero.
const L1_RESERVED: u64 = !(OFFSET | COPIED);
const L2_RESERVED: u64 = !(OFFSET | COPIED | COMPRESSED | ZERO);

/// Most snapshots of an image, and most bytes of one's L1 table, as in QEMU.
const MAX_SNAPSHOTS: usize = 65536;
const MAX_L1: u64 = 32 << 20;
/// Largest refcount table in bytes, as in QEMU.
const MAX_REFTABLE: u64 = 8 << 20;
/// Most bytes of extra data of a snapshot, as in QEMU, and of a table of snapshots.
const MAX_EXTRA: u64 = 1024;
const MAX_TABLE: u64 = 64 << 20;
/// Bytes of extra data that are known: large size of the state, size of the disk, instruction count.
const EXTRA: usize = 24;
/// No instruction count.
const NO_ICOUNT: u64 = u64::MAX;

/// A row of the table of snapshots.
#[derive(Clone, Debug)]
struct Row {
    l1_offset: u64,
    /// In entries.
    l1_size: u32,
    id: Vec<u8>,
    name: Vec<u8>,
    date: (u32, u32),
    clock_ns: u64,
    state_size: u64,
    disk_size: u64,
    icount: u64,
    /// Extra data that nobody here knows.
    more: Vec<u8>,
}

impl Row {
    fn info(&self) -> SnapshotInfo {
        SnapshotInfo {
            id: String::from_utf8_lossy(&self.id).into_owned(),
            name: String::from_utf8_lossy(&self.name).into_owned(),
            state_size: self.state_size,
            date_ns: u64::from(self.date.0) * 1_000_000_000 + u64::from(self.date.1),
            clock_ns: self.clock_ns,
            icount: (self.icount != NO_ICOUNT).then_some(self.icount),
        }
    }

    fn bytes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.l1_offset.to_be_bytes());
        out.extend_from_slice(&self.l1_size.to_be_bytes());
        out.extend_from_slice(&(self.id.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.name.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.date.0.to_be_bytes());
        out.extend_from_slice(&self.date.1.to_be_bytes());
        out.extend_from_slice(&self.clock_ns.to_be_bytes());
        out.extend_from_slice(&u32::try_from(self.state_size).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&((EXTRA + self.more.len()) as u32).to_be_bytes());
        for field in [self.state_size, self.disk_size, self.icount] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(&self.more);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.name);
        out.resize(out.len().next_multiple_of(8), 0);
    }
}

/// A refcount block.
struct Counts {
    counts: Vec<u16>,
    changed: bool,
}

/// The snapshots of an image.
///
/// # Errors
/// A damaged table.
pub fn list(path: &Path, file: &File) -> Result<Vec<SnapshotInfo>, ImageError> {
    Ok(Qcow2::read(path, file)?.rows.iter().map(Row::info).collect())
}

/// An image at rest.
pub struct Qcow2<'a> {
    path: PathBuf,
    file: &'a File,
    /// Length of the file when it was opened, in bytes.
    len: u64,
    bits: u32,
    version: u32,
    /// Size of the disk in bytes, as the header has it.
    size: u64,
    l1_offset: u64,
    l1: Vec<u64>,
    table_offset: u64,
    /// The refcount table: offsets of blocks.
    table: Vec<u64>,
    /// The table has grown and needs a new place, or these of its entries are new.
    table_grown: bool,
    table_changed: BTreeSet<usize>,
    blocks: BTreeMap<u64, Counts>,
    rows_offset: u64,
    /// Bytes of the table of snapshots.
    rows_len: u64,
    rows: Vec<Row>,
    /// Below this cluster nothing is free.
    full: u64,
    /// Steps wait until what was written before is safe.
    flushes: bool,
}

/// A big-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes.iter().skip(at).take(len).fold(0, |n, b| n << 8 | u64::from(*b))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word)).collect()
}

fn table_bytes(words: &[u64], cluster: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(cluster as usize).max(cluster as usize), 0);
    bytes
}

impl<'a> Qcow2<'a> {
    /// Reads the tables, and sees that the image can be worked on.  Without `flushes`, it may be lost with the host's power.
    ///
    /// # Errors
    /// A damaged image, or one whose refcounts do not have 16 bits.
    pub fn open(path: &Path, file: &'a File, flushes: bool) -> Result<Qcow2<'a>, ImageError> {
        let mut image = Qcow2 { flushes, ..Qcow2::read(path, file)? };
        image.audit()?;
        Ok(image)
    }

    fn read(path: &Path, file: &'a File) -> Result<Qcow2<'a>, ImageError> {
        let checked = header::check(path, file)?;
        let len = file.metadata().map_err(ImageError::io(path, "cannot find its size"))?.len();
        let mut image = Qcow2 {
            path: path.to_owned(),
            file,
            len,
            bits: 0,
            version: checked.version,
            size: 0,
            l1_offset: 0,
            l1: Vec::new(),
            table_offset: 0,
            table: Vec::new(),
            table_grown: false,
            table_changed: BTreeSet::new(),
            blocks: BTreeMap::new(),
            rows_offset: 0,
            rows_len: 0,
            rows: Vec::new(),
            full: 0,
            flushes: true,
        };
        if checked.data_file.is_some() {
            return image.wrong("incompatible_features", "an image with a data file of its own has no snapshots");
        }
        let head = image.bytes("header", 0, 104)?;
        if checked.version == 3 && number(&head, 96, 4) != 4 {
            return image.wrong("refcount_order", "snapshots need refcounts of 16 bits");
        }
        image.bits = number(&head, 20, 4) as u32;
        image.size = number(&head, 24, 8);
        image.l1_offset = number(&head, 40, 8);
        image.l1 = words(&image.bytes("L1 table", image.l1_offset, number(&head, 36, 4) * 8)?);
        image.table_offset = number(&head, 48, 8);
        let table = number(&head, 56, 4) * image.cluster();
        image.table = words(&image.bytes("refcount table", image.table_offset, table)?);
        image.rows_offset = number(&head, 64, 8);
        image.read_rows(number(&head, 60, 4) as usize)?;
        Ok(image)
    }

    fn wrong<T>(&self, field: &'static str, why: impl Into<String>) -> Result<T, ImageError> {
        Err(ImageError::Header { path: self.path.clone(), field, why: why.into() })
    }

    /// Bytes of a cluster.
    fn cluster(&self) -> u64 {
        1 << self.bits
    }

    /// Entries of a refcount block.
    fn per_block(&self) -> u64 {
        self.cluster() / 2
    }

    /// Entries of an L2 table.
    fn per_l2(&self) -> u64 {
        self.cluster() / 8
    }

    /// Entries of an L1 table that a disk of `size` bytes needs; the state of the machine begins at the next one.
    fn l1_needed(&self, size: u64) -> u64 {
        size.div_ceil(self.cluster() * self.per_l2())
    }

    fn bytes(&self, field: &'static str, offset: u64, len: u64) -> Result<Vec<u8>, ImageError> {
        if offset.checked_add(len).is_none_or(|end| end > self.len.max(self.cluster())) {
            return self.wrong(field, format!("{len} bytes at {offset:#x} reach beyond the end of the file"));
        }
        let mut buf = vec![0; len as usize];
        file::read_at(self.file, &mut buf, offset).map_err(ImageError::io(&self.path, "cannot read"))?;
        Ok(buf)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        file::write_at(self.file, bytes, offset).map_err(ImageError::io(&self.path, "cannot write"))?;
        self.len = self.len.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync(&self) -> Result<(), ImageError> {
        if !self.flushes {
            return Ok(());
        }
        self.file.sync_data().map_err(ImageError::io(&self.path, "cannot flush"))
    }

    fn read_rows(&mut self, count: usize) -> Result<(), ImageError> {
        let mut at = self.rows_offset;
        for _ in 0..count {
            let head = self.bytes("snapshot table", at, 40)?;
            let field = |at, len| number(&head, at, len);
            let (id, name, extra) = (field(12, 2), field(14, 2), field(36, 4));
            if extra > MAX_EXTRA {
                return self.wrong("snapshot table", format!("{extra} bytes of extra data"));
            }
            let rest = self.bytes("snapshot table", at + 40, extra + id + name)?;
            let (extra, names) = rest.split_at(extra as usize);
            let (id, name) = names.split_at(id as usize);
            let known = |at: usize, or: u64| if extra.len() >= at + 8 { number(extra, at, 8) } else { or };
            let row = Row {
                l1_offset: field(0, 8),
                l1_size: field(8, 4) as u32,
                id: id.to_vec(),
                name: name.to_vec(),
                date: (field(16, 4) as u32, field(20, 4) as u32),
                clock_ns: field(24, 8),
                state_size: known(0, field(32, 4)),
                disk_size: known(8, self.size),
                icount: known(16, NO_ICOUNT),
                more: extra.get(EXTRA..).unwrap_or_default().to_vec(),
            };
            at += (40 + rest.len() as u64).next_multiple_of(8);
            if at - self.rows_offset > MAX_TABLE {
                return self.wrong("snapshot table", "it is too long");
            }
            self.rows.push(row);
        }
        self.rows_len = at - self.rows_offset;
        Ok(())
    }

    /// The L1 table of a snapshot.
    fn l1_of(&self, row: &Row) -> Result<Vec<u64>, ImageError> {
        let bytes = u64::from(row.l1_size) * 8;
        if bytes > MAX_L1 {
            return self.wrong("snapshot's l1_size", format!("{}", row.l1_size));
        }
        if bytes > 0 && (row.l1_offset == 0 || !row.l1_offset.is_multiple_of(self.cluster())) {
            return self.wrong("snapshot's l1_table_offset", format!("{:#x}", row.l1_offset));
        }
        Ok(words(&self.bytes("snapshot's L1 table", row.l1_offset, bytes)?))
    }

    /// The offset of the L2 table that an entry of an L1 table names, if it names one.
    fn l2_offset(&self, entry: u64) -> Result<Option<u64>, ImageError> {
        let offset = entry & OFFSET;
        if entry & L1_RESERVED != 0 || !offset.is_multiple_of(self.cluster()) {
            return self.wrong("L1 table", format!("entry {entry:#x}"));
        }
        Ok((offset != 0).then_some(offset))
    }

    /// The clusters that an entry of an L2 table names.
    fn data(&self, entry: u64) -> Result<core::ops::Range<u64>, ImageError> {
        if entry & COMPRESSED != 0 {
            let shift = 62 - (self.bits - 8);
            let offset = entry & ((1 << shift) - 1);
            let sectors = (entry & !(COPIED | COMPRESSED)) >> shift;
            let end = (offset & !511) + (sectors + 1) * 512;
            return Ok(offset >> self.bits..end.div_ceil(self.cluster()));
        }
        let offset = entry & OFFSET;
        let zero = entry & ZERO != 0 && self.version < 3;
        if entry & L2_RESERVED != 0 || zero || !offset.is_multiple_of(self.cluster()) {
            return self.wrong("L2 table", format!("entry {entry:#x}"));
        }
        let first = offset >> self.bits;
        Ok(if offset == 0 { 0..0 } else { first..first + 1 })
    }

    /// Calls `f` for each use of a cluster by an L1 table: of an L2 table (true), or of data.
    fn walk(
        &mut self,
        l1: &[u64],
        f: &mut dyn FnMut(&mut Self, u64, bool) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        for entry in l1 {
            let Some(offset) = self.l2_offset(*entry)? else { continue };
            f(self, offset >> self.bits, true)?;
            for entry in words(&self.bytes("L2 table", offset, self.cluster())?) {
                for cluster in self.data(entry)? {
                    f(self, cluster, false)?;
                }
            }
        }
        Ok(())
    }

    /// Compares all that the tables lead to with the refcounts.
    fn audit(&mut self) -> Result<(), ImageError> {
        let mut used: BTreeMap<u64, u32> = BTreeMap::new();
        let mut tables: BTreeMap<u64, u32> = BTreeMap::new();
        let mut l1s = vec![self.l1.clone()];
        let bits = self.bits;
        let span = |offset: u64, bytes: u64| offset >> bits..(offset + bytes).div_ceil(1 << bits);
        let blocks = self.table.iter().filter(|block| **block != 0);
        let mut own: Vec<core::ops::Range<u64>> = blocks.map(|block| span(*block, 1)).collect();
        own.extend([
            0..1,
            span(self.l1_offset, self.l1.len() as u64 * 8),
            span(self.table_offset, self.table.len() as u64 * 8),
            span(self.rows_offset, self.rows_len),
        ]);
        for row in &self.rows {
            l1s.push(self.l1_of(row)?);
            own.push(span(row.l1_offset, u64::from(row.l1_size) * 8));
        }
        // Each of these has its clusters for itself.
        let mut exclusive = BTreeSet::new();
        for cluster in own.into_iter().flatten() {
            *used.entry(cluster).or_default() += 1;
            exclusive.insert(cluster);
        }
        for l1 in &l1s {
            self.walk(l1, &mut |_, cluster, table| {
                *used.entry(cluster).or_default() += 1;
                if table {
                    *tables.entry(cluster).or_default() += 1;
                }
                Ok(())
            })?;
        }
        for (cluster, uses) in &used {
            let (offset, count) = (cluster << self.bits, u32::from(self.count(*cluster)?));
            let twice = exclusive.contains(cluster) && *uses > 1;
            if twice || tables.get(cluster).is_some_and(|n| n != uses) {
                return self.wrong("tables", format!("the cluster at {offset:#x} is used in two ways"));
            }
            if count < *uses {
                let why = format!("the cluster at {offset:#x} is used {uses} times, and counted {count} times");
                return self.wrong("refcounts", why);
            }
        }
        Ok(())
    }

    fn block(&mut self, index: u64) -> Result<Option<&mut Counts>, ImageError> {
        let Some(offset) = self.table.get(index as usize).copied().filter(|offset| *offset != 0) else {
            return Ok(None);
        };
        if !self.blocks.contains_key(&index) {
            let bytes = self.bytes("refcount block", offset, self.cluster())?;
            let counts = bytes.as_chunks::<2>().0.iter().map(|n| u16::from_be_bytes(*n)).collect();
            self.blocks.insert(index, Counts { counts, changed: false });
        }
        Ok(self.blocks.get_mut(&index))
    }

    fn count(&mut self, cluster: u64) -> Result<u16, ImageError> {
        let per_block = self.per_block();
        let block = self.block(cluster / per_block)?;
        Ok(block.map_or(0, |b| b.counts[(cluster % per_block) as usize]))
    }

    /// Counts a cluster up or down.
    fn add(&mut self, cluster: u64, n: i32) -> Result<(), ImageError> {
        let per_block = self.per_block();
        let old = self.count(cluster)?;
        let Ok(new) = u16::try_from(i32::from(old) + n) else {
            let offset = cluster << self.bits;
            return self.wrong("refcounts", format!("the cluster at {offset:#x} cannot be counted {old} + {n} times"));
        };
        if new == 0 {
            self.full = self.full.min(cluster);
        }
        if let Some(block) = self.block(cluster / per_block)? {
            block.counts[(cluster % per_block) as usize] = new;
            block.changed = true;
        }
        Ok(())
    }

    fn add_all(&mut self, l1: &[u64], n: i32) -> Result<(), ImageError> {
        self.walk(l1, &mut |image, cluster, _| image.add(cluster, n))
    }

    /// Counts down what a table of so many bytes occupies.
    fn free(&mut self, offset: u64, bytes: u64) -> Result<(), ImageError> {
        for cluster in offset >> self.bits..(offset + bytes).div_ceil(self.cluster()) {
            self.add(cluster, -1)?;
        }
        Ok(())
    }

    /// Sees that there is a refcount block `index`; a new one lies at cluster `beyond` or behind it.
    fn ensure(&mut self, index: u64, beyond: u64) -> Result<(), ImageError> {
        let at = index as usize;
        if self.table.get(at).is_some_and(|block| *block != 0) {
            return Ok(());
        }
        if at >= self.table.len() {
            let more = (at + 1 + at / 2).next_multiple_of(self.per_l2() as usize);
            if more as u64 * 8 > MAX_REFTABLE {
                return self.wrong("refcount_table_clusters", "the image cannot grow any more");
            }
            self.table.resize(more, 0);
            self.table_grown = true;
        }
        let counts = vec![0; self.per_block() as usize];
        self.blocks.insert(index, Counts { counts, changed: true });
        // As long as its place is not known, the block counts what lies in its own stretch.
        self.table[at] = u64::MAX;
        let mut place = beyond;
        while self.count(place)? != 0 {
            place += 1;
        }
        self.ensure(place / self.per_block(), place + 1)?;
        self.table[at] = place << self.bits;
        self.table_changed.insert(at);
        self.add(place, 1)
    }

    /// Takes free clusters that lie behind each other; the offset of the first.
    fn allocate(&mut self, clusters: u64) -> Result<u64, ImageError> {
        let (mut at, mut run) = (self.full, 0);
        loop {
            run = if self.count(at)? == 0 { run + 1 } else { 0 };
            at += 1;
            if run < clusters.max(1) {
                continue;
            }
            let first = at - run;
            for index in first / self.per_block()..=(at - 1) / self.per_block() {
                self.ensure(index, at)?;
            }
            for cluster in first..at {
                self.add(cluster, 1)?;
            }
            if clusters <= 1 {
                self.full = at;
            }
            return Ok(first << self.bits);
        }
    }

    /// Takes room for a table and writes it.
    fn place(&mut self, bytes: &[u8]) -> Result<u64, ImageError> {
        let offset = self.allocate((bytes.len() as u64).div_ceil(self.cluster()))?;
        self.write(offset, bytes)?;
        Ok(offset)
    }

    /// Writes the refcounts that have changed, with new blocks and a new table if they need some.
    fn write_counts(&mut self) -> Result<(), ImageError> {
        let mut moved = None;
        while self.table_grown {
            self.table_grown = false;
            let entries = self.table.len();
            let place = self.allocate(entries as u64 * 8 / self.cluster())?;
            // Its own clusters may have made it grow again.
            if self.table.len() == entries {
                moved = Some(place);
            } else {
                self.free(place, entries as u64 * 8)?;
            }
        }
        let mut changed: Vec<(u64, Vec<u8>)> = Vec::new();
        for (index, block) in self.blocks.iter_mut().filter(|(_, b)| b.changed) {
            block.changed = false;
            changed.push((*index, block.counts.iter().flat_map(|n| n.to_be_bytes()).collect()));
        }
        for (index, bytes) in changed {
            self.write(self.table[index as usize], &bytes)?;
        }
        self.sync()?;
        if let Some(place) = moved {
            let old = (self.table_offset, self.table_len()?);
            let (bytes, clusters) = (table_bytes(&self.table, self.cluster()), self.table.len() as u64 * 8);
            self.write(place, &bytes)?;
            self.sync()?;
            let mut head = place.to_be_bytes().to_vec();
            head.extend_from_slice(&((clusters / self.cluster()) as u32).to_be_bytes());
            self.write(48, &head)?;
            self.sync()?;
            self.table_offset = place;
            self.table_changed.clear();
            self.free(old.0, old.1)?;
            return self.write_counts();
        }
        for at in core::mem::take(&mut self.table_changed) {
            self.write(self.table_offset + at as u64 * 8, &self.table[at].to_be_bytes())?;
        }
        self.sync()
    }

    /// Bytes of the refcount table, as the header has it.
    fn table_len(&self) -> Result<u64, ImageError> {
        Ok(number(&self.bytes("header", 56, 4)?, 0, 4) * self.cluster())
    }

    /// Marks what only the active L1 table uses, and nothing else.
    fn mark(&mut self) -> Result<(), ImageError> {
        let mut l1 = self.l1.clone();
        for entry in &mut l1 {
            let Some(offset) = self.l2_offset(*entry)? else { continue };
            let old = words(&self.bytes("L2 table", offset, self.cluster())?);
            let mut l2 = old.clone();
            for entry in &mut l2 {
                let clusters = self.data(*entry)?;
                let once = *entry & COMPRESSED == 0 && !clusters.is_empty() && self.count(clusters.start)? == 1;
                *entry = if once { *entry | COPIED } else { *entry & !COPIED };
            }
            if l2 != old {
                self.write(offset, &table_bytes(&l2, self.cluster()))?;
            }
            let once = self.count(offset >> self.bits)? == 1;
            *entry = if once { *entry | COPIED } else { *entry & !COPIED };
        }
        if l1 != self.l1 {
            let bytes: Vec<u8> = l1.iter().flat_map(|word| word.to_be_bytes()).collect();
            self.write(self.l1_offset, &bytes)?;
            self.l1 = l1;
        }
        self.sync()
    }

    /// Writes a new table of snapshots and makes it the image's; counts must have been written before, and `free` is to
    /// be called for the old one.
    fn set_rows(&mut self, rows: Vec<Row>) -> Result<(u64, u64), ImageError> {
        let mut bytes = Vec::new();
        rows.iter().for_each(|row| row.bytes(&mut bytes));
        let len = bytes.len() as u64;
        if len > MAX_TABLE {
            return self.wrong("snapshot table", "it is too long");
        }
        let place = if rows.is_empty() {
            0
        } else {
            bytes.resize(bytes.len().next_multiple_of(self.cluster() as usize), 0);
            self.place(&bytes)?
        };
        self.write_counts()?;
        self.mark()?;
        let mut head = (rows.len() as u32).to_be_bytes().to_vec();
        head.extend_from_slice(&place.to_be_bytes());
        self.write(60, &head)?;
        self.sync()?;
        let old = (self.rows_offset, self.rows_len);
        (self.rows, self.rows_offset, self.rows_len) = (rows, place, len);
        Ok(old)
    }

    fn find(&self, id: &str) -> Result<usize, ImageError> {
        let found = self.rows.iter().position(|row| row.id == id.as_bytes());
        match found {
            Some(at) => Ok(at),
            None => self.wrong("snapshot table", format!("there is no snapshot '{id}'")),
        }
    }

    /// Makes a snapshot, with a machine's state.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn create(&mut self, info: &SnapshotInfo, state: &[u8]) -> Result<(), ImageError> {
        if self.rows.len() >= MAX_SNAPSHOTS {
            return self.wrong("nb_snapshots", "there are too many");
        }
        if info.name.len() > usize::from(u16::MAX) {
            return self.wrong("snapshot table", "the name is too long");
        }
        let needed = self.l1_needed(self.size) as usize;
        let mut l1: Vec<u64> = self.l1[..needed].to_vec();
        self.add_all(&l1, 1)?;
        l1.iter_mut().for_each(|entry| *entry &= !COPIED);
        self.place_state(&mut l1, state)?;
        let numbers = self.rows.iter().filter_map(|row| core::str::from_utf8(&row.id).ok()?.parse::<u64>().ok());
        let id = numbers.max().unwrap_or(0).saturating_add(1).to_string();
        let bytes = table_bytes(&l1, self.cluster());
        let row = Row {
            l1_offset: self.place(&bytes)?,
            l1_size: l1.len() as u32,
            id: id.into_bytes(),
            name: info.name.as_bytes().to_vec(),
            date: ((info.date_ns / 1_000_000_000) as u32, (info.date_ns % 1_000_000_000) as u32),
            clock_ns: info.clock_ns,
            state_size: state.len() as u64,
            disk_size: self.size,
            icount: info.icount.unwrap_or(NO_ICOUNT),
            more: Vec::new(),
        };
        let mut rows = self.rows.clone();
        rows.push(row);
        let old = self.set_rows(rows)?;
        self.free(old.0, old.1)?;
        self.write_counts()
    }

    /// Puts a machine's state behind the end of the disk.
    fn place_state(&mut self, l1: &mut Vec<u64>, state: &[u8]) -> Result<(), ImageError> {
        let cluster = self.cluster() as usize;
        let mut entries = Vec::new();
        for part in state.chunks(cluster) {
            let place = self.allocate(1)?;
            if part.len() == cluster {
                self.write(place, part)?;
            } else {
                let mut last = part.to_vec();
                last.resize(cluster, 0);
                self.write(place, &last)?;
            }
            entries.push(place | COPIED);
        }
        for part in entries.chunks(self.per_l2() as usize) {
            let bytes = table_bytes(part, self.cluster());
            l1.push(self.place(&bytes)?);
        }
        if l1.len() as u64 * 8 > MAX_L1 {
            return self.wrong("snapshot's l1_size", "the machine's state is too large for this image");
        }
        Ok(())
    }

    /// The machine's state in a snapshot.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn state(&mut self, id: &str) -> Result<Vec<u8>, ImageError> {
        let row = self.rows[self.find(id)?].clone();
        if row.state_size > self.len {
            return self.wrong("vm_state_size", format!("{} bytes in a file of {}", row.state_size, self.len));
        }
        let l1 = self.l1_of(&row)?;
        let (first, cluster) = (self.l1_needed(row.disk_size) as usize, self.cluster());
        let mut state = Vec::with_capacity(row.state_size as usize);
        let mut l1 = l1.get(first..).unwrap_or_default().iter();
        while (state.len() as u64) < row.state_size {
            let Some(entry) = l1.next() else {
                return self
                    .wrong("vm_state_size", format!("only {} bytes of {} are there", state.len(), row.state_size));
            };
            let l2 = match self.l2_offset(*entry)? {
                Some(offset) => words(&self.bytes("L2 table", offset, cluster)?),
                None => vec![0; self.per_l2() as usize],
            };
            for entry in l2 {
                let left = row.state_size - state.len() as u64;
                if entry & COMPRESSED != 0 {
                    return self.wrong("vm state", "it is compressed");
                }
                let data = self.data(entry)?;
                let n = left.min(cluster);
                match entry & ZERO == 0 && !data.is_empty() {
                    true => state.extend(self.bytes("vm state", data.start << self.bits, n)?),
                    false => state.resize(state.len() + n as usize, 0),
                }
                if left <= cluster {
                    break;
                }
            }
        }
        Ok(state)
    }

    /// Takes the disk back to a snapshot.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn apply(&mut self, id: &str) -> Result<(), ImageError> {
        let row = self.rows[self.find(id)?].clone();
        let needed = self.l1_needed(row.disk_size).max(1);
        if needed * 8 > MAX_L1 || row.disk_size > i64::MAX as u64 {
            return self.wrong("snapshot's disk size", format!("{}", row.disk_size));
        }
        let mut l1 = self.l1_of(&row)?;
        l1.resize(needed as usize, 0);
        self.add_all(&l1, 1)?;
        l1.iter_mut().for_each(|entry| *entry &= !COPIED);
        let bytes = table_bytes(&l1, self.cluster());
        let place = self.place(&bytes)?;
        self.write_counts()?;
        // Size, no encryption, entries, offset.
        let mut head = row.disk_size.to_be_bytes().to_vec();
        head.extend_from_slice(&0u32.to_be_bytes());
        head.extend_from_slice(&(l1.len() as u32).to_be_bytes());
        head.extend_from_slice(&place.to_be_bytes());
        self.write(24, &head)?;
        self.sync()?;
        let old = core::mem::replace(&mut self.l1, l1);
        let old_offset = core::mem::replace(&mut self.l1_offset, place);
        self.size = row.disk_size;
        self.add_all(&old, -1)?;
        self.free(old_offset, old.len() as u64 * 8)?;
        self.write_counts()?;
        self.mark()
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn delete(&mut self, id: &str) -> Result<(), ImageError> {
        let at = self.find(id)?;
        let mut rows = self.rows.clone();
        let row = rows.remove(at);
        let l1 = self.l1_of(&row)?;
        let old = self.set_rows(rows)?;
        self.add_all(&l1, -1)?;
        self.free(row.l1_offset, u64::from(row.l1_size) * 8)?;
        self.free(old.0, old.1)?;
        self.write_counts()?;
        self.mark()
    }
}
