package client

import "sync"

// maxPendingEvents is how far a reader may fall behind before its events are
// replaced by one Resync.
const maxPendingEvents = 4096

// subscribers hands every event to every reader without ever waiting for one.
type subscribers struct {
	mu     sync.Mutex
	all    map[*subscriber]struct{}
	closed bool
}

func (s *subscribers) subscribe() (<-chan Event, func()) {
	sub := &subscriber{
		out:  make(chan Event, 16),
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
		keys: make(map[eventKey]int),
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		close(sub.out)
		return sub.out, func() {}
	}
	if s.all == nil {
		s.all = make(map[*subscriber]struct{})
	}
	s.all[sub] = struct{}{}
	s.mu.Unlock()
	go sub.run()
	var once sync.Once
	return sub.out, func() {
		once.Do(func() {
			s.mu.Lock()
			_, mine := s.all[sub]
			delete(s.all, sub)
			s.mu.Unlock()
			if mine {
				close(sub.done)
			}
		})
	}
}

func (s *subscribers) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.all {
		sub.put(e)
	}
}

// close ends all subscriptions; later ones get a closed channel.
func (s *subscribers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub := range s.all {
		delete(s.all, sub)
		close(sub.done)
	}
}

// eventKey names what an event is about: of two pending events with one key
// the later replaces the earlier.
type eventKey struct {
	kind         byte
	conversation ConversationID
	message      MessageID
}

func keyOf(e Event) (eventKey, bool) {
	switch e := e.(type) {
	case ConnectionChanged:
		return eventKey{kind: 'c'}, true
	case ConversationChanged:
		return eventKey{kind: 'v', conversation: e.Conversation.ID}, true
	case MessageChanged:
		return eventKey{kind: 'm', conversation: e.Message.Conversation, message: e.Message.ID}, true
	default:
		return eventKey{}, false
	}
}

// subscriber is one reader and what it has not read yet.
type subscriber struct {
	out  chan Event
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending []Event
	keys    map[eventKey]int // index in pending
}

func (s *subscriber) put(e Event) {
	s.mu.Lock()
	if key, ok := keyOf(e); ok {
		if i, pending := s.keys[key]; pending {
			s.pending[i] = e
			s.mu.Unlock()
			return
		}
		s.keys[key] = len(s.pending)
	}
	if len(s.pending) >= maxPendingEvents {
		s.pending = append(s.pending[:0:0], Resync{})
		clear(s.keys)
	} else {
		s.pending = append(s.pending, e)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscriber) take() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.pending
	s.pending = nil
	clear(s.keys)
	return taken
}

func (s *subscriber) run() {
	defer close(s.out)
	for {
		select {
		case <-s.wake:
		case <-s.done:
			return
		}
		for _, e := range s.take() {
			select {
			case s.out <- e:
			case <-s.done:
				return
			}
		}
	}
}
