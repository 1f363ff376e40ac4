package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// ClaimSession makes a session the newest one of a device. It locks the
// device's row alone, and no account's: a device that is being revoked is
// claimed before, or found gone after.
func (s *Store) ClaimSession(ctx context.Context, account, device [16]byte, session storage.SessionID) error {
	return s.change(ctx, func(t *tx) error {
		switch n, err := t.exec(`UPDATE devices SET session = $3 WHERE id = $1 AND account = $2`, device[:], account[:], session[:]); {
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

// lookUpBatch is how many a look-up asks for in one statement.
const lookUpBatch = 1000

// NewestSessions gives the newest session of each device.
func (s *Store) NewestSessions(ctx context.Context, devices [][16]byte) (map[[16]byte]storage.SessionID, error) {
	return lookUp(ctx, s, devices, `SELECT w.id, d.session FROM unnest($1::bytea[]) AS w (id) JOIN LATERAL (SELECT session FROM devices WHERE id = w.id OFFSET 0) AS d ON true`,
		func(session *storage.SessionID) any { return (*newestSession)(session) })
}

// newestSession reads a session that may be NULL.
type newestSession storage.SessionID

// ScanBytes is for pgx.
func (id *newestSession) ScanBytes(b []byte) error {
	if b == nil {
		*id = newestSession{}
		return nil
	}
	return scanID(id[:], b)
}

// Records gives the OPAQUE record of each account.
func (s *Store) Records(ctx context.Context, accounts [][16]byte) (map[[16]byte][]byte, error) {
	return lookUp(ctx, s, accounts, `SELECT w.id, a.record FROM unnest($1::bytea[]) AS w (id) JOIN LATERAL (SELECT record FROM accounts WHERE id = w.id OFFSET 0) AS a ON true`,
		func(record *[]byte) any { return record })
}

// LastSeqs gives the newest seq that was assigned in each queue.
func (s *Store) LastSeqs(ctx context.Context, queues []storage.QueueID) (map[storage.QueueID]uint64, error) {
	return lookUp(ctx, s, queues, `SELECT w.id, q.last_seq FROM unnest($1::bytea[]) AS w (id) JOIN LATERAL (SELECT last_seq FROM queues WHERE id = w.id OFFSET 0) AS q ON true`,
		func(seq *uint64) any { return seq })
}

// lookUp asks a query, which gives an id and a value for each of many ids that
// it finds. "OFFSET 0" in it keeps the planner from joining in another order,
// for which it might read the whole table.
func lookUp[ID ~[16]byte, V any](ctx context.Context, s *Store, ids []ID, query string, dest func(*V) any) (map[ID]V, error) {
	found := make(map[ID]V, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), lookUpBatch)
		wanted := make([][]byte, n)
		for i := range wanted {
			wanted[i] = ids[i][:]
		}
		ids = ids[n:]
		err := s.each(ctx, func() {}, func(rows pgx.Rows) error {
			var id id16
			var value V
			err := rows.Scan(&id, dest(&value))
			found[ID(id)] = value
			return err
		}, query, wanted)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
