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
