// Ids, versions, tags, filters, queries, events to what is not there.

import { assert, client, durabletask, output, outputOf, reference, refused, run, scenario, sleep, start, status, statusOf, unique, untilStatus, wait, withWorker } from "./harness.mjs";

const { VersionFailureStrategy, VersionMatchStrategy } = durabletask;
const ends = async function* ends(_, value) {
  return value;
};
const forever = async function* forever(ctx) {
  yield ctx.waitForExternalEvent("never");
};
const versioned = async function* versioned(ctx) {
  return ctx.version;
};

scenario("trap_11_a_live_id_exists_already_and_a_finished_one_is_replaced", async () => {
  await withWorker([ends, forever], async () => {
    const live = await start(forever);
    await untilStatus(live, "RUNNING");
    await refused(() => start(ends, 1, { instanceId: live }), /^6 .*already exists/);
    await client.terminateOrchestration(live);
    await wait(live);
    await start(ends, 2, { instanceId: live });
    assert.equal(outputOf(await wait(live)), 2);
  });
}, { differs: "it rejects every id that is known" });

scenario("versions_are_seen_and_matched", async () => {
  await withWorker([versioned], async () => assert.equal(await output(versioned, null, { version: "2.0" }), "2.0"));
  const only = (failureStrategy) => ({
    versioning: { version: "1.0", matchStrategy: VersionMatchStrategy.Strict, failureStrategy },
  });
  await withWorker([versioned], async () => {
    const state = await run(versioned, null, { version: "2.0" });
    assert.deepEqual([statusOf(state), state.failureDetails.errorType], ["FAILED", "VersionMismatch"]);
  }, only(VersionFailureStrategy.Fail));
  const instance = await start(versioned, null, { version: "2.0" });
  await withWorker([versioned], async () => {
    await sleep(500);
    assert.equal(await status(instance), "PENDING");
  }, only(VersionFailureStrategy.Reject));
  await withWorker([versioned], async () => assert.equal(outputOf(await wait(instance)), "2.0"));
}, { differs: "it knows nothing of an item given back" });

scenario("trap_23_tags_come_back_exactly_as_given", async () => {
  const tags = { tenant: "a", empty: "", "ünïcode": "✓" };
  await withWorker([ends], async () => {
    assert.deepEqual((await run(ends, 1, { tags })).tags, tags);
    assert.deepEqual((await run(ends, 1)).tags ?? {}, {});
  });
}, { differs: "it keeps no tags in the state" });

scenario("trap_13_a_worker_gets_only_what_its_filters_name", async () => {
  const auto = { workItemFilters: "auto" };
  const other = async function* other() {
    return "other";
  };
  await withWorker([ends], async () => {
    const instance = await start(other);
    assert.equal(await output(ends, "mine"), "mine");
    await sleep(300);
    assert.equal(await status(instance), "PENDING");
    await withWorker([other], async () => assert.equal(outputOf(await wait(instance)), "other"), auto);
  }, auto);
});

scenario("trap_13_a_category_that_is_present_and_empty_gets_nothing", async () => {
  const step = async () => "step";
  const calls = async function* calls(ctx) {
    return yield ctx.callActivity(step);
  };
  await withWorker([calls, step], async () => {
    const instance = await start(calls);
    await untilStatus(instance, "RUNNING");
    await sleep(300);
    assert.equal(await status(instance), "RUNNING");
    const activities = { workItemFilters: { orchestrations: [], activities: [{ name: "step" }] } };
    await withWorker([calls, step], async () => assert.equal(outputOf(await wait(instance)), "step"), activities);
  }, { workItemFilters: { orchestrations: [{ name: "calls" }], activities: [] } });
});

scenario("trap_24_calls_to_nobody_are_not_found", async () => {
  const nobody = unique("nobody");
  await refused(() => client.raiseOrchestrationEvent(nobody, "go"), /^5 /);
  await refused(() => client.suspendOrchestration(nobody), /^5 /);
  await refused(() => client.resumeOrchestration(nobody), /^5 /);
  if (!reference) await refused(() => client.terminateOrchestration(nobody), /^5 /);
  assert.equal(await client.getOrchestrationState(nobody), undefined);
});

scenario("trap_25_pages_are_complete_and_the_last_has_no_token", async () => {
  const prefix = unique("page");
  await withWorker([ends], async () => {
    const ids = Array.from({ length: 10 }, (_, n) => `${prefix}-${n}`);
    await Promise.all(ids.map((instanceId) => run(ends, 1, { instanceId })));
    for (const size of [1, 3, 5, 10, 100]) {
      const pages = [];
      for await (const page of client.getAllInstances({ instanceIdPrefix: prefix }).asPages(undefined, size)) {
        pages.push(page.values.map((state) => state.instanceId));
        assert.notEqual(page.continuationToken, "", "a token is absent, not empty");
      }
      assert.deepEqual(pages.flat().sort(), ids, `pages of ${size}`);
      assert.equal(pages.length, Math.ceil(10 / size), `pages of ${size}`);
    }
    const listed = [];
    let lastInstanceKey;
    do {
      const page = await client.listInstanceIds({ pageSize: 4, lastInstanceKey });
      listed.push(...page.values);
      lastInstanceKey = page.continuationToken;
    } while (lastInstanceKey);
    for (const id of ids) assert.ok(listed.includes(id), `${id} is missing`);
  });
}, { differs: "it knows no prefix" });
