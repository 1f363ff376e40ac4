package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// CountTokens counts a batch against its quota.
func (s *Store) CountTokens(ctx context.Context, b storage.TokenBatch) error {
	return s.change(ctx, func(t *tx) error {
		var used int
		err := t.get(into(&used), `INSERT INTO token_quotas (quota, day, used, batch) VALUES ($1, $2, $3, $4)
			ON CONFLICT (quota) DO UPDATE SET batch = excluded.batch,
			used = token_quotas.used + CASE WHEN token_quotas.batch = excluded.batch THEN 0 ELSE excluded.used END RETURNING used`,
			b.Quota[:], int64(storage.DayOf(b.Now)), b.Count, b.Batch[:])
		if err != nil {
			return fmt.Errorf("count tokens: %w", err)
		}
		if used > b.Limit {
			return storage.ErrTokenQuota
		}
		return nil
	})
}

// DeliverSealed spends a token and appends an item to a queue. A try that may
// have been carried out is found again by its token.
func (s *Store) DeliverSealed(ctx context.Context, d storage.SealedDelivery) (storage.Posted, error) {
	var posted storage.Posted
	var panicked any
	err := s.change(ctx, func(t *tx) error {
		err := t.spendTokens([]storage.SpentToken{d.Token})
		if errors.Is(err, storage.ErrTokenSpent) {
			posted = storage.Posted{Duplicate: !t.uncertain, Appended: []storage.Appended{{Queue: d.Queue}}}
			return t.sameUse(d.Token)
		}
		if err != nil {
			return err
		}
		deliveries := []delivery{{queue: d.Queue, seal: d.Seal}}
		out := &dispatch{tx: t, limits: s.limits}
		if err := out.loadMailboxes([][]delivery{deliveries}); err != nil {
			return err
		}
		var o outcome
		o.protect(func() (err error) {
			posted.Duplicate = false
			posted.Appended, err = out.deliver(deliveries, 0, d.Now)
			return err
		})
		if panicked = o.panicked; panicked != nil {
			return errors.New("a caller's function panicked")
		}
		if o.err != nil {
			return o.err
		}
		var q pgx.Batch
		out.store(&q)
		return t.run(&q)
	})
	if panicked != nil {
		panic(panicked)
	}
	if err != nil {
		return storage.Posted{}, err
	}
	return posted, nil
}

// sameUse tells whether a spent token was spent for the same: ErrTokenSpent
// where not.
func (t *tx) sameUse(token storage.SpentToken) error {
	var use id32
	err := t.get(into(&use), `SELECT use FROM spent_tokens WHERE token = $1`, token.Token[:])
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && use != id32(token.Use):
		return storage.ErrTokenSpent
	case err != nil:
		return fmt.Errorf("look for token: %w", err)
	}
	return nil
}

// spendTokens notes tokens as spent, and waits for whoever spends one of them at
// the same time; in one order, so that no two wait for each other.
// ErrTokenSpent where one was spent before.
func (t *tx) spendTokens(tokens []storage.SpentToken) error {
	if len(tokens) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(tokens), func(a, b storage.SpentToken) int { return bytes.Compare(a.Token[:], b.Token[:]) })
	hashes, uses, due := make([][]byte, len(sorted)), make([][]byte, len(sorted)), make([]int64, len(sorted))
	for i := range sorted {
		hashes[i], uses[i], due[i] = sorted[i].Token[:], sorted[i].Use[:], int64(storage.DayOf(sorted[i].Due))
	}
	n, err := t.exec(`INSERT INTO spent_tokens (token, use, due) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
		ON CONFLICT (token) DO NOTHING`, hashes, uses, due)
	if err != nil {
		return fmt.Errorf("spend tokens: %w", err)
	}
	if n != len(sorted) {
		return storage.ErrTokenSpent
	}
	return nil
}
