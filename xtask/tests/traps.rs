//! The table of traps in `conformance/README.md` and the scenarios say the same: none is without a scenario, and each
//! is where the table says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Traps that the table must have.
const TRAPS: std::ops::RangeInclusive<u32> = 1..=31;

/// Those that may still be without scenarios: entities (15, 30) and Dapr's messages (29).
const NOT_YET: [u32; 3] = [15, 29, 30];

/// What scenarios are written in.
const SOURCES: [&str; 4] = ["py", "mjs", "java", "go"];

#[test]
fn each_trap_has_the_scenarios_that_the_table_says() {
    let folder = conformance();
    let readme = fs::read_to_string(folder.join("README.md")).expect("conformance has a README.md");
    let table: BTreeMap<u32, &str> = readme.lines().filter_map(row).collect();
    assert!(table.keys().copied().eq(TRAPS), "the table has rows for {:?}", table.keys());
    let scenarios = scenarios(&folder);
    for (number, place) in table {
        let found = scenarios.get(&number).cloned().unwrap_or_default();
        if place.starts_with("not yet") {
            assert!(NOT_YET.contains(&number) && found.is_empty(), "trap {number}: {place}, and there is {found:?}");
            continue;
        }
        let said: BTreeSet<String> = place.split_whitespace().map(|name| name.trim_matches('`').to_owned()).collect();
        assert!(!found.is_empty(), "trap {number} is without a scenario");
        assert_eq!(said, found, "trap {number}: the table says one thing, the scenarios another");
    }
}

/// The number of a row's trap, and its last column.
fn row(line: &str) -> Option<(u32, &str)> {
    let mut columns = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let number = columns.next()?.parse().ok()?;
    Some((number, columns.last()?))
}

/// The folders that declare a scenario of each trap, by its number.
fn scenarios(conformance: &Path) -> BTreeMap<u32, BTreeSet<String>> {
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for folder in entries(conformance).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        let mut text = String::new();
        read_all(&folder, &mut text);
        // A function of Python, or a name in quotes that the other languages' harnesses take.
        for declared in ["def trap_", "\"trap_"] {
            for (at, _) in text.match_indices(declared) {
                let number = text[at + declared.len()..].split('_').next().and_then(|digits| digits.parse().ok());
                found.entry(number.expect("a trap's name has its number")).or_default().insert(name.clone());
            }
        }
    }
    found
}

/// The text of every source in a folder, one after another.
fn read_all(folder: &Path, text: &mut String) {
    for path in entries(folder) {
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|extension| SOURCES.iter().any(|source| extension == *source)) {
            text.push_str(&fs::read_to_string(&path).expect("a scenario is text"));
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    entries.map(|entry| entry.expect("the entry is readable").path()).collect()
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a folder of the repository").join("conformance")
}
