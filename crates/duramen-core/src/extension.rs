//! What Duramen's own clients and servers say to each other beside the protocol's messages: keys of gRPC metadata, and
//! values that are texts. Whoever does not know them loses nothing that the protocol has.

use crate::ids::{Epoch, Run};
use crate::limits::BadInput;
use crate::request::Refusal;
use crate::work::Session;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use form_urlencoded::{Serializer, parse};

/// With the reply to Hello: the server's version. Who sends it knows the other keys.
pub const VERSION: &str = "duramen-version";
/// With an error: which refusal it is, as [`Refusal::to_text`] has it.
pub const REFUSAL: &str = "duramen-refusal";
/// With the reply to a start: the birth of the instance, a number. With a wait: the birth that it is bound to.
pub const BIRTH: &str = "duramen-birth";
/// With the reply to a start, as `true`: the instance had been there before.
pub const ATTACHED: &str = "duramen-attached";
/// With a start: what no reuse policy says, [`ATTACH`] or [`ATTACH_ANY`].
pub const ON_EXISTING: &str = "duramen-on-existing";
/// With a start: how long after its arrival the instance is to begin, in nanoseconds of the hub's clock.
pub const DELAY: &str = "duramen-delay";
/// [`OnExisting::Attach`](crate::request::OnExisting::Attach).
pub const ATTACH: &str = "attach";
/// [`OnExisting::AttachAny`](crate::request::OnExisting::AttachAny).
pub const ATTACH_ANY: &str = "attach-any";
/// With a wait: how long, in nanoseconds of the hub's clock. The call itself has a little longer.
pub const TIMEOUT: &str = "duramen-timeout";
/// With a list or a purge: what the protocol's filters do not say.
pub const FILTER: &str = "duramen-filter";
/// With a page of a list that does not show all that was on disk: as of when it is, as seconds and nanoseconds with a
/// dot between them.
pub const AS_OF: &str = "duramen-as-of";
/// With GetWorkItems: the worker keeps sessions ([`Session`]), each for its lease alone, so that it may get episodes before
/// what is in them is durable; and it receives items of any size.
pub const KEEPS_SESSIONS: &str = "duramen-sessions";
/// A property of an episode: the session that it goes on with, as [`Session::to_text`] has it.
pub const SESSION: &str = "duramen-session";
/// A property of an episode: the orchestrator's name, which is otherwise only in the past.
pub const ORCHESTRATOR: &str = "duramen-orchestrator";
/// A property of an episode, false when past events are left out, since the worker holds the session; with the name
/// and meaning that it has in the extended sessions of the .NET SDK.
pub const INCLUDE_STATE: &str = "IncludeState";

impl Session {
    /// The session as a text: epoch, run, rewinds and episodes in hexadecimal, with dots between them.
    pub fn to_text(&self) -> String {
        let Self { epoch, run, rewinds, episodes } = self;
        format!("{:x}.{:x}.{rewinds:x}.{episodes:x}", epoch.0, run.0)
    }

    /// What such a text stands for.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (epoch, run, rewinds, episodes) = (number()?, number()?, number()?, number()?);
        let (epoch, rewinds) = (u32::try_from(epoch).ok()?, u32::try_from(rewinds).ok()?);
        parts.next().is_none().then_some(Self { epoch: Epoch(epoch), run: Run(run), rewinds, episodes })
    }
}

