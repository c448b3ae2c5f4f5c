//! The versions of other people's packages, all in the one file `conformance/packages`.

use std::fs;
use std::path::Path;

/// Lines of `suite package version`.
pub(crate) struct Packages(Vec<Package>);

struct Package {
    suite: String,
    name: String,
    version: String,
}

impl Packages {
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("failed to read {}: {error}", file.display()))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let packages = lines.map(|line| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [suite, name, version] => {
                Ok(Package { suite: (*suite).to_owned(), name: (*name).to_owned(), version: (*version).to_owned() })
            }
            _ => Err(format!("{}: {line:?} is not `suite package version`", file.display())),
        });
        Ok(Self(packages.collect::<Result<_, _>>()?))
    }

    /// As pip takes them.
    pub(crate) fn pip(&self, suite: &str) -> Vec<String> {
        self.joined(suite, "==")
    }

    /// As npm and `go get` take them.
    pub(crate) fn at(&self, suite: &str) -> Vec<String> {
        self.joined(suite, "@")
    }

    /// As Maven properties: `-Dname.version=version`.
    pub(crate) fn maven(&self, suite: &str) -> Vec<String> {
        self.of(suite).map(|package| format!("-D{}.version={}", package.name, package.version)).collect()
    }

    fn joined(&self, suite: &str, sign: &str) -> Vec<String> {
        self.of(suite).map(|package| format!("{}{sign}{}", package.name, package.version)).collect()
    }

    fn of(&self, suite: &str) -> impl Iterator<Item = &Package> {
        self.0.iter().filter(move |package| package.suite == suite)
    }
}
