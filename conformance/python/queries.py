"""Lists, pages, histories."""

from datetime import datetime, timedelta, timezone

from harness import *

Query, Status = dt_client.OrchestrationQuery, dt_client.OrchestrationStatus


def ends(ctx, value):
    if value == "fail":
        raise RuntimeError("as told")
    return value
    yield


def forever(ctx, _):
    yield ctx.wait_for_external_event("never")


def ids(states):
    return sorted(state.instance_id for state in states)


@scenario(differs="it knows no prefix")
def queries_filter_by_prefix_status_and_time(hub):
    prefix = unique("query")
    with hub.worker(ends, forever):
        done = [hub.start(ends, input=n, instance_id=f"{prefix}-done-{n}") for n in range(3)]
        failed = hub.start(ends, input="fail", instance_id=f"{prefix}-failed")
        [hub.wait(one) for one in (*done, failed)]
        time.sleep(0.02)
        middle = datetime.now(timezone.utc)
        live = hub.start(forever, instance_id=f"{prefix}-live")
        hub.until_status(live, "RUNNING")
        ask = lambda **how: ids(hub.client.get_all_orchestration_states(Query(instance_id_prefix=prefix, **how)))
        assert_equal(ask(), sorted([*done, failed, live]))
        assert_equal(ask(runtime_status=[Status.COMPLETED]), sorted(done))
        assert_equal(ask(runtime_status=[Status.FAILED, Status.RUNNING]), sorted([failed, live]))
        assert_equal(ask(created_time_from=middle), [live])
        assert_equal(ask(created_time_to=middle), sorted([*done, failed]))
        assert_equal(ids(hub.client.get_all_orchestration_states(Query(instance_id_prefix=prefix + "-none"))), [])


