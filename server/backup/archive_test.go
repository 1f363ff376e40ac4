package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"quicprochat/server/backup"
	"quicprochat/server/storage"
	"quicprochat/server/verify/verifytest"
)

// However a backup is damaged, nothing of it is brought back.
func TestDamaged(t *testing.T) {
	data, _ := write(t, sourceOf(t, verifytest.Folder(t)))
	parent := t.TempDir()
	dir := filepath.Join(parent, "restored")
	try := func(what string, damaged []byte) {
		t.Helper()
		_, err := backup.Restore(t.Context(), bytes.NewReader(damaged), dir, true)
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Fatalf("%s: left behind %v", what, left)
		}
	}
	entries := contents(t, data)
	for at := 0; at < len(data)-1024; at += 4999 {
		spoiled := bytes.Clone(data)
		spoiled[at] ^= 0x20
		if same(entries, contentsOrNil(spoiled)) {
			continue // in the padding, or in a part of the header that says nothing
		}
		try(fmt.Sprintf("bit at %d", at), spoiled)
		try(fmt.Sprintf("cut at %d", at), data[:at])
	}
	try("empty", nil)
	for name, change := range map[string]func([]entry) []entry{
		"outside":      func(e []entry) []entry { return insert(e, entry{name: "data/../../evil"}) },
		"absolute":     func(e []entry) []entry { return insert(e, entry{name: "/etc/evil"}) },
		"other file":   func(e []entry) []entry { return insert(e, entry{name: "data/evil"}) },
		"other blob":   func(e []entry) []entry { return insert(e, entry{name: "data/blobs/00/../../evil"}) },
		"link":         func(e []entry) []entry { return insert(e, entry{name: "data/opaque.key", kind: tar.TypeSymlink}) },
		"twice":        func(e []entry) []entry { return insert(e, e[3]) },
		"no hashes":    func(e []entry) []entry { return e[:len(e)-1] },
		"no database":  func(e []entry) []entry { return append(e[:len(e)-2:len(e)-2], e[len(e)-1]) },
		"more":         func(e []entry) []entry { return append(e, entry{name: "data/more"}) },
		"other order":  func(e []entry) []entry { e[2], e[3] = e[3], e[2]; return e },
		"header later": func(e []entry) []entry { e[0], e[1] = e[1], e[0]; return e },
		"newer format": func(e []entry) []entry { e[0].data = []byte(`{"format": 2}`); return e },
		"no json":      func(e []entry) []entry { e[0].data = []byte(`{`); return e },
	} {
		try(name, pack(t, change(contents(t, data))))
	}
}

type entry struct {
	name string
	kind byte
	data []byte
}

func insert(entries []entry, e entry) []entry {
	return append(append(append([]entry{}, entries[:4]...), e), entries[4:]...)
}

func contents(t testing.TB, data []byte) []entry {
	t.Helper()
	entries := contentsOrNil(data)
	if entries == nil {
		t.Fatal("no archive")
	}
	return entries
}

func contentsOrNil(data []byte) (entries []entry) {
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			return nil
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil
		}
		entries = append(entries, entry{h.Name, h.Typeflag, text})
	}
}

func same(a, b []entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].name != b[i].name || a[i].kind != b[i].kind || !bytes.Equal(a[i].data, b[i].data) {
			return false
		}
	}
	return true
}

func pack(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		must(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: map[bool]string{true: "/etc/passwd"}[e.kind == tar.TypeSymlink], Size: int64(len(e.data)), Mode: 0o600}))
		_, err := w.Write(e.data)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestRestoreRefuses(t *testing.T) {
	folder := verifytest.Folder(t)
	data, _ := write(t, sourceOf(t, folder))
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600))
	_, err := backup.Restore(t.Context(), bytes.NewReader(data), dir, true)
	wantErr(t, err, backup.ErrNotEmpty)
	must(t, os.Remove(filepath.Join(dir, "mine")))
	must(t, os.MkdirAll(filepath.Join(dir, ".restoring", "data"), 0o700)) // of one that was killed
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), dir, false)
	must(t, err)

	execute(t, folder, `UPDATE queues SET bytes = bytes + 1`)
	data, _ = write(t, sourceOf(t, folder))
	dir = t.TempDir()
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), dir, false)
	wantErr(t, err, backup.ErrUnsound)
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), dir, true)
	must(t, err)

	execute(t, folder, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	data, _ = write(t, sourceOf(t, folder))
	_, err = backup.Restore(t.Context(), bytes.NewReader(data), t.TempDir(), true)
	wantErr(t, err, storage.ErrSchemaNewer)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = backup.Restore(ctx, bytes.NewReader(data), t.TempDir(), true)
	wantErr(t, err, context.Canceled)
}

// FuzzRestore: whatever a file holds, nothing outside the folder is touched,
// and after an error nothing in it.
func FuzzRestore(f *testing.F) {
	data, _ := write(f, func() backup.Source { s := sourceOf(f, verifytest.Folder(f)); s.KeysOnly = true; return s }())
	f.Add(data)
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "restored")
		r, err := backup.Keys{}.Open(bytes.NewReader(data))
		if err == nil {
			_, err = backup.Restore(t.Context(), r, dir, true)
		}
		left, readErr := os.ReadDir(parent)
		must(t, readErr)
		if err != nil && len(left) > 0 || len(left) > 1 {
			t.Errorf("left behind %v", left)
		}
	})
}
