// What the scenarios in JavaScript share. Each file runs in a process of its own and in a task hub of its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, test } from "node:test";
import grpc from "@grpc/grpc-js";
import durabletask from "@microsoft/durabletask-js";

const { NoOpLogger, OrchestrationStatus, TaskHubGrpcClient, TaskHubGrpcWorker } = durabletask;

export const address = process.env.CONFORMANCE_ADDRESS;
export const reference = Boolean(process.env.CONFORMANCE_REFERENCE);
export const hub = path.basename(process.argv[1] ?? "js").split(".")[0];

const flavour = {
  hostAddress: address,
  logger: new NoOpLogger(),
  metadataGenerator: async () => {
    const metadata = new grpc.Metadata();
    metadata.set("taskhub", `js-${hub}`);
    return metadata;
  },
};

export const client = new TaskHubGrpcClient(flavour);
const stopping = [];

after(async () => {
  await Promise.all([...stopping, client.stop()]);
  // Waits that JavaScript never cancels would hold the process.
  setTimeout(() => process.exit(process.exitCode ?? 0), 100).unref();
});

/** Declares a scenario. `differs` says why the reference backend does not do this. */
export function scenario(name, act, { differs } = {}) {
  test(name, { skip: reference && differs ? differs : false, timeout: 90_000 }, act);
}

/**
 * Runs `act` while a worker with these functions is connected: orchestrators are async generators, the rest are
 * activities.
 */
export async function withWorker(functions, act, options = {}) {
  const worker = newWorker(functions, options);
  await worker.start();
  try {
    return await act(worker);
  } finally {
    // It cancels its stream at once, then sleeps for a second, for which nobody needs to wait; but the reference
    // loses what it hands to a stream that is going.
    stopping.push(worker.stop());
    if (reference) await stopping.at(-1);
  }
}

export function newWorker(functions, options = {}) {
  const worker = new TaskHubGrpcWorker({ ...flavour, ...options });
  for (const one of functions) {
    if (one.constructor.name === "AsyncGeneratorFunction") worker.addOrchestrator(one);
    else worker.addActivity(one);
  }
  return worker;
}

export const unique = (text = "instance") => `${text}-${randomUUID().slice(0, 13)}`;

export async function start(orchestrator, input, options = {}) {
  return await client.scheduleNewOrchestration(orchestrator, input, { instanceId: unique(), ...options });
}

export async function wait(instance, seconds = 30) {
  const state = await client.waitForOrchestrationCompletion(instance, true, seconds);
  assert.ok(state, `${instance} does not exist`);
  return state;
}

export async function run(orchestrator, input, options) {
  return await wait(await start(orchestrator, input, options));
}

/** The output of a run that must complete. */
export async function output(orchestrator, input, options) {
  return outputOf(await run(orchestrator, input, options));
}

export function outputOf(state) {
  assert.equal(statusOf(state), "COMPLETED", state.failureDetails?.message);
  return parse(state.serializedOutput);
}

export const parse = (text) => (text === undefined || text === "" ? undefined : JSON.parse(text));
export const statusOf = (state) => (state ? OrchestrationStatus[state.runtimeStatus] : undefined);
export const status = async (instance) => statusOf(await client.getOrchestrationState(instance));
export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until the condition gives something true, and gives that. */
export async function eventually(condition, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`);
    await sleep(20);
  }
}

export const untilStatus = (instance, wanted) => eventually(async () => (await status(instance)) === wanted);

/** The kinds of its history's events, without OrchestratorCompleted, which the reference alone writes. */
export async function history(instance) {
  const events = await client.getOrchestrationHistory(instance);
  return events.filter((event) => !(reference && event.type === "OrchestratorCompleted"));
}

export async function refused(call, pattern) {
  await assert.rejects(call, (error) => pattern.test(`${error.code} ${error.details} ${error.message}`));
}

export { assert, durabletask, grpc };
