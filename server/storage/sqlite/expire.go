package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quicprochat/server/storage"
)

// inviteMemory is how long an expired invite is known as one.
const inviteMemory = 30 * 24 * time.Hour

// Expire deletes what is out of time. Each table is a change of its own, so
// that others get their turn in between.
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
			return t.exec(`DELETE FROM channel_items WHERE (channel, item) IN (SELECT channel, item FROM channel_items WHERE day < ? LIMIT ?)`, itemCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM channels WHERE number IN (SELECT number FROM channels WHERE active_day < ? LIMIT ?)`, channelCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM key_packages WHERE number IN (SELECT number FROM key_packages WHERE expires <= ? LIMIT ?)`, now.Unix(), limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM invites WHERE hash IN (SELECT hash FROM invites WHERE expires <= ? LIMIT ?)`, now.Add(-inviteMemory).Unix(), limit)
		},
		func(t *tx) (int, error) { return t.expireEndpoints(now, limit) },
		func(t *tx) (int, error) { return t.expireBlobs(uploading, now, limit) },
		func(t *tx) (int, error) { return t.expireBlobs(finished, now, limit) },
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM blob_quotas WHERE quota IN (SELECT quota FROM blob_quotas WHERE day < ? LIMIT ?)`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM recovery_tries WHERE subject IN (SELECT subject FROM recovery_tries WHERE day < ? LIMIT ?)`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM reports WHERE number IN (SELECT number FROM reports WHERE day < ? LIMIT ?)`, reportCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM report_quotas WHERE quota IN (SELECT quota FROM report_quotas WHERE day < ? LIMIT ?)`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM bans WHERE account IN (SELECT account FROM bans WHERE until > 0 AND until <= ? LIMIT ?)`, now.Unix(), limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM token_quotas WHERE quota IN (SELECT quota FROM token_quotas WHERE day < ? LIMIT ?)`, quotaCutoff, limit)
		},
		func(t *tx) (int, error) {
			return t.exec(`DELETE FROM spent_tokens WHERE token IN (SELECT token FROM spent_tokens WHERE due <= ? LIMIT ?)`, now.Unix(), limit)
		},
	} {
		n := 0
		err := s.writer.do(ctx, func(t *tx) (err error) {
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

// expireQueues deletes items from before a day, at most limit of them, from at
// most limit queues.
func (t *tx) expireQueues(cutoff int64, limit int) (int, error) {
	var queues []int64
	err := t.each(func(rows *sql.Rows) error {
		var number int64
		err := rows.Scan(&number)
		queues = append(queues, number)
		return err
	}, `SELECT number FROM queues WHERE oldest_day < ? ORDER BY oldest_day LIMIT ?`, cutoff, limit)
	if err != nil {
		return 0, err
	}
	work := 0
	for _, number := range queues {
		deleted, err := t.expireQueue(number, cutoff, limit-work)
		if err != nil {
			return 0, err
		}
		if work += max(deleted, 1); work >= limit {
			break
		}
	}
	return work, nil
}

// expireQueue deletes from the front of a queue, at most limit items, and
// notes how old the next one is.
func (t *tx) expireQueue(number, cutoff int64, limit int) (int, error) {
	first, last := positions(number)
	upTo, oldest := int64(-1), sql.NullInt64{}
	seen := 0
	err := t.each(func(rows *sql.Rows) error {
		var place, day int64
		if err := rows.Scan(&place, &day); err != nil {
			return err
		}
		switch {
		case oldest.Valid:
		case day < cutoff && seen < limit:
			upTo = place
			seen++
		default:
			oldest = sql.NullInt64{Int64: day, Valid: true}
		}
		return nil
	}, `SELECT position, day FROM queue_items WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?`, first, last, limit+1)
	if err != nil {
		return 0, err
	}
	deleted := 0
	if upTo >= 0 {
		if deleted, err = t.deleteItems(number, upTo); err != nil {
			return 0, err
		}
	}
	_, err = t.exec(`UPDATE queues SET oldest_day = ? WHERE number = ?`, oldest, number)
	return deleted, err
}
