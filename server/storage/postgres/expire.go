package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

const (
	// inviteMemory is how long an expired invite is known as one.
	inviteMemory = 30 * 24 * time.Hour
	// expireQueues bounds the queues of one transaction.
	expireQueues = 50
)

// Expire deletes what is out of time. Each table is a change of its own, so
// that others get their turn in between. What somebody else is at is passed
// over: another server may be doing the same.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	limit = max(limit, 1)
	itemCutoff := int64(storage.DayOf(now.Add(-s.limits.ItemTTL)))
	channelCutoff := int64(storage.DayOf(now.Add(-s.limits.ChannelTTL)))
	quotaCutoff := int64(storage.DayOf(now.Add(-24 * time.Hour)))
	reportCutoff := int64(storage.DayOf(now.Add(-s.limits.ReportTTL)))
	total := 0
	for _, step := range []func(*tx) (int, error){
		func(t *tx) (int, error) { return t.expireQueues(itemCutoff, limit) },
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM channel_items WHERE ctid = ANY(ARRAY(SELECT ctid FROM channel_items WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, itemCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM channels WHERE number = ANY(ARRAY(SELECT number FROM channels WHERE active_day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, channelCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM key_packages WHERE number = ANY(ARRAY(SELECT number FROM key_packages WHERE expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, now.Unix(), limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM invites WHERE hash = ANY(ARRAY(SELECT hash FROM invites WHERE expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, now.Add(-inviteMemory).Unix(), limit)
		},
		func(t *tx) (int, error) { return t.expireEndpoints(now, limit) },
		func(t *tx) (int, error) { return t.expireBlobs(uploading, now, limit) },
		func(t *tx) (int, error) { return t.expireBlobs(finished, now, limit) },
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM blob_quotas WHERE quota = ANY(ARRAY(SELECT quota FROM blob_quotas WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM recovery_tries WHERE subject = ANY(ARRAY(SELECT subject FROM recovery_tries WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM reports WHERE number = ANY(ARRAY(SELECT number FROM reports WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, reportCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM report_quotas WHERE quota = ANY(ARRAY(SELECT quota FROM report_quotas WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM bans WHERE account = ANY(ARRAY(SELECT account FROM bans WHERE until > 0 AND until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, now.Unix(), limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM token_quotas WHERE quota = ANY(ARRAY(SELECT quota FROM token_quotas WHERE day < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM spent_tokens WHERE token = ANY(ARRAY(SELECT token FROM spent_tokens WHERE due <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, now.Unix(), limit)
		},
	} {
		n := 0
		err := s.change(ctx, func(t *tx) (err error) {
			n, err = step(t)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("expire: %w", err)
		}
		total += n
	}
	return total, nil
}

// expiry is what is to be deleted of a queue.
type expiry struct {
	number int64
	upTo   int64 // seq; 0: nothing
	items  int64
	bytes  int64
	oldest *int64 // day of what stays; nil: nothing stays
}

// expireQueues deletes items from before a day, at most limit of them, from
// the front of a few queues, and notes how old the next ones are.
func (t *tx) expireQueues(cutoff int64, limit int) (work int, err error) {
	var queues []int64
	err = t.each(func(rows pgx.Rows) error {
		var number int64
		err := rows.Scan(&number)
		queues = append(queues, number)
		return err
	}, `SELECT number FROM queues WHERE oldest_day < $1 ORDER BY oldest_day LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`, cutoff, min(limit, expireQueues))
	if err != nil || len(queues) == 0 {
		return 0, err
	}
	found := make(map[int64]*expiry, len(queues))
	left := limit
	err = t.each(func(rows pgx.Rows) error {
		var number, seq, day, bytes int64
		if err := rows.Scan(&number, &seq, &day, &bytes); err != nil {
			return err
		}
		e := found[number]
		if e == nil {
			e = &expiry{number: number}
			found[number] = e
		}
		switch {
		case e.oldest != nil:
		case day < cutoff && left > 0:
			e.upTo, e.items, e.bytes = seq, e.items+1, e.bytes+bytes
			left--
		default:
			e.oldest = &day
		}
		return nil
	}, `SELECT i.queue, i.seq, i.day, i.bytes FROM unnest($1::bigint[]) WITH ORDINALITY AS q (number, place) CROSS JOIN LATERAL
		(SELECT queue, seq, day, coalesce(octet_length(sealed), 0)::bigint AS bytes FROM queue_items WHERE queue = q.number ORDER BY seq LIMIT $2) AS i
		ORDER BY q.place, i.seq`, queues, limit+1)
	if err != nil {
		return 0, err
	}
	for _, number := range queues {
		e := found[number]
		if e == nil {
			e = &expiry{number: number}
			found[number] = e
		}
		work += max(int(e.items), 1)
	}
	return work, t.deleteExpired(found)
}

func (t *tx) deleteExpired(all map[int64]*expiry) error {
	var numbers, upTo, items, bytes []int64
	var oldest []*int64
	for _, e := range all {
		numbers, upTo, items = append(numbers, e.number), append(upTo, e.upTo), append(items, e.items)
		bytes, oldest = append(bytes, e.bytes), append(oldest, e.oldest)
	}
	q := &pgx.Batch{}
	q.Queue(`DELETE FROM queue_items AS i USING unnest($1::bigint[], $2::bigint[]) AS n (queue, up_to)
		WHERE i.queue = n.queue AND i.seq <= n.up_to AND i.queue = ANY($1)`, numbers, upTo)
	// the overflow mark is the newest item: it is gone when nothing is left
	q.Queue(`UPDATE queues AS q SET items = q.items - n.items, bytes = q.bytes - n.bytes, overflowed = q.overflowed AND q.items > n.items, oldest_day = n.oldest_day
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (number, items, bytes, oldest_day)
		WHERE q.number = n.number AND q.number = ANY($1)`, numbers, items, bytes, oldest)
	return t.run(q)
}
