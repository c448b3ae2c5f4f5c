//! Places in lists, and the text that stands for them outside.

use crate::{Order, Query};
use duramen_core::time::Time;
use std::fmt;

/// The place of the last row of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Cursor {
    /// In a list by creation.
    Created(Time, u64),
    /// In a list by id.
    Id(String),
    /// In a list by completion.
    Completed(Time, String),
}

/// The text that a client is given for it.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(at, birth) => write!(f, "c.{}.{}.{birth}", at.seconds(), at.nanos()),
            Self::Id(id) => write!(f, "i.{id}"),
            // The id stands in it in clear: SDKs look for it there.
            Self::Completed(at, id) => write!(f, "{}.{}|{id}", at.seconds(), at.nanos()),
        }
    }
}

impl Query {
    /// The place that a text stands for in this list; `None` when it is none that such a list gave.
    pub fn place(&self, text: &str) -> Option<Cursor> {
        match self.order {
            Order::Completed => {
                let (at, id) = text.split_once('|')?;
                Some(Cursor::Completed(time(at)?, id.to_owned()))
            }
            Order::Created if self.prefix.is_some() => Some(Cursor::Id(text.strip_prefix("i.")?.to_owned())),
            Order::Created => {
                let (at, birth) = text.strip_prefix("c.")?.rsplit_once('.')?;
                Some(Cursor::Created(time(at)?, birth.parse().ok()?))
            }
        }
    }
}

fn time(text: &str) -> Option<Time> {
    let (seconds, nanos) = text.split_once('.')?;
    Some(Time::new(seconds.parse().ok()?, nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> [(Query, Cursor); 3] {
        let at = Time::new(-7, 42);
        let by_id = Query { prefix: Some("a".into()), ..Query::default() };
        let by_completion = Query { order: Order::Completed, ..Query::default() };
        [
            (Query::default(), Cursor::Created(at, 1 << 60)),
            (by_id, Cursor::Id("a.b|c".into())),
            (by_completion, Cursor::Completed(at, "a.b|c".into())),
        ]
    }

    #[test]
    fn a_text_gives_its_place_back_in_its_list_and_in_no_other() {
        for (mine, (query, _)) in lists().iter().enumerate() {
            for (of, (_, cursor)) in lists().iter().enumerate() {
                assert_eq!(query.place(&cursor.to_string()).is_some_and(|place| place == *cursor), mine == of);
            }
        }
    }

    #[test]
    fn garbage_is_no_place() {
        for garbage in ["0", "c.", "c.1.2", "c.1.2.3.x", "c.x.2.3", "i", "|", "1|x", "\u{0}"] {
            assert!(lists().iter().all(|(query, _)| query.place(garbage).is_none()), "{garbage:?}");
        }
    }
}
