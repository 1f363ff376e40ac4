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

// PutRecovery replaces the bundle of an account.
func (s *Store) PutRecovery(ctx context.Context, bundle storage.Recovery) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, _, err := t.credentials(bundle.Account); err != nil {
			return err
		}
		return t.putRecovery(bundle)
	})
}

func (t *tx) putRecovery(r storage.Recovery) error {
	_, err := t.exec(`INSERT INTO recovery_bundles (account, verifier, sealed) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET verifier = excluded.verifier, sealed = excluded.sealed`,
		r.Account[:], blob(r.Verifier), blob(r.Sealed))
	if err != nil {
		return fmt.Errorf("store recovery bundle: %w", err)
	}
	return nil
}

const selectRecovery = `SELECT verifier, sealed FROM recovery_bundles WHERE account = ?`

// Recovery gives the bundle of an account.
func (s *Store) Recovery(ctx context.Context, account [16]byte) (storage.Recovery, error) {
	r := storage.Recovery{Account: account}
	if err := s.reader.get(ctx, into(&r.Verifier, &r.Sealed), selectRecovery, account[:]); err != nil {
		return storage.Recovery{}, orUnknown(err, storage.ErrNoRecovery)
	}
	return r, nil
}

// DeleteRecovery deletes the bundle of an account.
func (s *Store) DeleteRecovery(ctx context.Context, account [16]byte) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM recovery_bundles WHERE account = ?`, account[:]); err != nil {
			return fmt.Errorf("delete recovery bundle: %w", err)
		}
		return nil
	})
}

// RecoverAccount replaces the record, the sealed key and the bundle of an
// account.
func (s *Store) RecoverAccount(ctx context.Context, change storage.RecoveryChange) error {
	return s.writer.do(ctx, func(t *tx) error {
		account := change.Next.Account
		record, sealed, err := t.credentials(account)
		if err != nil {
			return err
		}
		var now storage.Recovery
		err = t.get(into(&now.Verifier, &now.Sealed), selectRecovery, account[:])
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return storage.ErrAccountChanged
		case err != nil:
			return fmt.Errorf("look for recovery bundle: %w", err)
		case bytes.Equal(record, change.Record) && bytes.Equal(sealed, change.SealedKey) &&
			bytes.Equal(now.Verifier, change.Next.Verifier) && bytes.Equal(now.Sealed, change.Next.Sealed):
			return nil
		case !bytes.Equal(now.Verifier, change.Before):
			return storage.ErrAccountChanged
		}
		if err := t.putCredentials(account, change.Record, change.SealedKey); err != nil {
			return err
		}
		return t.putRecovery(change.Next)
	})
}

// CountRecoveryTry counts a guess, unless there were too many on this day.
func (s *Store) CountRecoveryTry(ctx context.Context, subject storage.RecoverySubject, now time.Time) error {
	day := int64(storage.DayOf(now))
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO recovery_tries (subject, day, tries) VALUES (?1, ?2, 1)
			ON CONFLICT (subject) DO UPDATE SET day = ?2, tries = CASE WHEN day = ?2 THEN tries + 1 ELSE 1 END
			WHERE day <> ?2 OR tries < ?3`, subject[:], day, storage.RecoveryTries)
		switch {
		case err != nil:
			return fmt.Errorf("count a guess: %w", err)
		case n == 0:
			return storage.ErrTooManyTries
		}
		return nil
	})
}

// ForgiveRecoveryTry takes back a guess.
func (s *Store) ForgiveRecoveryTry(ctx context.Context, subject storage.RecoverySubject, now time.Time) error {
	return s.writer.do(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE recovery_tries SET tries = tries - 1 WHERE subject = ? AND day = ? AND tries > 0`, subject[:], int64(storage.DayOf(now)))
		if err != nil {
			return fmt.Errorf("take back a guess: %w", err)
		}
		return nil
	})
}
