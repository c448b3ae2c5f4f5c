"""What the scenarios in Python share: how one is declared, run and reported, and the task hub that it gets.

A scenario is a function with `@scenario`; its name says the behaviour. Several run at once, each in a task hub of its
own, so none needs to care for the others. Servers come from the control endpoint (`Server`).
"""

import os
import queue
import socket
import threading
import time
import traceback
import urllib.request
import uuid
from contextlib import contextmanager
from datetime import timedelta

import grpc
from durabletask import client as dt_client
from durabletask import task
from durabletask import worker as dt_worker
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

CONTROL = os.environ["CONFORMANCE_CONTROL"]
REFERENCE = bool(os.environ.get("CONFORMANCE_REFERENCE"))
LANES = 4
# `duramen dev` makes 32 hubs at most; the reference knows one.
HUBS_PER_SERVER = 1 if REFERENCE else 30

_scenarios = []


def scenario(slow=False, own_server=None, differs=None, limit_s=150):
    """Declares a scenario, a function of the `Hub` that it gets. A text that it gives is shown in the table.

    slow: it waits for a long time without doing anything, so it begins early.
    own_server: the arguments of a server of its own, which it may kill.
    differs: why the reference backend does not do this.
    limit_s: after which it hangs.
    """

    def declare(function):
        _scenarios.append((function, slow, own_server, differs, limit_s))
        return function

    return declare


class Server:
    """A server of this run that may be killed and started again on its data. Its arguments may begin with the verb
    `serve`; otherwise it is `duramen dev`."""

    def __init__(self, arguments=()):
        answer = _control("/servers", "\n".join(arguments))
        self.id, self.address = answer.split()

    def kill(self):
        _control(f"/servers/{self.id}/kill")

    def stop(self):
        _control(f"/servers/{self.id}/stop")

    def start(self):
        _control(f"/servers/{self.id}/start")


def _control(path, body=""):
    request = urllib.request.Request(CONTROL + path, data=body.encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{path}: {error.read().decode()}") from None


class Proxy:
    """Stands between a worker and the server, until its packets are dropped: both ends stay open and hear nothing."""

    def __init__(self, address):
        self._target, self._dropping = address.rsplit(":", 1), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listener]
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_packets(self):
        self._dropping.set()

    def close(self):
        for one in self._open:
            one.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            # Left open and never served: what connects while packets are dropped hears nothing either.
            self._open.append(near)
            if self._dropping.is_set():
                continue
            far = socket.create_connection(self._target)
            self._open.append(far)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source, target):
        try:
            while data := source.recv(65_536):
                if self._dropping.is_set():
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Hub:
    """A task hub, with a client, and workers on request; without a name the default hub, as plain clients use it."""

    def __init__(self, address, name=None, server=None):
        self.address, self.name, self.server = address, name, server
        self.metadata = [("taskhub", name)] if name else None
        self.client = dt_client.TaskHubGrpcClient(host_address=address, metadata=self.metadata)
        self.channel = grpc.insecure_channel(address)
        self.stub = Stub(self.channel, self.metadata)

    def close(self):
        self.client.close()
        self.channel.close()

    @contextmanager
    def worker(self, *functions, **options):
        """A worker with these functions: those of two arguments whose name begins with `activity_` are activities,
        or what `activities` names; all others are orchestrators."""
        worker = self.new_worker(*functions, **options)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    def new_worker(self, *functions, activities=(), **options):
        setup = options.pop("setup", None)
        worker = dt_worker.TaskHubGrpcWorker(host_address=self.address, metadata=self.metadata, **options)
        for function in functions:
            if function.__name__.startswith("activity_"):
                worker.add_activity(function)
            else:
                worker.add_orchestrator(function)
        for function in activities:
            worker.add_activity(function)
        if setup:
            setup(worker)
        return worker

    def start(self, orchestrator, **options):
        return self.client.schedule_new_orchestration(orchestrator, **options)

    def run(self, orchestrator, timeout=30, **options):
        """Starts, waits for the end, gives the state."""
        return self.wait(self.start(orchestrator, **options), timeout)

    def wait(self, instance_id, timeout=30):
        state = self.client.wait_for_orchestration_completion(instance_id, timeout=timeout)
        assert state is not None, f"{instance_id} does not exist"
        return state

    def output(self, orchestrator, **options):
        """The output of a run that must complete."""
        state = self.run(orchestrator, **options)
        assert_status(state, "COMPLETED")
        return state.get_output()

    def state(self, instance_id):
        return self.client.get_orchestration_state(instance_id)

    def status(self, instance_id):
        state = self.state(instance_id)
        return state.runtime_status.name if state else None

    def until_status(self, instance_id, *names, timeout=15):
        eventually(lambda: self.status(instance_id) in names, timeout, lambda: self.status(instance_id))

    def raw_state(self, instance_id, payloads=True):
        answer = self.stub.GetInstance(pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=payloads))
        return answer.orchestrationState if answer.exists else None

    def raw_history(self, instance_id):
        chunks = self.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))
        return [event for chunk in chunks for event in chunk.events]

    def kinds(self, instance_id):
        """The kinds of its history's events, without `orchestratorCompleted`, which the reference alone writes."""
        kinds = [event.WhichOneof("eventType") for event in self.raw_history(instance_id)]
        return [kind for kind in kinds if not (REFERENCE and kind == "orchestratorCompleted")]


