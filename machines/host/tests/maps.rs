//! Mappings behind guest memory.

use tern_host::map::{HostMap, MapError, page_size};
#[cfg(all(target_os = "linux", not(miri)))]
use tern_host::{
    map::{Advice, Sync},
    sys::{file, host, proc},
};

fn byte(map: &HostMap, at: usize) -> u8 {
    let mut b = [0];
    assert!(map.span().read(at, &mut b));
    b[0]
}

#[test]
fn splitting_unmapping_discarding() {
    let page = page_size();
    let mut map = HostMap::anon(4 * page - 1).unwrap();
    assert_eq!((map.len(), map.writable(), map.shared()), (4 * page, true, false));
    for i in 0..4 {
        assert_eq!(byte(&map, i * page), 0);
        assert!(map.span().write(i * page, &[i as u8 + 1]));
    }
    assert_eq!(map.split_off(5).unwrap_err(), MapError::Unaligned(5));
    let outside = MapError::Range { start: 5 * page, end: 4 * page, len: 4 * page };
    assert_eq!(map.split_off(5 * page).unwrap_err(), outside);
    map.discard(2 * page..3 * page).unwrap();
    assert_eq!([0, 1, 2, 3].map(|i| byte(&map, i * page)), [1, 2, 0, 4]);
    let tail = map.unmap_part(page..2 * page).unwrap().unwrap();
    assert_eq!((map.len(), tail.len()), (page, 2 * page));
    assert_eq!((byte(&map, 0), byte(&tail, 0), byte(&tail, page)), (1, 0, 4));
    drop(map);
    assert_eq!(byte(&tail, page), 4);
    let mut tail = tail;
    assert!(tail.unmap_part(0..2 * page).unwrap().is_none());
    assert!(tail.is_empty() && tail.span().is_empty());
    assert_eq!(tail.remap(page), Err(MapError::Length(0)));
}

#[test]
fn growing_and_shrinking() {
    let page = page_size();
    let mut map = HostMap::anon(page).unwrap();
    assert!(map.span().write(7, b"kept"));
    map.remap(64 * page).unwrap();
    let mut word = [0; 4];
    assert!(map.span().read(7, &mut word));
    assert_eq!((&word, byte(&map, 64 * page - 1)), (b"kept", 0));
    map.remap(page).unwrap();
    assert_eq!((map.len(), byte(&map, 7)), (page, b'k'));
    assert_eq!(map.remap(usize::MAX), Err(MapError::Length(usize::MAX as u64)));
}

#[test]
fn bad_lengths() {
    assert_eq!(HostMap::anon(0).unwrap_err(), MapError::Length(0));
    assert!(HostMap::anon(usize::MAX / 2).is_err());
    assert!(HostMap::anon(usize::MAX).is_err());
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn files() {
    let page = page_size();
    let fd = file::memfd_create(c"tern", 0).unwrap();
    file::ftruncate(fd, 3 * page as i64).unwrap();
    file::pwrite(fd, b"second page", page as i64).unwrap();
    let unaligned = HostMap::file(fd, 1, page, false, true).unwrap_err();
    assert_eq!(unaligned, MapError::Unaligned(1));
    let private = HostMap::file(fd, page as u64, page, false, true).unwrap();
    let mut shared = HostMap::file(fd, page as u64, page, true, true).unwrap();
    assert_eq!((byte(&private, 0), byte(&shared, 0)), (b's', b's'));
    assert!(private.span().write(0, b"P"));
    assert!(shared.span().write(1, b"S"));
    shared.sync(0..page, Sync::Wait).unwrap();
    shared.sync(0..page, Sync::Start).unwrap();
    let mut buf = [0; 3];
    file::pread(fd, &mut buf, page as i64).unwrap();
    assert_eq!(&buf, b"sSc");
    assert_eq!(byte(&private, 0), b'P');
    shared.remap(2 * page).unwrap();
    file::pwrite(fd, b"third", 2 * page as i64).unwrap();
    assert_eq!(byte(&shared, page), b't');
    let mut private = private;
    private.discard(0..page).unwrap();
    assert_eq!(byte(&private, 0), b's', "the file's own byte is back");
    private.advise(0..page, Advice::WillNeed).unwrap();
    file::close(fd).unwrap();
    let bad = HostMap::file(fd_that_is_closed(), 0, page, false, false).unwrap_err();
    assert!(matches!(bad, MapError::Os { call: "mmap", .. }), "{bad}");
}

#[cfg(all(target_os = "linux", not(miri)))]
fn fd_that_is_closed() -> i32 {
    1_000_000
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_read_only_descriptor_gives_no_shared_writable_map() {
    let fd = file::openat(tern_host::sys::CWD, c"/proc/self/exe", host::O_RDONLY, 0).unwrap();
    let denied = HostMap::file(fd, 0, 4096, true, true).unwrap_err();
    assert_eq!(denied, MapError::Os { call: "mmap", errno: tern_host::sys::Errno::EACCES.0 });
    let map = HostMap::file(fd, 0, 4096, true, false).unwrap();
    assert!(!map.writable() && map.shared());
    assert_eq!(byte(&map, 1), b'E');
    let copy = HostMap::file(fd, 0, 4096, false, true).unwrap();
    assert!(copy.span().write(1, b"X"));
    file::close(fd).unwrap();
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn shared_with_children() {
    let shared = HostMap::anon_shared(4096).unwrap();
    let private = HostMap::anon(4096).unwrap();
    let pid = proc::fork().unwrap();
    if pid == 0 {
        let ok = shared.span().write(0, &[1]) && private.span().write(0, &[1]);
        proc::exit_group(i32::from(!ok));
    }
    assert_eq!(proc::wait4(pid, 0).unwrap().status, 0);
    assert_eq!((byte(&shared, 0), byte(&private, 0)), (1, 0));
}
