package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"quicprochat/server/storage"
)

// CreateAccount creates an account with its first device.
func (s *Store) CreateAccount(ctx context.Context, account storage.NewAccount) (storage.Device, error) {
	var device storage.Device
	err := s.writer.do(ctx, func(t *tx) error {
		if account.Invite != nil {
			role, err := t.consumeInvite(*account.Invite, account.Now)
			if err != nil {
				return err
			}
			account.Role = role
		}
		if err := t.insertAccount(account); err != nil {
			return err
		}
		var err error
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

func (t *tx) insertAccount(a storage.NewAccount) error {
	var nameTaken, idTaken bool
	err := t.get(into(&nameTaken, &idTaken),
		`SELECT EXISTS (SELECT 1 FROM accounts WHERE name = ?) OR EXISTS (SELECT 1 FROM deleted_names WHERE hash = ?),
			EXISTS (SELECT 1 FROM accounts WHERE id = ?)`, a.Name, a.NameHash[:], a.ID[:])
	switch {
	case err != nil:
		return fmt.Errorf("look for account: %w", err)
	case idTaken:
		return storage.ErrAccountExists
	case nameTaken:
		return storage.ErrNameTaken
	}
	_, err = t.exec(`INSERT INTO accounts (id, name, record, public_key, sealed_key, role, created_day) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		a.ID[:], a.Name, blob(a.Record), blob(a.PublicKey), blob(a.SealedKey), int(a.Role), int64(storage.DayOf(a.Now)))
	if err != nil {
		return fmt.Errorf("store account: %w", err)
	}
	return nil
}

const (
	banColumns    = `coalesce(b.number, 0), coalesce(b.day, 0), coalesce(b.until, 0), b.reason`
	selectAccount = `SELECT a.id, a.name, a.record, a.public_key, a.sealed_key, a.role, a.created_day, ` + banColumns + `
		FROM accounts a LEFT JOIN bans b ON b.account = a.id WHERE `
)

// AccountByName finds an account by its exact name.
func (s *Store) AccountByName(ctx context.Context, name string) (storage.Account, error) {
	return s.account(ctx, selectAccount+`a.name = ?`, name)
}

// Account finds an account by its id.
func (s *Store) Account(ctx context.Context, id [16]byte) (storage.Account, error) {
	return s.account(ctx, selectAccount+`a.id = ?`, id[:])
}

func (s *Store) account(ctx context.Context, query string, arg any) (storage.Account, error) {
	a, err := scanAccount(func(dest ...any) error { return s.reader.get(ctx, dest, query, arg) })
	if err != nil {
		return storage.Account{}, orUnknown(err, storage.ErrUnknownAccount)
	}
	return a, nil
}

func scanAccount(scan func(dest ...any) error) (storage.Account, error) {
	var a storage.Account
	var b storage.Ban
	var id []byte
	var until int64
	err := scan(&id, &a.Name, &a.Record, &a.PublicKey, &a.SealedKey, &a.Role, &a.CreatedDay, &b.Number, &b.Day, &until, &b.Reason)
	if err != nil {
		return storage.Account{}, err
	}
	copy(a.ID[:], id)
	if b.Number > 0 {
		b.Account, b.Until = a.ID, seconds(until)
		a.Ban = &b
	}
	return a, nil
}

// Accounts lists accounts by name.
func (s *Store) Accounts(ctx context.Context, after string, limit int) ([]storage.Account, error) {
	var list []storage.Account
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		a, err := scanAccount(rows.Scan)
		list = append(list, a)
		return err
	}, `SELECT a.id, a.name, NULL, a.public_key, NULL, a.role, a.created_day, `+banColumns+`
		FROM accounts a LEFT JOIN bans b ON b.account = a.id WHERE a.name > ? ORDER BY a.name LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
