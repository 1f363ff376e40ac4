package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// PutKeyPackages stores KeyPackages of a device.
func (s *Store) PutKeyPackages(ctx context.Context, put storage.KeyPackageUpload) (int, error) {
	var count int
	err := s.change(ctx, func(t *tx) error {
		device, err := t.lockDevice(put.Device)
		if err != nil {
			return err
		}
		q := &pgx.Batch{}
		queueKeyPackages(q, device, put)
		q.Queue(`SELECT count(*) FROM key_packages WHERE device = $1 AND data IS NOT NULL AND expires > $2`, device, put.Now.Unix()).
			QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
		if err := t.run(q); err != nil {
			return fmt.Errorf("store key packages: %w", err)
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

func queueKeyPackages(q *pgx.Batch, device int64, put storage.KeyPackageUpload) {
	if n := len(put.SingleUse); n > 0 {
		refs, data, expires := make([][]byte, n), make([][]byte, n), make([]int64, n)
		for i, kp := range put.SingleUse {
			refs[i], data[i], expires[i] = blob(kp.Ref), blob(kp.Data), kp.Expires.Unix()
		}
		q.Queue(`INSERT INTO key_packages (device, ref, data, expires) SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bigint[])
			ON CONFLICT (device, ref) DO NOTHING`, device, refs, data, expires)
	}
	if kp := put.LastResort; kp != nil {
		q.Queue(`INSERT INTO last_resort_key_packages (device, expires, data) VALUES ($1, $2, $3)
			ON CONFLICT (device) DO UPDATE SET expires = excluded.expires, data = excluded.data`, device, kp.Expires.Unix(), blob(kp.Data))
	}
}

// CountKeyPackages counts what can be claimed of a device.
func (s *Store) CountKeyPackages(ctx context.Context, device [16]byte, now time.Time) (count int, lastResort bool, err error) {
	err = s.get(ctx, into(&count, &lastResort), `SELECT
		(SELECT count(*) FROM key_packages k WHERE k.device = d.number AND k.data IS NOT NULL AND k.expires > $2),
		EXISTS (SELECT 1 FROM last_resort_key_packages l WHERE l.device = d.number AND l.expires > $2)
		FROM devices d WHERE d.id = $1`, device[:], now.Unix())
	return count, lastResort, orUnknown(err, storage.ErrUnknownDevice)
}

// ClaimKeyPackages takes one KeyPackage for each device of an account.
func (s *Store) ClaimKeyPackages(ctx context.Context, account [16]byte, except [][16]byte, now time.Time) ([]storage.DeviceKeys, error) {
	var claimed []storage.DeviceKeys
	err := s.change(ctx, func(t *tx) error {
		claimed = nil
		_, banned, err := t.standing(account, now)
		if err != nil {
			return orUnknown(err, storage.ErrUnknownAccount)
		}
		if banned {
			return nil
		}
		devices, err := t.reachableDevices(account, except)
		if err != nil || len(devices) == 0 {
			return err
		}
		if err := t.claimKeyPackages(devices, now); err != nil {
			return fmt.Errorf("claim key packages: %w", err)
		}
		for _, d := range devices {
			if d.keys.KeyPackage != nil {
				claimed = append(claimed, d.keys)
			}
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

// reachableDevices locks and lists the devices of an account that have a
// hybrid key, in the order of enrolment.
func (t *tx) reachableDevices(account [16]byte, except [][16]byte) ([]*reachableDevice, error) {
	var devices []*reachableDevice
	err := t.each(func(rows pgx.Rows) error {
		d := &reachableDevice{}
		if err := rows.Scan(&d.number, (*id16)(&d.keys.Device), &d.keys.HybridKey); err != nil {
			return err
		}
		if d.keys.HybridKey != nil && !slices.Contains(except, d.keys.Device) {
			devices = append(devices, d)
		}
		return nil
	}, `SELECT d.number, d.id, (SELECT key FROM hybrid_keys WHERE device = d.number) FROM devices d WHERE d.account = $1 ORDER BY d.number FOR NO KEY UPDATE`, account[:])
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return devices, nil
}

// claimKeyPackages takes for each device the single-use KeyPackage that expires
// first, or else the last-resort one.
func (t *tx) claimKeyPackages(devices []*reachableDevice, now time.Time) error {
	byNumber := make(map[int64]*reachableDevice, len(devices))
	numbers := make([]int64, len(devices))
	for i, d := range devices {
		byNumber[d.number], numbers[i] = d, d.number
	}
	taken := []int64{}
	take := func(lastResort bool) func(pgx.Rows) error {
		return func(rows pgx.Rows) error {
			return eachRow(rows, func(rows pgx.Rows) error {
				var device, number int64
				var data []byte
				if err := rows.Scan(&device, &number, &data); err != nil {
					return err
				}
				keys := &byNumber[device].keys
				if keys.KeyPackage != nil {
					return nil
				}
				keys.KeyPackage, keys.LastResort = data, lastResort
				if !lastResort {
					taken = append(taken, number)
				}
				return nil
			})
		}
	}
	q := &pgx.Batch{}
	q.Queue(`SELECT k.device, k.number, k.data FROM unnest($1::bigint[]) AS d (number) CROSS JOIN LATERAL
		(SELECT device, number, data FROM key_packages WHERE device = d.number AND data IS NOT NULL AND expires > $2 ORDER BY expires, number LIMIT 1) AS k`,
		numbers, now.Unix()).Query(take(false))
	q.Queue(`SELECT device, 0::bigint, data FROM last_resort_key_packages WHERE device = ANY($1) AND expires > $2`, numbers, now.Unix()).Query(take(true))
	if err := t.run(q); err != nil {
		return err
	}
	if len(taken) == 0 {
		return nil
	}
	_, err := t.exec(`UPDATE key_packages SET data = NULL WHERE number = ANY($1)`, taken)
	return err
}

// PutHybridKey replaces the hybrid key of a device.
func (s *Store) PutHybridKey(ctx context.Context, device [16]byte, key []byte) error {
	return s.change(ctx, func(t *tx) error {
		number, err := t.lockDevice(device)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO hybrid_keys (device, key) VALUES ($1, $2) ON CONFLICT (device) DO UPDATE SET key = excluded.key`, number, blob(key))
		if err != nil {
			return fmt.Errorf("store hybrid key: %w", err)
		}
		return nil
	})
}

// HybridKey gives the hybrid key of a device.
func (s *Store) HybridKey(ctx context.Context, device [16]byte) ([]byte, error) {
	var key []byte
	err := s.get(ctx, into(&key), `SELECT (SELECT key FROM hybrid_keys WHERE device = d.number) FROM devices d WHERE d.id = $1`, device[:])
	if errors.Is(err, pgx.ErrNoRows) || err == nil && key == nil {
		return nil, storage.ErrUnknownDevice
	}
	return key, err
}
