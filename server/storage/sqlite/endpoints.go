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
		kept := e
		full, networkFull, err := t.endpointsFull(e.Network, s.limits)
		switch {
		case err != nil:
			return err
		case known && networkFull:
			copy(kept.Network[:], network) // it stays where it counted
		case !known && (full || networkFull):
			return storage.ErrEndpointsFull
		}
		_, err = t.exec(`INSERT INTO endpoints (pin, record, issued, expires, network) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (pin) DO UPDATE SET record = excluded.record, issued = excluded.issued, expires = excluded.expires, network = excluded.network`,
			e.Pin[:], blob(e.Record), int64(e.Issued), e.Expires.Unix(), kept.Network[:])
		if err != nil {
			return fmt.Errorf("store endpoint: %w", err)
		}
		if known {
			return nil
		}
		return t.countEndpoints(1)
	})
}

// endpointsFull looks whether the bounds are reached, of all and of a network.
func (t *tx) endpointsFull(network [16]byte, limits storage.Limits) (full, networkFull bool, err error) {
	var total int
	err = t.get(into(&total, &networkFull), `SELECT total, EXISTS (SELECT 1 FROM endpoints WHERE network = ? LIMIT 1 OFFSET ?)
		FROM endpoint_count WHERE one = 1`, network[:], limits.EndpointsPerNetwork-1)
	if err != nil {
		return false, false, fmt.Errorf("count endpoints: %w", err)
	}
	return total >= limits.Endpoints, networkFull, nil
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
