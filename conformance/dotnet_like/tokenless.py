"""Answers without completion tokens, as older Go and Dapr's JavaScript send them."""

from raw import *

RUNNING, TERMINATED = pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_TERMINATED
REPLACE = pb.OrchestrationIdReusePolicy(replaceableStatus=[RUNNING, TERMINATED, pb.ORCHESTRATION_STATUS_PENDING])
# What a late answer may hold: an end, a step, nothing.
LATE = {"end": (complete(0, "old"),), "step": (schedule(0, "old"),), "nothing": ()}


@scenario(differs="it insists on tokens")
def trap_01_answers_without_a_token_are_matched_by_instance_and_task(hub):
    with RawWorker(hub, capabilities=()) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), schedule(0), schedule(1), token=False)
        for _ in range(2):
            item = worker.activity()
            worker.result(item, str(item.activityRequest.taskId), token=False)
        found = {}
        while len(found) < 2:
            item = worker.orchestrator(instance)
            for event in item.orchestratorRequest.newEvents:
                if event.HasField("taskCompleted"):
                    found[event.taskCompleted.taskScheduledId] = event.taskCompleted.result.value
            worker.answer(item, *([complete(2, "done")] if len(found) == 2 else []), token=False)
        assert_equal(found, {0: "0", 1: "1"})
        assert_equal(hub.wait(instance).serialized_output, "done")


@scenario(differs="it insists on tokens")
def trap_01_a_tokenless_answer_from_another_connection_is_stale(hub):
    with RawWorker(hub, capabilities=()) as worker, RawWorker(hub, orchestrations=1, filters=pb.WorkItemFilters(
            orchestrations=[pb.OrchestrationFilter(name="none")])) as other:
        instance = create(hub)
        item = worker.orchestrator(instance)
        other.answer(item, complete(0, "wrong"), token=False)
        time.sleep(0.2)
        assert_equal(raw_status(hub, instance), "PENDING")
        worker.answer(item, complete(0, "right"), token=False)
        assert_equal(hub.wait(instance).serialized_output, "right")


@scenario(differs="it insists on tokens")
def trap_01_a_tokenless_connection_has_one_item_of_an_id_at_a_time(hub):
    """Python's retries repeat a task id; a connection that answers without tokens could not tell two of them apart."""
    with RawWorker(hub, capabilities=()) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), schedule(0, input="first"), schedule(0, input="second"), token=False)
        first = worker.activity()
        worker.nothing()
        worker.result(first, "1", token=False)
        second, results = None, []
        while second is None or len(results) < 2:
            item = worker.take()
            if item.HasField("activityRequest"):
                second = item
                worker.result(second, "2", token=False)
            else:
                results += [event.taskCompleted.result.value for event in item.orchestratorRequest.newEvents
                            if event.HasField("taskCompleted")]
                worker.answer(item, *([complete(1)] if len(results) == 2 else []), token=False)
        assert_equal(results, ["1", "2"])
        assert_equal([first.activityRequest.input.value, second.activityRequest.input.value], ["first", "second"])


@scenario(differs="it insists on tokens")
def trap_01_an_answer_that_would_use_an_id_of_the_history_again_is_stale(hub):
    """The answer to the first item comes once more while the second is out: it would schedule the same step again."""
    with RawWorker(hub, capabilities=()) as worker:
        instance = create(hub)
        first = worker.orchestrator(instance)
        worker.answer(first, schedule(0), token=False)
        worker.result(worker.activity(), "once", token=False)
        second = worker.orchestrator(instance)
        worker.answer(first, schedule(0), token=False)
        worker.nothing(0.3)
        worker.answer(second, complete(1, "end"), token=False)
        assert_equal(hub.wait(instance).serialized_output, "end")
    assert_equal(hub.kinds(instance).count("taskScheduled"), 1)


