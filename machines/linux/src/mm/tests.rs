//! Tests of the address space.

use super::map::{FileSource, Request};
use super::vma::{FileId, Name, Perm};
use super::{Layout, MMAP_MIN_ADDR, MemLimits, Space, UNLIMITED};
use crate::abi::Errno;
use crate::abi::flags::{Madvise, Map, Mremap, Msync};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::rc::Rc;
use tern_core::mem::{Access, FaultKind, GuestMemory, PAGE_SIZE, PageFlags};

const P: u64 = PAGE_SIZE;
const TOP: u64 = 0x40_0000_0000;
const LIMITS: MemLimits = MemLimits { address_space: UNLIMITED, data: UNLIMITED, stack: 8 << 20, locked: UNLIMITED };

fn space() -> Space {
    Space::new(Layout { task_size: TOP, pie_base: 0x2a_aaaa_a000 }, LIMITS)
}

fn request(addr: u64, len: u64) -> Request {
    Request { addr, len, perm: Perm::RW, flags: 0, shared: false, file: None, name: Name::Anon }
}

fn fixed(addr: u64, len: u64) -> Request {
    Request { flags: Map::MAP_FIXED, ..request(addr, len) }
}

fn kind(s: &mut Space, addr: u64, access: Access) -> Result<(), FaultKind> {
    s.page(addr, access, 0).map(|_| ()).map_err(|f| f.kind)
}

fn file(name: &str, bytes: &[u8]) -> std::fs::File {
    let path = std::env::temp_dir().join(format!("tern-linux-mm-{name}-{}", std::process::id()));
    let mut f =
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).expect("file");
    f.write_all(bytes).expect("write");
    std::fs::remove_file(path).expect("unlink");
    f
}

fn source(f: &std::fs::File, offset: u64) -> FileSource {
    let size = f.metadata().expect("metadata").len();
    let id = Rc::new(FileId { path: b"/file".to_vec(), dev: (1, 2), ino: 3, recorded: 0 });
    FileSource { fd: f.as_raw_fd(), offset, writable: true, id, size: Some(size) }
}

