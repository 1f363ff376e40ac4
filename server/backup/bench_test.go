package backup_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"quicprochat/server/backup"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/verify/verifytest"
)

// BenchmarkPostsDuringBackup tells what a backup costs those who post: posts of
// 1 KiB by 8 senders, on a database of some 200 MiB, without and beside
// backups, one after another.
func BenchmarkPostsDuringBackup(b *testing.B) {
	dir := verifytest.Folder(b)
	limits := storage.DefaultLimits()
	limits.QueueItems, limits.QueueBytes = 1<<30, 1<<50
	live, err := sqlite.Open(b.Context(), filepath.Join(dir, secrets.DatabaseName), limits)
	must(b, err)
	defer live.Close()
	d, err := live.CreateAccount(b.Context(), storage.NewAccount{ID: [16]byte{99}, Name: "bench", DeviceID: [16]byte{99}, Now: verifytest.Today})
	must(b, err)
	channel := storage.ChannelID{99}
	must(b, live.CreateChannel(b.Context(), storage.NewChannel{ID: channel, VerifyKey: []byte("k"), Addresses: [][]byte{d.Queue[:]}, Now: verifytest.Today}))
	post := func(i, size int) {
		_, err := live.Post(b.Context(), storage.Post{
			Channel: channel, Item: storage.ItemID(fmt.Appendf(nil, "%016d", i)), Now: verifytest.Today,
			Resolve: func(a []byte) (storage.QueueID, bool) { return storage.QueueID(a), true },
			Seal:    func(storage.QueueID, uint64, uint64) ([]byte, error) { return make([]byte, size), nil },
		})
		must(b, err)
	}
	const large, old = 1 << 18, 800
	for i := range old {
		post(i, large)
	}
	next := old
	for _, busy := range []bool{false, true} {
		b.Run(fmt.Sprintf("backup=%v", busy), func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			var wait sync.WaitGroup
			backups := 0
			if busy {
				s := sourceOf(b, dir)
				s.TempDir = dir // the same disk
				wait.Go(func() {
					for ctx.Err() == nil {
						if _, err := backup.Write(ctx, io.Discard, s); err == nil {
							backups++
						}
					}
				})
			}
			took := make([]time.Duration, b.N)
			var senders sync.WaitGroup
			begin := time.Now()
			for sender := range 8 {
				senders.Go(func() {
					for i := sender; i < b.N; i += 8 {
						start := time.Now()
						post(next+i, 1024)
						took[i] = time.Since(start)
					}
				})
			}
			senders.Wait()
			elapsed := time.Since(begin)
			next += b.N
			stop()
			wait.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "posts/s")
			b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(backups), "backups")
		})
	}
}
