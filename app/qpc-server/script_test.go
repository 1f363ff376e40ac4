package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"quicprochat/core/client"
	"quicprochat/server/storage/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	testscript.Main(withPostgres{m}, map[string]func(){"qpc-server": main})
}

// withPostgres runs tests that may start a PostgreSQL.
type withPostgres struct{ tests *testing.M }

func (w withPostgres) Run() int { return postgrestest.Main(w.tests) }

func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(*testscript.Env) error { return nil })
}

// TestPostgresScripts runs scripts that have databases at hand.
func TestPostgresScripts(t *testing.T) {
	cluster := postgrestest.Shared(t)
	err := cluster.Exec(t.Context(), "postgres", `CREATE ROLE `+postgrestest.LockedUser+` SUPERUSER LOGIN PASSWORD 'right'`)
	if err != nil {
		t.Fatal(err)
	}
	runScripts(t, "testdata/postgres", func(env *testscript.Env) error {
		store, err := cluster.NewDatabase(t.Context())
		if err != nil {
			return err
		}
		empty, err := cluster.NewDatabase(t.Context())
		if err != nil {
			return err
		}
		as := func(user, database string) string {
			text := strings.Replace(store, "//qpc@", "//"+user+"@", 1)
			return strings.Replace(text, postgrestest.DatabaseName(store), database, 1)
		}
		env.Setenv("STORE", store)
		env.Setenv("EMPTY", empty)
		env.Setenv("LOCKED", as(postgrestest.LockedUser+":right", postgrestest.DatabaseName(store)))
		env.Setenv("WRONG", as(postgrestest.LockedUser+":s3cr3t", postgrestest.DatabaseName(store)))
		env.Setenv("MISSING", as("qpc", "missing"))
		port, err := freePort()
		env.Setenv("OTHERPORT", strconv.Itoa(port))
		return err
	})
}

func runScripts(t *testing.T, dir string, setUp func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir+"/home/.config")
			env.Setenv("XDG_DATA_HOME", env.WorkDir+"/home/.local/share")
			port, err := freePort()
			env.Setenv("PORT", strconv.Itoa(port))
			env.Values[accountsKey{}] = make(map[string]*client.Client)
			return errors.Join(err, setUp(env))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mode":       scriptMode,
			"wait-for":   scriptWaitFor,
			"set-clock":  scriptSetClock,
			"occupy":     scriptOccupy,
			"edit":       scriptEdit,
			"set-store":  scriptSetStore,
			"save-link":  scriptSave(`qpc://\S+`),
			"save-label": scriptSave(`(?m)^[0-9a-f]{8}`),
			"register":   scriptRegister,
		},
	})
}

// freePort finds a UDP port that nobody uses, below those that systems hand
// out by themselves, so that no other test gets it in the meantime.
func freePort() (int, error) {
	for {
		port := 20_000 + rand.IntN(10_000)
		socket, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, socket.Close()
	}
}

// scriptMode: mode 0600 FILE... fails where a file has another one.
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		got := fmt.Sprintf("%#o", info.Mode().Perm())
		if (got == args[0]) == neg {
			ts.Fatalf("%s has mode %s", name, got)
		}
	}
}

// scriptWaitFor: wait-for REGEXP CMD... repeats a command until its output
// matches.
func scriptWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	deadline := time.Now().Add(30 * time.Second)
	for {
		err = ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match in: %s%s (%v)", ts.ReadFile("stdout"), ts.ReadFile("stderr"), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// scriptSetClock: set-clock DURATION FILE makes a file written that much later
// than now.
func scriptSetClock(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	at := time.Now().Add(d)
	ts.Check(os.Chtimes(ts.MkAbs(args[1]), at, at))
}

// scriptOccupy: occupy PORT listens on a UDP port until the script ends.
func scriptOccupy(ts *testscript.TestScript, _ bool, args []string) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:"+args[0])
	ts.Check(err)
	ts.Defer(func() { socket.Close() })
}

// scriptEdit: edit FILE OLD NEW replaces a text that must be there.
func scriptEdit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
}

// scriptRegister: register LINKFILE NAME registers an account, which stays
// connected until the script ends; with "! register" it must be refused. Later,
// register NAME STATE waits until its connection is online, or banned.
func scriptRegister(ts *testscript.TestScript, neg bool, args []string) {
	accounts := ts.Value(accountsKey{}).(map[string]*client.Client)
	if c := accounts[args[0]]; c != nil {
		awaitConnection(ts, c, args[1])
		return
	}
	link, err := client.ParseLink(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	o := client.Options{Dir: ts.MkAbs("profile-" + args[1]), DeviceName: "test", Cost: client.CheapForTests()}
	c, err := client.Register(context.Background(), o, link, args[1], "seven gulls over the harbour")
	if neg {
		if err == nil {
			ts.Fatalf("%s was registered", args[1])
		}
		return
	}
	ts.Check(err)
	accounts[args[1]] = c
	ts.Defer(func() { _ = c.Close() })
}

// accountsKey is where a script has its clients.
type accountsKey struct{}

// awaitConnection waits for what the server makes of a client.
func awaitConnection(ts *testscript.TestScript, c *client.Client, state string) {
	events, cancel := c.Subscribe()
	defer cancel()
	timeout := time.After(30 * time.Second)
	for {
		c.Reconnect() // a banned client takes its time
		now := c.Connection()
		if state == "online" && now.State == client.Online || state == "banned" && errors.Is(now.Err, client.ErrBanned) {
			return
		}
		select {
		case <-events:
		case <-timeout:
			ts.Fatalf("the connection is %v: %v", now.State, now.Err)
		}
	}
}

// scriptSave: save-... FILE NAME puts what matches the pattern into a variable.
func scriptSave(pattern string) func(*testscript.TestScript, bool, []string) {
	re := regexp.MustCompile(pattern)
	return func(ts *testscript.TestScript, _ bool, args []string) {
		found := re.FindString(ts.ReadFile(args[0]))
		if found == "" {
			ts.Fatalf("nothing matches %s", pattern)
		}
		ts.Setenv(args[1], found)
	}
}

// scriptSetStore: set-store FILE URL changes store.url in a configuration.
func scriptSetStore(ts *testscript.TestScript, _ bool, args []string) {
	old := ts.ReadFile(args[0])
	line := regexp.MustCompile(`(?ms)^\[store\]$.*?^(url = [^\n]*)$`).FindStringSubmatchIndex(old)
	if line == nil {
		ts.Fatalf("%s has no store.url", args[0])
	}
	text := old[:line[2]] + "url = " + strconv.Quote(args[1]) + old[line[3]:]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
