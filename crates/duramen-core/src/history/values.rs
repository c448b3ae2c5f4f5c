//! How one value is written and read.

use super::json::{self, Object};
use super::reader::{BadText, Reader, write_quoted, write_text};
use super::rfc3339;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use duramen_proto::{OrchestrationStatus, Timestamp, Value};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};

/// A value that can stand behind the name of a field.
pub(super) trait Field: Sized {
    /// Whether it has nothing in it, and so is left out.
    fn is_absent(&self) -> bool;
    fn write(&self, out: &mut String);
    /// As the protocol's JSON form has it.
    fn write_json(&self, out: &mut String);
    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText>;
}

impl Field for String {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        write_text(self, out);
    }

    fn write_json(&self, out: &mut String) {
        json::write_text(self, out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        reader.text()
    }
}

impl<T: Field> Field for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut String) {
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Some(value) => value.write_json(out),
            None => out.push_str("null"),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        T::read(reader).map(Some)
    }
}

impl<T: Field> Field for alloc::boxed::Box<T> {
    fn is_absent(&self) -> bool {
        (**self).is_absent()
    }

    fn write(&self, out: &mut String) {
        (**self).write(out);
    }

    fn write_json(&self, out: &mut String) {
        (**self).write_json(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        T::read(reader).map(Self::new)
    }
}

impl Field for i32 {
    /// Zero is a task's id like any other.
    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }

    fn write_json(&self, out: &mut String) {
        self.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        reader.parse("number")
    }
}

impl Field for bool {
    fn is_absent(&self) -> bool {
        !*self
    }

    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn write_json(&self, out: &mut String) {
        self.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        reader.parse("`true` or `false`")
    }
}

impl Field for Timestamp {
    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self, out: &mut String) {
        out.push_str(&rfc3339::format(Time::from(*self)));
    }

    fn write_json(&self, out: &mut String) {
        json::write_text(&rfc3339::format(Time::from(*self)), out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        let word = reader.word();
        rfc3339::parse(word).map(Self::from).ok_or_else(|| reader.bad(format!("{word:?} is no time")))
    }
}

/// A status, by its name.
pub(super) struct Status(pub(super) i32);

impl Field for Status {
    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self, out: &mut String) {
        match OrchestrationStatus::try_from(self.0) {
            Ok(status) => out.push_str(status.as_str_name().trim_start_matches(PREFIX)),
            Err(_) => out.push_str(&self.0.to_string()),
        }
    }

    /// By its whole name in the protocol.
    fn write_json(&self, out: &mut String) {
        match OrchestrationStatus::try_from(self.0) {
            Ok(status) => json::write_text(status.as_str_name(), out),
            Err(_) => out.push_str(&self.0.to_string()),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        let word = reader.word();
        let known = OrchestrationStatus::from_str_name(&format!("{PREFIX}{word}")).map(i32::from);
        known.or_else(|| word.parse().ok()).map(Self).ok_or_else(|| reader.bad(format!("{word:?} is no status")))
    }
}

const PREFIX: &str = "ORCHESTRATION_STATUS_";

impl<T: Field> Field for BTreeMap<String, T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (key, value)) in self.iter().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            write_text(key, out);
            out.push('=');
            value.write(out);
        }
        out.push('}');
    }

    fn write_json(&self, out: &mut String) {
        let mut object = Object::begin(out);
        for (key, value) in self {
            object.member(key, value);
        }
        object.end();
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        let mut map = Self::new();
        reader.expect("{")?;
        loop {
            reader.skip_spaces();
            if reader.take("}") {
                return Ok(map);
            }
            let key = reader.text()?;
            reader.expect("=")?;
            map.insert(key, T::read(reader)?);
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        out.push('[');
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            value.write(out);
        }
        out.push(']');
    }

    fn write_json(&self, out: &mut String) {
        out.push('[');
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            value.write_json(out);
        }
        out.push(']');
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        let mut list = Self::new();
        reader.expect("[")?;
        loop {
            reader.skip_spaces();
            if reader.take("]") {
                return Ok(list);
            }
            list.push(T::read(reader)?);
        }
    }
}

/// A property of a failure. Texts are always in quotes here, or they could be taken for numbers.
impl Field for Value {
    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self, out: &mut String) {
        match &self.kind {
            None => out.push_str("none"),
            Some(Kind::NullValue(_)) => out.push_str("null"),
            Some(Kind::BoolValue(value)) => value.write(out),
            Some(Kind::NumberValue(value)) => out.push_str(&value.to_string()),
            Some(Kind::StringValue(text)) => write_quoted(text, out),
            Some(Kind::StructValue(fields)) => fields.fields.write(out),
            Some(Kind::ListValue(list)) => list.values.write(out),
        }
    }

    fn write_json(&self, out: &mut String) {
        match &self.kind {
            None | Some(Kind::NullValue(_)) => out.push_str("null"),
            Some(Kind::BoolValue(value)) => value.write_json(out),
            Some(Kind::NumberValue(value)) if value.is_finite() => out.push_str(&value.to_string()),
            // JSON has no such numbers; the protocol writes them as texts.
            Some(Kind::NumberValue(value)) if value.is_nan() => out.push_str("\"NaN\""),
            Some(Kind::NumberValue(value)) => {
                out.push_str(if *value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
            }
            Some(Kind::StringValue(text)) => text.write_json(out),
            Some(Kind::StructValue(fields)) => fields.fields.write_json(out),
            Some(Kind::ListValue(list)) => list.values.write_json(out),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BadText> {
        let kind = if reader.next_is("\"") {
            Some(Kind::StringValue(reader.text()?))
        } else if reader.next_is("{") {
            Some(Kind::StructValue(Struct { fields: Field::read(reader)? }))
        } else if reader.next_is("[") {
            Some(Kind::ListValue(ListValue { values: Field::read(reader)? }))
        } else {
            match reader.word() {
                "none" => None,
                "null" => Some(Kind::NullValue(0)),
                "true" => Some(Kind::BoolValue(true)),
                "false" => Some(Kind::BoolValue(false)),
                word => match word.parse() {
                    Ok(number) => Some(Kind::NumberValue(number)),
                    Err(_) => return Err(reader.bad(format!("{word:?} is no value"))),
                },
            }
        };
        Ok(Self { kind })
    }
}
