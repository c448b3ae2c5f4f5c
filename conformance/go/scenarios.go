package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

type (
	octx = *task.OrchestrationContext
	actx = task.ActivityContext
)

func addOne(ctx actx) (any, error) {
	var number int
	err := ctx.GetInput(&number)
	return number + 1, err
}

func waits(ctx octx) (any, error) {
	var data string
	err := ctx.WaitForSingleEvent("go", -1).Await(&data)
	return data, err
}

var scenarios = []scenario{
	{name: "trap_01_a_chain_without_tokens_passes_each_result_on", act: func(s *session) {
		defer s.worker(map[string]any{"addOne": addOne, "chain": func(ctx octx) (any, error) {
			number := 0
			for step := 0; step < 10; step++ {
				if err := ctx.CallActivity("addOne", task.WithActivityInput(number)).Await(&number); err != nil {
					return nil, err
				}
			}
			return number, nil
		}})()
		equal(s.output("chain"), "10")
	}},
	{name: "trap_01_a_fan_out_without_tokens_gives_every_result", act: func(s *session) {
		defer s.worker(map[string]any{"addOne": addOne, "fan": func(ctx octx) (any, error) {
			var calls []task.Task
			for number := 0; number < 100; number++ {
				calls = append(calls, ctx.CallActivity("addOne", task.WithActivityInput(number)))
			}
			sum := 0
			for _, call := range calls {
				var number int
				if err := call.Await(&number); err != nil {
					return nil, err
				}
				sum += number
			}
			return sum, nil
		}})()
		equal(s.output("fan"), "5050")
	}},
	{name: "trap_04_children_without_ids_get_one_of_each_generation", act: func(s *session) {
		defer s.worker(map[string]any{
			"child": func(ctx octx) (any, error) { return string(ctx.ID), nil },
			"generations": func(ctx octx) (any, error) {
				var ids []string
				if err := ctx.GetInput(&ids); err != nil {
					return nil, err
				}
				var id string
				if err := ctx.CallSubOrchestrator("child").Await(&id); err != nil {
					return nil, err
				}
				ids = append(ids, id)
				if len(ids) < 4 {
					ctx.ContinueAsNew(ids)
					return nil, nil
				}
				distinct := map[string]bool{}
				for _, id := range ids {
					distinct[id] = true
				}
				return len(distinct), nil
			},
		})()
		equal(s.output("generations", api.WithInput([]string{})), "4")
	}},
	{name: "trap_11_the_withdrawn_action_of_a_reuse_policy_is_understood", act: func(s *session) {
		defer s.worker(map[string]any{"waits": waits, "ends": func(ctx octx) (any, error) { return "new", nil }})()
		live := []api.OrchestrationStatus{api.RUNTIME_STATUS_RUNNING, api.RUNTIME_STATUS_COMPLETED, api.RUNTIME_STATUS_PENDING}
		again := func(id api.InstanceID, options ...api.NewOrchestrationOptions) error {
			_, err := s.client.ScheduleNewOrchestration(s.ctx, "ends", append(options, api.WithInstanceID(id))...)
			return err
		}
		id := s.start("waits")
		s.untilStatus(id, api.RUNTIME_STATUS_RUNNING)
		holds(again(id) != nil, "a live id must be refused")
		check(again(id, api.WithOrchestrationIdReusePolicy(&api.OrchestrationIdReusePolicy{
			Action: api.REUSE_ID_ACTION_IGNORE, OperationStatus: live})))
		metadata, err := s.client.FetchOrchestrationMetadata(s.ctx, id)
		check(err)
		equal(metadata.Name, "waits")
		check(again(id, api.WithOrchestrationIdReusePolicy(&api.OrchestrationIdReusePolicy{
			Action: api.REUSE_ID_ACTION_TERMINATE, OperationStatus: live})))
		equal(s.wait(id).SerializedOutput, `"new"`)
	}},
	{name: "trap_17_a_child_that_is_not_awaited_still_runs_in_any_order_of_the_actions", act: func(s *session) {
		var ran atomic.Int32
		defer s.worker(map[string]any{
			"child":  func(ctx octx) (any, error) { ran.Add(1); return nil, nil },
			"leaves": func(ctx octx) (any, error) { ctx.CallSubOrchestrator("child"); return "gone", nil },
		})()
		for number := 1; number <= 10; number++ {
			equal(s.output("leaves"), `"gone"`)
		}
		eventually(func() bool { return ran.Load() >= 10 })
	}},
	{name: "trap_18_an_instance_is_pending_until_its_first_episode_is_committed", act: func(s *session) {
		release := make(chan struct{})
		defer s.worker(map[string]any{"slow": func(ctx octx) (any, error) { <-release; return nil, nil }})()
		before := time.Now()
		id := s.start("slow")
		after := time.Now()
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		_, err := s.client.WaitForOrchestrationStart(ctx, id)
		holds(errors.Is(err, context.DeadlineExceeded), fmt.Sprint("it has started: ", err))
		close(release)
		created := s.wait(id).CreatedAt
		holds(created.After(before) && created.Before(after), fmt.Sprint(before, created, after))
	}},
	{name: "trap_21_a_custom_status_that_is_no_json_is_kept", act: func(s *session) {
		defer s.worker(map[string]any{"says": func(ctx octx) (any, error) {
			ctx.SetCustomStatus("not json {")
			return waits(ctx)
		}})()
		id := s.start("says")
		eventually(func() bool {
			metadata, err := s.client.FetchOrchestrationMetadata(s.ctx, id)
			return err == nil && metadata.SerializedCustomStatus == "not json {"
		})
		check(s.client.RaiseEvent(s.ctx, id, "go", api.WithEventPayload("data")))
		equal(s.wait(id).SerializedOutput, `"data"`)
	}},
	{name: "trap_24_a_terminate_is_recursive_unless_told_otherwise", act: func(s *session) {
		defer s.worker(map[string]any{"waits": waits, "parent": func(ctx octx) (any, error) {
			child := ctx.CallSubOrchestrator("waits", task.WithSubOrchestrationInstanceID(string(ctx.ID)+"-child"))
			return nil, child.Await(nil)
		}})()
		for _, recursive := range []bool{true, false} {
			id := s.start("parent")
			child := id + "-child"
			s.untilStatus(child, api.RUNTIME_STATUS_RUNNING)
			options := []api.TerminateOptions{api.WithOutput("end")}
			if !recursive {
				options = append(options, api.WithRecursiveTerminate(false))
			}
			check(s.client.TerminateOrchestration(s.ctx, id, options...))
			metadata := s.wait(id)
			equal(metadata.RuntimeStatus, api.RUNTIME_STATUS_TERMINATED)
			equal(metadata.SerializedOutput, `"end"`)
			if !recursive {
				check(s.client.RaiseEvent(s.ctx, child, "go", api.WithEventPayload("on its own")))
				equal(s.wait(child).SerializedOutput, `"on its own"`)
				continue
			}
			equal(s.wait(child).RuntimeStatus, api.RUNTIME_STATUS_TERMINATED)
		}
	}},
	{name: "trap_24_actions_come_with_the_resume", act: func(s *session) {
		defer s.worker(map[string]any{"addOne": addOne, "waits": func(ctx octx) (any, error) {
			var number int
			if err := ctx.WaitForSingleEvent("go", -1).Await(&number); err != nil {
				return nil, err
			}
			err := ctx.CallActivity("addOne", task.WithActivityInput(number)).Await(&number)
			return number, err
		}})()
		id := s.start("waits")
		s.untilStatus(id, api.RUNTIME_STATUS_RUNNING)
		check(s.client.SuspendOrchestration(s.ctx, id, "why"))
		s.untilStatus(id, api.RUNTIME_STATUS_SUSPENDED)
		check(s.client.RaiseEvent(s.ctx, id, "go", api.WithEventPayload(1)))
		time.Sleep(300 * time.Millisecond)
		s.untilStatus(id, api.RUNTIME_STATUS_SUSPENDED)
		check(s.client.ResumeOrchestration(s.ctx, id, "why not"))
		equal(s.wait(id).SerializedOutput, "2")
	}},
	{name: "trap_26_a_purge_of_nothing_counts_nothing", act: func(s *session) {
		defer s.worker(map[string]any{"ends": func(ctx octx) (any, error) { return nil, nil }})()
		id := s.start("ends")
		s.wait(id)
		check(s.client.PurgeOrchestrationState(s.ctx, id))
		holds(errors.Is(s.client.PurgeOrchestrationState(s.ctx, id), api.ErrInstanceNotFound), "it was there twice")
		_, err := s.client.FetchOrchestrationMetadata(s.ctx, id)
		holds(errors.Is(err, api.ErrInstanceNotFound), "it is still there")
	}},
	{name: "timers_retries_and_events_work_together", act: func(s *session) {
		var tries atomic.Int32
		defer s.worker(map[string]any{
			"flaky": func(ctx actx) (any, error) {
				if tries.Add(1) < 3 {
					return nil, errors.New("not yet")
				}
				return "third", nil
			},
			"all": func(ctx octx) (any, error) {
				if err := ctx.CreateTimer(50 * time.Millisecond).Await(nil); err != nil {
					return nil, err
				}
				var data string
				policy := &task.RetryPolicy{MaxAttempts: 5, InitialRetryInterval: 10 * time.Millisecond}
				err := ctx.CallActivity("flaky", task.WithActivityRetryPolicy(policy)).Await(&data)
				if err != nil {
					return nil, err
				}
				if err := ctx.WaitForSingleEvent("never", 50*time.Millisecond).Await(nil); err == nil {
					return nil, errors.New("an event that nobody raised")
				}
				return data, nil
			},
		})()
		equal(s.output("all"), `"third"`)
	}},
	{name: "falsy_values_survive", act: func(s *session) {
		echo := func(ctx actx) (any, error) {
			var value any
			err := ctx.GetInput(&value)
			return value, err
		}
		defer s.worker(map[string]any{"echo": echo, "through": func(ctx octx) (any, error) {
			var value any
			if err := ctx.GetInput(&value); err != nil {
				return nil, err
			}
			err := ctx.CallActivity("echo", task.WithActivityInput(value)).Await(&value)
			return value, err
		}})()
		for _, text := range []string{"0", "false", `""`, "[]", "{}"} {
			equal(s.output("through", api.WithRawInput(text)), text)
		}
	}},
	{name: "a_server_killed_in_mid_run_loses_nothing", act: func(s *session) {
		defer s.worker(map[string]any{"addOne": addOne, "chain": func(ctx octx) (any, error) {
			number := 0
			for step := 0; step < 20; step++ {
				if err := ctx.CreateTimer(20 * time.Millisecond).Await(nil); err != nil {
					return nil, err
				}
				if err := ctx.CallActivity("addOne", task.WithActivityInput(number)).Await(&number); err != nil {
					return nil, err
				}
			}
			return number, nil
		}})()
		var ids []api.InstanceID
		for number := 0; number < 10; number++ {
			ids = append(ids, s.start("chain"))
		}
		time.Sleep(300 * time.Millisecond)
		control("/servers/0/kill")
		control("/servers/0/start")
		for _, id := range ids {
			equal(s.wait(id).SerializedOutput, "20")
		}
	}},
}
