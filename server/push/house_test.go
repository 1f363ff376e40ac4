package push

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"quicprochat/server/storage"
)

// house is a notifier with a store and a clock of the test's own.
type house struct {
	*Service
	t *testing.T
	r *receiver

	mu        sync.Mutex
	time      time.Time
	targets   map[storage.QueueID]*storage.PushTarget
	connected map[storage.QueueID]uint64 // acknowledged over a connection here
	lookUps   int
	log       bytes.Buffer
	storage.PushStore
}

func newHouse(t *testing.T, allowed []netip.Prefix) *house {
	t.Helper()
	h := &house{t: t, r: newReceiver(t), time: noon, targets: map[storage.QueueID]*storage.PushTarget{}, connected: map[storage.QueueID]uint64{}}
	roots := x509.NewCertPool()
	roots.AddCert(h.r.server.Certificate())
	var err error
	h.Service, err = New(Options{
		Store: h, Presence: h, StorageKey: [32]byte{1}, Contact: "mailto:op@example.org", Networks: allowed, Roots: roots,
		Now: h.clock, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.sends.Wait()
		h.sender.close()
	})
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *house) PushTargets(_ context.Context, queues []storage.QueueID) (found []storage.PushTarget, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lookUps++
	for _, q := range queues {
		if target := h.targets[q]; target != nil {
			found = append(found, *target)
		}
	}
	return found, nil
}

func (h *house) ForgetPush(_ context.Context, queue storage.QueueID, sealed []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if target := h.targets[queue]; target != nil && bytes.Equal(target.Sealed, sealed) {
		delete(h.targets, queue)
	}
	return nil
}

func (h *house) Presence(queue storage.QueueID, seq uint64) (connected, caughtUp bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	acked, ok := h.connected[queue]
	return ok, ok && acked >= seq
}

// device registers a device at the receiver.
func (h *house) device(n byte) storage.QueueID {
	h.t.Helper()
	queue := storage.QueueID{n}
	sealed, err := h.vault.seal(queue, h.r.request(fmt.Sprintf("/device/%d", n)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.targets[queue] = &storage.PushTarget{Queue: queue, Sealed: sealed}
	return queue
}

// item appends an item to a queue.
func (h *house) item(queue storage.QueueID) {
	h.mu.Lock()
	h.targets[queue].LastSeq++
	seq := h.targets[queue].LastSeq
	h.mu.Unlock()
	h.Wake(storage.Appended{Queue: queue, Item: storage.Item{Seq: seq}})
}

// acknowledge has a device take in everything.
func (h *house) acknowledge(queue storage.QueueID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.targets[queue].Acked = h.targets[queue].LastSeq
}

// after lets time pass and everything happen that is due then.
func (h *house) after(d time.Duration) {
	h.mu.Lock()
	h.time = h.time.Add(d)
	h.mu.Unlock()
	h.round(h.t.Context())
	h.sends.Wait()
}

func (h *house) want(n int) {
	h.t.Helper()
	if got := h.r.count(); got != n {
		h.t.Fatalf("%d messages, want %d\n%s", got, n, h.log.String())
	}
}
