use super::*;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use duramen_proto::history_event::EventType;
use duramen_proto::*;

fn round(text: &str) {
    let history = History::from_text(text).expect("it parses");
    assert_eq!(history.to_text(), text);
}

#[test]
fn every_kind_reads_back() {
    round(
        r#"#-1 2026-01-31T08:00:00Z OrchestratorStarted
#0 2026-01-31T08:00:00.250Z ExecutionStarted(HelloCities) version=2 input=null instance={id=i execution=e} parent={task=3 name=Parent instance={id=p}} scheduled_start=2026-01-31T08:00:00Z trace={parent=00-1-2-01 span=2 state=""} span=s tags={a="b c" d=e}
#0 2026-01-31T08:00:00.250001Z TaskScheduled(SayHello) input="\"Tokyo\"" trace={parent=x} tags={a=b}
#1 2026-01-31T08:00:00Z TimerCreated fire_at=2026-01-31T09:00:00.000000001Z
#2 2026-01-31T08:00:00Z SubOrchestrationInstanceCreated(Child) id="a b" input=""
#3 2026-01-31T08:00:00Z EventSent(Go) to=other data="{\"x\":[1,2]}"
#-1 2026-01-31T08:00:00Z TaskCompleted(0) result="\"Hello\\nTokyo\""
#-1 2026-01-31T08:00:00Z TaskFailed(0) failure={type=Boom message="no\nway" stack="at\tx" inner={type=Inner message=m} non_retriable=true properties={json="{\"n\":1}" list=[1 2.5 null true "x"] nested={k={} z=none}}}
#-1 2026-01-31T08:00:00Z TimerFired(1) fire_at=2026-01-31T09:00:00Z
#-1 2026-01-31T08:00:00Z SubOrchestrationInstanceCompleted(2) result=1
#-1 2026-01-31T08:00:00Z SubOrchestrationInstanceFailed(2) failure={type=X message=y}
#-1 2026-01-31T08:00:00Z EventRaised("go now") data=1
#-1 2026-01-31T08:00:00Z ExecutionSuspended reason=why
#-1 2026-01-31T08:00:00Z ExecutionResumed
#-1 2026-01-31T08:00:00Z ExecutionTerminated output=x recurse=true
#-1 2026-01-31T08:00:00Z OrchestratorCompleted
#-1 2026-01-31T08:00:00Z GenericEvent data=d
#-1 2026-01-31T08:00:00Z ContinueAsNew input=1
#4 2026-01-31T08:00:00Z EntityOperationSignaled(add) request=r scheduled=2026-01-31T08:00:00Z input=1 target=@counter@k
#5 2026-01-31T08:00:00Z EntityOperationCalled(add) request=r parent=p parent_execution=e target=@counter@k
#6 2026-01-31T08:00:00Z EntityLockRequested section=s locks=[@a@1 @b@2] position=0 parent=p
#-1 2026-01-31T08:00:00Z EntityOperationCompleted request=r output=1
#-1 2026-01-31T08:00:00Z EntityOperationFailed request=r failure={type=X message=y}
#-1 2026-01-31T08:00:00Z EntityLockGranted section=s
#7 2026-01-31T08:00:00Z EntityUnlockSent section=s parent=p target=@a@1
#-1 2026-01-31T08:00:00Z ExecutionRewound reason=again
#-1 - Unknown
#8 2026-01-31T08:00:00Z ExecutionCompleted(COMPLETED) result="[]"
"#,
    );
}