impl Refusal {
    /// The refusal as a text of ASCII characters: its kind and its fields, as a form is sent.
    pub fn to_text(&self) -> String {
        let mut text = Serializer::new(String::new());
        let mut kind = |kind: &str, fields: &[(&str, &str)]| {
            text.append_pair("kind", kind).extend_pairs(fields);
        };
        match self {
            Self::NotFound(id) => kind("not-found", &[("id", id)]),
            Self::AlreadyExists { id, status } => kind("already-exists", &[("id", id), ("status", status)]),
            Self::WrongStatus { what, id, status, why } => {
                kind("wrong-status", &[("what", what), ("id", id), ("status", status), ("why", why)]);
            }
            Self::Replaced(id) => kind("replaced", &[("id", id)]),
            Self::ReusePolicy => kind("reuse-policy", &[]),
            Self::TimedOut(id) => kind("timed-out", &[("id", id)]),
            Self::BadInput(BadInput::InstanceId { id, problem }) => {
                kind("bad-instance-id", &[("id", id), ("problem", problem)]);
            }
            Self::BadInput(BadInput::Reserved { what, id }) => kind("reserved-id", &[("what", what), ("id", id)]),
            Self::BadInput(BadInput::Name { what, problem }) => {
                kind("bad-name", &[("what", what), ("problem", problem)]);
            }
            Self::BadInput(BadInput::Payload { what, bytes }) => {
                kind("bad-payload", &[("what", what), ("bytes", &bytes.to_string())]);
            }
            Self::Overloaded(what) => kind("overloaded", &[("what", what)]),
            Self::NoSpace => kind("no-space", &[]),
            Self::Stopped(why) => kind("stopped", &[("why", why)]),
            Self::OutcomeUnknown(why) => kind("outcome-unknown", &[("why", why)]),
        }
        text.finish()
    }

    /// What such a text stands for; `None` for one of another version that knows more.
    pub fn from_text(text: &str) -> Option<Self> {
        let field = |key| parse(text.as_bytes()).find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        let words = |key| field(key).map(Cow::Owned);
        Some(match field("kind")?.as_str() {
            "not-found" => Self::NotFound(field("id")?),
            "already-exists" => Self::AlreadyExists { id: field("id")?, status: words("status")? },
            "wrong-status" => Self::WrongStatus {
                what: words("what")?,
                id: field("id")?,
                status: words("status")?,
                why: words("why")?,
            },
            "replaced" => Self::Replaced(field("id")?),
            "reuse-policy" => Self::ReusePolicy,
            "timed-out" => Self::TimedOut(field("id")?),
            "bad-instance-id" => BadInput::InstanceId { id: field("id")?, problem: words("problem")? }.into(),
            "reserved-id" => BadInput::Reserved { what: words("what")?, id: field("id")? }.into(),
            "bad-name" => BadInput::Name { what: words("what")?, problem: words("problem")? }.into(),
            "bad-payload" => BadInput::Payload { what: words("what")?, bytes: field("bytes")?.parse().ok()? }.into(),
            "overloaded" => Self::Overloaded(words("what")?),
            "no-space" => Self::NoSpace,
            "stopped" => Self::Stopped(field("why")?),
            "outcome-unknown" => Self::OutcomeUnknown(field("why")?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_back_from_its_text() {
        let id = || String::from("ü&=+ %\n");
        let (what, status, why) = (|| Cow::Borrowed("restart"), Cow::Borrowed("running"), Cow::Borrowed("a; b"));
        let all = [
            Refusal::NotFound(id()),
            Refusal::AlreadyExists { id: id(), status: status.clone() },
            Refusal::WrongStatus { what: what(), id: id(), status, why: why.clone() },
            Refusal::Replaced(id()),
            Refusal::ReusePolicy,
            Refusal::TimedOut(id()),
            BadInput::InstanceId { id: id(), problem: why.clone() }.into(),
            BadInput::Reserved { what: what(), id: id() }.into(),
            BadInput::Name { what: what(), problem: why }.into(),
            BadInput::Payload { what: what(), bytes: usize::MAX }.into(),
            Refusal::Overloaded(what()),
            Refusal::NoSpace,
            Refusal::Stopped(id()),
            Refusal::OutcomeUnknown(id()),
        ];
        for refusal in all {
            let text = refusal.to_text();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(Refusal::from_text(&text), Some(refusal), "{text}");
        }
    }

    #[test]
    fn a_session_comes_back_from_its_text() {
        for number in [0, 1, 0x1234, u64::MAX] {
            let short = number as u32;
            let session = Session { epoch: Epoch(short), run: Run(number), rewinds: short, episodes: number };
            assert_eq!(Session::from_text(&session.to_text()), Some(session));
        }
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1..3.4", "123456789.1.1.1", "1.12345678901234567.1.1"] {
            assert_eq!(Session::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_no_refusal_says_is_none() {
        for text in ["", "kind=new", "kind=not-found", "kind=bad-payload&what=x&bytes=-1", "%%%"] {
            assert_eq!(Refusal::from_text(text), None, "{text}");
        }
    }
}
