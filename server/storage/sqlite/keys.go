package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quicprochat/server/storage"
)

const countKeyPackages = `SELECT count(*) FROM key_packages WHERE device = ? AND data IS NOT NULL AND expires > ?`

// PutKeyPackages stores KeyPackages of a device.
func (s *Store) PutKeyPackages(ctx context.Context, put storage.KeyPackageUpload) (int, error) {
	var count int
	err := s.writer.do(ctx, func(t *tx) error {
		device, err := t.deviceNumber(put.Device)
		if err != nil {
			return err
		}
		for _, kp := range put.SingleUse {
			_, err := t.exec(`INSERT INTO key_packages (device, ref, expires, data) VALUES (?, ?, ?, ?) ON CONFLICT (device, ref) DO NOTHING`,
				device, blob(kp.Ref), kp.Expires.Unix(), blob(kp.Data))
			if err != nil {
				return fmt.Errorf("store key package: %w", err)
			}
		}
		if kp := put.LastResort; kp != nil {
			_, err := t.exec(`INSERT INTO last_resort_key_packages (device, expires, data) VALUES (?, ?, ?)
				ON CONFLICT (device) DO UPDATE SET expires = excluded.expires, data = excluded.data`,
				device, kp.Expires.Unix(), blob(kp.Data))
			if err != nil {
				return fmt.Errorf("store last-resort key package: %w", err)
			}
		}
		if err := t.get(into(&count), countKeyPackages, device, put.Now.Unix()); err != nil {
			return fmt.Errorf("count key packages: %w", err)
		}
		if count > s.limits.KeyPackages && len(put.SingleUse) > 0 {
			return storage.ErrTooManyKeyPackages
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}

// CountKeyPackages counts what can be claimed of a device.
func (s *Store) CountKeyPackages(ctx context.Context, device [16]byte, now time.Time) (count int, lastResort bool, err error) {
	err = s.reader.get(ctx, into(&count, &lastResort), `SELECT
		(SELECT count(*) FROM key_packages k WHERE k.device = d.number AND k.data IS NOT NULL AND k.expires > ?2),
		EXISTS (SELECT 1 FROM last_resort_key_packages l WHERE l.device = d.number AND l.expires > ?2)
		FROM devices d WHERE d.id = ?1`, device[:], now.Unix())
	return count, lastResort, orUnknown(err, storage.ErrUnknownDevice)
}

// ClaimKeyPackages takes one KeyPackage for each device of an account.
func (s *Store) ClaimKeyPackages(ctx context.Context, account [16]byte, except [][16]byte, now time.Time) ([]storage.DeviceKeys, error) {
	var claimed []storage.DeviceKeys
	err := s.writer.do(ctx, func(t *tx) error {
		claimed = nil
		_, banned, err := t.standing(account, now)
		if err != nil {
			return orUnknown(err, storage.ErrUnknownAccount)
		}
		if banned {
			return nil
		}
		devices, err := t.reachableDevices(account)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if slices.Contains(except, d.keys.Device) {
				continue
			}
			err := t.claimKeyPackage(d.number, &d.keys, now)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("claim key package: %w", err)
			}
			claimed = append(claimed, d.keys)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

type reachableDevice struct {
	number int64
	keys   storage.DeviceKeys
}

// reachableDevices lists the devices of an account that have a hybrid key.
func (t *tx) reachableDevices(account [16]byte) ([]reachableDevice, error) {
	var devices []reachableDevice
	err := t.each(func(rows *sql.Rows) error {
		var d reachableDevice
		var id []byte
		if err := rows.Scan(&d.number, &id, &d.keys.HybridKey); err != nil {
			return err
		}
		copy(d.keys.Device[:], id)
		devices = append(devices, d)
		return nil
	}, `SELECT d.number, d.id, h.key FROM devices d JOIN hybrid_keys h ON h.device = d.number WHERE d.account = ? ORDER BY d.number`, account[:])
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return devices, nil
}

// claimKeyPackage takes the single-use KeyPackage that expires first, or else
// the last-resort one; sql.ErrNoRows where there is neither.
func (t *tx) claimKeyPackage(device int64, keys *storage.DeviceKeys, now time.Time) error {
	var number int64
	err := t.get(into(&number, &keys.KeyPackage),
		`SELECT number, data FROM key_packages WHERE device = ? AND data IS NOT NULL AND expires > ? ORDER BY expires LIMIT 1`, device, now.Unix())
	if err == nil {
		_, err = t.exec(`UPDATE key_packages SET data = NULL WHERE number = ?`, number)
		return err
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	keys.LastResort = true
	return t.get(into(&keys.KeyPackage), `SELECT data FROM last_resort_key_packages WHERE device = ? AND expires > ?`, device, now.Unix())
}

// PutHybridKey replaces the hybrid key of a device.
func (s *Store) PutHybridKey(ctx context.Context, device [16]byte, key []byte) error {
	return s.writer.do(ctx, func(t *tx) error {
		number, err := t.deviceNumber(device)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO hybrid_keys (device, key) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET key = excluded.key`, number, blob(key))
		if err != nil {
			return fmt.Errorf("store hybrid key: %w", err)
		}
		return nil
	})
}

// HybridKey gives the hybrid key of a device.
func (s *Store) HybridKey(ctx context.Context, device [16]byte) ([]byte, error) {
	var key []byte
	err := s.reader.get(ctx, into(&key), `SELECT h.key FROM devices d JOIN hybrid_keys h ON h.device = d.number WHERE d.id = ?`, device[:])
	return key, orUnknown(err, storage.ErrUnknownDevice)
}
