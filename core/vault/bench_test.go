package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func quantile(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[int(float64(len(d)-1)*q)]) / float64(time.Microsecond)
}

// BenchmarkUpdate is the transaction of one received message, beside a bare
// append and fsync of as many bytes as it adds to the WAL, at least.
func BenchmarkUpdate(b *testing.B) {
	v, dir := newVault(b)
	conv := putConversation(b, v, 1)
	fill(b, v, conv, 10_000)
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	page := make([]byte, 4096)
	var updates, syncs []time.Duration
	n := 20_000
	for b.Loop() {
		n++
		start := time.Now()
		update(b, v, func(tx *Tx) error {
			m := Message{
				Conversation: conv, MessageID: messageID(n), Kind: MessageText, Body: "a message of about the usual length, forty to sixty characters",
				SentAt: testTime, ReceivedAt: testTime, Seq: uint64(n), State: MessageReceived, Unread: true,
			}
			if err := tx.InsertMessage(&m); err != nil {
				return err
			}
			return tx.PutMLS(conv, records("ratchet/1", fmt.Sprintf("%0200d", n)))
		})
		updates = append(updates, time.Since(start))
		b.StopTimer()
		start = time.Now()
		if _, err := file.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, time.Since(start))
		b.StartTimer()
	}
	b.ReportMetric(quantile(updates, 0.5), "p50-µs")
	b.ReportMetric(quantile(updates, 0.99), "p99-µs")
	b.ReportMetric(quantile(syncs, 0.5), "fsync-p50-µs")
	b.ReportMetric(quantile(syncs, 0.99), "fsync-p99-µs")
}

// BenchmarkOpen is what a start needs: open, list conversations, newest page.
func BenchmarkOpen(b *testing.B) {
	dir, conv := filledVault(b, 10_000)
	run := func(b *testing.B, password string) {
		for b.Loop() {
			v, err := Open(dir, password, cheap)
			if err != nil {
				b.Fatal(err)
			}
			view(b, v, func(tx *Tx) error {
				if _, err := tx.Conversations(); err != nil {
					return err
				}
				_, err := tx.Messages(conv, Page{})
				return err
			})
			b.StopTimer()
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
	b.Run("10000 messages, key file aside", func(b *testing.B) { run(b, testPassword) })
	v, err := Open(dir, testPassword, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := v.ChangePassword(testPassword, "default"); err != nil {
		b.Fatal(err)
	}
	if err := v.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("10000 messages, with DefaultKDF", func(b *testing.B) { run(b, "default") })
}

func BenchmarkPage(b *testing.B) {
	v, _ := newVault(b)
	conv := putConversation(b, v, 1)
	fill(b, v, conv, 10_000)
	for _, c := range []struct {
		name string
		page Page
	}{
		{"newest 50", Page{}},
		{"50 from the middle", Page{Before: Position{Order: 5000}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				view(b, v, func(tx *Tx) error {
					list, err := tx.Messages(conv, c.page)
					if len(list) != 50 {
						b.Error(len(list))
					}
					return err
				})
			}
		})
	}
}

func BenchmarkConversations(b *testing.B) {
	v, _ := newVault(b)
	for i := range 200 {
		fill(b, v, putConversation(b, v, byte(i)), 5)
	}
	for b.Loop() {
		view(b, v, func(tx *Tx) error {
			list, err := tx.Conversations()
			if len(list) != 200 {
				b.Error(len(list))
			}
			return err
		})
	}
}
