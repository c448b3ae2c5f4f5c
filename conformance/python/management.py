"""Starting: ids, reuse policies, versions, tags, filters, hubs."""

from datetime import timedelta

from harness import *

RUNNING, COMPLETED, FAILED = pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED
TERMINATED, PENDING = pb.ORCHESTRATION_STATUS_TERMINATED, pb.ORCHESTRATION_STATUS_PENDING


def forever(ctx, _):
    yield ctx.wait_for_external_event("never")


def ends(ctx, value):
    return value
    yield


def policy(*statuses):
    return pb.OrchestrationIdReusePolicy(replaceableStatus=statuses)


@scenario()
def an_id_is_generated_when_none_is_given(hub):
    with hub.worker(ends):
        first, second = hub.start(ends, input=1), hub.start(ends, input=2)
        assert first and second and first != second
        assert_equal([hub.wait(one).get_output() for one in (first, second)], [1, 2])
        answer = hub.stub.StartInstance(pb.CreateInstanceRequest(name="ends"))
        assert answer.instanceId, "the server generates an id for an empty one"
        hub.wait(answer.instanceId)


@scenario()
def trap_11_without_a_policy_a_live_id_exists_already(hub):
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.until_status(instance, "RUNNING")
        with refused("ALREADY_EXISTS") as errors:
            hub.start(forever, instance_id=instance)
    assert REFERENCE or "orchestration instance already exists" in errors[0].details(), errors[0].details()


@scenario(differs="it rejects every id that is known")
def trap_11_without_a_policy_a_finished_id_is_replaced(hub):
    with hub.worker(ends):
        instance = hub.start(ends, input=1, instance_id=unique())
        first = hub.wait(instance)
        hub.start(ends, input=2, instance_id=instance)
        second = hub.wait(instance)
    assert_equal(second.get_output(), 2)
    assert second.created_at > first.created_at, "createdTimestamp is new"


@scenario()
def trap_11_a_policy_replaces_what_it_lists_and_nothing_else(hub):
    with hub.worker(ends, forever):
        instance = hub.start(ends, input=1, instance_id=unique())
        hub.wait(instance)
        with refused("ALREADY_EXISTS"):
            hub.start(ends, input=2, instance_id=instance, reuse_id_policy=policy(FAILED))
        hub.start(ends, input=3, instance_id=instance, reuse_id_policy=policy(COMPLETED, FAILED))
        assert_equal(hub.wait(instance).get_output(), 3)
        if REFERENCE:
            return
        with refused("ALREADY_EXISTS"):
            hub.start(ends, input=4, instance_id=instance, reuse_id_policy=policy())


@scenario(differs="it forgets the old one without ending it")
def trap_11_a_live_instance_that_may_be_replaced_is_ended_first(hub):
    def parent(ctx, name):
        try:
            yield ctx.call_sub_orchestrator(forever, instance_id=name)
        except task.TaskFailedError:
            return "told"

    with hub.worker(ends, forever, parent):
        name = unique("child")
        instance = hub.start(parent, input=name, instance_id=unique())
        hub.until_status(name, "RUNNING")
        with refused("INVALID_ARGUMENT") as errors:
            hub.start(ends, instance_id=name, reuse_id_policy=policy(RUNNING))
        assert_equal(
            errors[0].details(),
            "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances")
        hub.start(ends, input="new", instance_id=name, reuse_id_policy=policy(RUNNING, TERMINATED))
        assert_equal(hub.wait(name).get_output(), "new")
        assert_equal(hub.wait(instance).get_output(), "told")


@scenario()
def trap_11_after_the_answer_the_old_end_is_not_visible(hub):
    with hub.worker(ends):
        instance = hub.start(ends, input=0, instance_id=unique(), reuse_id_policy=policy(COMPLETED))
        for number in range(1, 30):
            hub.wait(instance)
            hub.start(ends, input=number, instance_id=instance, reuse_id_policy=policy(COMPLETED))
            assert_equal(hub.wait(instance).get_output(), number)