@scenario(differs="it insists on tokens")
def trap_01_a_late_tokenless_answer_to_a_replaced_run_is_dropped(hub):
    for actions in LATE.values():
        with RawWorker(hub, capabilities=()) as worker:
            instance = create(hub, input=text("old"))
            old = worker.orchestrator(instance)
            create(hub, instance, input=text("new"), orchestrationIdReusePolicy=REPLACE)
            # The old item is booked on this connection until it is answered.
            worker.nothing()
            worker.answer(old, *actions, token=False)
            new = worker.orchestrator(instance)
            assert_equal(started_in(new).input.value, "new")
            assert_equal(raw_status(hub, instance), "PENDING")
            worker.answer(new, complete(0, "new"), token=False)
            assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(slow=True, differs="it insists on tokens")
def trap_01_a_late_tokenless_answer_to_a_terminated_and_restarted_run_is_dropped(hub):
    with RawWorker(hub, capabilities=()) as worker:
        late = {create(hub, unique(kind)): actions for kind, actions in LATE.items()}
        old = {item.orchestratorRequest.instanceId: item for item in (worker.orchestrator() for _ in late)}
        for instance in late:
            hub.client.terminate_orchestration(instance)
        for instance in late:
            # No worker answers the request, so the hub ends it after a while.
            assert_status(hub.wait(instance, timeout=20), "TERMINATED")
            hub.client.restart_orchestration(instance)
        worker.nothing()
        for instance, actions in late.items():
            worker.answer(old[instance], *actions, token=False)
            new = worker.orchestrator(instance)
            assert_equal(raw_status(hub, instance), "PENDING")
            worker.answer(new, complete(0, "new"), token=False)
            assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(own_server=())
def trap_01_a_late_tokenless_answer_after_a_restart_of_the_server_is_dropped(hub):
    """The item comes again to a connection that has shown no token only after two seconds, so that an answer of
    before the crash, which would be taken for its own, comes first."""
    late = {create(hub, unique(kind)): actions for kind, actions in LATE.items()}
    with RawWorker(hub, capabilities=()) as worker:
        old = {item.orchestratorRequest.instanceId: item for item in (worker.orchestrator() for _ in late)}
        hub.server.kill()
        hub.server.start()
    with RawWorker(hub, capabilities=()) as worker:
        began = time.monotonic()
        for instance, actions in late.items():
            worker.answer(old[instance], *actions, token=False)
        for _ in late:
            new = worker.orchestrator()
            assert time.monotonic() - began > 1, "handed out again at once"
            assert_equal(new_kinds(new), ["orchestratorStarted", "executionStarted"])
            worker.answer(new, complete(0, "new"), token=False)
        for instance in late:
            state = hub.stub.WaitForInstanceCompletion(
                pb.GetInstanceRequest(instanceId=instance, getInputsAndOutputs=True), timeout=20)
            assert_equal(state.orchestrationState.output.value, "new")


@scenario(differs="what a lost stream had is lost")
def trap_01_after_a_lost_stream_an_item_comes_to_a_tokenless_connection_only_after_two_seconds(hub):
    """A connection that has shown a token gets what is lost at once; one that has shown none might still send the
    answer of its stream before."""
    for shows_token in (True, False):
        with RawWorker(hub, capabilities=()) as worker, RawWorker(hub, capabilities=()) as first:
            # Each of the two has one, so that the one that stays has answered when the other goes.
            one, other = create(hub), create(hub)
            held = [worker.take(), first.take()]
            worker.answer(held[0], complete(0), token=shows_token)
            first.drop_stream()
            began = time.monotonic()
            new = worker.orchestrator(held[1].orchestratorRequest.instanceId)
            took = time.monotonic() - began
            assert (took < 1) if shows_token else (took > 1), f"after {took} s with {shows_token=}"
            assert_equal(list(new.orchestratorRequest.newEvents), list(held[1].orchestratorRequest.newEvents))
            worker.answer(new, complete(0), token=shows_token)
            for instance in (one, other):
                assert_status(hub.wait(instance), "COMPLETED")
