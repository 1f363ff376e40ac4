package moderation

import (
	"context"
	"errors"
	"fmt"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

const (
	// watchInterval is how long a ban that another process made takes at most
	// to end the connections here.
	watchInterval = time.Second
	watchPage     = 100
)

// Prepare notes which bans there are. Call it before anybody is let in: Watch
// goes on from there.
func (s *Service) Prepare(ctx context.Context) error {
	last, err := s.Store.LastBan(ctx)
	if err != nil {
		return fmt.Errorf("looking for bans: %w", err)
	}
	s.lastBan.Store(last)
	return nil
}

// Watch ends the connections of accounts that another process has banned, until
// ctx ends.
func (s *Service) Watch(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := s.apply(ctx)
		if ctx.Err() != nil || errors.Is(err, storage.ErrClosed) {
			return
		}
		if err != nil && !failing {
			s.Log.Error("looking for bans failed", "error", err)
		}
		failing = err != nil
	}
}

// apply ends what the bans end that are new since the last time.
func (s *Service) apply(ctx context.Context) error {
	for {
		last, err := s.Store.LastBan(ctx)
		if err != nil || last <= s.lastBan.Load() {
			return err
		}
		bans, err := s.Store.Bans(ctx, s.lastBan.Load(), s.Now(), watchPage)
		if err != nil {
			return err
		}
		for _, b := range bans {
			s.Sessions.Ended(session.Ending{Account: b.Account, Reason: qpcv1.Goodbye_REASON_BANNED})
			last = max(last, b.Number)
		}
		if len(bans) == watchPage {
			last = bans[watchPage-1].Number
		}
		s.lastBan.Store(last)
	}
}
