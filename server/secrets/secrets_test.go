package secrets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var files = []string{OPAQUEFile, AddressFile, StorageFile, LoginFile}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Error("the second start has other keys")
	}
	for _, name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
	if errs := Check(dir); len(errs) != 0 {
		t.Errorf("Check: %v", errs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFoldersGetDifferentKeys(t *testing.T) {
	a, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if a.Address == b.Address || a.Storage == b.Storage || a.Login == b.Login || a.Address == a.Storage || a.Storage == a.Login {
		t.Error("keys repeat")
	}
}

func TestDamagedFoldersAreRefused(t *testing.T) {
	for _, name := range files {
		for _, tc := range []struct {
			what   string
			damage func(t *testing.T, dir, path string) error
			want   error
		}{
			{"missing", func(t *testing.T, dir, path string) error {
				if err := os.WriteFile(filepath.Join(dir, DatabaseName), nil, 0o600); err != nil {
					return err
				}
				return os.Remove(path)
			}, ErrMissing},
			{"exposed", func(t *testing.T, _, path string) error {
				if runtime.GOOS == "windows" {
					t.Skip("no such modes")
				}
				return os.Chmod(path, 0o640)
			}, ErrExposed},
			{"short", func(t *testing.T, _, path string) error { return os.Truncate(path, 31) }, ErrSize},
			{"empty", func(t *testing.T, _, path string) error { return os.Truncate(path, 0) }, ErrSize},
		} {
			t.Run(name+" "+tc.what, func(t *testing.T) {
				dir := t.TempDir()
				if _, err := Load(dir); err != nil {
					t.Fatal(err)
				}
				if err := tc.damage(t, dir, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				_, err := Load(dir)
				if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), name) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				if errs := Check(dir); len(errs) != 1 {
					t.Errorf("Check: %v", errs)
				}
			})
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, *s); got != "[secrets]" {
			t.Errorf("%s prints %d characters", verb, len(got))
		}
	}
}

// A backup takes the files that Files lists: all that Load makes.
func TestFilesListsAll(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range made {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, Files()) {
		t.Errorf("made %q, lists %q", names, Files())
	}
}
