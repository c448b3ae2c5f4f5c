"""Client rpcs that the SDKs' clients cannot be made to send, or send in another way."""

from raw import *

STATUSES = {name.removeprefix("ORCHESTRATION_STATUS_"): number for name, number in pb.OrchestrationStatus.items()}
OLD_IGNORE, OLD_TERMINATE = b"\x10\x01", b"\x10\x02"


def policy(*names, old_action=b""):
    """With the withdrawn field 2, which Go and Dapr still send."""
    message = pb.OrchestrationIdReusePolicy(replaceableStatus=[STATUSES[name] for name in names])
    message.MergeFromString(old_action)
    return message


@scenario(differs="it has another order")
def trap_11_the_rules_of_a_policy_apply_in_their_order(hub):
    with RawWorker(hub) as worker:
        done, live = create(hub), create(hub)
        for _ in range(2):
            item = worker.orchestrator()
            worker.answer(item, *([complete(0)] if item.orchestratorRequest.instanceId == done else []))
        hub.wait(done)
        hub.until_status(live, "RUNNING")
        attempt = lambda instance, *names: create(hub, instance, orchestrationIdReusePolicy=policy(*names))
        # .NET sends lists like this one over finished instances: RUNNING without TERMINATED.
        with refused("ALREADY_EXISTS"):
            attempt(done, "RUNNING", "PENDING")
        with refused("ALREADY_EXISTS"):
            attempt(live, "COMPLETED", "FAILED", "TERMINATED")
        with refused("INVALID_ARGUMENT"):
            attempt(live, "RUNNING", "COMPLETED")
        attempt(done, "RUNNING", "COMPLETED")
        worker.answer(worker.orchestrator(done), complete(0))
        old = create(hub, unique("fresh"), orchestrationIdReusePolicy=policy("RUNNING"))
        worker.answer(worker.orchestrator(old), complete(0))


@scenario(differs="it does not know the old field")
def trap_11_the_withdrawn_action_is_understood(hub):
    with RawWorker(hub) as worker:
        instance = create(hub, input=text("first"))
        first = worker.orchestrator(instance)
        worker.answer(first)
        hub.until_status(instance, "RUNNING")
        answer = hub.stub.StartInstance(pb.CreateInstanceRequest(
            instanceId=instance, name="orchestrator", input=text("ignored"),
            orchestrationIdReusePolicy=policy("RUNNING", old_action=OLD_IGNORE)))
        assert_equal(answer.instanceId, instance)
        worker.nothing(0.3)
        assert_equal(hub.raw_state(instance).input.value, "first")
        create(hub, instance, input=text("second"),
               orchestrationIdReusePolicy=policy("RUNNING", old_action=OLD_TERMINATE))
        item = worker.orchestrator(instance)
        assert_equal(started_in(item).input.value, "second")
        with refused("ALREADY_EXISTS"):
            create(hub, instance, orchestrationIdReusePolicy=policy("COMPLETED", old_action=OLD_IGNORE))
        worker.answer(item, complete(0))


@scenario()
def trap_11_tokens_of_a_replaced_run_are_stale(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        old = worker.orchestrator(instance)
        create(hub, instance, orchestrationIdReusePolicy=policy("PENDING", "RUNNING", "TERMINATED"))
        state = hub.raw_state(instance)
        assert_equal(state.orchestrationStatus, STATUSES["PENDING"])
        worker.answer(old, complete(0, "old"))
        new = worker.orchestrator(instance)
        worker.answer(new, complete(0, "new"))
        assert_equal(hub.wait(instance).serialized_output, "new")


@scenario(differs="a wait takes one of its threads")
def trap_09_two_thousand_waits_without_a_deadline_are_all_answered(hub):
    instance = create(hub)
    request = pb.GetInstanceRequest(instanceId=instance)
    waits = [hub.stub.WaitForInstanceCompletion.future(request) for _ in range(2000)]
    for wait in waits[::2]:
        wait.cancel()
    time.sleep(0.3)
    began = time.monotonic()
    with RawWorker(hub) as worker:
        worker.answer(worker.orchestrator(instance), complete(0))
        for wait in waits[1::2]:
            assert wait.result(timeout=20).orchestrationState.orchestrationStatus == STATUSES["COMPLETED"]
    assert time.monotonic() - began < 15


@scenario(slow=True, differs="its waits end with their deadlines alone")
def trap_10_a_wait_without_a_deadline_for_an_unknown_id_ends_after_a_minute(hub):
    began = time.monotonic()
    answer = hub.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId=unique("nobody")))
    took = time.monotonic() - began
    assert not answer.exists and 50 < took < 80, (answer, took)


