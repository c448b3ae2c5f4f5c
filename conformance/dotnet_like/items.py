"""What a worker is sent: orchestrator and activity items, field by field."""

import random

from raw import *

NEVER_SENT = {"historyState", "continueAsNew", "genericEvent", "orchestratorCompleted", "executionRewound"}


@scenario(differs="it has no executionId")
def trap_04_each_generation_has_an_execution_id_of_its_own(hub):
    seen = []
    with RawWorker(hub) as worker:
        instance = create(hub)
        for generation in range(4):
            item = worker.orchestrator(instance)
            request, started = item.orchestratorRequest, started_in(item)
            assert_equal(request.executionId.value, started.orchestrationInstance.executionId.value)
            seen.append(request.executionId.value)
            worker.answer(item, again(0, "x") if generation < 3 else complete(0))
        hub.wait(instance)
    assert len(set(seen)) == 4, seen
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in seen), seen
    assert_equal(hub.raw_state(instance).executionId.value, seen[-1])


@scenario(differs="it has no executionId")
def trap_04_a_given_execution_id_is_used(hub):
    given = "0123456789abcdef0123456789abcdef"
    with RawWorker(hub) as worker:
        instance = create(hub, executionId=text(given))
        item = worker.orchestrator(instance)
        assert_equal(item.orchestratorRequest.executionId.value, given)
        assert_equal(started_in(item).orchestrationInstance.executionId.value, given)
        worker.answer(item, complete(0))


@scenario(differs="it keeps the empty id")
def trap_04_an_empty_child_id_is_made_from_the_execution_and_the_action(hub):
    with RawWorker(hub) as worker:
        instance, made = create(hub), []
        for generation in range(2):
            item = worker.orchestrator(instance)
            execution = item.orchestratorRequest.executionId.value
            worker.answer(item, child(10))
            below = worker.orchestrator()
            made.append(below.orchestratorRequest.instanceId)
            assert_equal(made[-1], f"{execution}:000a")
            worker.answer(below, complete(0, "below"))
            item = worker.orchestrator(instance)
            worker.answer(item, again(11) if generation == 0 else complete(11))
        assert made[0] != made[1]
        hub.wait(instance)


@scenario()
def trap_05_a_past_start_time_means_now_and_is_not_the_time_of_the_episode(hub):
    with RawWorker(hub) as worker:
        before = time.time_ns()
        instance = create(hub, scheduledStartTimestamp=timestamp(0))
        item = worker.orchestrator(instance)
        shown = item.orchestratorRequest.newEvents[0].timestamp.ToNanoseconds()
        assert shown > before - 10**9, shown
        worker.answer(item, complete(0))


@scenario(differs="it sends everything inline")
def trap_06_a_long_history_goes_only_to_a_worker_that_streams(hub):
    large = "x" * 1_500_000
    with RawWorker(hub, capabilities=()) as plain:
        instance = create(hub)
        plain.answer(plain.orchestrator(instance), *[schedule(number) for number in range(3)])
        for _ in range(3):
            plain.result(plain.activity(), large)
        # What fits comes inline; in the end the history is over 4 MiB and does not fit.
        done = 0
        while done < 3:
            try:
                item = plain.take(timeout=2)
            except AssertionError:
                break
            done += new_kinds(item).count("taskCompleted")
            assert item.ByteSize() < 4 << 20, "an item over the limit of the SDKs"
            plain.answer(item)
        assert done < 3, "the whole history went inline"
    with RawWorker(hub) as streaming:
        item = streaming.orchestrator(instance, timeout=20)
        request = item.orchestratorRequest
        assert request.requiresHistoryStreaming and not request.pastEvents
        chunks = streaming.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(
            instanceId=instance, executionId=request.executionId, forWorkItemProcessing=True))
        chunks = list(chunks)
        assert all(chunk.ByteSize() < 4 << 20 for chunk in chunks)
        events = [event for chunk in chunks for event in chunk.events]
        assert_equal(kinds_of(events)[:2], ["orchestratorStarted", "executionStarted"])
        found = kinds_of([*events, *request.newEvents]).count("taskCompleted")
        assert_equal(found, 3)
        streaming.answer(item, complete(3, "end"))
        assert_equal(hub.wait(instance).serialized_output, "end")


@scenario(differs="its filters know no case and no inherited version")
def trap_13_an_explicit_empty_version_inherits_nothing(hub):
    filters = pb.WorkItemFilters(activities=[pb.ActivityFilter(name="ACTIVITY", versions=["2.0"])])
    with RawWorker(hub, filters=pb.WorkItemFilters(orchestrations=[pb.OrchestrationFilter(name="orchestrator")])) as one, \
            RawWorker(hub, filters=filters) as two:
        instance = create(hub, version=text("2.0"))
        one.answer(one.orchestrator(instance), schedule(0), schedule(1, version=text("")), schedule(2, version=text("1.0")))
        item = two.activity()
        assert_equal((item.activityRequest.taskId, item.activityRequest.HasField("version")), (0, False))
        two.nothing(0.3)
        one.nothing(0.1)
    unversioned = pb.WorkItemFilters(activities=[pb.ActivityFilter(name="activity", versions=[""])])
    with RawWorker(hub, filters=unversioned) as three:
        assert_equal(three.activity().activityRequest.taskId, 1)


