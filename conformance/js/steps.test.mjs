// Activities, timers, events, ContinueAsNew, payloads.

import { assert, client, durabletask, eventually, history, output, outputOf, parse, reference, run, scenario, sleep, start, unique, wait, withWorker } from "./harness.mjs";

const addOne = async (_, number) => number + 1;
const echo = async (_, value) => value;

scenario("a_chain_passes_each_result_on", async () => {
  const chain = async function* chain(ctx, number) {
    for (let step = 0; step < 10; step++) number = yield ctx.callActivity(addOne, number);
    return number;
  };
  await withWorker([chain, addOne], async () => assert.equal(await output(chain, 1), 11));
});

scenario("a_fan_out_gives_its_results_in_order_of_the_calls", async () => {
  const fanOut = async function* fanOut(ctx, width) {
    const calls = [];
    for (let number = 0; number < width; number++) calls.push(ctx.callActivity(echo, number));
    return yield durabletask.whenAll(calls);
  };
  const wanted = Array.from({ length: 300 }, (_, number) => number);
  await withWorker([fanOut, echo], async () => assert.deepEqual(await output(fanOut, 300), wanted));
});

scenario("a_hundred_orchestrations_at_once_all_complete", async () => {
  const twoSteps = async function* twoSteps(ctx, number) {
    number = yield ctx.callActivity(addOne, number);
    return yield ctx.callActivity(addOne, number);
  };
  await withWorker([twoSteps, addOne], async () => {
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const found = await Promise.all(numbers.map((number) => output(twoSteps, number)));
    assert.deepEqual(found, numbers.map((number) => number + 2));
  });
});

scenario("a_timer_is_not_early_and_less_than_100_ms_late", async () => {
  const fired = [];
  const sleeper = async function* sleeper(ctx, milliseconds) {
    const due = ctx.currentUtcDateTime.getTime() + milliseconds;
    yield ctx.createTimer(new Date(due));
    if (!ctx.isReplaying) fired.push({ due, now: Date.now(), shown: ctx.currentUtcDateTime.getTime() });
  };
  await withWorker([sleeper], async () => {
    for (const milliseconds of [1, 100, 1000]) await output(sleeper, milliseconds);
  });
  for (const { due, now, shown } of fired) assert.ok(due <= now && due <= shown, `early: ${due} ${now} ${shown}`);
  const late = fired.map(({ due, now }) => now - due).sort((a, b) => a - b);
  assert.ok(reference || late[1] < 100, `${late} ms late`);
});

scenario("an_event_and_a_timer_race", async () => {
  const races = async function* races(ctx, seconds) {
    const timer = ctx.createTimer(seconds);
    const event = ctx.waitForExternalEvent("go");
    const winner = yield durabletask.whenAny([event, timer]);
    return winner === event ? event.getResult() : "timer";
  };
  await withWorker([races], async () => {
    assert.equal(await output(races, 0.05), "timer");
    const instance = await start(races, 60);
    await client.raiseOrchestrationEvent(instance, "GO", "event");
    assert.equal(outputOf(await wait(instance)), "event");
  });
});

