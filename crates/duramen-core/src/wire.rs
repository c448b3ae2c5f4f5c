//! What a Duramen worker and a Duramen server say to each other beyond the protocol. Servers and workers of
//! others neither send it nor look at it.

use crate::ids::{Epoch, Run};
use crate::work::Session;
use alloc::format;
use alloc::string::String;

/// Metadata of GetWorkItems: the worker keeps sessions ([`Session`]), and receives items of any size.
pub const KEEPS_SESSIONS: &str = "duramen-sessions";
/// A property of an OrchestratorRequest: the session that the episode goes on with, as [`session_text`].
pub const SESSION: &str = "duramen-session";
/// A property of an OrchestratorRequest: the orchestrator's name, which is otherwise only in the past.
pub const ORCHESTRATOR: &str = "duramen-orchestrator";
/// A property of an OrchestratorRequest, and false when past events are left out, since the worker holds the
/// session; with the name and meaning that it has in the extended sessions of the .NET SDK.
pub const INCLUDE_STATE: &str = "IncludeState";

/// A session as text: epoch, run, rewinds and episodes in hexadecimal, with dots between them.
pub fn session_text(session: &Session) -> String {
    let Session { epoch, run, rewinds, episodes } = session;
    format!("{:x}.{:x}.{rewinds:x}.{episodes:x}", epoch.0, run.0)
}

/// Reads [`session_text`].
pub fn parse_session(text: &str) -> Option<Session> {
    let mut parts = text.split('.');
    let mut number = |digits: u32| {
        let part = parts.next().filter(|part| part.len() <= digits as usize)?;
        u64::from_str_radix(part, 16).ok()
    };
    let epoch = Epoch(u32::try_from(number(8)?).ok()?);
    let run = Run(number(16)?);
    let rewinds = u32::try_from(number(8)?).ok()?;
    let episodes = number(16)?;
    parts.next().is_none().then_some(Session { epoch, run, rewinds, episodes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_as_text_reads_back() {
        for number in [0, 1, 0x1234, u64::MAX] {
            let short = number as u32;
            let session = Session { epoch: Epoch(short), run: Run(number), rewinds: short, episodes: number };
            assert_eq!(parse_session(&session_text(&session)), Some(session));
        }
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1..3.4", "123456789.1.1.1", "1.12345678901234567.1.1"] {
            assert_eq!(parse_session(bad), None, "{bad}");
        }
    }
}
