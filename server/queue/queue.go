// Package queue serves QueueService: it hands a device what waits for it.
//
// A subscription costs no goroutine while nothing happens. A wake-up from the
// bus, or an acknowledgement that makes room, starts one that fetches and
// pushes until nothing is left; there is no polling and no timer on the way
// from a post to its push, except where the bus between nodes lost a wake-up. Where the wake-up brings the very next item, that is
// pushed as it is, and nothing fetched.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

const (
	// window is how many items may be pushed beyond the last acknowledged one.
	window = 256
	// defaultFetch and maxFetch are in items, fetchBytes in sealed bytes.
	defaultFetch = 100
	maxFetch     = 500
	fetchBytes   = 1 << 20
	// maxNewAddresses is how many addresses one call may make.
	maxNewAddresses = 200
)

var (
	errCount   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "Ask for 1 to 200 addresses.")
	errRevoked = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED, "This device was revoked by its account.")
)

// Bus tells a subscriber that something came into a queue; see package bus.
type Bus interface {
	Subscribe(queue storage.QueueID, wake func(storage.Item)) (cancel func())
}

// Service implements QueueService.
type Service struct {
	store  storage.QueueStore
	sealer *address.Sealer
	bus    Bus
	log    *slog.Logger

	mu            sync.Mutex
	subscriptions map[storage.QueueID]*subscription
}

// New returns a Service.
func New(store storage.QueueStore, sealer *address.Sealer, bus Bus, log *slog.Logger) *Service {
	return &Service{store: store, sealer: sealer, bus: bus, log: log, subscriptions: make(map[storage.QueueID]*subscription)}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.subscribe)
	wire.Handle(r, s.fetch)
	wire.Handle(r, s.ack)
	wire.Handle(r, s.newAddress)
	wire.Handle(r, s.peek)
}

func (s *Service) subscribe(ctx context.Context, p *wire.Peer, req *qpcv1.SubscribeRequest) (*qpcv1.SubscribeResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	sub := newSubscription(s, p, d.Queue)
	s.replace(sub)
	// Asked after the bus has us: what comes later wakes, what came earlier
	// is counted.
	last, err := s.store.LastSeq(ctx, d.Queue)
	if err != nil {
		s.drop(sub)
		return nil, storeError(err)
	}
	after := req.AfterSeq
	if after > last {
		after = 0 // the cursor of another queue, which this device had before
	}
	sub.start(after)
	return &qpcv1.SubscribeResponse{LastSeq: last}, nil
}

func (s *Service) fetch(ctx context.Context, p *wire.Peer, req *qpcv1.FetchRequest) (*qpcv1.FetchResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	limit := min(int(req.Limit), maxFetch)
	if limit == 0 {
		limit = defaultFetch
	}
	items, more, err := s.read(ctx, d.Queue, req.AfterSeq, limit)
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.FetchResponse{Items: items, More: more}, nil
}

func (s *Service) ack(ctx context.Context, p *wire.Peer, req *qpcv1.AckRequest) (*qpcv1.AckResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if err := s.store.AckItems(ctx, d.Queue, req.UpToSeq); err != nil {
		return nil, storeError(err)
	}
	s.mu.Lock()
	sub := s.subscriptions[d.Queue]
	s.mu.Unlock()
	if sub != nil {
		sub.acknowledge(req.UpToSeq)
	}
	return &qpcv1.AckResponse{}, nil
}

func (s *Service) newAddress(_ context.Context, p *wire.Peer, req *qpcv1.NewAddressRequest) (*qpcv1.NewAddressResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if req.Count < 1 || req.Count > maxNewAddresses {
		return nil, errCount
	}
	resp := &qpcv1.NewAddressResponse{Addresses: make([][]byte, req.Count)}
	for i := range resp.Addresses {
		resp.Addresses[i] = s.sealer.NewAddress(d.Queue)
	}
	return resp, nil
}

