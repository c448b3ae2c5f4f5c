//! Reading the repository's sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source of a folder and the folders in it, but for those of unit tests.
pub(crate) fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("failed to read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let for_tests = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        if path.is_dir() && !for_tests {
            collect_sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !for_tests {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

pub(crate) fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("failed to read {}: {error}", file.display()))
}

/// Every file of a folder and the folders in it.
pub(crate) fn every_file(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("failed to read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            every_file(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
