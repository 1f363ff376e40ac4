package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// AddDevice adds a device with an empty queue, or renews its certificate.
func (s *Store) AddDevice(ctx context.Context, device storage.NewDevice) (storage.Device, error) {
	var added storage.Device
	err := s.writer.do(ctx, func(t *tx) error {
		var accounts int
		if err := t.get(into(&accounts), `SELECT 1 FROM accounts WHERE id = ?`, device.Account[:]); err != nil {
			return orUnknown(err, storage.ErrUnknownAccount)
		}
		var err error
		added, err = t.addDevice(device, s.limits.Devices)
		return err
	})
	if err != nil {
		return storage.Device{}, err
	}
	return added, nil
}

func (t *tx) addDevice(n storage.NewDevice, limit int) (storage.Device, error) {
	revoked, err := t.deviceRevoked(n.ID)
	if err != nil {
		return storage.Device{}, err
	}
	if revoked {
		return storage.Device{}, storage.ErrDeviceRevoked
	}
	device, err := scanDevice(func(dest ...any) error { return t.get(dest, selectDevice+`d.id = ?`, n.ID[:]) })
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t.insertDevice(n, limit)
	case err != nil:
		return storage.Device{}, fmt.Errorf("look for device: %w", err)
	case device.Account != n.Account:
		return storage.Device{}, storage.ErrDeviceExists
	}
	device.Certificate = n.Certificate
	if _, err := t.exec(`UPDATE devices SET certificate = ? WHERE id = ?`, blob(n.Certificate), n.ID[:]); err != nil {
		return storage.Device{}, fmt.Errorf("renew device: %w", err)
	}
	return device, nil
}

func (t *tx) insertDevice(n storage.NewDevice, limit int) (storage.Device, error) {
	var count int
	if err := t.get(into(&count), `SELECT count(*) FROM devices WHERE account = ?`, n.Account[:]); err != nil {
		return storage.Device{}, fmt.Errorf("count devices: %w", err)
	}
	if count >= limit {
		return storage.Device{}, storage.ErrTooManyDevices
	}
	device := storage.Device{ID: n.ID, Account: n.Account, Certificate: n.Certificate, EnrolledDay: storage.DayOf(n.Now)}
	rand.Read(device.Queue[:])
	var number int64
	err := t.get(into(&number), `INSERT INTO devices (id, account, certificate, enrolled_day) VALUES (?, ?, ?, ?) RETURNING number`,
		n.ID[:], n.Account[:], blob(n.Certificate), int64(device.EnrolledDay))
	if err != nil {
		return storage.Device{}, fmt.Errorf("store device: %w", err)
	}
	if _, err := t.exec(`INSERT INTO queues (number, id) VALUES (?, ?)`, number, device.Queue[:]); err != nil {
		return storage.Device{}, fmt.Errorf("store queue: %w", err)
	}
	return device, nil
}

const (
	selectDevice = `SELECT d.id, d.account, d.certificate, q.id, d.enrolled_day
FROM devices d JOIN queues q ON q.number = d.number WHERE `
	selectNumber  = `SELECT number FROM devices WHERE id = ? AND account = ?`
	selectRevoked = `SELECT EXISTS (SELECT 1 FROM revoked_devices WHERE id = ?)`
)

func scanDevice(scan func(dest ...any) error) (storage.Device, error) {
	var d storage.Device
	var id, account, queue []byte
	if err := scan(&id, &account, &d.Certificate, &queue, &d.EnrolledDay); err != nil {
		return storage.Device{}, err
	}
	copy(d.ID[:], id)
	copy(d.Account[:], account)
	copy(d.Queue[:], queue)
	return d, nil
}

