//! Holds the descriptors of `proto/` against `wire-table.txt`, both ways: nothing missing, nothing extra.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};
use std::collections::BTreeSet;

/// One fact a string: the heading it stands under, and the line, as in `TaskCompletedEvent: 2 result string?`.
type Facts = BTreeSet<String>;

#[test]
fn the_files_say_what_the_table_says() {
    let table = read_table(include_str!("wire-table.txt"));
    let compiled = read_descriptors();
    let missing: Vec<_> = table.difference(&compiled).collect();
    let extra: Vec<_> = compiled.difference(&table).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing in proto/: {missing:#?}\nextra in proto/: {extra:#?}");
    // A reader that found nothing would find no difference either.
    let count = |start: &str| table.iter().filter(|fact| fact.starts_with(start)).count();
    assert_eq!((count("enum "), count("message "), count("service ")), (2, 153, 2));
}

#[test]
fn a_changed_field_is_found() {
    let changed = include_str!("wire-table.txt").replace("  2 recurse bool", "  2 recurse bool?");
    let table = read_table(&changed);
    let difference: Vec<_> = table.symmetric_difference(&read_descriptors()).cloned().collect();
    assert_eq!(difference, ["ExecutionTerminatedEvent: 2 recurse bool", "ExecutionTerminatedEvent: 2 recurse bool?"]);
}

fn read_table(text: &str) -> Facts {
    let mut facts = Facts::new();
    let mut heading = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fact = match line.strip_prefix("  ") {
            Some(fact) => format!("{heading}: {fact}"),
            None => {
                heading = line.split(' ').nth(1).expect("a heading has a name");
                line.to_owned()
            }
        };
        assert!(facts.insert(fact.clone()), "twice in the table: {fact}");
    }
    facts
}

fn read_descriptors() -> Facts {
    let files = protox::compile(["orchestrator_service.proto", "backend_service.proto"], ["proto"]).expect("compiles");
    let ours: Vec<_> = files.file.into_iter().filter(|file| !file.name().starts_with("google/")).collect();
    ours.iter().flat_map(file_facts).collect()
}

fn file_facts(file: &FileDescriptorProto) -> Vec<String> {
    let package = if file.package().is_empty() { "-" } else { file.package() };
    assert_eq!(file.syntax(), "proto3");
    let mut facts = vec![format!("file {} {package}", file.name())];
    file.enum_type.iter().for_each(|kind| enum_facts(kind, &mut facts));
    file.message_type.iter().for_each(|message| message_facts(message, &mut facts));
    file.service.iter().for_each(|service| service_facts(service, &mut facts));
    facts
}

fn enum_facts(kind: &EnumDescriptorProto, facts: &mut Vec<String>) {
    facts.push(format!("enum {}", kind.name()));
    facts.extend(kind.value.iter().map(|value| format!("{}: {} {}", kind.name(), value.number(), value.name())));
}

fn message_facts(message: &DescriptorProto, facts: &mut Vec<String>) {
    facts.push(format!("message {}", message.name()));
    // Entries of maps are the only nested messages that the protocol has.
    assert!(message.nested_type.iter().all(|nested| nested.options.as_ref().is_some_and(|o| o.map_entry())));
    assert!(message.enum_type.is_empty());
    facts.extend(message.field.iter().map(|field| format!("{}: {}", message.name(), field_fact(message, field))));
}

fn field_fact(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let map = message
        .nested_type
        .iter()
        .find(|nested| field.type_name().ends_with(&format!("{}.{}", message.name(), nested.name())));
    let kind = match map {
        Some(entry) => format!("map<{},{}>", type_name(&entry.field[0]), type_name(&entry.field[1])),
        None if field.label() == Label::Repeated => format!("repeated {}", type_name(field)),
        None => type_name(field),
    };
    assert!(!field.proto3_optional(), "the protocol has no `optional`: {}.{}", message.name(), field.name());
    let oneof = match field.oneof_index {
        Some(index) => format!(" oneof {}", message.oneof_decl[index as usize].name()),
        None => String::new(),
    };
    let deprecated = if field.options.as_ref().is_some_and(|o| o.deprecated()) { " deprecated" } else { "" };
    format!("{} {} {kind}{oneof}{deprecated}", field.number(), field.name())
}

fn type_name(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::String => "string".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Message | Type::Enum => short(field.type_name()).to_owned(),
        other => panic!("the protocol has no field of type {}", other.as_str_name()),
    }
}

fn short(full: &str) -> &str {
    match full {
        ".google.protobuf.StringValue" => "string?",
        ".google.protobuf.Int32Value" => "int32?",
        ".google.protobuf.BoolValue" => "bool?",
        _ => {
            let known = [".google.protobuf.", ".durabletask.protos.backend.v1.", "."];
            known.iter().find_map(|package| full.strip_prefix(package)).expect("a full name begins with a dot")
        }
    }
}

fn service_facts(service: &ServiceDescriptorProto, facts: &mut Vec<String>) {
    facts.push(format!("service {}", service.name()));
    for method in &service.method {
        assert!(!method.client_streaming(), "no call of the protocol streams from the client: {}", method.name());
        let stream = if method.server_streaming() { "stream " } else { "" };
        let (input, output) = (short(method.input_type()), short(method.output_type()));
        facts.push(format!("{}: {}({input}) -> {stream}{output}", service.name(), method.name()));
    }
}
