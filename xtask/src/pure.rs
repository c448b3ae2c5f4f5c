//! The proof that duramen-core is pure, in three parts: no dependency has its `std` feature on, no source names what
//! is impure, and the crate compiles beside a panic handler of its own.
//!
//! The last is the strong one. std defines the panic handler, so a crate that defines another does not compile when
//! std is anywhere among its dependencies; no bare-metal target has to be installed for that.

use crate::folder::{collect_sources, read};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Words that have no business in the core, and what to use.
const IMPURE: [(&str, &str); 9] = [
    ("std", "use core or alloc"),
    ("Instant", "time is an input"),
    ("SystemTime", "time is an input"),
    ("HashMap", "its order is random; use BTreeMap"),
    ("HashSet", "its order is random; use BTreeSet"),
    ("RandomState", "randomness is an input"),
    ("rand", "randomness is an input"),
    ("getrandom", "randomness is an input"),
    ("thread_local", "state belongs to a state machine"),
];

pub(crate) fn run(root: &Path) -> Result<(), String> {
    let core = root.join("crates/duramen-core");
    let mut problems = features(root)?;
    let mut files = Vec::new();
    collect_sources(&core.join("src"), &mut files)?;
    for file in &files {
        let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
        problems.extend(impure_words(&read(file)?).into_iter().map(|problem| format!("{shown}:{problem}")));
    }
    if !read(&core.join("src/lib.rs"))?.lines().any(|line| line == "#![no_std]") {
        problems.push("crates/duramen-core/src/lib.rs: `#![no_std]` is missing".to_owned());
    }
    if !problems.is_empty() {
        return Err(format!("duramen-core is not pure:\n{}", problems.join("\n")));
    }
    compile_without_std(root, &core)?;
    println!("duramen-core is pure: {} files, no std in its dependencies, compiles without std", files.len());
    Ok(())
}

/// Dependencies of the core that are built with `std`. Macros and build scripts run on the builder's machine and do
/// not count.
fn features(root: &Path) -> Result<Vec<String>, String> {
    let tree = cargo(
        root,
        &[
            "tree",
            "--package",
            "duramen-core",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
        ],
    )?;
    if !tree.lines().any(|line| line.starts_with("prost v")) {
        return Err(format!("cannot read the output of `cargo tree`:\n{tree}"));
    }
    Ok(with_std(&tree))
}

fn with_std(tree: &str) -> Vec<String> {
    let lines = tree.lines().filter_map(|line| line.split_once('|'));
    lines
        .filter(|(_, features)| features.split(',').any(|feature| matches!(feature.trim(), "std" | "use_std")))
        .map(|(package, features)| format!("{package} is built with std (features: {features})"))
        .collect()
}

/// The lines that name something impure. Comments, texts and unit tests may.
fn impure_words(source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut for_tests = false;
    for (index, line) in source.lines().enumerate() {
        let code = without_texts(line.split("//").next().unwrap_or_default());
        if for_tests && code.contains("mod ") && code.contains('{') {
            break; // by convention the module of unit tests ends the file
        }
        let found = code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter_map(|word| IMPURE.iter().find(|(impure, _)| *impure == word).filter(|_| !for_tests));
        problems.extend(found.map(|(word, instead)| format!("{}: names `{word}`: {instead}", index + 1)));
        if !code.trim().is_empty() {
            for_tests = code.trim() == "#[cfg(test)]";
        }
    }
    problems
}

/// The line with its string literals emptied; those that span lines are not understood, and report too much at worst.
fn without_texts(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Compiles the core beside a panic handler, in a package of its own under `target`, with the repository's lock file.
fn compile_without_std(root: &Path, core: &Path) -> Result<(), String> {
    let folder = root.join("target/pure");
    write(
        &folder.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"pure\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             duramen-core = {{ path = {core:?} }}\n"
        ),
    )?;
    write(
        &folder.join("src/lib.rs"),
        "#![no_std]\nextern crate duramen_core;\n\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! {\n    \
         loop {}\n}\n",
    )?;
    write(&folder.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
    let built = cargo(&folder, &["check", "--quiet", "--target-dir", "target"]);
    built.map(drop).map_err(|error| format!("duramen-core does not compile without std:\n{error}"))
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("failed to start cargo: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("cargo {}: {}\n{}", arguments.join(" "), output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    let folder = file.parent().expect("a file has a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .map_err(|error| format!("failed to write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{impure_words, with_std};

    #[test]
    fn impure_words_are_found() {
        let problems = impure_words("use std::time::Instant;\nlet map = HashMap::new();\n");
        assert_eq!(
            problems,
            [
                "1: names `std`: use core or alloc",
                "1: names `Instant`: time is an input",
                "2: names `HashMap`: its order is random; use BTreeMap",
            ]
        );
    }

    #[test]
    fn comments_texts_and_unit_tests_may_name_them() {
        let source = "/// Unlike std::time::Instant.\nconst WHY: &str = \"HashMap\"; // no rand\nlet standard = 1;\n\
                      #[cfg(test)]\nextern crate std;\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n";
        assert_eq!(impure_words(source), Vec::<String>::new());
        assert_eq!(impure_words("#[cfg(test)]\nmod tests;\nextern crate std;\n").len(), 1);
    }

    #[test]
    fn dependencies_with_std_are_found() {
        let tree = "bytes v1.0.0|\nprost v0.14.0|derive,std\nthiserror v2.0.0|\n";
        assert_eq!(with_std(tree), ["prost v0.14.0 is built with std (features: derive,std)"]);
    }
}
