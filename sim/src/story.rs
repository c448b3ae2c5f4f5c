//! Words for the story of a run, and names for what is counted.

use duramen_core::request::{Refusal, Reply, Request};

pub(crate) fn verb(request: &Request) -> &'static str {
    match request {
        Request::Start(_) => "start",
        Request::Get(_) => "get",
        Request::Wait(_) => "wait for",
        Request::Raise { .. } => "raise at",
        Request::Suspend { .. } => "suspend",
        Request::Resume { .. } => "resume",
        Request::Terminate { .. } => "terminate",
        Request::End { .. } => "end",
        Request::Rewind { .. } => "rewind",
        Request::Restart { .. } => "restart",
        Request::Purge(_) => "purge",
        Request::History(_) => "history of",
        Request::Decide { .. } => "decide at",
    }
}

pub(crate) fn reply_kind(reply: &Reply) -> &'static str {
    match reply {
        Reply::Started { attached: false, .. } => "reply: started",
        Reply::Started { attached: true, .. } => "reply: attached",
        Reply::State(None) => "reply: nobody",
        Reply::State(Some(_)) => "reply: state",
        Reply::Done => "reply: done",
        Reply::Purged(true) => "reply: purged",
        Reply::Purged(false) => "reply: not purged",
        Reply::History(_) => "reply: history",
        Reply::Held(_) => "reply: held",
        Reply::Refused(Refusal::NotFound(_)) => "reply: not found",
        Reply::Refused(Refusal::AlreadyExists { .. }) => "reply: already exists",
        Reply::Refused(Refusal::WrongStatus { .. }) => "reply: wrong status",
        Reply::Refused(Refusal::Replaced(_)) => "reply: replaced",
        Reply::Refused(Refusal::ReusePolicy) => "reply: reuse policy",
        Reply::Refused(Refusal::TimedOut(_)) => "reply: timed out",
        Reply::Refused(_) => "reply: refused",
    }
}

pub(crate) fn short(reply: &Reply) -> String {
    match reply {
        Reply::State(Some(state)) => {
            format!("{} {:?}", state.orchestration_status().as_str_name(), state.output)
        }
        Reply::History(events) => format!("{} events", events.len()),
        other => format!("{other:?}"),
    }
}
