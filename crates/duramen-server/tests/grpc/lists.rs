//! Lists and purges.

use crate::support::*;
use duramen_proto::*;
use tonic::Code;

async fn finished(client: &mut Client, worker: &mut Worker, id: &str, result: &str) {
    start(client, id, "O").await;
    worker.run(vec![complete(0, result)]).await;
    ended(client, id).await;
}

async fn page(client: &mut Client, query: InstanceQuery) -> (Vec<String>, Option<String>) {
    let request = QueryInstancesRequest { query: Some(query) };
    let reply = client.query_instances(request).await.unwrap().into_inner();
    (reply.orchestration_state.into_iter().map(|state| state.instance_id).collect(), reply.continuation_token)
}

#[tokio::test]
async fn trap_25_pages_go_on_where_they_ended_and_the_last_says_so() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for n in 0..6 {
        start(&mut client, &format!("{}-{n}", if n % 2 == 0 { "even" } else { "odd" }), "O").await;
    }
    for prefix in [None, Some("even"), Some("odd"), Some("")] {
        for size in [1, 2, 3, 4, 6, 7, 0] {
            let (mut all, mut token, mut pages) = (Vec::new(), None, 0);
            loop {
                let query = InstanceQuery {
                    max_instance_count: size,
                    continuation_token: token.clone(),
                    instance_id_prefix: prefix.map(str::to_string),
                    ..Default::default()
                };
                let (ids, next) = page(&mut client, query).await;
                assert!(!ids.is_empty(), "the page before was the last, and did not say so");
                assert_ne!(next.as_deref(), Some(""));
                all.extend(ids);
                pages += 1;
                if next.is_none() {
                    break;
                }
                assert_ne!(next, token);
                token = next;
            }
            let expected = if prefix.unwrap_or_default().is_empty() { 6 } else { 3 };
            all.sort();
            all.dedup();
            assert_eq!(all.len(), expected);
            let size = if size == 0 { 100 } else { size as usize };
            assert_eq!(pages, expected.div_ceil(size), "pages of {size}");
        }
    }
    let strange = InstanceQuery { continuation_token: Some("0".into()), ..Default::default() };
    let request = QueryInstancesRequest { query: Some(strange) };
    refused(client.query_instances(request).await, Code::InvalidArgument, "none to begin");
}

#[tokio::test]
async fn a_query_filters_and_shows_payloads_when_asked() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    finished(&mut client, &mut worker, "a", "\"out\"").await;
    start(&mut client, "b", "O").await;
    let completed = |with| InstanceQuery {
        runtime_status: vec![S::Completed.into()],
        fetch_inputs_and_outputs: with,
        ..Default::default()
    };
    for (with, output) in [(true, Some("\"out\"")), (false, None)] {
        let request = QueryInstancesRequest { query: Some(completed(with)) };
        let states = client.query_instances(request).await.unwrap().into_inner().orchestration_state;
        assert_eq!((states.len(), states[0].output.as_deref()), (1, output));
        assert!(states[0].created_timestamp.is_some() && states[0].completed_timestamp.is_some());
    }
    let unknown = InstanceQuery { runtime_status: vec![99], ..Default::default() };
    let request = QueryInstancesRequest { query: Some(unknown) };
    refused(client.query_instances(request).await, Code::InvalidArgument, "99");
    let created = get(&mut client, "b").await.unwrap().created_timestamp;
    let from = InstanceQuery { created_time_from: created, ..Default::default() };
    assert_eq!(page(&mut client, from).await.0, ["b"], "from is inclusive");
    let to = InstanceQuery { created_time_to: created, ..Default::default() };
    assert_eq!(page(&mut client, to).await.0, ["a"], "to is exclusive");
}

#[tokio::test]
async fn names_of_hubs_narrow_the_hub_of_the_call() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    start(&mut client, "i", "O").await;
    let named = |names: &[&str]| InstanceQuery {
        task_hub_names: names.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    for (names, found) in [(&[][..], 1), (&["Default"], 1), (&["other", "default"], 1), (&["other"], 0), (&[""], 0)] {
        assert_eq!(page(&mut client, named(names)).await.0.len(), found, "{names:?}");
    }
}