#[test]
fn pages_obey_their_protection() {
    let mut s = space();
    let a = s.mmap(&Request { perm: Perm::R, ..request(0, 3 * P) }).expect("room");
    assert_eq!(kind(&mut s, a, Access::Load), Ok(()));
    assert_eq!(kind(&mut s, a, Access::Store), Err(FaultKind::Permission));
    assert_eq!(kind(&mut s, a, Access::Fetch), Err(FaultKind::Permission));
    assert_eq!(kind(&mut s, a + 3 * P, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(s.mprotect(a + P, P, Perm::RX, false), Ok(()));
    assert_eq!(kind(&mut s, a + P, Access::Fetch), Ok(()));
    assert_eq!(kind(&mut s, a + 2 * P, Access::Fetch), Err(FaultKind::Permission));
    assert_eq!(s.mprotect(a, 3 * P, Perm::NONE, false), Ok(()));
    assert_eq!(kind(&mut s, a + P, Access::Load), Err(FaultKind::Permission));
    assert_eq!(s.mprotect(a, 3 * P, Perm { read: false, write: true, exec: false }, false), Ok(()));
    assert_eq!(kind(&mut s, a, Access::Load), Ok(()), "writable pages are readable");
    assert_eq!(s.vmas().count(), 1, "equal neighbours of one origin are one mapping again");
    assert_eq!(s.mprotect(a, 4 * P, Perm::R, false), Err(Errno::ENOMEM), "a hole");
    assert_eq!(s.mprotect(a + 1, P, Perm::R, false), Err(Errno::EINVAL));
}

#[test]
fn page_refs_are_whole_pages_of_the_same_bytes() {
    let mut s = space();
    let a = s.mmap(&request(0, 2 * P)).expect("room");
    s.put_bytes(a + P - 2, &[1, 2, 3, 4]).expect("mapped");
    let first = s.page(a + 5, Access::Load, 0).expect("mapped");
    let second = s.page(a + P, Access::Store, 0).expect("mapped");
    assert_eq!((first.span.len(), second.span.len()), (P as usize, P as usize));
    assert_eq!((first.phys, second.phys), (a / P, a / P + 1));
    let mut b = [0; 2];
    assert!(first.span.read(P as usize - 2, &mut b) && b == [1, 2]);
    assert!(second.span.read(0, &mut b) && b == [3, 4]);
    let generation = s.generation();
    assert_eq!(kind(&mut s, a, Access::Load), Ok(()));
    assert_eq!(s.generation(), generation, "looking changes nothing");
}

#[test]
fn changes_bump_the_generation() {
    let mut s = space();
    let mut last = s.generation();
    let mut changed = |s: &Space, what: &str| {
        assert_ne!(s.generation(), last, "{what}");
        last = s.generation();
    };
    let a = s.mmap(&request(0, 4 * P)).expect("room");
    s.mprotect(a, P, Perm::R, false).expect("mapped");
    changed(&s, "mprotect");
    s.munmap(a + P, P).expect("mapped");
    changed(&s, "munmap");
    s.mmap(&fixed(a, P)).expect("room");
    changed(&s, "mmap over");
    s.mremap(a + 2 * P, 2 * P, P, Mremap::MREMAP_MAYMOVE, 0).expect("room");
    changed(&s, "mremap");
    let last = s.generation();
    s.mmap(&request(0, 4 * P)).expect("room");
    assert_eq!(s.generation(), last, "nobody can hold a page of what was free");
}

#[test]
fn replaced_code_is_reported_once() {
    let mut s = space();
    let rwx = Perm { read: true, write: true, exec: true };
    let a = s.mmap(&Request { perm: rwx, ..request(0, 4 * P) }).expect("room");
    let page = a / P;
    for n in 0..4 {
        s.set_code(page + n, true);
    }
    assert!(s.page(a, Access::Store, 0).expect("mapped").flags.has(PageFlags::CODE));
    let generation = s.generation();
    s.put_bytes(a + 8, &[0; 4]).expect("mapped");
    assert_ne!(s.generation(), generation, "a store by a system call is seen too");
    s.munmap(a + P, P).expect("mapped");
    s.mprotect(a + 2 * P, P, Perm::R, false).expect("mapped");
    s.madvise(a + 3 * P, P, Madvise::MADV_DONTNEED).expect("mapped");
    let mut pages = Vec::new();
    s.take_invalidated(&mut pages);
    pages.sort_unstable();
    assert_eq!(pages, [page, page + 1, page + 2, page + 3]);
    pages.clear();
    s.take_invalidated(&mut pages);
    assert_eq!(pages, []);
    assert!(!s.page(a, Access::Store, 0).expect("mapped").flags.has(PageFlags::CODE));
}

#[test]
fn placement_is_top_down_and_hints_are_taken() {
    let mut s = space();
    let a = s.mmap(&request(0, P)).expect("room");
    let b = s.mmap(&request(0, P)).expect("room");
    assert_eq!(b, a - P);
    assert_eq!(s.mmap(&request(0x5000_0123, P)), Ok(0x5000_1000), "hints are rounded up");
    assert_ne!(s.mmap(&request(0x5000_1000, P)), Ok(0x5000_1000), "a taken hint is no order");
    s.munmap(a, P).expect("mapped");
    assert_eq!(s.mmap(&request(0, P)), Ok(a), "the highest gap comes first");
}

#[test]
fn fixed_and_its_errors() {
    let mut s = space();
    assert_eq!(s.mmap(&fixed(0x20_0000, 2 * P)), Ok(0x20_0000));
    let noreplace = |a| Request { flags: Map::MAP_FIXED_NOREPLACE, ..request(a, P) };
    assert_eq!(s.mmap(&noreplace(0x20_1000)), Err(Errno::EEXIST));
    assert_eq!(s.mmap(&noreplace(0x20_2000)), Ok(0x20_2000));
    assert_eq!(s.mmap(&fixed(0x20_0001, P)), Err(Errno::EINVAL));
    assert_eq!(s.mmap(&fixed(TOP - P, 2 * P)), Err(Errno::ENOMEM));
    assert_eq!(s.mmap(&fixed(0x1000, P)), Err(Errno::EPERM));
    assert_eq!(s.mmap(&fixed(u64::MAX - P + 1, P)), Err(Errno::ENOMEM));
    assert_eq!(s.mmap(&request(0, 0)), Err(Errno::EINVAL));
    assert_eq!(s.mmap(&request(0, u64::MAX)), Err(Errno::ENOMEM));
    assert_eq!(s.mmap(&request(0, TOP)), Err(Errno::ENOMEM));
    s.put_bytes(0x20_0000, b"old").expect("mapped");
    assert_eq!(s.mmap(&fixed(0x20_0000, P)), Ok(0x20_0000));
    assert_eq!(s.bytes(0x20_0000, 3), Ok(vec![0; 3]), "mapped over");
}

#[test]
fn munmap_cuts_holes_and_validates() {
    let mut s = space();
    let a = s.mmap(&request(0, 5 * P)).expect("room");
    s.put_bytes(a + 4 * P, b"tail").expect("mapped");
    assert_eq!(s.munmap(a + P, 2 * P), Ok(()));
    assert_eq!(kind(&mut s, a + P, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(s.bytes(a + 4 * P, 4), Ok(b"tail".to_vec()));
    assert_eq!(s.munmap(a, 5 * P), Ok(()), "holes do not matter");
    assert_eq!(s.vmas().count(), 0);
    assert_eq!(s.munmap(a, 0), Err(Errno::EINVAL));
    assert_eq!(s.munmap(a + 1, P), Err(Errno::EINVAL));
    assert_eq!(s.munmap(TOP - P, 2 * P), Err(Errno::EINVAL));
}

#[test]
fn unmapped_pages_of_a_split_mapping_come_back_as_zero() {
    let mut s = space();
    let a = s.mmap(&request(0, 3 * P)).expect("room");
    s.put_bytes(a + P, b"secret").expect("mapped");
    s.munmap(a + P, P).expect("mapped");
    s.mmap(&fixed(a + P, P)).expect("room");
    assert_eq!(s.bytes(a + P, 6), Ok(vec![0; 6]));
}

#[test]
fn brk_grows_and_shrinks() {
    let mut s = space();
    s.set_brk_start(0x10_0000);
    assert_eq!(s.set_brk(0x10_0000 + 100), 0x10_0064);
    s.put_bytes(0x10_0000, b"heap").expect("mapped");
    assert_eq!(kind(&mut s, 0x10_1000, Access::Load), Err(FaultKind::Unmapped));
    for step in 1..200 {
        let to = 0x10_0000 + step * 33 * P;
        assert_eq!(s.set_brk(to), to);
        s.put_bytes(to - 1, &[7]).expect("mapped");
    }
    assert_eq!(s.bytes(0x10_0000, 4), Ok(b"heap".to_vec()));
    assert!(s.vmas().count() < 12, "a growing heap stays in few mappings");
    assert_eq!(s.set_brk(0x10_1000), 0x10_1000);
    assert_eq!(kind(&mut s, 0x10_1000, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(s.set_brk(0x10_3000), 0x10_3000);
    assert_eq!(s.bytes(0x10_1000, 8192).map(|b| b.iter().all(|x| *x == 0)), Ok(true), "memory given back is zero");
    assert_eq!(s.set_brk(0xf_0000), 0x10_3000, "below the start");
    s.mmap(&fixed(0x10_5000, P)).expect("room");
    assert_eq!(s.set_brk(0x10_6000), 0x10_3000, "something is in the way");
    s.limits.data = 0x3000;
    assert_eq!(s.set_brk(0x10_3001), 0x10_3000, "RLIMIT_DATA");
}

#[test]
fn limits_give_enomem() {
    let mut s = space();
    s.limits.address_space = 10 * P;
    let a = s.mmap(&request(0, 8 * P)).expect("room");
    assert_eq!(s.mmap(&request(0, 3 * P)), Err(Errno::ENOMEM));
    assert_eq!(s.mremap(a, 8 * P, 11 * P, Mremap::MREMAP_MAYMOVE, 0), Err(Errno::ENOMEM));
    s.limits = MemLimits { data: 9 * P, ..LIMITS };
    assert_eq!(s.mmap(&request(0, 2 * P)), Err(Errno::ENOMEM));
    let r = s.mmap(&Request { perm: Perm::R, ..request(0, 2 * P) }).expect("read-only memory is no data");
    assert_eq!(s.mprotect(r, 2 * P, Perm::RW, false), Err(Errno::ENOMEM));
}

#[test]
fn mremap_moves_grows_and_shrinks() {
    let mut s = space();
    let a = s.mmap(&request(0, 4 * P)).expect("room");
    s.put_bytes(a, b"data").expect("mapped");
    assert_eq!(s.mremap(a, 4 * P, 2 * P, 0, 0), Ok(a));
    assert_eq!(kind(&mut s, a + 2 * P, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(s.mremap(a, 2 * P, 4 * P, 0, 0), Ok(a), "the place behind is free again");
    assert_eq!(s.bytes(a + 2 * P, 4), Ok(vec![0; 4]));
    s.mmap(&fixed(a + 4 * P, P)).expect("room");
    assert_eq!(s.mremap(a, 4 * P, 8 * P, 0, 0), Err(Errno::ENOMEM));
    let two = s.mremap(a, 2 * P, 8 * P, Mremap::MREMAP_MAYMOVE, 0).expect("room");
    assert_ne!(two, a);
    assert_eq!(s.bytes(two, 4), Ok(b"data".to_vec()));
    assert_eq!(kind(&mut s, a, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(kind(&mut s, a + 2 * P, Access::Load), Ok(()), "the rest stays");
    let flags = Mremap::MREMAP_MAYMOVE | Mremap::MREMAP_FIXED;
    assert_eq!(s.mremap(two, 8 * P, 8 * P, flags, 0x5000_0000), Ok(0x5000_0000));
    assert_eq!(s.bytes(0x5000_0000, 4), Ok(b"data".to_vec()));
    let keep = Mremap::MREMAP_MAYMOVE | Mremap::MREMAP_DONTUNMAP;
    let three = s.mremap(0x5000_0000, 8 * P, 8 * P, keep, 0).expect("room");
    assert_eq!(s.bytes(three, 4), Ok(b"data".to_vec()));
    assert_eq!(s.bytes(0x5000_0000, 4), Ok(vec![0; 4]));
    for (old, len, new, flags, to, want) in [
        (a + 1, P, P, 0, 0, Errno::EINVAL),
        (a + 2 * P, P, 0, 0, 0, Errno::EINVAL),
        (a + 2 * P, P, P, 8, 0, Errno::EINVAL),
        (a + 2 * P, P, P, Mremap::MREMAP_FIXED, 0x6000_0000, Errno::EINVAL),
        (0x7000_0000, P, 2 * P, Mremap::MREMAP_MAYMOVE, 0, Errno::EFAULT),
        (a + 2 * P, 19 * P, 20 * P, Mremap::MREMAP_MAYMOVE, 0, Errno::EFAULT),
        (0x5000_0000, 8 * P, 8 * P, Mremap::MREMAP_MAYMOVE | Mremap::MREMAP_FIXED, 0x5000_1000, Errno::EINVAL),
    ] {
        assert_eq!(s.mremap(old, len, new, flags, to), Err(want), "{old:#x} {len:#x} {new:#x} {flags}");
    }
}

#[test]
fn mremap_of_a_large_mapping_keeps_its_contents() {
    let mut s = space();
    let mut a = s.mmap(&request(0, 64 * P)).expect("room");
    for round in 0..5u64 {
        s.put_bytes(a + round * P, &[round as u8 + 1]).expect("mapped");
        a = s.mremap(a, (64 * P) << round, (128 * P) << round, Mremap::MREMAP_MAYMOVE, 0).expect("room");
    }
    for round in 0..5u64 {
        assert_eq!(s.bytes(a + round * P, 1), Ok(vec![round as u8 + 1]));
    }
}

#[test]
fn private_file_mappings_copy_on_write_and_end_with_the_file() {
    let f = file("private", &[b'x'; 5000]);
    let mut s = space();
    let a = s.mmap(&Request { file: Some(source(&f, 0)), ..request(0, 4 * P) }).expect("room");
    assert_eq!(s.bytes(a + 4999, 3), Ok(vec![b'x', 0, 0]), "the last page is filled with zeros");
    assert_eq!(kind(&mut s, a + P + 1, Access::Store), Ok(()));
    assert_eq!(kind(&mut s, a + 2 * P, Access::Load), Err(FaultKind::Bus), "behind the end");
    s.put_bytes(a, b"y").expect("mapped");
    let mut b = [0];
    std::os::unix::fs::FileExt::read_exact_at(&f, &mut b, 0).expect("file");
    assert_eq!(b, *b"x", "the file does not change");
    s.madvise(a, P, Madvise::MADV_DONTNEED).expect("mapped");
    assert_eq!(s.bytes(a, 1), Ok(b"x".to_vec()), "the file's contents are back");
    let names: Vec<_> = s.vmas().map(|v| (v.file_offset, v.name.clone())).collect();
    assert!(names.iter().all(|(_, n)| matches!(n, Name::File(id) if id.ino == 3)));
}

#[test]
fn shared_file_mappings_write_through_and_follow_growth() {
    let f = file("shared", &[b'x'; 100]);
    let mut s = space();
    let shared = Request { shared: true, file: Some(source(&f, 0)), ..request(0, 3 * P) };
    let a = s.mmap(&shared).expect("room");
    assert!(s.page(a, Access::Load, 0).expect("mapped").flags.has(PageFlags::SHARED));
    s.put_bytes(a + 1, b"y").expect("mapped");
    let mut b = [0; 2];
    std::os::unix::fs::FileExt::read_exact_at(&f, &mut b, 0).expect("file");
    assert_eq!(b, *b"xy");
    assert_eq!(kind(&mut s, a + P, Access::Load), Err(FaultKind::Bus));
    f.set_len(2 * P + 1).expect("file");
    let generation = s.generation();
    assert_eq!(s.put_bytes(a + 2 * P, b"z"), Ok(()), "the file has grown");
    assert_ne!(s.generation(), generation);
    std::os::unix::fs::FileExt::read_exact_at(&f, &mut b[..1], 2 * P).expect("file");
    assert_eq!(b[0], b'z');
    assert_eq!(s.msync(a, 3 * P, Msync::MS_SYNC), Ok(()));
    assert_eq!(s.msync(a, 4 * P, Msync::MS_SYNC), Err(Errno::ENOMEM));
    assert_eq!(s.msync(a, P, Msync::MS_SYNC | Msync::MS_ASYNC), Err(Errno::EINVAL));
}

#[test]
fn a_shared_mapping_of_a_read_only_file_cannot_be_made_writable() {
    let f = file("readonly", &[1; 100]);
    let mut s = space();
    let source = FileSource { writable: false, ..source(&f, 0) };
    let a = s.mmap(&Request { shared: true, perm: Perm::R, file: Some(source), ..request(0, P) }).expect("room");
    assert_eq!(s.mprotect(a, P, Perm::RW, false), Err(Errno::EACCES));
}

#[test]
fn stacks_grow_down_to_their_limit() {
    let mut s = space();
    let top = TOP - 16 * P;
    let stack = Request { flags: Map::MAP_FIXED | Map::MAP_GROWSDOWN, name: Name::Stack, ..request(top - P, P) };
    s.mmap(&stack).expect("room");
    assert_eq!(kind(&mut s, top - 100 * P, Access::Store), Ok(()));
    assert_eq!(kind(&mut s, top - (8 << 20), Access::Store), Ok(()), "to the last byte of RLIMIT_STACK");
    assert_eq!(kind(&mut s, top - (8 << 20) - 1, Access::Store), Err(FaultKind::Unmapped));
    s.put_bytes(top - 50 * P, &[9]).expect("grown");
    assert_eq!(s.bytes(top - 50 * P, 1), Ok(vec![9]));
}

#[test]
fn stacks_keep_away_from_what_is_below() {
    let mut s = space();
    let top = TOP - 16 * P;
    let stack = Request { flags: Map::MAP_FIXED | Map::MAP_GROWSDOWN, name: Name::Stack, ..request(top - P, P) };
    s.mmap(&stack).expect("room");
    s.mmap(&fixed(top - (4 << 20), P)).expect("room");
    assert_eq!(kind(&mut s, top - (2 << 20), Access::Store), Ok(()));
    assert_eq!(kind(&mut s, top - (4 << 20) + 2 * P, Access::Store), Err(FaultKind::Unmapped), "the guard gap");
}

#[test]
fn madvise_zeroes_and_reports_holes() {
    let mut s = space();
    let a = s.mmap(&request(0, 4 * P)).expect("room");
    s.put_bytes(a + P, &[1; 16]).expect("mapped");
    assert_eq!(s.madvise(a + P, P, Madvise::MADV_DONTNEED), Ok(()));
    assert_eq!(s.bytes(a + P, 16), Ok(vec![0; 16]));
    assert_eq!(s.madvise(a, 5 * P, Madvise::MADV_NORMAL), Err(Errno::ENOMEM));
    assert_eq!(s.madvise(a, P, 5), Err(Errno::EINVAL));
    assert_eq!(s.madvise(a + 1, P, Madvise::MADV_NORMAL), Err(Errno::EINVAL));
    assert_eq!(s.madvise(a, P, Madvise::MADV_HUGEPAGE), Ok(()));
    assert_eq!(s.madvise(a, P, Madvise::MADV_POPULATE_WRITE), Ok(()));
}

#[test]
fn a_fork_wipes_and_drops_what_it_was_told_to() {
    let mut s = space();
    let a = s.mmap(&request(0, 3 * P)).expect("room");
    s.put_bytes(a, &[1; 3 * PAGE_SIZE as usize]).expect("mapped");
    s.madvise(a, P, Madvise::MADV_WIPEONFORK).expect("anonymous");
    s.madvise(a + P, P, Madvise::MADV_DONTFORK).expect("mapped");
    s.mlock(a + 2 * P, P, true).expect("no limit");
    s.forked();
    assert_eq!(s.bytes(a, 2), Ok(vec![0; 2]));
    assert_eq!(kind(&mut s, a + P, Access::Load), Err(FaultKind::Unmapped));
    assert_eq!(s.bytes(a + 2 * P, 2), Ok(vec![1; 2]));
    assert_eq!(s.locked(), 0);
}

#[test]
fn locks_count_against_their_limit() {
    let mut s = space();
    let a = s.mmap(&request(0, 4 * P)).expect("room");
    s.limits.locked = 2 * P;
    assert_eq!(s.mlock(a + 10, P, true), Ok(()), "two pages are touched");
    assert_eq!(s.locked(), 2 * P);
    assert_eq!(s.mlock(a + 2 * P, P, true), Err(Errno::ENOMEM));
    assert_eq!(s.madvise(a, P, Madvise::MADV_DONTNEED), Err(Errno::EINVAL), "locked");
    assert_eq!(s.mmap(&Request { flags: Map::MAP_LOCKED, ..request(0, P) }), Err(Errno::EAGAIN));
    assert_eq!(s.mlock(a, 2 * P, false), Ok(()));
    assert_eq!(s.mlockall(Some((true, false))), Err(Errno::ENOMEM));
}

#[test]
fn mincore_covers_only_what_is_mapped() {
    let mut s = space();
    let a = s.mmap(&request(0, 2 * P)).expect("room");
    assert_eq!(s.mincore(a, 2 * P), Ok(vec![1, 1]));
    assert_eq!(s.mincore(a, 3 * P), Err(Errno::ENOMEM));
    assert_eq!(s.mincore(a + 1, P), Err(Errno::EINVAL));
}

#[test]
fn guest_data_crosses_pages_and_faults_exactly() {
    let mut s = space();
    let a = s.mmap(&request(0, 2 * P)).expect("room");
    assert_eq!(s.put_bytes(a + 2 * P - 3, b"abcdef"), Err(Errno::EFAULT));
    assert_eq!(s.bytes(a + 2 * P - 3, 3), Ok(b"abc".to_vec()), "bytes before the fault are there");
    assert_eq!(s.cstr(a + 2 * P - 3, 4096), Err(Errno::EFAULT));
    s.put_bytes(a + P - 2, b"path\0").expect("mapped");
    assert_eq!(s.cstr(a + P - 2, 4096).map(|c| c.into_bytes()), Ok(b"path".to_vec()));
    assert_eq!(s.cstr(a + P - 2, 3), Err(Errno::E2BIG));
    assert_eq!(s.bytes(a, u64::MAX), Err(Errno::EFAULT), "a hostile length allocates nothing");
    assert_eq!(s.accessible(a + 5, 3 * P, Access::Store), 2 * P - 5);
}

#[test]
fn anonymous_memory_can_be_named() {
    let mut s = space();
    let a = s.mmap(&request(0, 3 * P)).expect("room");
    assert_eq!(s.name_anon(a + P, P, Some(b"stack".to_vec())), Ok(()));
    assert_eq!(s.vmas().count(), 3);
    assert_eq!(s.name_anon(a + P, P, None), Ok(()));
    assert_eq!(s.vmas().count(), 1);
}

/// Random calls: whatever the guest asks for, the map stays ordered and disjoint, pages agree with a plain model of
/// their contents, and nothing panics.
#[test]
fn random_calls_agree_with_a_model() {
    const PAGES: u64 = 64;
    let base = 0x100_0000;
    assert!(base > MMAP_MIN_ADDR);
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut next = |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    let mut s = space();
    let mut model: Vec<Option<(u8, Perm)>> = vec![None; PAGES as usize];
    for step in 0..4000u64 {
        let from = next(PAGES);
        let len = 1 + next(8.min(PAGES - from));
        let addr = base + from * P;
        let range = from as usize..(from + len) as usize;
        match next(6) {
            0 | 1 => {
                assert_eq!(s.mmap(&fixed(addr, len * P)), Ok(addr));
                model[range].fill(Some((0, Perm::RW)));
            }
            2 => {
                assert_eq!(s.munmap(addr, len * P), Ok(()));
                model[range].fill(None);
            }
            3 => {
                let perm = [Perm::R, Perm::RW, Perm::RX, Perm::NONE][next(4) as usize];
                let whole = model[range.clone()].iter().all(Option::is_some);
                assert_eq!(s.mprotect(addr, len * P, perm, false).is_ok(), whole, "step {step}");
                for page in model[range].iter_mut().map_while(Option::as_mut) {
                    page.1 = perm;
                }
            }
            4 => {
                let value = step as u8;
                let ok = model[from as usize].is_some_and(|(_, p)| p.write);
                assert_eq!(s.put_bytes(addr + next(P), &[value]).is_ok() && s.put_bytes(addr, &[value]).is_ok(), ok);
                if let (true, Some(page)) = (ok, &mut model[from as usize]) {
                    page.0 = value;
                }
            }
            _ => {
                let _ = s.madvise(addr, len * P, Madvise::MADV_DONTNEED);
                for page in model[range].iter_mut().flatten() {
                    page.0 = 0;
                }
            }
        }
        let probe = next(PAGES);
        let want = match model[probe as usize] {
            Some((v, p)) if p.read || p.write => Ok(vec![v]),
            _ => Err(Errno::EFAULT),
        };
        assert_eq!(s.bytes(base + probe * P, 1), want, "step {step}, page {probe}");
        let ends: Vec<(u64, u64)> = s.vmas().map(|v| (v.start, v.end)).collect();
        assert!(ends.iter().all(|(a, b)| a < b) && ends.windows(2).all(|w| w[0].1 <= w[1].0), "step {step}: {ends:?}");
        assert_eq!(s.total() / P, model.iter().flatten().count() as u64);
    }
}
