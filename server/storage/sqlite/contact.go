package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// CountTokens counts a batch against its quota.
func (s *Store) CountTokens(ctx context.Context, b storage.TokenBatch) error {
	return s.writer.do(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO token_quotas (quota, day, used, batch) VALUES (?, ?, ?, ?)
			ON CONFLICT (quota) DO UPDATE SET batch = excluded.batch,
			used = token_quotas.used + CASE WHEN token_quotas.batch = excluded.batch THEN 0 ELSE excluded.used END`,
			b.Quota[:], int64(storage.DayOf(b.Now)), b.Count, b.Batch[:])
		if err != nil {
			return fmt.Errorf("count tokens: %w", err)
		}
		var used int
		if err := t.get(into(&used), `SELECT used FROM token_quotas WHERE quota = ?`, b.Quota[:]); err != nil {
			return fmt.Errorf("read quota of tokens: %w", err)
		}
		if used > b.Limit {
			return storage.ErrTokenQuota
		}
		return nil
	})
}

// DeliverSealed spends a token and appends an item to a queue.
func (s *Store) DeliverSealed(ctx context.Context, d storage.SealedDelivery) (storage.Posted, error) {
	var posted storage.Posted
	err := s.writer.do(ctx, func(t *tx) error {
		var use []byte
		err := t.get(into(&use), `SELECT use FROM spent_tokens WHERE token = ?`, d.Token.Token[:])
		switch {
		case err == nil && string(use) == string(d.Token.Use[:]):
			posted = storage.Posted{Duplicate: true, Appended: []storage.Appended{{Queue: d.Queue}}}
			return nil
		case err == nil:
			return storage.ErrTokenSpent
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for token: %w", err)
		}
		if err := t.spendTokens([]storage.SpentToken{d.Token}); err != nil {
			return err
		}
		appended, err := t.deliver([]delivery{{queue: d.Queue, seal: d.Seal}}, 0, d.Now, s.limits)
		posted = storage.Posted{Appended: appended}
		return err
	})
	if err != nil {
		return storage.Posted{}, err
	}
	return posted, nil
}

// spendTokens notes tokens as spent. ErrTokenSpent where one was before.
func (t *tx) spendTokens(tokens []storage.SpentToken) error {
	return chunks(len(tokens), func(from, to int) error {
		args := make([]any, 0, 3*(to-from))
		for i := range tokens[from:to] {
			token := &tokens[from+i]
			args = append(args, token.Token[:], token.Use[:], int64(storage.DayOf(token.Due)))
		}
		n, err := t.exec(`INSERT INTO spent_tokens (token, use, due) VALUES `+placeholders("(?,?,?)", to-from)+` ON CONFLICT (token) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("spend tokens: %w", err)
		}
		if n != to-from {
			return storage.ErrTokenSpent
		}
		return nil
	})
}
