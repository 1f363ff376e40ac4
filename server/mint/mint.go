// Package mint holds the keys of send tokens, one for each day and the same for
// everybody, and tells good tokens from others. It keeps nothing: the keys come
// from the server's secrets, so that all servers of one database have the same,
// and what was spent is the store's to know.
package mint

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"quicprochat/core/tokens"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

const day = 24 * time.Hour

var (
	errInvalid = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID, "A token was not made by this server.")
	errTwice   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT, "One token cannot pay twice.")
	// ErrKey is what is said of a key that is not in use: over, or not begun.
	ErrKey = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY, "The token is of another day. Ask for new ones.")
	// ErrSpent is what is said of storage.ErrTokenSpent.
	ErrSpent = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT, "The token was spent before.")
)

// Mint makes the keys of days. It is safe for concurrent use.
type Mint struct {
	secret []byte
	now    func() time.Time

	mu   sync.Mutex
	keys map[uint32]*tokens.Key // of today and yesterday
}

// New returns a Mint whose keys come from a secret of the server that is used
// for other things too.
func New(secret [32]byte, now func() time.Time) (*Mint, error) {
	own, err := hkdf.Key(sha256.New, secret[:], nil, "qpc send tokens v1", 32)
	if err != nil {
		return nil, fmt.Errorf("token secret: %w", err)
	}
	m := &Mint{secret: own, now: now, keys: make(map[uint32]*tokens.Key)}
	_, err = m.Today()
	return m, err
}

// Today is the key that tokens are made with now.
func (m *Mint) Today() (*tokens.Key, error) { return m.key(m.today()) }

// Public is Today as clients see it.
func (m *Mint) Public() (*qpcv1.TokenKey, error) {
	k, err := m.Today()
	if err != nil {
		return nil, err
	}
	return &qpcv1.TokenKey{Id: k.ID(), PublicKey: k.Public()}, nil
}

func (m *Mint) today() uint32 { return uint32(storage.DayOf(m.now()) / uint64(day/time.Second)) }

// key is that of today or yesterday.
func (m *Mint) key(id uint32) (*tokens.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.keys[id]; k != nil {
		return k, nil
	}
	k, err := tokens.DeriveKey(m.secret, id)
	if err != nil {
		return nil, err
	}
	for old := range m.keys {
		if old+1 < id {
			delete(m.keys, old)
		}
	}
	m.keys[id] = k
	return k, nil
}

// Check tells whether tokens are good and no two the same, and says how they
// are to be noted as spent for a use. It spends none. The use is a domain and
// what tells one use from another; it is hashed with the token's nonce. The error
// is a *wire.Error: TOKEN_INVALID, TOKEN_KEY, TOKEN_SPENT.
func (m *Mint) Check(encoded [][]byte, use ...[]byte) ([]storage.SpentToken, error) {
	all := make([]storage.SpentToken, 0, len(encoded))
	seen := make(map[storage.TokenHash]bool, len(encoded))
	for _, b := range encoded {
		spent, err := m.check(b, use)
		if err != nil {
			return nil, err
		}
		if seen[spent.Token] {
			return nil, errTwice
		}
		seen[spent.Token] = true
		all = append(all, spent)
	}
	return all, nil
}

func (m *Mint) check(encoded []byte, use [][]byte) (storage.SpentToken, error) {
	token, err := tokens.Parse(encoded)
	if err != nil {
		return storage.SpentToken{}, errInvalid
	}
	if today := m.today(); token.KeyID > today || token.KeyID+1 < today {
		return storage.SpentToken{}, ErrKey
	}
	k, err := m.key(token.KeyID)
	if err != nil {
		return storage.SpentToken{}, err
	}
	if err := k.Check(token); err != nil {
		return storage.SpentToken{}, errInvalid
	}
	return storage.SpentToken{
		Token: storage.TokenHash(hash("qpc spent token v1\x00", token.Nonce[:])),
		Use:   hash("qpc token use v1\x00", append([][]byte{token.Nonce[:]}, use...)...),
		// A day longer than the key: a server whose clock is behind still takes it.
		Due: time.Unix(int64(token.KeyID+3)*int64(day/time.Second), 0),
	}, nil
}

// hash is over parts of fixed lengths.
func hash(domain string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}
