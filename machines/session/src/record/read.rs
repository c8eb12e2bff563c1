//! Reading.

use super::frame::{HEAD, Hash, Header, LogError, MAGIC, MOST, PREFIX, VERSION, Why, checksum, kind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use tern_core::codec;

/// What logs are read from.
pub trait Source: Read + Seek {}

impl<S: Read + Seek> Source for S {}

/// A place among the items of a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// The frame, and where it begins.
    frame: u64,
    at: u64,
    /// The item in it.
    item: u64,
}

/// Reads a log of items `T`.
pub struct Reader<T> {
    source: Box<dyn Source>,
    header: Header,
    /// The frame that is read next, and where it begins.
    frame: u64,
    at: u64,
    /// Items of the frame before it: their bytes, how many of these have been read, and how many items.
    items: Vec<u8>,
    used: usize,
    count: u64,
    /// The frame that these items are in.
    current: (u64, u64),
    blobs: BTreeMap<Hash, u64>,
    ended: bool,
    of: core::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Reader<T> {
    /// Reads the beginning of a log.
    ///
    /// # Errors
    /// It is no log, or its header is not good.
    pub fn new(source: Box<dyn Source>) -> Result<Reader<T>, LogError> {
        let header = Header {
            id: [0; 16],
            tern: String::new(),
            kind: String::new(),
            title: String::new(),
            date_ns: 0,
            setup: Vec::new(),
        };
        let mut reader = Reader {
            source,
            header,
            frame: 0,
            at: PREFIX as u64,
            items: Vec::new(),
            used: 0,
            count: 0,
            current: (0, PREFIX as u64),
            blobs: BTreeMap::new(),
            ended: false,
            of: core::marker::PhantomData,
        };
        let mut prefix = [0; PREFIX];
        match reader.source.read_exact(&mut prefix) {
            Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(reader.error(Why::Io(e))),
            Ok(()) if prefix.starts_with(&MAGIC) => {}
            _ => return Err(reader.error(Why::NotALog)),
        }
        let version = prefix[MAGIC.len()..].iter().rev().fold(0, |v, b| v << 8 | u32::from(*b));
        if version != VERSION {
            return Err(reader.error(Why::Version(version)));
        }
        match reader.next_frame()? {
            Some((kind::HEADER, payload)) => {
                let header: Header = codec::decode(&payload).map_err(|e| reader.contents(e.to_string()))?;
                reader.header = header;
                Ok(reader)
            }
            Some(_) => Err(reader.contents("the log has no header".to_owned())),
            None => Err(reader.error(Why::Cut)),
        }
    }

    /// What the log is of.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn error(&self, why: Why) -> LogError {
        LogError { frame: self.frame, at: self.at, why }
    }

    /// Something is wrong with the frame that was read last.
    fn contents(&self, what: String) -> LogError {
        let (frame, at) = self.current;
        LogError { frame, at, why: Why::Contents(what) }
    }