// Device finds a device of an account.
func (s *Store) Device(ctx context.Context, account, device [16]byte) (storage.Device, error) {
	d, err := scanDevice(func(dest ...any) error {
		return s.reader.get(ctx, dest, selectDevice+`d.id = ? AND d.account = ?`, device[:], account[:])
	})
	if !errors.Is(err, sql.ErrNoRows) {
		return d, err
	}
	var revoked bool
	err = s.reader.get(ctx, into(&revoked), `SELECT EXISTS (SELECT 1 FROM revoked_devices WHERE id = ? AND account = ?)`, device[:], account[:])
	switch {
	case err != nil:
		return storage.Device{}, err
	case revoked:
		return storage.Device{}, storage.ErrDeviceRevoked
	}
	return storage.Device{}, storage.ErrUnknownDevice
}

// Devices lists the devices of an account.
func (s *Store) Devices(ctx context.Context, account [16]byte) ([]storage.Device, error) {
	var devices []storage.Device
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		d, err := scanDevice(rows.Scan)
		devices = append(devices, d)
		return err
	}, selectDevice+`d.account = ? ORDER BY d.number`, account[:])
	if err != nil {
		return nil, err
	}
	return devices, nil
}

// RevokeDevice deletes a device with its queue and keys.
func (s *Store) RevokeDevice(ctx context.Context, account, device [16]byte) error {
	return s.writer.do(ctx, func(t *tx) error {
		var number int64
		err := t.get(into(&number), selectNumber, device[:], account[:])
		if errors.Is(err, sql.ErrNoRows) {
			return t.alreadyRevoked(account, device)
		}
		if err != nil {
			return fmt.Errorf("look for device: %w", err)
		}
		return t.revokeDevice(number, account, device)
	})
}

func (t *tx) revokeDevice(number int64, account, device [16]byte) error {
	if err := t.deleteDevice(number); err != nil {
		return err
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO revoked_devices (id, account) VALUES (?, ?)`, []any{device[:], account[:]}},
		{`DELETE FROM revoked_devices WHERE account = ?1 AND number <=
			(SELECT number FROM revoked_devices WHERE account = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)`, []any{account[:], storage.RevokedDevices}},
	} {
		if _, err := t.exec(step.query, step.args...); err != nil {
			return fmt.Errorf("revoke device: %w", err)
		}
	}
	return nil
}

// deleteDevice deletes a device with its queue. Its keys, and all else that
// belongs to it, go with it.
func (t *tx) deleteDevice(number int64) error {
	first, last := positions(number)
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM queue_items WHERE position BETWEEN ? AND ?`, []any{first, last}},
		{`DELETE FROM queues WHERE number = ?`, []any{number}},
		{`DELETE FROM devices WHERE number = ?`, []any{number}},
	} {
		if _, err := t.exec(step.query, step.args...); err != nil {
			return fmt.Errorf("delete device: %w", err)
		}
	}
	return nil
}

// alreadyRevoked gives nil for a device that the account has revoked before.
func (t *tx) alreadyRevoked(account, device [16]byte) error {
	var found int
	err := t.get(into(&found), `SELECT 1 FROM revoked_devices WHERE id = ? AND account = ?`, device[:], account[:])
	return orUnknown(err, storage.ErrUnknownDevice)
}

func (t *tx) deviceRevoked(device [16]byte) (bool, error) {
	var revoked bool
	if err := t.get(into(&revoked), selectRevoked, device[:]); err != nil {
		return false, fmt.Errorf("look for revoked device: %w", err)
	}
	return revoked, nil
}

// deviceNumber finds a device that can still be used.
func (t *tx) deviceNumber(device [16]byte) (int64, error) {
	var number int64
	err := t.get(into(&number), `SELECT number FROM devices WHERE id = ?`, device[:])
	if !errors.Is(err, sql.ErrNoRows) {
		return number, err
	}
	revoked, err := t.deviceRevoked(device)
	switch {
	case err != nil:
		return 0, err
	case revoked:
		return 0, storage.ErrDeviceRevoked
	}
	return 0, storage.ErrUnknownDevice
}