#[test]
fn json_has_the_names_of_the_protocol() {
    let history = History::from_text(
        r#"#0 2026-01-31T08:00:00.250Z ExecutionStarted(HelloCities) version=2 input=null instance={id=i execution=e} parent={task=3 name=Parent instance={id=p}} trace={parent=00-1-2-01 span=2 state=""} span=s tags={a="b c"}
#-1 2026-01-31T08:00:00Z TaskFailed(0) failure={type=Boom message="no\nway" inner={type=Inner message=m} non_retriable=true properties={list=[1 2.5 null true "x"] nested={k={}}}}
#6 2026-01-31T08:00:00Z EntityLockRequested section=s locks=[@a@1 @b@2] position=0 parent=p
#-1 - OrchestratorStarted
#-1 - Unknown
#8 2026-01-31T08:00:00Z ExecutionCompleted(COMPLETED) result="[]"
"#,
    );
    let expected = r#"{"eventId":0,"timestamp":"2026-01-31T08:00:00.250Z","executionStarted":{"name":"HelloCities","version":"2","input":"null","orchestrationInstance":{"instanceId":"i","executionId":"e"},"parentInstance":{"taskScheduledId":3,"name":"Parent","orchestrationInstance":{"instanceId":"p"}},"parentTraceContext":{"traceParent":"00-1-2-01","spanID":"2","traceState":""},"orchestrationSpanID":"s","tags":{"a":"b c"}}}
{"eventId":-1,"timestamp":"2026-01-31T08:00:00Z","taskFailed":{"taskScheduledId":0,"failureDetails":{"errorType":"Boom","errorMessage":"no\nway","innerFailure":{"errorType":"Inner","errorMessage":"m"},"isNonRetriable":true,"properties":{"list":[1,2.5,null,true,"x"],"nested":{"k":{}}}}}}
{"eventId":6,"timestamp":"2026-01-31T08:00:00Z","entityLockRequested":{"criticalSectionId":"s","lockSet":["@a@1","@b@2"],"position":0,"parentInstanceId":"p"}}
{"eventId":-1,"orchestratorStarted":{}}
{"eventId":-1}
{"eventId":8,"timestamp":"2026-01-31T08:00:00Z","executionCompleted":{"orchestrationStatus":"ORCHESTRATION_STATUS_COMPLETED","result":"[]"}}
"#;
    assert_eq!(history.unwrap().to_json_lines(), expected);
}

#[test]
fn bytes_are_kept_where_there_is_no_other_form() {
    let state = OrchestrationState { instance_id: "i".to_string(), ..Default::default() };
    let event_type = Some(EventType::HistoryState(HistoryStateEvent { orchestration_state: Some(state) }));
    let history = History { events: vec![HistoryEvent { event_id: -1, timestamp: None, event_type }] };
    assert_eq!(History::from_text(&history.to_text()), Ok(history));
}

#[test]
fn comments_and_empty_lines_are_skipped() {
    let history = History::from_text("\n// of a run in March\n  #-1 - OrchestratorStarted\n").unwrap();
    assert_eq!(history.events.len(), 1);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let wrong = |text: &str| History::from_text(text).unwrap_err().to_string();
    assert!(
        wrong("\n#1 - TaskScheduled(A) colour=red").contains("line 2"),
        "{}",
        wrong("\n#1 - TaskScheduled(A) colour=red")
    );
    assert!(wrong("#1 - Nonsense").contains("there is no event of kind \"Nonsense\""));
    assert!(wrong("#x - OrchestratorStarted").contains("event id"));
    assert!(wrong("#1 yesterday OrchestratorStarted").contains("\"yesterday\" is no time"));
    assert!(wrong("#1 - TaskScheduled(A) input=\"abc").contains("no end"));
    assert!(wrong("#1 - OrchestratorStarted more").contains("missing"));
}

proptest::proptest! {
    #[test]
    fn any_text_survives(name in ".*", input in proptest::option::of("(?s).*"), message in "(?s).*", key in ".*", number: f64, id: i32) {
        let inner = TaskFailureDetails { error_message: message.clone(), ..Default::default() };
        let number = if number.is_nan() { 0.5 } else { number };
        let value = Value { kind: Some(prost_types::value::Kind::NumberValue(number)) };
        let failure = TaskFailureDetails {
            error_type: name.clone(),
            error_message: message,
            inner_failure: Some(Box::new(inner)),
            properties: [(key.clone(), value)].into(),
            ..Default::default()
        };
        let scheduled = TaskScheduledEvent { name: name.clone(), input: input.clone(), tags: [(key, name)].into(), ..Default::default() };
        let kinds = [
            EventType::TaskScheduled(scheduled),
            EventType::TaskFailed(TaskFailedEvent { task_scheduled_id: id, failure_details: Some(failure) }),
        ];
        let events = kinds.into_iter().map(|kind| HistoryEvent { event_id: id, timestamp: None, event_type: Some(kind) }).collect();
        let history = History { events };
        proptest::prop_assert_eq!(History::from_text(&history.to_text()), Ok(history));
    }
}
