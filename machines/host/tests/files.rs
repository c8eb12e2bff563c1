//! Files and names, against the real kernel.
#![cfg(target_os = "linux")]

mod common;
use common::{Dir, c};
use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use tern_host::sys::file::{self, Dirents, Lock, LockOp};
use tern_host::sys::{CWD, Errno, Time, fs, host, time, xattr};

fn create(dir: &Dir, name: &str) -> i32 {
    file::openat(CWD, &dir.path(name), host::O_RDWR | host::O_CREAT | host::O_CLOEXEC, 0o644).unwrap()
}

#[test]
fn reading_and_writing() {
    let dir = Dir::new("rw");
    let fd = create(&dir, "a");
    assert_eq!(file::write(fd, b"hello world"), Ok(11));
    assert_eq!(file::lseek(fd, 6, host::SEEK_SET), Ok(6));
    let mut buf = [0; 16];
    assert_eq!(file::read(fd, &mut buf), Ok(5));
    assert_eq!(&buf[..5], b"world");
    assert_eq!(file::pwrite(fd, b"W", 6), Ok(1));
    assert_eq!(file::pread(fd, &mut buf[..1], 6), Ok(1));
    assert_eq!(buf[0], b'W');
    assert_eq!(file::pwritev(fd, &[IoSlice::new(b"xy"), IoSlice::new(b"z")], 1 << 33, 0), Ok(3));
    assert_eq!(fs::fstat(fd).unwrap().size, (1 << 33) + 3);
    let (mut a, mut b) = ([0; 1], [0; 2]);
    let mut iov = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!(file::preadv(fd, &mut iov, 1 << 33, 0), Ok(3));
    assert_eq!((&a, &b), (b"x", b"yz"));
    let mut iov = [IoSliceMut::new(&mut b)];
    assert_eq!(file::preadv(fd, &mut iov, -1, 0), Ok(2), "the file's own position, which is at 11, in the hole");
    assert_eq!(b, [0, 0]);
    assert_eq!(file::lseek(fd, 0, host::SEEK_DATA), Ok(0));
    file::ftruncate(fd, 4).unwrap();
    file::truncate(&dir.path("a"), 5).unwrap();
    assert_eq!(fs::fstat(fd).unwrap().size, 5);
    file::fallocate(fd, 0, 0, 8192).unwrap();
    assert_eq!(fs::fstat(fd).unwrap().size, 8192);
    file::fadvise(fd, 0, 0, 0).unwrap();
    file::readahead(fd, 0, 4096).unwrap();
    file::sync_file_range(fd, 0, 4096, 2).unwrap();
    file::fsync(fd).unwrap();
    file::fdatasync(fd).unwrap();
    file::close(fd).unwrap();
    assert_eq!(file::close(fd), Err(Errno::EBADF));
    assert_eq!(format!("{:?}", Errno::EBADF), "EBADF");
}

#[test]
fn openat2_and_large_numbers() {
    let dir = Dir::new("openat2");
    let flags = (host::O_RDWR | host::O_CREAT) as u64;
    match file::openat2(CWD, &dir.path("f"), flags, 0o600, 0) {
        Ok(fd) => {
            assert_eq!(fs::fstat(fd).unwrap().mode & 0o777, 0o600 & !current_umask());
            file::close(fd).unwrap();
            assert_eq!(file::openat2(CWD, c"/proc/self/exe", 0, 0, 2), Err(Errno::ELOOP), "RESOLVE_NO_MAGICLINKS");
        }
        Err(e) => assert_eq!(e, Errno::ENOSYS),
    }
}

fn current_umask() -> u32 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("Umask:")).unwrap();
    u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 8).unwrap()
}

#[test]
fn copying_between_descriptors() {
    let dir = Dir::new("copy");
    let (from, to) = (create(&dir, "from"), create(&dir, "to"));
    file::write(from, b"0123456789").unwrap();
    let (mut a, mut b) = (2, 1);
    assert_eq!(file::copy_file_range((from, Some(&mut a)), (to, Some(&mut b)), 3, 0), Ok(3));
    assert_eq!((a, b), (5, 4));
    let mut off = 8;
    assert_eq!(file::sendfile(to, from, Some(&mut off), 10), Ok(2));
    assert_eq!(off, 10);
    let mut buf = [0; 8];
    assert_eq!(file::pread(to, &mut buf, 0), Ok(4));
    assert_eq!(&buf[..4], b"8934");
    let (r, w) = file::pipe2(host::O_CLOEXEC).unwrap();
    let mut off = 0;
    assert_eq!(file::splice((from, Some(&mut off)), (w, None), 4, 0), Ok(4));
    let (r2, w2) = file::pipe2(0).unwrap();
    assert_eq!(file::tee(r, w2, 4, 0), Ok(4));
    assert_eq!(file::read(r2, &mut buf), Ok(4));
    assert_eq!(&buf[..4], b"0123");
    for fd in [from, to, r, w, r2, w2] {
        file::close(fd).unwrap();
    }
}

