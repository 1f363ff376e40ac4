package postgres

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/storagetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(killedURL); url != "" {
		postUntilKilled(url)
	}
	status := postgrestest.Main(m)
	if status == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			status = 1
		}
	}
	os.Exit(status)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// emptyURL names a new database without tables.
func emptyURL(t testing.TB) string {
	t.Helper()
	u, err := postgrestest.Shared(t).NewDatabase(t.Context())
	must(t, err)
	return u
}

var template struct {
	sync.Once
	name string
}

// newURL names a new database with an up-to-date schema.
func newURL(t testing.TB) string {
	t.Helper()
	cluster := postgrestest.Shared(t)
	template.Do(func() {
		u := emptyURL(t)
		must(t, openAt(t, u, storage.DefaultLimits()).Close())
		template.name = postgrestest.DatabaseName(u)
	})
	u, err := cluster.CopyDatabase(t.Context(), template.name)
	must(t, err)
	return u
}

func openAt(t testing.TB, url string, limits storage.Limits) *Store {
	t.Helper()
	return openTraced(t, url, limits, nil)
}

func openTraced(t testing.TB, url string, limits storage.Limits, tracer pgx.QueryTracer) *Store {
	t.Helper()
	s, err := open(t.Context(), Options{URL: storage.URL(url), Limits: limits}, tracer)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
	return s
}

func openNew(t testing.TB, limits storage.Limits) storage.Store {
	t.Helper()
	return openAt(t, newURL(t), limits)
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

// TestStore runs the suite, and then asks how PostgreSQL carries out every
// statement that the suite has run.
func TestStore(t *testing.T) {
	r := &recorder{statements: make(map[string]struct{})}
	t.Run("suite", func(t *testing.T) {
		storagetest.Run(t, func(t testing.TB, limits storage.Limits) storage.Store {
			return openTraced(t, newURL(t), limits, r)
		})
	})
	t.Run("plans", func(t *testing.T) {
		if len(r.statements) == 0 {
			t.Skip("needs the statements of the suite")
		}
		// runs only where the answer to a commit was lost
		r.add(`SELECT record FROM accounts WHERE id = $1`)
		checkPlans(t, r.statements)
		storagetest.CheckCovered(t, r.statements, map[string]string{
			"SELECT current_setting(":                         "reads no table",
			"SELECT to_regclass(":                             "reads no table of ours",
			"SELECT pg_advisory_lock(":                        "reads no table",
			"SELECT coalesce(max(version_id),":                "a row for each migration",
			"SELECT EXISTS (SELECT FROM pg_locks":             "reads no table of ours, asked when a database moves",
			"SELECT NOT EXISTS (SELECT FROM pg_stat_activity": "reads no table of ours, asked when a database moves",
			"INSERT INTO server":                              "a table of one row",
			"SELECT key_hash":                                 "a table of one row",
		})
	})
}

// What refers to an account or a device goes with it: DeleteAccount deletes
// only the tables named here itself.
func TestNothingOutlivesItsAccount(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	var names []string
	must(t, s.each(t.Context(), func() { names = nil }, func(rows pgx.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, `SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confdeltype <> 'c'
		AND confrelid IN ('accounts'::regclass, 'devices'::regclass, 'queues'::regclass) ORDER BY 1`))
	if want := []string{"devices", "queues", "revoked_devices"}; !slices.Equal(names, want) {
		t.Errorf("without ON DELETE CASCADE: %q, want %q", names, want)
	}
}
