//! qcow2 images, by the crate `imago` in its synchronous form; and raw ones past the host's page cache, for which it knows
//! the alignments.
//!
//! `imago` keeps refcounts exact and writes refcount blocks before the tables that use them. Here: what may be opened (the
//! header's check, backing files, locks), zeros in version 2, failed flushes.

#[cfg(any(unix, windows))]
pub use with_imago::{Image, create, open, open_raw};
#[cfg(not(any(unix, windows)))]
pub use without::{create, open, open_raw};

#[cfg(any(unix, windows))]
mod with_imago {
    use crate::image::{
        Backing, Cache, Format, ImageError, Options, SECTOR, beside, block_error, header, inside, open_file, plain,
        probe, snapshots,
    };
    use imago::format::PreallocateMode;
    use imago::{DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder, StorageOpenOptions};
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};
    use tern_core::backend::{Block, BlockError, SnapshotInfo, Snapshots};

    type Storage = imago::file::File;
    type Access = FormatAccess<Storage>;

    /// Most images of a chain.
    const DEEPEST: usize = 64;

    /// An image that `imago` reads and writes.
    pub struct Image {
        /// None while snapshots are worked on; for good if it could not be opened again.
        image: Option<Access>,
        /// The file again, which keeps the lock, and how to open it again; none of a raw image.
        again: Option<(File, Options)>,
        path: PathBuf,
        size: u64,
        read_only: bool,
        discard: bool,
        flushes: bool,
        /// A flush failed.
        lost: bool,
    }

    /// Opens a qcow2 image and the files that it names.
    ///
    /// # Errors
    /// [`ImageError`] of the image or of one of those.
    pub fn open(path: &Path, file: File, options: &Options) -> Result<Box<dyn Block>, ImageError> {
        let again = file.try_clone().map_err(ImageError::io(path, "cannot open"))?;
        let image = chain(path, file, options, 1)?;
        let again = Some((again, options.clone()));
        Ok(Box::new(Image { again, ..Image::new(path, image, options) }))
    }

    /// Opens a raw image whose file was opened with `O_DIRECT`.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open_raw(path: &Path, file: File, options: &Options) -> Result<Box<dyn Block>, ImageError> {
        let image = raw(path, file, options)?;
        Ok(Box::new(Image::new(path, image, options)))
    }

    fn storage(path: &Path, file: File, options: &Options) -> Result<Storage, ImageError> {
        let how = StorageOpenOptions::new().filename(path).write(!options.read_only).direct(options.cache.direct());
        Storage::from_open_file(file, how).map_err(ImageError::io(path, "cannot open"))
    }

    fn raw(path: &Path, file: File, options: &Options) -> Result<Access, ImageError> {
        let builder = imago::raw::Raw::builder(storage(path, file, options)?).write(!options.read_only);
        let image = builder.open(DenyImplicitOpenGate::default()).map_err(ImageError::io(path, "cannot open"))?;
        Ok(Access::new(image))
    }

    /// The image and those behind it; `depth` counts them.
    fn chain(path: &Path, file: File, options: &Options, depth: usize) -> Result<Access, ImageError> {
        let header = header::check(path, plain(path, options.cache)?.as_ref().unwrap_or(&file))?;
        let backing = match &header.backing {
            Some(name) => Some(backing(path, name, header.backing_format, options, depth)?),
            None => None,
        };
        let data_file = match &header.data_file {
            Some(name) => {
                let name = beside(path, local(path, name)?);
                Some(storage(&name, open_file(&name, options)?, options)?)
            }
            None => None,
        };
        let builder = imago::qcow2::Qcow2::<Storage>::builder(storage(path, file, options)?)
            .write(!options.read_only)
            .backing(backing)
            .data_file(data_file);
        let image = builder.open(DenyImplicitOpenGate::default()).map_err(ImageError::io(path, "cannot open"))?;
        Ok(Access::new(image))
    }

    fn backing(
        path: &Path,
        name: &str,
        format: Option<Format>,
        options: &Options,
        depth: usize,
    ) -> Result<Access, ImageError> {
        let wrong = |why: String| ImageError::Backing { path: path.to_owned(), why };
        if depth == DEEPEST {
            return Err(wrong(format!("more than {DEEPEST} images stand behind each other, or one behind itself")));
        }
        let below = beside(path, local(path, name)?);
        let options = Options { read_only: true, format, ..options.clone() };
        let file = open_file(&below, &options)?;
        let format = match format {
            Some(format) => format,
            None => probe(&below, plain(&below, options.cache)?.as_ref().unwrap_or(&file))?,
        };
        match format {
            Format::Raw => raw(&below, file, &options),
            Format::Qcow2 => chain(&below, file, &options, depth + 1),
        }
    }

    /// The name of a file of this host in an image.
    fn local<'a>(path: &Path, name: &'a str) -> Result<&'a str, ImageError> {
        let name = name.strip_prefix("file:").unwrap_or(name);
        if name.starts_with("json:") || name.contains("://") {
            let why = format!("{name:?} is no file of this host");
            return Err(ImageError::Backing { path: path.to_owned(), why });
        }
        Ok(name)
    }

    /// Makes an image in a new file: version 3, clusters of 64 KiB.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn create(path: &Path, file: File, size: u64, backing: Option<&Backing>) -> Result<(), ImageError> {
        let storage = storage(path, file, &Options::default())?;
        let mut builder = imago::qcow2::Qcow2::<Storage>::create_builder(storage).size(size);
        if let Some(backing) = backing {
            builder = builder.backing(backing.name.clone(), backing.format.name().to_owned());
        }
        builder.create().map_err(ImageError::io(path, "cannot create"))
    }

    impl Image {
        fn new(path: &Path, image: Access, options: &Options) -> Image {
            let size = image.size();
            Image {
                image: Some(image),
                again: None,
                path: path.to_owned(),
                size: size - size % SECTOR,
                read_only: options.read_only,
                discard: options.discard,
                flushes: options.cache != Cache::Unsafe,
                lost: false,
            }
        }

        fn access(&mut self) -> io::Result<&mut Access> {
            self.image.as_mut().ok_or_else(|| io::Error::other("it could not be opened again"))
        }

        /// Works on the file while nothing else does: all is written before, and what was read is read again afterwards.
        fn at_rest<T>(
            &mut self,
            work: impl FnOnce(&mut snapshots::Qcow2) -> Result<T, ImageError>,
        ) -> Result<T, BlockError> {
            let text = |e: ImageError| BlockError::Io(e.to_string());
            if self.lost {
                return Err(BlockError::Io(format!("{}: an earlier flush failed", self.path.display())));
            }
            let flushes = self.flushes;
            let sync = |image: &Access| if flushes { image.sync() } else { Ok(()) };
            let result = self.access().and_then(|image| image.flush().and_then(|()| sync(image)));
            self.done(result)?;
            let (file, options) = self.again.as_ref().ok_or(BlockError::Unsupported)?;
            let file = file.try_clone().map_err(|e| block_error(&self.path, &e))?;
            let plain = match options.cache.direct() {
                true => Some(File::options().read(true).write(true).open(&self.path)),
                false => None,
            };
            let plain = plain.transpose().map_err(|e| block_error(&self.path, &e))?;
            self.image = None;
            let result = snapshots::Qcow2::open(&self.path, plain.as_ref().unwrap_or(&file), self.flushes)
                .and_then(|mut image| work(&mut image))
                .map_err(text);
            let image = chain(&self.path, file, options, 1).map_err(text)?;
            let size = image.size();
            self.size = size - size % SECTOR;
            self.image = Some(image);
            result
        }

        fn done(&self, result: io::Result<()>) -> Result<(), BlockError> {
            result.map_err(|e| block_error(&self.path, &e))
        }

        fn may_write(&self, offset: u64, len: u64) -> Result<(), BlockError> {
            if self.read_only {
                return Err(BlockError::ReadOnly);
            }
            inside(offset, len, self.size)
        }
    }

    impl Snapshots for Image {
        fn list(&mut self) -> Result<Vec<SnapshotInfo>, BlockError> {
            // Tables of snapshots change in `at_rest` only, so that there is nothing to wait for.
            let Some((file, options)) = &self.again else { return Err(BlockError::Unsupported) };
            let text = |e: ImageError| BlockError::Io(e.to_string());
            let plain = plain(&self.path, options.cache).map_err(text)?;
            snapshots::list(&self.path, plain.as_ref().unwrap_or(file)).map_err(text)
        }

        fn create(&mut self, info: &SnapshotInfo, state: &[u8]) -> Result<(), BlockError> {
            self.at_rest(|image| image.create(info, state))
        }

        fn state(&mut self, id: &str) -> Result<Vec<u8>, BlockError> {
            self.at_rest(|image| image.state(id))
        }

        fn apply(&mut self, id: &str) -> Result<(), BlockError> {
            self.at_rest(|image| image.apply(id))
        }

        fn delete(&mut self, id: &str) -> Result<(), BlockError> {
            self.at_rest(|image| image.delete(id))
        }
    }

    impl Block for Image {
        fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
            (self.again.is_some() && !self.read_only).then_some(self)
        }

        fn resize(&mut self, size: u64) -> Result<(), BlockError> {
            self.may_write(0, 0)?;
            let result = self.access().and_then(|image| image.resize(size, PreallocateMode::None));
            self.done(result)?;
            self.size = size.next_multiple_of(SECTOR);
            Ok(())
        }

        fn size(&self) -> u64 {
            self.size
        }

        fn read_only(&self) -> bool {
            self.read_only
        }

        fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
            inside(offset, buf.len() as u64, self.size)?;
            let result = self.access().and_then(|image| image.read(buf, offset));
            self.done(result)
        }

        fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
            self.may_write(offset, buf.len() as u64)?;
            let result = self.access().and_then(|image| image.write(buf, offset));
            self.done(result)
        }

        fn flush(&mut self) -> Result<(), BlockError> {
            if self.lost {
                return Err(BlockError::Io(format!("{}: an earlier flush failed", self.path.display())));
            }
            if self.read_only || !self.flushes {
                return Ok(());
            }
            let result = self.access().and_then(|image| image.flush().and_then(|()| image.sync()));
            let result = self.done(result);
            self.lost = result.is_err();
            result
        }

        fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
            self.may_write(offset, len)?;
            if !self.discard || len == 0 {
                return Ok(());
            }
            match self.access().and_then(|image| image.discard_to_any(offset, len)) {
                // Version 2 has no zero clusters.
                Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
                result => self.done(result),
            }
        }

        fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
            self.may_write(offset, len)?;
            let unmap = unmap && self.discard;
            let result = self.access().and_then(|image| match unmap {
                true => image.discard_to_zero(offset, len),
                false => image.write_zeroes(offset, len),
            });
            match result {
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {}
                result => return self.done(result),
            }
            let zeros = vec![0; len.min(1 << 20) as usize];
            let mut at = offset;
            while at < offset + len {
                let n = (offset + len - at).min(zeros.len() as u64);
                let result = self.access().and_then(|image| image.write(&zeros[..n as usize], at));
                self.done(result)?;
                at += n;
            }
            Ok(())
        }
    }
}

#[cfg(not(any(unix, windows)))]
mod without {
    use crate::image::{Backing, ImageError, Options};
    use std::fs::File;
    use std::path::Path;
    use tern_core::backend::Block;

    const NONE: ImageError = ImageError::Unsupported("qcow2 images need a host with files");

    /// See the other hosts.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &Path, _: File, _: &Options) -> Result<Box<dyn Block>, ImageError> {
        Err(NONE)
    }

    /// See the other hosts.
    ///
    /// # Errors
    /// Always.
    pub fn open_raw(_: &Path, _: File, _: &Options) -> Result<Box<dyn Block>, ImageError> {
        Err(NONE)
    }

    /// See the other hosts.
    ///
    /// # Errors
    /// Always.
    pub fn create(_: &Path, _: File, _: u64, _: Option<&Backing>) -> Result<(), ImageError> {
        Err(NONE)
    }
}
