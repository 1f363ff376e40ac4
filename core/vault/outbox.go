package vault

import (
	"fmt"
	"time"
)

// OutboxItem is something that waits to be sent.
type OutboxItem struct {
	// ID is local, set by AddOutbox, and above those of all other items. It is
	// free for another item once this one is removed.
	ID           int64
	Conversation [16]byte
	// ItemID is the same in every retry, and unique in the outbox.
	ItemID [16]byte
	// Kind is the caller's own: post, commit, …
	Kind    uint8
	Payload []byte
	// MessageID is the message that it carries, or zero.
	MessageID [16]byte
	Attempts  int
	CreatedAt time.Time
}

const outboxColumns = `id, conversation, item_id, kind, payload, message_id, attempts, created_at`

func scanOutbox(row scanner) (OutboxItem, error) {
	var o OutboxItem
	err := row.Scan(&o.ID, id16{&o.Conversation}, id16{&o.ItemID}, &o.Kind, &o.Payload, id16{&o.MessageID},
		&o.Attempts, millis{&o.CreatedAt})
	return o, err
}

// AddOutbox appends the item and sets its ID. ErrDuplicate: an item with this
// ItemID waits already.
func (tx *Tx) AddOutbox(o *OutboxItem) error {
	res, err := tx.exec(`INSERT INTO outbox (conversation, item_id, kind, payload, message_id, attempts, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (item_id) DO NOTHING`,
		o.Conversation[:], o.ItemID[:], o.Kind, blob(o.Payload), o.MessageID[:], o.Attempts, toMillis(o.CreatedAt))
	if err != nil {
		return err
	}
	if res.changed == 0 {
		return fmt.Errorf("%w: outbox item %x", ErrDuplicate, o.ItemID)
	}
	o.ID = res.rowID
	return nil
}

// UpdateOutbox writes Kind, Payload and Attempts of the item with o.ID; its
// place in the order stays. ErrNotFound: it is gone.
func (tx *Tx) UpdateOutbox(o OutboxItem) error {
	res, err := tx.exec(`UPDATE outbox SET kind = ?, payload = ?, attempts = ? WHERE id = ?`,
		o.Kind, blob(o.Payload), o.Attempts, o.ID)
	if err == nil && res.changed == 0 {
		return fmt.Errorf("%w: outbox item %d", ErrNotFound, o.ID)
	}
	return err
}

// RemoveOutbox removes the item with the ID. One that is gone is no error.
func (tx *Tx) RemoveOutbox(id int64) error {
	_, err := tx.exec(`DELETE FROM outbox WHERE id = ?`, id)
	return err
}

// OutboxItem returns the item with the ItemID, or ErrNotFound.
func (tx *Tx) OutboxItem(itemID [16]byte) (OutboxItem, error) {
	return queryOne(tx, scanOutbox, `SELECT `+outboxColumns+` FROM outbox WHERE item_id = ?`, itemID[:])
}

// Outbox returns the first limit items with an ID above after, in order.
func (tx *Tx) Outbox(after int64, limit int) ([]OutboxItem, error) {
	return queryAll(tx, scanOutbox, `SELECT `+outboxColumns+` FROM outbox WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
}
