// Sub-orchestrations, failures, retries.

import { assert, client, durabletask, eventually, history, output, outputOf, run, scenario, start, statusOf, status, unique, untilStatus, wait, withWorker } from "./harness.mjs";

const { RetryPolicy } = durabletask;
const echo = async (_, value) => value;
const forever = async function* forever(ctx) {
  yield ctx.waitForExternalEvent("never");
};
const quick = (maxNumberOfAttempts) => new RetryPolicy({ maxNumberOfAttempts, firstRetryIntervalInMilliseconds: 20 });

scenario("a_fan_out_of_children_gives_all_results", async () => {
  const child = async function* child(ctx, value) {
    return yield ctx.callActivity(echo, value);
  };
  const parent = async function* parent(ctx, width) {
    return yield durabletask.whenAll(Array.from({ length: width }, (_, n) => ctx.callSubOrchestrator(child, n)));
  };
  await withWorker([parent, child, echo], async () => {
    assert.deepEqual(await output(parent, 20), Array.from({ length: 20 }, (_, n) => n));
  });
});

scenario("a_child_knows_its_parent", async () => {
  const child = async function* child(ctx) {
    return [ctx.parent?.name, ctx.parent?.instanceId, ctx.parent?.taskScheduledId];
  };
  const parent = async function* parent(ctx) {
    return yield ctx.callSubOrchestrator(child);
  };
  const instanceId = unique();
  await withWorker([parent, child], async () => {
    assert.deepEqual(await output(parent, null, { instanceId }), ["parent", instanceId, 1]);
  });
}, { differs: "it tells a child nothing of its parent" });

scenario("trap_04_children_of_each_generation_have_ids_of_their_own", async () => {
  const ids = [];
  const child = async function* child(ctx, number) {
    ids.push(ctx.instanceId);
    return number;
  };
  const generations = async function* generations(ctx, number) {
    yield ctx.callSubOrchestrator(child, number);
    if (number < 4) ctx.continueAsNew(number + 1, false);
    return number;
  };
  await withWorker([generations, child], async () => assert.equal(await output(generations, 0), 4));
  assert.equal(new Set(ids).size, 5, `the SDK makes them from the executionId, which must be new: ${ids}`);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}:/, "an executionId is 32 hexadecimal characters");
}, { differs: "it gives no executionId" });

scenario("a_failed_childs_error_reaches_the_parent", async () => {
  const broken = async function* broken() {
    throw new TypeError("the child broke");
  };
  const parent = async function* parent(ctx) {
    try {
      yield ctx.callSubOrchestrator(broken);
    } catch (error) {
      return [error.details?.errorType, error.message];
    }
  };
  await withWorker([parent, broken], async () => {
    const [type, message] = await output(parent);
    assert.equal(type, "TypeError");
    assert.match(message, /the child broke/);
  });
}, { differs: "it gives the parent a failure of its own" });

scenario("a_failed_activity_fails_the_orchestration_with_its_details", async () => {
  const fails = async () => {
    throw new RangeError("out of range");
  };
  const calls = async function* calls(ctx) {
    yield ctx.callActivity(fails);
  };
  await withWorker([calls, fails], async () => {
    const state = await run(calls);
    assert.equal(statusOf(state), "FAILED");
    assert.match(state.failureDetails.message, /out of range/);
    assert.throws(() => state.raiseIfFailed());
  });
});

scenario("an_activitys_retry_uses_new_action_ids", async () => {
  let tries = 0;
  const flaky = async () => {
    if (++tries < 3) throw new Error(`try ${tries}`);
    return tries;
  };
  const retries = async function* retries(ctx) {
    return yield ctx.callActivity(flaky, null, { retry: quick(5) });
  };
  await withWorker([retries, flaky], async () => {
    const instance = await start(retries);
    assert.equal(outputOf(await wait(instance)), 3);
    const ids = (await history(instance)).filter(({ type }) => type === "TaskScheduled").map(({ eventId }) => eventId);
    assert.equal(new Set(ids).size, 3, `${ids}`);
  });
});

scenario("trap_03_a_childs_retry_replaces_the_failed_child_of_the_same_id", async () => {
  const tries = [];
  const flaky = async function* flaky(ctx) {
    tries.push(ctx.instanceId);
    if (tries.length < 3) throw new Error(`try ${tries.length}`);
    return "third";
  };
  const parent = async function* parent(ctx) {
    return yield ctx.callSubOrchestrator(flaky, null, { retry: quick(5), instanceId: `${ctx.instanceId}-child` });
  };
  await withWorker([parent, flaky], async () => assert.equal(await output(parent), "third"));
  assert.equal(new Set(tries).size, 1, `${tries}`);
});

scenario("trap_03_a_child_with_the_id_of_a_live_instance_fails_the_call", async () => {
  const parent = async function* parent(ctx, instanceId) {
    try {
      yield ctx.callSubOrchestrator(forever, null, { instanceId });
    } catch (error) {
      return "refused";
    }
  };
  await withWorker([parent, forever], async () => {
    const taken = await start(forever);
    await untilStatus(taken, "RUNNING");
    assert.equal(await output(parent, taken), "refused");
    assert.equal(await status(taken), "RUNNING");
    await client.terminateOrchestration(taken);
    await wait(taken);
  });
});

scenario("trap_17_steps_that_are_not_awaited_still_run", async () => {
  let ran = false;
  const mark = async () => {
    ran = true;
  };
  const leaves = async function* leaves(ctx) {
    ctx.callActivity(mark);
    return "gone";
  };
  await withWorker([leaves, mark], async () => {
    assert.equal(await output(leaves), "gone");
    await eventually(() => ran);
  });
});
