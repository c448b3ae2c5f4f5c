//! Messages as bytes, made from the description.

use crate::rng::Rng;
use crate::schema::{Field, Schema};
use crate::values::{self, Known};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;

/// Levels of messages in messages, where depth is not what is asked for.
const LEVELS: usize = 7;
/// Depths at which something may change: 32 inner failures are kept, 100 levels are read.
const DEPTHS: [usize; 14] = [1, 5, 20, 31, 32, 33, 40, 46, 47, 48, 60, 93, 97, 400];
/// Bytes of a message beyond which nothing is added.
const BYTES: usize = 8 << 20;

const VALUE: &str = ".google.protobuf.Value";

pub(crate) struct Maker<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) rng: &'a mut Rng,
    pub(crate) known: &'a Known,
    /// Whether the message may still have something deep in it: more than one is hardly ever read.
    pub(crate) deep: bool,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(schema: &'a Schema, rng: &'a mut Rng, known: &'a Known) -> Self {
        Self { schema, rng, known, deep: false }
    }

    /// A message of this type.
    pub(crate) fn message(&mut self, of: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.deep = self.rng.percent(40);
        self.fill(of, LEVELS, &mut out);
        out
    }

    /// The same with broken bytes.
    pub(crate) fn broken(&mut self, of: &str) -> Vec<u8> {
        let mut bytes = self.message(of);
        match self.rng.below(4) {
            0 => bytes.truncate(self.rng.below(bytes.len() + 1)),
            1 => {
                for _ in 0..=self.rng.below(8) {
                    let at = self.rng.below(bytes.len() + 1);
                    bytes.insert(at, self.rng.next() as u8);
                }
            }
            2 => {
                for _ in 0..=self.rng.below(8) {
                    let at = self.rng.below(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.rng.below(8);
                    }
                }
            }
            _ => bytes = (0..self.rng.below(300)).map(|_| self.rng.next() as u8).collect(),
        }
        bytes
    }

    fn fill(&mut self, of: &str, levels: usize, out: &mut Vec<u8>) {
        match of {
            ".google.protobuf.Timestamp" | ".google.protobuf.Duration" => return self.time(out),
            VALUE if self.deep && self.rng.percent(50) => return self.deep_value(out),
            ".TaskFailureDetails" if self.deep && self.rng.percent(50) => return self.deep_failure(levels, out),
            _ => {}
        }
        let fields = self.schema.fields(of).to_vec();
        let always = of.starts_with(".google.protobuf.");
        for field in &fields {
            if out.len() > BYTES {
                return;
            }
            let times = match (field.repeated, always) {
                (true, _) => *self.rng.pick(&[0, 0, 1, 1, 1, 2, 3]),
                (false, true) => 1,
                (false, false) => usize::from(self.rng.percent(if levels > LEVELS - 2 { 75 } else { 50 })),
            };
            (0..times).for_each(|_| self.field(field, levels, out));
        }
    }

    fn field(&mut self, field: &Field, levels: usize, out: &mut Vec<u8>) {
        match field.kind {
            Type::Message if levels == 0 => {}
            Type::Message => {
                let mut inner = Vec::new();
                self.fill(&field.of, levels - 1, &mut inner);
                put_bytes(field.number, &inner, out);
            }
            Type::String | Type::Bytes => {
                let text = values::string(self.rng, &field.name, self.known);
                put_bytes(field.number, text.as_bytes(), out);
            }
            Type::Double | Type::Fixed64 | Type::Sfixed64 => {
                encode_key(field.number, WireType::SixtyFourBit, out);
                out.extend(self.rng.next().to_le_bytes());
            }
            Type::Float | Type::Fixed32 | Type::Sfixed32 => {
                encode_key(field.number, WireType::ThirtyTwoBit, out);
                out.extend((self.rng.next() as u32).to_le_bytes());
            }
            Type::Bool => put_number(field.number, self.rng.next() & 1, out),
            Type::Enum if self.rng.percent(80) => put_number(field.number, self.rng.below(9) as u64, out),
            Type::Int32
            | Type::Int64
            | Type::Uint32
            | Type::Uint64
            | Type::Sint32
            | Type::Sint64
            | Type::Enum
            | Type::Group => put_number(field.number, values::number(self.rng) as u64, out),
        }
    }

    fn time(&mut self, out: &mut Vec<u8>) {
        let (seconds, nanos) = values::time(self.rng);
        put_number(1, seconds as u64, out);
        put_number(2, nanos as u64, out);
    }

    /// Lists or structs in each other.
    fn deep_value(&mut self, out: &mut Vec<u8>) {
        self.deep = false;
        let depth = *self.rng.pick(&DEPTHS);
        let as_list = self.rng.percent(50);
        let mut inner = Vec::new();
        put_bytes(3, b"the innermost", &mut inner);
        for _ in 0..depth {
            let mut holder = Vec::new();
            if as_list {
                put_bytes(1, &inner, &mut holder);
            } else {
                let mut entry = Vec::new();
                put_bytes(1, b"k", &mut entry);
                put_bytes(2, &inner, &mut entry);
                put_bytes(1, &entry, &mut holder);
            }
            inner.clear();
            put_bytes(if as_list { 6 } else { 5 }, &holder, &mut inner);
        }
        out.append(&mut inner);
    }

    /// Failures in each other, the innermost with properties.
    fn deep_failure(&mut self, levels: usize, out: &mut Vec<u8>) {
        self.deep = false;
        let mut inner = Vec::new();
        if levels > 0 && self.rng.percent(30) {
            let mut entry = Vec::new();
            put_bytes(1, b"property", &mut entry);
            let mut value = Vec::new();
            self.deep_value(&mut value);
            put_bytes(2, &value, &mut entry);
            put_bytes(6, &entry, &mut inner);
        }
        for _ in 0..*self.rng.pick(&DEPTHS) {
            let mut outer = Vec::new();
            put_bytes(1, b"E", &mut outer);
            put_bytes(4, &inner, &mut outer);
            inner = outer;
        }
        out.append(&mut inner);
    }
}

pub(crate) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is never read tests nothing.
    #[test]
    fn most_messages_that_are_made_can_be_read() {
        let (schema, known, mut rng) = (Schema::read(), Known::default(), Rng::new(1));
        let mut maker = Maker::new(&schema, &mut rng, &known);
        let read = (0..200)
            .filter(|_| {
                let bytes = maker.message(".OrchestratorResponse");
                <duramen_proto::OrchestratorResponse as prost::Message>::decode(&bytes[..]).is_ok()
            })
            .count();
        assert!(read > 120, "{read} of 200");
    }
}
