package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestOperationsManual runs the blocks of commands of docs/operations.md, one
// after another, as root would on a machine of its own, and parses all others.
func TestOperationsManual(t *testing.T) {
	raw, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	manual := string(raw)
	root := t.TempDir()
	for _, dir := range []string{"/etc/qpc", "/var/lib", "/var/backups/qpc"} {
		must(t, os.MkdirAll(root+dir, 0o700))
	}
	port, err := freePort()
	must(t, err)
	t.Setenv("QPC_CONFIG", root+"/etc/qpc/server.toml")
	t.Setenv("QPC_LISTEN", "127.0.0.1:"+strconv.Itoa(port))
	t.Setenv("QPC_DATA_DIR", root+"/var/lib/qpc")
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(manual, -1) {
		for line := range strings.Lines(block[1]) {
			words := strings.Fields(line)
			if words[0] != "qpc-server" {
				t.Errorf("a block has %q, which is not run", line)
				continue
			}
			ran++
			runLine(t, root, words[1:])
		}
	}
	if ran < 10 {
		t.Errorf("ran %d commands only", ran)
	}
	for _, span := range regexp.MustCompile("`qpc-server ([a-z-]+[^`]*)`").FindAllStringSubmatch(manual, -1) {
		args := strings.Fields(span[1])
		if args[0] == "backup" && len(args) < 3 && !strings.Contains(span[1], ".") {
			args = append(args, "FILE") // named without its arguments
		}
		if args[0] == "restore" && len(args) == 1 {
			args = append(args, "FILE")
		}
		if args[0] != "--help" {
			parses(t, args)
		}
	}
}

// runLine runs a command of the manual with its paths under root.
func runLine(t *testing.T, root string, args []string) {
	t.Helper()
	for i, arg := range args {
		if strings.HasPrefix(arg, "/") {
			args[i] = root + filepath.FromSlash(arg)
		}
	}
	switch {
	case args[0] == "quickstart":
		args = append(args, "--no-systemd") // this machine's is not to be touched
	case args[0] == "restore":
		restorable(t, args[1])
	}
	var out, problems bytes.Buffer
	if status := run(args, &console{out: &out, err: &problems, environ: os.Environ()}); status != 0 {
		t.Errorf("qpc-server %q: status %d\n%s%s", args, status, &out, &problems)
	}
}

// restorable gives the newest backup the name by which the manual calls it.
func restorable(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	made, err := filepath.Glob(strings.TrimSuffix(path, ".tar") + "/*.tar")
	must(t, err)
	if len(made) == 0 {
		t.Fatal("no backup was made")
	}
	must(t, os.Rename(made[len(made)-1], path))
}
