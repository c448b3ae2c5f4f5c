// The load from JavaScript: `load.mjs ADDRESS LEDGER`. A worker, and clients that each start one after another.

import { randomUUID } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import durabletask from "@microsoft/durabletask-js";

const [, , hostAddress, ledger] = process.argv;
const CLIENTS = 8;
const logger = new durabletask.NoOpLogger();
const file = openSync(ledger, "a");
let stopping = false;
process.on("SIGTERM", () => (stopping = true));

const note = (what, instance, rest) => writeSync(file, `${what} ${instance} ${rest}\n`);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const worker = new durabletask.TaskHubGrpcWorker({ hostAddress, logger, workItemFilters: "auto" });
worker.addNamedOrchestrator("js_rounds", async function* (ctx, number) {
  number = yield ctx.callActivity("js_step", [ctx.instanceId, "js_step", number]);
  number = yield ctx.callActivity("py_step", [ctx.instanceId, "py_step", number]);
  yield ctx.createTimer(0.03);
  const data = yield ctx.waitForExternalEvent("go");
  number = yield ctx.callSubOrchestrator("py_child", [ctx.instanceId, "child_step", number]);
  return [number, data];
});
worker.addNamedOrchestrator("js_child", async function* (ctx, step) {
  return yield ctx.callActivity("js_step", step);
});
worker.addNamedActivity("js_step", async (_, [root, name, number]) => {
  note("step", root, name);
  return number + 1;
});

const NOT_FOUND = 5;

/**
 * Whether the server has acknowledged it. That it does not know what it has acknowledged before is no answer of a
 * server that is away.
 */
async function unlessAway(call) {
  try {
    await call();
    return true;
  } catch (error) {
    if (error.code === NOT_FOUND) throw error;
    await sleep(50);
    return false;
  }
}

async function load(name) {
  const client = new durabletask.TaskHubGrpcClient({ hostAddress, logger });
  for (let number = 1; !stopping; number++) {
    // What was not acknowledged may be there or not; nobody asks for it again.
    const instanceId = `js-${name}-${number}-${randomUUID().slice(0, 8)}`;
    if (!(await unlessAway(() => client.scheduleNewOrchestration("js_rounds", number, { instanceId })))) continue;
    note("start", instanceId, number);
    const data = { for: instanceId };
    while (!(await unlessAway(() => client.raiseOrchestrationEvent(instanceId, "go", data))));
    note("event", instanceId, JSON.stringify(data));
    while (!stopping && !(await unlessAway(() => client.waitForOrchestrationCompletion(instanceId, false, 5))));
  }
}

await worker.start();
console.log("ready");
await Promise.all(Array.from({ length: CLIENTS }, (_, name) => load(name)));
console.log("quiet");
