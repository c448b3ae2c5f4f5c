import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.NewOrchestrationInstanceOptions;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;

/**
 * What the Java scenarios share. The SDK's plain client and worker know a port and no task hubs, so all run in the
 * default hub, one after another.
 */
final class Harness {
    static final int PORT = Integer.parseInt(System.getenv("CONFORMANCE_ADDRESS").split(":")[1]);
    static final boolean REFERENCE = !System.getenv("CONFORMANCE_REFERENCE").isEmpty();
    static final DurableTaskClient CLIENT = new DurableTaskGrpcClientBuilder().port(PORT).build();
    private static boolean failed;

    interface Scenario {
        void act() throws Exception;
    }

    /** {@code differs} says why the reference does not do this, or is null. */
    static void scenario(String name, String differs, Scenario scenario) {
        if (!name.contains(System.getenv("CONFORMANCE_ONLY"))) {
            return;
        }
        long began = System.nanoTime();
        if (REFERENCE && differs != null) {
            say("skipped", began, name, differs);
            return;
        }
        try {
            scenario.act();
            say("passed", began, name, "");
        } catch (Throwable problem) {
            StringWriter text = new StringWriter();
            problem.printStackTrace(new PrintWriter(text));
            say("failed", began, name, text.toString());
        }
    }

    static void end() {
        // Threads of the SDK must not hold the process.
        System.exit(failed ? 1 : 0);
    }

    private static void say(String outcome, long began, String name, String output) {
        failed |= outcome.equals("failed");
        double seconds = (System.nanoTime() - began) / 1e9;
        String text = output.replace("\\", "/").replace("\t", "  ").replace("\n", "\\n");
        String line = String.format(Locale.ROOT, "%s\t%.2f\t%s\t%s%n", outcome, seconds, name, text);
        try {
            Files.writeString(Path.of(System.getenv("CONFORMANCE_RESULTS")), line, StandardOpenOption.APPEND);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    static DurableTaskGrpcWorkerBuilder worker() {
        return new DurableTaskGrpcWorkerBuilder().port(PORT);
    }

    static TaskOrchestrationFactory orchestrator(String name, TaskOrchestration code) {
        return new TaskOrchestrationFactory() {
            @Override
            public String getName() {
                return name;
            }

            @Override
            public TaskOrchestration create() {
                return code;
            }
        };
    }

    static TaskActivityFactory activity(String name, TaskActivity code) {
        return new TaskActivityFactory() {
            @Override
            public String getName() {
                return name;
            }

            @Override
            public TaskActivity create() {
                return code;
            }
        };
    }

    static String unique() {
        return "java-" + UUID.randomUUID();
    }

    static String start(String name, Object input) {
        return CLIENT.scheduleNewOrchestrationInstance(
                name, new NewOrchestrationInstanceOptions().setInput(input).setInstanceId(unique()));
    }

    static OrchestrationMetadata wait(String id) throws Exception {
        return CLIENT.waitForInstanceCompletion(id, Duration.ofSeconds(40), true);
    }

    static String output(String name, Object input) throws Exception {
        OrchestrationMetadata metadata = wait(start(name, input));
        equal(metadata.getRuntimeStatus(), OrchestrationRuntimeStatus.COMPLETED);
        return metadata.getSerializedOutput();
    }

    static void untilStatus(String id, OrchestrationRuntimeStatus status) throws Exception {
        eventually(() -> CLIENT.getInstanceMetadata(id, false).getRuntimeStatus() == status);
    }

    static void equal(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError("found:  " + found + "\nwanted: " + wanted);
        }
    }

    static void holds(boolean condition, String text) {
        if (!condition) {
            throw new AssertionError(text);
        }
    }

    static void eventually(Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(15).toNanos();
        while (!condition.call()) {
            holds(System.nanoTime() < deadline, "not within 15 s");
            Thread.sleep(20);
        }
    }

    static void control(String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("CONFORMANCE_CONTROL") + path))
                .version(HttpClient.Version.HTTP_1_1).POST(HttpRequest.BodyPublishers.noBody()).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        equal(answer.statusCode(), 200);
    }

    private Harness() {}
}