@scenario(differs="it knows no prefix")
def trap_25_pages_are_complete_and_the_last_has_no_token(hub):
    prefix = unique("page")
    with hub.worker(ends):
        started = [hub.start(ends, instance_id=f"{prefix}-{n:03}") for n in range(20)]
        [hub.wait(one) for one in started]
    for size in (1, 3, 5, 20, 100):
        found, pages, token = [], 0, None
        while True:
            query = pb.InstanceQuery(
                maxInstanceCount=size, instanceIdPrefix={"value": prefix},
                continuationToken={"value": token} if token else None)
            answer = hub.stub.QueryInstances(pb.QueryInstancesRequest(query=query))
            found += [state.instanceId for state in answer.orchestrationState]
            pages += 1
            if not answer.HasField("continuationToken"):
                break
            assert answer.continuationToken.value not in ("", "0", token)
            assert_equal(len(answer.orchestrationState), size, "a page with a token is full")
            token = answer.continuationToken.value
        assert_equal(sorted(found), started, f"pages of {size}")
        assert_equal(pages, -(-20 // size), f"pages of {size}: none is empty, also when the last is exactly full")


@scenario(differs="it knows no prefix")
def trap_25_a_token_is_a_position_with_any_page_size_and_empty_texts_are_absent(hub):
    prefix = unique("token")
    with hub.worker(ends):
        started = [hub.start(ends, instance_id=f"{prefix}-{n:03}") for n in range(9)]
        [hub.wait(one) for one in started]

    def page(size, token):
        query = pb.InstanceQuery(maxInstanceCount=size, instanceIdPrefix={"value": prefix},
                                 continuationToken={"value": token})
        return hub.stub.QueryInstances(pb.QueryInstancesRequest(query=query))

    first = page(2, "")
    second = page(3, first.continuationToken.value)
    third = page(0, second.continuationToken.value)
    found = [state.instanceId for answer in (first, second, third) for state in answer.orchestrationState]
    assert_equal(sorted(found), started)
    assert not third.HasField("continuationToken")


@scenario(differs="it sends a page of any size")
def trap_06_pages_are_cut_by_bytes_before_rows(hub):
    prefix = unique("large")
    with hub.worker(ends):
        started = [hub.start(ends, input="x" * 700_000, instance_id=f"{prefix}-{n}") for n in range(8)]
        [hub.wait(one) for one in started]
    query = Query(instance_id_prefix=prefix, fetch_inputs_and_outputs=True)
    states = hub.client.get_all_orchestration_states(query)  # 11 MB; the SDK receives 4 MiB at most in one message
    assert_equal(ids(states), started)
    assert all(len(state.get_output()) == 700_000 for state in states)


@scenario()
def a_query_without_payloads_has_none(hub):
    with hub.worker(ends):
        instance = hub.start(ends, input="in", instance_id=unique())
        hub.wait(instance)
    light = hub.client.get_orchestration_state(instance, fetch_payloads=False)
    full = hub.client.get_orchestration_state(instance)
    assert_equal((light.serialized_input, light.serialized_output), (None, None))
    assert_equal((full.get_input(), full.get_output()), ("in", "in"))


@scenario()
def terminal_ids_are_listed_page_by_page(hub):
    began = datetime.now(timezone.utc)
    with hub.worker(ends, forever):
        started = [hub.start(ends, instance_id=unique("list")) for _ in range(7)]
        [hub.wait(one) for one in started]
        live = hub.start(forever, instance_id=unique("live"))
        hub.until_status(live, "RUNNING")
        found, token = [], None
        while True:
            page = hub.client.list_instance_ids(
                completed_time_from=began, page_size=3, continuation_token=token)
            found += page.items
            if not page.continuation_token:
                break
            if not REFERENCE:
                assert page.items[-1] in page.continuation_token, "the last id stands in the cursor in clear"
            token = page.continuation_token
        assert_equal(sorted(found), sorted(started))
        later = datetime.now(timezone.utc) + timedelta(minutes=1)
        assert_equal(hub.client.list_instance_ids(completed_time_from=later).items, [])


@scenario()
def a_history_can_be_read_and_an_unknown_one_is_not_found(hub):
    with hub.worker(ends):
        instance = hub.start(ends, input=[1], instance_id=unique())
        hub.wait(instance)
    events = hub.client.get_orchestration_history(instance)
    started = next(event for event in events if type(event).__name__ == "ExecutionStartedEvent")
    assert_equal((started.name, started.input), ("ends", "[1]"))
    with refused("NOT_FOUND"):
        hub.client.get_orchestration_history(unique("nobody"))


@scenario(differs="it sends one chunk of any size")
def trap_06_a_long_history_is_streamed_in_chunks(hub):
    def activity_large(_, number):
        return "x" * 300_000

    def collects(ctx, _):
        for number in range(10):
            yield ctx.call_activity(activity_large, input=number)

    instance = unique()
    with hub.worker(collects, activity_large):
        hub.output(collects, instance_id=instance)
    events = hub.client.get_orchestration_history(instance)
    assert_equal(sum(type(event).__name__ == "TaskCompletedEvent" for event in events), 10)


@scenario(differs="its last update moves with late events")
def trap_27_times_are_set_and_stand_still_at_the_end(hub):
    before = datetime.now(timezone.utc)
    with hub.worker(ends):
        instance = hub.start(ends, instance_id=unique())
        hub.wait(instance)
    state = hub.raw_state(instance)
    created = state.createdTimestamp.ToDatetime(timezone.utc)
    assert before - timedelta(milliseconds=1) <= created <= datetime.now(timezone.utc), (before, created)
    assert state.createdTimestamp.nanos % 1_000_000 or state.lastUpdatedTimestamp.nanos % 1_000_000, "only milliseconds"
    assert_equal(state.lastUpdatedTimestamp, state.completedTimestamp)
    assert state.executionId.value, "executionId is set"


@scenario()
def trap_18_each_episode_is_later_than_the_one_before(hub):
    def activity_nothing(_, __):
        pass

    def many(ctx, _):
        for _ in range(20):
            yield ctx.call_activity(activity_nothing)

    instance = unique()
    with hub.worker(many, activity_nothing):
        hub.output(many, instance_id=instance)
    times = [event.timestamp.ToNanoseconds() for event in hub.raw_history(instance)
             if event.HasField("orchestratorStarted")]
    assert len(times) == 21 and all(one < two for one, two in zip(times, times[1:])), times
