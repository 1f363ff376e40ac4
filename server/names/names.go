// Package names turns account names into keyed hashes, for what a server must
// know again but not tell: which names were deleted, and for which ones a
// recovery code or a password was guessed. Without the key, whoever has the database cannot
// find out by trying names.
package names

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"

	"quicprochat/server/storage"
)

// Canonical gives the form in which names are stored and compared.
func Canonical(name string) string { return strings.ToLower(name) }

// Hasher makes the hashes of one server, or of several with the same key. It
// is safe for concurrent use.
type Hasher struct{ deleted, guessed, tried []byte }

// NewHasher derives what it needs from a key of the server's.
func NewHasher(key [32]byte) (*Hasher, error) {
	h := new(Hasher)
	for label, derived := range map[string]*[]byte{
		"qpc deleted names v1": &h.deleted, "qpc guessed names v1": &h.guessed, "qpc tried names v1": &h.tried,
	} {
		var err error
		if *derived, err = hkdf.Key(sha256.New, key[:], nil, label, sha256.Size); err != nil {
			return nil, fmt.Errorf("name key: %w", err)
		}
	}
	return h, nil
}

// Deleted is how a canonical name is known after its account was deleted.
func (h *Hasher) Deleted(name string) storage.NameHash { return hash(h.deleted, name) }

// Guessed is whose recovery code is guessed.
func (h *Hasher) Guessed(name string) storage.RecoverySubject { return hash(h.guessed, name) }

// Tried is whose password is tried.
func (h *Hasher) Tried(name string) [16]byte {
	full := hash(h.tried, name)
	return [16]byte(full[:16])
}

func hash(key []byte, name string) [32]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name))
	return [32]byte(mac.Sum(nil))
}
