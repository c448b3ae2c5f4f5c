// Suspend, resume, terminate, rewind, restart, purge.

import { assert, client, durabletask, eventually, history, output, outputOf, reference, refused, run, scenario, sleep, start, status, statusOf, unique, untilStatus, wait, withWorker } from "./harness.mjs";

const ends = async function* ends(_, value) {
  return value;
};
const forever = async function* forever(ctx) {
  yield ctx.waitForExternalEvent("never");
};
const waits = async function* waits(ctx) {
  return yield ctx.waitForExternalEvent("go");
};

scenario("a_suspended_orchestration_holds_events_until_it_is_resumed", async () => {
  await withWorker([waits], async () => {
    const instance = await start(waits);
    await untilStatus(instance, "RUNNING");
    await client.suspendOrchestration(instance);
    await untilStatus(instance, "SUSPENDED");
    await client.raiseOrchestrationEvent(instance, "go", 1);
    await sleep(300);
    assert.equal(await status(instance), "SUSPENDED");
    await client.resumeOrchestration(instance);
    assert.equal(outputOf(await wait(instance)), 1);
  });
});

scenario("trap_24_a_recursive_terminate_takes_the_children_along_and_a_plain_one_does_not", async () => {
  const parent = async function* parent(ctx, ids) {
    yield durabletask.whenAll(ids.map((instanceId) => ctx.callSubOrchestrator(forever, null, { instanceId })));
  };
  await withWorker([parent, forever], async () => {
    for (const recursive of [true, false]) {
      const ids = [unique("child"), unique("child")];
      const instance = await start(parent, ids);
      for (const id of ids) await untilStatus(id, "RUNNING");
      await client.terminateOrchestration(instance, durabletask.terminateOptions({ output: "end", recursive }));
      const state = await wait(instance);
      assert.deepEqual([statusOf(state), state.serializedOutput], ["TERMINATED", '"end"']);
      if (!recursive) {
        await sleep(300);
        for (const id of ids) {
          assert.equal(await status(id), "RUNNING");
          await client.terminateOrchestration(id);
        }
      }
      for (const id of ids) assert.equal(statusOf(await wait(id)), "TERMINATED");
    }
  });
}, { differs: "it knows no recursive terminate" });

scenario("trap_12_rewind_runs_only_what_failed_again", async () => {
  let broken = true;
  const ran = [];
  const step = async (_, name) => {
    ran.push(name);
    if (broken && name === "deep") throw new Error("broken for now");
    return name;
  };
  const child = async function* child(ctx) {
    return yield ctx.callActivity(step, "deep");
  };
  const parent = async function* parent(ctx) {
    const first = yield ctx.callActivity(step, "first");
    return [first, yield ctx.callSubOrchestrator(child)];
  };
  await withWorker([parent, child, step], async () => {
    const instance = await start(parent);
    assert.equal(statusOf(await wait(instance)), "FAILED");
    broken = false;
    await client.rewindInstance(instance, "mended");
    assert.deepEqual(outputOf(await wait(instance)), ["first", "deep"]);
    assert.deepEqual(ran, ["first", "deep", "deep"]);
  });
});

scenario("rewind_is_refused_for_what_has_not_failed", async () => {
  await withWorker([ends], async () => {
    await refused(() => client.rewindInstance(unique("nobody"), "why"), /not found/);
    const { instanceId } = await run(ends, 1);
    await refused(() => client.rewindInstance(instanceId, "why"), /not allow|precondition|running/i);
  });
}, { differs: "its words differ" });

scenario("restart_runs_the_same_input_again_under_the_same_or_a_new_id", async () => {
  await withWorker([ends, forever], async () => {
    const { instanceId } = await run(ends, [1]);
    assert.equal(await client.restartOrchestration(instanceId), instanceId);
    assert.deepEqual(outputOf(await wait(instanceId)), [1]);
    const other = await client.restartOrchestration(instanceId, true);
    assert.notEqual(other, instanceId);
    assert.deepEqual(outputOf(await wait(other)), [1]);
    await refused(() => client.restartOrchestration(unique("nobody")), /not found/);
    const live = await start(forever);
    await untilStatus(live, "RUNNING");
    await refused(() => client.restartOrchestration(live), /cannot be restarted/);
    if (!reference) {
      const beside = await client.restartOrchestration(live, true);
      await untilStatus(beside, "RUNNING");
      await client.terminateOrchestration(beside);
    }
    await client.terminateOrchestration(live);
    await wait(live);
  });
});

scenario("purge_takes_only_what_is_finished", async () => {
  await withWorker([ends, forever], async () => {
    const { instanceId } = await run(ends, 1);
    const live = await start(forever);
    await untilStatus(live, "RUNNING");
    const count = async (id) => (await client.purgeOrchestration(id)).deletedInstanceCount;
    assert.deepEqual([await count(live), await count(unique("nobody")), await count(instanceId)], [0, 0, 1]);
    assert.equal(await status(instanceId), undefined);
    await client.terminateOrchestration(live);
    await wait(live);
    const criteria = new durabletask.PurgeInstanceCriteria();
    criteria.setRuntimeStatusList([durabletask.OrchestrationStatus.TERMINATED]);
    criteria.setTimeout(10_000);
    assert.ok((await client.purgeOrchestration(criteria)).deletedInstanceCount >= 1);
    assert.equal(await status(live), undefined);
  });
});

scenario("trap_09_waits_without_a_deadline_are_held_and_answered", async () => {
  await withWorker([waits], async () => {
    const instances = await Promise.all(Array.from({ length: 5 }, () => start(waits)));
    // The SDK forgets these after a tenth of a second, but never cancels the calls.
    const forgotten = instances.flatMap((id) => Array.from({ length: 100 }, () => id));
    await Promise.all(forgotten.map((id) => assert.rejects(client.waitForOrchestrationCompletion(id, true, 0.1))));
    const waiting = instances.flatMap((id) => [wait(id), wait(id)]);
    for (const id of instances) await client.raiseOrchestrationEvent(id, "go", "now");
    for (const state of await Promise.all(waiting)) assert.equal(outputOf(state), "now");
  });
}, { differs: "each wait takes a thread of it" });
