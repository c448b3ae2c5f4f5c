//! Which index each read takes.

use super::{Fresh, fresh, some};
use crate::rows::{query, read};
use duramen_backend::{Cursor, Order, Query};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus::{Completed, Failed, Pending, Running};
use rusqlite::{Connection, params_from_iter};

fn explain(rows: &Connection, sql: &str, parameters: Vec<rusqlite::types::Value>) -> String {
    let mut statement = rows.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it can be prepared");
    let lines = statement.query_map(params_from_iter(parameters), |row| row.get::<_, String>(3));
    lines.and_then(Iterator::collect::<Result<Vec<_>, _>>).expect("it can be explained").join("\n")
}

const BY_ID: &str = "instance_by_id (id>? AND id<?)";
const BY_STATUS_AND_ID: &str = "instance_unless_completed (status=? AND id>? AND id<?)";

#[test]
fn each_query_takes_its_index() {
    let Fresh { rows, folder: _folder } = fresh();
    some(&rows);
    let writer = rows.writer();
    let any = Query::default;
    let time = Some(Time::new(1_010, 0));
    let (order, parent, prefix) = (Order::Completed, Some("parent".to_owned()), Some("order-".to_owned()));
    let created = Some(Cursor::Created(Time::new(1_010, 0), 10));
    let completed = Some(Cursor::Completed(Time::new(2_004, 0), "order-04".into()));
    let id = Some(Cursor::Id("order-04".into()));
    let one = vec![Running];
    let two = vec![Running, Completed];
    let queries = [
        (any(), "instance_by_status (status=? AND created>? AND created<?)", 3),
        (Query { statuses: one.clone(), ..any() }, "instance_by_status (status=? AND created>? AND created<?)", 1),
        (
            Query { statuses: two, after: created.clone(), ..any() },
            "instance_by_status (status=? AND created>? AND created<?)",
            2,
        ),
        (
            Query { created_from: time, created_to: time, statuses: one, ..any() },
            "instance_by_status (status=? AND created>? AND created<?)",
            1,
        ),
        (Query { parent: parent.clone(), ..any() }, "instance_by_parent (parent=? AND created>? AND created<?)", 1),
        (
            Query { parent: parent.clone(), after: created, ..any() },
            "instance_by_parent (parent=? AND created>? AND created<?)",
            1,
        ),
        (Query { prefix: prefix.clone(), ..any() }, BY_ID, 1),
        (Query { prefix: prefix.clone(), parent, after: id.clone(), ..any() }, BY_ID, 1),
        // One status, several, one that nobody has; what has completed is in no index of statuses under ids.
        (Query { prefix: prefix.clone(), statuses: vec![Running], ..any() }, BY_STATUS_AND_ID, 1),
        (Query { prefix: prefix.clone(), statuses: vec![Running, Pending, Failed], ..any() }, BY_STATUS_AND_ID, 2),
        (
            Query { prefix: prefix.clone(), statuses: vec![Running], after: id.clone(), created_from: time, ..any() },
            BY_STATUS_AND_ID,
            1,
        ),
        (Query { prefix: prefix.clone(), statuses: vec![Pending, Running], after: id, ..any() }, BY_STATUS_AND_ID, 2),
        (Query { prefix: prefix.clone(), statuses: vec![Completed], ..any() }, BY_ID, 1),
        (Query { prefix: prefix.clone(), statuses: vec![Running, Completed], ..any() }, BY_ID, 1),
        (Query { order, ..any() }, "instance_by_completed ((completed,id)>(?,?) AND completed<?)", 1),
        (
            Query { order, prefix, after: completed, completed_to: time, ..any() },
            "instance_by_completed ((completed,id)>(?,?) AND completed<?)",
            1,
        ),
    ];
    for (query, index, times) in queries {
        let walk = query::walk(&writer, &query).expect("it can be read").expect("there are some");
        let plan = explain(&writer, &walk.sql, walk.parameters);
        assert_eq!(plan.matches(index).count(), times, "{query:?}:\n{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{query:?}:\n{plan}");
    }
    let next = explain(&writer, query::NEXT_STATUS, vec![0.into()]);
    assert!(next.contains("COVERING INDEX instance_by_status (status>?)"), "{next}");
}

/// Nothing that is read at a start, or for one instance, looks at all instances or all histories.
#[test]
fn what_an_owner_asks_costs_what_is_open() {
    let Fresh { rows, folder: _folder } = fresh();
    let writer = rows.writer();
    let one = vec![1.into()];
    let reads = [
        (read::INSTANCE, vec!["a".to_owned().into()], "instance USING INDEX instance_by_id (id=?)"),
        (read::LISTED, one.clone(), "SEARCH instance USING INTEGER PRIMARY KEY"),
        (read::HISTORY, one.clone(), "history USING INDEX history_by_run (run=?)"),
        (read::CHUNK, vec![1.into(), 2.into()], "history USING INDEX history_by_run (run=? AND first<?)"),
        (read::INBOX, one.clone(), "SEARCH inbox USING PRIMARY KEY (run=?)"),
        (read::TASKS, one.clone(), "SEARCH task USING PRIMARY KEY (birth=?)"),
        (read::TIMERS, one.clone(), "SEARCH timer USING PRIMARY KEY (run=?)"),
        (read::READY, one, "SEARCH instance USING INTEGER PRIMARY KEY"),
        (read::WITH_INBOX, vec![], "SCAN inbox"),
        (read::QUEUED, vec![], "SCAN task\nSEARCH instance USING INTEGER PRIMARY KEY"),
        (read::OUTBOX, vec![], "SCAN outbox"),
        (read::DUE, vec![1.into(), 2.into(), 3.into()], "timer USING INDEX timer_by_due ((due,run,number)>(?,?,?))"),
    ];
    for (sql, parameters, expected) in reads {
        let plan = explain(&writer, sql, parameters);
        assert!(plan.contains(expected), "{sql}:\n{plan}");
        assert!(!plan.contains("SCAN instance") && !plan.contains("SCAN history"), "{sql}:\n{plan}");
        assert!(sql == read::WITH_INBOX || !plan.contains("TEMP B-TREE"), "{sql}:\n{plan}");
    }
}
