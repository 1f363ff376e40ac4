package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// ClaimSession makes a session the newest one of a device.
func (s *Store) ClaimSession(ctx context.Context, account, device [16]byte, session storage.SessionID) error {
	return s.writer.do(ctx, func(t *tx) error {
		switch n, err := t.exec(`UPDATE devices SET session = ? WHERE id = ? AND account = ?`, session[:], device[:], account[:]); {
		case err != nil:
			return fmt.Errorf("claim session: %w", err)
		case n > 0:
			return nil
		}
		if err := t.alreadyRevoked(account, device); err != nil {
			return err
		}
		return storage.ErrDeviceRevoked
	})
}

// NewestSessions gives the newest session of each device.
func (s *Store) NewestSessions(ctx context.Context, devices [][16]byte) (map[[16]byte]storage.SessionID, error) {
	return lookUp(devices, func(device [16]byte) (session storage.SessionID, err error) {
		var newest []byte
		err = s.reader.get(ctx, into(&newest), `SELECT session FROM devices WHERE id = ?`, device[:])
		copy(session[:], newest)
		return session, err
	})
}

// Records gives the OPAQUE record of each account.
func (s *Store) Records(ctx context.Context, accounts [][16]byte) (map[[16]byte][]byte, error) {
	return lookUp(accounts, func(account [16]byte) (record []byte, err error) {
		err = s.reader.get(ctx, into(&record), `SELECT record FROM accounts WHERE id = ?`, account[:])
		return record, err
	})
}

// LastSeqs gives the newest seq that was assigned in each queue.
func (s *Store) LastSeqs(ctx context.Context, queues []storage.QueueID) (map[storage.QueueID]uint64, error) {
	return lookUp(queues, func(queue storage.QueueID) (seq uint64, err error) {
		err = s.reader.get(ctx, into(&seq), `SELECT last_seq FROM queues WHERE id = ?`, queue[:])
		return seq, err
	})
}

// lookUp looks for one after the other, which costs nothing in a file of one's
// own, and leaves out what is not there.
func lookUp[ID comparable, V any](ids []ID, find func(ID) (V, error)) (map[ID]V, error) {
	found := make(map[ID]V, len(ids))
	for _, id := range ids {
		v, err := find(id)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[id] = v
	}
	return found, nil
}
