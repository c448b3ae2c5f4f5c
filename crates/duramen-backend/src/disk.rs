//! A disk that exists in memory: sectors, a page cache, and what can go wrong with them.
//!
//! What is written is in the page cache at once and on the disk once it is synced. When the power
//! goes, each sector that was not synced is kept, lost or torn, as the one who pulls the plug
//! decides. When only the process dies, the page cache lives on: that is opening the disk again.

use crate::journal::{BLOCK, Io};
use crate::tables::Tables;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A folder on a simulated disk, as one process sees it. Clones are the same disk and process.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    /// The rows that lie beside the files. Their transactions are whole, and last once written.
    tables: Tables,
    life: u64,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u64, File>,
    next_file: u64,
    /// What a directory listing shows, and what it would show after a crash.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    faults: Faults,
    /// Counts the ends of processes: what a dead one still asks for is not done.
    life: u64,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct File {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

/// What goes wrong from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every write fails and changes nothing.
    pub fail_writes: bool,
    /// Every sync fails. What it should have made durable stays in the page cache, which forgets
    /// that it is not on disk: a later sync succeeds and writes nothing of it.
    pub fail_syncs: bool,
    /// The process ends before its operation after so many more: that and all that follow are not done.
    pub dies_after: Option<u64>,
    /// Bytes that files may have in all; a file that would exceed them cannot be made.
    pub capacity: Option<u64>,
}

/// What becomes of a sector that was not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reached the disk.
    Kept,
    /// It did not.
    Lost,
    /// It holds neither the old bytes nor the new.
    Torn,
}

impl Disk {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same disk for the process that comes after a [`kill`](Self::kill) or a
    /// [`crash`](Self::crash).
    #[must_use]
    pub fn boot(&self) -> Self {
        let life = self.state().life;
        Self { state: self.state.clone(), tables: self.tables.of_life(life), life }
    }

    /// The rows that lie beside the files.
    pub fn tables(&self) -> Tables {
        self.tables.clone()
    }

    /// Ends the process, and with it what was made to fail. The page cache lives on.
    pub fn kill(&self) {
        let mut state = self.state();
        state.faults = Faults::default();
        state.life += 1;
    }

