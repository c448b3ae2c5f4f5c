// All scenarios of the JavaScript SDK, by node's own test runner.

import { appendFileSync, readdirSync } from "node:fs";
import { run } from "node:test";

const { CONFORMANCE_ONLY: only, CONFORMANCE_REFERENCE: reference, CONFORMANCE_RESULTS: results } = process.env;
const files = readdirSync(".").filter((name) => name.endsWith(".test.mjs"));

function say(outcome, { name, details }, output = "") {
  const line = output.replaceAll("\\", "/").replaceAll("\t", "  ").replaceAll("\n", "\\n");
  appendFileSync(results, `${outcome}\t${((details?.duration_ms ?? 0) / 1000).toFixed(2)}\t${name}\t${line}\n`);
}

/** Files are reported too, and what the pattern left out; neither is a scenario. */
const isScenario = (test) => !files.some((file) => test.name.endsWith(file)) && test.name.includes(only ?? "");

run({ files, concurrency: reference ? 1 : 4, testNamePatterns: only ? [new RegExp(only)] : undefined })
  .on("test:pass", (test) => {
    if (!isScenario(test)) return;
    if (test.skip !== undefined && test.skip !== false) say("skipped", test, String(test.skip));
    else say("passed", test);
  })
  .on("test:fail", (test) => {
    process.exitCode = 1;
    const error = test.details.error;
    const cause = error.cause ?? error;
    if (isScenario(test)) say("failed", test, String(cause.stack ?? cause));
    else if (error.failureType !== "subtestsFailed") say("failed", test, `${error.message}\n${cause.stack ?? cause}`);
  })
  .on("test:stderr", ({ message }) => process.stderr.write(message))
  .on("test:stdout", ({ message }) => process.stdout.write(message))
  .resume();
