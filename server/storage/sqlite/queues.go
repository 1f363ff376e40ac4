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

// maxSeq is the last seq that fits into a position.
const maxSeq = math.MaxUint32

// position is where an item of a queue is kept; see the schema.
func position(queue int64, seq uint64) int64 { return queue<<32 | int64(min(seq, maxSeq)) }

// positions are the first and the last that a queue can use.
func positions(queue int64) (first, last int64) {
	return position(queue, 0), position(queue, maxSeq)
}

func (s *Store) queueNumber(ctx context.Context, queue storage.QueueID) (number int64, err error) {
	err = s.reader.get(ctx, into(&number), `SELECT number FROM queues WHERE id = ?`, queue[:])
	return number, orUnknown(err, storage.ErrUnknownQueue)
}

var errEnough = errors.New("enough rows")

// FetchItems reads items after a seq.
func (s *Store) FetchItems(ctx context.Context, queue storage.QueueID, after uint64, limit, maxBytes int) (items []storage.Item, more bool, err error) {
	number, err := s.queueNumber(ctx, queue)
	if err != nil {
		return nil, false, err
	}
	bytes := 0
	_, last := positions(number)
	err = s.reader.each(ctx, func(rows *sql.Rows) error {
		var place, day int64
		var item storage.Item
		if err := rows.Scan(&place, &day, &item.Overflow, &item.Sealed); err != nil {
			return err
		}
		bytes += len(item.Sealed)
		if len(items) == limit || len(items) > 0 && bytes > maxBytes {
			more = true
			return errEnough
		}
		item.Seq = uint64(place & maxSeq)
		item.ReceivedAt = time.Unix(day, 0)
		items = append(items, item)
		return nil
	}, `SELECT position, day, sealed IS NULL, sealed FROM queue_items WHERE position > ? AND position <= ? ORDER BY position`,
		position(number, after), last)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, false, err
	}
	return items, more, nil
}

// LastSeq gives the newest seq that was assigned.
func (s *Store) LastSeq(ctx context.Context, queue storage.QueueID) (uint64, error) {
	var seq uint64
	err := s.reader.get(ctx, into(&seq), `SELECT last_seq FROM queues WHERE id = ?`, queue[:])
	return seq, orUnknown(err, storage.ErrUnknownQueue)
}

// Peek tells what waits in a queue.
func (s *Store) Peek(ctx context.Context, queue storage.QueueID) (storage.Waiting, error) {
	var w storage.Waiting
	var oldest sql.NullInt64
	err := s.reader.get(ctx, into(&w.LastSeq, &w.Items, &w.Bytes, &oldest), `SELECT last_seq, items, bytes,
		(SELECT day FROM queue_items WHERE position BETWEEN q.number << 32 AND q.number << 32 | ? ORDER BY position LIMIT 1)
		FROM queues q WHERE id = ?`, int64(maxSeq), queue[:])
	if err != nil {
		return storage.Waiting{}, orUnknown(err, storage.ErrUnknownQueue)
	}
	w.OldestDay, w.Acked = uint64(oldest.Int64), w.LastSeq-min(uint64(w.Items), w.LastSeq)
	return w, nil
}

// AckItems deletes every item up to and including a seq.
func (s *Store) AckItems(ctx context.Context, queue storage.QueueID, upTo uint64) error {
	return s.writer.do(ctx, func(t *tx) error {
		var number int64
		if err := t.get(into(&number), `SELECT number FROM queues WHERE id = ?`, queue[:]); err != nil {
			return orUnknown(err, storage.ErrUnknownQueue)
		}
		_, err := t.deleteItems(number, position(number, upTo))
		return err
	})
}

// deleteItems deletes the items of a queue up to and including a position.
// The queue's oldest day stays, as a bound that is no longer exact.
func (t *tx) deleteItems(queue, upTo int64) (int, error) {
	first, _ := positions(queue)
	var bytes int64
	err := t.get(into(&bytes), `SELECT coalesce(sum(length(sealed)), 0) FROM queue_items WHERE position BETWEEN ? AND ?`, first, upTo)
	if err != nil {
		return 0, fmt.Errorf("measure queue items: %w", err)
	}
	n, err := t.exec(`DELETE FROM queue_items WHERE position BETWEEN ? AND ?`, first, upTo)
	if err != nil {
		return 0, fmt.Errorf("delete queue items: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	// the overflow mark is the newest item: it is gone when nothing is left
	_, err = t.exec(`UPDATE queues SET items = items - ?1, bytes = bytes - ?2, overflowed = overflowed AND items > ?1 WHERE number = ?3`, n, bytes, queue)
	if err != nil {
		return 0, fmt.Errorf("count queue items: %w", err)
	}
	return n, nil
}
