package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"quicprochat/server/storage"
)

// CreateChannel creates a channel.
func (s *Store) CreateChannel(ctx context.Context, n storage.NewChannel) error {
	if n.Epoch > storage.MaxEpoch {
		return storage.ErrEpochRange
	}
	addresses := distinct(n.Addresses)
	digest := channelDigest(n.Epoch, n.VerifyKey, addresses)
	return s.writer.do(ctx, func(t *tx) error {
		var existing []byte
		err := t.get(into(&existing), `SELECT digest FROM channels WHERE id = ?`, n.ID[:])
		switch {
		case err == nil && bytes.Equal(existing, digest):
			return nil
		case err == nil:
			return storage.ErrChannelExists
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for channel: %w", err)
		case len(addresses) > s.limits.ChannelAddresses:
			return storage.ErrChannelFull
		}
		return t.insertChannel(n, addresses, digest)
	})
}

func (t *tx) insertChannel(n storage.NewChannel, addresses [][]byte, digest []byte) error {
	var number int64
	err := t.get(into(&number), `INSERT INTO channels (id, digest, epoch, open_from, addresses, active_day) VALUES (?, ?, ?, ?, ?, ?) RETURNING number`,
		n.ID[:], digest, int64(n.Epoch), int64(n.Epoch), len(addresses), int64(storage.DayOf(n.Now)))
	if err != nil {
		return fmt.Errorf("store channel: %w", err)
	}
	if err := t.insertChannelKey(number, n.Epoch, n.VerifyKey); err != nil {
		return err
	}
	_, err = t.insertAddresses(number, addresses)
	return err
}

// distinct sorts addresses and drops doubles.
func distinct(addresses [][]byte) [][]byte {
	return slices.CompactFunc(slices.SortedFunc(slices.Values(addresses), bytes.Compare), bytes.Equal)
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

func (t *tx) insertChannelKey(channel int64, epoch uint64, key []byte) error {
	if _, err := t.exec(`INSERT INTO channel_keys (channel, epoch, key) VALUES (?, ?, ?)`, channel, int64(epoch), blob(key)); err != nil {
		return fmt.Errorf("store verify key: %w", err)
	}
	return nil
}

// insertAddresses adds those that are not there yet and returns how many.
func (t *tx) insertAddresses(channel int64, addresses [][]byte) (int, error) {
	added := 0
	err := chunks(len(addresses), func(from, to int) error {
		args := make([]any, 0, 2*(to-from))
		for _, a := range addresses[from:to] {
			args = append(args, channel, blob(a))
		}
		n, err := t.exec(`INSERT INTO channel_addresses (channel, address) VALUES `+placeholders("(?,?)", to-from)+` ON CONFLICT DO NOTHING`, args...)
		added += n
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store addresses: %w", err)
	}
	return added, nil
}

// removeAddresses removes those that are there and returns how many.
func (t *tx) removeAddresses(channel int64, addresses [][]byte) (int, error) {
	removed := 0
	for _, a := range addresses {
		n, err := t.exec(`DELETE FROM channel_addresses WHERE channel = ? AND address = ?`, channel, blob(a))
		if err != nil {
			return 0, fmt.Errorf("remove address: %w", err)
		}
		removed += n
	}
	return removed, nil
}

// Channel gives the epoch of a channel and its verify keys.
func (s *Store) Channel(ctx context.Context, id storage.ChannelID) (storage.Channel, error) {
	var c storage.Channel
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		var k storage.EpochKey
		err := rows.Scan(&c.Epoch, &k.Epoch, &k.Key)
		c.Keys = append(c.Keys, k)
		return err
	}, `SELECT c.epoch, k.epoch, k.key FROM channels c JOIN channel_keys k ON k.channel = c.number WHERE c.id = ? ORDER BY k.epoch DESC`, id[:])
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
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		exists = true
		var a []byte
		err := rows.Scan(&a)
		if a != nil {
			addresses = append(addresses, a)
		}
		return err
	}, `SELECT a.address FROM channels c LEFT JOIN channel_addresses a ON a.channel = c.number WHERE c.id = ?`, id[:])
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
	err := s.reader.get(ctx, into(&winner),
		`SELECT w.item FROM channels c LEFT JOIN channel_winners w ON w.channel = c.number AND w.epoch = ? WHERE c.id = ?`,
		int64(min(epoch, math.MaxInt64)), id[:])
	if err != nil {
		return storage.ItemID{}, false, orUnknown(err, storage.ErrUnknownChannel)
	}
	if winner == nil {
		return storage.ItemID{}, false, nil
	}
	return storage.ItemID(winner), true, nil
}

// DeleteChannel deletes a channel in its current epoch.
func (s *Store) DeleteChannel(ctx context.Context, id storage.ChannelID, epoch uint64) error {
	return s.writer.do(ctx, func(t *tx) error {
		c, err := t.channel(id)
		if err != nil {
			return err
		}
		if epoch != c.epoch {
			return t.stale(c, epoch)
		}
		return t.deleteChannel(c.number)
	})
}

// deleteChannel deletes a channel; its keys, winners and addresses go with it.
func (t *tx) deleteChannel(number int64) error {
	if _, err := t.exec(`DELETE FROM channels WHERE number = ?`, number); err != nil {
		return fmt.Errorf("delete channel: %w", err)
	}
	return nil
}
