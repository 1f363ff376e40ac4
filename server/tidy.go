package server

import (
	"context"
	"errors"
	"time"

	"quicprochat/server/storage"
)

const (
	// sweepInterval is how often what is gone is forgotten in memory, and
	// expireInterval how often in the database.
	sweepInterval  = time.Minute
	expireInterval = 10 * time.Minute
	// expireBatch bounds one transaction, so that posts need not wait long.
	expireBatch = 500
	// clearBatch is how many blobs are cleared away in one go.
	clearBatch = 50
)

// tidy deletes what is out of date until ctx ends. What is due is judged by
// the server's clock; the timers only say when to look.
func (s *Server) tidy(ctx context.Context) {
	sweep, expire := time.NewTicker(sweepInterval), time.NewTicker(expireInterval)
	defer sweep.Stop()
	defer expire.Stop()
	s.expire(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			s.limiter.Sweep()
			s.logins.Sweep()
			s.sessions.Sweep()
			s.queues.Sweep()
		case <-s.blobs.Deleted():
			s.clearBlobs(ctx)
		case <-expire.C:
			s.expire(ctx)
		}
	}
}

// expire deletes everything in the database that is out of time now, and the
// contents of blobs that are gone. While the clock is not to be believed,
// nothing is: what has been deleted does not come back when it is set right.
func (s *Server) expire(ctx context.Context) {
	if s.clock.check() != nil {
		return
	}
	total := 0
	for {
		n, err := s.store.Expire(ctx, s.now(), expireBatch)
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, storage.ErrClosed) {
				s.log.Error("deleting expired data failed", "error", err)
			}
			return
		}
		total += n
		if n == 0 {
			break
		}
	}
	if total > 0 {
		s.log.Info("expired data deleted", "rows", total)
	}
	s.clearBlobs(ctx)
}

// clearBlobs deletes the contents of blobs that are gone.
func (s *Server) clearBlobs(ctx context.Context) {
	total := 0
	for {
		n, err := s.blobs.Clear(ctx, clearBatch)
		total += n
		if err != nil && ctx.Err() == nil {
			s.log.Error("deleting blobs failed", "error", err)
		}
		if err != nil || n == 0 {
			break
		}
	}
	s.meters.expired.Add(total, "blobs")
	if total > 0 {
		s.log.Info("blobs deleted", "blobs", total)
	}
}