@scenario()
def trap_10_a_wait_for_a_childs_id_before_the_parent_has_run_is_answered(hub):
    below, instance = unique("child"), unique()
    wait = hub.stub.WaitForInstanceStart.future(pb.GetInstanceRequest(instanceId=below))
    create(hub, instance)
    with RawWorker(hub) as worker:
        worker.answer(worker.orchestrator(instance), child(0, below))
        item = worker.orchestrator(below)
        worker.answer(item, schedule(0))
        assert wait.result(timeout=10).exists
    empty = hub.stub.GetInstance(pb.GetInstanceRequest(instanceId=unique("nobody"), getInputsAndOutputs=True))
    assert_equal((empty.exists, empty.HasField("orchestrationState")), (False, False))


@scenario(differs="it knows no batches")
def trap_26_a_batch_of_ids_is_purged_and_one_over_500_refused(hub):
    with RawWorker(hub) as worker:
        done = [create(hub) for _ in range(3)]
        for _ in done:
            worker.answer(worker.orchestrator(), complete(0))
        [hub.wait(one) for one in done]
    live = create(hub)
    purge = lambda ids: hub.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceBatch=pb.InstanceBatch(instanceIds=ids)))
    answer = purge([*done, live, unique("nobody")])
    assert_equal((answer.deletedInstanceCount, answer.isComplete.value), (3, True))
    assert_equal(raw_status(hub, live), "PENDING")
    with refused("INVALID_ARGUMENT"):
        purge([unique() for _ in range(501)])


@scenario(differs="it does not know this rpc")
def instances_are_terminated_without_their_worker_on_request(hub):
    with RawWorker(hub) as worker:
        done, live = create(hub), create(hub)
        for _ in range(2):
            item = worker.orchestrator()
            worker.answer(item, *([complete(0)] if item.orchestratorRequest.instanceId == done else []))
        hub.wait(done)
        hub.until_status(live, "RUNNING")
    nobody = unique("nobody")
    answer = hub.stub.SkipGracefulOrchestrationTerminations(pb.SkipGracefulOrchestrationTerminationsRequest(
        instanceBatch=pb.InstanceBatch(instanceIds=[done, live, nobody]), reason=text("stuck")))
    assert_equal(sorted(answer.unterminatedInstanceIds), sorted([done, nobody]))
    assert_equal((raw_status(hub, done), raw_status(hub, live)), ("COMPLETED", "TERMINATED"))


@scenario()
def a_history_can_be_asked_for_by_execution(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), complete(0))
        hub.wait(instance)
    ask = lambda execution: list(hub.stub.StreamInstanceHistory(
        pb.StreamInstanceHistoryRequest(instanceId=instance, executionId=text(execution))))
    assert ask(hub.raw_state(instance).executionId.value)
    assert ask(""), "an empty text counts as absent"


@scenario(differs="it knows no task hubs")
def trap_16_hubs_are_apart(hub):
    instance, other = unique(), Hub(hub.address, name="apart")
    create(hub, instance, input=text("one"))
    assert_equal(other.raw_state(instance), None)
    create(other, instance, input=text("two"))
    assert_equal(other.raw_state(instance).input.value, "two")
    assert_equal(hub.raw_state(instance).input.value, "one")
    other.close()


@scenario(own_server=())
def trap_16_at_most_32_hubs_are_made_by_naming_them(hub):
    for number in range(31):
        create(Hub(hub.address, name=f"made-{number}"))
    create(hub)
    with refused("RESOURCE_EXHAUSTED") as errors:
        create(Hub(hub.address, name="one-too-many"))
    assert "made-30" in errors[0].details() and "default" in errors[0].details(), errors[0].details()
    create(Hub(hub.address, name="MADE-3"))  # names are compared without case


@scenario(own_server=("serve", "--hubs=orders,billing"))
def trap_16_serve_knows_the_hubs_it_was_told_of_and_names_them(hub):
    ours = Hub(hub.address, name="Orders")
    instance = create(ours, input=text("in"))
    assert_equal(ours.raw_state(instance).input.value, "in")
    calls = [
        lambda stub: stub.StartInstance(pb.CreateInstanceRequest(instanceId=unique(), name="any")),
        lambda stub: stub.GetInstance(pb.GetInstanceRequest(instanceId=instance)),
        lambda stub: stub.QueryInstances(pb.QueryInstancesRequest(query=pb.InstanceQuery())),
        lambda stub: list(stub.GetWorkItems(pb.GetWorkItemsRequest())),
    ]
    # Plain clients name none, which is the default hub, and this server has none of that name.
    for other in (Hub(hub.address, name="oders"), hub):
        for call in calls:
            with refused("NOT_FOUND") as errors:
                call(other.stub)
            said = errors[0].details()
            assert "orders" in said and "billing" in said, said
    ours.close()
