"""Many workers, workers that stop, servers that are killed."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from harness import *


def activity_echo(_, value):
    return value


class WorkerProcess:
    """A worker in a process of its own (`worker_process.py`), which says on its output what it begins."""

    def __init__(self, hub, name, address=None):
        script = str(Path(__file__).with_name("worker_process.py"))
        command = [sys.executable, script, address or hub.address, hub.name or "", name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()
        eventually(lambda: "ready" in self.lines, 20, lambda: self.lines)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def signal(self, number):
        self.process.send_signal(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@scenario()
def two_equal_workers_share_the_work(hub):
    counts = Counter()

    def worker_named(name):
        def activity_who(_, __):
            counts[name] += 1
            time.sleep(0.005)
            return name

        return activity_who

    def asks(ctx, _):
        return (yield ctx.call_activity("activity_who"))

    concurrency = dt_worker.ConcurrencyOptions(
        maximum_concurrent_activity_work_items=4, maximum_concurrent_orchestration_work_items=8)
    with hub.worker(asks, worker_named("a"), concurrency_options=concurrency), \
            hub.worker(asks, worker_named("b"), concurrency_options=concurrency):
        started = [hub.start(asks) for _ in range(400)]
        [hub.wait(one, 60) for one in started]
    assert_equal(sum(counts.values()), 400)
    assert REFERENCE or min(counts["a"], counts["b"]) >= 160, counts


@scenario()
def a_worker_never_holds_more_activities_than_it_asked_for(hub):
    lock, now, most = threading.Lock(), [0], [0]

    def activity_counted(_, __):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    def fans(ctx, _):
        yield task.when_all([ctx.call_activity(activity_counted) for _ in range(40)])

    concurrency = dt_worker.ConcurrencyOptions(maximum_concurrent_activity_work_items=3)
    with hub.worker(fans, activity_counted, concurrency_options=concurrency):
        hub.output(fans)
    assert most[0] <= 3, most


@scenario(differs="what a lost stream had is lost")
def a_worker_killed_in_an_activity_loses_nothing(hub):
    instance = unique()
    with WorkerProcess(hub, "first") as first:
        hub.start("holds", input="first", instance_id=instance)
        eventually(lambda: "holding" in first.lines)
        first.signal(signal.SIGKILL)
        with WorkerProcess(hub, "second"):
            state = hub.wait(instance, timeout=30)
    assert_status(state, "COMPLETED")
    assert_equal(state.get_output(), "second")


@scenario(slow=True, differs="it does not look after its workers")
def trap_08_a_worker_stopped_with_sigstop_loses_its_items_to_another_within_two_minutes(hub):
    instance = unique()
    with WorkerProcess(hub, "first") as first:
        hub.start("holds", input="first", instance_id=instance)
        eventually(lambda: "holding" in first.lines)
        first.signal(signal.SIGSTOP)
        with WorkerProcess(hub, "second"):
            state = hub.wait(instance, timeout=120)
        first.signal(signal.SIGCONT)
    assert_status(state, "COMPLETED")
    assert_equal(state.get_output(), "second")


@scenario(slow=True, differs="it does not look after its workers")
def trap_08_a_worker_whose_packets_are_dropped_loses_its_items_to_another_within_two_minutes(hub):
    instance, proxy = unique(), Proxy(hub.address)
    with WorkerProcess(hub, "first", proxy.address) as first:
        hub.start("holds", input="first", instance_id=instance)
        eventually(lambda: "holding" in first.lines)
        proxy.drop_packets()
        with WorkerProcess(hub, "second"):
            state = hub.wait(instance, timeout=120)
    proxy.close()
    assert_status(state, "COMPLETED")
    assert_equal(state.get_output(), "second")


@scenario(differs="what a lost stream had is lost")
def trap_08_an_activity_in_progress_survives_its_workers_stream(hub):
    """A worker that reconnects while its activity runs: the SDK answers over the old channel, or the item is handed
    out again; in either case the orchestration goes on at once."""
    begun, release = threading.Event(), threading.Event()

    def activity_slow(_, __):
        begun.set()
        release.wait(20)
        return "slow"

    def calls(ctx, _):
        return (yield ctx.call_activity(activity_slow))

    with hub.worker(calls, activity_slow) as worker:
        instance = hub.start(calls, instance_id=unique())
        assert begun.wait(10)
        worker._response_stream.cancel()
        time.sleep(0.2)
        release.set()
        assert_equal(hub.wait(instance, timeout=40).get_output(), "slow")


@scenario()
def work_waits_for_a_worker_that_comes_later(hub):
    def later(ctx, value):
        return (yield ctx.call_activity(activity_echo, input=value))

    instance = hub.start(later, input=1, instance_id=unique())
    time.sleep(0.2)
    assert_equal(hub.status(instance), "PENDING")
    with hub.worker(later, activity_echo):
        assert_equal(hub.wait(instance).get_output(), 1)


@scenario(own_server=())
def a_server_killed_in_mid_run_loses_nothing(hub):
    def steps(ctx, number):
        for _ in range(10):
            number = yield ctx.call_activity("activity_add", input=number)
        return number

    def activity_add(_, number):
        time.sleep(0.01)
        return number + 1

    with hub.worker(steps, activity_add):
        started = [hub.start(steps, input=number * 100, instance_id=unique()) for number in range(20)]
        for _ in range(3):
            time.sleep(0.4)
            hub.server.kill()
            hub.server.start()
        outputs = [patient_wait(hub, one).get_output() for one in started]
    assert_equal(outputs, [number * 100 + 10 for number in range(20)])


@scenario(own_server=())
def timers_events_and_children_survive_a_kill_of_the_server(hub):
    def child(ctx, _):
        return (yield ctx.wait_for_external_event("child"))

    def parent(ctx, name):
        timer = ctx.create_timer(seconds(2))
        below = ctx.call_sub_orchestrator(child, instance_id=name)
        event = yield ctx.wait_for_external_event("early")
        yield timer
        return [event, (yield below)]

    name = unique("child")
    instance = hub.start(parent, input=name, instance_id=unique())
    hub.client.raise_orchestration_event(instance, "early", data="kept")
    with hub.worker(parent, child):
        hub.until_status(name, "RUNNING")
        hub.server.kill()
        hub.server.start()
        patient(lambda: hub.client.raise_orchestration_event(name, "child", data="told"))
        assert_equal(patient_wait(hub, instance).get_output(), ["kept", "told"])


@scenario(own_server=())
def a_server_that_stops_and_starts_keeps_everything(hub):
    def ends(ctx, value):
        ctx.set_custom_status("status")
        return value
        yield

    def waits(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    done, live = unique("done"), unique("live")
    with hub.worker(ends, waits):
        hub.start(ends, input="x", instance_id=done, tags={"a": "b"})
        hub.start(waits, instance_id=live)
        hub.wait(done)
        hub.until_status(live, "RUNNING")
        before = (hub.raw_state(done), hub.raw_history(done))
        hub.server.stop()
        hub.server.start()
        after = patient(lambda: (hub.raw_state(done), hub.raw_history(done)))
        assert_equal(after, before)
        patient(lambda: hub.client.raise_orchestration_event(live, "go", data="after"))
        assert_equal(patient_wait(hub, live).get_output(), "after")


def patient_wait(hub, instance):
    return patient(lambda: hub.wait(instance, timeout=90), 90)
