package vault

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	_, err := Open(dir, testPassword, cheap)
	wantErr(t, err, ErrNoVault)
	if Exists(dir) {
		t.Error("exists before it was made")
	}
	v, err := Create(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	if !Exists(dir) {
		t.Error("does not exist after it was made")
	}
	_, err = Open(dir, testPassword, cheap)
	wantErr(t, err, ErrInUse)
	_, err = Create(dir, testPassword, cheap)
	wantErr(t, err, ErrInUse)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Create(dir, testPassword, cheap)
	wantErr(t, err, ErrExists)
	for _, wrong := range []string{"", testPassword + " ", strings.ToUpper(testPassword)} {
		_, err = Open(dir, wrong, cheap)
		wantErr(t, err, ErrWrongPassword)
	}
	// None of the failures keeps the lock.
	if v, err = Open(dir, testPassword, cheap); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Create(filepath.Join(t.TempDir(), "a?b"), testPassword, cheap)
	wantErr(t, err, ErrInvalid)
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	v, err := Create(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	update(t, v, func(tx *Tx) error { return tx.PutSetting("a", nil) })
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 {
		t.Errorf("%d files", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

func TestClose(t *testing.T) {
	v, dir := newVault(t)
	key := v.key
	putConversation(t, v, 1)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if key.bytes != [32]byte{} {
		t.Error("the key is still in memory")
	}
	if err := v.Close(); err != nil {
		t.Error("second close:", err)
	}
	wantErr(t, v.Update(t.Context(), func(*Tx) error { return nil }), ErrClosed)
	wantErr(t, v.View(t.Context(), func(*Tx) error { return nil }), ErrClosed)
	wantErr(t, v.ChangePassword(testPassword, "x"), ErrClosed)
	if _, err := os.Stat(filepath.Join(dir, dbName+"-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the WAL is still there:", err)
	}
}

func TestCloseWaitsForTransactions(t *testing.T) {
	v, _ := newVault(t)
	inside, leave, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- v.Update(context.Background(), func(tx *Tx) error {
			close(inside)
			<-leave
			return tx.PutSetting("a", []byte("b"))
		})
	}()
	<-inside
	go func() {
		v.Close()
		close(closed)
	}()
	<-v.closing
	wantErr(t, v.View(t.Context(), func(*Tx) error { return nil }), ErrClosed)
	select {
	case <-closed:
		t.Error("closed during a transaction")
	default:
	}
	close(leave)
	if err := <-result; err != nil {
		t.Error(err)
	}
	<-closed
}

func TestMissingOrForeignDatabase(t *testing.T) {
	dir, _ := filledVault(t, 1)
	other, _ := filledVault(t, 1)
	path := filepath.Join(dir, dbName)

	foreign, err := os.ReadFile(filepath.Join(other, dbName))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"foreign": foreign, "empty": nil, "short": foreign[:100], "zeros": make([]byte, 8192),
		"plain": append([]byte("SQLite format 3\x00"), make([]byte, 4080)...),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, testPassword, cheap)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, testPassword, cheap)
	wantErr(t, err, ErrCorrupt)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new database appeared:", err)
	}
}

