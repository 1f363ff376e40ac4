package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"quicprochat/server/storage"
)

// PutPush stores the registration of a device.
func (s *Store) PutPush(ctx context.Context, device [16]byte, sealed []byte) error {
	return s.writer.do(ctx, func(t *tx) error {
		number, err := t.deviceNumber(device)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO push_registrations (device, sealed) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET sealed = excluded.sealed`,
			number, blob(sealed))
		if err != nil {
			return fmt.Errorf("store push registration: %w", err)
		}
		return nil
	})
}

// DeletePush deletes the registration of a device.
func (s *Store) DeletePush(ctx context.Context, device [16]byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device = (SELECT number FROM devices WHERE id = ?)`, device[:])
}

// DeletePushes deletes the registrations of an account.
func (s *Store) DeletePushes(ctx context.Context, account [16]byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device IN (SELECT number FROM devices WHERE account = ?)`, account[:])
}

// ForgetPush deletes a registration that is still the given one.
func (s *Store) ForgetPush(ctx context.Context, queue storage.QueueID, sealed []byte) error {
	return s.deletePush(ctx, `DELETE FROM push_registrations WHERE device = (SELECT number FROM queues WHERE id = ?) AND sealed = ?`, queue[:], blob(sealed))
}

func (s *Store) deletePush(ctx context.Context, query string, args ...any) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, err := t.exec(query, args...); err != nil {
			return fmt.Errorf("delete push registration: %w", err)
		}
		return nil
	})
}

// PushTargets gives those of the queues whose devices have a registration.
func (s *Store) PushTargets(ctx context.Context, queues []storage.QueueID) (targets []storage.PushTarget, err error) {
	err = chunks(len(queues), func(from, to int) error {
		args := make([]any, 0, to-from)
		for i := range queues[from:to] {
			args = append(args, queues[from+i][:])
		}
		return s.reader.each(ctx, func(rows *sql.Rows) error {
			var target storage.PushTarget
			var id []byte
			var items uint64
			err := rows.Scan(&id, &target.LastSeq, &items, &target.Sealed)
			copy(target.Queue[:], id)
			target.Acked = target.LastSeq - min(items, target.LastSeq)
			targets = append(targets, target)
			return err
		}, `SELECT q.id, q.last_seq, q.items, p.sealed FROM queues q JOIN push_registrations p ON p.device = q.number
			WHERE q.id IN (`+placeholders("?", to-from)+`)`, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("look for push registrations: %w", err)
	}
	return targets, nil
}