    /// The files in it, by name.
    pub fn list(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The bytes of a file, as a process sees them.
    pub fn read(&self, file: &str) -> io::Result<Bytes> {
        let state = self.state();
        let id = state.names.get(file).ok_or_else(|| not_found(file))?;
        Ok(Bytes::copy_from_slice(&state.files[id].cached))
    }

    /// Carries out an operation.
    pub fn perform(&self, io: &Io) -> io::Result<()> {
        let mut state = self.state();
        if state.life != self.life || state.faults.dies_after == Some(0) {
            return Err(io::Error::other("the process has ended"));
        }
        state.faults.dies_after = state.faults.dies_after.map(|left| left - 1);
        state.perform(io)
    }

    /// Switches faults on or off.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Pulls the plug, which ends the process too: `fate` decides about each sector that was not synced, and about each file
    /// whose name was not (its first argument is the name, its second the sector, or `None` for the
    /// name itself, which cannot be torn).
    pub fn crash(&self, mut fate: impl FnMut(&str, Option<usize>) -> Fate) {
        let mut state = self.state();
        let state = &mut *state;
        state.faults = Faults::default();
        state.life += 1;
        let mut names = state.durable_names.clone();
        let changed: BTreeSet<_> = state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        for name in changed.into_iter().filter(|name| state.names.get(name) != state.durable_names.get(name)) {
            if fate(&name, None) != Fate::Lost {
                match state.names.get(&name) {
                    Some(id) => names.insert(name, *id),
                    None => names.remove(&name),
                };
            }
        }
        for (name, id) in &names {
            let Some(file) = state.files.get_mut(id) else { continue };
            for sector in std::mem::take(&mut file.dirty) {
                match fate(name, Some(sector)) {
                    Fate::Kept => file.write_back(sector),
                    Fate::Lost => {}
                    Fate::Torn => file.tear(sector),
                }
            }
            file.cached.clone_from(&file.durable);
        }
        state.files.retain(|id, _| names.values().any(|kept| kept == id));
        state.names.clone_from(&names);
        state.durable_names = names;
    }

    /// Cuts a file to this many bytes, on disk.
    pub fn cut(&self, file: &str, bytes: usize) {
        self.change(file, |content| content.truncate(bytes));
    }

    /// Flips a bit of a file, on disk.
    pub fn flip(&self, file: &str, bit: usize) {
        self.change(file, |content| content[bit / 8] ^= 1 << (bit % 8));
    }

    /// A disk of its own with the same content.
    pub fn copy(&self) -> Self {
        let state = self.state().clone();
        Self { life: state.life, tables: self.tables.fork(), state: Arc::new(Mutex::new(state)) }
    }

    fn change(&self, file: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.names[file];
        let Some(file) = state.files.get_mut(&id) else { return };
        change(&mut file.cached);
        change(&mut file.durable);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn perform(&mut self, io: &Io) -> io::Result<()> {
        if self.faults.fail_writes && !matches!(io, Io::Sync { .. } | Io::SyncFolder) {
            return Err(io::Error::other("a write that the test lets fail"));
        }
        match io {
            Io::Create { file, size } => {
                let used: u64 = self.files.values().map(|file| file.cached.len() as u64).sum();
                if self.faults.capacity.is_some_and(|capacity| used + size > capacity) {
                    return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the simulated disk"));
                }
                let zeros = vec![0; usize::try_from(*size).map_err(io::Error::other)?];
                let id = self.next_file;
                self.next_file += 1;
                self.files.insert(id, File { durable: zeros.clone(), cached: zeros, dirty: BTreeSet::new() });
                self.names.insert(file.clone(), id);
            }
            Io::Write { file, offset, bytes } => {
                self.file(file)?.write(usize::try_from(*offset).map_err(io::Error::other)?, bytes)
            }
            Io::Sync { file } => {
                self.syncs += 1;
                let fail = self.faults.fail_syncs;
                let file = self.file(file)?;
                let dirty = std::mem::take(&mut file.dirty);
                if fail {
                    return Err(io::Error::other("a sync that the test lets fail"));
                }
                dirty.into_iter().for_each(|sector| file.write_back(sector));
            }
            Io::Rename { from, to } => {
                let id = self.names.remove(from).ok_or_else(|| not_found(from))?;
                self.names.insert(to.clone(), id);
            }
            Io::Remove { file } => {
                self.names.remove(file).ok_or_else(|| not_found(file))?;
            }
            Io::SyncFolder if self.faults.fail_syncs => return Err(io::Error::other("a sync that the test lets fail")),
            Io::SyncFolder => self.durable_names.clone_from(&self.names),
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let id = self.names.get(name).ok_or_else(|| not_found(name))?;
        self.files.get_mut(id).ok_or_else(|| not_found(name))
    }
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.cached.len() < end {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        for sector in offset / BLOCK..end.div_ceil(BLOCK) {
            // To write what is there already can tear nothing: old bytes and new ones are the same.
            let range = sector * BLOCK..self.cached.len().min((sector + 1) * BLOCK);
            if self.durable.get(range.clone()) != self.cached.get(range) {
                self.dirty.insert(sector);
            }
        }
    }

    fn write_back(&mut self, sector: usize) {
        let end = self.cached.len().min((sector + 1) * BLOCK);
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[sector * BLOCK..end].copy_from_slice(&self.cached[sector * BLOCK..end]);
    }

    /// Half a sector of new bytes, then noise.
    fn tear(&mut self, sector: usize) {
        self.write_back(sector);
        let (start, end) = (sector * BLOCK + BLOCK / 2, self.durable.len().min((sector + 1) * BLOCK));
        for (noise, byte) in self.durable[start.min(end)..end].iter_mut().enumerate() {
            *byte = (*byte).wrapping_add(1 + (noise % 7) as u8);
        }
    }
}

fn not_found(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{file} is not on the simulated disk"))
}
