//! Lists under a prefix, which is a stretch of ids with a beginning and an end.

use super::{Fresh, fresh, settle};
use bytes::Bytes;
use duramen_backend::conformance::Sample;
use duramen_backend::rows::Rows as _;
use duramen_backend::{Cursor, Query};
use duramen_proto::OrchestrationStatus::{self, Completed, Failed, Pending, Running, Terminated};

/// Characters about the places where the next one is not one more, or not as long; and some that mean
/// something elsewhere.
const EDGES: [&str; 12] =
    ["", "%", "*", "_", "a", "b", "\u{7f}", "\u{80}", "\u{d7ff}", "\u{e000}", "\u{10fffe}", "\u{10ffff}"];

/// Every text of two of them.
fn texts() -> Vec<String> {
    let mut texts: Vec<_> = EDGES.iter().flat_map(|first| EDGES.map(|second| format!("{first}{second}"))).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// The ids of all pages of a list.
fn all(rows: &crate::rows::Database, mut query: Query) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = rows.query(&query).expect("it can be read");
        assert!(page.rows.len() <= query.limit, "{query:?}");
        ids.extend(page.rows.into_iter().map(|row| row.head.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return ids,
        }
    }
}

#[test]
fn a_prefix_is_what_an_id_begins_with_and_no_more_whatever_is_asked_of_the_status() {
    let Fresh { rows, folder: _folder } = fresh();
    let statuses = [Pending, Completed, Failed, Running, Terminated];
    let mut deltas = Vec::new();
    let mut instances: Vec<(String, OrchestrationStatus)> = Vec::new();
    for (birth, id) in (1..).zip(texts()) {
        let status = statuses[birth as usize % statuses.len()];
        let mut sample = Sample::new(&id, birth);
        deltas.extend(sample.start(Bytes::from_static(b"<")));
        match status {
            Pending => {}
            Running => deltas.extend(sample.episode()),
            ended => deltas.extend(sample.end(ended, 2_000)),
        }
        instances.push((id, status));
    }
    settle(&rows, 1, deltas).expect("it fits");
    let asked = [vec![], vec![Failed], vec![Terminated, Pending, Running], vec![Completed], vec![Completed, Failed]];
    for statuses in asked {
        for prefix in texts() {
            let expected: Vec<_> = instances
                .iter()
                .filter(|(id, status)| id.starts_with(&prefix) && (statuses.is_empty() || statuses.contains(status)))
                .map(|(id, _)| id.clone())
                .collect();
            for limit in [2, 1_000] {
                let (prefix, statuses) = (Some(prefix.clone()), statuses.clone());
                let query = Query { prefix, statuses, limit, ..Query::default() };
                assert_eq!(all(&rows, query.clone()), expected, "{query:?}");
            }
        }
    }
}

/// A cursor is a place among all ids: it may be of a list with another prefix or other statuses.
#[test]
fn a_cursor_of_another_list_by_id_is_a_place_in_this_one() {
    let Fresh { rows, folder: _folder } = fresh();
    super::some(&rows);
    let after = |id: &str, statuses: &[OrchestrationStatus]| {
        let (prefix, after) = (Some("order-1".into()), Some(Cursor::Id(id.into())));
        all(&rows, Query { prefix, after, statuses: statuses.into(), limit: 3, ..Query::default() })
    };
    for before in ["", "order-0", "order-1"] {
        assert_eq!(after(before, &[Running]), ["order-10", "order-14", "order-18"], "{before:?}");
    }
    assert_eq!(after("order-13", &[Running]), ["order-14", "order-18"]);
    assert_eq!(after("order-14", &[Running, Pending]), ["order-15", "order-17", "order-18", "order-19"]);
    assert!(after("order-2", &[Running]).is_empty() && after("zz", &[Running]).is_empty());
}