scenario("events_raised_before_the_first_episode_are_kept_in_order", async () => {
  const collects = async function* collects(ctx, count) {
    const found = [];
    while (found.length < count) found.push(yield ctx.waitForExternalEvent("item"));
    return found;
  };
  const instance = await start(collects, 10);
  for (let number = 0; number < 10; number++) await client.raiseOrchestrationEvent(instance, "item", number);
  await withWorker([collects], async () => {
    assert.deepEqual(outputOf(await wait(instance)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

scenario("an_orchestration_sends_an_event_to_another", async () => {
  const waits = async function* waits(ctx) {
    return yield ctx.waitForExternalEvent("go");
  };
  const sender = async function* sender(ctx, targets) {
    for (const target of targets) ctx.sendEvent(target, "go", { from: "sender" });
    yield ctx.createTimer(0.01);
  };
  await withWorker([waits, sender], async () => {
    const instance = await start(waits);
    await client.waitForOrchestrationStart(instance);
    await output(sender, [unique("nobody"), instance]);
    assert.deepEqual(outputOf(await wait(instance)), { from: "sender" });
  });
});

scenario("continue_as_new_keeps_events_only_when_told_to", async () => {
  const keeper = async function* keeper(ctx, seen) {
    seen = [...seen, yield ctx.waitForExternalEvent("item")];
    if (seen.length === 5) return seen;
    ctx.continueAsNew(seen, true);
  };
  const dropper = async function* dropper(ctx, generation) {
    if (generation === 0) {
      yield ctx.waitForExternalEvent("go");
      ctx.continueAsNew(1, false);
      return;
    }
    const [timer, item] = [ctx.createTimer(0.3), ctx.waitForExternalEvent("item")];
    return (yield durabletask.whenAny([timer, item])) === timer ? "lost" : "kept";
  };
  const [keep, drop] = [await start(keeper, []), await start(dropper, 0)];
  for (let number = 0; number < 5; number++) await client.raiseOrchestrationEvent(keep, "item", number);
  await client.raiseOrchestrationEvent(drop, "item", "unread");
  await client.raiseOrchestrationEvent(drop, "go");
  await withWorker([keeper, dropper], async () => {
    assert.deepEqual(outputOf(await wait(keep)), [0, 1, 2, 3, 4]);
    assert.equal(outputOf(await wait(drop)), "lost");
  });
});

scenario("trap_21_custom_status_is_stored_as_given_and_an_empty_one_stays", async () => {
  const reporter = async function* reporter(ctx) {
    for (const value of [{ step: 1 }, "", 0, false]) {
      ctx.setCustomStatus(value);
      yield ctx.waitForExternalEvent("go");
    }
  };
  await withWorker([reporter], async () => {
    const instance = await start(reporter);
    for (const wanted of ['{"step":1}', '""', "0", "false"]) {
      await eventually(async () => (await client.getOrchestrationState(instance)).serializedCustomStatus === wanted);
      await client.raiseOrchestrationEvent(instance, "go");
    }
    await wait(instance);
  });
});

scenario("falsy_values_survive_as_inputs_outputs_results_and_events", async () => {
  const child = async function* child(_, value) {
    return value;
  };
  const through = async function* through(ctx, value) {
    value = yield ctx.callActivity(echo, value);
    value = yield ctx.callSubOrchestrator(child, value);
    return [value, yield ctx.waitForExternalEvent("value")];
  };
  await withWorker([through, child, echo], async () => {
    for (const value of [0, false, null, "", [], {}]) {
      const instance = await start(through, value);
      await client.raiseOrchestrationEvent(instance, "value", value);
      assert.deepStrictEqual(outputOf(await wait(instance)), [value, value]);
    }
  });
});

scenario("trap_23_an_undefined_input_is_an_empty_text_and_stays_one", async () => {
  const kind = async function* kind(ctx, value) {
    const given = yield ctx.callActivity(kindOf, value);
    return [typeof value, given];
  };
  const kindOf = async (_, value) => typeof value;
  await withWorker([kind, kindOf], async () => {
    const state = await run(kind, undefined);
    assert.deepEqual(outputOf(state), ["undefined", "undefined"]);
    assert.ok([undefined, ""].includes(state.serializedInput), state.serializedInput);
  });
}, { differs: "it gives absent payloads as empty ones" });

scenario("trap_05_a_start_time_of_1970_means_now", async () => {
  const when = async function* when(ctx) {
    return ctx.currentUtcDateTime.getTime();
  };
  await withWorker([when], async () => {
    const before = Date.now();
    const shown = await output(when);
    assert.ok(Math.abs(shown - before) < 10_000, new Date(shown).toISOString());
  });
}, { differs: "it takes 1970 for the time of the first episode" });

scenario("a_scheduled_start_stays_pending_until_its_time", async () => {
  const when = async function* when(ctx) {
    return ctx.currentUtcDateTime.getTime();
  };
  await withWorker([when], async () => {
    const due = Date.now() + 1000;
    const instance = await start(when, null, { startAt: new Date(due) });
    await sleep(300);
    assert.equal(durabletask.OrchestrationStatus[(await client.getOrchestrationState(instance)).runtimeStatus], "PENDING");
    assert.ok(outputOf(await wait(instance)) >= due);
  });
}, { differs: "it starts a scheduled one at once" });

scenario("trap_06_zero_in_a_limit_means_unlimited", async () => {
  // A JavaScript worker announces no limits. Forty activities that wait for each other need forty at once.
  let waiting = 0;
  let open;
  const all = new Promise((resolve) => (open = resolve));
  const meet = async () => {
    if (++waiting === 40) open();
    await all;
  };
  const meeting = async function* meeting(ctx) {
    yield durabletask.whenAll(Array.from({ length: 40 }, () => ctx.callActivity(meet)));
  };
  await withWorker([meeting, meet], async () => await output(meeting));
});

scenario("trap_02_the_history_is_exact", async () => {
  const child = async function* child() {
    return "c";
  };
  const oneOfEach = async function* oneOfEach(ctx) {
    yield ctx.callActivity(echo, "a");
    yield ctx.createTimer(0.01);
    yield ctx.callSubOrchestrator(child);
  };
  await withWorker([oneOfEach, child, echo], async () => {
    const instance = await start(oneOfEach);
    await wait(instance);
    const events = await history(instance);
    assert.deepEqual(events.map((event) => [event.type, event.eventId]), [
      ["OrchestratorStarted", -1], ["ExecutionStarted", 0], ["TaskScheduled", 1],
      ["OrchestratorStarted", -1], ["TaskCompleted", -1], ["TimerCreated", 2],
      ["OrchestratorStarted", -1], ["TimerFired", -1], ["SubOrchestrationInstanceCreated", 3],
      ["OrchestratorStarted", -1], ["SubOrchestrationInstanceCompleted", -1], ["ExecutionCompleted", 4],
    ]);
    assert.ok(events.every((event) => event.timestamp instanceof Date));
    assert.deepEqual(await client.getOrchestrationHistory(unique("nobody")), []);
  });
}, { differs: "it writes orchestratorCompleted and other ids" });

scenario("a_payload_of_a_megabyte_goes_through", async () => {
  const through = async function* through(ctx, value) {
    return yield ctx.callActivity(echo, value);
  };
  const text = "x".repeat(1_000_000);
  await withWorker([through, echo], async () => assert.equal(await output(through, text), text));
});

scenario("trap_06_a_history_over_the_default_limit_is_kept_from_the_worker", async () => {
  // A JavaScript worker could receive it, but nothing that it announces says so.
  const large = async () => "x".repeat(2_500_000);
  const collects = async function* collects(ctx) {
    yield ctx.callActivity(large);
    yield ctx.callActivity(large);
  };
  const small = async function* small(ctx, value) {
    return yield ctx.callActivity(echo, value);
  };
  await withWorker([collects, large, small, echo], async () => {
    const instance = await start(collects);
    await eventually(async () => (await history(instance)).filter(({ type }) => type === "TaskScheduled").length === 2);
    for (let number = 0; number < 20; number++) assert.equal(await output(small, number), number);
    await client.terminateOrchestration(instance, "too large");
  });
}, { differs: "it sends it" });
