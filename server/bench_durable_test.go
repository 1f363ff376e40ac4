package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	benchSenders = 64
	benchRounds  = 5
	benchRound   = 3 * time.Second
)

// BenchmarkServerDurable measures durable posts of 1 KiB from 64 senders to
// one connected recipient that acknowledges them, and beside it NATS
// JetStream's file store that syncs always. The two take turns, because the
// disk of a shared machine has good and bad minutes. Half load is half of the
// server's own rate for both, posted without waiting for answers.
func BenchmarkServerDurable(b *testing.B) {
	peers := []struct {
		name string
		post func(sender int) error
		full []load
		half []load
	}{
		{name: "qpc-server, SQLite", post: newPosters(b)},
		{name: "NATS JetStream, file, sync always", post: newPublishers(b)},
	}
	for i := range peers { // to warm up
		fullLoad(b, benchSenders, time.Second, peers[i].post)
	}
	for range benchRounds {
		for i := range peers {
			peers[i].full = append(peers[i].full, fullLoad(b, benchSenders, benchRound, peers[i].post))
		}
	}
	half := medianRate(peers[0].full) / 2
	for range benchRounds {
		for i := range peers {
			peers[i].half = append(peers[i].half, steadyLoad(b, benchSenders, half, benchRound, peers[i].post))
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %9s %9s %8s %8s   at %.0f/s: %8s %8s\n", "", "posts/s", "best", "p50 ms", "p99 ms", half, "p50 ms", "p99 ms")
	for _, p := range peers {
		full, steady := merge(p.full), merge(p.half)
		fmt.Fprintf(&table, "%-36s %9.0f %9.0f %8.2f %8.2f   %17.2f %8.2f\n", p.name,
			medianRate(p.full), bestRate(p.full), full.quantile(.5), full.quantile(.99), steady.quantile(.5), steady.quantile(.99))
	}
	b.Logf("1 KiB, %d senders, 1 recipient, %d rounds of %v each\n%s", benchSenders, benchRounds, benchRound, table.String())
	b.ReportMetric(medianRate(peers[0].full), "posts/s")
	b.ReportMetric(medianRate(peers[0].full)/medianRate(peers[1].full), "×JetStream")
	b.ReportMetric(merge(peers[0].half).quantile(.99), "p99-ms-at-half")
	b.ReportMetric(0, "ns/op")
}

func rates(all []load) []float64 {
	var r []float64
	for _, l := range all {
		r = append(r, l.rate)
	}
	slices.Sort(r)
	return r
}

func medianRate(all []load) float64 { return rates(all)[len(all)/2] }
func bestRate(all []load) float64   { return slices.Max(rates(all)) }

func merge(all []load) load {
	var m load
	for _, l := range all {
		m.latencies = append(m.latencies, l.latencies...)
	}
	return m
}

// newPosters starts a server with a recipient, and gives a post of each of the
// senders: every one has a connection and a channel.
func newPosters(b *testing.B) func(sender int) error {
	f := start(b)
	alice := f.register("alice")
	rooms := make([]*room, benchSenders)
	for i := range rooms {
		rooms[i] = newRoom(f, alice)
	}
	alice.subscribe(0)
	acknowledgeAll(b, alice)
	message := random(1024)
	return func(sender int) error {
		r := rooms[sender]
		_, err := call[qpcv1.PostResponse](r.anon, r.postRequest(r.postBody(message), r.keys[0]))
		return err
	}
}

// acknowledgeAll acknowledges what is pushed, as a client does, until the
// benchmark ends.
func acknowledgeAll(b *testing.B, d *member) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var last uint64
			select {
			case <-stop:
				return
			case item := <-d.pushed:
				last = item.Seq
			}
			for drained := false; !drained; {
				select {
				case item := <-d.pushed:
					last = item.Seq
				default:
					drained = true
				}
			}
			if _, err := call[qpcv1.AckResponse](d.conn, &qpcv1.AckRequest{UpToSeq: last}); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	b.Cleanup(func() {
		close(stop)
		<-done
	})
}

// newPublishers starts a NATS server with a stream and a consumer that
// acknowledges, and gives a publication of each of the senders: every one has
// a connection.
func newPublishers(b *testing.B) func(sender int) error {
	fail := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: b.TempDir(), SyncAlways: true,
	})
	fail(err)
	s.Start()
	b.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		b.Fatal("NATS is not ready")
	}
	connect := func() jetstream.JetStream {
		conn, err := nats.Connect(s.ClientURL())
		fail(err)
		b.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		fail(err)
		return js
	}
	js := connect()
	stream, err := js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: "posts", Subjects: []string{"posts"}, Storage: jetstream.FileStorage, // it keeps what was acknowledged, which is less work
	})
	fail(err)
	consumer, err := stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{Durable: "alice", AckPolicy: jetstream.AckAllPolicy})
	fail(err)
	received := 0
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if received++; received%32 == 0 {
			_ = m.Ack() // the next one makes up for it
		}
	})
	fail(err)
	b.Cleanup(func() {
		consuming.Stop()
		<-consuming.Closed()
	})
	message := random(1024)
	senders := make([]jetstream.JetStream, benchSenders)
	for i := range senders {
		senders[i] = connect()
	}
	return func(sender int) error {
		_, err := senders[sender].Publish(b.Context(), "posts", message)
		return err
	}
}
