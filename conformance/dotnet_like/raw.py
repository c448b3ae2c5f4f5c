"""A worker that is scripted rpc by rpc, as the SDKs' own workers are not, and the pieces of its answers.

What it does by default is what .NET's worker does: it announces history streaming and all three limits, and answers
with tokens. `tokenless` answers as older Go and Dapr's JavaScript do.
"""

import queue

from google.protobuf import timestamp_pb2, wrappers_pb2

from harness import *

STREAMING = pb.WORKER_CAPABILITY_HISTORY_STREAMING


class RawWorker:
    """One GetWorkItems stream on a connection of its own (or on a given one)."""

    def __init__(self, hub, capabilities=(STREAMING,), orchestrations=100, activities=100, filters=None, channel=None,
                 hello=True):
        # Without a pool of its own, gRPC would share one connection among all channels of one address.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20)]
        self.channel = channel or grpc.insecure_channel(hub.address, options=options)
        self.stub = Stub(self.channel, hub.metadata)
        self.pings, self.ended = 0, None
        self._items = queue.SimpleQueue()
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=orchestrations,
            maxConcurrentActivityWorkItems=activities,
            maxConcurrentEntityWorkItems=100,
            capabilities=capabilities,
            workItemFilters=filters,
        )
        if hello:
            self.stub.Hello(Empty())
        self._stream = self.stub.GetWorkItems(request)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for item in self._stream:
                if item.HasField("healthPing"):
                    self.pings += 1
                else:
                    self._items.put(item)
        except grpc.RpcError as error:
            self.ended = error.code()

    def take(self, timeout=10):
        """The next item, of either kind."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no work item within {timeout} s") from None

    def orchestrator(self, instance=None, timeout=10):
        """The next item, which must be an orchestrator's (of this instance)."""
        item = self.take(timeout)
        assert item.WhichOneof("request") == "orchestratorRequest", item
        if instance:
            assert_equal(item.orchestratorRequest.instanceId, instance)
        return item

    def activity(self, timeout=10):
        item = self.take(timeout)
        assert item.WhichOneof("request") == "activityRequest", item
        return item

    def nothing(self, seconds=0.5):
        """No item comes in this time."""
        try:
            item = self._items.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f"an item came that should not: {item}")

    def answer(self, item, *actions, token=True, **more):
        """Answers an orchestrator's item; a status is given as `customStatus=text(..)`."""
        self.stub.CompleteOrchestratorTask(pb.OrchestratorResponse(
            instanceId=item.orchestratorRequest.instanceId,
            actions=actions,
            completionToken=item.completionToken if token else "",
            **more,
        ))

    def result(self, item, value=None, failure=None, token=True):
        """Answers an activity's item."""
        request = item.activityRequest
        self.stub.CompleteActivityTask(pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            result=text(value),
            failureDetails=failure,
            completionToken=item.completionToken if token else "",
        ))

    def drop_stream(self):
        """Cancels the stream; the connection stays."""
        self._stream.cancel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.cancel()
        self.channel.close()


def Empty():
    from google.protobuf import empty_pb2

    return empty_pb2.Empty()


def text(value):
    """A StringValue that is present, or none."""
    return None if value is None else wrappers_pb2.StringValue(value=value)


def timestamp(nanoseconds):
    return timestamp_pb2.Timestamp(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)


def now(more_seconds=0):
    return timestamp(time.time_ns() + int(more_seconds * 10**9))


def create(hub, instance=None, name="orchestrator", **more):
    instance = instance or unique()
    hub.stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance, name=name, **more))
    return instance


def schedule(number, name="activity", input=None, **more):
    return pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name=name, input=text(input), **more))


def timer(number, fire_at):
    return pb.OrchestratorAction(id=number, createTimer=pb.CreateTimerAction(fireAt=fire_at))


def child(number, instance="", name="child", input=None, **more):
    return pb.OrchestratorAction(id=number, createSubOrchestration=pb.CreateSubOrchestrationAction(
        instanceId=instance, name=name, input=text(input), **more))


def send(number, instance, name="go", data=None):
    return pb.OrchestratorAction(id=number, sendEvent=pb.SendEventAction(
        instance=pb.OrchestrationInstance(instanceId=instance), name=name, data=text(data)))


def complete(number, result=None, status=pb.ORCHESTRATION_STATUS_COMPLETED, **more):
    return pb.OrchestratorAction(id=number, completeOrchestration=pb.CompleteOrchestrationAction(
        orchestrationStatus=status, result=text(result), **more))


def fail(number, message="as told", inner=None):
    details = pb.TaskFailureDetails(errorType="Error", errorMessage=message, innerFailure=inner)
    return complete(number, status=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=details)


def again(number, input=None, **more):
    return complete(number, input, status=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, **more)


def raise_event(hub, instance, name="go", data=None):
    hub.stub.RaiseEvent(pb.RaiseEventRequest(instanceId=instance, name=name, input=text(data)))


def kinds_of(events):
    return [event.WhichOneof("eventType") for event in events]


def new_kinds(item):
    return kinds_of(item.orchestratorRequest.newEvents)


def past_kinds(item):
    return kinds_of(item.orchestratorRequest.pastEvents)


def started_in(item):
    """The ExecutionStarted of an item."""
    request = item.orchestratorRequest
    for event in (*request.pastEvents, *request.newEvents):
        if event.HasField("executionStarted"):
            return event.executionStarted
    raise AssertionError("no ExecutionStarted")


def raw_status(hub, instance):
    state = hub.raw_state(instance)
    return pb.OrchestrationStatus.Name(state.orchestrationStatus).removeprefix("ORCHESTRATION_STATUS_") if state else None
