"""Suspend, resume, terminate, rewind, restart, purge."""

from datetime import datetime, timedelta, timezone

from harness import *


def activity_echo(_, value):
    return value


def forever(ctx, _):
    yield ctx.wait_for_external_event("never")


def waits(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@scenario()
def a_suspended_orchestration_holds_events_until_it_is_resumed(hub):
    with hub.worker(waits):
        instance = hub.start(waits, instance_id=unique())
        hub.until_status(instance, "RUNNING")
        hub.client.suspend_orchestration(instance, reason="maintenance")
        hub.until_status(instance, "SUSPENDED")
        hub.client.raise_orchestration_event(instance, "go", data=1)
        time.sleep(0.3)
        assert_equal(hub.status(instance), "SUSPENDED")
        hub.client.resume_orchestration(instance)
        assert_equal(hub.wait(instance).get_output(), 1)


@scenario(differs="the status changes when its worker has answered")
def a_suspend_is_seen_although_no_worker_is_connected(hub):
    with hub.worker(waits):
        instance = hub.start(waits, instance_id=unique())
        hub.until_status(instance, "RUNNING")
    hub.client.suspend_orchestration(instance)
    assert_equal(hub.status(instance), "SUSPENDED")
    hub.client.raise_orchestration_event(instance, "go", data="kept")
    hub.client.resume_orchestration(instance)
    assert_equal(hub.status(instance), "RUNNING")
    with hub.worker(waits):
        assert_equal(hub.wait(instance).get_output(), "kept")


@scenario()
def a_suspended_orchestration_can_be_terminated(hub):
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.until_status(instance, "RUNNING")
        hub.client.suspend_orchestration(instance)
        hub.until_status(instance, "SUSPENDED")
        hub.client.terminate_orchestration(instance, output="stopped")
        state = hub.wait(instance)
    assert_status(state, "TERMINATED")
    assert_equal(state.get_output(), "stopped")


@scenario()
def results_that_arrive_while_suspended_wait_for_the_resume(hub):
    begun, release = threading.Event(), threading.Event()

    def activity_slow(_, __):
        begun.set()
        release.wait(20)
        return "slow"

    def calls(ctx, _):
        return (yield ctx.call_activity(activity_slow))

    with hub.worker(calls, activity_slow):
        instance = hub.start(calls, instance_id=unique())
        assert begun.wait(10)
        hub.client.suspend_orchestration(instance)
        hub.until_status(instance, "SUSPENDED")
        release.set()
        time.sleep(0.3)
        assert_equal(hub.status(instance), "SUSPENDED")
        hub.client.resume_orchestration(instance)
        assert_equal(hub.wait(instance).get_output(), "slow")


@scenario()
def trap_24_suspend_resume_and_raise_of_an_unknown_id_are_not_found(hub):
    nobody = unique("nobody")
    for call in (hub.client.suspend_orchestration, hub.client.resume_orchestration):
        with refused("NOT_FOUND"):
            call(nobody)
    if not REFERENCE:
        with refused("NOT_FOUND"):
            hub.client.terminate_orchestration(nobody)


@scenario()
def terminate_ends_it_with_the_given_output(hub):
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.until_status(instance, "RUNNING")
        hub.client.terminate_orchestration(instance, output={"why": "test"})
        state = hub.wait(instance)
    assert_status(state, "TERMINATED")
    assert_equal(state.get_output(), {"why": "test"})


@scenario(differs="it knows no recursive terminate")
def trap_24_a_recursive_terminate_takes_the_children_along_and_a_plain_one_does_not(hub):
    def parent(ctx, names):
        yield task.when_all([ctx.call_sub_orchestrator(forever, instance_id=name) for name in names])

    for recursive in (True, False):
        names = [unique("child") for _ in range(3)]
        with hub.worker(parent, forever):
            instance = hub.start(parent, input=names, instance_id=unique())
            for name in names:
                hub.until_status(name, "RUNNING")
            hub.client.terminate_orchestration(instance, recursive=recursive)
            assert_status(hub.wait(instance), "TERMINATED")
            if recursive:
                for name in names:
                    assert_status(hub.wait(name), "TERMINATED")
            else:
                time.sleep(0.3)
                assert_equal([hub.status(name) for name in names], ["RUNNING"] * 3)
                for name in names:
                    hub.client.terminate_orchestration(name)
                    hub.wait(name)


@scenario(slow=True, differs="without a worker nothing ends")
def a_terminate_that_no_worker_answers_is_done_by_the_hub(hub):
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.until_status(instance, "RUNNING")
    pending = hub.start(forever, instance_id=unique("pending"))
    hub.client.terminate_orchestration(pending, output="never ran")
    state = hub.wait(pending, timeout=15)
    assert_status(state, "TERMINATED")
    assert_equal(state.get_output(), "never ran")
    hub.client.terminate_orchestration(instance, output="forced")
    state = hub.wait(instance, timeout=20)
    assert_status(state, "TERMINATED")
    assert_equal(state.get_output(), "forced")


@scenario()
def trap_12_rewind_runs_only_what_failed_again(hub):
    ran, broken = [], threading.Event()
    broken.set()

    def activity_step(_, name):
        ran.append(name)
        if name == "second" and broken.is_set():
            raise RuntimeError("broken for now")
        return name

    def steps(ctx, _):
        first = yield ctx.call_activity(activity_step, input="first")
        second = yield ctx.call_activity(activity_step, input="second")
        return [first, second]

    with hub.worker(steps, activity_step):
        instance = hub.start(steps, instance_id=unique())
        assert_status(hub.wait(instance), "FAILED")
        before = hub.raw_state(instance)
        broken.clear()
        hub.client.rewind_orchestration(instance, reason="mended")
        during = hub.raw_state(instance)
        state = hub.wait(instance)
    assert_status(state, "COMPLETED")
    assert_equal(state.get_output(), ["first", "second"])
    assert_equal(ran, ["first", "second", "second"])
    if not REFERENCE:
        assert during.orchestrationStatus in (pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_COMPLETED)
        assert not during.HasField("failureDetails"), "the failure shows after the rewind was answered"
        assert during.executionId.value != before.executionId.value, "a rewind has a new executionId"
        assert_equal(during.createdTimestamp, before.createdTimestamp)
        reasons = [event.executionRewound.reason.value for event in hub.raw_history(instance)
                   if event.HasField("executionRewound")]
        assert_equal(reasons, ["mended"], "a client sees the rewind, with its reason")


@scenario()
def trap_12_rewind_goes_down_into_failed_children(hub):
    ran, broken = [], threading.Event()
    broken.set()

    def activity_step(_, name):
        ran.append(name)
        if name == "child" and broken.is_set():
            raise RuntimeError("broken for now")
        return name

    def child(ctx, _):
        return (yield ctx.call_activity(activity_step, input="child"))

    def parent(ctx, _):
        first = yield ctx.call_activity(activity_step, input="parent")
        second = yield ctx.call_sub_orchestrator(child)
        return [first, second]

    with hub.worker(parent, child, activity_step):
        instance = hub.start(parent, instance_id=unique())
        assert_status(hub.wait(instance), "FAILED")
        broken.clear()
        hub.client.rewind_orchestration(instance)
        state = hub.wait(instance)
    assert_status(state, "COMPLETED")
    assert_equal(state.get_output(), ["parent", "child"])
    assert_equal(ran, ["parent", "child", "child"])


@scenario()
def rewind_is_refused_for_what_has_not_failed(hub):
    def ends(_, __):
        return None

    with refused("NOT_FOUND"):
        hub.client.rewind_orchestration(unique("nobody"))
    with hub.worker(ends, forever):
        done, live = hub.start(ends, instance_id=unique()), hub.start(forever, instance_id=unique())
        hub.wait(done)
        hub.until_status(live, "RUNNING")
        for instance in (done, live):
            with refused("FAILED_PRECONDITION"):
                hub.client.rewind_orchestration(instance)


@scenario()
def restart_runs_the_same_input_again_under_the_same_or_a_new_id(hub):
    ran = []

    def recorded(ctx, value):
        ran.append((ctx.instance_id, value, ctx.version))
        return value
        yield

    with hub.worker(recorded):
        instance = hub.start(recorded, input=[1], instance_id=unique(), version="1.5")
        hub.wait(instance)
        assert_equal(hub.client.restart_orchestration(instance), instance)
        assert_status(hub.wait(instance), "COMPLETED")
        other = hub.client.restart_orchestration(instance, restart_with_new_instance_id=True)
        assert other and other != instance
        assert_equal(hub.wait(other).get_output(), [1])
    assert_equal(ran, [(instance, [1], "1.5"), (instance, [1], "1.5"), (other, [1], "1.5")])


@scenario()
def restart_of_nothing_and_of_a_running_instance_is_refused(hub):
    with refused("NOT_FOUND"):
        hub.client.restart_orchestration(unique("nobody"))
    with hub.worker(forever):
        instance = hub.start(forever, instance_id=unique())
        hub.until_status(instance, "RUNNING")
        with refused("FAILED_PRECONDITION"):
            hub.client.restart_orchestration(instance)
        if not REFERENCE:
            other = hub.client.restart_orchestration(instance, restart_with_new_instance_id=True)
            hub.until_status(other, "RUNNING")


@scenario()
def purge_takes_only_what_is_finished(hub):
    def ends(_, __):
        return None

    with hub.worker(ends, forever):
        done, live = hub.start(ends, instance_id=unique()), hub.start(forever, instance_id=unique())
        hub.wait(done)
        hub.until_status(live, "RUNNING")
        assert_equal(hub.client.purge_orchestration(live).deleted_instance_count, 0)
        assert_equal(hub.client.purge_orchestration(unique("nobody")).deleted_instance_count, 0)
        assert_equal(hub.client.purge_orchestration(done).deleted_instance_count, 1)
        assert_equal(hub.client.purge_orchestration(done).deleted_instance_count, 0)
        assert_equal((hub.state(done), hub.status(live)), (None, "RUNNING"))
        with refused("NOT_FOUND"):
            hub.client.get_orchestration_history(done)


@scenario()
def trap_26_purge_by_filter_takes_times_and_statuses(hub):
    def ends(_, value):
        if value == "fail":
            raise RuntimeError("as told")

    began = datetime.now(timezone.utc)
    time.sleep(0.01)
    with hub.worker(ends):
        old = [hub.start(ends, instance_id=unique()) for _ in range(3)]
        [hub.wait(one) for one in old]
        middle = datetime.now(timezone.utc)
        time.sleep(0.05)
        new = [hub.start(ends, instance_id=unique()) for _ in range(2)]
        failed = hub.start(ends, input="fail", instance_id=unique())
        [hub.wait(one) for one in (*new, failed)]
    count = hub.client.purge_orchestrations_by(
        created_time_from=middle, runtime_status=[dt_client.OrchestrationStatus.COMPLETED])
    assert_equal((count.deleted_instance_count, count.is_complete), (2, True))
    assert_equal([hub.status(one) for one in (*old, *new, failed)], ["COMPLETED"] * 3 + [None] * 2 + ["FAILED"])
    count = hub.client.purge_orchestrations_by(created_time_from=began, created_time_to=middle)
    assert_equal(count.deleted_instance_count, 3)
    # Without times and statuses: everything that is finished, that of earlier scenarios too.
    assert hub.client.purge_orchestrations_by().deleted_instance_count >= 1
    assert_equal(hub.status(failed), None)


@scenario(differs="it looks at no timeout")
def trap_26_a_purge_that_its_timeout_cuts_short_says_so(hub):
    def ends(_, __):
        return None

    with hub.worker(ends):
        started = [hub.start(ends, instance_id=unique("timeout")) for _ in range(200)]
        [hub.wait(one) for one in started]

    def purge(**timeout):
        answer = hub.stub.PurgeInstances(pb.PurgeInstancesRequest(
            purgeInstanceFilter=pb.PurgeInstanceFilter(timeout=timeout or None)))
        return answer.deletedInstanceCount, answer.isComplete.value

    first, complete = purge(nanos=1)
    assert not complete and first < 200, (first, complete)
    total = first
    while not complete:
        deleted, complete = purge(nanos=20_000_000)
        total += deleted
    assert_equal(total, 200)
    assert_equal(purge(), (0, True))


@scenario(differs="it knows no recursive purge")
def trap_26_a_recursive_purge_takes_finished_descendants_and_leaves_live_ones(hub):
    def ends(_, __):
        return None

    def parent(ctx, names):
        done, live = names
        running = ctx.call_sub_orchestrator(forever, instance_id=live)
        yield ctx.call_sub_orchestrator(ends, instance_id=done)
        return running.is_complete

    for recursive, deleted in ((False, 1), (True, 2)):
        done, live = unique("done"), unique("live")
        with hub.worker(parent, ends, forever):
            instance = hub.start(parent, input=[done, live], instance_id=unique())
            hub.wait(instance)
            hub.until_status(live, "RUNNING")
            count = hub.client.purge_orchestration(instance, recursive=recursive).deleted_instance_count
        assert_equal((count, hub.state(instance)), (deleted, None))
        assert_equal((hub.status(done), hub.status(live)), (None if recursive else "COMPLETED", "RUNNING"))


@scenario()
def a_scheduled_start_stays_pending_until_its_time(hub):
    def ends(ctx, _):
        return ctx.current_utc_datetime.isoformat()
        yield

    with hub.worker(ends):
        due = datetime.now(timezone.utc) + timedelta(seconds=1)
        instance = hub.start(ends, start_at=due, instance_id=unique())
        if not REFERENCE:
            time.sleep(0.4)
            assert_equal(hub.status(instance), "PENDING")
        output = hub.wait(instance).get_output()
    assert datetime.fromisoformat(output) >= due.replace(tzinfo=None), (output, due)


@scenario(differs="it starts a scheduled one at once")
def a_scheduled_instance_can_be_terminated_and_keeps_its_events(hub):
    with hub.worker(waits):
        due = datetime.now(timezone.utc) + timedelta(seconds=1)
        instance = hub.start(waits, start_at=due, instance_id=unique())
        hub.client.raise_orchestration_event(instance, "go", data="early")
        assert_equal(hub.wait(instance).get_output(), "early")
        later = hub.start(waits, start_at=due + timedelta(hours=1), instance_id=unique())
        hub.client.terminate_orchestration(later, output="not needed")
        assert_status(hub.wait(later, timeout=15), "TERMINATED")
