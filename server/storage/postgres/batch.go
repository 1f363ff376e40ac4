package postgres

import (
	"context"

	"quicprochat/server/storage"
)

// PostBatch hands the posts to the lanes in their order. Those of one channel
// go to one lane, which keeps it.
func (s *Store) PostBatch(ctx context.Context, posts []storage.Post) []storage.PostOutcome {
	outcomes := make([]storage.PostOutcome, len(posts))
	leave, err := s.enter()
	if err == nil {
		defer leave()
		err = ctx.Err()
	}
	calls := make([]*call, 0, len(posts))
	last := make(map[storage.ChannelID]*call)
	for _, p := range posts {
		if err != nil {
			break
		}
		c := callOf(p)
		c.before = last[p.Channel]
		if err = s.submit(ctx, c); err == nil {
			calls = append(calls, c)
			last[p.Channel] = c
		}
	}
	for i := range posts {
		if i < len(calls) {
			outcomes[i].Posted, outcomes[i].Err = calls[i].wait(ctx)
		} else {
			outcomes[i].Err = err
		}
	}
	return outcomes
}

// callOf is a post as the lanes take it.
func callOf(p storage.Post) *call {
	return &call{channel: p.Channel, item: p.Item, epoch: p.Epoch, resolve: p.Resolve, seal: p.Seal, now: p.Now}
}
