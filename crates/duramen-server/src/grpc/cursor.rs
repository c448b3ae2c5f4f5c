//! Where a page ended, as text that a client gives back.

use duramen_backend::Cursor;
use duramen_core::time::Time;
use tonic::Status;

/// A place in a list as a token.
pub(super) fn token(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Created(at, birth) => format!("c.{}.{}.{birth}", at.seconds(), at.nanos()),
        Cursor::Id(id) => format!("i.{id}"),
        // The id stands in it in clear: SDKs look for it there.
        Cursor::Completed(at, id) => format!("{}.{}|{id}", at.seconds(), at.nanos()),
    }
}

/// The place that a token of QueryInstances stands for. A list by prefix is one by id.
pub(super) fn of_query(token: &str, by_prefix: bool) -> Result<Cursor, Status> {
    let cursor = match by_prefix {
        true => token.strip_prefix("i.").map(|id| Cursor::Id(id.to_owned())),
        false => token.strip_prefix("c.").and_then(|rest| {
            let (at, birth) = rest.rsplit_once('.')?;
            Some(Cursor::Created(time(at)?, birth.parse().ok()?))
        }),
    };
    cursor.ok_or_else(|| strange("continuation token", token))
}

/// The place that a key of ListInstanceIds stands for.
pub(super) fn of_ids(key: &str) -> Result<Cursor, Status> {
    let parts = key.split_once('|').and_then(|(at, id)| Some(Cursor::Completed(time(at)?, id.to_owned())));
    parts.ok_or_else(|| strange("lastInstanceKey", key))
}

fn time(text: &str) -> Option<Time> {
    let (seconds, nanos) = text.split_once('.')?;
    Some(Time::new(seconds.parse().ok()?, nanos.parse().ok()?))
}

fn strange(what: &str, text: &str) -> Status {
    let start: String = text.chars().take(64).collect();
    let hint = "give back the one of the page before, with the same filter, or none to begin";
    Status::invalid_argument(format!("the {what} {start:?} is none that this list gave; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_place_back() {
        let at = Time::new(-7, 42);
        for (cursor, by_prefix) in [(Cursor::Created(at, 1 << 60), false), (Cursor::Id("a.b|c".into()), true)] {
            assert_eq!(of_query(&token(&cursor), by_prefix).unwrap(), cursor);
            assert!(of_query(&token(&cursor), !by_prefix).is_err());
        }
        let cursor = Cursor::Completed(at, "a.b|c".into());
        assert_eq!(of_ids(&token(&cursor)).unwrap(), cursor);
        assert!(token(&cursor).contains("a.b|c"));
    }

    #[test]
    fn garbage_is_refused_with_what_to_do() {
        for garbage in ["0", "c.", "c.1.2", "c.1.2.3.x", "c.x.2.3", "i", "|", "1|x", "\u{0}"] {
            assert!(of_query(garbage, false).unwrap_err().message().contains("none to begin"), "{garbage:?}");
            assert!(of_ids(garbage).is_err(), "{garbage:?}");
        }
    }
}