@scenario()
def trap_17_all_actions_of_an_answer_count_in_any_order(hub):
    with RawWorker(hub) as worker:
        target, instance = create(hub), create(hub)
        for _ in range(2):
            item = worker.orchestrator()
            if item.orchestratorRequest.instanceId == target:
                worker.answer(item)
            else:
                actions = [schedule(0), send(1, target, data="sent"), child(2, unique("child")), complete(3, "end")]
                random.shuffle(actions)
                worker.answer(item, *actions)
        assert_equal(hub.wait(instance).serialized_output, "end")
        kinds = [(item.WhichOneof("request"), new_kinds(item)[-1] if item.HasField("orchestratorRequest") else "")
                 for item in (worker.take() for _ in range(3))]
        assert_equal(sorted(kinds), sorted([
            ("activityRequest", ""), ("orchestratorRequest", "eventRaised"), ("orchestratorRequest", "executionStarted")]))


@scenario(differs="it drops what the generation sends to itself")
def trap_17_an_event_to_itself_beside_continue_as_new_comes_before_what_arrived_meanwhile(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        item = worker.orchestrator(instance)
        raise_event(hub, instance, "meanwhile")
        carried = pb.HistoryEvent(eventId=-1, timestamp=now(), eventRaised=pb.EventRaisedEvent(name="carried"))
        worker.answer(item, send(0, instance, "self"), again(1, "second", carryoverEvents=[carried]))
        item = worker.orchestrator(instance)
        assert_equal(started_in(item).input.value, "second")
        assert_equal(past_kinds(item), [])
        names = [event.eventRaised.name for event in item.orchestratorRequest.newEvents if event.HasField("eventRaised")]
        assert_equal(sorted(names), ["carried", "meanwhile", "self"])
        assert_equal(names[-1], "meanwhile")
        worker.answer(item, send(2, instance, "nobody"), complete(3))
        hub.wait(instance)
        worker.nothing(0.3)


@scenario()
def trap_18_the_first_item_begins_with_the_start_whatever_arrived_before(hub):
    instance = create(hub)
    raise_event(hub, instance, "early")
    with RawWorker(hub) as worker:
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted", "executionStarted", "eventRaised"])
        assert_equal(past_kinds(item), [])
        assert_equal(raw_status(hub, instance), "PENDING")
        with refused("DEADLINE_EXCEEDED"):
            hub.stub.WaitForInstanceStart(pb.GetInstanceRequest(instanceId=instance), timeout=0.5)
        worker.answer(item, schedule(0))
        state = hub.stub.WaitForInstanceStart(pb.GetInstanceRequest(instanceId=instance), timeout=10)
        assert_equal(state.orchestrationState.orchestrationStatus, pb.ORCHESTRATION_STATUS_RUNNING)


@scenario(differs="its OrchestratorStarted shows the clock of the moment")
def trap_18_an_episode_is_not_before_the_timers_it_is_told_of(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        due = [now(0.2 + number / 1000) for number in range(5)]
        worker.answer(worker.orchestrator(instance), *[timer(number, at) for number, at in enumerate(due)])
        fired = 0
        while fired < 5:
            item = worker.orchestrator(instance)
            events = item.orchestratorRequest.newEvents
            assert_equal(kinds_of(events)[0], "orchestratorStarted")
            shown = events[0].timestamp.ToNanoseconds()
            for event in events:
                if event.HasField("timerFired"):
                    fired += 1
                    assert_equal(event.timerFired.fireAt, due[event.timerFired.timerId])
                    assert shown >= event.timerFired.fireAt.ToNanoseconds()
            worker.answer(item, *([complete(5)] if fired == 5 else []))


@scenario(differs="it writes orchestratorCompleted, and sends ExecutionRewound")
def trap_19_kinds_that_fail_an_sdk_are_never_sent(hub):
    sent = []
    with RawWorker(hub) as worker:
        instance = create(hub)

        def step(*actions):
            item = worker.orchestrator(instance)
            sent.extend(past_kinds(item) + new_kinds(item))
            worker.answer(item, *actions)

        step(timer(0, now()), again(1, "x"))
        step(timer(0, now()))
        step(child(1, unique("child")))
        below = worker.orchestrator()
        worker.answer(below, complete(0, "below"))
        step()
        hub.client.suspend_orchestration(instance)
        step()
        hub.client.resume_orchestration(instance)
        step(fail(2))
        hub.wait(instance)
        hub.client.rewind_orchestration(instance, reason="again")
        step(complete(3))
        hub.wait(instance)
    assert not NEVER_SENT & set(sent), sorted(NEVER_SENT & set(sent))
    assert "executionSuspended" in sent and "executionResumed" in sent


@scenario(differs="it compares times as microseconds")
def trap_20_the_time_of_a_timer_is_kept_to_the_nanosecond(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        due = now(0.1)
        due.nanos = due.nanos // 1000 * 1000 + 789
        worker.answer(worker.orchestrator(instance), timer(0, due))
        item = worker.orchestrator(instance)
        assert_equal(item.orchestratorRequest.newEvents[1].timerFired.fireAt, due)
        assert_equal(item.orchestratorRequest.pastEvents[2].timerCreated.fireAt, due)
        assert time.time_ns() >= due.ToNanoseconds()
        worker.answer(item, complete(1))


@scenario(differs="it sends none of it")
def trap_22_entity_parameters_and_trace_contexts_are_passed_on(hub):
    parent = pb.TraceContext(traceParent="00-11111111111111111111111111111111-2222222222222222-01", traceState=text("a=b"))
    task_trace = pb.TraceContext(traceParent="00-11111111111111111111111111111111-3333333333333333-01")
    span = pb.OrchestrationTraceContext(spanID=text("4444444444444444"), spanStartTime=now())
    with RawWorker(hub) as worker:
        instance = create(hub, parentTraceContext=parent)
        item = worker.orchestrator(instance)
        assert item.orchestratorRequest.HasField("entityParameters")
        assert_equal(started_in(item).parentTraceContext, parent)
        below = unique("child")
        worker.answer(item, schedule(0, parentTraceContext=task_trace, tags={"a": "b"}),
                      child(1, below, parentTraceContext=task_trace), orchestrationTraceContext=span)
        for _ in range(2):
            item = worker.take()
            if item.HasField("activityRequest"):
                assert_equal(item.activityRequest.parentTraceContext, task_trace)
                assert_equal(dict(item.activityRequest.tags), {"a": "b"})
                worker.result(item)
            else:
                assert_equal(item.orchestratorRequest.instanceId, below)
                assert_equal(started_in(item).parentTraceContext, task_trace)
        item = worker.orchestrator(instance)
        assert_equal(item.orchestratorRequest.orchestrationTraceContext, span)
        worker.answer(item, complete(2))


@scenario(differs="it makes absent and empty one")
def trap_23_absent_empty_and_null_stay_three_things_everywhere(hub):
    shown = lambda field, message: getattr(message, field).value if message.HasField(field) else None
    with RawWorker(hub) as worker:
        for value in (None, "", "null", "not json {"):
            instance, below = create(hub, input=text(value)), unique("child")
            item = worker.orchestrator(instance)
            assert_equal(shown("input", started_in(item)), value)
            worker.answer(item, schedule(0, input=value))
            step = worker.activity()
            assert_equal(shown("input", step.activityRequest), value)
            worker.result(step, value)
            item = worker.orchestrator(instance)
            assert_equal(shown("result", item.orchestratorRequest.newEvents[1].taskCompleted), value)
            worker.answer(item, child(1, below, input=value))
            item = worker.orchestrator(below)
            assert_equal(shown("input", started_in(item)), value)
            worker.answer(item, complete(0, value))
            item = worker.orchestrator(instance)
            assert_equal(
                shown("result", item.orchestratorRequest.newEvents[1].subOrchestrationInstanceCompleted), value)
            worker.answer(item)
            raise_event(hub, instance, "go", value)
            item = worker.orchestrator(instance)
            assert_equal(shown("input", item.orchestratorRequest.newEvents[1].eventRaised), value)
            worker.answer(item, complete(2, value), customStatus=text(value))
            hub.wait(instance)
            state = hub.raw_state(instance)
            assert_equal([shown(field, state) for field in ("input", "output", "customStatus")], [value] * 3)


@scenario(differs="it knows no recursion, and needs no worker's answer to suspend")
def trap_24_terminate_suspend_and_resume_reach_the_worker_as_sent(hub):
    with RawWorker(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), schedule(0))
        worker.activity()
        hub.client.suspend_orchestration(instance, reason="why")
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted", "executionSuspended"])
        assert_equal(item.orchestratorRequest.newEvents[1].executionSuspended.input.value, "why")
        worker.answer(item)
        raise_event(hub, instance, "held")
        worker.nothing(0.3)
        hub.client.resume_orchestration(instance)
        item = worker.orchestrator(instance)
        assert_equal(new_kinds(item), ["orchestratorStarted", "executionResumed", "eventRaised"])
        worker.answer(item)
        for recursive in (True,):
            hub.client.terminate_orchestration(instance, output="end", recursive=recursive)
            item = worker.orchestrator(instance)
            assert_equal(new_kinds(item), ["orchestratorStarted", "executionTerminated"])
            event = item.orchestratorRequest.newEvents[1].executionTerminated
            assert_equal((event.input.value, event.recurse), ('"end"', recursive))
        worker.answer(item, complete(1, '"end"', status=pb.ORCHESTRATION_STATUS_TERMINATED))
        assert_status(hub.wait(instance), "TERMINATED")


@scenario()
def trap_31_what_an_earlier_worker_left_goes_to_the_next(hub):
    instances = {create(hub, unique("left")) for _ in range(5)}
    with RawWorker(hub) as worker:
        found = set()
        for _ in instances:
            item = worker.orchestrator()
            found.add(item.orchestratorRequest.instanceId)
            worker.answer(item, complete(0))
    assert_equal(found, instances)