class Stub:
    """The generated stub with a hub's metadata on each call."""

    def __init__(self, channel, metadata):
        self._stub, self._metadata = stubs.TaskHubSidecarServiceStub(channel), metadata

    def __getattr__(self, name):
        method = getattr(self._stub, name)

        def call(request, **options):
            return method(request, metadata=self._metadata, **options)

        call.future = lambda request, **options: method.future(request, metadata=self._metadata, **options)
        return call


def unique(text="instance"):
    return f"{text}-{uuid.uuid4().hex[:12]}"


def eventually(condition, timeout=15, shown=lambda: "the condition does not hold"):
    """Waits until the condition gives something true, and gives that."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {shown()}")
        time.sleep(0.02)


def assert_status(state, name):
    assert state.runtime_status.name == name, f"{state.runtime_status.name}, not {name}: {state.failure_details}"


def assert_equal(found, wanted, about=""):
    assert found == wanted, f"{about}\n   found: {found!r}\n  wanted: {wanted!r}"


@contextmanager
def refused(*codes):
    """The call inside must be refused with one of these status codes; gives the error."""
    found = []
    try:
        yield found
    except grpc.RpcError as error:
        assert error.code().name in codes, f"refused with {error.code().name}, not {codes}: {error.details()}"
        found.append(error)
        return
    raise AssertionError(f"not refused; it should be, with {codes}")


def seconds(number):
    return timedelta(seconds=number)


class Reporter:
    def __init__(self):
        self._file, self._lock = open(os.environ["CONFORMANCE_RESULTS"], "a", buffering=1), threading.Lock()
        self.failed = False

    def say(self, outcome, began, name, output=""):
        output = output.replace("\\", "/").replace("\t", "  ").replace("\n", "\\n")
        with self._lock:
            self.failed |= outcome == "failed"
            self._file.write(f"{outcome}\t{time.monotonic() - began:.2f}\t{name}\t{output}\n")


def main():
    """Runs all scenarios that were declared; the lanes take them from one queue, the slow ones first."""
    only = os.environ.get("CONFORMANCE_ONLY", "")
    reporter, waiting = Reporter(), queue.SimpleQueue()
    for entry in sorted(_scenarios, key=lambda entry: not entry[1]):
        function, _, own_server, differs, _ = entry
        if only not in function.__name__:
            continue
        if REFERENCE and (differs or own_server is not None):
            why = differs or "the reference keeps nothing when it is killed"
            reporter.say("skipped", time.monotonic(), function.__name__, why)
        else:
            waiting.put(entry)

    hubs = Hubs()

    def lane():
        while True:
            try:
                function, _, own_server, _, limit_s = waiting.get_nowait()
            except queue.Empty:
                return
            run_one(function, own_server, limit_s, hubs, reporter)

    lanes = [threading.Thread(target=lane, daemon=True) for _ in range(LANES)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    # Threads of an SDK that did not come to an end must not hold the process.
    os._exit(1 if reporter.failed else 0)


class Hubs:
    """Gives out hubs that nobody has used, the default one of each server among them."""

    def __init__(self):
        self._lock, self._server, self._given = threading.Lock(), None, 0

    def next(self):
        with self._lock:
            if self._given % HUBS_PER_SERVER == 0:
                self._server = Server()
            number = self._given % HUBS_PER_SERVER
            self._given += 1
            return Hub(self._server.address, f"hub-{number}" if number else None, self._server)


def run_one(function, own_server, limit_s, hubs, reporter):
    began, hub, said = time.monotonic(), None, ""
    try:
        if own_server is None:
            hub = hubs.next()
        else:
            server = Server(own_server)
            hub = Hub(server.address, server=server)
        problem, said = within_limit(function, hub, limit_s)
    except Exception:
        problem = traceback.format_exc()
    reporter.say("failed" if problem else "passed", began, function.__name__, problem or said)
    if hub is not None:
        hub.close()
        if own_server is not None or REFERENCE:
            hub.server.kill()


def within_limit(function, hub, limit_s):
    """Runs the scenario on a thread of its own, which is left behind when it hangs; gives what went wrong, and what it
    has to say."""
    outcome = [(f"it hangs: no end within {limit_s} s", "")]

    def act():
        try:
            outcome[0] = None, function(hub) or ""
        except BaseException:
            outcome[0] = traceback.format_exc(), ""

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(limit_s)
    return outcome[0]


def patient(call, timeout=30):
    """A client's call while the server comes back: the SDK does not repeat it by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


__all__ = [name for name in dir() if not name.startswith("_")]
