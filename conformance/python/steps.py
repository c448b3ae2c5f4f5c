"""Activities, fan-out, timers, ContinueAsNew: the plain life of one orchestration."""

from datetime import datetime, timedelta, timezone

from harness import *


def activity_add_one(_, number):
    return number + 1


def activity_echo(_, value):
    return value


@scenario()
def an_orchestrator_without_steps_completes_with_its_output(hub):
    def doubled(_, number):
        return number * 2

    with hub.worker(doubled):
        state = hub.run(doubled, input=21, instance_id=unique())
    assert_status(state, "COMPLETED")
    assert_equal((state.name, state.get_input(), state.get_output()), ("doubled", 21, 42))


@scenario()
def a_chain_passes_each_result_on(hub):
    def chain(ctx, number):
        for _ in range(10):
            number = yield ctx.call_activity(activity_add_one, input=number)
        return number

    with hub.worker(chain, activity_add_one):
        assert_equal(hub.output(chain, input=1), 11)


@scenario()
def a_fan_out_gives_its_results_in_order_of_the_calls(hub):
    def fan_out(ctx, width):
        calls = [ctx.call_activity(activity_echo, input=number) for number in range(width)]
        results = yield task.when_all(calls)
        return results

    with hub.worker(fan_out, activity_echo):
        assert_equal(hub.output(fan_out, input=300, timeout=60), list(range(300)))


@scenario()
def activities_of_one_fan_out_run_at_the_same_time(hub):
    together = threading.Barrier(8, timeout=20)

    def activity_meet(_, __):
        together.wait()

    def meeting(ctx, _):
        yield task.when_all([ctx.call_activity(activity_meet) for _ in range(8)])

    # The SDK's own default is a thread pool of cores + 4.
    concurrency = dt_worker.ConcurrencyOptions(maximum_thread_pool_workers=20)
    with hub.worker(meeting, activity_meet, concurrency_options=concurrency):
        hub.output(meeting)


@scenario()
def a_hundred_orchestrations_at_once_all_complete(hub):
    def two_steps(ctx, number):
        number = yield ctx.call_activity(activity_add_one, input=number)
        number = yield ctx.call_activity(activity_add_one, input=number)
        return number

    with hub.worker(two_steps, activity_add_one):
        ids = [hub.start(two_steps, input=number) for number in range(100)]
        assert_equal([hub.wait(one, 60).get_output() for one in ids], [number + 2 for number in range(100)])


@scenario()
def when_any_goes_on_with_the_first_and_completes_although_others_are_open(hub):
    release = threading.Event()

    def activity_slow(_, __):
        release.wait(20)

    def race(ctx, _):
        fast, slow = ctx.call_activity(activity_echo, input="fast"), ctx.call_activity(activity_slow)
        winner = yield task.when_any([slow, fast])
        return winner.get_result()

    with hub.worker(race, activity_echo, activity_slow):
        try:
            assert_equal(hub.output(race), "fast")
        finally:
            release.set()


@scenario()
def replays_see_the_same_time_and_the_same_ids(hub):
    seen = []

    def replayed(ctx, _):
        first = (ctx.current_utc_datetime, ctx.new_uuid())
        yield ctx.call_activity(activity_echo, input=1)
        second = (ctx.current_utc_datetime, ctx.new_uuid())
        seen.append((first, second))
        yield ctx.call_activity(activity_echo, input=2)
        seen.append((first, second))
        return str(first[1])

    with hub.worker(replayed, activity_echo):
        hub.output(replayed)
    assert len(seen) >= 3 and len(set(seen)) == 1, seen
    (first, _), (second, _) = seen[0]
    assert first < second, "the time of a later episode is not later"


@scenario()
def trap_20_a_timer_is_not_early_and_less_than_100_ms_late(hub):
    fired = []

    def sleeper(ctx, milliseconds):
        due = ctx.current_utc_datetime + timedelta(milliseconds=milliseconds)
        yield ctx.create_timer(due)
        if not ctx.is_replaying:
            fired.append((milliseconds, due, datetime.now(timezone.utc).replace(tzinfo=None), ctx.current_utc_datetime))

    with hub.worker(sleeper):
        for milliseconds in (1, 50, 500, 1500):
            for one in [hub.start(sleeper, input=milliseconds, instance_id=unique()) for _ in range(5)]:
                assert_status(hub.wait(one), "COMPLETED")
    late = {}
    for milliseconds, due, now, shown in fired:
        assert due <= now, f"fired at {now}, due {due}"
        assert due <= shown, f"the orchestrator sees {shown}, due {due}"
        late.setdefault(milliseconds, []).append((now - due) / timedelta(milliseconds=1))
    # This machine may be busy with other lanes, and they with other timers: a server that is late is late each time.
    assert_equal([len(each) for each in late.values()], [5] * 4)
    assert REFERENCE or all(min(each) < 100 for each in late.values()), f"{late} ms late"


