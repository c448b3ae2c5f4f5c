//! Space: bringing the log into the file, giving pages back, checking.

use super::error::Trouble;
use super::{Database, open};
use duramen_backend::rows::RowsError;
use rusqlite::Connection;

/// What a checkpoint of the log came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Pages in the log.
    pub pages: u64,
    /// Of those, the ones that a reader kept from being moved into the file.
    pub left: u64,
}

impl Database {
    /// Moves the log of what was settled into the file, as far as readers allow, and cuts the log if
    /// all of it was moved. To be called after a settle, and again while something is left.
    pub fn checkpoint(&self) -> Result<Moved, RowsError> {
        self.on_writer("move the log into", |writer| {
            let moved = |row: &rusqlite::Row<'_>| {
                // Both are -1 where there is no log.
                let (pages, moved) = (row.get::<_, i64>(1)?.max(0), row.get::<_, i64>(2)?.max(0));
                Ok(Moved { pages: pages.cast_unsigned(), left: (pages - moved).max(0).cast_unsigned() })
            };
            let passive = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], moved)?;
            if passive.left == 0 && passive.pages > 0 {
                // Whoever reads from the log right now keeps it from being cut; then the next one does it.
                writer.busy_timeout(std::time::Duration::ZERO)?;
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

    /// Reads the whole file and says what does not fit in it; nothing, if it is sound. It takes as
    /// long as reading the file does, as one read: it is for a store that nobody works on.
    pub fn verify(&self) -> Result<Vec<String>, RowsError> {
        self.read("check", |rows| {
            let mut statement = rows.prepare("PRAGMA quick_check(100)")?;
            let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            Ok(found.into_iter().filter(|line| line != "ok").collect())
        })
    }

    fn on_writer<T>(
        &self,
        what: &str,
        act: impl FnOnce(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, RowsError> {
        act(&mut self.writer()).map_err(|trouble| trouble.explain(what, &self.path))
    }
}
