//! Custom status: each answer carries the value of the whole replay (1.4; trap 21).

use crate::common::*;
use duramen_proto::OrchestratorResponse;

/// An orchestrator that sets what the last event "set" says: `-` for nothing, else the text; "end",
/// "fail", "sdk" (a failure with id −1) and "new" end it or begin the next generation.
fn follower(hub: &mut Hub) {
    hub.raw("Follow", |work| {
        let last = text::decode(&work.new).into_iter().rev().find_map(|event| match event.event_type {
            Some(duramen_proto::history_event::EventType::EventRaised(raised)) => Some((raised.name, raised.input)),
            _ => None,
        });
        let (name, value) = last.unwrap_or(("set".into(), None));
        let actions = match name.as_str() {
            "end" => vec![complete(1, Status::Completed, None)],
            "fail" => vec![complete(1, Status::Failed, None)],
            "sdk" => vec![complete(-1, Status::Failed, None)],
            "new" => vec![complete(1, Status::ContinuedAsNew, None)],
            _ => vec![],
        };
        OrchestratorResponse { custom_status: value, ..answer(actions) }
    });
}

fn status(hub: &mut Hub, event: &str, value: Option<&str>) -> Option<String> {
    hub.raise("f", event, value);
    hub.state("f").custom_status
}

#[test]
fn what_is_present_is_stored_and_what_is_absent_clears() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        assert_eq!(hub.state("f").custom_status, None, "absent until it is given");
        assert_eq!(status(hub, "set", Some("\"a\"")).as_deref(), Some("\"a\""));
        assert_eq!(status(hub, "set", Some("not json")).as_deref(), Some("not json"));
        assert_eq!(status(hub, "set", Some("")).as_deref(), Some(""), "empty is a value");
        assert_eq!(status(hub, "set", None), None, "absent clears what this generation has set");
        assert_eq!(status(hub, "set", Some("b")).as_deref(), Some("b"));
        assert_eq!(status(hub, "end", Some("b")).as_deref(), Some("b"), "it stays after the end");
    });
}

#[test]
fn it_outlives_continue_as_new_until_the_new_generation_sets_its_own() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        assert_eq!(status(hub, "set", Some("old")).as_deref(), Some("old"));
        assert_eq!(status(hub, "new", Some("old")).as_deref(), Some("old"));
        assert_eq!(status(hub, "set", None).as_deref(), Some("old"), "absent leaves what an earlier one had set");
        assert_eq!(status(hub, "set", Some("new")).as_deref(), Some("new"));
        assert_eq!(status(hub, "set", None), None, "now it was this generation's");
    });
}

#[test]
fn the_answer_that_continues_as_new_may_set_it() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        assert_eq!(status(hub, "new", Some("last words")).as_deref(), Some("last words"));
        assert_eq!(status(hub, "set", None).as_deref(), Some("last words"));
    });
}

#[test]
fn a_value_that_an_earlier_generation_had_set_becomes_ones_own_by_setting_it_again() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        status(hub, "new", Some("same"));
        assert_eq!(status(hub, "set", Some("same")).as_deref(), Some("same"));
        assert_eq!(status(hub, "set", None), None);
    });
}

#[test]
fn a_failure_that_the_sdk_reports_leaves_it_alone() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        status(hub, "set", Some("x"));
        assert_eq!(status(hub, "sdk", None).as_deref(), Some("x"));
        assert_eq!(hub.status("f"), Status::Failed);
    });
}

#[test]
fn a_failure_of_the_authors_code_does_not() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        status(hub, "set", Some("x"));
        assert_eq!(status(hub, "fail", None), None);
        assert_eq!(hub.status("f"), Status::Failed);
    });
}

#[test]
fn a_rewind_leaves_it_alone() {
    check(|hub| {
        follower(hub);
        hub.start("f", "Follow", None);
        status(hub, "fail", Some("x"));
        hub.leave(WORKER);
        hub.done(Request::Rewind { id: "f".into(), reason: None });
        assert_eq!(hub.state("f").custom_status.as_deref(), Some("x"));
    });
}
