package sqlite

import (
	"context"
	"fmt"

	"quicprochat/server/storage"
)

// Commit ends an epoch.
func (s *Store) Commit(ctx context.Context, commit storage.Commit) (storage.Posted, error) {
	return s.change(ctx, func(t *tx) (storage.Posted, error) { return s.commitIn(t, commit) })
}

func (s *Store) commitIn(t *tx, commit storage.Commit) (storage.Posted, error) {
	return t.post(commit.Channel, commit.Item, func(c channel) (storage.Posted, error) {
		if commit.Epoch != c.epoch {
			return storage.Posted{}, t.stale(c, commit.Epoch)
		}
		if c.epoch >= storage.MaxEpoch {
			return storage.Posted{}, storage.ErrEpochRange
		}
		deliveries, err := t.recipients(c, commit.Resolve, commit.Seal)
		if err != nil {
			return storage.Posted{}, err
		}
		if err := t.spendTokens(commit.Tokens); err != nil {
			return storage.Posted{}, err
		}
		for _, w := range commit.Welcomes {
			deliveries = append(deliveries, delivery{queue: w.Queue, seal: w.Seal})
		}
		if err := t.changeAddresses(c, commit, s.limits.ChannelAddresses); err != nil {
			return storage.Posted{}, err
		}
		if err := t.nextEpoch(c, commit); err != nil {
			return storage.Posted{}, err
		}
		return t.appendItem(c, commit.Item, deliveries, commit.Now, s.limits)
	})
}

// changeAddresses removes first, so that an address in both lists stays. A
// channel that is over the limit may still shrink.
func (t *tx) changeAddresses(c channel, commit storage.Commit, limit int) error {
	removed, err := t.removeAddresses(c.number, commit.Remove)
	if err != nil {
		return err
	}
	added, err := t.insertAddresses(c.number, distinct(commit.Add))
	if err != nil {
		return err
	}
	count := c.addresses - removed + added
	if count > limit && count > c.addresses {
		return storage.ErrChannelFull
	}
	if count == c.addresses {
		return nil
	}
	if _, err := t.exec(`UPDATE channels SET addresses = ? WHERE number = ?`, count, c.number); err != nil {
		return fmt.Errorf("count addresses: %w", err)
	}
	return nil
}

// nextEpoch moves a channel on and forgets what is too old.
func (t *tx) nextEpoch(c channel, commit storage.Commit) error {
	next, openFrom := c.epoch+1, c.openFrom
	if len(commit.Add)+len(commit.Remove) > 0 {
		openFrom = next
	}
	if err := t.insertChannelKey(c.number, next, commit.NextKey); err != nil {
		return err
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`UPDATE channels SET epoch = ?, open_from = ? WHERE number = ?`, []any{int64(next), int64(openFrom), c.number}},
		{`INSERT INTO channel_winners (channel, epoch, item) VALUES (?, ?, ?)`, []any{c.number, int64(c.epoch), commit.Item[:]}},
		{`DELETE FROM channel_keys WHERE channel = ? AND epoch < ?`, []any{c.number, int64(next) - storage.PastEpochs}},
		{`DELETE FROM channel_winners WHERE channel = ? AND epoch < ?`, []any{c.number, int64(next) - storage.WinnerEpochs}},
	} {
		if _, err := t.exec(step.query, step.args...); err != nil {
			return fmt.Errorf("move channel to the next epoch: %w", err)
		}
	}
	return nil
}
