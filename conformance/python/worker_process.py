"""A worker in a process of its own: `worker_process.py ADDRESS HUB NAME`. Its activity holds on for ever when it runs
in the process that it is told to hold in, and gives the name of its process otherwise."""

import sys
import threading

from durabletask import worker

address, hub, name = sys.argv[1:]


def holds(ctx, where):
    return (yield ctx.call_activity(activity_holds, input=where))


def activity_holds(_, where):
    if where == name:
        print("holding", flush=True)
        threading.Event().wait()
    return name


metadata = [("taskhub", hub)] if hub else None
one = worker.TaskHubGrpcWorker(host_address=address, metadata=metadata)
one.add_orchestrator(holds)
one.add_activity(activity_holds)
one.start()
print("ready", flush=True)
threading.Event().wait()
