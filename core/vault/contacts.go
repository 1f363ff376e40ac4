package vault

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Contact is an account that this client has met.
type Contact struct {
	AccountID [16]byte
	// AccountKey is the account's Ed25519 public key, 32 bytes.
	AccountKey []byte
	Name       string
	// FirstSeen is set by the first PutContact and kept by later ones.
	FirstSeen time.Time
}

const contactColumns = `account_id, account_key, name, first_seen`

func scanContact(row scanner) (Contact, error) {
	var c Contact
	err := row.Scan(id16{&c.AccountID}, &c.AccountKey, &c.Name, millis{&c.FirstSeen})
	return c, err
}

// PutContact inserts the contact or updates its name. A known account key is
// never replaced: ErrKeyChanged.
func (tx *Tx) PutContact(c Contact) error {
	known, err := tx.Contact(c.AccountID)
	switch {
	case errors.Is(err, ErrNotFound):
		_, err = tx.exec(`INSERT INTO contacts (`+contactColumns+`) VALUES (?, ?, ?, ?)`,
			c.AccountID[:], blob(c.AccountKey), c.Name, toMillis(c.FirstSeen))
		return err
	case err != nil:
		return err
	case !bytes.Equal(known.AccountKey, c.AccountKey):
		return fmt.Errorf("%w: account %x", ErrKeyChanged, c.AccountID)
	}
	_, err = tx.exec(`UPDATE contacts SET name = ? WHERE account_id = ?`, c.Name, c.AccountID[:])
	return err
}

// Contact returns the contact with the account id, or ErrNotFound.
func (tx *Tx) Contact(account [16]byte) (Contact, error) {
	return queryOne(tx, scanContact,
		`SELECT `+contactColumns+` FROM contacts WHERE account_id = ?`, account[:])
}

// ContactByName returns the contact with the name, or ErrNotFound. Where a
// name has passed from one account to another it is the one met last.
func (tx *Tx) ContactByName(name string) (Contact, error) {
	return queryOne(tx, scanContact, `SELECT `+contactColumns+
		` FROM contacts WHERE name = ? ORDER BY first_seen DESC LIMIT 1`, name)
}

// Contacts returns all contacts, ordered by name.
func (tx *Tx) Contacts() ([]Contact, error) {
	return queryAll(tx, scanContact, `SELECT `+contactColumns+` FROM contacts ORDER BY name, first_seen`)
}

// DeleteContact forgets a contact, and with it its account key. An unknown one
// is no error.
func (tx *Tx) DeleteContact(account [16]byte) error {
	_, err := tx.exec(`DELETE FROM contacts WHERE account_id = ?`, account[:])
	return err
}
