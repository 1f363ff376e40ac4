package client

import (
	"context"
	"errors"
	"sync"
)

// status is the state of both connections and of what follows from them, and
// lets others wait for it.
type status struct {
	publish func(Event)

	mu         sync.Mutex
	account    ConnectionChanged
	anonymous  ConnectionChanged
	combined   ConnectionChanged
	target     uint64 // newest queue item when the account connection came up
	cursor     uint64 // newest queue item in the vault
	isBanned   bool   // since the server said so, until the account connection is up again
	maintained bool   // keys are uploaded since the connection came up
	changed    chan struct{}
}

func newStatus(publish func(Event)) *status {
	return &status{publish: publish, changed: make(chan struct{})}
}

func (s *status) setAccount(c ConnectionChanged) {
	s.update(func() {
		s.account = c
		if c.State != Online {
			s.maintained = false
		}
	})
}

func (s *status) setAnonymous(c ConnectionChanged) { s.update(func() { s.anonymous = c }) }
func (s *status) setTarget(seq uint64)             { s.update(func() { s.target = seq }) }
func (s *status) setCursor(seq uint64)             { s.update(func() { s.cursor = max(s.cursor, seq) }) }
func (s *status) rewind()                          { s.update(func() { s.cursor = 0 }) }
func (s *status) setBanned(banned bool)            { s.update(func() { s.isBanned = banned }) }
func (s *status) setMaintained()                   { s.update(func() { s.maintained = true }) }

func (s *status) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
	if c := combine(s.account, s.anonymous); !c.equal(s.combined) {
		s.combined = c
		s.publish(c)
	}
}

func (c ConnectionChanged) equal(d ConnectionChanged) bool {
	return c.State == d.State && c.Retry.Equal(d.Retry) && UserMessage(c.Err) == UserMessage(d.Err)
}

// combine is Online when both are, and otherwise what keeps them from it.
func combine(a, b ConnectionChanged) ConnectionChanged {
	worse := a
	if b.State < a.State {
		worse = b
	}
	return worse
}

func (s *status) connection() ConnectionChanged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.combined
}

// final tells whether this device will never be let in again.
func (c ConnectionChanged) final() bool { return isFinal(c.Err) }

func isFinal(err error) bool {
	return errors.Is(err, ErrDeviceRevoked) || errors.Is(err, ErrAccountDeleted)
}

// ended says why this device will never be let in again: ErrDeviceRevoked or
// ErrAccountDeleted; nil where it may.
func (s *status) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(s.account.Err, ErrDeviceRevoked):
		return ErrDeviceRevoked
	case errors.Is(s.account.Err, ErrAccountDeleted):
		return ErrAccountDeleted
	}
	return nil
}

// banned tells whether the server has last said that the account is banned.
func (s *status) banned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isBanned
}

// position is the newest queue item in the vault.
func (s *status) position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor
}

// await waits until ok holds; it is called with the lock held.
func (s *status) await(ctx context.Context, ok func() (bool, error)) error {
	for {
		s.mu.Lock()
		done, err := ok()
		changed := s.changed
		s.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// online waits while a connection is being made; ErrOffline where there is none.
func (s *status) online(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) {
		switch s.combined.State {
		case Online:
			return true, nil
		case Connecting:
			return false, nil
		default:
			return false, ErrOffline
		}
	})
}
