package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicprochat/server/storage"
	"quicprochat/server/storage/storagetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killedPath); path != "" {
		postUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

func openAt(t testing.TB, path string, limits storage.Limits) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
	return s
}

func openNew(t testing.TB, limits storage.Limits) storage.Store {
	t.Helper()
	return openAt(t, newPath(t), limits)
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "server.db") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkPost(b *testing.B)  { storagetest.BenchmarkPost(b, openNew) }
func BenchmarkFetch(b *testing.B) { storagetest.BenchmarkFetch(b, openNew) }

var today = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// oneQueue makes an account with a device, and a channel with its queue.
func oneQueue(t testing.TB, s storage.Store) (storage.Device, storage.ChannelID) {
	t.Helper()
	d, err := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{1}, Name: "ada", DeviceID: [16]byte{2}, Now: today})
	must(t, err)
	channel := storage.ChannelID{3}
	must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: channel, VerifyKey: []byte("k"), Addresses: [][]byte{d.Queue[:]}, Now: today}))
	return d, channel
}

func resolve(address []byte) (storage.QueueID, bool) { return storage.QueueID(address), true }

func newPost(channel storage.ChannelID, item storage.ItemID) storage.Post {
	return storage.Post{
		Channel: channel, Item: item, Resolve: resolve, Now: today,
		Seal: func(storage.QueueID, uint64, uint64) ([]byte, error) { return item[:], nil },
	}
}

func TestReopen(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	must(t, s.PutHybridKey(t.Context(), d.ID, []byte("hybrid")))
	for i := range byte(20) {
		_, err := s.Post(t.Context(), newPost(channel, storage.ItemID{i}))
		must(t, err)
	}
	must(t, s.AckItems(t.Context(), d.Queue, 5))
	must(t, s.Close())
	for _, name := range []string{path + "-wal", path + "-shm"} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left behind: %v", filepath.Base(name), err)
		}
	}

	s = openAt(t, path, storage.DefaultLimits())
	if a, err := s.AccountByName(t.Context(), "ada"); err != nil || a.ID != [16]byte{1} {
		t.Fatalf("account: %v", err)
	}
	if key, err := s.HybridKey(t.Context(), d.ID); err != nil || string(key) != "hybrid" {
		t.Fatalf("hybrid key: %v", err)
	}
	items, _, err := s.FetchItems(t.Context(), d.Queue, 0, 100, 1<<20)
	if err != nil || len(items) != 15 || items[0].Seq != 6 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	posted, err := s.Post(t.Context(), newPost(channel, storage.ItemID{7}))
	if err != nil || posted.ChannelSeq != 8 || !posted.Duplicate {
		t.Fatalf("repeated item: %+v, %v", posted, err)
	}
	posted, err = s.Post(t.Context(), newPost(channel, storage.ItemID{99}))
	if err != nil || posted.ChannelSeq != 21 {
		t.Fatalf("next item: %+v, %v", posted, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	garbage := newPath(t)
	must(t, os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	for name, path := range map[string]string{
		"garbage":   garbage,
		"no folder": filepath.Join(t.TempDir(), "missing", "server.db"),
		"a folder":  t.TempDir(),
	} {
		if s, err := Open(t.Context(), path, storage.DefaultLimits()); err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Close()
		}
	}
	if _, err := Open(t.Context(), newPath(t), storage.Limits{Devices: 1}); err == nil {
		t.Error("limits of zero: opened")
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	name := "odd #1 100% ünï"
	if runtime.GOOS != "windows" {
		name += "?mode=memory&x:y"
	}
	s := openAt(t, filepath.Join(dir, name), storage.DefaultLimits())
	oneQueue(t, s)
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) {
			t.Errorf("unexpected file %q", e.Name())
		}
		info, err := e.Info()
		must(t, err)
		if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
			t.Errorf("%q has mode %o", e.Name(), mode)
		}
	}
	if len(entries) != 3 { // the database, its WAL and its shared memory
		t.Errorf("%d files", len(entries))
	}
}

// Two processes may have the file open, such as a server and a command.
func TestTwoStores(t *testing.T) {
	path := newPath(t)
	one, two := openAt(t, path, storage.DefaultLimits()), openAt(t, path, storage.DefaultLimits())
	_, channel := oneQueue(t, one)
	for i := range byte(20) {
		s := one
		if i%2 == 1 {
			s = two
		}
		posted, err := s.Post(t.Context(), newPost(channel, storage.ItemID{i}))
		if err != nil || posted.ChannelSeq != uint64(i+1) {
			t.Fatalf("post %d: %+v, %v", i, posted, err)
		}
	}
}

// Errors of the database name nobody.
func TestErrorsAreDiscreet(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	must(t, s.writer.do(t.Context(), func(t *tx) error {
		for _, table := range []string{"queue_items", "invites", "channel_addresses", "revoked_devices"} {
			if err := t.control(`ALTER TABLE ` + table + ` RENAME TO gone_` + table); err != nil {
				return err
			}
		}
		return t.control(`ALTER TABLE accounts RENAME COLUMN record TO gone`)
	}))
	_, post := s.Post(t.Context(), newPost(channel, storage.ItemID{9}))
	_, _, fetch := s.FetchItems(t.Context(), d.Queue, 0, 1, 1)
	_, account := s.AccountByName(t.Context(), "ada")
	_, create := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{9}, Name: "ada-too"})
	secrets := []string{"ada", fmt.Sprintf("%x", d.Queue[:]), fmt.Sprintf("%x", channel[:]), string(d.Queue[:])}
	for name, err := range map[string]error{"post": post, "fetch": fetch, "account": account, "create": create} {
		if err == nil {
			t.Errorf("%s: no error from a broken database", name)
			continue
		}
		for _, secret := range secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: error tells too much: %v", name, err)
			}
		}
	}
	if text := fmt.Sprintf("%v %s %x %+v", d.Queue, channel, d.Queue, storage.Posted{Appended: []storage.Appended{{Queue: d.Queue}}}); strings.Contains(text, secrets[1]) || strings.Contains(text, secrets[2]) {
		t.Errorf("an id shows itself: %s", text)
	}
}

// What refers to an account or a device goes with it: DeleteAccount deletes
// only the tables named here itself.
func TestNothingOutlivesItsAccount(t *testing.T) {
	path := newPath(t)
	must(t, openAt(t, path, storage.DefaultLimits()).Close())
	db := openRaw(t, path)
	rows, err := db.Query(`SELECT m.name || '.' || f."from" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
		WHERE m.type = 'table' AND f."table" IN ('accounts', 'devices', 'queues') AND f.on_delete <> 'CASCADE' ORDER BY 1`)
	must(t, err)
	var names []string
	must(t, eachRow(rows, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}))
	if want := []string{"devices.account", "queues.number", "revoked_devices.account"}; !slices.Equal(names, want) {
		t.Errorf("without ON DELETE CASCADE: %q, want %q", names, want)
	}
}
