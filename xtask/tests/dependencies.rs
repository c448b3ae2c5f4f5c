//! Each dependency has its line of reason in `docs/dependencies.md`, and each line its dependency.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn each_dependency_has_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a folder of the repository");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folders = |parent: &Path| {
        let entries = fs::read_dir(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>()
    };
    let members = [folders(root), folders(&root.join("crates"))].concat();
    let manifests = members.iter().map(|folder| folder.join("Cargo.toml")).filter(|manifest| manifest.exists());
    let used: BTreeSet<String> = manifests.flat_map(|manifest| dependencies(&read(&manifest))).collect();
    let explained = explained(&read(&root.join("docs/dependencies.md")));
    assert!(used.contains("prost") && used.contains("tokio"), "the manifests were not understood: {used:?}");
    let unexplained: Vec<_> = used.difference(&explained).collect();
    let unused: Vec<_> = explained.difference(&used).collect();
    assert!(unexplained.is_empty() && unused.is_empty(), "without a reason: {unexplained:?}; not used: {unused:?}");
}

/// The names of other people's crates in a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut in_dependencies = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.push(name.to_owned());
        }
    }
    names.retain(|name| !name.starts_with("duramen") && !name.starts_with('#'));
    names
}

/// The names in the first column of the table.
fn explained(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}
