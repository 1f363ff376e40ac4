package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quicprochat/server/storage"
)

// CreateInvite stores an invite.
func (s *Store) CreateInvite(ctx context.Context, invite storage.Invite) error {
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO invites (hash, uses_left, expires, role) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			invite.Hash[:], invite.Uses, invite.Expires.Unix(), int(invite.Role))
		if err != nil {
			return fmt.Errorf("store invite: %w", err)
		}
		if n == 0 {
			return storage.ErrInviteExists
		}
		return nil
	})
}

// Invites lists invites that could be used at now.
func (s *Store) Invites(ctx context.Context, now time.Time, limit int) ([]storage.Invite, error) {
	var all []storage.Invite
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		var hash []byte
		var invite storage.Invite
		var expires int64
		if err := rows.Scan(&hash, &invite.Uses, &expires, &invite.Role); err != nil {
			return err
		}
		copy(invite.Hash[:], hash)
		invite.Expires = time.Unix(expires, 0).UTC()
		all = append(all, invite)
		return nil
	}, `SELECT hash, uses_left, expires, role FROM invites WHERE expires > ? AND uses_left > 0 ORDER BY expires LIMIT ?`, now.Unix(), limit)
	return all, err
}

// DeleteInvite deletes an invite.
func (s *Store) DeleteInvite(ctx context.Context, hash storage.InviteHash) error {
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.exec(`DELETE FROM invites WHERE hash = ?`, hash[:])
		if err != nil {
			return fmt.Errorf("delete invite: %w", err)
		}
		if n == 0 {
			return storage.ErrInviteUnknown
		}
		return nil
	})
}

const selectInvite = `SELECT uses_left, expires, role FROM invites WHERE hash = ?`

// CheckInvite tells whether an invite could be used at now.
func (s *Store) CheckInvite(ctx context.Context, hash storage.InviteHash, now time.Time) error {
	var usesLeft, expires, role int64
	if err := s.reader.get(ctx, into(&usesLeft, &expires, &role), selectInvite, hash[:]); err != nil {
		return orUnknown(err, storage.ErrInviteUnknown)
	}
	return checkInvite(usesLeft, expires, now)
}

// consumeInvite takes one use of an invite and gives its role.
func (t *tx) consumeInvite(hash storage.InviteHash, now time.Time) (role storage.Role, err error) {
	var usesLeft, expires int64
	if err := t.get(into(&usesLeft, &expires, &role), selectInvite, hash[:]); err != nil {
		return 0, orUnknown(err, storage.ErrInviteUnknown)
	}
	if err := checkInvite(usesLeft, expires, now); err != nil {
		return 0, err
	}
	if _, err := t.exec(`UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ?`, hash[:]); err != nil {
		return 0, fmt.Errorf("consume invite: %w", err)
	}
	return role, nil
}

func checkInvite(usesLeft, expires int64, now time.Time) error {
	switch {
	case now.Unix() >= expires:
		return storage.ErrInviteExpired
	case usesLeft <= 0:
		return storage.ErrInviteUsedUp
	}
	return nil
}
