//! What an HTTP trigger answers with: where to ask how its orchestration is doing.

use serde::Serialize;

/// The URLs by which an instance is managed over HTTP, in the order and with the names of Durable
/// Functions' 202 answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// The instance id.
    pub id: String,
    /// GET: how it is doing.
    pub status_query_get_uri: String,
    /// POST: raises the event whose name is put in place of `{eventName}`.
    pub send_event_post_uri: String,
    /// POST: terminates it; the reason goes in place of `{text}`.
    pub terminate_post_uri: String,
    /// DELETE: purges it.
    pub purge_history_delete_uri: String,
    /// POST: starts it again.
    pub restart_post_uri: String,
    /// POST: suspends it; the reason goes in place of `{text}`.
    pub suspend_post_uri: String,
    /// POST: resumes it; the reason goes in place of `{text}`.
    pub resume_post_uri: String,
}

/// The payload of the 202 answer for an instance: `base` is the URL under which `instances/{id}` and its
/// routes are served, with or without a slash at its end. (DF: `CreateCheckStatusResponse`; the
/// parameters of the Functions host, `taskHub`, `connection` and `code`, have no meaning here.)
pub fn check_status_payload(base: &str, id: &str) -> CheckStatus {
    let instance = format!("{}/instances/{}", base.trim_end_matches('/'), escaped(id));
    CheckStatus {
        id: id.to_owned(),
        send_event_post_uri: format!("{instance}/raiseEvent/{{eventName}}"),
        terminate_post_uri: format!("{instance}/terminate?reason={{text}}"),
        restart_post_uri: format!("{instance}/restart"),
        suspend_post_uri: format!("{instance}/suspend?reason={{text}}"),
        resume_post_uri: format!("{instance}/resume?reason={{text}}"),
        purge_history_delete_uri: instance.clone(),
        status_query_get_uri: instance,
    }
}

/// An id as a segment of a path (RFC 3986: everything but the unreserved characters is escaped).
fn escaped(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_has_the_fields_of_durable_functions_in_their_order() {
        let payload = serde_json::to_string(&check_status_payload("http://localhost:7071/api/", "order 1")).unwrap();
        let base = "http://localhost:7071/api/instances/order%201";
        let expected = format!(
            r#"{{"id":"order 1","statusQueryGetUri":"{base}","sendEventPostUri":"{base}/raiseEvent/{{eventName}}","terminatePostUri":"{base}/terminate?reason={{text}}","purgeHistoryDeleteUri":"{base}","restartPostUri":"{base}/restart","suspendPostUri":"{base}/suspend?reason={{text}}","resumePostUri":"{base}/resume?reason={{text}}"}}"#
        );
        assert_eq!(payload, expected);
    }

    #[test]
    fn ids_are_escaped_byte_by_byte() {
        assert_eq!(escaped("a-b_c.d~"), "a-b_c.d~");
        assert_eq!(escaped("ü&+%"), "%C3%BC%26%2B%25");
    }
}