    /// The kind and payload of the next frame; `None` at the end of the file.
    fn next_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, LogError> {
        let mut head = Vec::new();
        let got = self.source.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| self.error(Why::Io(e)))?;
        if got == 0 {
            return Ok(None);
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b));
        let Some((len, [kind, check @ ..])) = head.split_at_checked(4).filter(|_| got == HEAD) else {
            return Err(self.error(Why::Cut));
        };
        let len = number(len) as usize;
        if len > MOST {
            return Err(self.error(Why::Checksum));
        }
        // Nothing is allocated for bytes that are not there.
        let mut payload = Vec::new();
        let got =
            self.source.by_ref().take(len as u64).read_to_end(&mut payload).map_err(|e| self.error(Why::Io(e)))?;
        if got < len {
            return Err(self.error(Why::Cut));
        }
        if checksum(&self.header.id, self.frame, *kind, &payload) != number(check) {
            return Err(self.error(Why::Checksum));
        }
        self.current = (self.frame, self.at);
        self.frame += 1;
        self.at += (HEAD + len) as u64;
        Ok(Some((*kind, payload)))
    }

    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>, LogError> {
        let bad = |e: lz4_flex::block::DecompressError| self.contents(e.to_string());
        let (size, rest) = lz4_flex::block::uncompressed_size(packed).map_err(bad)?;
        if size > MOST {
            return Err(self.contents(format!("{size} bytes are too many for a frame")));
        }
        lz4_flex::decompress(rest, size).map_err(bad)
    }

    /// The next item; `None`: the log is at its end, in order if [`Reader::ended`] says so.
    ///
    /// # Errors
    /// A frame that is not good: what came before is.
    pub fn next_item(&mut self) -> Result<Option<T>, LogError> {
        while self.used == self.items.len() {
            if self.ended {
                return Ok(None);
            }
            match self.next_frame()? {
                None => return Ok(None),
                Some((kind::ITEMS, payload)) => {
                    self.items = self.unpack(&payload)?;
                    (self.used, self.count) = (0, 0);
                }
                Some((kind::BLOB, payload)) => {
                    let hash =
                        payload.first_chunk::<32>().ok_or_else(|| self.contents("a blob without a hash".to_owned()))?;
                    self.blobs.insert(Hash(*hash), self.current.1);
                }
                Some((kind::END, _)) => self.ended = true,
                Some((other, _)) => return Err(self.contents(format!("a frame of kind {other}"))),
            }
        }
        let (item, used) = codec::decode_compact(&self.items[self.used..])
            .map_err(|e| self.contents(format!("item {}: {e}", self.count)))?;
        self.used += used;
        self.count += 1;
        Ok(Some(item))
    }

    /// Has the recorder's own end been read?
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Where the next item is.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let (frame, at) = self.current;
        if self.used == self.items.len() {
            return Cursor { frame: self.frame, at: self.at, item: 0 };
        }
        Cursor { frame, at, item: self.count }
    }

    /// Goes to a place that has been read before.
    ///
    /// # Errors
    /// The file has changed since.
    pub fn seek(&mut self, cursor: Cursor) -> Result<(), LogError> {
        self.source.seek(SeekFrom::Start(cursor.at)).map_err(|e| self.error(Why::Io(e)))?;
        (self.frame, self.at, self.ended) = (cursor.frame, cursor.at, false);
        self.items.clear();
        (self.used, self.count) = (0, 0);
        while self.count < cursor.item {
            if self.next_item()?.is_none() {
                return Err(self.error(Why::Cut));
            }
        }
        Ok(())
    }

    /// The contents with this hash, if a frame that has been read has them.
    ///
    /// # Errors
    /// The frame is not good, or has other contents.
    pub fn blob(&mut self, hash: &Hash) -> Result<Option<Vec<u8>>, LogError> {
        let Some(at) = self.blobs.get(hash).copied() else { return Ok(None) };
        let back = (self.frame, self.at, self.current);
        let found = self.blob_at(at, hash);
        (self.frame, self.at, self.current) = back;
        self.source.seek(SeekFrom::Start(self.at)).map_err(|e| self.error(Why::Io(e)))?;
        found.map(Some)
    }

    fn blob_at(&mut self, at: u64, hash: &Hash) -> Result<Vec<u8>, LogError> {
        self.source.seek(SeekFrom::Start(at)).map_err(|e| self.error(Why::Io(e)))?;
        let mut head = [0; HEAD];
        self.source.read_exact(&mut head).map_err(|e| self.error(Why::Io(e)))?;
        let len = head[..4].iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
        let mut payload = Vec::new();
        self.source.by_ref().take(len).read_to_end(&mut payload).map_err(|e| self.error(Why::Io(e)))?;
        self.at = at;
        let packed = payload.get(32..).ok_or_else(|| self.error(Why::Cut))?;
        let contents = self.unpack(packed)?;
        // The number of the frame, which its checksum needs, is not known here; the hash says more.
        if Hash::of(&contents) != *hash {
            return Err(self.error(Why::Checksum));
        }
        Ok(contents)
    }
}
