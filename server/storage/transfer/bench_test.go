package transfer

import (
	"database/sql"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// BenchmarkMillion moves a million items of 256 bytes to PostgreSQL and back,
// and tells how long each took and how much memory was in use at most.
func BenchmarkMillion(b *testing.B) {
	path, url := newFile(b), newURL(b)
	db, err := sql.Open("sqlite", path)
	must(b, err)
	_, err = db.ExecContext(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
		INSERT INTO queue_items (position, day, sealed) SELECT (i % 1000 + 1) << 32 | i, 0, randomblob(256) FROM n`)
	must(b, err)
	must(b, db.Close())
	var peak uint64
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		var m runtime.MemStats
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
		}
	})
	for b.Loop() {
		begin := time.Now()
		must(b, ToPostgres(b.Context(), path, url, keyHash, quiet))
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-postgres")
		begin = time.Now()
		must(b, ToSQLite(b.Context(), url, filepath.Join(b.TempDir(), "back.db"), Options{}, quiet))
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-sqlite")
	}
	close(stop)
	watch.Wait()
	b.ReportMetric(float64(peak)/(1<<20), "MiB-heap")
}
