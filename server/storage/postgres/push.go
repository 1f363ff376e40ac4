package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// PutPush stores the registration of a device.
func (s *Store) PutPush(ctx context.Context, device [16]byte, sealed []byte) error {
	return s.change(ctx, func(t *tx) error {
		number, err := t.lockDevice(device)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO push_registrations (device, sealed) VALUES ($1, $2) ON CONFLICT (device) DO UPDATE SET sealed = excluded.sealed`,
			number, blob(sealed))
		if err != nil {
			return fmt.Errorf("store push registration: %w", err)
		}
		return nil
	})
}

// DeletePush deletes the registration of a device.
func (s *Store) DeletePush(ctx context.Context, device [16]byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device = (SELECT number FROM devices WHERE id = $1)`, device[:])
}

// DeletePushes deletes the registrations of an account.
func (s *Store) DeletePushes(ctx context.Context, account [16]byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device = ANY(ARRAY(SELECT number FROM devices WHERE account = $1))`, account[:])
}

// ForgetPush deletes a registration that is still the given one.
func (s *Store) ForgetPush(ctx context.Context, queue storage.QueueID, sealed []byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device = (SELECT number FROM queues WHERE id = $1) AND sealed = $2`, queue[:], blob(sealed))
}

func (s *Store) deletePush(ctx context.Context, query string, args ...any) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.exec(query, args...); err != nil {
			return fmt.Errorf("delete push registration: %w", err)
		}
		return nil
	})
}

// PushTargets gives those of the queues whose devices have a registration.
func (s *Store) PushTargets(ctx context.Context, queues []storage.QueueID) (targets []storage.PushTarget, err error) {
	ids := make([][]byte, len(queues))
	for i := range queues {
		ids[i] = queues[i][:]
	}
	err = s.each(ctx, func() { targets = nil }, func(rows pgx.Rows) error {
		var target storage.PushTarget
		var items uint64
		err := rows.Scan((*id16)(&target.Queue), &target.LastSeq, &items, &target.Sealed)
		target.Acked = target.LastSeq - min(items, target.LastSeq)
		targets = append(targets, target)
		return err
	}, `SELECT q.id, q.last_seq, q.items, p.sealed FROM (SELECT number, id, last_seq, items FROM queues WHERE id = ANY($1)) AS q
		CROSS JOIN LATERAL (SELECT sealed FROM push_registrations WHERE device = q.number LIMIT 1) AS p`, ids)
	if err != nil {
		return nil, fmt.Errorf("look for push registrations: %w", err)
	}
	return targets, nil
}
