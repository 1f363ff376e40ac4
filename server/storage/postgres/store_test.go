package postgres

import (
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/storagetest"
)

func TestMain(m *testing.M) {
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

// template is a database with an up-to-date schema, to copy.
const template = "template_schema"

var makeTemplate = sync.OnceValue(func() error { return nil })

func newURL(t testing.TB) string {
	t.Helper()
	u, err := postgrestest.Shared(t).NewDatabase(t.Context())
	must(t, err)
	return u
}

func openAt(t testing.TB, url string, limits storage.Limits) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: url, Limits: limits})
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

func TestStore(t *testing.T) {
	storagetest.Run(t, openNew)
}
