"""The server is killed again and again under load from Python and JavaScript.

Two processes, one of each language, hold a worker and clients that start orchestrations and raise their events. What
the server has acknowledged, and which activities have run, they write to a ledger, a file that the server knows
nothing of. In the end the server is held against it.
"""

import json
import random
import signal
import subprocess
import sys
from collections import Counter

from harness import *

KILLS = int(os.environ["CONFORMANCE_KILLS"])
LANGUAGES = ("py", "js")
STEPS = {"py_step", "js_step", "child_step"}
# How long workers may take until they are back: Python's pauses grow to 30 s while the server is away.
BACK_LIMIT_S = 60


class Load:
    """A process with a worker and clients. It says `ready`, and once it is told to stop starting things, `quiet`."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert_equal(self.process.stdout.readline().strip(), "ready")

    def quiet(self):
        self.process.send_signal(signal.SIGTERM)
        assert_equal(self.process.stdout.readline().strip(), "quiet")

    def end(self):
        self.process.kill()
        self.process.wait()


@scenario(own_server=(), limit_s=120 + 20 * KILLS)
def a_server_killed_under_load_loses_nothing_and_its_workers_come_back(hub):
    seed = random.randrange(10**6)
    print(f"seed {seed}, {KILLS} kills", flush=True)
    ledger = os.path.abspath("ledger")
    open(ledger, "w").close()
    loads = []
    try:
        loads.append(Load(sys.executable, "load.py", hub.address, ledger))
        loads.append(Load("node", "load.mjs", hub.address, ledger))
        back = kill_and_start(hub, random.Random(seed))
        for load in loads:
            load.quiet()
        counts = held_against(hub, ledger)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        for load in loads:
            load.end()
    return f"{KILLS} kills, {counts}; workers were back after {max(back):.1f} s at most, {sum(back) / len(back):.1f} on average"


def kill_and_start(hub, chance):
    """Kills and starts; gives how long each time it took until both languages' workers did new work again."""
    back = []
    for number in range(KILLS):
        time.sleep(chance.uniform(0.1, 2))
        hub.server.kill()
        time.sleep(chance.choice([0, chance.uniform(0, 1.5)]))
        hub.server.start()
        if chance.random() < 0.2:
            # While it still opens what it had, or has only begun with it.
            time.sleep(chance.uniform(0, 0.1))
            hub.server.kill()
            hub.server.start()
        began = time.monotonic()
        for language in LANGUAGES:
            instance = unique(f"back-{language}")
            patient(lambda: hub.start(f"{language}_rounds", input=number, instance_id=instance), BACK_LIMIT_S)
            patient(lambda: hub.client.raise_orchestration_event(instance, "go", data=None), BACK_LIMIT_S)
            state = patient(lambda: hub.wait(instance, timeout=BACK_LIMIT_S), BACK_LIMIT_S)
            assert_equal(state.get_output(), [number + len(STEPS), None])
        back.append(time.monotonic() - began)
        print(f"kill {number + 1}: back after {back[-1]:.1f} s", flush=True)
    return back


def lines(ledger, what):
    with open(ledger) as file:
        return [rest for kind, *rest in (line.rstrip("\n").split(" ", 2) for line in file) if kind == what]


def held_against(hub, ledger):
    """Holds the server against the ledger: lines of `start ID NUMBER`, `event ID DATA`, `step ID NAME`."""
    starts = {instance: int(number) for instance, number in lines(ledger, "start")}
    events = {instance: json.loads(data) for instance, data in lines(ledger, "event")}
    # A client that was told NOT_FOUND has ended.
    unknown = starts.keys() - events.keys()
    assert not unknown, f"acknowledged, and then not found when their events were raised: {unknown}"
    kinds = Counter(instance.split("-")[0] for instance in starts)
    assert min(kinds[language] for language in LANGUAGES) > KILLS, f"too little load to say anything: {kinds}"
    problems = []
    for instance, number in starts.items():
        try:
            state = hub.wait(instance, timeout=BACK_LIMIT_S)
            assert_status(state, "COMPLETED")
            assert_equal(state.get_output(), [number + len(STEPS), events[instance]])
        except Exception as error:
            problems.append(f"{instance}: {error!r}")
    # Once all have ended, every step of theirs is in it.
    steps = Counter((instance, name) for instance, name in lines(ledger, "step"))
    problems += [f"{instance}: {step} never ran" for instance in starts for step in STEPS if not steps[instance, step]]
    assert not problems, f"{len(problems)} of {len(starts)} were lost or wrong:\n" + "\n".join(problems[:20])
    again = sum(steps[instance, step] - 1 for instance in starts for step in STEPS)
    return f"{kinds['py']} + {kinds['js']} acknowledged starts with an event each, {again} activities ran again"


main()
