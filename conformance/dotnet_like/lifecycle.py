"""Restart, rewind, terminate, suspend and resume, as workers and waiters see them."""

from raw import *

REFERENCE_REWIND = "its rewind is the worker's work"


@scenario(differs="it keeps the old createdTimestamp")
def trap_11_a_restart_makes_old_tokens_stale_and_is_seen_at_once(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        old = worker.orchestrator(instance)
        hub.stub.SkipGracefulOrchestrationTerminations(pb.SkipGracefulOrchestrationTerminationsRequest(
            instanceBatch=pb.InstanceBatch(instanceIds=[instance])))
        before = hub.raw_state(instance)
        assert_equal(raw_status(hub, instance), "TERMINATED")
        hub.client.restart_orchestration(instance)
        after = hub.raw_state(instance)
        assert_equal(raw_status(hub, instance), "PENDING")
        assert after.createdTimestamp.ToNanoseconds() > before.createdTimestamp.ToNanoseconds()
        wait = hub.stub.WaitForInstanceCompletion.future(pb.GetInstanceRequest(instanceId=instance))
        worker.answer(old, complete(0, "old"))
        new = worker.orchestrator(instance)
        assert not wait.done(), "the old end answered a wait that came after the restart"
        assert old.orchestratorRequest.executionId.value != new.orchestratorRequest.executionId.value
        worker.answer(new, complete(0, "new"))
        assert wait.result(timeout=10).exists
        assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(differs=REFERENCE_REWIND)
def trap_11_a_rewind_makes_old_tokens_stale_and_keeps_the_time_of_creation(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        old = worker.orchestrator(instance)
        worker.answer(old, fail(0))
        hub.wait(instance)
        created = hub.raw_state(instance).createdTimestamp
        hub.client.rewind_orchestration(instance)
        assert_equal(raw_status(hub, instance), "RUNNING")
        assert_equal(hub.raw_state(instance).createdTimestamp, created)
        worker.answer(old, complete(0, "old"))
        new = worker.orchestrator(instance)
        worker.answer(new, complete(1, "new"))
        assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(differs=REFERENCE_REWIND)
def trap_12_what_arrives_after_a_rewind_is_behind_the_start_of_its_episode(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), fail(0))
        hub.wait(instance)
        raise_event(hub, instance, "before")
    hub.client.rewind_orchestration(instance)
    raise_event(hub, instance, "after")
    with RawWorker(hub) as worker:
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted", "eventRaised"])
        assert_equal(item.orchestratorRequest.newEvents[1].eventRaised.name, "after")
        worker.answer(item, complete(1))
        assert_status(hub.wait(instance), "COMPLETED")


@scenario(differs="it knows no recursive terminate")
def trap_24_children_hear_of_a_recursive_terminate_when_their_parent_has_ended(hub):
    """So that a child which the parent makes meanwhile is not missed."""
    with RawWorker(hub) as worker:
        instance, first, second = create(hub), unique("first"), unique("second")
        worker.answer(worker.orchestrator(instance), child(0, first))
        worker.answer(worker.orchestrator(first))
        hub.client.terminate_orchestration(instance, recursive=True)
        told = worker.orchestrator(instance)
        assert_equal(new_kinds(told), ["orchestratorStarted", "executionTerminated"])
        worker.nothing(0.3)
        terminated = complete(2, status=pb.ORCHESTRATION_STATUS_TERMINATED)
        worker.answer(told, child(1, second), terminated)
        assert_status(hub.wait(instance), "TERMINATED")
        # The one that began hears of it; the one that never had an episode may be ended without one.
        item = worker.orchestrator(first)
        assert_equal(new_kinds(item), ["orchestratorStarted", "executionTerminated"])
        assert item.orchestratorRequest.newEvents[1].executionTerminated.recurse
        worker.answer(item, complete(0, status=pb.ORCHESTRATION_STATUS_TERMINATED))
        for below in (first, second):
            assert_status(hub.wait(below), "TERMINATED")


@scenario(differs="it knows no such action")
def trap_24_an_orchestrations_terminate_of_another_works_and_of_nobody_is_dropped(hub):
    def terminate(number, instance, reason):
        return pb.OrchestratorAction(id=number, terminateOrchestration=pb.TerminateOrchestrationAction(
            instanceId=instance, reason=text(reason), recurse=False))

    with RawWorker(hub) as worker:
        target = create(hub)
        worker.answer(worker.orchestrator(target))
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), terminate(0, unique("nobody"), "none"),
                      terminate(1, target, "by another"), complete(2, "went on"))
        assert_equal(hub.wait(instance).serialized_output, "went on")
        item = worker.orchestrator(target)
        assert_equal(new_kinds(item), ["orchestratorStarted", "executionTerminated"])
        assert_equal(item.orchestratorRequest.newEvents[1].executionTerminated.input.value, "by another")
        worker.answer(item, complete(0, status=pb.ORCHESTRATION_STATUS_TERMINATED))
        assert_status(hub.wait(target), "TERMINATED")


@scenario(differs="it tells the worker")
def trap_24_a_resume_of_what_is_not_suspended_leaves_no_trace(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance))
        hub.until_status(instance, "RUNNING")
        before = hub.raw_state(instance), hub.raw_history(instance)
        hub.client.resume_orchestration(instance)
        worker.nothing(0.3)
        assert_equal((hub.raw_state(instance), hub.raw_history(instance)), before)


@scenario(differs="it takes each chunk for the whole")
def trap_14_an_answer_in_parts_over_the_limit_fails_the_instance_by_name(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
        for index in range(9):  # 36 MB, of 32 MiB that an answer may have
            worker.answer(item, schedule(index, input="x" * 4_000_000), isPartial=True, chunkIndex={"value": index})
        worker.answer(item, complete(9), isPartial=False, chunkIndex={"value": 9})
        hub.wait(instance)
        state = hub.raw_state(instance)
        assert_equal(state.failureDetails.errorType, "EpisodeTooLarge")
        assert_equal(raw_status(hub, instance), "FAILED")
        worker.nothing(0.3)
    assert "taskScheduled" not in hub.kinds(instance), "something of it was applied"
