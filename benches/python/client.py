"""The clients of `duramen-bench python`: `client.py ADDRESS CONCURRENCY SECONDS`.

Each starts an orchestration, waits for its result, checks it, and starts the next. Says `measuring` once a short run of
the same kind has gone before, and at the end a line of JSON: what was counted within the measured time.
"""

import json
import logging
import sys
import threading
import time

from durabletask import client

address, concurrency, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
WANTED = [f"Hello {city}!" for city in ("Tokyo", "Seattle", "London", "Paris", "Oslo")]
quiet = logging.Logger("bench", logging.WARNING)
hub = client.TaskHubGrpcClient(host_address=address, logger=quiet)


def drive(limit):
    """Starts no more after the limit, and waits for all; gives how long each took."""
    took, wrong, begun = [], [], time.monotonic()

    def one_after_another():
        while True:
            started = time.monotonic()
            if started - begun >= limit:
                return
            instance = hub.schedule_new_orchestration("hello_cities")
            state = hub.wait_for_orchestration_completion(instance, timeout=60)
            if state is None or state.get_output() != WANTED:
                wrong.append(f"{instance}: {state}")
                return
            took.append(time.monotonic() - started)

    threads = [threading.Thread(target=one_after_another) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit(f"wrong results: {wrong[:3]}")
    return took, time.monotonic() - begun


drive(min(2, seconds / 2))
print("measuring", flush=True)
took, elapsed = drive(seconds)
print(json.dumps({"seconds": elapsed, "took_us": [int(one * 1e6) for one in took]}), flush=True)
