//! One file: what a process sees of it, and what is left of it when the power goes.

use std::collections::BTreeMap;

/// Bytes that a disk writes whole, tears, or does not write at all.
const SECTOR: usize = 512;

/// What is on disk, and what was done since and not synced, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    durable: Vec<u8>,
    log: Vec<Change>,
    /// Bytes of the file as a process sees it.
    size: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

impl Change {
    /// The size of a file of this size afterwards.
    fn resize(&self, size: usize) -> usize {
        match self {
            Self::Write { offset, bytes } => size.max(offset + bytes.len()),
            Self::Truncate { size } => *size,
        }
    }

    /// Does to a sector what it does to the file; the sector's first byte stands at `start`.
    fn apply(&self, start: usize, sector: &mut [u8]) {
        match self {
            Self::Write { offset, bytes } => {
                let (from, to) = ((*offset).max(start), (offset + bytes.len()).min(start + sector.len()));
                if from < to {
                    sector[from - start..to - start].copy_from_slice(&bytes[from - offset..to - offset]);
                }
            }
            Self::Truncate { size } => sector[size.saturating_sub(start).min(SECTOR)..].fill(0),
        }
    }
}

impl File {
    /// A file that is on disk.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, durable: bytes, log: Vec::new() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.size = self.size.max((offset + bytes.len()) as u64);
        self.log.push(Change::Write { offset, bytes: bytes.to_owned() });
    }

    pub(crate) fn truncate(&mut self, size: usize) {
        self.size = size as u64;
        self.log.push(Change::Truncate { size });
    }

    /// A sync: everything is on disk.
    pub(crate) fn sync(&mut self) {
        for change in self.log.drain(..) {
            match change {
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len();
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[offset..end].copy_from_slice(&bytes);
                }
                Change::Truncate { size } => self.durable.resize(size, 0),
            }
        }
    }

    /// A sync that failed: the cache forgets that it was not on disk, and no later sync writes it.
    pub(crate) fn forget(&mut self) {
        self.log.clear();
    }

    /// What is on disk after the power went: `chance` draws a number below another.
    ///
    /// The size is one that the file had since the last sync. A sector that was written has any of the
    /// contents that it had since, whatever became of the others, or is torn between two of them.
    /// What nobody wrote to stays what it was, in a torn sector too.
    pub(crate) fn after_crash(self, chance: &mut dyn FnMut(u64) -> u64) -> Vec<u8> {
        let mut fates = Fates::draw(chance);
        let steps = fates.choose(self.log.len());
        let size = self.log[..steps].iter().fold(self.durable.len(), |size, change| change.resize(size));
        let mut survived = self.durable;
        survived.resize(size, 0);
        for (sector, changes) in by_sector(&self.log, size) {
            let start = sector * SECTOR;
            let end = size.min(start + SECTOR);
            let mut bytes = [0; SECTOR];
            bytes[..end - start].copy_from_slice(&survived[start..end]);
            // A truncation is of the file, and goes with its size: one that was kept is in every sector,
            // and nothing behind one that was undone is in any.
            let is_cut = |index: &usize| matches!(self.log[*index], Change::Truncate { .. });
            let kept = changes.iter().rposition(|index| is_cut(index) && *index < steps).map_or(0, |at| at + 1);
            let possible = changes.iter().position(|index| is_cut(index) && *index >= steps).unwrap_or(changes.len());
            let last = kept + fates.choose(possible - kept);
            for index in &changes[..last] {
                let before = bytes;
                self.log[*index].apply(start, &mut bytes);
                if *index == changes[last - 1] && last > kept {
                    fates.tear(&before, &mut bytes);
                }
            }
            survived[start..end].copy_from_slice(&bytes[..end - start]);
        }
        survived
    }
}

/// The sectors below a size that changes touch, each with the indexes of those changes.
fn by_sector(log: &[Change], size: usize) -> BTreeMap<usize, Vec<usize>> {
    let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, change) in log.iter().enumerate() {
        let range = match change {
            Change::Write { offset, bytes } => *offset..(offset + bytes.len()).min(size),
            Change::Truncate { size: cut } => *cut..size,
        };
        for sector in range.start / SECTOR..range.end.div_ceil(SECTOR) {
            touched.entry(sector).or_default().push(index);
        }
    }
    touched
}

/// What the disk did with the parts of a file before the power went.
struct Fates<'a> {
    chance: &'a mut dyn FnMut(u64) -> u64,
    mood: Mood,
}

/// Power cuts after which nothing, or all, of what was not synced is there are as likely as mixed ones.
enum Mood {
    Nothing,
    Everything,
    Mixed,
}

