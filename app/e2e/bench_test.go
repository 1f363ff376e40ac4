package e2e

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// BenchmarkSendToReceived measures from Send to the event of the other
// client, both vaults and the server's store on disk, one message at a time:
// the next is sent when the sender, too, is done with the one before. Beside it, from the same run: one QUIC round trip and one fsync, and how
// many times their sum the median is.
func BenchmarkSendToReceived(b *testing.B) {
	w := newWorld(b)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(b.Context(), "bob")
	if err != nil {
		b.Fatal(err)
	}
	bob.conversation("alice")
	received, cancel := bob.Subscribe()
	defer cancel()
	sent, cancel := alice.Subscribe()
	defer cancel()
	exchange := func(text string) time.Duration {
		start := time.Now()
		if _, err := alice.Send(b.Context(), chat.ID, text); err != nil {
			b.Fatal(err)
		}
		await(received, func(e client.Event) bool {
			added, ok := e.(client.MessageAdded)
			return ok && added.Message.Text == text
		})
		took := time.Since(start)
		await(sent, func(e client.Event) bool {
			changed, ok := e.(client.MessageChanged)
			return ok && changed.Message.Text == text && changed.Message.State == client.StateSent
		})
		return took
	}
	for range 20 {
		exchange(rand.Text())
	}
	var all []time.Duration
	for b.Loop() {
		all = append(all, exchange(rand.Text()))
	}
	roundTrip, sync := w.measureRoundTrip(b), measureFsync(b)
	p50 := percentile(all, 50)
	b.ReportMetric(micros(p50), "p50-µs")
	b.ReportMetric(micros(percentile(all, 99)), "p99-µs")
	b.ReportMetric(micros(roundTrip), "roundtrip-µs")
	b.ReportMetric(micros(sync), "fsync-µs")
	b.ReportMetric(float64(p50)/float64(roundTrip+sync), "×floor")
}

// await reads events until one is it.
func await(events <-chan client.Event, it func(client.Event) bool) {
	for event := range events {
		if it(event) {
			return
		}
	}
}

// measureRoundTrip is the median of an empty call on a connection of its own.
func (w *world) measureRoundTrip(b *testing.B) time.Duration {
	b.Helper()
	link, err := wire.ParseLink(w.link.String())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := wire.Dial(b.Context(), link, wire.DialOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	return medianOf(b, 300, func() error {
		return conn.Call(b.Context(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{})
	})
}

// measureFsync is the median of writing one page to a log file and syncing it.
func measureFsync(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	return medianOf(b, 300, func() error {
		if _, err := f.Write(page); err != nil {
			return err
		}
		return f.Sync()
	})
}

func medianOf(b *testing.B, n int, do func() error) time.Duration {
	b.Helper()
	all := make([]time.Duration, n)
	for i := range all {
		start := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		all[i] = time.Since(start)
	}
	return percentile(all, 50)
}

func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
