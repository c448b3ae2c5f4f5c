//! Which small changes there are: textual ones, line by line, outside of comments, texts, checks and
//! unit tests.

use std::fmt;
use std::path::{Path, PathBuf};

/// One change of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mutant {
    pub(super) file: PathBuf,
    /// Counted from 0.
    line: usize,
    before: String,
    after: String,
}

impl Mutant {
    pub(super) fn applied(&self, source: &str) -> String {
        let lines = source.lines().enumerate();
        lines.map(|(index, line)| if index == self.line { &self.after } else { line }.to_owned() + "\n").collect()
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line + 1)
    }

    /// Both sides, with what they have in common at the ends left out but for a few characters.
    pub(super) fn change(&self) -> String {
        if self.after.trim().is_empty() {
            return format!("`{}` is left out", self.before.trim());
        }
        format!("`{}` becomes `{}`", self.before.trim(), self.after.trim())
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place(), self.change())
    }
}

/// What becomes what, wherever it stands. A change of a word needs the ends of a word around it.
const SWAPS: [(&str, &str); 28] = [
    (" == ", " != "),
    (" != ", " == "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" && ", " || "),
    (" || ", " && "),
    (" + 1", " + 0"),
    (" - 1", " - 0"),
    (" += ", " -= "),
    (" -= ", " += "),
    ("..=", ".."),
    ("true", "false"),
    ("false", "true"),
    (".is_some()", ".is_none()"),
    (".is_none()", ".is_some()"),
    (".is_some_and(", ".is_none_or("),
    (".is_none_or(", ".is_some_and("),
    (".any(", ".all("),
    (".all(", ".any("),
    (".min(", ".max("),
    (".max(", ".min("),
    (".first()", ".last()"),
    (".last()", ".first()"),
    (".pop_front()", ".pop_back()"),
    (".push_back(", ".push_front("),
    ("!", ""),
];

/// Every change of a source.
pub(super) fn mutants(file: &Path, source: &str) -> Vec<Mutant> {
    let mut found = Vec::new();
    let mut previous = String::new();
    for (index, line) in source.lines().enumerate() {
        if line.trim() == "#[cfg(test)]" {
            break; // by convention unit tests end the file
        }
        let code = code_of(line);
        let trimmed = code.trim();
        if trimmed.is_empty() {
            continue;
        }
        let begins = previous.is_empty() || previous.ends_with([';', '{', '}']);
        previous = trimmed.to_owned();
        if is_kept(trimmed) {
            continue;
        }
        let mut change =
            |after: String| found.push(Mutant { file: file.to_owned(), line: index, before: line.to_owned(), after });
        for (from, to) in SWAPS {
            for (at, _) in code.match_indices(from).filter(|(at, _)| stands_alone(&code, *at, from)) {
                change(format!("{}{to}{}", &line[..at], &line[at + from.len()..]));
            }
        }
        if begins && is_statement(trimmed) {
            change(String::new());
        }
    }
    found
}

/// Lines in which a change says nothing: attributes, imports, checks of what cannot be, planted bugs, and
/// room that is set aside.
fn is_kept(code: &str) -> bool {
    code.starts_with(['#']) && !code.starts_with("#{")
        || code.starts_with("use ")
        || code.starts_with("pub use ")
        || ["assert", "planted", "unreachable!", "panic!", "with_capacity"].iter().any(|word| code.contains(word))
}

/// A statement for its effect alone, or one that leaves early.
fn is_statement(code: &str) -> bool {
    let Some(body) = code.strip_suffix(';') else { return false };
    let count = |wanted: char| body.chars().filter(|c| *c == wanted).count();
    let balanced = count('(') == count(')') && count('{') == count('}') && count('[') == count(']');
    let keyword = ["let ", "use ", "pub ", "const ", "static ", "type ", "mod ", "extern ", "fn "];
    let does = body.ends_with(')') || body.contains(" = ") || body.contains("= ") || body.starts_with("return");
    balanced && does && !keyword.iter().any(|word| body.starts_with(word))
}

/// Whether a match is not part of a longer word or operator.
fn stands_alone(code: &str, at: usize, what: &str) -> bool {
    let before = code[..at].chars().next_back();
    let after = code[at + what.len()..].chars().next();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match what {
        "true" | "false" => !word(before) && !word(after),
        " + 1" | " - 1" => !word(after),
        // A negation, and not the `!` of a macro or of `!=`.
        "!" => !word(before) && before != Some('#') && (word(after) || after == Some('(')),
        _ => true,
    }
}

/// The line with texts, characters and comments blanked out, every byte in its place.
fn code_of(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut in_text = false;
    let mut escaped = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if !in_text && c == '/' && rest.peek() == Some(&'/') {
            break;
        }
        let quote = c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
        if quote {
            in_text = !in_text;
        }
        if in_text || quote {
            code.extend(std::iter::repeat_n('_', c.len_utf8()));
        } else {
            code.push(c);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::mutants;
    use std::path::Path;

    fn changes(source: &str) -> Vec<String> {
        mutants(Path::new("f.rs"), source).iter().map(|mutant| mutant.after.trim().to_owned()).collect()
    }

    #[test]
    fn operators_are_swapped_one_at_a_time() {
        assert_eq!(
            changes("    a == b && c + 1 < d\n"),
            ["a != b && c + 1 < d", "a == b && c + 1 <= d", "a == b || c + 1 < d", "a == b && c + 0 < d"]
        );
        assert_eq!(
            changes("if !is_true && true {\n"),
            ["if !is_true || true {", "if !is_true && false {", "if is_true && true {"]
        );
        assert_eq!(changes("x.is_some_and(|y| y != z)\n"), ["x.is_some_and(|y| y == z)", "x.is_none_or(|y| y != z)"]);
    }

    #[test]
    fn statements_for_their_effect_are_left_out() {
        assert_eq!(changes("{\n    self.push(x);\n"), [""]);
        assert_eq!(changes("{\n    self.at = None;\n    return x;\n"), ["", ""]);
        assert_eq!(changes("let x = f();\nf(\n    g(),\n);\n"), Vec::<String>::new());
    }

    #[test]
    fn comments_texts_checks_and_tests_stay() {
        for kept in [
            "// a == b\n",
            "let x = \"a == b \\\" && c\"; // true\n",
            "assert!(a == b);\n",
            "if planted::has(Bug::X) && true {\n",
            "use a::b;\n",
            "#[cfg(test)]\nmod tests {\n    a == b\n",
        ] {
            assert_eq!(changes(kept), Vec::<String>::new(), "{kept}");
        }
    }

    #[test]
    fn a_mutant_changes_its_line_alone() {
        let source = "one\na == b\nthree\n";
        let found = mutants(Path::new("f.rs"), source);
        assert_eq!(found[0].applied(source), "one\na != b\nthree\n");
        assert_eq!(found[0].to_string(), "f.rs:2 `a == b` becomes `a != b`");
    }
}
