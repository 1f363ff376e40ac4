package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// AddDevice adds a device with an empty queue, or renews its certificate.
func (s *Store) AddDevice(ctx context.Context, device storage.NewDevice) (storage.Device, error) {
	var added storage.Device
	err := s.change(ctx, func(t *tx) error {
		if err := t.lockAccount(device.Account); err != nil {
			return err
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

// addDevice adds a device to an account that is locked.
func (t *tx) addDevice(n storage.NewDevice, limit int) (storage.Device, error) {
	revoked, err := t.deviceRevoked(n.ID)
	if err != nil {
		return storage.Device{}, err
	}
	if revoked {
		return storage.Device{}, storage.ErrDeviceRevoked
	}
	device, err := scanDevice(func(dest ...any) error { return t.get(dest, selectDevice+`d.id = $1`, n.ID[:]) })
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return t.insertDevice(n, limit)
	case err != nil:
		return storage.Device{}, fmt.Errorf("look for device: %w", err)
	case device.Account != n.Account:
		return storage.Device{}, storage.ErrDeviceExists
	}
	device.Certificate = n.Certificate
	if _, err := t.exec(`UPDATE devices SET certificate = $2 WHERE id = $1`, n.ID[:], blob(n.Certificate)); err != nil {
		return storage.Device{}, fmt.Errorf("renew device: %w", err)
	}
	return device, nil
}

func (t *tx) insertDevice(n storage.NewDevice, limit int) (storage.Device, error) {
	var count int
	if err := t.get(into(&count), `SELECT count(*) FROM devices WHERE account = $1`, n.Account[:]); err != nil {
		return storage.Device{}, fmt.Errorf("count devices: %w", err)
	}
	if count >= limit {
		return storage.Device{}, storage.ErrTooManyDevices
	}
	device := storage.Device{ID: n.ID, Account: n.Account, Certificate: n.Certificate, EnrolledDay: storage.DayOf(n.Now)}
	rand.Read(device.Queue[:])
	var number int64
	err := t.get(into(&number), `INSERT INTO devices (id, account, certificate, enrolled_day) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING RETURNING number`,
		n.ID[:], n.Account[:], blob(n.Certificate), int64(device.EnrolledDay))
	if errors.Is(err, pgx.ErrNoRows) {
		return storage.Device{}, storage.ErrDeviceExists // another account was faster
	}
	if err != nil {
		return storage.Device{}, fmt.Errorf("store device: %w", err)
	}
	// another account may have had it, and have revoked it meanwhile
	revoked, err := t.deviceRevoked(n.ID)
	if err != nil {
		return storage.Device{}, err
	}
	if revoked {
		return storage.Device{}, storage.ErrDeviceRevoked
	}
	if _, err := t.exec(`INSERT INTO queues (number, id) VALUES ($1, $2)`, number, device.Queue[:]); err != nil {
		return storage.Device{}, fmt.Errorf("store queue: %w", err)
	}
	return device, nil
}

const selectDevice = `SELECT d.id, d.account, d.certificate, (SELECT id FROM queues WHERE number = d.number), d.enrolled_day FROM devices d WHERE `

func scanDevice(scan func(dest ...any) error) (storage.Device, error) {
	var d storage.Device
	err := scan((*id16)(&d.ID), (*id16)(&d.Account), &d.Certificate, (*id16)(&d.Queue), &d.EnrolledDay)
	return d, err
}

// Device finds a device of an account.
func (s *Store) Device(ctx context.Context, account, device [16]byte) (storage.Device, error) {
	d, err := scanDevice(func(dest ...any) error {
		return s.get(ctx, dest, selectDevice+`d.id = $1 AND d.account = $2`, device[:], account[:])
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return d, err
	}
	var revoked bool
	err = s.get(ctx, into(&revoked), `SELECT EXISTS (SELECT 1 FROM revoked_devices WHERE id = $1 AND account = $2)`, device[:], account[:])
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
	err := s.each(ctx, func() { devices = nil }, func(rows pgx.Rows) error {
		d, err := scanDevice(rows.Scan)
		devices = append(devices, d)
		return err
	}, selectDevice+`d.account = $1 ORDER BY d.number`, account[:])
	if err != nil {
		return nil, err
	}
	return devices, nil
}

// RevokeDevice deletes a device with its queue and keys.
func (s *Store) RevokeDevice(ctx context.Context, account, device [16]byte) error {
	return s.change(ctx, func(t *tx) error {
		if err := t.lockAccount(account); err != nil {
			return notDevice(err)
		}
		var number int64
		err := t.get(into(&number), `SELECT number FROM devices WHERE id = $1 AND account = $2 FOR UPDATE`, device[:], account[:])
		if errors.Is(err, pgx.ErrNoRows) {
			return t.alreadyRevoked(account, device)
		}
		if err != nil {
			return fmt.Errorf("look for device: %w", err)
		}
		return t.revokeDevice(number, account, device)
	})
}

// notDevice: an account that does not exist has no devices.
func notDevice(err error) error {
	if errors.Is(err, storage.ErrUnknownAccount) {
		return storage.ErrUnknownDevice
	}
	return err
}

// revokeDevice deletes a device and remembers that it was there.
func (t *tx) revokeDevice(number int64, account, device [16]byte) error {
	q := &pgx.Batch{}
	deleteDevice(q, number)
	q.Queue(`INSERT INTO revoked_devices (id, account) VALUES ($1, $2)`, device[:], account[:])
	// "+ 0" keeps the planner from looking for the account along the numbers
	q.Queue(`DELETE FROM revoked_devices WHERE account = $1 AND number <=
		(SELECT number FROM revoked_devices WHERE account = $1 ORDER BY number + 0 DESC LIMIT 1 OFFSET $2)`, account[:], storage.RevokedDevices)
	if err := t.run(q); err != nil {
		return fmt.Errorf("revoke device: %w", err)
	}
	return nil
}

// deleteDevice deletes the queue's row first: from then on nothing is added to
// it. The keys, and all else that belongs to the device, go with it.
func deleteDevice(q *pgx.Batch, number int64) {
	q.Queue(`DELETE FROM queues WHERE number = $1`, number)
	q.Queue(`DELETE FROM queue_items WHERE queue = $1`, number)
	q.Queue(`DELETE FROM devices WHERE number = $1`, number)
}

// alreadyRevoked gives nil for a device that the account has revoked before.
func (t *tx) alreadyRevoked(account, device [16]byte) error {
	var found int
	err := t.get(into(&found), `SELECT 1 FROM revoked_devices WHERE id = $1 AND account = $2`, device[:], account[:])
	return orUnknown(err, storage.ErrUnknownDevice)
}

func (t *tx) deviceRevoked(device [16]byte) (bool, error) {
	var revoked bool
	if err := t.get(into(&revoked), `SELECT EXISTS (SELECT 1 FROM revoked_devices WHERE id = $1)`, device[:]); err != nil {
		return false, fmt.Errorf("look for revoked device: %w", err)
	}
	return revoked, nil
}

// lockDevice finds a device that can still be used and makes changes to its
// keys take turns.
func (t *tx) lockDevice(device [16]byte) (int64, error) {
	var number int64
	err := t.get(into(&number), `SELECT number FROM devices WHERE id = $1 FOR NO KEY UPDATE`, device[:])
	if !errors.Is(err, pgx.ErrNoRows) {
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
