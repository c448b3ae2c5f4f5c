"""The worker of `duramen-bench python`, as a user of the SDK writes one: `worker.py ADDRESS`. Says `ready`."""

import logging
import sys
import threading

from durabletask import worker

CITIES = ["Tokyo", "Seattle", "London", "Paris", "Oslo"]


def hello(ctx, city):
    return f"Hello {city}!"


def hello_cities(ctx, _):
    greetings = []
    for city in CITIES:
        greetings.append((yield ctx.call_activity(hello, input=city)))
    return greetings


quiet = logging.Logger("bench", logging.WARNING)
with worker.TaskHubGrpcWorker(host_address=sys.argv[1], logger=quiet) as one:
    one.add_orchestrator(hello_cities)
    one.add_activity(hello)
    one.start()
    print("ready", flush=True)
    threading.Event().wait()
