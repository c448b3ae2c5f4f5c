// A JavaScript worker beside a Python one: `worker.mjs ADDRESS HUB`. Says `ready` when it is connected.

import grpc from "@grpc/grpc-js";
import durabletask from "@microsoft/durabletask-js";

const [, , hostAddress, hub] = process.argv;
const metadataGenerator = async () => {
  const metadata = new grpc.Metadata();
  if (hub) metadata.set("taskhub", hub);
  return metadata;
};
const logger = new durabletask.NoOpLogger();
const worker = new durabletask.TaskHubGrpcWorker({ hostAddress, metadataGenerator, logger, workItemFilters: "auto" });

worker.addNamedActivity("js_echo", async (_, value) => value);
worker.addNamedActivity("js_type", async (_, value) => (value === null ? "null" : typeof value));
worker.addNamedActivity("js_absent", async () => undefined);
worker.addNamedActivity("js_fails", async () => {
  throw new RangeError("out of the range of JavaScript");
});
worker.addNamedOrchestrator("js_through", async function* (ctx, value) {
  value = yield ctx.callActivity("py_echo", value);
  value = yield ctx.callSubOrchestrator("py_child", value);
  return [value, yield ctx.waitForExternalEvent("value")];
});
worker.addNamedOrchestrator("js_child", async function* (ctx, value) {
  return yield ctx.callActivity("py_echo", value);
});
worker.addNamedOrchestrator("js_told", async function* (ctx) {
  const type = yield ctx.callActivity("py_type");
  const absent = yield ctx.callActivity("py_absent");
  return [type, absent === null ? "null" : typeof absent];
});
worker.addNamedOrchestrator("js_catches", async function* (ctx) {
  const found = [];
  for (const call of [() => ctx.callActivity("py_fails"), () => ctx.callSubOrchestrator("py_child_fails")]) {
    try {
      yield call();
    } catch (error) {
      found.push([error.details.errorType, error.message]);
    }
  }
  return found;
});
worker.addNamedOrchestrator("js_sends", async function* (ctx, target) {
  ctx.sendEvent(target, "value", { from: "js" });
});
worker.addNamedOrchestrator("js_waits", async function* (ctx) {
  return yield ctx.waitForExternalEvent("value");
});
worker.addNamedOrchestrator("js_ping", async function* (ctx, depth) {
  return depth === 0 ? [] : ["js", ...(yield ctx.callSubOrchestrator("py_ping", depth - 1))];
});
worker.addNamedOrchestrator("js_through_rust", async function* (ctx, value) {
  value = yield ctx.callActivity("rs_echo", value);
  value = yield ctx.callSubOrchestrator("rs_child", value);
  return [value, yield ctx.waitForExternalEvent("value")];
});
worker.addNamedOrchestrator("js_told_rust", async function* (ctx) {
  const type = yield ctx.callActivity("rs_type");
  const absent = yield ctx.callActivity("rs_absent");
  return [type, absent === null ? "null" : typeof absent];
});
worker.addNamedOrchestrator("js_catches_rust", async function* (ctx) {
  try {
    yield ctx.callActivity("rs_fails");
  } catch (error) {
    return [error.details.errorType, error.message];
  }
});
worker.addNamedOrchestrator("js_pong", async function* (ctx, depth) {
  return depth === 0 ? [] : ["js", ...(yield ctx.callSubOrchestrator("rs_ping", depth - 1))];
});

await worker.start();
console.log("ready");
