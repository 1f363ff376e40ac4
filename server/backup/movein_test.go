package backup

import (
	"os"
	"path/filepath"
	"testing"
)

// Keys without their database would be taken for a server.
func TestMoveInIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, unfinished, "data")
	for _, name := range []string{filepath.Join(from, "blobs"), filepath.Join(dir, "server.db", "in the way")} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"storage.key", "server.db"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := moveIn(from, dir); err == nil {
		t.Fatal("moved a file over a folder")
	}
	for where, want := range map[string]int{dir: 2, from: 3} {
		if left, err := os.ReadDir(where); err != nil || len(left) != want {
			t.Errorf("%s has %v: %v", where, left, err)
		}
	}
}
