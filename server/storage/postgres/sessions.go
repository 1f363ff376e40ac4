package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// ClaimDevice notes that a node has the newest connection of a device. It
// locks the device's row alone, and no account's: a device that is being revoked
// is claimed before, or found gone after.
func (s *Store) ClaimDevice(ctx context.Context, account, device [16]byte, node storage.NodeID) (moved bool, err error) {
	var before claimant
	// mostly it has it already, and nothing is to be written
	err = s.get(ctx, into(&before), selectNode, device[:], account[:])
	if err == nil && storage.NodeID(before) == node {
		return false, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	err = s.change(ctx, func(t *tx) error {
		err := t.get(into(&before), selectNode+` FOR NO KEY UPDATE`, device[:], account[:])
		if errors.Is(err, pgx.ErrNoRows) {
			if err := t.alreadyRevoked(account, device); err != nil {
				return err
			}
			return storage.ErrDeviceRevoked
		}
		if err == nil {
			_, err = t.exec(`UPDATE devices SET node = $1 WHERE id = $2`, node[:], device[:])
		}
		if err != nil {
			return fmt.Errorf("claim device: %w", err)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return before != claimant{} && storage.NodeID(before) != node, nil
}

const selectNode = `SELECT node FROM devices WHERE id = $1 AND account = $2`

// claimant reads a NodeID that may be NULL.
type claimant storage.NodeID

// ScanBytes is for pgx.
func (c *claimant) ScanBytes(b []byte) error {
	if b == nil {
		*c = claimant{}
		return nil
	}
	return scanID(c[:], b)
}

// lookUpBatch is how many a look-up asks for in one statement.
const lookUpBatch = 1000

// DeviceNodes gives the node that claimed each device last.
func (s *Store) DeviceNodes(ctx context.Context, devices [][16]byte) (map[[16]byte]storage.NodeID, error) {
	return lookUp(ctx, s, devices, `SELECT w.id, d.node FROM unnest($1::bytea[]) AS w (id) JOIN LATERAL (SELECT node FROM devices WHERE id = w.id OFFSET 0) AS d ON true`,
		func(node *storage.NodeID) any { return (*claimant)(node) })
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
