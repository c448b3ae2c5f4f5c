"""Python and JavaScript in one task hub: each side's orchestrators call the other's activities and children."""

import subprocess

from harness import *

FALSY = [0, False, None, "", [], {}]


@contextmanager
def both(hub):
    """A JavaScript worker in a process of its own, and a Python one here, each with the filters of what it has."""
    command = ["node", "worker.mjs", hub.address, hub.name or ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert_equal(process.stdout.readline().strip(), "ready")
        with hub.worker(setup=register):
            yield
    finally:
        process.kill()
        process.wait()


def register(worker):
    for function in (py_echo, py_type, py_absent, py_fails):
        worker.add_activity(function)
    for function in (py_through, py_child, py_told, py_catches, py_child_fails, py_sends, py_waits, py_ping):
        worker.add_orchestrator(function)
    worker.use_work_item_filters()


def py_echo(_, value):
    return value


def py_type(_, value):
    return type(value).__name__


def py_absent(_, __):
    return None


def py_fails(_, __):
    raise KeyError("not among the keys of Python")


def py_through(ctx, value):
    value = yield ctx.call_activity("js_echo", input=value)
    value = yield ctx.call_sub_orchestrator("js_child", input=value)
    return [value, (yield ctx.wait_for_external_event("value"))]


def py_child(ctx, value):
    return (yield ctx.call_activity("js_echo", input=value))


def py_told(ctx, _):
    kind = yield ctx.call_activity("js_type")
    absent = yield ctx.call_activity("js_absent")
    return [kind, absent]


def py_child_fails(ctx, _):
    yield ctx.call_activity(py_fails)


def py_catches(ctx, _):
    try:
        yield ctx.call_activity("js_fails")
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


def py_sends(ctx, target):
    ctx.send_event(target, "value", data={"from": "py"})
    return None
    yield


def py_waits(ctx, _):
    return (yield ctx.wait_for_external_event("value"))


def py_ping(ctx, depth):
    if depth == 0:
        return []
    return ["py"] + (yield ctx.call_sub_orchestrator("js_ping", input=depth - 1))


def exactly(found, wanted):
    assert_equal([(type(one), one) for one in found], [(type(one), one) for one in wanted])


@scenario()
def trap_23_falsy_values_survive_from_python_through_javascript_and_back(hub):
    with both(hub):
        for value in FALSY:
            instance = hub.start("py_through", input=value, instance_id=unique())
            hub.client.raise_orchestration_event(instance, "value", data=value)
            exactly(hub.wait(instance).get_output(), [value, value])


@scenario()
def trap_23_falsy_values_survive_from_javascript_through_python_and_back(hub):
    with both(hub):
        for value in FALSY:
            instance = hub.start("js_through", input=value, instance_id=unique())
            hub.client.raise_orchestration_event(instance, "value", data=value)
            exactly(hub.wait(instance).get_output(), [value, value])


@scenario()
def trap_23_what_is_absent_on_one_side_is_absent_on_the_other(hub):
    with both(hub):
        kind, absent = hub.output("py_told")
        assert kind in ("undefined", "null"), kind
        assert_equal(absent, None)
        kind, absent = hub.output("js_told")
        assert_equal(kind, "NoneType")
        assert absent in ("undefined", "null"), absent


@scenario(differs="it gives the parent a failure of its own")
def trap_14_failures_keep_their_type_from_one_language_to_the_other(hub):
    with both(hub):
        kind, message = hub.output("py_catches")
        assert_equal(kind, "RangeError")
        assert "out of the range of JavaScript" in message
        (first, first_message), (second, second_message) = hub.output("js_catches")
        assert_equal(first, "builtins.KeyError")
        assert "not among the keys of Python" in first_message
        assert second.endswith("TaskFailedError"), second
        assert "not among the keys of Python" in second_message


@scenario()
def events_go_from_one_language_to_the_other(hub):
    with both(hub):
        for sender, waiter, data in (("py_sends", "js_waits", "py"), ("js_sends", "py_waits", "js")):
            target = hub.start(waiter, instance_id=unique())
            hub.output(sender, input=target)
            assert_equal(hub.wait(target).get_output(), {"from": data})


@scenario()
def children_alternate_between_the_languages(hub):
    with both(hub):
        assert_equal(hub.output("py_ping", input=7), ["py", "js"] * 3 + ["py"])


@scenario()
def a_large_payload_goes_round(hub):
    text = "\u00e9\U0001f980" * 10_000
    with both(hub):
        instance = hub.start("py_through", input=text, instance_id=unique())
        hub.client.raise_orchestration_event(instance, "value", data=text)
        assert_equal(hub.wait(instance).get_output(), [text, text])


main()
