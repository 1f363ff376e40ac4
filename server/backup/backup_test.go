package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"quicprochat/server/backup"
	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/verify/verifytest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func sourceOf(t testing.TB, dir string) backup.Source {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = dir
	path := filepath.Join(t.TempDir(), "server.toml")
	must(t, os.WriteFile(path, []byte("data_dir = \"x\"\n"), 0o600))
	return backup.Source{Config: cfg, ConfigFile: path, TempDir: t.TempDir(), Now: verifytest.Today}
}

func write(t testing.TB, s backup.Source) ([]byte, backup.Summary) {
	t.Helper()
	var b bytes.Buffer
	summary, err := backup.Write(t.Context(), &b, s)
	must(t, err)
	if left, err := os.ReadDir(s.TempDir); err != nil || len(left) > 0 {
		t.Errorf("left behind %v", left)
	}
	return b.Bytes(), summary
}

func restore(t testing.TB, data []byte) (string, backup.Restored) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	restored, err := backup.Restore(t.Context(), bytes.NewReader(data), dir, false)
	must(t, err)
	return dir, restored
}

// files gives the contents of a folder, by name.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		data, err := os.ReadFile(path)
		must(t, err)
		name, err := filepath.Rel(dir, path)
		must(t, err)
		all[filepath.ToSlash(name)] = string(data)
		return nil
	}))
	return all
}

