//! A machine with a disk under the journal and one under SQLite, that stop at one moment.

use crate::files::{Files, Place};
use crate::rows::Database;
use crate::store::Store;
use crate::{Options, SegmentSizes, Settling};
use duramen_backend::disk::{Disk, Fate};
use duramen_shim::{Chance, Shim};
use std::time::Duration;
use tempfile::TempDir;

/// Settling and recycling are as busy as they can be.
pub(super) const BUSY: Options = Options {
    sizes: SegmentSizes { first: 4_096, next: 8_192 },
    settling: Settling { bytes: 8_192, age: Duration::from_millis(3), bound: 1 << 16, reserve: 1 << 20 },
    prepare: 0,
};

/// A machine until its process ends.
pub(super) struct Machine {
    folder: TempDir,
    pub(super) tables: Shim,
    pub(super) journal: Disk,
    /// Whether the power goes, or only the process.
    power: bool,
}

impl Machine {
    /// A machine with nothing on it.
    pub(super) fn new(chance: &mut Chance) -> Self {
        let folder = folder();
        let tables = Shim::new(folder.path()).expect("it is there");
        Self { folder, tables, journal: Disk::new(), power: chance.draw(3) > 0 }
    }

    /// Opens the store as the next process does.
    pub(super) fn open(&self, options: Options) -> Result<Store<Database>, String> {
        let path = self.folder.path();
        let database = Database::open(path).map_err(|error| error.to_string())?;
        let files = Files::new(Place::Simulated(self.journal.boot()));
        Store::open(path, files, database, options).map_err(|error| error.to_string())
    }

    /// Ends the process after so many more operations on the files of the tables.
    pub(super) fn end_after(&self, operations: u64, chance: &mut Chance) {
        self.tables.end_after(operations, self.stop(chance));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.tables.has_ended()
    }

    /// What happens to the journal's disk when the process ends.
    fn stop(&self, chance: &mut Chance) -> impl FnOnce() + Send + use<> {
        let (journal, power) = (self.journal.clone(), self.power);
        let mut chance = Chance::new(chance.draw(u64::MAX));
        move || match power {
            true => journal.crash(|_, _| [Fate::Kept, Fate::Lost, Fate::Torn][chance.draw(3) as usize]),
            false => journal.kill(),
        }
    }

    /// Ends the process if it has not ended, and gives the machine as the next one finds it.
    pub(super) fn end(&self, chance: &mut Chance) -> Self {
        let stop = self.stop(chance);
        let folder = folder();
        let tables = match self.power {
            true => self.tables.crash(folder.path(), |below| chance.draw(below), stop),
            false => self.tables.kill(folder.path(), stop),
        };
        let tables = tables.expect("the folder of a test can be written");
        Self { folder, tables, journal: self.journal.clone(), power: chance.draw(3) > 0 }
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}