func (s *Service) peek(ctx context.Context, p *wire.Peer, _ *qpcv1.PeekRequest) (*qpcv1.PeekResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	w, err := s.store.Peek(ctx, d.Queue)
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.PeekResponse{
		Count: uint64(w.Items), Bytes: uint64(w.Bytes), OldestDay: w.OldestDay, LastSeq: w.LastSeq, AckedSeq: w.Acked,
	}, nil
}

// Presence tells whether the device of a queue has a live connection to this
// node, and whether it has acknowledged everything up to a seq; seq 0 is the
// newest.
func (s *Service) Presence(queue storage.QueueID, seq uint64) (connected, caughtUp bool) {
	s.mu.Lock()
	sub := s.subscriptions[queue]
	s.mu.Unlock()
	if sub == nil {
		return false, false
	}
	select {
	case <-sub.peer.Done():
		return false, sub.caughtUp(seq)
	default:
		return true, sub.caughtUp(seq)
	}
}

// read fetches and opens items.
func (s *Service) read(ctx context.Context, queue storage.QueueID, after uint64, limit int) ([]*qpcv1.QueueItem, bool, error) {
	stored, more, err := s.store.FetchItems(ctx, queue, after, limit, fetchBytes)
	if err != nil {
		return nil, false, err
	}
	return s.open(ctx, queue, stored), more, nil
}

// open turns stored items into those that go to the device.
func (s *Service) open(ctx context.Context, queue storage.QueueID, stored []storage.Item) []*qpcv1.QueueItem {
	items := make([]*qpcv1.QueueItem, len(stored))
	for i, raw := range stored {
		item, ok := open(s.sealer, queue, raw)
		if !ok {
			s.log.ErrorContext(ctx, "a stored item does not open and is reported as lost")
		}
		items[i] = item
	}
	return items
}

// replace makes sub the subscription of its queue.
func (s *Service) replace(sub *subscription) {
	s.mu.Lock()
	old := s.subscriptions[sub.queue]
	s.subscriptions[sub.queue] = sub
	s.mu.Unlock()
	if old != nil {
		old.stop()
	}
}

// drop ends sub, and forgets it where it was not replaced meanwhile.
func (s *Service) drop(sub *subscription) {
	s.mu.Lock()
	if s.subscriptions[sub.queue] == sub {
		delete(s.subscriptions, sub.queue)
	}
	s.mu.Unlock()
	sub.stop()
}

// CatchUp looks in the store for what came into subscribed queues and was not
// told by the bus, and has it pushed.
func (s *Service) CatchUp(ctx context.Context) error {
	s.mu.Lock()
	subscriptions := maps.Clone(s.subscriptions)
	s.mu.Unlock()
	if len(subscriptions) == 0 {
		return nil
	}
	last, err := s.store.LastSeqs(ctx, slices.Collect(maps.Keys(subscriptions)))
	if err != nil {
		return fmt.Errorf("looking for new items: %w", err)
	}
	for queue, seq := range last {
		if seq > 0 {
			subscriptions[queue].wake(storage.Item{Seq: seq})
		}
	}
	return nil
}

// Sweep forgets the subscriptions of connections that are gone. Call it now
// and then.
func (s *Service) Sweep() {
	var gone []*subscription
	s.mu.Lock()
	for queue, sub := range s.subscriptions {
		select {
		case <-sub.peer.Done():
			delete(s.subscriptions, queue)
			gone = append(gone, sub)
		default:
		}
	}
	s.mu.Unlock()
	for _, sub := range gone {
		sub.stop()
	}
}

// Len is the number of subscriptions, those of gone connections that were not
// swept yet included.
func (s *Service) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscriptions)
}

// Close ends every subscription and returns when nothing runs any more.
func (s *Service) Close() {
	s.mu.Lock()
	all := s.subscriptions
	s.subscriptions = make(map[storage.QueueID]*subscription)
	s.mu.Unlock()
	for _, sub := range all {
		sub.stop()
	}
}

func storeError(err error) error {
	if errors.Is(err, storage.ErrUnknownQueue) {
		return errRevoked
	}
	return fmt.Errorf("queue store: %w", err)
}
