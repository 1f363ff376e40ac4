package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// position is a seq as the database has it.
func position(seq uint64) int64 { return int64(min(seq, math.MaxInt64)) }

// FetchItems reads items after a seq. Sealed bytes that are too many do not
// leave the database.
func (s *Store) FetchItems(ctx context.Context, queue storage.QueueID, after uint64, limit, maxBytes int) (items []storage.Item, more bool, err error) {
	exists := false
	err = s.each(ctx, func() { items, more, exists = nil, false, false }, func(rows pgx.Rows) error {
		exists = true
		var seq, day *int64
		var overflow, fits bool
		var item storage.Item
		if err := rows.Scan(&seq, &day, &overflow, &fits, &item.Sealed); err != nil {
			return err
		}
		if seq == nil || more {
			return nil
		}
		if len(items) == limit || !fits {
			more = true
			return nil
		}
		item.Seq, item.ReceivedAt, item.Overflow = uint64(*seq), time.Unix(*day, 0), overflow
		items = append(items, item)
		return nil
	}, `SELECT i.seq, i.day, i.sealed IS NULL, coalesce(i.fits, false), CASE WHEN i.fits THEN i.sealed END
		FROM queues q LEFT JOIN LATERAL (
			SELECT seq, day, sealed, row_number() OVER upto = 1 OR coalesce(sum(octet_length(sealed)) OVER upto, 0) <= $4 AS fits
			FROM (SELECT seq, day, sealed FROM queue_items WHERE queue = q.number AND seq > $2 ORDER BY seq LIMIT $3) AS next
			WINDOW upto AS (ORDER BY seq ROWS UNBOUNDED PRECEDING)
		) AS i ON true WHERE q.id = $1 ORDER BY i.seq`, queue[:], position(after), int64(limit)+1, int64(maxBytes))
	if err != nil {
		return nil, false, err
	}
	if !exists {
		return nil, false, storage.ErrUnknownQueue
	}
	return items, more, nil
}

// LastSeq gives the newest seq that was assigned.
func (s *Store) LastSeq(ctx context.Context, queue storage.QueueID) (uint64, error) {
	var seq uint64
	err := s.get(ctx, into(&seq), `SELECT last_seq FROM queues WHERE id = $1`, queue[:])
	return seq, orUnknown(err, storage.ErrUnknownQueue)
}

// Peek tells what waits in a queue.
func (s *Store) Peek(ctx context.Context, queue storage.QueueID) (storage.Waiting, error) {
	var w storage.Waiting
	var oldest *int64
	err := s.get(ctx, into(&w.LastSeq, &w.Items, &w.Bytes, &oldest), `SELECT last_seq, items, bytes,
		(SELECT day FROM queue_items WHERE queue = q.number ORDER BY seq LIMIT 1) FROM queues q WHERE id = $1`, queue[:])
	if err != nil {
		return storage.Waiting{}, orUnknown(err, storage.ErrUnknownQueue)
	}
	if oldest != nil {
		w.OldestDay = uint64(*oldest)
	}
	w.Acked = w.LastSeq - min(uint64(w.Items), w.LastSeq)
	return w, nil
}

// AckItems deletes every item up to and including a seq, in one round trip:
// statements that are sent together are one transaction.
func (s *Store) AckItems(ctx context.Context, queue storage.QueueID, upTo uint64) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, time.Now().Add(patience), func(uncertain bool) error {
		return s.try(ctx, uncertain, func(t *tx) error {
			var number int64
			q := &pgx.Batch{}
			q.Queue(`SELECT number FROM queues WHERE id = $1 FOR NO KEY UPDATE`, queue[:]).QueryRow(func(row pgx.Row) error { return row.Scan(&number) })
			// the overflow mark is the newest item: it is gone when nothing is left
			q.Queue(`WITH gone AS (
				DELETE FROM queue_items WHERE queue = (SELECT number FROM queues WHERE id = $1) AND seq <= $2 RETURNING octet_length(sealed) AS bytes
			), sum AS (SELECT count(*) AS items, coalesce(sum(bytes), 0) AS bytes FROM gone)
			UPDATE queues AS q SET items = q.items - sum.items, bytes = q.bytes - sum.bytes, overflowed = q.overflowed AND q.items > sum.items
			FROM sum WHERE q.id = $1 AND sum.items > 0`, queue[:], position(upTo))
			switch err := t.run(q); {
			case errors.Is(err, pgx.ErrNoRows):
				return storage.ErrUnknownQueue
			case err != nil:
				return fmt.Errorf("delete queue items: %w", commitError(err))
			}
			return nil
		})
	})
}
