import com.microsoft.durabletask.DurableTaskGrpcWorker;
import com.microsoft.durabletask.NewOrchestrationInstanceOptions;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.OrchestrationStatusQuery;
import com.microsoft.durabletask.OrchestrationStatusQueryResult;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOptions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/** The scenarios of the Java SDK. */
public final class Conformance {
    public static void main(String[] arguments) {
        steps();
        children();
        lifecycle();
        traps();
        Harness.end();
    }

    private static void steps() {
        Harness.scenario("a_chain_passes_each_result_on", null, () -> {
            try (DurableTaskGrpcWorker worker = chain(10)) {
                worker.start();
                Harness.equal(Harness.output("Chain", 1), "11");
            }
        });
        Harness.scenario("a_fan_out_gives_its_results_in_order_of_the_calls", null, () -> {
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addActivity(Harness.activity("AddOne", ctx -> ctx.getInput(int.class) + 1))
                    .addOrchestration(Harness.orchestrator("Fan", ctx -> {
                        List<Task<Integer>> calls = new ArrayList<>();
                        for (int number = 0; number < 50; number++) {
                            calls.add(ctx.callActivity("AddOne", number, Integer.class));
                        }
                        ctx.complete(ctx.allOf(calls).await());
                    })).build()) {
                worker.start();
                List<Integer> wanted = new ArrayList<>();
                for (int number = 1; number <= 50; number++) {
                    wanted.add(number);
                }
                Harness.equal(Harness.output("Fan", null), wanted.toString().replace(" ", ""));
            }
        });
        Harness.scenario("timers_events_and_retries_work_together", null, () -> {
            AtomicInteger tries = new AtomicInteger();
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .maximumTimerInterval(Duration.ofMillis(30))
                    .addActivity(Harness.activity("Flaky", ctx -> {
                        if (tries.incrementAndGet() < 3) {
                            throw new IllegalStateException("not yet");
                        }
                        return "third";
                    }))
                    .addOrchestration(Harness.orchestrator("All", ctx -> {
                        ctx.createTimer(Duration.ofMillis(100)).await();
                        TaskOptions retry = new TaskOptions(new RetryPolicy(5, Duration.ofMillis(10)));
                        String result = ctx.callActivity("Flaky", null, retry, String.class).await();
                        ctx.complete(result + ctx.waitForExternalEvent("Go", String.class).await());
                    })).build()) {
                worker.start();
                String id = Harness.start("All", null);
                Harness.CLIENT.raiseEvent(id, "go", "!");
                Harness.equal(Harness.wait(id).readOutputAs(String.class), "third!");
            }
        });
        Harness.scenario("continue_as_new_keeps_its_place", null, () -> {
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addOrchestration(Harness.orchestrator("Counter", ctx -> {
                        int number = ctx.getInput(int.class);
                        if (number < 20) {
                            ctx.continueAsNew(number + 1);
                        } else {
                            ctx.complete(number);
                        }
                    })).build()) {
                worker.start();
                Harness.equal(Harness.output("Counter", 0), "20");
            }
        });
        Harness.scenario("falsy_values_survive", null, () -> {
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addActivity(Harness.activity("Echo", ctx -> ctx.getInput(Object.class)))
                    .addOrchestration(Harness.orchestrator("Through", ctx ->
                            ctx.complete(ctx.callActivity("Echo", ctx.getInput(Object.class), Object.class).await())))
                    .build()) {
                worker.start();
                Harness.equal(Harness.output("Through", 0), "0");
                Harness.equal(Harness.output("Through", false), "false");
                Harness.equal(Harness.output("Through", ""), "\"\"");
                Harness.equal(Harness.output("Through", List.of()), "[]");
            }
        });
    }

    private static void children() {
        Harness.scenario("a_failed_childs_error_reaches_the_parent", "it gives the parent a failure of its own", () -> {
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addOrchestration(Harness.orchestrator("Broken", ctx -> {
                        throw new IllegalArgumentException("the child broke");
                    }))
                    .addOrchestration(Harness.orchestrator("Parent", ctx -> {
                        try {
                            ctx.callSubOrchestrator("Broken").await();
                        } catch (TaskFailedException error) {
                            ctx.complete(error.getErrorDetails().getErrorType() + ": "
                                    + error.getErrorDetails().getErrorMessage());
                        }
                    })).build()) {
                worker.start();
                Harness.equal(Harness.wait(Harness.start("Parent", null)).readOutputAs(String.class),
                        "java.lang.IllegalArgumentException: the child broke");
            }
        });
        Harness.scenario("trap_03_a_childs_retry_replaces_the_failed_child_of_the_same_id", null, () -> {
            AtomicInteger tries = new AtomicInteger();
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addOrchestration(Harness.orchestrator("Flaky", ctx -> {
                        if (tries.incrementAndGet() < 3) {
                            throw new IllegalStateException("not yet");
                        }
                        ctx.complete("third");
                    }))
                    .addOrchestration(Harness.orchestrator("Parent", ctx -> {
                        TaskOptions retry = new TaskOptions(new RetryPolicy(5, Duration.ofMillis(10)));
                        String id = ctx.getInstanceId() + "-child";
                        ctx.complete(ctx.callSubOrchestrator("Flaky", null, id, retry, String.class).await());
                    })).build()) {
                worker.start();
                Harness.equal(Harness.output("Parent", null), "\"third\"");
            }
        });
    }

    private static void lifecycle() {
        Harness.scenario("suspend_resume_and_terminate_work", null, () -> {
            try (DurableTaskGrpcWorker worker = waits()) {
                worker.start();
                String id = Harness.start("Waits", null);
                Harness.untilStatus(id, OrchestrationRuntimeStatus.RUNNING);
                Harness.CLIENT.suspendInstance(id, "why");
                Harness.untilStatus(id, OrchestrationRuntimeStatus.SUSPENDED);
                Harness.CLIENT.raiseEvent(id, "go", "held");
                Thread.sleep(300);
                Harness.untilStatus(id, OrchestrationRuntimeStatus.SUSPENDED);
                Harness.CLIENT.resumeInstance(id, "why not");
                Harness.equal(Harness.wait(id).readOutputAs(String.class), "held");
                String other = Harness.start("Waits", null);
                Harness.CLIENT.terminate(other, "end");
                OrchestrationMetadata metadata = Harness.wait(other);
                Harness.equal(metadata.getRuntimeStatus(), OrchestrationRuntimeStatus.TERMINATED);
                Harness.equal(metadata.readOutputAs(String.class), "end");
            }
        });
        Harness.scenario("queries_page_and_purge_counts", "it knows no prefix", () -> {
            try (DurableTaskGrpcWorker worker = chain(1)) {
                worker.start();
                String prefix = Harness.unique();
                for (int number = 0; number < 7; number++) {
                    Harness.wait(Harness.CLIENT.scheduleNewOrchestrationInstance("Chain", number, prefix + number));
                }
                OrchestrationStatusQuery query =
                        new OrchestrationStatusQuery().setInstanceIdPrefix(prefix).setMaxInstanceCount(3);
                List<String> found = new ArrayList<>();
                OrchestrationStatusQueryResult page;
                do {
                    page = Harness.CLIENT.queryInstances(query);
                    page.getOrchestrationState().forEach(state -> found.add(state.getInstanceId()));
                    query.setContinuationToken(page.getContinuationToken());
                } while (page.getContinuationToken() != null);
                Harness.equal(found.size(), 7);
                Harness.equal(Harness.CLIENT.purgeInstance(prefix + 0).getDeletedInstanceCount(), 1);
                Harness.equal(Harness.CLIENT.purgeInstance(prefix + 0).getDeletedInstanceCount(), 0);
                Harness.holds(!Harness.CLIENT.getInstanceMetadata(prefix + 0, true).isInstanceFound(), "still there");
            }
        });
        Harness.scenario("restart_runs_the_same_input_again_under_the_same_or_a_new_id",
                "it rejects every id that is known, and this restart is nothing but a start", () -> {
            try (DurableTaskGrpcWorker worker = chain(1)) {
                worker.start();
                String id = Harness.start("Chain", 41);
                Harness.equal(Harness.wait(id).getSerializedOutput(), "42");
                Harness.equal(Harness.CLIENT.restartInstance(id, false), id);
                Harness.equal(Harness.wait(id).getSerializedOutput(), "42");
                String other = Harness.CLIENT.restartInstance(id, true);
                Harness.holds(!other.equals(id), "a new id");
                Harness.equal(Harness.wait(other).getSerializedOutput(), "42");
            }
        });
        Harness.scenario("a_server_killed_in_mid_run_loses_nothing", "it keeps nothing", () -> {
            try (DurableTaskGrpcWorker worker = chain(40)) {
                worker.start();
                List<String> ids = new ArrayList<>();
                for (int number = 0; number < 5; number++) {
                    ids.add(Harness.start("Chain", number * 100));
                }
                Thread.sleep(200);
                Harness.control("/servers/0/kill");
                Harness.control("/servers/0/start");
                for (int number = 0; number < 5; number++) {
                    String id = ids.get(number);
                    // The worker comes back after five seconds, the client at once or never: it is asked again.
                    Harness.eventually(() -> {
                        try {
                            return Harness.CLIENT.getInstanceMetadata(id, false).isCompleted();
                        } catch (RuntimeException error) { // gRPC's own, which the SDK does not export
                            return false;
                        }
                    });
                    Harness.equal(Harness.wait(id).getSerializedOutput(), String.valueOf(number * 100 + 40));
                }
            }
        });
    }

    private static void traps() {
        Harness.scenario("trap_06_zero_in_a_limit_means_unlimited", null, () -> {
            // This worker announces no limits at all, and does one thing after another.
            try (DurableTaskGrpcWorker worker = chain(2)) {
                worker.start();
                List<String> ids = new ArrayList<>();
                for (int number = 0; number < 100; number++) {
                    ids.add(Harness.start("Chain", number));
                }
                for (int number = 0; number < 100; number++) {
                    Harness.equal(Harness.wait(ids.get(number)).getSerializedOutput(), String.valueOf(number + 2));
                }
            }
        });
        Harness.scenario("trap_07_a_stale_completion_does_not_cost_the_stream", "it does not replace a live one", () -> {
            // An activity whose run is ended meanwhile answers late. If that were refused, the worker would drop its
            // stream and sleep for five seconds.
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch release = new CountDownLatch(1);
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addActivity(Harness.activity("Slow", ctx -> {
                        begun.countDown();
                        try {
                            release.await(20, TimeUnit.SECONDS);
                        } catch (InterruptedException error) {
                            Thread.currentThread().interrupt();
                        }
                        return null;
                    }))
                    .addOrchestration(Harness.orchestrator("Calls", ctx -> ctx.callActivity("Slow").await()))
                    .addOrchestration(Harness.orchestrator("Ends", ctx -> ctx.complete("end"))).build()) {
                worker.start();
                String id = Harness.start("Calls", null);
                Harness.holds(begun.await(10, TimeUnit.SECONDS), "the activity began");
                Harness.CLIENT.terminate(id, null);
                // The one thread of the worker is busy, so the hub ends it after ten seconds.
                Harness.equal(Harness.wait(id).getRuntimeStatus(), OrchestrationRuntimeStatus.TERMINATED);
                release.countDown();
                Instant before = Instant.now();
                Harness.equal(Harness.output("Ends", null), "\"end\"");
                Duration took = Duration.between(before, Instant.now());
                Harness.holds(took.compareTo(Duration.ofSeconds(4)) < 0, "it took " + took);
            }
        });
        Harness.scenario("trap_11_a_finished_id_is_started_again_and_a_live_one_refused", "it rejects all", () -> {
            try (DurableTaskGrpcWorker worker = waits()) {
                worker.start();
                String id = Harness.start("Waits", null);
                NewOrchestrationInstanceOptions again = new NewOrchestrationInstanceOptions().setInstanceId(id);
                try {
                    Harness.CLIENT.scheduleNewOrchestrationInstance("Waits", again);
                    throw new AssertionError("a live id must be refused");
                } catch (RuntimeException error) {
                    Harness.holds(error.getMessage().startsWith("ALREADY_EXISTS"), error.getMessage());
                }
                Harness.CLIENT.raiseEvent(id, "go", "first");
                Harness.wait(id);
                Harness.CLIENT.scheduleNewOrchestrationInstance("Waits", again);
                Harness.CLIENT.raiseEvent(id, "go", "second");
                Harness.equal(Harness.wait(id).readOutputAs(String.class), "second");
            }
        });
        Harness.scenario("trap_18_an_instance_is_pending_until_its_first_episode_is_committed", null, () -> {
            CountDownLatch release = new CountDownLatch(1);
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addOrchestration(Harness.orchestrator("Slow", ctx -> {
                        try {
                            release.await(20, TimeUnit.SECONDS);
                        } catch (InterruptedException error) {
                            Thread.currentThread().interrupt();
                        }
                        ctx.complete(null);
                    })).build()) {
                worker.start();
                String id = Harness.start("Slow", null);
                try {
                    Harness.CLIENT.waitForInstanceStart(id, Duration.ofSeconds(1));
                    throw new AssertionError("it has started");
                } catch (TimeoutException expected) {
                    release.countDown();
                }
                Harness.wait(id);
            }
        });
        Harness.scenario("trap_21_an_empty_custom_status_is_stored", "it has no other", () -> {
            try (DurableTaskGrpcWorker worker = Harness.worker()
                    .addOrchestration(Harness.orchestrator("Status", ctx -> {
                        ctx.setCustomStatus("busy");
                        ctx.waitForExternalEvent("go").await();
                        ctx.clearCustomStatus();
                    })).build()) {
                worker.start();
                String id = Harness.start("Status", null);
                Harness.eventually(() -> "busy".equals(
                        Harness.CLIENT.getInstanceMetadata(id, true).readCustomStatusAs(String.class)));
                Harness.CLIENT.raiseEvent(id, "go");
                Harness.holds(!Harness.wait(id).isCustomStatusFetched(), "it is cleared");
            }
        });
    }

    private static DurableTaskGrpcWorker chain(int length) {
        return Harness.worker()
                .addActivity(Harness.activity("AddOne", ctx -> ctx.getInput(int.class) + 1))
                .addOrchestration(Harness.orchestrator("Chain", ctx -> {
                    int number = ctx.getInput(int.class);
                    for (int step = 0; step < length; step++) {
                        number = ctx.callActivity("AddOne", number, int.class).await();
                    }
                    ctx.complete(number);
                })).build();
    }

    private static DurableTaskGrpcWorker waits() {
        return Harness.worker().addOrchestration(Harness.orchestrator("Waits", ctx ->
                ctx.complete(ctx.waitForExternalEvent("go", String.class).await()))).build();
    }

    private Conformance() {}
}
