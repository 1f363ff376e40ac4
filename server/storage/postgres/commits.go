package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// Commit ends an epoch.
func (s *Store) Commit(ctx context.Context, c storage.Commit) (storage.Posted, error) {
	return s.do(ctx, &call{channel: c.Channel, item: c.Item, epoch: c.Epoch, resolve: c.Resolve, seal: c.Seal, now: c.Now, commit: &c})
}

// checkCommit tells whether a commit of the current epoch keeps the bounds. A
// channel that is over the limit may still shrink.
func (c *call) checkCommit(ch *channel, limit int) error {
	if ch.epoch >= storage.MaxEpoch {
		return storage.ErrEpochRange
	}
	addresses := make(map[string]struct{}, len(ch.addresses)+len(c.commit.Add))
	for _, a := range ch.addresses {
		addresses[string(a)] = struct{}{}
	}
	for _, a := range c.commit.Remove {
		delete(addresses, string(a))
	}
	for _, a := range c.commit.Add {
		addresses[string(a)] = struct{}{}
	}
	if len(addresses) > limit && len(addresses) > len(ch.addresses) {
		return storage.ErrChannelFull
	}
	return nil
}

// nextEpoch changes the addresses, moves a channel on and forgets what is too
// old. It removes first, so that an address in both lists stays.
func (a *accepted) nextEpoch(q *pgx.Batch) {
	number, next, openFrom := a.channel.number, a.channel.epoch+1, a.channel.openFrom
	if len(a.commit.Remove) > 0 {
		openFrom = next
		q.Queue(`DELETE FROM channel_addresses WHERE channel = $1 AND address = ANY($2)`, number, blobs(a.commit.Remove))
	}
	if len(a.commit.Add) > 0 {
		openFrom = next
		queueAddresses(q, number, a.commit.Add)
	}
	queueChannelKey(q, number, next, a.commit.NextKey)
	q.Queue(`UPDATE channels SET epoch = $2, open_from = $3 WHERE number = $1`, number, int64(next), int64(openFrom))
	q.Queue(`INSERT INTO channel_winners (channel, epoch, item) VALUES ($1, $2, $3)`, number, int64(a.channel.epoch), a.commit.Item[:])
	q.Queue(`DELETE FROM channel_keys WHERE channel = $1 AND epoch < $2`, number, int64(next)-storage.PastEpochs)
	q.Queue(`DELETE FROM channel_winners WHERE channel = $1 AND epoch < $2`, number, int64(next)-storage.WinnerEpochs)
}

func queueAddresses(q *pgx.Batch, channel int64, addresses [][]byte) {
	q.Queue(`INSERT INTO channel_addresses (channel, address) SELECT $1, * FROM unnest($2::bytea[]) ON CONFLICT DO NOTHING`, channel, blobs(addresses))
}

func queueChannelKey(q *pgx.Batch, channel int64, epoch uint64, key []byte) {
	q.Queue(`INSERT INTO channel_keys (channel, epoch, key) VALUES ($1, $2, $3)`, channel, int64(epoch), blob(key))
}