#[test]
fn names() {
    let dir = Dir::new("names");
    file::close(create(&dir, "a")).unwrap();
    fs::symlinkat(c"a", CWD, &dir.path("link")).unwrap();
    let mut buf = [0; 64];
    assert_eq!(fs::readlinkat(CWD, &dir.path("link"), &mut buf), Ok(1));
    assert_eq!(buf[0], b'a');
    fs::linkat(CWD, &dir.path("a"), CWD, &dir.path("b"), 0).unwrap();
    assert_eq!(fs::fstatat(CWD, &dir.path("b"), 0).unwrap().nlink, 2);
    fs::mkdirat(CWD, &dir.path("d"), 0o700).unwrap();
    assert_eq!(fs::renameat2(CWD, &dir.path("a"), CWD, &dir.path("b"), 1), Err(Errno::EEXIST), "RENAME_NOREPLACE");
    fs::renameat2(CWD, &dir.path("b"), CWD, &dir.path("d/c"), 0).unwrap();
    assert_eq!(fs::unlinkat(CWD, &dir.path("d"), 0), Err(Errno::EISDIR));
    fs::mknodat(CWD, &dir.path("fifo"), 0o010_644, 0).unwrap();
    assert_eq!(fs::fstatat(CWD, &dir.path("fifo"), 0).unwrap().mode & 0o170_000, 0o010_000);
    let link = fs::fstatat(CWD, &dir.path("link"), host::AT_SYMLINK_NOFOLLOW).unwrap();
    assert_eq!(link.mode & 0o170_000, 0o120_000);
    let dirfd = file::openat(CWD, &c(&dir.0), host::O_DIRECTORY, 0).unwrap();
    let mut names = BTreeSet::new();
    let mut room = [0; 128];
    loop {
        let n = file::getdents64(dirfd, &mut room).unwrap();
        if n == 0 {
            break;
        }
        names.extend(Dirents::new(&room[..n]).map(|d| (d.name.to_vec(), d.kind)));
    }
    let want: [(&[u8], u8); 6] = [(b".", 4), (b"..", 4), (b"a", 8), (b"d", 4), (b"fifo", 1), (b"link", 10)];
    assert_eq!(names, want.map(|(n, k)| (n.to_vec(), k)).into());
    assert_eq!(Dirents::new(&[0xff; 40]).count(), 0, "a record that is longer than the buffer ends the list");
    file::close(dirfd).unwrap();
    fs::unlinkat(CWD, &dir.path("fifo"), 0).unwrap();
    assert_eq!(fs::faccessat(CWD, &dir.path("fifo"), 0, 0), Err(Errno::ENOENT));
    fs::faccessat(CWD, &dir.path("d"), 0, 0).unwrap();
    fs::faccessat(CWD, &dir.path("link"), 0, host::AT_SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn metadata() {
    let dir = Dir::new("meta");
    let fd = create(&dir, "a");
    fs::fchmod(fd, 0o640).unwrap();
    assert_eq!(fs::fstat(fd).unwrap().mode, 0o100_640);
    fs::fchmodat(CWD, &dir.path("a"), 0o600).unwrap();
    assert_eq!(fs::fstat(fd).unwrap().mode, 0o100_600);
    match fs::fchmodat2(CWD, &dir.path("a"), 0o604, 0) {
        Ok(()) => assert_eq!(fs::fstat(fd).unwrap().mode, 0o100_604),
        Err(e) => assert_eq!(e, Errno::ENOSYS),
    }
    fs::fchown(fd, u32::MAX, u32::MAX).unwrap();
    let me = fs::fstat(fd).unwrap();
    fs::fchownat(CWD, &dir.path("a"), me.uid, me.gid, 0).unwrap();
    let times = [Time { sec: 1_000_000_000, nsec: 7 }, Time { sec: 0, nsec: host::UTIME_OMIT }];
    time::utimensat(CWD, Some(&dir.path("a")), Some(times), 0).unwrap();
    let stat = fs::fstat(fd).unwrap();
    assert_eq!((stat.atime, stat.mtime), (times[0], me.mtime));
    time::utimensat(fd, None, Some([Time { sec: 5_000_000_000, nsec: 1 }; 2]), 0).unwrap();
    assert_eq!(fs::fstat(fd).unwrap().mtime.sec, 5_000_000_000, "after 2038");
    let by_std = std::fs::metadata(dir.0.join("a")).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((stat.ino, stat.nlink as u64, stat.uid), (by_std.ino(), by_std.nlink(), by_std.uid()));
    let null = fs::fstatat(CWD, c"/dev/null", 0).unwrap();
    assert_eq!(null.rdev, (1, 3));
    assert_eq!(fs::dev(1, 3), 0x103);
    assert_eq!(fs::dev(8, 0x12345), 0x1230_0845);
    let (a, b) = (fs::fstatfs(fd).unwrap(), fs::statfs(&c(&dir.0)).unwrap());
    assert!(a.bsize > 0 && a.namelen >= 255 && a.blocks >= a.bfree);
    assert_eq!((a.kind, a.fsid, a.frsize), (b.kind, b.fsid, b.frsize));
    assert_eq!(fs::statfs(c"/proc").unwrap().kind, 0x9fa0);
    file::close(fd).unwrap();
}

#[test]
fn attributes() {
    let dir = Dir::new("xattr");
    let fd = create(&dir, "a");
    let path = dir.path("a");
    match xattr::setxattr(&path, c"user.tern", b"value", 0) {
        Ok(()) => {
            let mut buf = [0; 32];
            assert_eq!(xattr::fgetxattr(fd, c"user.tern", &mut buf), Ok(5));
            assert_eq!(&buf[..5], b"value");
            assert_eq!(xattr::getxattr(&path, c"user.tern", &mut []), Ok(5));
            assert_eq!(xattr::lgetxattr(&path, c"user.tern", &mut buf[..1]), Err(Errno::ERANGE));
            xattr::fsetxattr(fd, c"user.two", b"", 0).unwrap();
            xattr::lsetxattr(&path, c"user.two", b"2", 2).unwrap();
            let mut names = [0; 256];
            let n = xattr::listxattr(&path, &mut names).unwrap();
            assert_eq!(xattr::flistxattr(fd, &mut []), Ok(n));
            assert_eq!(xattr::llistxattr(&path, &mut []), Ok(n));
            assert!(names[..n].split(|b| *b == 0).any(|name| name == b"user.two"));
            xattr::removexattr(&path, c"user.tern").unwrap();
            xattr::fremovexattr(fd, c"user.two").unwrap();
            assert_eq!(xattr::lremovexattr(&path, c"user.two"), Err(Errno::ENODATA));
        }
        Err(e) => assert_eq!(e, Errno::EOPNOTSUPP, "a file system without attributes"),
    }
    file::close(fd).unwrap();
}

#[test]
fn descriptors_and_locks() {
    let dir = Dir::new("locks");
    let fd = create(&dir, "a");
    let dup = file::fcntl(fd, host::F_DUPFD_CLOEXEC, 500).unwrap();
    assert!(dup >= 500);
    assert_eq!(file::fcntl(dup, host::F_GETFD, 0), Ok(host::FD_CLOEXEC));
    assert_eq!(file::dup3(fd, dup, 0), Ok(dup));
    assert_eq!(file::fcntl(dup, host::F_GETFD, 0), Ok(0));
    assert_eq!(file::fcntl(fd, host::F_GETFL, 0).unwrap() & host::O_ACCMODE, host::O_RDWR);
    assert_eq!(file::fcntl(fd, libc::F_GETLK, 0), Err(Errno::EINVAL), "a pointer must not pass as a number");
    let other = file::openat(CWD, &dir.path("a"), host::O_RDWR, 0).unwrap();
    let write = Lock { kind: host::F_WRLCK, start: 1 << 32, len: 10, ..Lock::default() };
    file::lock(fd, LockOp::OfdSet, &mut write.clone()).unwrap();
    let mut probe = Lock { kind: host::F_RDLCK, start: (1 << 32) + 9, len: 1, ..Lock::default() };
    assert_eq!(file::lock(other, LockOp::OfdSet, &mut probe.clone()), Err(Errno::EAGAIN));
    file::lock(other, LockOp::OfdGet, &mut probe).unwrap();
    assert_eq!((probe.kind, probe.start, probe.len, probe.pid), (write.kind, write.start, 10, -1));
    let mut mine = Lock { kind: host::F_RDLCK, ..Lock::default() };
    file::lock(fd, LockOp::Get, &mut mine).unwrap();
    file::flock(fd, host::LOCK_EX | host::LOCK_NB).unwrap();
    assert_eq!(file::flock(other, host::LOCK_SH | host::LOCK_NB), Err(Errno::EAGAIN));
    file::flock(fd, host::LOCK_UN).unwrap();
    file::flock(other, host::LOCK_SH | host::LOCK_NB).unwrap();
    match file::close_range(dup as u32, dup as u32, 0) {
        Ok(()) => assert_eq!(file::dup(dup), Err(Errno::EBADF)),
        Err(e) => assert_eq!(e, Errno::ENOSYS),
    }
    file::close(fd).unwrap();
    file::close(other).unwrap();
}

#[test]
fn special_descriptors() {
    let mut word = [0; 8];
    let event = file::eventfd2(3, host::EFD_NONBLOCK).unwrap();
    assert_eq!(file::read(event, &mut word), Ok(8));
    assert_eq!(word.iter().sum::<u8>(), 3);
    assert_eq!(file::read(event, &mut word), Err(Errno::EAGAIN));

    let memory = file::memfd_create(c"tern", host::MFD_ALLOW_SEALING).unwrap();
    file::write(memory, b"x").unwrap();
    file::fcntl(memory, host::F_ADD_SEALS, 8).unwrap();
    assert_eq!(file::fcntl(memory, host::F_GET_SEALS, 0), Ok(8));
    assert_eq!(file::write(memory, b"y"), Err(Errno::EPERM));

    let timer = time::timerfd_create(host::CLOCK_MONOTONIC, host::TFD_CLOEXEC).unwrap();
    let one_shot = time::Interval { value: Time::from_nanos(2_000_000), ..Default::default() };
    assert_eq!(time::timerfd_settime(timer, 0, one_shot), Ok(Default::default()));
    assert!(time::timerfd_gettime(timer).unwrap().value <= one_shot.value);
    assert_eq!(file::read(timer, &mut word), Ok(8));
    assert_eq!(word.iter().sum::<u8>(), 1);

    let (r, w) = file::pipe2(host::O_NONBLOCK).unwrap();
    assert_eq!(file::read(r, &mut word), Err(Errno::EAGAIN));
    let size = file::fcntl(w, host::F_SETPIPE_SZ, 8192).unwrap();
    assert_eq!(file::fcntl(r, host::F_GETPIPE_SZ, 0), Ok(size));

    let dir = Dir::new("inotify");
    let watch = file::inotify_init1(host::IN_NONBLOCK).unwrap();
    let id = file::inotify_add_watch(watch, &c(&dir.0), 0x100).unwrap();
    file::close(create(&dir, "seen")).unwrap();
    let mut events = [0; 256];
    let n = file::read(watch, &mut events).unwrap();
    assert!(events[16..n].starts_with(b"seen\0"));
    file::inotify_rm_watch(watch, id).unwrap();
    for fd in [event, memory, timer, r, w, watch] {
        file::close(fd).unwrap();
    }
}

#[test]
fn helpers() {
    let dir = Dir::new("helpers");
    let path = dir.0.join("f");
    std::fs::write(&path, b"0123456789").unwrap();
    assert_eq!(tern_host::file::read_limited(&path, 10).unwrap(), b"0123456789");
    assert!(matches!(tern_host::file::read_limited(&path, 9), Err(tern_host::file::ReadError::TooLong(9))));
    assert!(tern_host::file::read_limited(std::path::Path::new("/dev/zero"), 1 << 16).is_err());
    assert!(tern_host::file::read_limited(&dir.0, 1 << 16).is_err());
    let mut buf = [0; 8];
    let file = std::fs::File::open(&path).unwrap();
    assert_eq!(tern_host::file::read_at(&file, &mut buf, 6).unwrap(), 4);
    assert_eq!(&buf[..4], b"6789");
    assert_eq!(tern_host::file::read_at(&file, &mut buf, 60).unwrap(), 0);
}
