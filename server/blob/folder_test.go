package blob_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"quicprochat/server/blob"
	"quicprochat/server/blob/blobtest"
)

func openFolder(t testing.TB, dir string) *blob.Folder {
	t.Helper()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) { blobtest.Run(t, openFolder(t, filepath.Join(t.TempDir(), "blobs"))) }

// Nobody else looks in, and nothing but objects stays.
func TestFolderIsPrivateAndTidy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	blobtest.Run(t, openFolder(t, dir))
	if err := openFolder(t, dir).Write(t.Context(), blobtest.Key, []byte("x")); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if !e.IsDir() {
			files++
			if info.ModTime().Unix()%86400 != 0 {
				t.Errorf("%s tells its time: %v", path, info.ModTime())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files != 1 {
		t.Errorf("%d files", files)
	}
}

// What a killed process was writing is deleted at the next opening, unless
// another may be writing it.
func TestFolderForgetsUnfinishedFiles(t *testing.T) {
	dir := t.TempDir()
	openFolder(t, dir)
	old, fresh := filepath.Join(dir, "unfinished", "old"), filepath.Join(dir, "unfinished", "fresh")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	openFolder(t, dir)
	if _, err := os.Stat(old); err == nil {
		t.Error("the old file is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the fresh file is gone")
	}
}

func TestFolderErrorsAreDiscreet(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	if err := os.RemoveAll(filepath.Join(dir, "ab")); err != nil {
		t.Fatal(err)
	}
	write := f.Write(t.Context(), blobtest.Key, []byte("x"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	temp := f.Write(t.Context(), blobtest.Key, []byte("x"))
	for name, err := range map[string]error{"rename": write, "create": temp} {
		if err == nil || strings.Contains(err.Error(), blobtest.Key[3:]) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
