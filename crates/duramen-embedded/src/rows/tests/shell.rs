//! What people see who open the file in a shell, and what the page about it says.

use super::{Fresh, fresh, settle};
use bytes::Bytes;
use duramen_backend::conformance::{Sample, delta};
use duramen_core::checkpoint::Change;
use duramen_proto::{OrchestrationStatus, Timestamp};
use std::process::Command;

#[test]
fn the_page_about_the_store_has_the_schema_as_it_is() {
    let page = include_str!("../../../../../docs/store.md");
    for step in crate::rows::open::STEPS {
        assert!(page.contains(&format!("```sql\n{step}```")), "docs/store.md does not have the schema as it is");
    }
}

/// What the `sqlite3` command prints for a query on a live file.
fn shell(rows: &crate::rows::Database, sql: &str) -> Option<String> {
    let outcome = Command::new("sqlite3").arg("-readonly").arg(rows.path()).arg(sql).output();
    let Ok(output) = outcome else {
        eprintln!("sqlite3 is not installed: skipped");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).expect("it is text"))
}

#[test]
fn a_shell_shows_instances_as_text_while_the_store_is_open() {
    let Fresh { rows, folder: _folder } = fresh();
    let created = Some(Timestamp { seconds: 1_790_000_000, nanos: 123_456_789 });
    let mut sample = Sample::new("order-7", 7).child_of("cart-1").with(|head| {
        head.version = Some("2.1".into());
        head.created = created;
        head.tags.insert("tier".into(), "gold \"plus\"".into());
    });
    let mut deltas = [sample.start(Bytes::from_static(b"<\"Tokyo\"")), sample.episode()].concat();
    deltas.extend(sample.arrive(Bytes::from_static(b"<more")));
    sample.image.tail.updated = Some(Timestamp { seconds: 1_790_000_001, nanos: 0 });
    deltas.push(delta(Change::Tail(Box::new(sample.image.tail.clone()))));
    let mut ended = Sample::new("order-8", 8);
    deltas.extend([ended.start(Bytes::from_static(b"<null")), ended.end(OrchestrationStatus::Failed, 2_000)].concat());
    deltas.extend((0..3).flat_map(|_| sample.lose()));
    settle(&rows, 1, deltas).expect("it fits");

    let columns = "id, name, version, status, created, updated, completed, parent, tags, custom_status, input, output";
    let Some(shown) = shell(&rows, &format!("SELECT {columns} FROM instances ORDER BY id")) else { return };
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "order-7|Greet|2.1|RUNNING|2026-09-21T14:13:20.123456Z|2026-09-21T14:13:21.000000Z||cart-1|{\"tier\":\"gold \\\"plus\\\"\"}|at 1|\"Tokyo\"|",
            "order-8|Greet||FAILED|1970-01-01T00:16:48.000000Z|1970-01-01T00:00:01.000000Z|1970-01-01T00:33:20.000000Z||||null|ended Failed",
        ]
    );
    let of = |sql: &str| shell(&rows, sql).unwrap_or_default();
    assert_eq!(of("SELECT id, first, count FROM histories ORDER BY id"), "order-7|0|2\norder-8|0|1\n");
    assert_eq!(of("SELECT id, sequence, bytes FROM inboxes ORDER BY id"), "order-7|1|5\norder-8|0|5\n");
    let tasks = of("SELECT id, name, failed_dispatches, held FROM tasks");
    assert_eq!(tasks, "order-7|Charge|3|1970-01-01T00:16:40.000000Z\n");
    assert_eq!(of("SELECT id, due FROM timers"), "order-7|1970-01-01T02:46:40.000000Z\n");
}

/// Every status has its name in the view.
#[test]
fn statuses_have_the_names_of_the_protocol() {
    let schema = include_str!("../schema.sql");
    for number in 0..8 {
        let status = OrchestrationStatus::try_from(number).expect("it is one");
        let name = status.as_str_name().trim_start_matches("ORCHESTRATION_STATUS_");
        assert!(schema.contains(&format!("WHEN {number} THEN '{name}'")), "{name}");
    }
    assert!(OrchestrationStatus::try_from(8).is_err(), "a new status needs a name in the view");
}
