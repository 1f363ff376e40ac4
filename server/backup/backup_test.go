package backup_test

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
