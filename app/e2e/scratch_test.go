package e2e

import (
	"testing"
	"time"
	"slices"

	"quicprochat/core/client"
)

func BenchmarkScratch(b *testing.B) {
	w := newWorld(b)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(b.Context(), "bob")
	if err != nil {
		b.Fatal(err)
	}
	bob.conversation("alice")
	events, cancel := bob.Subscribe()
	defer cancel()
	own, cancel2 := alice.Subscribe()
	defer cancel2()
	var send, recv, echo []time.Duration
	for b.Loop() {
		start := time.Now()
		m, err := alice.Send(b.Context(), chat.ID, "hello")
		if err != nil {
			b.Fatal(err)
		}
		send = append(send, time.Since(start))
		for e := range events {
			if a, ok := e.(client.MessageAdded); ok && a.Message.ID == m.ID {
				break
			}
		}
		recv = append(recv, time.Since(start))
		for e := range own {
			if a, ok := e.(client.MessageChanged); ok && a.Message.ID == m.ID && a.Message.State == client.StateSent {
				break
			}
		}
		echo = append(echo, time.Since(start))
	}
	for name, l := range map[string][]time.Duration{"send": send, "recv": recv, "echo": echo} {
		slices.Sort(l)
		b.ReportMetric(float64(l[len(l)/2].Microseconds()), name+"-p50")
	}
}
