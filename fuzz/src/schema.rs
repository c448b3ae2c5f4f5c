//! The protocol's own description: which calls there are, and what is in their messages.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};
use std::collections::BTreeMap;
use std::path::Path;

/// A call of the service.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) request: String,
    /// Whether the reply is a stream.
    pub(crate) streams: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) kind: Type,
    /// Of a message, or an enumeration.
    pub(crate) of: String,
    pub(crate) repeated: bool,
}

/// All messages by their full name, and all calls.
#[derive(Debug)]
pub(crate) struct Schema {
    messages: BTreeMap<String, Vec<Field>>,
    pub(crate) rpcs: Vec<Rpc>,
}

impl Schema {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/duramen-proto/proto");
        let files = protox::compile(["orchestrator_service.proto"], [folder]).expect("the protocol compiles");
        let mut schema = Self { messages: BTreeMap::new(), rpcs: Vec::new() };
        for file in &files.file {
            let package = file.package().to_owned();
            file.message_type.iter().for_each(|message| schema.add(&package, message));
            for service in &file.service {
                schema.rpcs.extend(service.method.iter().map(|method| Rpc {
                    name: method.name().to_owned(),
                    path: format!("/{}/{}", service.name(), method.name()),
                    request: method.input_type().to_owned(),
                    streams: method.server_streaming(),
                }));
            }
        }
        schema
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = if scope.is_empty() { format!(".{}", message.name()) } else { full(scope, message.name()) };
        message.nested_type.iter().for_each(|nested| self.add(&name, nested));
        self.messages.insert(name, message.field.iter().map(field).collect());
    }

    pub(crate) fn fields(&self, message: &str) -> &[Field] {
        self.messages.get(message).unwrap_or_else(|| panic!("the description has {message}"))
    }

    pub(crate) fn rpc(&self, name: &str) -> &Rpc {
        self.rpcs.iter().find(|rpc| rpc.name == name).unwrap_or_else(|| panic!("the service has {name}"))
    }
}

fn full(scope: &str, name: &str) -> String {
    format!(".{}.{name}", scope.trim_start_matches('.'))
}

fn field(field: &FieldDescriptorProto) -> Field {
    Field {
        name: field.name().to_owned(),
        number: field.number().unsigned_abs(),
        kind: field.r#type(),
        of: field.type_name().to_owned(),
        repeated: field.label() == Label::Repeated,
    }
}