@scenario()
def a_timer_in_the_past_fires_at_once(hub):
    def late(ctx, _):
        yield ctx.create_timer(ctx.current_utc_datetime - timedelta(hours=1))
        yield ctx.create_timer(timedelta(0))
        return "done"

    with hub.worker(late):
        assert_equal(hub.output(late), "done")


@scenario(differs="its TimerFired keeps the time, and passes too, but writes orchestratorCompleted")
def trap_20_a_timer_due_now_makes_an_episode_of_its_own(hub):
    def now(ctx, _):
        yield ctx.create_timer(ctx.current_utc_datetime)

    instance = unique()
    with hub.worker(now):
        hub.output(now, instance_id=instance)
    assert_equal(hub.kinds(instance), [
        "orchestratorStarted", "executionStarted", "timerCreated",
        "orchestratorStarted", "timerFired", "executionCompleted",
    ])


@scenario()
def trap_20_chunked_timers_meet_the_exact_time(hub):
    def long(ctx, _):
        yield ctx.create_timer(ctx.current_utc_datetime + timedelta(milliseconds=700, microseconds=123))
        return "fired"

    instance = unique()
    with hub.worker(long, maximum_timer_interval=timedelta(milliseconds=200)):
        assert_equal(hub.output(long, instance_id=instance), "fired")
    history = hub.raw_history(instance)
    created = {event.eventId: event.timerCreated.fireAt for event in history if event.HasField("timerCreated")}
    fired = {event.timerFired.timerId: event.timerFired.fireAt for event in history if event.HasField("timerFired")}
    assert len(created) >= 3, f"the SDK was expected to split the timer: {created}"
    assert_equal(fired, created)


@scenario()
def a_cancelled_timer_holds_nothing_up(hub):
    def cancels(ctx, _):
        timer = ctx.create_timer(timedelta(hours=1))
        step = ctx.call_activity(activity_echo, input=1)
        yield task.when_any([timer, step])
        timer.cancel()
        return (yield ctx.call_activity(activity_echo, input="after"))

    with hub.worker(cancels, activity_echo):
        assert_equal(hub.output(cancels), "after")


@scenario()
def continue_as_new_starts_over_with_the_new_input_and_an_empty_history(hub):
    def counter(ctx, number):
        if number == 5:
            return number
        yield ctx.call_activity(activity_echo, input=number)
        ctx.continue_as_new(number + 1)

    instance = unique()
    with hub.worker(counter, activity_echo):
        state = hub.run(counter, input=0, instance_id=instance)
    assert_equal((state.get_output(), state.get_input() if not REFERENCE else 5), (5, 5))
    assert_equal(hub.kinds(instance), ["orchestratorStarted", "executionStarted", "executionCompleted"])


@scenario()
def continue_as_new_a_hundred_times_keeps_its_place(hub):
    def counter(ctx, number):
        if number < 100:
            ctx.continue_as_new(number + 1)
            return None
        return number

    with hub.worker(counter):
        assert_equal(hub.output(counter, input=0), 100)


@scenario()
def continue_as_new_keeps_events_only_when_told_to(hub):
    def keeper(ctx, rounds):
        first = yield ctx.wait_for_external_event("item")
        if rounds["left"] == 0:
            return rounds["seen"] + [first]
        ctx.continue_as_new({"left": rounds["left"] - 1, "seen": rounds["seen"] + [first]}, save_events=True)

    def dropper(ctx, generation):
        if generation == 0:
            yield ctx.wait_for_external_event("go")
            ctx.continue_as_new(1, save_events=False)
            return None
        timer = ctx.create_timer(timedelta(milliseconds=300))
        item = ctx.wait_for_external_event("item")
        winner = yield task.when_any([timer, item])
        return "lost" if winner == timer else "kept"

    keep, drop = unique("keep"), unique("drop")
    hub.start(keeper, input={"left": 4, "seen": []}, instance_id=keep)
    hub.start(dropper, input=0, instance_id=drop)
    # All are raised before a worker is there, so that each generation but the last leaves some unread.
    for number in range(5):
        hub.client.raise_orchestration_event(keep, "item", data=number)
    hub.client.raise_orchestration_event(drop, "item", data="unread")
    hub.client.raise_orchestration_event(drop, "go")
    with hub.worker(keeper, dropper):
        assert_equal(hub.wait(keep).get_output(), [0, 1, 2, 3, 4])
        assert_equal(hub.wait(drop).get_output(), "lost")


@scenario()
def an_event_that_arrives_during_continue_as_new_is_not_lost(hub):
    def collector(ctx, seen):
        item = yield ctx.wait_for_external_event("item")
        seen = seen + [item]
        if len(seen) == 40:
            return seen
        ctx.continue_as_new(seen, save_events=True)

    instance = unique()
    with hub.worker(collector):
        hub.start(collector, input=[], instance_id=instance)
        for number in range(40):
            hub.client.raise_orchestration_event(instance, "item", data=number)
        assert_equal(hub.wait(instance).get_output(), list(range(40)))


