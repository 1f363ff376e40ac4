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
// the next is sent when the sender, too, is done with the one before. After
// each message, at the same rhythm and so with the same idle processors and
// disk, it measures the floor: one QUIC round trip and one fsync of a page.
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
	exchange := func(text string) {
		if _, err := alice.Send(b.Context(), chat.ID, text); err != nil {
			b.Fatal(err)
		}
		await(received, func(e client.Event) bool {
			added, ok := e.(client.MessageAdded)
			return ok && added.Message.Text == text
		})
	}
	settle := func(text string) {
		await(sent, func(e client.Event) bool {
			changed, ok := e.(client.MessageChanged)
			return ok && changed.Message.Text == text && changed.Message.State == client.StateSent
		})
	}
	roundTrip, sync := w.roundTrip(b), pageSync(b)
	var messages, roundTrips, syncs []time.Duration
	for i := 0; b.Loop(); i++ {
		text := rand.Text()
		took := timed(func() { exchange(text) })
		settle(text)
		rt, fs := timed(roundTrip), timed(sync)
		if i >= 20 || b.N < 40 { // the first ones find everything cold
			messages, roundTrips, syncs = append(messages, took), append(roundTrips, rt), append(syncs, fs)
		}
	}
	p50, floor := percentile(messages, 50), percentile(roundTrips, 50)+percentile(syncs, 50)
	b.ReportMetric(micros(p50), "p50-µs")
	b.ReportMetric(micros(percentile(messages, 99)), "p99-µs")
	b.ReportMetric(micros(percentile(roundTrips, 50)), "roundtrip-µs")
	b.ReportMetric(micros(percentile(syncs, 50)), "fsync-µs")
	b.ReportMetric(float64(p50)/float64(floor), "×floor")
}

func timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// await reads events until one is it.
func await(events <-chan client.Event, it func(client.Event) bool) {
	for event := range events {
		if it(event) {
			return
		}
	}
}

// roundTrip returns an empty call on a connection of its own.
func (w *world) roundTrip(b *testing.B) func() {
	b.Helper()
	link, err := wire.ParseLink(w.link.String())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := wire.Dial(b.Context(), link, wire.DialOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return func() {
		if err := conn.Call(b.Context(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
			b.Fatal(err)
		}
	}
}

// pageSync returns what appends a page to a log file and syncs it.
func pageSync(b *testing.B) func() {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	page := make([]byte, 4096)
	return func() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
