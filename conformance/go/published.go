package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// publishedTests runs the tests over gRPC that the package ships. They bring a server of their own; the one line in
// which they connect to it is pointed at ours.
func publishedTests(only string) {
	began := time.Now()
	folder, err := patched()
	if err != nil {
		say("failed", began, "published_tests", err.Error())
		return
	}
	command := exec.Command("go", "test", "-count=1", "-v", "-run", "Test_Grpc", "./tests/grpc")
	command.Dir = folder
	output, err := command.CombinedOutput()
	found := regexp.MustCompile(`(?m)^--- (PASS|FAIL): (\S+) \(([0-9.]+)s\)`).FindAllStringSubmatch(string(output), -1)
	for _, line := range found {
		began := time.Now()
		if seconds, err := time.ParseDuration(line[3] + "s"); err == nil {
			began = began.Add(-seconds)
		}
		if !strings.Contains(line[2], only) {
			continue
		}
		if line[1] == "PASS" {
			say("passed", began, "published "+line[2], "")
		} else {
			say("failed", began, "published "+line[2], string(output))
		}
	}
	if len(found) == 0 {
		say("failed", began, "published_tests", fmt.Sprint(err, "\n", string(output)))
	}
}

// patched copies the package's source out of the module cache and points its tests at our server.
func patched() (string, error) {
	found, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/microsoft/durabletask-go").Output()
	if err != nil {
		return "", err
	}
	from, to := strings.TrimSpace(string(found)), "published"
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		return "", err
	}
	file := filepath.Join(to, "tests", "grpc", "grpc_test.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const theirs, ours = "grpc.Dial(lis.Addr().String()", `grpc.Dial(os.Getenv("CONFORMANCE_ADDRESS")`
	if strings.Count(string(text), theirs) == 0 {
		return "", fmt.Errorf("%s does not connect as it did", file)
	}
	return to, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), theirs, ours)), 0o644)
}
