package queue

import (
	"context"
	"errors"
	"sync"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// subscription pushes what comes into one queue to one connection.
type subscription struct {
	service *Service
	peer    *wire.Peer
	queue   storage.QueueID

	ctx    context.Context // ends with the subscription
	cancel context.CancelFunc
	leave  func() // the bus
	runs   sync.WaitGroup

	mu      sync.Mutex
	started bool
	stopped bool
	running bool
	waiting bool           // something may wait that was not fetched
	handed  []storage.Item // at most one: what to push next, without fetching
	pushed  uint64         // seq of the newest item pushed
	acked   uint64         // seq of the newest item acknowledged, at most pushed
}

// newSubscription joins the bus and pushes nothing until start.
func newSubscription(s *Service, p *wire.Peer, queue storage.QueueID) *subscription {
	sub := &subscription{service: s, peer: p, queue: queue}
	sub.ctx, sub.cancel = context.WithCancel(context.Background())
	sub.leave = sync.OnceFunc(s.bus.Subscribe(queue, sub.wake))
	return sub
}

// start begins to push what waits after a seq.
func (s *subscription) start(after uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed, s.acked = after, after
	s.started, s.waiting = true, true
	s.run()
}

// wake says that something came into the queue. It does not block. An item that
// follows what was pushed needs no fetching; any other is only a sign that there
// is something to fetch, unless it was pushed already.
func (s *subscription) wake(item storage.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started && item.Seq > 0 && item.Seq <= s.pushed {
		return
	}
	whole := item.Sealed != nil || item.Overflow
	if idle := s.started && !s.running && !s.waiting; idle && whole && item.Seq == s.pushed+1 && s.room() > 0 {
		s.handed = []storage.Item{item}
	} else {
		s.waiting = true
	}
	s.run()
}

// acknowledge makes room in the window.
func (s *subscription) acknowledge(upTo uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, min(upTo, s.pushed))
	s.run()
}

// caughtUp tells whether everything up to a seq was acknowledged; seq 0 is the
// newest.
func (s *subscription) caughtUp(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq == 0 {
		return s.acked == s.pushed && !s.running && !s.work()
	}
	return s.acked >= seq
}

// stop ends the subscription and returns when it pushes no more.
func (s *subscription) stop() {
	s.leave()
	s.cancel()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.runs.Wait()
}

// run starts the pump where there is something to do and nobody does it. The
// caller holds mu.
func (s *subscription) run() {
	if s.started && !s.stopped && !s.running && s.work() && s.room() > 0 {
		s.running = true
		s.runs.Go(s.pump)
	}
}

// work tells whether there may be something to push. The caller holds mu.
func (s *subscription) work() bool { return s.waiting || len(s.handed) > 0 }

// room is how many items may be pushed now. The caller holds mu.
func (s *subscription) room() int { return window - int(s.pushed-s.acked) }

// next decides under mu what the pump does: push what was handed over, fetch
// room items after a seq, or end.
func (s *subscription) next() (handed []storage.Item, after uint64, room int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || !s.work() || s.room() <= 0 {
		s.running = false
		return nil, 0, 0, false
	}
	if handed, s.handed = s.handed, nil; handed == nil {
		s.waiting = false
	}
	return handed, s.pushed, s.room(), true
}

// pump pushes until nothing waits or the window is full.
func (s *subscription) pump() {
	for {
		handed, after, room, ok := s.next()
		if !ok {
			return
		}
		items, more, err := s.items(handed, after, room)
		if err == nil && len(items) > 0 {
			err = s.peer.Push(s.ctx, qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS, &qpcv1.QueueItems{Items: items})
		}
		if err != nil {
			s.fail(err)
			return
		}
		s.advance(items, more)
	}
}

// items are those to push now; more tells that others wait behind them.
func (s *subscription) items(handed []storage.Item, after uint64, room int) (items []*qpcv1.QueueItem, more bool, err error) {
	if len(handed) > 0 {
		return s.service.open(s.ctx, s.queue, handed), false, nil
	}
	return s.service.read(s.ctx, s.queue, after, min(room, defaultFetch))
}

func (s *subscription) advance(items []*qpcv1.QueueItem, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(items) > 0 {
		s.pushed = items[len(items)-1].Seq
	}
	s.waiting = s.waiting || more
}

// fail gives the subscription up. The device connects again, and loses
// nothing, since it acknowledged nothing that it did not get.
func (s *subscription) fail(err error) {
	s.mu.Lock()
	s.stopped, s.running = true, false
	s.mu.Unlock()
	s.leave()
	s.cancel()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, wire.ErrClosed), errors.Is(err, wire.ErrSlowPeer), errors.Is(err, storage.ErrClosed):
	case errors.Is(err, storage.ErrUnknownQueue):
		s.peer.Close(qpcv1.Goodbye_REASON_REVOKED)
	default:
		s.service.log.Error("pushing failed", "error", err)
		s.peer.Close(qpcv1.Goodbye_REASON_STOPPING)
	}
}