func TestNewerSchema(t *testing.T) {
	v, dir := newVault(t)
	update(t, v, func(tx *Tx) error {
		_, err := tx.conn.sql.ExecContext(t.Context(), "PRAGMA user_version = 99")
		return err
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, testPassword, cheap)
	wantErr(t, err, ErrTooNew)
}

// Without the schema it is not the database that Create made.
func TestEmptyDatabase(t *testing.T) {
	v, dir := newVault(t)
	update(t, v, func(tx *Tx) error {
		_, err := tx.conn.sql.ExecContext(t.Context(), "PRAGMA user_version = 0")
		return err
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, testPassword, cheap)
	wantErr(t, err, ErrCorrupt)
}

func TestMigrate(t *testing.T) {
	v, _ := newVault(t)
	scripts, err := migrations()
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	migrate := func(scripts ...string) error {
		return v.with(t.Context(), v.writer, func(c *conn) error {
			version, err := c.schemaVersion()
			return errors.Join(err, c.migrate(t.Context(), version, scripts))
		})
	}
	version := func() (n int) {
		view(t, v, func(tx *Tx) error {
			return tx.conn.sql.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&n)
		})
		return n
	}
	done := len(scripts)
	bad := append(scripts, "CREATE TABLE t (a)", "CREATE TABLE u (a); CREATE TABLE t (a)")
	if err := migrate(bad...); err == nil || version() != done+1 {
		t.Errorf("schema %d after a script that fails: %v", version(), err)
	}
	good := append(bad[:done+1:done+1], "CREATE TABLE u (a); INSERT INTO t VALUES (1)")
	if err := migrate(good...); err != nil || version() != done+2 {
		t.Errorf("schema %d: %v", version(), err)
	}
	// The schema is ready for full-text search over the messages.
	if err := migrate(append(good, "CREATE VIRTUAL TABLE search USING fts5 (body, content=messages, content_rowid=id)")...); err != nil {
		t.Log("built without FTS5:", err)
	}
}

// What a crash at each step of Create leaves behind, a second Create takes.
func TestCrashInCreate(t *testing.T) {
	sound, _ := filledVault(t, 1)
	files := func(names ...string) string {
		dir := t.TempDir()
		for _, name := range names {
			b := []byte("torn")
			if name == dbName {
				var err error
				if b, err = os.ReadFile(filepath.Join(sound, dbName)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, dir := range []string{
		files(lockName),
		files(lockName, newKeyName),
		files(lockName, newKeyName, dbName),
		files(lockName, newKeyName, dbName, dbName+"-wal", dbName+"-shm"),
	} {
		if Exists(dir) {
			t.Error("half a vault exists")
		}
		_, err := Open(dir, testPassword, cheap)
		wantErr(t, err, ErrNoVault)
		v, err := Create(dir, testPassword, cheap)
		if err != nil {
			t.Fatal(err)
		}
		view(t, v, func(tx *Tx) error {
			if list, err := tx.Conversations(); err != nil || len(list) != 0 {
				t.Errorf("got %v, %v", list, err)
			}
			return nil
		})
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A database whose key file got lost is not taken for a crash.
	_, err := Create(files(dbName), testPassword, cheap)
	wantErr(t, err, ErrCorrupt)
}

func TestChangePassword(t *testing.T) {
	v, dir := newVault(t)
	update(t, v, func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) })
	wantErr(t, v.ChangePassword("wrong", "new"), ErrWrongPassword)
	before, err := os.ReadFile(filepath.Join(dir, keyName))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.ChangePassword(testPassword, "new"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, v.ChangePassword(testPassword, "newer"), ErrWrongPassword)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, keyName))
	if err != nil {
		t.Fatal(err)
	}
	open := func(right, wrong string) {
		t.Helper()
		_, err := Open(dir, wrong, cheap)
		wantErr(t, err, ErrWrongPassword)
		v, err := Open(dir, right, cheap)
		if err != nil {
			t.Fatal(err)
		}
		view(t, v, func(tx *Tx) error {
			if got, err := tx.Setting("a"); err != nil || string(got) != "b" {
				t.Errorf("got %q, %v", got, err)
			}
			return nil
		})
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, newKeyName)); !errors.Is(err, os.ErrNotExist) {
			t.Error("an unfinished key file is still there")
		}
	}
	open("new", testPassword)

	// What a crash before the rename leaves, at each length of the new file.
	for _, n := range []int{0, 1, len(after) / 2, len(after)} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, keyName), before, 0o600),
			os.WriteFile(filepath.Join(dir, newKeyName), after[:n], 0o600)); err != nil {
			t.Fatal(err)
		}
		open(testPassword, "new")
	}
}

func TestChangePasswordOfForeignKeyFile(t *testing.T) {
	v, dir := newVault(t)
	_, foreign := testKeyFile(t)
	if err := os.WriteFile(filepath.Join(dir, keyName), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	wantErr(t, v.ChangePassword(testPassword, "new"), ErrCorrupt)
	if after, err := os.ReadFile(filepath.Join(dir, keyName)); err != nil || !bytes.Equal(after, foreign) {
		t.Error("the key file was changed", err)
	}
}
