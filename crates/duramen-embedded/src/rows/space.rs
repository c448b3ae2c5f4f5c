//! Space: bringing the log into the file, giving pages back.

use super::error::Trouble;
use super::{Database, open};
use duramen_backend::rows::{RowsError, Thrift, Tidied};
use rusqlite::Connection;
use std::time::Duration;

/// What a checkpoint of the log came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Pages in the log.
    pub pages: u64,
    /// Of those, the ones that a reader kept from being moved into the file.
    pub left: u64,
}

/// Pages of the log that are written over again and again; a longer log is cut.
const LOG_PAGES: u64 = 8_192;
/// How long the readers of a log that is to be cut are waited for.
const CUT_PATIENCE: Duration = Duration::from_millis(50);
/// Free pages that are kept for what comes next, and the part of the file that they may be.
const SPARE_PAGES: u64 = 1_024;
const SPARE_PART: u64 = 8;
/// Pages that are given back at a time.
const SLICE: u32 = 256;

impl Database {
    /// Moves the log into the file; and if there is nothing to move, gives back some pages.
    pub(super) fn tidy_slice(&self, thrift: Thrift) -> Result<Tidied, RowsError> {
        // The file is being copied: that may take a while.
        let Ok(_moving) = self.moving.try_lock() else { return Ok(Tidied::Later) };
        if self.checkpoint()?.left > 0 {
            return Ok(Tidied::Later);
        }
        let spare = match thrift {
            Thrift::Strict => 0,
            Thrift::Usual => self.read("count the pages of", |rows| {
                let pages: i64 = open::value(rows, "page_count")?;
                Ok(SPARE_PAGES.max(pages.cast_unsigned() / SPARE_PART))
            })?,
        };
        if self.free_pages()? <= spare {
            return Ok(Tidied::Done);
        }
        self.vacuum(SLICE)?;
        Ok(Tidied::More)
    }

    /// Moves the log of what was settled into the file, as far as readers allow. The next write then
    /// begins it anew; one that has become long is cut.
    pub fn checkpoint(&self) -> Result<Moved, RowsError> {
        self.on_writer("move the log into", |writer| {
            let moved = |row: &rusqlite::Row<'_>| {
                // Both are -1 where there is no log, and where another program is just moving it.
                let (pages, moved) = (row.get::<_, i64>(1)?.max(0), row.get::<_, i64>(2)?.max(0));
                let left = (pages - moved).max(row.get::<_, i64>(0)?);
                Ok(Moved { pages: pages.cast_unsigned(), left: left.max(0).cast_unsigned() })
            };
            let passive = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], moved)?;
            if passive.left == 0 && passive.pages > LOG_PAGES {
                writer.busy_timeout(CUT_PATIENCE)?;
                // With readers in the way it says so and cuts nothing; then the next one does it.
                let cut = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                writer.busy_timeout(open::PATIENCE)?;
                cut?;
            }
            Ok(passive)
        })
    }

    /// Pages of the file that hold nothing.
    pub fn free_pages(&self) -> Result<u64, RowsError> {
        self.read("count the free pages of", |rows| Ok(open::value::<i64>(rows, "freelist_count")?.cast_unsigned()))
    }

    /// Gives up to so many free pages back to the file system, and says how many are left. The file
    /// becomes shorter with the next [`checkpoint`](Self::checkpoint).
    pub fn vacuum(&self, pages: u32) -> Result<u64, RowsError> {
        self.on_writer("give back free pages of", |writer| {
            if pages > 0 {
                let mut statement = writer.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
                // Each step gives back one page.
                let mut steps = statement.query([])?;
                while steps.next()?.is_some() {}
            }
            Ok(open::value::<i64>(writer, "freelist_count")?.cast_unsigned())
        })
    }

    pub(super) fn on_writer<T>(
        &self,
        what: &str,
        act: impl FnOnce(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, RowsError> {
        act(&mut self.writer()).map_err(|trouble| trouble.explain(what, &self.path))
    }
}
