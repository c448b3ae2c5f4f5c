// The scenarios of the Go SDK. Its client and worker know no task hubs, so all run in the default hub, one after
// another; its answers carry no completion tokens, so each of them is about trap 1 as well.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var (
	reference = os.Getenv("CONFORMANCE_REFERENCE") != ""
	results   *os.File
	failed    bool
	instances int
)

type scenario struct {
	name    string
	act     func(s *session)
	differs string // why the reference does not do this
}

// session is what a scenario gets: a connection of its own.
type session struct {
	ctx    context.Context
	client *client.TaskHubGrpcClient
	conn   *grpc.ClientConn
}

func main() {
	var err error
	results, err = os.OpenFile(os.Getenv("CONFORMANCE_RESULTS"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	only := os.Getenv("CONFORMANCE_ONLY")
	for _, one := range scenarios {
		if !strings.Contains(one.name, only) {
			continue
		}
		if reference {
			// The reference knows completions by their tokens alone, and Go sends none.
			say("skipped", time.Now(), one.name, "it insists on tokens")
			continue
		}
		run(one)
	}
	if !reference {
		publishedTests(only)
	}
	if failed {
		os.Exit(1)
	}
}

func run(one scenario) {
	began := time.Now()
	s := connect()
	defer s.conn.Close()
	defer func() {
		if problem := recover(); problem != nil {
			say("failed", began, one.name, fmt.Sprint(problem))
			return
		}
		say("passed", began, one.name, "")
	}()
	one.act(s)
}

func say(outcome string, began time.Time, name, output string) {
	failed = failed || outcome == "failed"
	output = strings.NewReplacer("\\", "/", "\t", "  ", "\n", "\\n").Replace(output)
	fmt.Fprintf(results, "%s\t%.2f\t%s\t%s\n", outcome, time.Since(began).Seconds(), name, output)
}

func connect() *session {
	address := os.Getenv("CONFORMANCE_ADDRESS")
	conn, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	return &session{context.Background(), client.NewTaskHubGrpcClient(conn, backend.DefaultLogger()), conn}
}

// worker runs a worker with these orchestrators and activities until the returned function is called.
func (s *session) worker(functions map[string]any) func() {
	registry := task.NewTaskRegistry()
	for name, function := range functions {
		switch function := function.(type) {
		case func(*task.OrchestrationContext) (any, error):
			check(registry.AddOrchestratorN(name, function))
		case func(task.ActivityContext) (any, error):
			check(registry.AddActivityN(name, function))
		default:
			panic(fmt.Sprintf("%s is neither an orchestrator nor an activity", name))
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	check(s.client.StartWorkItemListener(ctx, registry))
	return cancel
}

func (s *session) start(name string, options ...api.NewOrchestrationOptions) api.InstanceID {
	id, err := s.client.ScheduleNewOrchestration(s.ctx, name, append([]api.NewOrchestrationOptions{unique()}, options...)...)
	check(err)
	return id
}

func (s *session) wait(id api.InstanceID) *api.OrchestrationMetadata {
	ctx, cancel := context.WithTimeout(s.ctx, 40*time.Second)
	defer cancel()
	metadata, err := s.client.WaitForOrchestrationCompletion(ctx, id)
	check(err)
	return metadata
}

func (s *session) output(name string, options ...api.NewOrchestrationOptions) string {
	metadata := s.wait(s.start(name, options...))
	equal(metadata.RuntimeStatus, api.RUNTIME_STATUS_COMPLETED)
	return metadata.SerializedOutput
}

func (s *session) untilStatus(id api.InstanceID, status api.OrchestrationStatus) {
	eventually(func() bool {
		metadata, err := s.client.FetchOrchestrationMetadata(s.ctx, id)
		return err == nil && metadata.RuntimeStatus == status
	})
}

func unique() api.NewOrchestrationOptions {
	instances++
	return api.WithInstanceID(api.InstanceID(fmt.Sprintf("go-%d-%d", os.Getpid(), instances)))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal[T comparable](found, wanted T) {
	if found != wanted {
		panic(fmt.Sprintf("found:  %v\nwanted: %v", found, wanted))
	}
}

func holds(condition bool, text string) {
	if !condition {
		panic(text)
	}
}

func eventually(condition func() bool) {
	for deadline := time.Now().Add(15 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		holds(time.Now().Before(deadline), "not within 15 s")
	}
}

// control asks the runner to do something to a server.
func control(path string) {
	response, err := http.Post(os.Getenv("CONFORMANCE_CONTROL")+path, "text/plain", nil)
	check(err)
	text, _ := io.ReadAll(response.Body)
	equal(response.StatusCode, 200)
	_ = text
}
