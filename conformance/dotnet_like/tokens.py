"""Completion tokens, lost streams, repeated and late answers."""

from raw import *


@scenario(differs="its tokens of one orchestration are all the same")
def trap_03_tries_with_one_task_id_are_told_apart_by_their_tokens(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        # Until it has answered one activity with a token, the connection might be one that knows none.
        worker.answer(worker.orchestrator(instance), schedule(7))
        worker.result(worker.activity())
        worker.answer(worker.orchestrator(instance), schedule(0, input="a"), schedule(0, input="b"))
        items = [worker.activity(), worker.activity()]
        assert len({item.completionToken for item in items}) == 2, "tokens are unique"
        for item in reversed(items):
            worker.result(item, "of " + item.activityRequest.input.value)
        results = []
        while len(results) < 2:
            item = worker.orchestrator(instance)
            results += [event.taskCompleted.result.value for event in item.orchestratorRequest.newEvents
                        if event.HasField("taskCompleted")]
            worker.answer(item, *([complete(1)] if len(results) == 2 else []))
        assert_equal(sorted(results), ["of a", "of b"])
        assert_equal(hub.kinds(instance).count("taskScheduled"), 3)


@scenario()
def trap_07_stale_and_unknown_answers_are_acknowledged_and_ignored(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
        worker.stub.CompleteOrchestratorTask(pb.OrchestratorResponse(
            instanceId=instance, completionToken="no-such-token", actions=[complete(0, "wrong")]))
        worker.stub.CompleteOrchestratorTask(pb.OrchestratorResponse(
            instanceId=unique("nobody"), completionToken="no-such-token", actions=[complete(0)]))
        worker.stub.CompleteActivityTask(pb.ActivityResponse(
            instanceId=instance, taskId=7, completionToken="no-such-token", result=text("wrong")))
        if not REFERENCE:
            worker.stub.AbandonTaskOrchestratorWorkItem(pb.AbandonOrchestrationTaskRequest(completionToken="none"))
            worker.stub.AbandonTaskActivityWorkItem(pb.AbandonActivityTaskRequest(completionToken="none"))
            worker.answer(item, complete(0, "right"))
            assert_equal(hub.wait(instance).serialized_output, "right")


@scenario()
def trap_07_a_worker_that_never_says_hello_gets_its_items(hub):
    with RawWorker(hub, hello=False) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), complete(0, "end"))
        assert_equal(hub.wait(instance).serialized_output, "end")


@scenario()
def trap_28_answers_repeated_ten_times_count_once(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        first = worker.orchestrator(instance)
        for _ in range(10):
            worker.answer(first, schedule(0))
        step = worker.activity()
        for _ in range(10):
            worker.result(step, "once")
        second = worker.orchestrator(instance)
        for _ in range(10):
            worker.answer(first, schedule(0))
            worker.answer(second, complete(1, "end"))
        assert_equal(hub.wait(instance).serialized_output, "end")
        worker.nothing(0.3)
    assert_equal(hub.kinds(instance), [
        "orchestratorStarted", "executionStarted", "taskScheduled",
        "orchestratorStarted", "taskCompleted", "executionCompleted",
    ])


@scenario(differs="it hands it out again at once")
def trap_28_abandoned_items_come_again_later_and_do_not_spin(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        seen, deadline = [], time.monotonic() + 2
        while time.monotonic() < deadline:
            item = worker.orchestrator(instance, timeout=20)
            seen.append(list(item.orchestratorRequest.newEvents))
            worker.stub.AbandonTaskOrchestratorWorkItem(
                pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken))
        item = worker.orchestrator(instance, timeout=20)
        assert len(seen) < 20, f"a hot loop: {len(seen)} times in two seconds"
        assert all(events == list(item.orchestratorRequest.newEvents) for events in seen)
        worker.answer(item, schedule(0))
        step = worker.activity()
        worker.stub.AbandonTaskActivityWorkItem(pb.AbandonActivityTaskRequest(completionToken=step.completionToken))
        second = worker.activity(timeout=20)
        assert second.completionToken != step.completionToken
        worker.result(second, "x")
        worker.answer(worker.orchestrator(instance), complete(1))
        hub.wait(instance)


@scenario(differs="what a lost stream had is lost")
def trap_08_items_of_a_lost_stream_go_to_the_next_one_on_the_same_connection(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        first = worker.orchestrator(instance)
        raise_event(hub, instance)
        worker.drop_stream()
        next_one = RawWorker(hub, channel=worker.channel)
        began = time.monotonic()
        second = next_one.orchestrator(instance, timeout=15)
        assert time.monotonic() - began < 10
        assert_equal(
            list(second.orchestratorRequest.newEvents), list(first.orchestratorRequest.newEvents),
            "an item that is handed out again has the same new events")
        next_one.answer(second, complete(0, "end"))
        assert_equal(hub.wait(instance).serialized_output, "end")


@scenario()
def trap_08_an_answer_over_another_channel_counts_while_its_token_is_current(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
    hub.stub.CompleteOrchestratorTask(pb.OrchestratorResponse(
        instanceId=instance, completionToken=item.completionToken, actions=[complete(0, "late")]))
    assert_equal(hub.wait(instance).serialized_output, "late")


@scenario(differs="what a lost stream had is lost")
def trap_08_after_it_was_handed_out_again_the_first_answer_is_stale(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        old = worker.orchestrator(instance)
    with RawWorker(hub) as worker:
        new = worker.orchestrator(instance, timeout=15)
        worker.answer(old, complete(0, "old"))
        time.sleep(0.2)
        assert_equal(raw_status(hub, instance), "PENDING")
        worker.answer(new, complete(0, "new"))
        assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(slow=True, differs="it sends none")
def trap_08_a_silent_stream_is_pinged_every_30_seconds(hub):
    with RawWorker(hub) as worker:
        eventually(lambda: worker.pings >= 1, 40)


@scenario(differs="it takes each chunk for the whole")
def trap_14_partial_answers_are_gathered_and_applied_as_one(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
        worker.answer(item, schedule(0), isPartial=True, chunkIndex={"value": 0})
        worker.answer(item, schedule(1), isPartial=True, chunkIndex={"value": 1})
        worker.nothing(0.3)
        assert_equal(raw_status(hub, instance), "PENDING")
        worker.answer(item, schedule(2), isPartial=False, chunkIndex={"value": 2})
        found = sorted(worker.activity().activityRequest.taskId for _ in range(3))
        assert_equal(found, [0, 1, 2])


@scenario(differs="it takes each chunk for the whole")
def trap_14_partial_answers_go_with_their_stream(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
        worker.answer(item, schedule(0, "lost"), isPartial=True, chunkIndex={"value": 0})
    with RawWorker(hub) as worker:
        item = worker.orchestrator(instance, timeout=15)
        worker.answer(item, schedule(0, "kept"))
        assert_equal(worker.activity().activityRequest.name, "kept")
        worker.nothing(0.3)


@scenario()
def limits_of_a_worker_are_kept(hub):
    with RawWorker(hub, orchestrations=2, activities=1) as worker:
        instances = {create(hub) for _ in range(4)}
        first, second = worker.orchestrator(), worker.orchestrator()
        if not REFERENCE:
            worker.nothing(0.3)
        worker.answer(first, complete(0))
        worker.answer(second, complete(0))
        third, fourth = worker.orchestrator(), worker.orchestrator()
        worker.answer(third, complete(0))
        worker.answer(fourth, complete(0))
        found = {item.orchestratorRequest.instanceId for item in (first, second, third, fourth)}
        assert_equal(found, instances)
