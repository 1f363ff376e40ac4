package sqlite

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"quicprochat/server/storage"
	"quicprochat/server/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	return openAt(t, filepath.Join(t.TempDir(), "server.db"), limits)
}

func TestStore(t *testing.T)      { storagetest.Run(t, openNew) }
func BenchmarkPost(b *testing.B)  { storagetest.BenchmarkPost(b, openNew) }
func BenchmarkFetch(b *testing.B) { storagetest.BenchmarkFetch(b, openNew) }
