package server

import (
	"fmt"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// BenchmarkServerStart measures a start with a million items waiting in a
// thousand queues, from opening the database until a client that was waiting
// has its first answer.
func BenchmarkServerStart(b *testing.B) {
	f := start(b)
	const queues, each = 1000, 1000
	all := f.enrol(queues)
	for b.Loop() {
		b.StopTimer()
		f.shutdown()
		f.fillQueues(each)
		b.StartTimer()
		f.open()
		must[qpcv1.HealthResponse](f.dial(), &qpcv1.HealthRequest{})
	}
	b.StopTimer()
	if last, err := f.store.LastSeq(b.Context(), all[queues-1].queue); err != nil || last != each {
		b.Fatalf("the last queue has %d items, %v", last, err)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms-to-serve")
	b.ReportMetric(0, "ns/op")
}

// fillQueues puts items into every queue of a server that is shut down, so
// that each has so many.
func (f *fixture) fillQueues(each int) {
	f.t.Helper()
	db := f.database()
	defer db.Close()
	day := f.clock.now().Truncate(24 * time.Hour).Unix()
	for _, statement := range []string{
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT OR IGNORE INTO queue_items (position, day, sealed) SELECT (number << 32) | i, %d, randomblob(200) FROM queues, n`, each, day),
		fmt.Sprintf(`UPDATE queues SET last_seq = %d, items = %d, bytes = %d, oldest_day = %d`, each, each, 200*each, day),
	} {
		if _, err := db.Exec(statement); err != nil {
			f.t.Fatal(err)
		}
	}
}