@scenario()
def versions_are_seen_by_the_orchestrator_and_in_the_state(hub):
    def versioned(ctx, _):
        return ctx.version
        yield

    with hub.worker(versioned):
        instance = hub.start(versioned, version="3.1.4", instance_id=unique())
        assert_equal(hub.wait(instance).get_output(), "3.1.4")
        assert hub.wait(hub.start(versioned)).get_output() in (None, "")
    if not REFERENCE:
        assert_equal(hub.raw_state(instance).version.value, "3.1.4")


@scenario()
def a_worker_of_another_version_fails_or_gives_back_as_it_is_told(hub):
    def versioned(ctx, _):
        return "ran"
        yield

    strict = dt_worker.VersionMatchStrategy.STRICT

    def of(version, failure):
        options = dt_worker.VersioningOptions(version=version, match_strategy=strict, failure_strategy=failure)
        return lambda worker: worker.use_versioning(options)

    with hub.worker(versioned, setup=of("1.0", dt_worker.VersionFailureStrategy.FAIL)):
        state = hub.run(versioned, version="2.0")
        assert_status(state, "FAILED")
        assert_equal(state.failure_details.error_type, "VersionMismatch")
    if REFERENCE:
        return
    with hub.worker(versioned, setup=of("1.0", dt_worker.VersionFailureStrategy.REJECT)):
        instance = hub.start(versioned, version="2.0", instance_id=unique())
        time.sleep(0.5)
        assert_equal(hub.status(instance), "PENDING")
        with hub.worker(versioned, setup=of("2.0", dt_worker.VersionFailureStrategy.REJECT)):
            assert_equal(hub.wait(instance).get_output(), "ran")


@scenario(differs="it keeps no tags in the state")
def trap_23_tags_come_back_exactly_as_given(hub):
    tags = {"tenant": "a", "empty": "", "ünïcode": "✓", "Case": "Kept"}
    with hub.worker(ends):
        instance = hub.start(ends, tags=tags, instance_id=unique())
        plain = hub.start(ends, instance_id=unique("plain"))
        hub.wait(instance), hub.wait(plain)
    assert_equal(dict(hub.raw_state(instance).tags), tags)
    assert_equal(dict(hub.raw_state(plain).tags), {})


@scenario()
def trap_13_a_worker_gets_only_what_its_filters_name(hub):
    def activity_yes(_, __):
        return "yes"

    def activity_no(_, __):
        return "no"

    def wanted(ctx, _):
        return (yield ctx.call_activity(activity_yes))

    def other(ctx, _):
        return (yield ctx.call_activity(activity_no))

    auto = lambda worker: worker.use_work_item_filters()
    with hub.worker(wanted, activity_yes, setup=auto):
        first, second = hub.start(wanted, instance_id=unique()), hub.start(other, instance_id=unique())
        assert_equal(hub.wait(first).get_output(), "yes")
        time.sleep(0.3)
        assert_equal(hub.status(second), "PENDING")
        with hub.worker(other, activity_no, setup=auto):
            assert_equal(hub.wait(second).get_output(), "no")


@scenario()
def trap_13_versions_in_a_filter_are_matched_and_an_empty_list_means_any(hub):
    def versioned(ctx, _):
        return ctx.version
        yield

    def only(*versions):
        filters = dt_worker.WorkItemFilters(
            orchestrations=[dt_worker.OrchestrationWorkItemFilter(name="versioned", versions=list(versions))])
        return lambda worker: worker.use_work_item_filters(filters)

    with hub.worker(versioned, setup=only("2.0")):
        old, new = (hub.start(versioned, version=one, instance_id=unique()) for one in ("1.0", "2.0"))
        assert_equal(hub.wait(new).get_output(), "2.0")
        time.sleep(0.3)
        assert_equal(hub.status(old), "PENDING")
    with hub.worker(versioned, setup=only()):
        assert_equal(hub.wait(old).get_output(), "1.0")


