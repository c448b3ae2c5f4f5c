"""Histories, failures, statuses and rewinds as the rpcs show them."""

from google.protobuf import struct_pb2

from raw import *


@scenario(differs="it writes orchestratorCompleted and other ids")
def trap_02_event_ids_are_those_of_the_actions_and_zero_is_one(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), schedule(0))
        worker.result(worker.activity(), "x")
        worker.answer(worker.orchestrator(instance), timer(1, now()), send(2, unique("nobody")))
        worker.answer(worker.orchestrator(instance), complete(3, "end"))
        hub.wait(instance)
    found = [(event.WhichOneof("eventType"), event.eventId) for event in hub.raw_history(instance)]
    assert_equal(found, [
        ("orchestratorStarted", -1), ("executionStarted", 0), ("taskScheduled", 0),
        ("orchestratorStarted", -1), ("taskCompleted", -1), ("timerCreated", 1), ("eventSent", 2),
        ("orchestratorStarted", -1), ("timerFired", -1), ("executionCompleted", 3),
    ])


@scenario()
def the_past_of_an_item_is_the_history_so_far(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        for number in range(3):
            item = worker.orchestrator(instance)
            events = [*item.orchestratorRequest.pastEvents, *item.orchestratorRequest.newEvents]
            worker.answer(item, schedule(number))
            worker.result(worker.activity(), str(number))
            stored = hub.raw_history(instance)
            assert_equal(list(stored[:len(events)]), events)
        item = worker.orchestrator(instance)
        worker.answer(item, complete(3))


@scenario(differs="it gives the parent a failure of its own")
def trap_14_failure_details_reach_the_parent_unchanged_and_deep(hub):
    details = None
    for level in reversed(range(20)):
        deeper = pb.TaskFailureDetails(
            errorType=f"Type{level}", errorMessage=f"message {level}", stackTrace=text(f"at {level}"),
            isNonRetriable=level % 2 == 0, innerFailure=details)
        deeper.properties["level"].CopyFrom(struct_pb2.Value(number_value=level))
        deeper.properties["none"].CopyFrom(struct_pb2.Value(null_value=0))
        details = deeper
    with RawWorker(hub) as worker:
        instance, below = create(hub), unique("child")
        worker.answer(worker.orchestrator(instance), child(0, below))
        worker.answer(worker.orchestrator(below), schedule(0))
        worker.result(worker.activity(), failure=details)
        item = worker.orchestrator(below)
        assert_equal(item.orchestratorRequest.newEvents[1].taskFailed.failureDetails, details)
        worker.answer(item, complete(1, status=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=details))
        item = worker.orchestrator(instance)
        failed = item.orchestratorRequest.newEvents[1].subOrchestrationInstanceFailed
        assert_equal((failed.taskScheduledId, failed.failureDetails), (0, details))
        worker.answer(item, complete(1, status=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=details))
        hub.wait(instance)
    assert_equal(hub.raw_state(instance).failureDetails, details)


@scenario(differs="an absent status is an empty one to it")
def trap_21_each_answer_carries_the_custom_status_of_the_whole_replay(hub):
    def shown():
        state = hub.raw_state(instance)
        return state.customStatus.value if state.HasField("customStatus") else None

    with RawWorker(hub) as worker:
        instance = create(hub)

        def step(*actions, status=None):
            item = worker.orchestrator(instance)
            worker.answer(item, *actions, customStatus=text(status))
            raise_event(hub, instance) if not actions else None

        for status in ("first", "", "not json {", None):
            step(status=status)
            eventually(lambda: shown() == status, 5, lambda: (shown(), status))
        step(again(0), status="kept")
        eventually(lambda: "kept" == shown())
        step()
        time.sleep(0.1)
        assert_equal(shown(), "kept", "an earlier generation's status stays until this one sets its own")
        step(status="own")
        eventually(lambda: shown() == "own")
        step(fail(-1))
        hub.wait(instance)
        assert_equal(shown(), "own", "a failure with action id -1 leaves it alone")


@scenario(differs="its rewind is the worker's work")
def trap_12_the_item_after_a_rewind_has_what_succeeded_and_one_new_event(hub):
    with RawWorker(hub) as worker:
        instance = create(hub, input=text("in"))
        first = worker.orchestrator(instance)
        worker.answer(first, schedule(0, "good"), schedule(1, "bad"))
        for _ in range(2):
            item = worker.activity()
            if item.activityRequest.name == "good":
                worker.result(item, "x")
            else:
                worker.result(item, failure=pb.TaskFailureDetails(errorType="E", errorMessage="bad"))
        seen = 0
        while seen < 2:
            item = worker.orchestrator(instance)
            seen += sum(kind in ("taskCompleted", "taskFailed") for kind in new_kinds(item))
            worker.answer(item, *([fail(2)] if seen == 2 else []))
        hub.wait(instance)
        hub.client.rewind_orchestration(instance, reason="why")
        assert_equal(raw_status(hub, instance), "RUNNING")
        state = hub.raw_state(instance)
        assert not state.HasField("output") and not state.HasField("failureDetails")
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted"])
        past = item.orchestratorRequest.pastEvents
        assert not {"taskFailed", "executionCompleted", "executionRewound"} & set(past_kinds(item)), past_kinds(item)
        assert_equal([event.taskScheduled.name for event in past if event.HasField("taskScheduled")], ["good"])
        before, after = (one.orchestratorRequest.executionId.value for one in (first, item))
        assert before != after
        assert_equal(started_in(item).orchestrationInstance.executionId.value, after)
        assert_equal(started_in(item).input.value, "in")
        worker.answer(item, schedule(1, "bad"))
        worker.result(worker.activity(), "now good")
        worker.answer(worker.orchestrator(instance), complete(2, "end"))
        assert_equal(hub.wait(instance).serialized_output, "end")


@scenario(differs="its rewind is the worker's work")
def trap_12_what_a_rewind_leaves_open_is_opened_again(hub):
    """A timer and an activity that were open when it failed: one fires, and the other's result is taken."""
    with RawWorker(hub) as worker:
        instance = create(hub)
        due = now(1)
        worker.answer(worker.orchestrator(instance), schedule(0), timer(1, due), fail(2))
        hub.wait(instance)
        step = worker.activity()
        hub.client.rewind_orchestration(instance)
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted"])
        worker.answer(item)
        worker.result(step, "still running then")
        found = []
        while len(found) < 2:
            item = worker.orchestrator(instance)
            found += new_kinds(item)[1:]
            worker.answer(item, *([complete(3)] if len(found) == 2 else []))
        assert_equal(found, ["taskCompleted", "timerFired"])
        hub.wait(instance)


@scenario(differs="its events keep moving it")
def trap_27_late_results_do_not_move_the_last_update(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), schedule(0), timer(1, now(0.2)), complete(2))
        hub.wait(instance)
        before = hub.raw_state(instance)
        worker.result(worker.activity(), "late")
        raise_event(hub, instance)
        time.sleep(0.4)
        assert_equal(hub.raw_state(instance), before)
        worker.nothing(0.1)
    assert_equal(before.lastUpdatedTimestamp, before.completedTimestamp)
