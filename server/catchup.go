package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// A look into the store for what the bus may have lost comes after a pause
	// between these two where the bus does not work, or the last look failed...
	shortestPause, longestPause = 2 * time.Second, 5 * time.Second
	// ...and after this where all seems well: a program beside the server may
	// have banned somebody, or NATS may be in two halves.
	calmPause = 45 * time.Second
)

// catchUp looks in the store for what this node was not told, until ctx ends.
func (s *Server) catchUp(ctx context.Context) {
	failing := false
	look := func(what func(context.Context) error) {
		err := what(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Error("looking for what other servers have done failed", "error", err)
		}
		failing = err != nil
	}
	last := time.Now()
	timer := time.NewTimer(s.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.sessions.Doubted():
			look(s.sessions.Settle)
			continue
		case <-s.missed:
		case <-timer.C:
			timer.Reset(s.pause())
			if !failing && s.bus.Health() == nil && time.Since(last) < calmPause {
				continue
			}
		}
		look(s.lookForMissed)
		last = time.Now()
	}
}

// pause differs from server to server and from time to time, so that they do
// not ask all at once.
func pause() time.Duration {
	return shortestPause + rand.N(longestPause-shortestPause)
}

// lookForMissed ends the sessions that have ended elsewhere and pushes what
// came in elsewhere.
func (s *Server) lookForMissed(ctx context.Context) error {
	return errors.Join(s.sessions.Recheck(ctx), s.queues.CatchUp(ctx))
}
