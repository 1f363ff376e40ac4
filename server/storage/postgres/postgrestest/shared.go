package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the cluster of a test program, started when the first test asks.
var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Main runs the tests of a package and ends the shared cluster behind them. It
// returns the exit code.
func Main(m interface{ Run() int }) int {
	status := m.Run()
	if shared.cluster == nil {
		return status
	}
	if err := shared.cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
		return max(status, 1)
	}
	return status
}

// Shared gives the cluster of this test program, which must run its tests
// through Main. Where PostgreSQL is not installed, the test is skipped.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = Start() })
	if errors.Is(shared.err, ErrMissing) {
		skip(t)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// Own gives a cluster to one test alone, which may break it.
func Own(t testing.TB) *Cluster {
	t.Helper()
	c, err := Start()
	if errors.Is(err, ErrMissing) {
		skip(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func skip(t testing.TB) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "\n*** %s WAS NOT TESTED WITH POSTGRESQL: %v ***\n\n", t.Name(), ErrMissing)
	t.Skip(ErrMissing)
}
