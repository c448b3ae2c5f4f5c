use super::Database;
use duramen_backend::conformance::{rows_agree, rows_find_damage};

/// Tables in a folder that goes away with them.
struct Fresh {
    rows: Database,
    _folder: tempfile::TempDir,
}

fn fresh() -> Fresh {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    Fresh { rows: Database::open(folder.path()).expect("it opens"), _folder: folder }
}

#[test]
fn rows_are_those_of_memory() {
    for seed in 0..60 {
        eprintln!("seed {seed}");
        rows_agree(seed, &fresh().rows);
    }
}

#[test]
fn damage_is_found() {
    let folders = std::cell::RefCell::new(Vec::new());
    rows_find_damage(|| {
        let Fresh { rows, _folder } = fresh();
        folders.borrow_mut().push(_folder);
        rows
    });
}
