//! The synthetic file system of QEMU's 9P tests (`-fsdev synth`): a fixed tree in memory whose files say how the server
//! treats them.

use super::Folder;
use tern_core::backend::fs::{
    Attr, Entry, FileSystem, FsError, FsResult, Make, New, Node, Open, Path, SetAttr, StatFs, mode,
};

/// Levels of folders, one in the other: `WALK0/WALK1/...`.
const LEVELS: usize = 16;
/// Files of the folder `ReadDirDir`.
const FILES: usize = 100;

/// What happens to reads and writes of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// Neither can be done.
    Closed,
    /// Takes all that is written.
    Sink,
    /// Takes zeros; anything else is put off until the client gives up.
    Blocking,
    /// Reads as the number of attributes that the server keeps in transfer, 8 bytes.
    Attributes,
}

/// Files with a behaviour of their own; all others are closed.
const SPECIAL: [(&[&str], Behaviour); 4] = [
    (&["LOPEN"], Behaviour::Closed),
    (&["WRITE"], Behaviour::Sink),
    (&["FLUSH"], Behaviour::Blocking),
    (&["stat", "xattr_count"], Behaviour::Attributes),
];

/// The file system.
pub struct Synth {
    tree: Folder,
    /// Behaviours of open files.
    open: std::collections::BTreeMap<u32, Behaviour>,
    limit: Option<u32>,
    attributes: u64,
}

fn path(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

impl Synth {
    /// One whose server may keep `limit` attributes in transfer; `None`: as many as clients want.
    #[must_use]
    pub fn new(limit: Option<u32>) -> Synth {
        let mut tree = Folder::new();
        // The tree is made of what a folder in memory takes, so nothing fails.
        let mut make = |at: &Path, kind: u32, mode: u32| {
            let made = tree.make(at, Make::Node(kind, (0, 0)), New { mode, ..New::default() });
            debug_assert_eq!(made, Ok(()));
        };
        let levels: Vec<Vec<u8>> = (0..LEVELS).map(|n| format!("WALK{n}").into_bytes()).collect();
        (1..=LEVELS).for_each(|n| make(&levels[..n], mode::DIRECTORY, 0o500));
        make(&path(&["ReadDirDir"]), mode::DIRECTORY, 0o500);
        (0..FILES).for_each(|n| make(&path(&["ReadDirDir", &format!("ReadDirFile{n}")]), mode::REGULAR, 0));
        make(&path(&["stat"]), mode::DIRECTORY, 0o555);
        for (names, behaviour) in SPECIAL {
            let mode = if behaviour == Behaviour::Attributes { 0o444 } else { 0 };
            make(&path(names), mode::REGULAR, mode);
        }
        Synth { tree, open: std::collections::BTreeMap::new(), limit, attributes: 0 }
    }

    fn behaviour(&self, handle: u32) -> FsResult<Behaviour> {
        self.open.get(&handle).copied().ok_or(FsError::EBADF)
    }
}

impl FileSystem for Synth {
    fn stat(&mut self, node: Node<'_>) -> FsResult<Attr> {
        self.tree.stat(node)
    }

    fn set_attr(&mut self, _node: Node<'_>, _set: &SetAttr) -> FsResult<()> {
        Err(FsError::EPERM)
    }

    fn read_link(&mut self, _path: &Path) -> FsResult<Vec<u8>> {
        Err(FsError::ENOSYS)
    }

    fn open(&mut self, handle: u32, at: &Path, how: Open) -> FsResult<()> {
        self.tree.open(handle, at, Open { truncate: false, ..how })?;
        let special = SPECIAL.iter().find(|(names, _)| path(names) == at);
        self.open.insert(handle, special.map_or(Behaviour::Closed, |(_, behaviour)| *behaviour));
        Ok(())
    }

    fn create(&mut self, _handle: u32, _path: &Path, _how: Open, _new: New) -> FsResult<()> {
        Err(FsError::ENOSYS)
    }

    fn make(&mut self, _path: &Path, _what: Make<'_>, _new: New) -> FsResult<()> {
        Err(FsError::EPERM)
    }

    fn link(&mut self, _old: &Path, _new: &Path) -> FsResult<()> {
        Err(FsError::EPERM)
    }

    fn rename(&mut self, _old: &Path, _new: &Path) -> FsResult<()> {
        Err(FsError::EPERM)
    }

    fn remove(&mut self, _path: &Path, _directory: bool) -> FsResult<()> {
        Err(FsError::EPERM)
    }

    fn read(&mut self, handle: u32, _offset: u64, buf: &mut [u8]) -> FsResult<usize> {
        match self.behaviour(handle)? {
            Behaviour::Attributes => {
                let count = self.attributes.to_le_bytes();
                let to = buf.get_mut(..count.len()).ok_or(FsError::ENOSPC)?;
                to.copy_from_slice(&count);
                Ok(count.len())
            }
            _ => Err(FsError::EPERM),
        }
    }

    fn write(&mut self, handle: u32, _offset: u64, data: &[u8]) -> FsResult<usize> {
        match self.behaviour(handle)? {
            Behaviour::Blocking if data.iter().any(|byte| *byte != 0) => Err(FsError::EINTR),
            Behaviour::Sink | Behaviour::Blocking => Ok(data.len()),
            Behaviour::Closed | Behaviour::Attributes => Err(FsError::EPERM),
        }
    }

    /// The youngest first, and `.` and `..` last: a client that asks for no more each time than it got the last time, as one
    /// of the tests does, then never asks for less than an entry takes.
    fn read_dir(&mut self, handle: u32, from: u64, _most: usize) -> FsResult<Vec<Entry>> {
        let mut all = self.tree.read_dir(handle, 0, usize::MAX)?;
        all.sort_by_key(|entry| (entry.name.starts_with(b"."), core::cmp::Reverse(entry.ino)));
        (1..).zip(&mut all).for_each(|(next, entry)| entry.next = next);
        Ok(all.split_off(usize::try_from(from).unwrap_or(usize::MAX).min(all.len())))
    }

    fn sync(&mut self, handle: u32, _data_only: bool) -> FsResult<()> {
        self.behaviour(handle).map(|_| ())
    }

    fn close(&mut self, handle: u32) {
        self.tree.close(handle);
        self.open.remove(&handle);
    }

    fn stat_fs(&mut self, path: &Path) -> FsResult<StatFs> {
        let inner = self.tree.stat_fs(path)?;
        Ok(StatFs { kind: 0xabcd, bsize: 512, blocks: 0, ..inner })
    }

    fn xattr(&mut self, _path: &Path, _name: &[u8]) -> FsResult<Vec<u8>> {
        Err(FsError::EOPNOTSUPP)
    }

    /// Attributes may be written and are nowhere.
    fn set_xattr(&mut self, path: &Path, _name: &[u8], _value: &[u8], _flags: u32) -> FsResult<()> {
        self.tree.stat(Node::Path(path)).map(|_| ())
    }

    fn remove_xattr(&mut self, path: &Path, _name: &[u8]) -> FsResult<()> {
        self.tree.stat(Node::Path(path)).map(|_| ())
    }

    fn xattr_limit(&self) -> Option<u32> {
        self.limit
    }

    fn xattrs_in_transfer(&mut self, count: usize) {
        self.attributes = count as u64;
    }
}
