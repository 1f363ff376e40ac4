package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// NameDeleted tells whether an account with this name was deleted.
func (s *Store) NameDeleted(ctx context.Context, name storage.NameHash) (bool, error) {
	var deleted bool
	err := s.reader.get(ctx, into(&deleted), `SELECT EXISTS (SELECT 1 FROM deleted_names WHERE hash = ?)`, name[:])
	return deleted, err
}

// ChangePassword replaces the record and the sealed key of an account.
func (s *Store) ChangePassword(ctx context.Context, change storage.PasswordChange) error {
	return s.writer.do(ctx, func(t *tx) error {
		record, sealed, err := t.credentials(change.Account)
		switch {
		case err != nil:
			return err
		case bytes.Equal(record, change.Record) && bytes.Equal(sealed, change.SealedKey):
			return nil
		case !bytes.Equal(record, change.Before):
			return storage.ErrAccountChanged
		}
		return t.putCredentials(change.Account, change.Record, change.SealedKey)
	})
}

// credentials reads what the password of an account opens.
func (t *tx) credentials(account [16]byte) (record, sealed []byte, err error) {
	err = t.get(into(&record, &sealed), `SELECT record, sealed_key FROM accounts WHERE id = ?`, account[:])
	return record, sealed, orUnknown(err, storage.ErrUnknownAccount)
}

func (t *tx) putCredentials(account [16]byte, record, sealed []byte) error {
	if _, err := t.exec(`UPDATE accounts SET record = ?, sealed_key = ? WHERE id = ?`, blob(record), blob(sealed), account[:]); err != nil {
		return fmt.Errorf("change the password: %w", err)
	}
	return nil
}

// DeleteAccount deletes an account and all that names it. Each device, which may
// have a long queue, is a change of its own, so that others get their turn in
// between.
func (s *Store) DeleteAccount(ctx context.Context, id [16]byte, name storage.NameHash) error {
	if err := s.resign(ctx, id); err != nil {
		return err
	}
	devices, err := s.Devices(ctx, id)
	if err != nil {
		return err
	}
	for _, d := range devices {
		err := s.writer.do(ctx, func(t *tx) error {
			var number int64
			err := t.get(into(&number), selectNumber, d.ID[:], id[:])
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("look for device: %w", err)
			}
			return t.deleteDevice(number)
		})
		if err != nil {
			return err
		}
	}
	return s.writer.do(ctx, func(t *tx) error {
		var found int
		err := t.get(into(&found), `SELECT 1 FROM accounts WHERE id = ?`, id[:])
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for account: %w", err)
		}
		return t.deleteAccount(id, name)
	})
}

// MayDeleteAccount tells whether an account can be deleted.
func (s *Store) MayDeleteAccount(ctx context.Context, id [16]byte) error {
	var last bool
	err := s.reader.get(ctx, into(&last), selectLastAdmin, id[:])
	return lastAdmin(last, err)
}

// resign takes an account's role away, unless it is the last admin. From then on
// its deletion leaves others without an admin no more, whatever becomes of them.
func (s *Store) resign(ctx context.Context, id [16]byte) error {
	return s.writer.do(ctx, func(t *tx) error {
		var last bool
		err := t.get(into(&last), selectLastAdmin, id[:])
		if err := lastAdmin(last, err); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE accounts SET role = 0 WHERE id = ?`, id[:]); err != nil {
			return fmt.Errorf("take the role away: %w", err)
		}
		return nil
	})
}

// selectLastAdmin tells whether an account is the only admin of others. The
// comparisons in both directions, and role <> 0, name the indexes.
const selectLastAdmin = `SELECT a.role = 1
		AND NOT EXISTS (SELECT 1 FROM accounts o WHERE o.role <> 0 AND o.role = 1 AND o.id <> a.id AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.account = o.id))
		AND (EXISTS (SELECT 1 FROM accounts o WHERE o.id < a.id) OR EXISTS (SELECT 1 FROM accounts o WHERE o.id > a.id))
	FROM accounts a WHERE a.id = ?`

// lastAdmin reads what selectLastAdmin tells.
func lastAdmin(last bool, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for admins: %w", err)
	case last:
		return storage.ErrLastAdmin
	}
	return nil
}

// deleteAccount deletes what is left of an account.
func (t *tx) deleteAccount(id [16]byte, name storage.NameHash) error {
	var devices []int64
	err := t.each(func(rows *sql.Rows) error {
		var number int64
		err := rows.Scan(&number)
		devices = append(devices, number)
		return err
	}, `SELECT number FROM devices WHERE account = ?`, id[:])
	if err != nil {
		return fmt.Errorf("look for devices: %w", err)
	}
	for _, number := range devices {
		if err := t.deleteDevice(number); err != nil {
			return err
		}
	}
	// the rest goes with the account
	for _, step := range []struct {
		query string
		arg   []byte
	}{
		{`DELETE FROM revoked_devices WHERE account = ?`, id[:]},
		{`DELETE FROM accounts WHERE id = ?`, id[:]},
		{`INSERT INTO deleted_names (hash) VALUES (?) ON CONFLICT DO NOTHING`, name[:]},
	} {
		if _, err := t.exec(step.query, step.arg); err != nil {
			return fmt.Errorf("delete account: %w", err)
		}
	}
	return nil
}

// PutVault stores the next version of a vault.
func (s *Store) PutVault(ctx context.Context, vault storage.Vault) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, _, err := t.credentials(vault.Account); err != nil {
			return err
		}
		var version int64
		var sealed []byte
		err := t.get(into(&version, &sealed), `SELECT version, sealed FROM account_vaults WHERE account = ?`, vault.Account[:])
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for vault: %w", err)
		}
		switch current := uint64(version); {
		case current == vault.Version && bytes.Equal(sealed, vault.Sealed):
			return nil
		case current+1 != vault.Version || vault.Version > storage.MaxVaultVersion:
			return &storage.VaultConflictError{Current: current}
		}
		_, err = t.exec(`INSERT INTO account_vaults (account, version, sealed) VALUES (?, ?, ?)
			ON CONFLICT (account) DO UPDATE SET version = excluded.version, sealed = excluded.sealed`,
			vault.Account[:], int64(vault.Version), blob(vault.Sealed))
		if err != nil {
			return fmt.Errorf("store vault: %w", err)
		}
		return nil
	})
}

// Vault gives the vault of an account.
func (s *Store) Vault(ctx context.Context, account [16]byte) (storage.Vault, error) {
	v := storage.Vault{Account: account}
	err := s.reader.get(ctx, into(&v.Version, &v.Sealed), `SELECT version, sealed FROM account_vaults WHERE account = ?`, account[:])
	if errors.Is(err, sql.ErrNoRows) {
		return storage.Vault{}, nil
	}
	return v, err
}
