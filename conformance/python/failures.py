"""Failures and retries."""

from datetime import timedelta

from harness import *


class Told:
    """Properties of an exception, of every type that a protobuf Value holds."""

    def get_exception_properties(self, exception):
        if isinstance(exception, ValueError):
            return {"code": 7, "text": "x", "flag": True, "none": None, "list": [1, "a"], "map": {"deep": 1.5}}
        return None


def activity_fails_deeply(_, __):
    try:
        try:
            raise ZeroDivisionError("innermost")
        except ZeroDivisionError as error:
            raise KeyError("middle") from error
    except KeyError as error:
        raise ValueError("outermost") from error


def chain_of(details):
    """The error types and messages from the outside in."""
    found = []
    while details is not None:
        found.append((details.error_type.rsplit(".", 1)[-1], details.message))
        details = details.inner_failure
    return found


@scenario()
def a_failed_activity_fails_the_orchestration_with_its_details(hub):
    def calls(ctx, _):
        yield ctx.call_activity(activity_fails_deeply)

    with hub.worker(calls, activity_fails_deeply):
        state = hub.run(calls)
    assert_status(state, "FAILED")
    assert "outermost" in state.failure_details.message
    assert state.failure_details.inner_failure is not None


@scenario()
def a_failure_that_is_caught_is_no_failure(hub):
    def catches(ctx, _):
        try:
            yield ctx.call_activity(activity_fails_deeply)
        except task.TaskFailedError as error:
            return chain_of(error.details)

    with hub.worker(catches, activity_fails_deeply):
        found = hub.output(catches)
    assert_equal(
        [name for name, _ in found], ["ValueError", "KeyError", "ZeroDivisionError"])


@scenario(differs="it gives the parent a failure of its own, without what was inside")
def trap_14_failure_details_go_up_through_three_levels_unchanged(hub):
    def bottom(ctx, _):
        yield ctx.call_activity(activity_fails_deeply)

    def middle(ctx, _):
        yield ctx.call_sub_orchestrator(bottom)

    def top(ctx, _):
        yield ctx.call_sub_orchestrator(middle)

    with hub.worker(top, middle, bottom, activity_fails_deeply, exception_properties_provider=Told()):
        instance = hub.start(top, instance_id=unique())
        hub.wait(instance)
    chain, details = [], hub.raw_state(instance).failureDetails
    while True:
        chain.append(details)
        if not details.HasField("innerFailure"):
            break
        details = details.innerFailure
    names = [one.errorType.rsplit(".", 1)[-1] for one in chain]
    assert_equal(names[-3:], ["ValueError", "KeyError", "ZeroDivisionError"], names)
    told = chain[-3].properties
    assert_equal(
        (told["code"].number_value, told["text"].string_value, told["flag"].bool_value),
        (7, "x", True),
    )
    assert_equal(told["none"].WhichOneof("kind"), "null_value")
    assert_equal([value.WhichOneof("kind") for value in told["list"].list_value.values],
                 ["number_value", "string_value"])
    assert_equal(told["map"].struct_value.fields["deep"].number_value, 1.5)
    assert "activity_fails_deeply" in chain[-3].stackTrace.value


@scenario()
def an_unknown_activity_and_an_unknown_orchestrator_fail_by_name(hub):
    def calls(ctx, _):
        yield ctx.call_activity("nobody_wrote_this")

    with hub.worker(calls):
        state = hub.run(calls)
        assert_status(state, "FAILED")
        assert "nobody_wrote_this" in state.failure_details.message
        state = hub.run("nor_this")
        assert_status(state, "FAILED")
        assert "nor_this" in state.failure_details.message


@scenario()
def trap_03_an_activitys_retry_uses_its_action_id_again(hub):
    tries = []

    def activity_flaky(_, __):
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise RuntimeError(f"try {len(tries)}")
        return len(tries)

    def retries(ctx, _):
        policy = task.RetryPolicy(
            first_retry_interval=timedelta(milliseconds=100), max_number_of_attempts=5, backoff_coefficient=2)
        return (yield ctx.call_activity(activity_flaky, retry_policy=policy))

    instance = unique()
    with hub.worker(retries, activity_flaky):
        assert_equal(hub.output(retries, instance_id=instance), 4)
    waits = [later - earlier for earlier, later in zip(tries, tries[1:])]
    assert waits[0] >= 0.1 and waits[1] >= 0.2 and waits[2] >= 0.4, waits
    scheduled = [event.eventId for event in hub.raw_history(instance) if event.HasField("taskScheduled")]
    assert_equal(scheduled, [1, 1, 1, 1])


@scenario()
def trap_03_two_tries_of_one_id_at_once_are_told_apart(hub):
    """Two activities retry side by side, so that ids repeat while others are in flight."""
    lock, tries = threading.Lock(), {}

    def activity_flaky(_, name):
        with lock:
            tries[name] = tries.get(name, 0) + 1
            count = tries[name]
        if count < 3:
            raise RuntimeError(name)
        return f"{name}{count}"

    def retries(ctx, _):
        policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=5), max_number_of_attempts=5)
        return (yield task.when_all([
            ctx.call_activity(activity_flaky, input=name, retry_policy=policy) for name in "abcdefgh"]))

    with hub.worker(retries, activity_flaky):
        assert_equal(hub.output(retries), [f"{name}3" for name in "abcdefgh"])


@scenario()
def retries_end_with_the_last_failure(hub):
    tries = []

    def activity_broken(_, __):
        tries.append(1)
        raise RuntimeError(f"try {len(tries)}")

    def retries(ctx, _):
        policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=5), max_number_of_attempts=3)
        yield ctx.call_activity(activity_broken, retry_policy=policy)

    with hub.worker(retries, activity_broken):
        state = hub.run(retries)
    assert_status(state, "FAILED")
    assert_equal(len(tries), 3)
    assert "try 3" in state.failure_details.message, state.failure_details.message


@scenario()
def code_that_changed_under_a_running_instance_is_a_failure_that_says_so(hub):
    def activity_old(_, __):
        return 1

    def activity_new(_, __):
        return 1

    def changing(ctx, _):
        yield ctx.call_activity(activity_old)
        yield ctx.wait_for_external_event("go")

    old = changing
    with hub.worker(old, activity_old):
        instance = hub.start(old, instance_id=unique())
        eventually(lambda: "taskCompleted" in hub.kinds(instance))

    def changing(ctx, _):
        yield ctx.call_activity(activity_new)
        yield ctx.wait_for_external_event("go")

    with hub.worker(changing, activity_new):
        hub.client.raise_orchestration_event(instance, "go")
        state = hub.wait(instance)
    assert_status(state, "FAILED")
    assert "non-deterministic" in (state.failure_details.message + state.failure_details.error_type).lower() or \
        "NonDeterminism" in state.failure_details.error_type, state.failure_details
