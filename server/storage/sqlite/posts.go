package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"quicprochat/server/storage"
)

// channel is a channel's row while something is posted to it.
type channel struct {
	number    int64
	epoch     uint64
	openFrom  uint64 // the epoch that the last change of addresses began
	lastSeq   uint64
	addresses int
	activeDay uint64
}

func (t *tx) channel(id storage.ChannelID) (channel, error) {
	var c channel
	err := t.get(into(&c.number, &c.epoch, &c.openFrom, &c.lastSeq, &c.addresses, &c.activeDay),
		`SELECT number, epoch, open_from, last_seq, addresses, active_day FROM channels WHERE id = ?`, id[:])
	return c, orUnknown(err, storage.ErrUnknownChannel)
}

// accepts says whether a post of an epoch may still come in.
func (c channel) accepts(epoch uint64) bool {
	return epoch <= c.epoch && c.epoch-epoch <= storage.PastEpochs && epoch >= c.openFrom
}

// postedBefore gives the seq of an item that the channel has seen; 0: it has not.
func (t *tx) postedBefore(channel int64, item storage.ItemID) (uint64, error) {
	var seq uint64
	err := t.get(into(&seq), `SELECT seq FROM channel_items WHERE channel = ? AND item = ?`, channel, item[:])
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("look for item: %w", err)
	}
	return seq, nil
}

// stale makes the error for a request with an epoch that is not accepted.
func (t *tx) stale(c channel, epoch uint64) error {
	e := &storage.StaleError{Current: c.epoch}
	var winner []byte
	err := t.get(into(&winner), `SELECT item FROM channel_winners WHERE channel = ? AND epoch = ?`, c.number, int64(min(epoch, math.MaxInt64)))
	switch {
	case err == nil:
		item := storage.ItemID(winner)
		e.Winner = &item
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("look for winner: %w", err)
	}
	return e
}

// Post appends an item to every queue of a channel.
func (s *Store) Post(ctx context.Context, p storage.Post) (storage.Posted, error) {
	return s.change(ctx, func(t *tx) (storage.Posted, error) { return s.postIn(t, p) })
}

func (s *Store) postIn(t *tx, p storage.Post) (storage.Posted, error) {
	return t.post(p.Channel, p.Item, func(c channel) (storage.Posted, error) {
		if !c.accepts(p.Epoch) {
			return storage.Posted{}, t.stale(c, p.Epoch)
		}
		deliveries, err := t.recipients(c, p.Resolve, p.Seal)
		if err != nil {
			return storage.Posted{}, err
		}
		return t.appendItem(c, p.Item, deliveries, p.Now, s.limits)
	})
}

// change runs a post or a commit as a change of its own.
func (s *Store) change(ctx context.Context, run func(*tx) (storage.Posted, error)) (storage.Posted, error) {
	var posted storage.Posted
	err := s.writer.do(ctx, func(t *tx) (err error) {
		posted, err = run(t)
		return err
	})
	if err != nil {
		return storage.Posted{}, err
	}
	return posted, nil
}

// post runs what Post and Commit share: it finds the channel and answers a
// repeated item.
func (t *tx) post(id storage.ChannelID, item storage.ItemID, run func(channel) (storage.Posted, error)) (storage.Posted, error) {
	c, err := t.channel(id)
	if err != nil {
		return storage.Posted{}, err
	}
	seq, err := t.postedBefore(c.number, item)
	if err != nil {
		return storage.Posted{}, err
	}
	if seq != 0 {
		return storage.Posted{ChannelSeq: seq, Duplicate: true}, nil
	}
	return run(c)
}

// recipients makes one delivery for each queue of a channel, also where it has
// several addresses of one queue.
func (t *tx) recipients(c channel, resolve storage.ResolveFunc, seal storage.SealFunc) ([]delivery, error) {
	deliveries := make([]delivery, 0, c.addresses)
	seen := make(map[storage.QueueID]struct{}, c.addresses)
	var address sql.RawBytes
	err := t.each(func(rows *sql.Rows) error {
		if err := rows.Scan(&address); err != nil {
			return err
		}
		queue, ok := resolve(address)
		if !ok {
			return nil
		}
		if _, ok := seen[queue]; !ok {
			seen[queue] = struct{}{}
			deliveries = append(deliveries, delivery{queue: queue, seal: seal})
		}
		return nil
	}, `SELECT address FROM channel_addresses WHERE channel = ?`, c.number)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	return deliveries, nil
}

// appendItem gives an item its place in the channel and delivers it.
func (t *tx) appendItem(c channel, item storage.ItemID, deliveries []delivery, now time.Time, limits storage.Limits) (storage.Posted, error) {
	seq := c.lastSeq + 1
	day := storage.DayOf(now)
	if _, err := t.exec(`UPDATE channels SET last_seq = ? WHERE number = ?`, int64(seq), c.number); err != nil {
		return storage.Posted{}, fmt.Errorf("store channel: %w", err)
	}
	if day > c.activeDay { // apart, because it is indexed and seldom changes
		if _, err := t.exec(`UPDATE channels SET active_day = ? WHERE number = ?`, int64(day), c.number); err != nil {
			return storage.Posted{}, fmt.Errorf("store activity of channel: %w", err)
		}
	}
	_, err := t.exec(`INSERT INTO channel_items (channel, item, seq, day) VALUES (?, ?, ?, ?)`, c.number, item[:], int64(seq), int64(day))
	if err != nil {
		return storage.Posted{}, fmt.Errorf("store item id: %w", err)
	}
	appended, err := t.deliver(deliveries, seq, now, limits)
	if err != nil {
		return storage.Posted{}, err
	}
	return storage.Posted{ChannelSeq: seq, Appended: appended}, nil
}