@scenario()
def custom_status_is_seen_while_it_runs(hub):
    def reporter(ctx, _):
        ctx.set_custom_status({"step": 1})
        yield ctx.wait_for_external_event("go")
        ctx.set_custom_status("second")
        yield ctx.wait_for_external_event("go")
        return "done"

    with hub.worker(reporter):
        instance = hub.start(reporter, instance_id=unique())
        for wanted in ({"step": 1}, "second"):
            eventually(lambda: hub.state(instance).get_custom_status() == wanted)
            hub.client.raise_orchestration_event(instance, "go")
        assert_equal(hub.wait(instance).get_custom_status(), "second")


@scenario(differs="it clears the status at ContinueAsNew")
def trap_21_custom_status_outlives_continue_as_new_until_it_is_set_again(hub):
    def generations(ctx, generation):
        if generation == 0:
            ctx.set_custom_status("first")
            ctx.continue_as_new(1)
            return
        yield ctx.wait_for_external_event("go")
        ctx.set_custom_status("second")
        yield ctx.wait_for_external_event("go")

    with hub.worker(generations):
        instance = hub.start(generations, input=0, instance_id=unique())
        for wanted in ("first", "second"):
            eventually(lambda: hub.state(instance).get_custom_status() == wanted)
            hub.client.raise_orchestration_event(instance, "go")
        hub.wait(instance)


@scenario(differs="it stores an absent status as an empty one")
def trap_21_a_custom_status_that_the_replay_does_not_set_is_cleared(hub):
    def clears(ctx, _):
        ctx.set_custom_status("busy")
        yield ctx.wait_for_external_event("go")
        ctx.set_custom_status(None)
        yield ctx.wait_for_external_event("go")

    with hub.worker(clears):
        instance = hub.start(clears, instance_id=unique())
        eventually(lambda: hub.state(instance).get_custom_status() == "busy")
        hub.client.raise_orchestration_event(instance, "go")
        eventually(lambda: not hub.raw_state(instance).HasField("customStatus"))


@scenario()
def trap_17_steps_that_are_not_awaited_still_run(hub):
    ran = threading.Event()

    def activity_mark(_, __):
        ran.set()

    def leaves(ctx, _):
        ctx.call_activity(activity_mark)
        return "gone"
        yield

    with hub.worker(leaves, activity_mark):
        assert_equal(hub.output(leaves), "gone")
        assert ran.wait(10), "the activity beside the completion did not run"


@scenario(differs="it takes the result of the generation before")
def trap_17_steps_beside_continue_as_new_still_run_and_their_results_are_dropped(hub):
    ran = threading.Event()

    def activity_mark(_, __):
        ran.set()
        return "stale"

    def leaves(ctx, generation):
        if generation == 0:
            ctx.call_activity(activity_mark)
            ctx.continue_as_new(1)
            return None
        # The same action id as the one left behind, so a result that is not dropped would be taken for its result.
        return (yield ctx.call_activity(activity_echo, input="own"))

    with hub.worker(leaves, activity_mark, activity_echo):
        assert_equal(hub.output(leaves, input=0), "own")
        assert ran.wait(10), "the activity beside ContinueAsNew did not run"


@scenario(differs="it writes orchestratorCompleted and an ExecutionCompleted without its action's id")
def trap_02_the_history_is_exact(hub):
    def one_of_each(ctx, _):
        yield ctx.call_activity(activity_echo, input="a")
        yield ctx.create_timer(timedelta(milliseconds=10))
        yield ctx.call_sub_orchestrator(child)
        yield ctx.wait_for_external_event("go")

    def child(_, __):
        return "c"

    instance = unique()
    with hub.worker(one_of_each, child, activity_echo):
        hub.start(one_of_each, instance_id=instance)
        eventually(lambda: "subOrchestrationInstanceCompleted" in hub.kinds(instance))
        hub.client.raise_orchestration_event(instance, "go")
        hub.wait(instance)
    history = hub.raw_history(instance)
    found = [(event.WhichOneof("eventType"), event.eventId) for event in history]
    assert_equal(found, [
        ("orchestratorStarted", -1), ("executionStarted", 0), ("taskScheduled", 1),
        ("orchestratorStarted", -1), ("taskCompleted", -1), ("timerCreated", 2),
        ("orchestratorStarted", -1), ("timerFired", -1), ("subOrchestrationInstanceCreated", 3),
        ("orchestratorStarted", -1), ("subOrchestrationInstanceCompleted", -1),
        ("orchestratorStarted", -1), ("eventRaised", -1), ("executionCompleted", 4),
    ])
    assert all(event.HasField("timestamp") for event in history)