@scenario(differs="its activities match their own version alone")
def trap_13_an_activity_without_a_version_matches_as_its_orchestrations(hub):
    def activity_step(_, __):
        return "done"

    def versioned(ctx, _):
        return (yield ctx.call_activity(activity_step))

    filters = dt_worker.WorkItemFilters(
        orchestrations=[dt_worker.OrchestrationWorkItemFilter(name="versioned")],
        activities=[dt_worker.ActivityWorkItemFilter(name="activity_step", versions=["2.0"])])
    with hub.worker(versioned, activity_step, setup=lambda worker: worker.use_work_item_filters(filters)):
        old, new = (hub.start(versioned, version=one, instance_id=unique()) for one in ("1.0", "2.0"))
        assert_equal(hub.wait(new).get_output(), "done")
        time.sleep(0.3)
        assert_equal(hub.status(old), "RUNNING")


@scenario(differs="it compares names with case")
def trap_13_names_in_filters_compare_without_case(hub):
    def shouted(ctx, _):
        return "heard"
        yield

    filters = dt_worker.WorkItemFilters(
        orchestrations=[dt_worker.OrchestrationWorkItemFilter(name="SHOUTED")])
    with hub.worker(shouted, setup=lambda worker: worker.use_work_item_filters(filters)):
        assert_equal(hub.output(shouted), "heard")


@scenario(differs="it knows no task hubs")
def trap_16_scheduler_clients_reach_the_hub_they_name_and_no_other(hub):
    from durabletask.azuremanaged.client import DurableTaskSchedulerClient
    from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

    def named(ctx, _):
        return hub_name
        yield

    hub_name = "scheduler-flavour"
    options = dict(host_address=hub.address, taskhub=hub_name, token_credential=None, secure_channel=False)
    instance = unique()
    with DurableTaskSchedulerClient(**options) as client, DurableTaskSchedulerWorker(**options) as worker:
        worker.add_orchestrator(named)
        worker.start()
        client.schedule_new_orchestration(named, instance_id=instance)
        state = client.wait_for_orchestration_completion(instance, timeout=20)
        assert_equal(state.get_output(), hub_name)
    assert_equal(hub.state(instance), None, "another hub sees it")


@scenario()
def trap_10_an_unknown_instance_does_not_exist_and_is_no_error(hub):
    assert_equal(hub.state(unique("nobody")), None)


@scenario(differs="it looks when the wait begins")
def trap_10_a_wait_for_an_unknown_id_is_answered_when_it_appears(hub):
    instance, found = unique(), []
    with hub.worker(ends):
        waiter = threading.Thread(
            target=lambda: found.append(hub.client.wait_for_orchestration_completion(instance, timeout=20)))
        waiter.start()
        time.sleep(0.3)
        hub.start(ends, input="there", instance_id=instance)
        waiter.join(25)
    assert_equal([state and state.get_output() for state in found], ["there"])


@scenario()
def trap_10_a_wait_ends_at_the_callers_deadline(hub):
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.client.wait_for_orchestration_start(instance)
        began = time.monotonic()
        try:
            hub.client.wait_for_orchestration_completion(instance, timeout=0.5)
            raise AssertionError("it is still running")
        except TimeoutError:
            assert time.monotonic() - began < 3


@scenario(differs="it wakes nobody")
def trap_10_a_terminate_answers_its_waiters(hub):
    with hub.worker(forever):
        instance, found = hub.start(forever, instance_id=unique()), []
        waiter = threading.Thread(target=lambda: found.append(hub.wait(instance, timeout=20)))
        waiter.start()
        hub.until_status(instance, "RUNNING")
        hub.client.terminate_orchestration(instance)
        waiter.join(25)
    assert_equal([state.runtime_status.name for state in found], ["TERMINATED"])


@scenario()
def trap_31_what_an_earlier_client_left_does_not_delay_a_workers_own(hub):
    left = [hub.start("nobody_has_this_one", instance_id=unique("left")) for _ in range(300)]
    with hub.worker(ends):
        began = time.monotonic()
        assert_equal(hub.output(ends, input="own"), "own")
        took = time.monotonic() - began
        assert took < 10, f"its own took {took} s"
        # The worker without filters takes them too, and fails them by name.
        for one in left:
            assert_status(hub.wait(one), "FAILED")
