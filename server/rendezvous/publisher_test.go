package rendezvous

import (
	"context"
	"crypto"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/rendezvous"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// friend is a server at which word is left.
type friend struct {
	link wire.Link
	key  crypto.Signer

	mu      sync.Mutex
	seenAs  string
	now     time.Time
	calls   int
	records []rendezvous.Endpoint // that differ
	last    *qpcv1.EndpointRecord
}

func startFriend(t *testing.T) *friend {
	t.Helper()
	cert, err := wire.LoadOrCreateCertificate(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &friend{key: cert.PrivateKey.(crypto.Signer), seenAs: "93.184.216.1", now: time.Now()}
	if f.link, err = wire.ParseLink("qpc://" + socket.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	pin := wire.PinOf(cert)
	f.link.Pin = pin[:]
	r := wire.NewRouter()
	wire.Handle(r, func(_ context.Context, _ *wire.Peer, req *qpcv1.PublishEndpointRequest) (*qpcv1.PublishEndpointResponse, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.calls++
		e, err := rendezvous.Open(req.Record, f.now)
		if err != nil {
			return nil, err
		}
		if !proto.Equal(f.last, req.Record) {
			f.last, f.records = req.Record, append(f.records, e)
		}
		return &qpcv1.PublishEndpointResponse{SeenAs: f.seenAs}, nil
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wire.Serve(ctx, socket, wire.ServerTLS(cert), r, wire.ServeOptions{}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// set changes how the server behind a router is seen, and the time.
func (f *friend) set(seenAs string, pass time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seenAs, f.now = seenAs, f.now.Add(pass)
}

func (f *friend) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(time.Millisecond) // no two records at the same time
	return f.now
}

func (f *friend) want(t *testing.T, what string, calls, records int, hosts ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls != calls || len(f.records) != records || !slices.Equal(f.records[records-1].Hosts, hosts) {
		t.Errorf("%s: %d calls with %d records, the last with hosts %v; want %d, %d, %v",
			what, f.calls, len(f.records), f.records[len(f.records)-1].Hosts, calls, records, hosts)
	}
}

// A router's new address is known outside within minutes, although nothing has
// changed inside.
func TestAddressOutsideChanges(t *testing.T) {
	f := startFriend(t)
	p := &Publisher{
		Key: f.key, At: []wire.Link{f.link}, Guess: true, Now: f.clock, Log: slog.New(slog.DiscardHandler),
		Where: func() ([]string, int) { return []string{"192.168.1.2"}, 4433 },
	}
	publish := func() {
		t.Helper()
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	f.want(t, "at first", 2, 2, "93.184.216.1", "192.168.1.2")
	f.set("93.184.216.2", time.Minute)
	publish()
	f.want(t, "a minute later", 2, 2, "93.184.216.1", "192.168.1.2")
	f.set("93.184.216.2", askOutside)
	publish()
	f.want(t, "then", 4, 3, "93.184.216.2", "192.168.1.2")
	f.set("93.184.216.2", askOutside)
	publish()
	f.want(t, "where nothing has changed", 5, 3, "93.184.216.2", "192.168.1.2")
	f.set("93.184.216.2", interval)
	publish()
	f.want(t, "an hour later", 6, 4, "93.184.216.2", "192.168.1.2")
}

func TestHostsThatARecordCannotHold(t *testing.T) {
	f := startFriend(t)
	host := "Chat.Example.ORG"
	p := &Publisher{
		Key: f.key, At: []wire.Link{f.link}, Now: f.clock, Log: slog.New(slog.DiscardHandler),
		Where: func() ([]string, int) { return []string{host}, 4433 },
	}
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.want(t, "capitals", 1, 1, "chat.example.org")
	host = "fe80::1%eth0"
	if err := p.Publish(t.Context()); !errors.Is(err, errNowhere) {
		t.Errorf("an address with a zone alone: %v", err)
	}
}
