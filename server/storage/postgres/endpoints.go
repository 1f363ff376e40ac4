package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// PutEndpoint stores what a server says of itself. The row with the count
// makes such calls take turns; they are rare.
func (s *Store) PutEndpoint(ctx context.Context, e storage.Endpoint) error {
	return s.change(ctx, func(t *tx) error {
		var total, ofNetwork int
		if err := t.get(into(&total), `SELECT total FROM endpoint_count WHERE one = 1 FOR UPDATE`); err != nil {
			return fmt.Errorf("count endpoints: %w", err)
		}
		var issued uint64
		var record, network []byte
		err := t.get(into(&issued, &record, &network), `SELECT issued, record, network FROM endpoints WHERE pin = $1`, e.Pin[:])
		known := err == nil
		switch {
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("look for endpoint: %w", err)
		case known && bytes.Equal(record, e.Record):
			return nil
		case known && issued >= e.Issued:
			return storage.ErrEndpointStale
		}
		err = t.get(into(&ofNetwork), `SELECT count(*) FROM (SELECT 1 FROM endpoints WHERE network = $1 LIMIT $2) AS a`,
			e.Network[:], s.limits.EndpointsPerNetwork)
		kept := e
		switch networkFull := ofNetwork >= s.limits.EndpointsPerNetwork; {
		case err != nil:
			return fmt.Errorf("count endpoints of a network: %w", err)
		case known && networkFull:
			copy(kept.Network[:], network) // it stays where it counted
		case !known && (total >= s.limits.Endpoints || networkFull):
			return storage.ErrEndpointsFull
		}
		return t.storeEndpoint(kept, known)
	})
}

func (t *tx) storeEndpoint(e storage.Endpoint, known bool) error {
	q := &pgx.Batch{}
	q.Queue(`INSERT INTO endpoints (pin, record, issued, expires, network) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (pin) DO UPDATE SET record = excluded.record, issued = excluded.issued, expires = excluded.expires, network = excluded.network`,
		e.Pin[:], blob(e.Record), int64(e.Issued), e.Expires.Unix(), e.Network[:])
	if !known {
		q.Queue(countEndpoints, 1)
	}
	if err := t.run(q); err != nil {
		return fmt.Errorf("store endpoint: %w", err)
	}
	return nil
}

const countEndpoints = `UPDATE endpoint_count SET total = total + $1 WHERE one = 1`

// Endpoint gives the record of a server.
func (s *Store) Endpoint(ctx context.Context, pin storage.EndpointPin, now time.Time) (record []byte, err error) {
	err = s.get(ctx, into(&record), `SELECT record FROM endpoints WHERE pin = $1 AND expires > $2`, pin[:], now.Unix())
	return record, orUnknown(err, storage.ErrUnknownEndpoint)
}

// expireEndpoints deletes what has expired. It locks the count first, as
// PutEndpoint does.
func (t *tx) expireEndpoints(now time.Time, limit int) (int, error) {
	var found bool
	if err := t.get(into(&found), `SELECT EXISTS (SELECT 1 FROM endpoints WHERE expires <= $1)`, now.Unix()); err != nil || !found {
		return 0, err
	}
	var total int
	if err := t.get(into(&total), `SELECT total FROM endpoint_count WHERE one = 1 FOR UPDATE`); err != nil {
		return 0, err
	}
	n, err := t.exec(`DELETE FROM endpoints WHERE pin = ANY(ARRAY(SELECT pin FROM endpoints WHERE expires <= $1 LIMIT $2))`, now.Unix(), limit)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(countEndpoints, -n)
	return n, err
}
