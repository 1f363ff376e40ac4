package sqlite

import (
	"context"

	"quicprochat/server/storage"
)

// PostBatch hands the posts to the writer in their order, where they share
// transactions with each other and with whatever else waits.
func (s *Store) PostBatch(ctx context.Context, posts []storage.Post) []storage.PostOutcome {
	outcomes := make([]storage.PostOutcome, len(posts))
	calls := make([]*call, len(posts))
	last := make(map[storage.ChannelID]*call)
	for i, p := range posts {
		before := last[p.Channel]
		c := newCall(func(t *tx) (err error) {
			if before != nil && before.failed() {
				return storage.ErrNotTried
			}
			outcomes[i].Posted, err = s.postIn(t, p)
			return err
		})
		if err := s.writer.submit(ctx, c); err != nil {
			for j := i; j < len(posts); j++ {
				outcomes[j].Err = err
			}
			break
		}
		calls[i], last[p.Channel] = c, c
	}
	for i, c := range calls {
		if c == nil {
			continue
		}
		if err := c.wait(ctx); err != nil {
			outcomes[i] = storage.PostOutcome{Err: err}
		}
	}
	return outcomes
}

// failed tells of a call that is not waiting any more whether it came to
// nothing. The writer alone may ask.
func (c *call) failed() bool {
	return c.err != nil || c.panicked != nil || c.state.Load() == callAbandoned
}
