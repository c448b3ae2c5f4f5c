//! JSON, as the protocol's JSON form has it: names in camel case, times as RFC 3339, statuses by their whole
//! names, and what has nothing in it left out. Payloads are texts that hold JSON, and stay texts.

use super::values::Field;
use alloc::format;
use alloc::string::String;

/// An object that is being written.
pub(super) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// A member, whatever is in it.
    pub(super) fn member(&mut self, name: &str, value: &impl Field) {
        value.write_json(self.named(name));
    }

    /// A field: nothing, when there is nothing in it.
    pub(super) fn field(&mut self, name: &str, value: &impl Field) {
        if !value.is_absent() {
            self.member(name, value);
        }
    }

    /// Writes a name; its value has to follow.
    pub(super) fn named(&mut self, name: &str) -> &mut String {
        if !core::mem::replace(&mut self.is_empty, false) {
            self.out.push(',');
        }
        write_text(name, self.out);
        self.out.push(':');
        self.out
    }

    pub(super) fn end(self) {
        self.out.push('}');
    }
}

/// The protocol's name of a field or of a kind of event: `taskScheduledId` for `task_scheduled_id` and
/// `taskScheduled` for `TaskScheduled`.
pub(super) fn name_of(rust: &str) -> String {
    let mut name = String::with_capacity(rust.len());
    let mut up = false;
    for letter in rust.chars() {
        match letter {
            '_' => up = true,
            letter if up => {
                name.push(letter.to_ascii_uppercase());
                up = false;
            }
            letter if name.is_empty() => name.push(letter.to_ascii_lowercase()),
            letter => name.push(letter),
        }
    }
    // The one abbreviation that the protocol writes in capitals.
    match name.strip_suffix("panId") {
        Some(start) => format!("{start}panID"),
        None => name,
    }
}

pub(super) fn write_text(text: &str, out: &mut String) {
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
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}
