"""Python, JavaScript and Rust in one task hub: each one's orchestrators call the others' activities and children."""

import subprocess

from harness import *

FALSY = [0, False, None, "", [], {}]
NOT_RUST = "the Rust worker is for our server"
JAVASCRIPT, RUST = ["node", "worker.mjs"], [os.environ["CONFORMANCE_RUST"]]


@contextmanager
def beside(hub, *commands):
    """Workers of other languages in processes of their own, and a Python one here, each with the filters of what it
    has."""
    processes = []
    try:
        for command in commands:
            command = [*command, hub.address, hub.name or ""]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for process in processes:
            assert_equal(process.stdout.readline().strip(), "ready")
        with hub.worker(setup=register):
            yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def both(hub):
    return beside(hub, JAVASCRIPT)


def all_three(hub):
    return beside(hub, JAVASCRIPT, RUST)


def register(worker):
    for function in (py_echo, py_type, py_absent, py_fails):
        worker.add_activity(function)
    for function in (py_through, py_child, py_told, py_catches, py_child_fails, py_sends, py_waits, py_ping,
                     py_through_rust, py_told_rust, py_catches_rust, py_pong):
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


def py_through_rust(ctx, value):
    value = yield ctx.call_activity("rs_echo", input=value)
    value = yield ctx.call_sub_orchestrator("rs_child", input=value)
    return [value, (yield ctx.wait_for_external_event("value"))]


def py_told_rust(ctx, _):
    kind = yield ctx.call_activity("rs_type")
    return [kind, (yield ctx.call_activity("rs_absent"))]


def py_catches_rust(ctx, _):
    try:
        yield ctx.call_activity("rs_fails")
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


def py_pong(ctx, depth):
    if depth == 0:
        return []
    return ["py"] + (yield ctx.call_sub_orchestrator("js_pong", input=depth - 1))


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


@scenario(differs=NOT_RUST)
def trap_23_falsy_values_survive_between_rust_and_the_others(hub):
    with all_three(hub):
        for value in FALSY:
            for name in ("rs_through", "py_through_rust", "js_through_rust"):
                instance = hub.start(name, input=value, instance_id=unique())
                hub.client.raise_orchestration_event(instance, "value", data=value)
                exactly(hub.wait(instance).get_output(), [value, value])


@scenario(differs=NOT_RUST)
def trap_23_what_is_absent_in_rust_is_absent_in_the_others(hub):
    with all_three(hub):
        python, javascript, *results = hub.output("rs_told")
        assert_equal(python, "NoneType")
        assert javascript in ("undefined", "null"), javascript
        assert_equal(results, [None, None])
        assert_equal(hub.output("py_told_rust"), ["nothing", None])
        kind, absent = hub.output("js_told_rust")
        assert_equal(kind, "nothing")
        assert absent in ("undefined", "null"), absent


@scenario(differs=NOT_RUST)
def trap_14_failures_keep_their_type_between_rust_and_the_others(hub):
    with all_three(hub):
        (python, python_message), (javascript, javascript_message) = hub.output("rs_catches")
        assert_equal((python, javascript), ("builtins.KeyError", "RangeError"))
        assert "not among the keys of Python" in python_message, python_message
        assert "out of the range of JavaScript" in javascript_message, javascript_message
        for name in ("py_catches_rust", "js_catches_rust"):
            kind, message = hub.output(name)
            assert kind.endswith("ParseIntError"), kind
            assert "invalid digit found in string" in message, message


@scenario(differs=NOT_RUST)
def children_alternate_between_three_languages(hub):
    with all_three(hub):
        assert_equal(hub.output("rs_ping", input=8), ["rs", "py", "js"] * 2 + ["rs", "py"])


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
