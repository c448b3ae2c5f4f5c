"""The load from Python: `load.py ADDRESS LEDGER`. A worker, and clients that each start one after another."""

import json
import os
import signal
import sys
import threading
import uuid
from datetime import timedelta

import grpc
from durabletask import client, worker

address, ledger = sys.argv[1:]
CLIENTS = 8
stopping = threading.Event()
file = os.open(ledger, os.O_WRONLY | os.O_APPEND)


def note(what, instance, rest):
    os.write(file, f"{what} {instance} {rest}\n".encode())


def py_rounds(ctx, number):
    number = yield ctx.call_activity(py_step, input=[ctx.instance_id, "py_step", number])
    number = yield ctx.call_activity("js_step", input=[ctx.instance_id, "js_step", number])
    yield ctx.create_timer(timedelta(milliseconds=30))
    data = yield ctx.wait_for_external_event("go")
    number = yield ctx.call_sub_orchestrator("js_child", input=[ctx.instance_id, "child_step", number])
    return [number, data]


def py_child(ctx, step):
    return (yield ctx.call_activity(py_step, input=step))


def py_step(_, step):
    root, name, number = step
    note("step", root, name)
    return number + 1


def unless_away(call):
    """Whether the server has acknowledged it. That it does not know what it has acknowledged before is no answer of
    a server that is away."""
    try:
        call()
        return True
    except (grpc.RpcError, TimeoutError) as error:
        if isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.NOT_FOUND:
            raise
        stopping.wait(0.05)
        return False


def load(name):
    hub = client.TaskHubGrpcClient(host_address=address)
    number = 0
    while not stopping.is_set():
        number += 1
        # What was not acknowledged may be there or not; nobody asks for it again.
        instance = f"py-{name}-{number}-{uuid.uuid4().hex[:8]}"
        if not unless_away(lambda: hub.schedule_new_orchestration("py_rounds", input=number, instance_id=instance)):
            continue
        note("start", instance, number)
        data = {"for": instance}
        while not unless_away(lambda: hub.raise_orchestration_event(instance, "go", data=data)):
            pass
        note("event", instance, json.dumps(data))
        while not stopping.is_set() and not unless_away(
                lambda: hub.wait_for_orchestration_completion(instance, timeout=5)):
            pass


one = worker.TaskHubGrpcWorker(host_address=address)
one.add_orchestrator(py_rounds)
one.add_orchestrator(py_child)
one.add_activity(py_step)
one.use_work_item_filters()
one.start()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
clients = [threading.Thread(target=load, args=(number,), daemon=True) for number in range(CLIENTS)]
for each in clients:
    each.start()
print("ready", flush=True)
for each in clients:
    each.join()
print("quiet", flush=True)
threading.Event().wait()
