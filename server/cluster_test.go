package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicprochat/server/bus"
	"quicprochat/server/bus/nats"
	"quicprochat/server/bus/nats/natstest"
	"quicprochat/server/config"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
)

// withPostgres ends the PostgreSQL of this program's tests behind them.
type withPostgres struct{ *testing.M }

func (m withPostgres) Run() int { return postgrestest.Main(m.M) }

// shared are the options of a server that may share a PostgreSQL and a NATS.
func shared() []Option {
	store := func(ctx context.Context, url storage.URL, limits storage.Limits, keyHash []byte) (storage.Store, error) {
		return postgres.Open(ctx, postgres.Options{URL: url, Limits: limits, KeyHash: keyHash})
	}
	bus := func(cfg config.Bus, key [32]byte, listener bus.Listener, log *slog.Logger) (bus.Bus, error) {
		return nats.Open(nats.Options{Servers: cfg.URL.Reveal(), Key: key, Listener: listener, Log: log})
	}
	return []Option{WithStore(store), WithBus(bus)}
}

// impatient makes a server whose bus is gone look into the store more often.
func impatient(s *Server) { s.pause = func() time.Duration { return 50 * time.Millisecond } }

// onPostgres is a change of a configuration: to an empty database.
func onPostgres(t testing.TB) func(*Config) {
	t.Helper()
	url, err := postgrestest.Shared(t).NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Store.URL = storage.URL(url) }
}

// startNodes starts servers in this process that share a PostgreSQL, a NATS and a
// bucket.
// The first is to be shut down last.
func startNodes(t testing.TB, n int, nats *natstest.Server) []*fixture {
	t.Helper()
	store, objects := onPostgres(t), newBucket()
	join := func(c *Config) { c.Bus.URL = config.BusURL(nats.URL()) }
	nodes := []*fixture{startWith(t, objects, store, join)}
	for range n - 1 {
		nodes = append(nodes, startWith(t, objects, store, join, func(c *Config) { copyKeys(t, nodes[0].cfg.DataDir, c.DataDir) }))
	}
	return nodes
}

// copyKeys copies what servers that share a store have in common.
func copyKeys(t testing.TB, from, to string) {
	t.Helper()
	for _, pattern := range []string{"*.key", "*.crt"} {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(to, filepath.Base(file)), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// nodeVariable, in the environment, makes this program a server that takes its
// configuration from there and runs until it is killed or its input ends.
const nodeVariable = "QPC_TEST_NODE"

func serveNode() {
	cfg, err := config.Load("", os.Environ())
	var s *Server
	if err == nil {
		s, err = New(cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), shared()...)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Link(nil))
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
	os.Exit(0)
}

// process is a server in a process of its own that can be killed and started
// again, at the same address.
type process struct {
	t       testing.TB
	environ []string
	listen  string
	link    string
	cmd     *exec.Cmd
	input   io.Closer
}

// newProcess prepares a server over a data folder. change sets what is not as
// in testConfig.
func newProcess(t testing.TB, dir string, environ ...string) *process {
	p := &process{t: t, listen: "127.0.0.1:0"}
	p.environ = append(os.Environ(), nodeVariable+"=1", "QPC_DATA_DIR="+dir, "QPC_PUBLIC_HOST=127.0.0.1", "QPC_REGISTRATION=open")
	for _, class := range []string{"LOGIN", "AUTH", "LOOKUP", "POST", "OWN", "BLOB"} {
		p.environ = append(p.environ, "QPC_RATES_"+class+"_PER_MINUTE=1000000000", "QPC_RATES_"+class+"_BURST=1000000000")
	}
	p.environ = append(p.environ, environ...)
	t.Cleanup(p.kill)
	return p
}

// run starts the process and returns when clients can connect.
func (p *process) run() {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(self)
	p.cmd.Env = append(p.environ, "QPC_LISTEN="+p.listen)
	p.cmd.Stderr = os.Stderr
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "qpc://") {
		p.t.Fatalf("the server said %q, %v", line, err)
	}
	if p.link != "" {
		return // it is the same as before, and clients are using it
	}
	p.link = strings.TrimSpace(line)
	p.listen = strings.TrimPrefix(p.link[:strings.IndexByte(p.link, '?')-1], "qpc://")
}

// kill ends the process as a power cut would. One that does not run is left
// alone.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	_ = p.cmd.Wait() // it was killed
	p.cmd = nil
}

// newCluster prepares servers in processes of their own that share a PostgreSQL
// and a NATS, and runs them.
func newCluster(t testing.TB, n int, nats *natstest.Server) []*process {
	t.Helper()
	var c Config
	onPostgres(t)(&c)
	environ := []string{"QPC_STORE_URL=" + c.Store.URL.Reveal(), "QPC_BUS_URL=" + nats.URL()}
	var all []*process
	first := t.TempDir()
	for i := range n {
		dir := first
		if i > 0 {
			dir = t.TempDir()
			copyKeys(t, first, dir)
		}
		p := newProcess(t, dir, environ...)
		p.run()
		all = append(all, p)
	}
	return all
}