impl<'a> Fates<'a> {
    fn draw(chance: &'a mut dyn FnMut(u64) -> u64) -> Self {
        let mood = match chance(4) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            _ => Mood::Mixed,
        };
        Self { chance, mood }
    }

    /// How many of so many steps were taken.
    fn choose(&mut self, steps: usize) -> usize {
        match self.mood {
            Mood::Nothing => 0,
            Mood::Everything => steps,
            Mood::Mixed => (self.chance)(steps as u64 + 1) as usize,
        }
    }

    /// Tears a sector at times: behind some byte stands what was there before, or noise. Bytes that
    /// were not written are the same in both, and no disk that SQLite trusts harms them.
    fn tear(&mut self, before: &[u8; SECTOR], after: &mut [u8; SECTOR]) {
        if !matches!(self.mood, Mood::Mixed) || (self.chance)(4) > 0 {
            return;
        }
        let differing: Vec<_> = (0..SECTOR).filter(|at| before[*at] != after[*at]).collect();
        if differing.is_empty() {
            return;
        }
        let cut = (self.chance)(differing.len() as u64) as usize;
        let noisy = (self.chance)(2) == 0;
        for &at in &differing[cut..] {
            after[at] = if noisy { after[at].wrapping_add(1 + (at % 7) as u8) } else { before[at] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every outcome of a crash that a few hundred draws find.
    fn outcomes(file: &File) -> std::collections::BTreeSet<Vec<u8>> {
        let crash = |seed| {
            let mut chance = crate::Chance::new(seed);
            file.clone().after_crash(&mut |below| chance.draw(below))
        };
        (0..400).map(crash).collect()
    }

    #[test]
    fn what_was_synced_stays_and_each_sector_behind_it_has_its_own_fate() {
        let mut file = File::default();
        file.write(0, &[1; 600]);
        file.sync();
        assert_eq!(outcomes(&file), [vec![1; 600]].into());
        file.write(0, &[2; 1_024]);
        let outcomes = outcomes(&file);
        let lost = |bytes: &Vec<u8>| *bytes == vec![1; 600];
        let kept = |bytes: &Vec<u8>| *bytes == vec![2; 1_024];
        let reordered = |bytes: &Vec<u8>| bytes[..512] == [1; 512] && bytes[512..600] == [2; 88];
        let torn = |bytes: &Vec<u8>| bytes[0] == 2 && bytes[511] == 1;
        let noise = |bytes: &Vec<u8>| bytes[..512].iter().any(|byte| *byte > 2);
        for (name, found) in [
            ("lost", outcomes.iter().any(lost)),
            ("kept", outcomes.iter().any(kept)),
            ("torn", outcomes.iter().any(torn)),
        ] {
            assert!(found, "{name}");
        }
        assert!(outcomes.iter().any(reordered) && outcomes.iter().any(noise));
        assert!(outcomes.iter().all(|bytes| bytes.len() == 600 || bytes.len() == 1_024));
    }

    #[test]
    fn bytes_that_were_not_written_are_never_harmed() {
        let mut file = File::durable(vec![1; 512]);
        file.write(100, &[2; 100]);
        for bytes in outcomes(&file) {
            assert!(bytes[..100].iter().chain(&bytes[200..]).all(|byte| *byte == 1), "{bytes:?}");
        }
    }

    #[test]
    fn a_truncation_is_undone_or_kept_with_all_that_came_before_it() {
        let mut file = File::durable(vec![1; 2_000]);
        file.truncate(100);
        file.write(1_000, &[3; 100]);
        let outcomes = outcomes(&file);
        for bytes in &outcomes {
            match bytes.len() {
                2_000 => assert_eq!(*bytes, vec![1; 2_000]),
                100 => assert_eq!(*bytes, vec![1; 100]),
                1_100 => assert!(bytes[100..1_000].iter().all(|byte| *byte == 0), "{bytes:?}"),
                other => panic!("the file never had {other} bytes"),
            }
        }
        assert!([100, 1_100, 2_000].iter().all(|size| outcomes.iter().any(|bytes| bytes.len() == *size)));
        file.sync();
        assert!(self::outcomes(&file).iter().all(|bytes| bytes.len() == 1_100));
    }

    #[test]
    fn what_a_failed_sync_has_forgotten_is_not_written_by_a_later_one() {
        let mut file = File::durable(vec![1; 512]);
        file.write(0, &[2; 512]);
        file.forget();
        file.write(512, &[3; 512]);
        file.sync();
        assert_eq!(outcomes(&file), [[[1; 512], [3; 512]].concat()].into());
    }
}
