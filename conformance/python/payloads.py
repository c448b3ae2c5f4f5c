"""Falsy, large and odd payloads through Python alone; between languages they go in the suite `cross`."""

from harness import *

FALSY = [0, False, None, "", [], {}, 0.0]


def activity_echo(_, value):
    return value


def same(found, wanted):
    assert_equal([(type(one), one) for one in found], [(type(one), one) for one in wanted])


@scenario()
def falsy_values_survive_as_inputs_outputs_results_and_events(hub):
    def through(ctx, value):
        value = yield ctx.call_activity(activity_echo, input=value)
        value = yield ctx.call_sub_orchestrator(child, input=value)
        event = yield ctx.wait_for_external_event("value")
        return [value, event]

    def child(_, value):
        return value

    with hub.worker(through, child, activity_echo):
        for value in FALSY:
            instance = hub.start(through, input=value, instance_id=unique())
            hub.client.raise_orchestration_event(instance, "value", data=value)
            same(hub.wait(instance).get_output(), [value, value])


@scenario(differs="it gives absent payloads as empty ones")
def trap_23_absent_empty_and_null_stay_three_things(hub):
    def gives(ctx, _):
        return None
        yield

    with hub.worker(gives):
        for sent, text in ((None, None), ({"value": ""}, ""), ({"value": "null"}, "null")):
            instance = unique()
            hub.stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance, name="gives", input=sent))
            hub.wait(instance)
            state = hub.raw_state(instance)
            assert_equal(state.input.value if state.HasField("input") else None, text)
            assert not state.HasField("output") and not state.HasField("customStatus")


@scenario(differs="it keeps the custom status and failure details")
def trap_23_without_payloads_nothing_of_them_is_given(hub):
    def fails(ctx, _):
        ctx.set_custom_status("status")
        yield ctx.call_activity(activity_echo, input=1)
        raise RuntimeError("as told")

    with hub.worker(fails, activity_echo):
        instance = hub.start(fails, input="in", instance_id=unique())
        hub.wait(instance)
    state = hub.raw_state(instance, payloads=False)
    shown = [name for name in ("input", "output", "customStatus", "failureDetails") if state.HasField(name)]
    assert_equal(shown, [])
    state = hub.raw_state(instance)
    assert_equal((state.customStatus.value, state.failureDetails.errorMessage), ('"status"', "as told"))


@scenario()
def unicode_and_control_characters_survive(hub):
    text = "".join(map(chr, range(0x20))) + "\x7f\u00e9\u2028\U0001f980 \"\\"

    def echo(ctx, value):
        return (yield ctx.call_activity(activity_echo, input=value))

    with hub.worker(echo, activity_echo):
        assert_equal(hub.output(echo, input=text), text)


@scenario()
def a_payload_of_a_megabyte_goes_through(hub):
    def echo(ctx, value):
        return (yield ctx.call_activity(activity_echo, input=value))

    text = "x" * 1_000_000
    with hub.worker(echo, activity_echo):
        assert_equal(hub.output(echo, input=text), text)


@scenario(differs="it sends it, and the SDK cannot receive it")
def trap_06_an_item_over_the_limit_waits_and_the_worker_goes_on(hub):
    """Two results of 2.5 MB: the history is over what a Python worker can receive, so the item must stay with the
    server, and everything else of this worker goes on."""

    def activity_large(_, __):
        return "x" * 2_500_000

    def collects(ctx, _):
        yield ctx.call_activity(activity_large)
        yield ctx.call_activity(activity_large)

    def small(ctx, value):
        return (yield ctx.call_activity(activity_echo, input=value))

    with hub.worker(collects, small, activity_large, activity_echo):
        instance = hub.start(collects, instance_id=unique())
        eventually(lambda: hub.kinds(instance).count("taskScheduled") == 2)
        for number in range(20):
            assert_equal(hub.output(small, input=number), number)
        assert_equal(hub.status(instance), "RUNNING")


@scenario(differs="it sends it, and the SDK cannot receive it")
def trap_06_a_payload_just_under_the_limit_goes_through_and_one_just_over_waits(hub):
    def length(_, value):
        return len(value)

    # The limit is a little under the 4 MiB that the SDK receives, and of the whole message.
    under, over = "x" * 3_950_000, "x" * 4_190_000
    with hub.worker(length):
        waits = hub.start(length, input=over, instance_id=unique())
        state = hub.run(length, input=under, instance_id=unique())
        assert_status(state, "COMPLETED")
        assert_equal(state.get_output(), len(under))
        # It is kept as it is: another worker could take it.
        time.sleep(0.3)
        light = hub.client.get_orchestration_state(waits, fetch_payloads=False)
        assert_equal(light.runtime_status.name, "PENDING")


@scenario(differs="its own limit of 4 MiB")
def trap_06_the_server_receives_more_than_an_sdk_sends(hub):
    channel = grpc.insecure_channel(hub.address, options=[("grpc.max_receive_message_length", 64 << 20)])
    stub, instance, text = Stub(channel, hub.metadata), unique(), "x" * 10_000_000
    stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance, name="nobody", input={"value": text}))
    found = stub.GetInstance(pb.GetInstanceRequest(instanceId=instance, getInputsAndOutputs=True))
    assert_equal(len(found.orchestrationState.input.value), len(text))
    channel.close()
