"""Sub-orchestrations."""

from datetime import timedelta

from harness import *


def activity_echo(_, value):
    return value


def child(ctx, value):
    return (yield ctx.call_activity(activity_echo, input=value))


@scenario()
def a_child_gives_its_result_to_the_parent(hub):
    def parent(ctx, value):
        return (yield ctx.call_sub_orchestrator(child, input=value))

    with hub.worker(parent, child, activity_echo):
        assert_equal(hub.output(parent, input={"a": 1}), {"a": 1})


@scenario()
def a_fan_out_of_children_gives_all_results(hub):
    def parent(ctx, width):
        calls = [ctx.call_sub_orchestrator(child, input=number) for number in range(width)]
        return (yield task.when_all(calls))

    with hub.worker(parent, child, activity_echo):
        assert_equal(hub.output(parent, input=30, timeout=60), list(range(30)))


@scenario(differs="it tells a child nothing of its parent")
def children_nest_and_know_their_parent(hub):
    def nested(ctx, depth):
        if depth == 0:
            return [ctx.parent_instance_id]
        inner = yield ctx.call_sub_orchestrator(nested, input=depth - 1, instance_id=f"{ctx.instance_id}-{depth}")
        return [ctx.parent_instance_id] + inner

    root = unique()
    with hub.worker(nested):
        found = hub.output(nested, input=3, instance_id=root)
    assert_equal(found, [None, root, f"{root}-3", f"{root}-3-2"])
    state = hub.raw_state(f"{root}-3")
    assert_equal(state.parentInstanceId.value, root)


@scenario(differs="its ExecutionStarted of a child has no execution id")
def a_childs_first_event_names_its_parent(hub):
    def parent(ctx, name):
        yield ctx.call_sub_orchestrator(child, input=1, instance_id=name, version="2.0")

    root, name = unique(), unique("child")
    with hub.worker(parent, child, activity_echo):
        hub.output(parent, input=name, instance_id=root, version="1.0", tags={"tenant": "a"})
    started = next(event for event in hub.raw_history(name) if event.HasField("executionStarted")).executionStarted
    info = started.parentInstance
    assert_equal(
        (info.name.value, info.version.value, info.taskScheduledId, info.orchestrationInstance.instanceId),
        ("parent", "1.0", 1, root),
    )
    assert_equal(info.orchestrationInstance.executionId.value, hub.raw_state(root).executionId.value)
    assert_equal((started.version.value, dict(started.tags)), ("2.0", {"tenant": "a"}))


@scenario(differs="it gives the parent a failure of its own, without the type")
def a_failed_childs_error_reaches_the_parent(hub):
    def broken(_, __):
        raise ValueError("the child broke")

    def parent(ctx, _):
        try:
            yield ctx.call_sub_orchestrator(broken)
        except task.TaskFailedError as error:
            return [error.details.message, error.details.is_caused_by(ValueError)]

    with hub.worker(parent, broken):
        message, caused = hub.output(parent)
    assert "the child broke" in message and caused, message


@scenario()
def a_terminated_child_fails_the_call(hub):
    def forever(ctx, _):
        yield ctx.wait_for_external_event("never")

    def parent(ctx, name):
        try:
            yield ctx.call_sub_orchestrator(forever, instance_id=name)
        except task.TaskFailedError:
            return "told"

    name = unique("child")
    with hub.worker(parent, forever):
        instance = hub.start(parent, input=name, instance_id=unique())
        hub.until_status(name, "RUNNING")
        hub.client.terminate_orchestration(name)
        assert_equal(hub.wait(instance).get_output(), "told")


@scenario()
def a_child_that_continues_as_new_answers_at_its_end(hub):
    def counting(ctx, number):
        if number < 5:
            ctx.continue_as_new(number + 1)
            return None
        return number

    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(counting, input=0))

    with hub.worker(parent, counting):
        assert_equal(hub.output(parent), 5)


@scenario()
def trap_03_a_childs_retry_replaces_the_failed_child_of_the_same_id(hub):
    tries = []

    def flaky(ctx, _):
        tries.append(ctx.instance_id)
        if len(tries) < 3:
            raise RuntimeError(f"try {len(tries)}")
        return "third"

    def parent(ctx, _):
        policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=5)
        return (yield ctx.call_sub_orchestrator(flaky, retry_policy=policy))

    with hub.worker(parent, flaky):
        assert_equal(hub.output(parent), "third")
    assert len(set(tries)) == 1, f"the SDK was expected to use one id again: {tries}"


@scenario()
def trap_03_a_child_with_the_id_of_a_live_instance_fails_the_call(hub):
    def forever(ctx, _):
        yield ctx.wait_for_external_event("never")

    def parent(ctx, name):
        try:
            yield ctx.call_sub_orchestrator(forever, instance_id=name)
        except task.TaskFailedError as error:
            return error.details.message

    name = unique("taken")
    with hub.worker(parent, forever):
        hub.start(forever, instance_id=name)
        hub.until_status(name, "RUNNING")
        message = hub.output(parent, input=name)
        assert name in message or "exists" in message, message
        assert_equal(hub.status(name), "RUNNING", "the live one must not be touched")


@scenario(differs="children collide with those of the generation before")
def trap_04_children_of_each_generation_run(hub):
    ran = []

    def one(ctx, number):
        ran.append(number)
        return number
        yield

    def generations(ctx, number):
        yield ctx.call_sub_orchestrator(one, input=number)
        if number < 4:
            ctx.continue_as_new(number + 1)
            return None
        return number

    with hub.worker(generations, one):
        assert_equal(hub.output(generations, input=0), 4)
    assert_equal(ran, [0, 1, 2, 3, 4])
