package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// startTSMLS starts ts-mls behind its driver, from the folder that make interop
// has installed it in.
func startTSMLS(t testing.TB) *endpoint {
	t.Helper()
	dir := os.Getenv("QPC_INTEROP")
	if dir == "" {
		t.Skip("QPC_INTEROP does not name the folder of an installed ts-mls driver; make interop installs and runs it")
	}
	return start(t, "ts-mls", exec.CommandContext(t.Context(), "node", filepath.Join(dir, "driver.mjs")))
}

func TestTSMLSTalks(t *testing.T) {
	for _, suite := range startTSMLS(t).suites(false) {
		t.Run(fmt.Sprintf("suite %d", suite), func(t *testing.T) {
			t.Run("ours begins", func(t *testing.T) { converse(t, int(suite), startOwn(t, "ours"), startTSMLS(t)) })
			t.Run("theirs begins", func(t *testing.T) { converse(t, int(suite), startTSMLS(t), startOwn(t, "ours")) })
		})
	}
}

func TestTSMLSRandomOperations(t *testing.T) {
	startTSMLS(t)
	chosen := seed(t)
	for suite := 1; suite <= 7; suite++ {
		t.Run(fmt.Sprintf("suite %d", suite), func(t *testing.T) {
			wander(t, suite, chosen, startOwn(t, "ours"), startTSMLS(t))
		})
	}
}

// TestTSMLSFaults shows the faults of ts-mls that the other tests go around. Where
// one of these no longer shows, the way around it can go.
func TestTSMLSFaults(t *testing.T) {
	policy := func() string { return "private" }
	ours, theirs := startOwn(t, "ours"), startTSMLS(t)
	t.Run("commits extensions without a path", func(t *testing.T) {
		w := newWorld(t, 1, policy, theirs)
		w.add(w.members[0], params{}, ours)
		var c commitResult
		w.members[0].on("commit", params{"extensions": []extension{{testExtension, nil}}}, &c)
		f := ours.try("process", params{"group": w.members[1].handle, "message": c.Message}, nil)
		if f == nil || f.Section != "12.4" {
			t.Errorf("processing answers %+v", f)
		}
	})
	t.Run("seals paths for the old extensions", func(t *testing.T) {
		w := newWorld(t, 1, policy, theirs)
		w.add(w.members[0], params{}, ours)
		w.update(w.members[1])
		w.add(w.members[0], params{}, theirs)
		w.settle()
		p := params{"extensions": []extension{{testExtension, nil}}, "removes": []uint32{w.members[2].info().Own}}
		var c commitResult
		w.members[0].on("commit", p, &c)
		ours.refuses("decrypt", "process", params{"group": w.members[1].handle, "message": c.Message})
	})
	t.Run("refuses valid trees with unmerged leaves", func(t *testing.T) {
		w := newWorld(t, 1, policy, ours)
		w.add(w.members[0], params{}, ours, ours, ours, ours)
		w.settle()
		w.remove(w.members[0], w.members[2])
		w.update(w.members[0])
		joiner := w.newMember(theirs)
		var c commitResult
		w.members[3].on("commit", params{"adds": []octets{joiner.keyPackage()}}, &c)
		theirs.refuses("invalid", "join", params{"client": joiner.handle, "group": "new", "welcome": c.Welcome})
	})
}
