package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quicprochat/server/storage"
)

// PutEndpoint stores what a server says of itself.
func (s *Store) PutEndpoint(ctx context.Context, e storage.Endpoint) error {
	return s.writer.do(ctx, func(t *tx) error {
		var issued uint64
		var record, network []byte
		err := t.get(into(&issued, &record, &network), `SELECT issued, record, network FROM endpoints WHERE pin = ?`, e.Pin[:])
		known := err == nil
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for endpoint: %w", err)
		case known && bytes.Equal(record, e.Record):
			return nil
		case known && issued >= e.Issued:
			return storage.ErrEndpointStale
		}
		if err := t.roomForEndpoint(e, known, bytes.Equal(network, e.Network[:]), s.limits); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO endpoints (pin, record, issued, expires, network) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (pin) DO UPDATE SET record = excluded.record, issued = excluded.issued, expires = excluded.expires, network = excluded.network`,
			e.Pin[:], blob(e.Record), int64(e.Issued), e.Expires.Unix(), e.Network[:])
		if err != nil {
			return fmt.Errorf("store endpoint: %w", err)
		}
		if known {
			return nil
		}
		return t.countEndpoints(1)
	})
}

// roomForEndpoint checks the bounds. A record that takes another's place is
// one more for its network only where that is another.
func (t *tx) roomForEndpoint(e storage.Endpoint, known, sameNetwork bool, limits storage.Limits) error {
	var total int
	var networkFull bool
	err := t.get(into(&total, &networkFull), `SELECT total, EXISTS (SELECT 1 FROM endpoints WHERE network = ? LIMIT 1 OFFSET ?)
		FROM endpoint_count WHERE one = 1`, e.Network[:], limits.EndpointsPerNetwork-1)
	switch {
	case err != nil:
		return fmt.Errorf("count endpoints: %w", err)
	case !known && total >= limits.Endpoints, !(known && sameNetwork) && networkFull:
		return storage.ErrEndpointsFull
	}
	return nil
}

func (t *tx) countEndpoints(change int) error {
	if _, err := t.exec(`UPDATE endpoint_count SET total = total + ? WHERE one = 1`, change); err != nil {
		return fmt.Errorf("count endpoints: %w", err)
	}
	return nil
}

// Endpoint gives the record of a server.
func (s *Store) Endpoint(ctx context.Context, pin storage.EndpointPin, now time.Time) (record []byte, err error) {
	err = s.reader.get(ctx, into(&record), `SELECT record FROM endpoints WHERE pin = ? AND expires > ?`, pin[:], now.Unix())
	return record, orUnknown(err, storage.ErrUnknownEndpoint)
}

// expireEndpoints deletes what has expired.
func (t *tx) expireEndpoints(now time.Time, limit int) (int, error) {
	n, err := t.exec(`DELETE FROM endpoints WHERE pin IN (SELECT pin FROM endpoints WHERE expires <= ? LIMIT ?)`, now.Unix(), limit)
	if err != nil || n == 0 {
		return n, err
	}
	return n, t.countEndpoints(-n)
}
