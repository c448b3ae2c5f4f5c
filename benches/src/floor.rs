//! What the disk takes for one write and `fdatasync`, without any of Duramen around it.

use crate::latencies::Latencies;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// Writes that are timed.
const WRITES: u64 = 500;

/// Times writes of `record` bytes, each with its `fdatasync`, into a zero-filled and synced file in `folder`.
pub(crate) fn measure(folder: &Path, record: u64) -> io::Result<Latencies> {
    let path = folder.join("floor");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    // The journal begins each batch on such a boundary.
    let stride = record.max(1).next_multiple_of(512);
    zero_fill(&file, stride * WRITES)?;
    let bytes = vec![0x5a; usize::try_from(record.max(1)).expect("a record fits in memory")];
    let mut latencies = Latencies::default();
    for write in 0..WRITES {
        let begun = Instant::now();
        file.write_all_at(&bytes, write * stride)?;
        file.sync_data()?;
        latencies.push(begun.elapsed());
    }
    std::fs::remove_file(&path)?;
    Ok(latencies)
}

fn zero_fill(mut file: &File, mut bytes: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    while bytes > 0 {
        let part = bytes.min(zeros.len() as u64);
        file.write_all(&zeros[..part as usize])?;
        bytes -= part;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_timed_and_the_file_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let latencies = measure(folder.path(), 1500).expect("the disk takes it");
        assert_eq!(latencies.len() as u64, WRITES);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}
