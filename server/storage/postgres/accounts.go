package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// CreateAccount creates an account with its first device.
func (s *Store) CreateAccount(ctx context.Context, account storage.NewAccount) (storage.Device, error) {
	var device storage.Device
	err := s.change(ctx, func(t *tx) error {
		var made bool
		var err error
		if t.uncertain {
			if device, made, err = t.accountMade(account); made || err != nil {
				return err
			}
		}
		if account.Invite != nil {
			if account.Role, err = t.consumeInvite(*account.Invite, account.Now); err != nil {
				return err
			}
		}
		if err := t.insertAccount(account); err != nil {
			return err
		}
		device, err = t.addDevice(storage.NewDevice{
			ID:          account.DeviceID,
			Account:     account.ID,
			Certificate: account.DeviceCertificate,
			Now:         account.Now,
		}, s.limits.Devices)
		return err
	})
	if err != nil {
		return storage.Device{}, err
	}
	return device, nil
}

// accountMade finds an account that an earlier try may have created.
func (t *tx) accountMade(a storage.NewAccount) (device storage.Device, made bool, err error) {
	device, err = scanDevice(func(dest ...any) error {
		return t.get(dest, selectDevice+`d.id = $1 AND d.account = $2`, a.DeviceID[:], a.ID[:])
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return device, false, nil
	}
	if err != nil {
		return device, false, fmt.Errorf("look for account: %w", err)
	}
	var record []byte
	if err := t.get(into(&record), `SELECT record FROM accounts WHERE id = $1`, a.ID[:]); err != nil {
		return device, false, fmt.Errorf("look for account: %w", err)
	}
	return device, bytes.Equal(record, a.Record), nil
}

func (t *tx) insertAccount(a storage.NewAccount) error {
	n, err := t.exec(`INSERT INTO accounts (id, name, record, public_key, sealed_key, role, created_day) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		a.ID[:], a.Name, blob(a.Record), blob(a.PublicKey), blob(a.SealedKey), int16(a.Role), int64(storage.DayOf(a.Now)))
	if err != nil {
		return fmt.Errorf("store account: %w", err)
	}
	if n == 1 {
		// After the insertion, which waits for a deletion that is under way.
		deleted, err := t.nameDeleted(a.NameHash)
		switch {
		case err != nil:
			return err
		case deleted:
			return storage.ErrNameTaken
		}
		return nil
	}
	var idTaken bool
	if err := t.get(into(&idTaken), `SELECT EXISTS (SELECT 1 FROM accounts WHERE id = $1)`, a.ID[:]); err != nil {
		return fmt.Errorf("look for account: %w", err)
	}
	if idTaken {
		return storage.ErrAccountExists
	}
	return storage.ErrNameTaken
}

const (
	banColumns    = `coalesce(b.number, 0), coalesce(b.day, 0), coalesce(b.until, 0), b.reason`
	selectAccount = `SELECT a.id, a.name, a.record, a.public_key, a.sealed_key, a.role, a.created_day, ` + banColumns + `
		FROM accounts a LEFT JOIN bans b ON b.account = a.id WHERE `
)

// AccountByName finds an account by its exact name.
func (s *Store) AccountByName(ctx context.Context, name string) (storage.Account, error) {
	return s.account(ctx, selectAccount+`a.name = $1`, name)
}

// Account finds an account by its id.
func (s *Store) Account(ctx context.Context, id [16]byte) (storage.Account, error) {
	return s.account(ctx, selectAccount+`a.id = $1`, id[:])
}

func (s *Store) account(ctx context.Context, query string, arg any) (storage.Account, error) {
	a, err := scanAccount(func(dest ...any) error { return s.get(ctx, dest, query, arg) })
	if err != nil {
		return storage.Account{}, orUnknown(err, storage.ErrUnknownAccount)
	}
	return a, nil
}

func scanAccount(scan func(dest ...any) error) (storage.Account, error) {
	var a storage.Account
	var b storage.Ban
	var until int64
	err := scan((*id16)(&a.ID), &a.Name, &a.Record, &a.PublicKey, &a.SealedKey, &a.Role, &a.CreatedDay, &b.Number, &b.Day, &until, &b.Reason)
	if err != nil {
		return storage.Account{}, err
	}
	if b.Number > 0 {
		b.Account, b.Until = a.ID, seconds(until)
		a.Ban = &b
	}
	return a, nil
}

// Accounts lists accounts by name.
func (s *Store) Accounts(ctx context.Context, after string, limit int) ([]storage.Account, error) {
	var list []storage.Account
	err := s.each(ctx, func() { list = nil }, func(rows pgx.Rows) error {
		a, err := scanAccount(rows.Scan)
		list = append(list, a)
		return err
	}, `SELECT a.id, a.name, NULL::bytea, a.public_key, NULL::bytea, a.role, a.created_day, `+banColumns+`
		FROM accounts a LEFT JOIN bans b ON b.account = a.id WHERE a.name > $1 ORDER BY a.name LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// lockAccount makes changes to the devices of an account take turns.
func (t *tx) lockAccount(id [16]byte) error {
	var found int
	err := t.get(into(&found), `SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE`, id[:])
	return orUnknown(err, storage.ErrUnknownAccount)
}
