//! Takes a line apart.

use alloc::format;
use alloc::string::{String, ToString};

/// Why a text is no history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the history, at column {column}: {problem}")]
pub struct BadText {
    line: usize,
    column: usize,
    problem: String,
}

impl BadText {
    pub(super) fn on_line(self, line: usize) -> Self {
        Self { line, ..self }
    }
}

pub(super) struct Reader<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    pub(super) fn bad(&self, problem: impl Into<String>) -> BadText {
        BadText { line: 0, column: self.at + 1, problem: problem.into() }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    pub(super) fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Whether this comes next; it is taken if so.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(super) fn next_is(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), BadText> {
        if self.take(text) { Ok(()) } else { Err(self.bad(format!("`{text}` is missing"))) }
    }

    /// Characters that need no quotes; may be none.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn parse<T: core::str::FromStr>(&mut self, what: &str) -> Result<T, BadText> {
        let word = self.word();
        word.parse().map_err(|_| self.bad(format!("{word:?} is no {what}")))
    }

    /// A word, or text in quotes.
    pub(super) fn text(&mut self) -> Result<String, BadText> {
        if !self.take("\"") {
            return match self.word() {
                "" => Err(self.bad("a text is missing")),
                word => Ok(word.to_string()),
            };
        }
        let mut text = String::new();
        loop {
            let mut letters = self.rest().chars();
            let letter = letters.next().ok_or_else(|| self.bad("the text has no end"))?;
            self.at += letter.len_utf8();
            match letter {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                letter => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, BadText> {
        let letter = self.rest().chars().next().ok_or_else(|| self.bad("the text has no end"))?;
        self.at += letter.len_utf8();
        Ok(match letter {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' | '\\' => letter,
            'u' => {
                self.expect("{")?;
                let code = u32::from_str_radix(self.word(), 16).ok().and_then(char::from_u32);
                self.expect("}")?;
                code.ok_or_else(|| self.bad("there is no such character"))?
            }
            _ => return Err(self.bad(format!("`\\{letter}` means nothing"))),
        })
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | ':' | '@' | '/' | '+')
}

/// Writes a text, in quotes where it takes them.
pub(super) fn write_text(text: &str, out: &mut String) {
    if !text.is_empty() && text.chars().all(is_plain) {
        out.push_str(text);
    } else {
        write_quoted(text, out);
    }
}

pub(super) fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Line separators too, or a line would be cut in two by whoever reads lines.
            letter if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}