#[tokio::test]
async fn trap_06_a_page_is_cut_by_bytes() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for n in 0..5 {
        let input = Some("x".repeat(2 << 20));
        client.start_instance(CreateInstanceRequest { input, ..create(&n.to_string(), "O") }).await.unwrap();
    }
    let query =
        |token| InstanceQuery { fetch_inputs_and_outputs: true, continuation_token: token, ..Default::default() };
    let (mut token, mut all) = (None, Vec::new());
    loop {
        let (ids, next) = page(&mut client, query(token)).await;
        assert_eq!(ids.len(), 1, "two of them are over 3 MiB");
        all.extend(ids);
        match next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    assert_eq!(all, ["0", "1", "2", "3", "4"]);
    let bare = InstanceQuery::default();
    assert_eq!(page(&mut client, bare).await.0.len(), 5);
}

#[tokio::test]
async fn trap_25_ids_of_what_has_ended() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    for id in ["a", "b", "c"] {
        finished(&mut client, &mut worker, id, "1").await;
    }
    start(&mut client, "live", "O").await;
    let (mut key, mut all) = (None, Vec::new());
    loop {
        let request = ListInstanceIdsRequest { page_size: 2, last_instance_key: key, ..Default::default() };
        let reply = client.list_instance_ids(request).await.unwrap().into_inner();
        let last = reply.instance_ids.last().cloned().expect("no page is empty");
        all.extend(reply.instance_ids);
        match reply.last_instance_key {
            Some(next) => {
                assert!(next.contains(&last), "{next}");
                key = Some(next);
            }
            None => break,
        }
    }
    assert_eq!(all, ["a", "b", "c"]);
}

#[tokio::test]
async fn trap_26_purge() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    for id in ["a", "b", "c", "d"] {
        finished(&mut client, &mut worker, id, "1").await;
    }
    start(&mut client, "live", "O").await;
    let purge = |request| PurgeInstancesRequest { request: Some(request), recursive: false, is_orchestration: true };
    use purge_instances_request::Request as Which;
    let batch = |ids: &[&str]| {
        Which::InstanceBatch(InstanceBatch { instance_ids: ids.iter().map(ToString::to_string).collect() })
    };
    let many = vec!["x"; 501];
    for (which, gone) in [
        (Which::InstanceId("none".into()), 0),
        (Which::InstanceId("live".into()), 0),
        (Which::InstanceId("@counter@key".into()), 0),
        (Which::InstanceId("a".into()), 1),
        (Which::InstanceId("a".into()), 0),
        (batch(&["b", "live", "none"]), 1),
        (Which::PurgeInstanceFilter(PurgeInstanceFilter::default()), 2),
    ] {
        let text = format!("{which:?}");
        let reply = client.purge_instances(purge(which)).await.unwrap().into_inner();
        assert_eq!((reply.deleted_instance_count, reply.is_complete), (gone, Some(true)), "{text}");
    }
    refused(client.purge_instances(purge(batch(&many))).await, Code::InvalidArgument, "501");
    refused(client.purge_instances(PurgeInstancesRequest::default()).await, Code::InvalidArgument, "names nothing");
    assert!(get(&mut client, "a").await.is_none() && get(&mut client, "live").await.is_some());
}

#[tokio::test]
async fn trap_26_a_recursive_purge_takes_finished_descendants_along() {
    let server = Server::start().await;
    let (mut client, mut worker) = (server.connect().await, server.worker().await);
    for (parent, recursive, gone) in [("p", true, 2), ("q", false, 1)] {
        start(&mut client, parent, "O").await;
        let child = |id: i32, instance_id: String| {
            let create = CreateSubOrchestrationAction { instance_id, name: "O".into(), ..Default::default() };
            let action = orchestrator_action::OrchestratorActionType::CreateSubOrchestration(create);
            OrchestratorAction { id, orchestrator_action_type: Some(action) }
        };
        let (done, live) = (format!("{parent}-done"), format!("{parent}-live"));
        worker.run(vec![child(0, done.clone()), child(1, live.clone())]).await;
        let mut left = 3;
        while left > 0 {
            let (request, token) = worker.episode().await;
            let actions = match request.instance_id.as_str() {
                id if id == done => vec![complete(0, "1")],
                id if id == live => vec![],
                // The parent has the child's result.
                _ => vec![complete(2, "1")],
            };
            worker.answer(&request.instance_id, &token, actions).await;
            left -= 1;
        }
        ended(&mut client, parent).await;
        let which = purge_instances_request::Request::InstanceId(parent.into());
        let purge = PurgeInstancesRequest { request: Some(which), recursive, is_orchestration: true };
        let reply = client.purge_instances(purge).await.unwrap().into_inner();
        assert_eq!(reply.deleted_instance_count, gone);
        assert_eq!(get(&mut client, &done).await.is_none(), recursive);
        assert!(get(&mut client, &live).await.is_some());
    }
}
