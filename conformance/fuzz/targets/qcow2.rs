//! Any bytes as a qcow2 image: opened, read, written, flushed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tern_host::image::{Cache, Format, Options, open};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("tern-fuzz-{}.qcow2", std::process::id()));
    for read_only in [true, false] {
        if std::fs::write(&path, data).is_err() {
            return;
        }
        let options = Options {
            format: Some(Format::Qcow2),
            read_only,
            discard: true,
            cache: Cache::Unsafe,
            ..Options::default()
        };
        let Ok(mut disk) = open(&path, &options) else { continue };
        let size = disk.size();
        let mut buf = vec![0x5a; 9000];
        for offset in [0, 4096, size / 2, size.saturating_sub(9000)] {
            let len = size.saturating_sub(offset).min(9000);
            let _ = disk.read(offset, &mut buf[..len as usize]);
            if !read_only {
                let _ = disk.write(offset, &buf[..len as usize]);
                let _ = disk.write_zeroes(offset, len, true);
                let _ = disk.discard(offset, len);
                let _ = disk.flush();
            }
        }
    }
    let _ = std::fs::remove_file(&path);
});
