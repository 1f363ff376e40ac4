package sqlite

import (
	"context"
	"fmt"

	"quicprochat/server/storage"
)

// CreateAccount creates an account with its first device.
func (s *Store) CreateAccount(ctx context.Context, account storage.NewAccount) (storage.Device, error) {
	var device storage.Device
	err := s.writer.do(ctx, func(t *tx) error {
		if account.Invite != nil {
			if err := t.consumeInvite(*account.Invite, account.Now); err != nil {
				return err
			}
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

const selectAccount = `SELECT id, name, record, public_key, sealed_key, role, created_day FROM accounts WHERE `

// AccountByName finds an account by its exact name.
func (s *Store) AccountByName(ctx context.Context, name string) (storage.Account, error) {
	return s.account(ctx, selectAccount+`name = ?`, name)
}

// Account finds an account by its id.
func (s *Store) Account(ctx context.Context, id [16]byte) (storage.Account, error) {
	return s.account(ctx, selectAccount+`id = ?`, id[:])
}

func (s *Store) account(ctx context.Context, query string, arg any) (storage.Account, error) {
	var a storage.Account
	var id []byte
	err := s.reader.get(ctx, into(&id, &a.Name, &a.Record, &a.PublicKey, &a.SealedKey, &a.Role, &a.CreatedDay), query, arg)
	if err != nil {
		return storage.Account{}, orUnknown(err, storage.ErrUnknownAccount)
	}
	copy(a.ID[:], id)
	return a, nil
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
