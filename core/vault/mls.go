package vault

import (
	"iter"
	"slices"
)

type record struct{ key, value []byte }

func scanRecord(row scanner) (record, error) {
	var r record
	err := row.Scan(&r.key, &r.value)
	return r, err
}

// PutMLS writes records of an MLS group: each key with its value, or a nil
// value to delete the key. An empty value that is not nil is stored.
func (tx *Tx) PutMLS(group [16]byte, changes iter.Seq2[[]byte, []byte]) error {
	for key, value := range changes {
		var err error
		if value == nil {
			_, err = tx.exec(`DELETE FROM mls_records WHERE group_id = ? AND key = ?`, group[:], blob(key))
		} else {
			_, err = tx.exec(`INSERT INTO mls_records (group_id, key, value) VALUES (?, ?, ?)
				ON CONFLICT (group_id, key) DO UPDATE SET value = excluded.value`, group[:], blob(key), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// MLSRecords returns all records of an MLS group, ordered by key; none for an
// unknown group. The records are read before it returns, and belong to the
// caller.
func (tx *Tx) MLSRecords(group [16]byte) (iter.Seq2[[]byte, []byte], error) {
	records, err := queryAll(tx, scanRecord, mlsRecords, group[:])
	if err != nil {
		return nil, err
	}
	return func(yield func(key, value []byte) bool) {
		for _, r := range records {
			if !yield(r.key, r.value) {
				return
			}
		}
	}, nil
}

const mlsRecords = `SELECT key, value FROM mls_records WHERE group_id = ? ORDER BY key`

// MLSRecord returns one record of an MLS group, or ErrNotFound.
func (tx *Tx) MLSRecord(group [16]byte, key []byte) ([]byte, error) {
	return queryOne(tx, scanBytes, `SELECT value FROM mls_records WHERE group_id = ? AND key = ?`, group[:], blob(key))
}

// DeleteMLS deletes all records of an MLS group.
func (tx *Tx) DeleteMLS(group [16]byte) error {
	_, err := tx.exec(`DELETE FROM mls_records WHERE group_id = ?`, group[:])
	return err
}

// MLSGroups returns the ids of all groups that have records.
func (tx *Tx) MLSGroups() ([][16]byte, error) {
	// A loose index scan: one seek per group, however many records it has.
	groups, err := queryAll(tx, scanID, `WITH RECURSIVE g (id) AS (
			SELECT min(group_id) FROM mls_records
			UNION ALL
			SELECT (SELECT min(group_id) FROM mls_records WHERE group_id > g.id) FROM g WHERE g.id IS NOT NULL
		) SELECT id FROM g WHERE id IS NOT NULL`)
	return slices.Clip(groups), err
}
