"""How items are shared among workers."""

import collections

from raw import *


class Counting:
    """A worker that answers each activity at once, on a thread of its own, and counts them."""

    def __init__(self, hub):
        self.count = 0
        self._worker = RawWorker(hub, orchestrations=1, activities=50, filters=pb.WorkItemFilters(
            activities=[pb.ActivityFilter(name="activity")]))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        # A call whose future nobody holds is cancelled.
        answers = collections.deque(maxlen=1000)
        while True:
            try:
                item = self._worker.take(timeout=1)
            except AssertionError:
                continue
            self.count += 1
            request = item.activityRequest
            answers.append(self._worker.stub.CompleteActivityTask.future(pb.ActivityResponse(
                instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId,
                completionToken=item.completionToken)))


def orchestrators(hub):
    return RawWorker(hub, activities=1, filters=pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name="orchestrator")]))


def until_all_are_done(worker, instance, count):
    """Answers its items until so many results have come; gives the size of the largest item."""
    done, largest = 0, 0
    while done < count:
        item = worker.orchestrator(instance, timeout=60)
        done += new_kinds(item).count("taskCompleted")
        largest = max(largest, len(item.orchestratorRequest.newEvents))
        worker.answer(item, *([complete(count)] if done == count else []))
    return largest


@scenario(slow=True, differs="it asks for no room and shares by chance")
def two_equal_workers_share_ten_thousand_items(hub):
    count = 10_000
    one, two = Counting(hub), Counting(hub)
    with orchestrators(hub) as worker:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), *[schedule(number) for number in range(count)])
        largest = until_all_are_done(worker, instance, count)
    assert_equal(one.count + two.count, count)
    assert min(one.count, two.count) >= 0.4 * count, (one.count, two.count)
    assert largest <= 1001, f"an episode took {largest} events"


@scenario(differs="it asks for no room and shares by chance")
def a_worker_that_does_not_answer_holds_up_what_it_has_and_no_more(hub):
    count, room = 1000, 10
    with orchestrators(hub) as worker, RawWorker(hub, activities=room, filters=pb.WorkItemFilters(
            activities=[pb.ActivityFilter(name="activity")])) as silent:
        instance = create(hub)
        worker.answer(worker.orchestrator(instance), *[schedule(number) for number in range(room)])
        held = [silent.activity() for _ in range(room)]
        other = Counting(hub)
        raise_event(hub, instance)
        worker.answer(worker.orchestrator(instance), *[schedule(number) for number in range(room, count)])
        eventually(lambda: other.count == count - room, 60, lambda: other.count)
        silent.nothing(0.2)
        for item in held:
            silent.result(item)
        until_all_are_done(worker, instance, count)
