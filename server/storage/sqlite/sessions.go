package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// ClaimDevice notes that a node has the newest connection of a device.
func (s *Store) ClaimDevice(ctx context.Context, account, device [16]byte, node storage.NodeID) (moved bool, err error) {
	var before claimant
	// mostly it has it already, and nothing is to be written
	err = s.reader.get(ctx, into(&before), selectNode, device[:], account[:])
	if err == nil && storage.NodeID(before) == node {
		return false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	err = s.writer.do(ctx, func(t *tx) error {
		err := t.get(into(&before), selectNode+``, device[:], account[:])
		if errors.Is(err, sql.ErrNoRows) {
			if err := t.alreadyRevoked(account, device); err != nil {
				return err
			}
			return storage.ErrDeviceRevoked
		}
		if err == nil {
			_, err = t.exec(`UPDATE devices SET node = ?1 WHERE id = ?2`, node[:], device[:])
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

const selectNode = `SELECT node FROM devices WHERE id = ?1 AND account = ?2`

// claimant reads a NodeID that may be NULL.
type claimant storage.NodeID

// Scan is for database/sql.
func (c *claimant) Scan(value any) error {
	b, _ := value.([]byte)
	*c = claimant{}
	copy(c[:], b)
	return nil
}

// DeviceNodes gives the node that claimed each device last.
func (s *Store) DeviceNodes(ctx context.Context, devices [][16]byte) (map[[16]byte]storage.NodeID, error) {
	return lookUp(devices, func(device [16]byte) (storage.NodeID, error) {
		var node claimant
		err := s.reader.get(ctx, into(&node), `SELECT node FROM devices WHERE id = ?`, device[:])
		return storage.NodeID(node), err
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
