package vault

import (
	"crypto/sha256"
	"fmt"
)

// Evidence is what proves to others who wrote a message. To the vault it is
// bytes.
type Evidence struct {
	Proof []byte
	// Certificate is of the device that wrote it. It is stored once for all
	// its messages.
	Certificate []byte
}

// PutEvidence stores the evidence of the message with m.ID. It goes with the
// message. ErrDuplicate: the message has some.
func (tx *Tx) PutEvidence(m Message, e Evidence) error {
	hash := sha256.Sum256(e.Certificate)
	if _, err := tx.exec(`INSERT INTO certificates (hash, certificate) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`,
		hash[:], blob(e.Certificate)); err != nil {
		return err
	}
	res, err := tx.exec(`INSERT INTO evidence (message, proof, certificate) VALUES (?, ?, ?) ON CONFLICT (message) DO NOTHING`,
		m.ID, blob(e.Proof), hash[:])
	if err == nil && res.changed == 0 {
		return fmt.Errorf("%w: evidence of message %d", ErrDuplicate, m.ID)
	}
	return err
}

// Evidence returns that of a message, or ErrNotFound.
func (tx *Tx) Evidence(conversation, messageID [16]byte) (Evidence, error) {
	return queryOne(tx, func(row scanner) (e Evidence, err error) {
		err = row.Scan(&e.Proof, &e.Certificate)
		return e, err
	}, `SELECT e.proof, c.certificate FROM messages m JOIN evidence e ON e.message = m.id JOIN certificates c ON c.hash = e.certificate
		WHERE m.message_id = ? AND m.conversation = ?`, messageID[:], conversation[:])
}