func count(t testing.TB, dir, query string) (n int) {
	t.Helper()
	db, err := sqlite.OpenReadOnly(filepath.Join(dir, secrets.DatabaseName))
	must(t, err)
	defer db.Close()
	must(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

func TestRoundTrip(t *testing.T) {
	dir := verifytest.Folder(t)
	data, summary := write(t, sourceOf(t, dir))
	if summary.Objects != 4 || summary.Gone != 0 || summary.PostgreSQL || summary.Bucket || summary.Day != "2026-05-04" {
		t.Errorf("summary %+v", summary)
	}
	back, restored := restore(t, data)
	before, after := files(t, dir), files(t, back)
	delete(before, "blobs/"+blob.Key(storage.BlobName{1}, 0)) // was deleted, and waits to be cleared away
	for name, contents := range before {
		if after[name] != contents && name != secrets.DatabaseName {
			t.Errorf("%s differs", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, want %d", len(after), len(before))
	}
	if string(restored.Config) != "data_dir = \"x\"\n" || restored.Withdrawn != 6 || restored.Objects != 4 {
		t.Errorf("restored %+v", restored)
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM accounts`: 4, `SELECT count(*) FROM key_packages`: 6, `SELECT count(*) FROM key_packages WHERE data IS NOT NULL`: 0,
		`SELECT count(*) FROM queue_items`: count(t, dir, `SELECT count(*) FROM queue_items`),
	} {
		if got := count(t, back, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(back, secrets.DatabaseName), storage.DefaultLimits())
	must(t, err)
	must(t, s.Close())
}

// Unpacked by hand, a backup is a data folder, and sha256sum understands its
// hashes.
func TestFormat(t *testing.T) {
	data, summary := write(t, sourceOf(t, verifytest.Folder(t)))
	var names []string
	var sums string
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		names = append(names, h.Name)
		if h.Mode != 0o600 || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: mode %o", h.Name, h.Mode)
		}
		if h.Name == "SHA256SUMS" {
			text, err := io.ReadAll(r)
			must(t, err)
			sums = string(text)
		}
	}
	last := len(names) - 1
	if names[0] != "backup.json" || names[last-1] != "data/server.db" || names[last] != "SHA256SUMS" || int64(len(names)) != summary.Files {
		t.Errorf("names %q", names)
	}
	for i, line := range strings.Split(strings.TrimSuffix(sums, "\n"), "\n") {
		if len(line) != 66+len(names[i]) || !strings.HasSuffix(line, "  "+names[i]) {
			t.Errorf("line %q for %s", line, names[i])
		}
	}
}

func TestKeysOnly(t *testing.T) {
	dir := verifytest.Folder(t)
	s := sourceOf(t, dir)
	s.KeysOnly = true
	data, _ := write(t, s)
	back, restored := restore(t, data)
	after := files(t, back)
	if len(after) != 6 || after[secrets.StorageFile] != files(t, dir)[secrets.StorageFile] || !restored.KeysOnly {
		t.Errorf("%d files", len(after))
	}
}

func TestPostgres(t *testing.T) {
	url, err := postgrestest.Shared(t).NewDatabase(t.Context())
	must(t, err)
	dir := verifytest.Folder(t)
	must(t, os.Remove(filepath.Join(dir, secrets.DatabaseName)))
	must(t, os.RemoveAll(filepath.Join(dir, blob.FolderName)))
	keys, err := secrets.Load(dir)
	must(t, err)
	live, err := postgres.Open(t.Context(), postgres.Options{URL: storage.URL(url), Limits: verifytest.Limits()})
	must(t, err)
	defer live.Close()
	folder, err := blob.OpenFolder(filepath.Join(dir, blob.FolderName))
	must(t, err)
	verifytest.Fill(t, live, verifytest.Sealer(keys), folder)
	s := sourceOf(t, dir)
	s.Config.Store.URL = storage.URL(url)
	data, summary := write(t, s)
	if !summary.PostgreSQL || summary.Objects != 4 {
		t.Errorf("summary %+v", summary)
	}
	back, _ := restore(t, data)
	if n := count(t, back, `SELECT count(*) FROM accounts`); n != 4 {
		t.Errorf("%d accounts", n)
	}

	must(t, folder.Delete(t.Context(), blob.Key(storage.BlobName{2}, 0)))
	if _, err := backup.Write(t.Context(), io.Discard, s); err == nil || !strings.Contains(err.Error(), "contents are missing") {
		t.Errorf("contents missing: %v", err)
	}
	must(t, live.DeleteBlob(t.Context(), storage.BlobName{2}))
	if summary, err := backup.Write(t.Context(), io.Discard, s); err != nil || summary.Objects != 3 {
		t.Errorf("deleted: %+v, %v", summary, err)
	}
}

// A backup that was made while others write is sound, and has everything from
// before it began.
func TestOnline(t *testing.T) {
	dir := verifytest.Folder(t)
	live, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), storage.DefaultLimits())
	must(t, err)
	defer live.Close()
	objects, err := blob.OpenFolder(filepath.Join(dir, blob.FolderName))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := byte(10); i < 250 && ctx.Err() == nil; i++ {
			verifytest.PutBlob(t, live, objects, i, 2500)
			if i%2 == 0 {
				must(t, live.DeleteBlob(t.Context(), storage.BlobName{i - 1}))
				for chunk := range 3 {
					must(t, objects.Delete(t.Context(), blob.Key(storage.BlobName{i - 1}, chunk)))
				}
			}
		}
	})
	for range 3 {
		data, _ := write(t, sourceOf(t, dir))
		back, _ := restore(t, data)
		if n := count(t, back, `SELECT count(*) FROM accounts`); n != 4 {
			t.Errorf("%d accounts", n)
		}
	}
	stop()
	wait.Wait()
}

// gate lets a test act in the middle of a backup.
type gate struct {
	bytes.Buffer
	at  []byte
	act func()
}

func (g *gate) Write(p []byte) (int, error) {
	if g.act != nil && bytes.Contains(p, g.at) {
		g.act()
		g.act = nil
	}
	return g.Buffer.Write(p)
}

// A blob that is deleted behind the copy of the database is gone in the
// backup; one that has lost its contents makes the backup fail.
func TestDeletedMeanwhile(t *testing.T) {
	dir := verifytest.Folder(t)
	live, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), storage.DefaultLimits())
	must(t, err)
	defer live.Close()
	remove := func(chunk int) {
		must(t, os.Remove(filepath.Join(dir, blob.FolderName, blob.Key(storage.BlobName{3}, chunk))))
	}
	g := &gate{at: []byte("data/blobs/"), act: func() { // between the copy and the second blob
		must(t, live.DeleteBlob(t.Context(), storage.BlobName{3}))
		remove(1)
	}}
	summary, err := backup.Write(t.Context(), g, sourceOf(t, dir))
	must(t, err)
	if summary.Gone != 1 {
		t.Errorf("%d blobs gone", summary.Gone)
	}
	back, _ := restore(t, g.Bytes())
	if n := count(t, back, `SELECT count(*) FROM blobs WHERE state = 1`); n != 1 {
		t.Errorf("%d blobs", n)
	}

	must(t, os.Remove(filepath.Join(dir, blob.FolderName, blob.Key(storage.BlobName{2}, 0))))
	if _, err := backup.Write(t.Context(), io.Discard, sourceOf(t, dir)); err == nil || !strings.Contains(err.Error(), "contents are missing") {
		t.Errorf("got %v", err)
	}
}

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

func execute(t testing.TB, dir, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, secrets.DatabaseName))
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), query)
	must(t, err)
}

func TestVerify(t *testing.T) {
	folder := verifytest.Folder(t)
	for _, sound := range []bool{true, false} {
		data, _ := write(t, sourceOf(t, folder))
		_, findings, err := backup.Verify(t.Context(), bytes.NewReader(data), t.TempDir())
		must(t, err)
		wrong := 0
		for f := range findings {
			if f.Grade == check.Wrong {
				wrong++
			}
		}
		if (wrong == 0) != sound {
			t.Errorf("%d things wrong", wrong)
		}
		must(t, os.WriteFile(filepath.Join(folder, blob.FolderName, blob.Key(storage.BlobName{2}, 0)), make([]byte, 1000), 0o600))
	}
}

func TestLock(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	must(t, err)
	other, err := age.GenerateX25519Identity()
	must(t, err)
	with, err := backup.LockWith("correct horse")
	must(t, err)
	to, err := backup.LockTo([]string{other.Recipient().String(), key.Recipient().String()})
	must(t, err)
	_, err = backup.LockTo([]string{"age1nonsense"})
	if err == nil {
		t.Error("took nonsense for a key")
	}
	passphrase, err := backup.KeysWith("correct horse")
	must(t, err)
	wrong, err := backup.KeysWith("wrong")
	must(t, err)
	file, err := backup.KeysIn(strings.NewReader("# a comment\n" + key.String() + "\n"))
	must(t, err)
	stranger, err := age.GenerateX25519Identity()
	must(t, err)
	foreign, err := backup.KeysIn(strings.NewReader(stranger.String()))
	must(t, err)
	if _, err := backup.KeysIn(strings.NewReader("nonsense")); err == nil {
		t.Error("took nonsense for a key file")
	}
	text := bytes.Repeat([]byte("a backup "), 20_000)
	for name, c := range map[string]struct {
		lock backup.Lock
		keys backup.Keys
		want error
	}{
		"none":             {},
		"exchanged":        {backup.Lock{}, passphrase, backup.ErrNotLocked},
		"passphrase":       {with, passphrase, nil},
		"wrong passphrase": {with, wrong, backup.ErrWrongKey},
		"nothing given":    {with, backup.Keys{}, backup.ErrLocked},
		"key":              {to, file, nil},
		"foreign key":      {to, foreign, backup.ErrWrongKey},
	} {
		var b bytes.Buffer
		must(t, c.lock.Write(&b, func(w io.Writer) error { _, err := w.Write(text); return err }))
		r, err := c.keys.Open(bytes.NewReader(b.Bytes()))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		got, err := io.ReadAll(r)
		must(t, err)
		if !bytes.Equal(got, text) {
			t.Errorf("%s: opened something else", name)
		}
		if name != "none" && bytes.Contains(b.Bytes(), text[:9]) {
			t.Errorf("%s: is not encrypted", name)
		}
		if name != "none" {
			if r, err = c.keys.Open(bytes.NewReader(b.Bytes()[:b.Len()-1])); err == nil {
				_, err = io.ReadAll(r)
			}
			if err == nil {
				t.Errorf("%s: cut short, and nobody noticed", name)
			}
		}
	}
}

// A backup that was killed leaves its copy of the database to nobody for long.
func TestCopiesOfKilledBackupsGo(t *testing.T) {
	s := sourceOf(t, verifytest.Folder(t))
	s.TempDir = t.TempDir()
	left, under := filepath.Join(s.TempDir, ".qpc-copy-1"), filepath.Join(s.TempDir, ".qpc-copy-2")
	for _, dir := range []string{left, under} {
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "server.db"), []byte("secrets"), 0o600))
	}
	old := time.Now().Add(-25 * time.Hour)
	must(t, os.Chtimes(left, old, old))
	_, err := backup.Write(t.Context(), io.Discard, s)
	must(t, err)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of yesterday is there still: %v", err)
	}
	if _, err := os.Stat(under); err != nil {
		t.Errorf("the copy of a backup that may be under way is gone: %v", err)
	}
}

func TestToFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.tar")
	failed := errors.New("failed")
	wantErr(t, backup.ToFile(path, func(w io.Writer) error { io.WriteString(w, "half"); return failed }), failed)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind %v", left)
	}
	must(t, backup.ToFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	wantErr(t, backup.ToFile(path, func(io.Writer) error { t.Error("wrote"); return nil }), backup.ErrExists)
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
