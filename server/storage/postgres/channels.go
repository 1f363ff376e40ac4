package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// CreateChannel creates a channel.
func (s *Store) CreateChannel(ctx context.Context, n storage.NewChannel) error {
	if n.Epoch > storage.MaxEpoch {
		return storage.ErrEpochRange
	}
	addresses := distinct(n.Addresses)
	digest := channelDigest(n.Epoch, n.VerifyKey, addresses)
	return s.change(ctx, func(t *tx) error {
		var number int64
		err := t.get(into(&number), `INSERT INTO channels (id, digest, epoch, open_from, active_day) VALUES ($1, $2, $3, $3, $4)
			ON CONFLICT (id) DO NOTHING RETURNING number`, n.ID[:], digest, int64(n.Epoch), int64(storage.DayOf(n.Now)))
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return t.sameChannel(n.ID, digest)
		case err != nil:
			return fmt.Errorf("store channel: %w", err)
		case len(addresses) > s.limits.ChannelAddresses:
			return storage.ErrChannelFull
		}
		q := &pgx.Batch{}
		queueChannelKey(q, number, n.Epoch, n.VerifyKey)
		queueAddresses(q, number, addresses)
		if err := t.run(q); err != nil {
			return fmt.Errorf("store channel: %w", err)
		}
		return nil
	})
}

// sameChannel gives nil where a channel was created by the same request.
func (t *tx) sameChannel(id storage.ChannelID, digest []byte) error {
	var existing []byte
	if err := t.get(into(&existing), `SELECT digest FROM channels WHERE id = $1`, id[:]); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("look for channel: %w", err)
	}
	if !bytes.Equal(existing, digest) {
		return storage.ErrChannelExists
	}
	return nil
}

// distinct sorts byte strings and drops doubles.
func distinct(all [][]byte) [][]byte {
	return slices.CompactFunc(slices.SortedFunc(slices.Values(all), bytes.Compare), bytes.Equal)
}

// channelDigest tells requests to create a channel apart.
func channelDigest(epoch uint64, key []byte, addresses [][]byte) []byte {
	h := sha256.New()
	var length [8]byte
	field := func(b []byte) {
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	field(binary.BigEndian.AppendUint64(nil, epoch))
	field(key)
	for _, a := range addresses {
		field(a)
	}
	return h.Sum(nil)
}

// Channel gives the epoch of a channel and its verify keys.
func (s *Store) Channel(ctx context.Context, id storage.ChannelID) (storage.Channel, error) {
	var c storage.Channel
	err := s.each(ctx, func() { c = storage.Channel{} }, func(rows pgx.Rows) error {
		var k storage.EpochKey
		err := rows.Scan(&c.Epoch, &k.Epoch, &k.Key)
		c.Keys = append(c.Keys, k)
		return err
	}, `SELECT c.epoch, k.epoch, k.key FROM channels c CROSS JOIN LATERAL
		(SELECT epoch, key FROM channel_keys WHERE channel = c.number ORDER BY epoch DESC LIMIT $2) AS k
		WHERE c.id = $1 ORDER BY k.epoch DESC`, id[:], storage.PastEpochs+1)
	if err != nil {
		return storage.Channel{}, err
	}
	if len(c.Keys) == 0 {
		return storage.Channel{}, storage.ErrUnknownChannel
	}
	return c, nil
}

// ChannelAddresses lists the addresses of a channel.
func (s *Store) ChannelAddresses(ctx context.Context, id storage.ChannelID) ([][]byte, error) {
	var addresses [][]byte
	exists := false
	err := s.each(ctx, func() { addresses, exists = nil, false }, func(rows pgx.Rows) error {
		exists = true
		var a []byte
		err := rows.Scan(&a)
		if a != nil {
			addresses = append(addresses, a)
		}
		return err
	}, `SELECT NULL::bytea FROM channels WHERE id = $1
		UNION ALL SELECT address FROM channel_addresses WHERE channel = (SELECT number FROM channels WHERE id = $1)`, id[:])
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, storage.ErrUnknownChannel
	}
	return addresses, nil
}

// Winner gives the item id of the commit that ended an epoch.
func (s *Store) Winner(ctx context.Context, id storage.ChannelID, epoch uint64) (storage.ItemID, bool, error) {
	var winner []byte
	err := s.get(ctx, into(&winner),
		`SELECT (SELECT item FROM channel_winners WHERE channel = c.number AND epoch = $2) FROM channels c WHERE c.id = $1`,
		id[:], int64(min(epoch, math.MaxInt64)))
	if err != nil {
		return storage.ItemID{}, false, orUnknown(err, storage.ErrUnknownChannel)
	}
	if winner == nil {
		return storage.ItemID{}, false, nil
	}
	return storage.ItemID(winner), true, nil
}

// DeleteChannel deletes a channel in its current epoch; its keys, winners and
// addresses go with it.
func (s *Store) DeleteChannel(ctx context.Context, id storage.ChannelID, epoch uint64) error {
	return s.change(ctx, func(t *tx) error {
		var number int64
		var current uint64
		err := t.get(into(&number, &current), `SELECT number, epoch FROM channels WHERE id = $1 FOR UPDATE`, id[:])
		if t.uncertain && errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return orUnknown(err, storage.ErrUnknownChannel)
		}
		if epoch != current {
			stale, fatal := t.stale(number, current, epoch)
			return errors.Join(stale, fatal)
		}
		if _, err := t.exec(`DELETE FROM channels WHERE number = $1`, number); err != nil {
			return fmt.Errorf("delete channel: %w", err)
		}
		return nil
	})
}
