package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/seal"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// settingShared is the key of the shared settings in the vault.
const settingShared = "shared settings"

const (
	// maxShared bounds the settings, so that they fit into the account's vault
	// on the server, padding included.
	maxShared = 2000
	// sharedFloor is the least length in bytes to which they are padded.
	sharedFloor = 1024
	// shareInterval is how long a device may not know what another has set.
	shareInterval = 10 * time.Minute
)

// sharedKind is what a shared setting says.
type sharedKind uint8

const (
	sharedMuted   sharedKind = 1
	sharedPinned  sharedKind = 2
	sharedBlocked sharedKind = 3
)

// shared is one setting that is on: of a conversation, or of an account.
type shared struct {
	kind sharedKind
	id   [16]byte
}

func compareShared(a, b shared) int {
	return cmp.Or(slices.Compare(a.id[:], b.id[:]), cmp.Compare(a.kind, b.kind))
}

// sharedSettings is what the account's devices share: what the server has, and
// what this device has changed since.
type sharedSettings struct {
	mu      sync.RWMutex
	shared  time.Time // when this connection last asked the server; zero: not yet
	version uint64    // of what the server has; 0: nothing
	base    revision
	pending map[shared]bool // on or off
}

// revision is what the account's devices have agreed on, and how often that was
// changed. Versions are the server's: they begin anew with a backup, and it can
// say what it likes about them. A number is only ever taken over from a higher
// one, so nothing old comes back as news.
type revision struct {
	number uint64
	on     map[shared]bool
}

// maxRevisions is by how many a revision may be ahead of the one that a device
// knows. More of them nobody makes: it is the work of a device that would leave
// no room behind it.
const maxRevisions = 1 << 32

// storedSettings is sharedSettings in the vault.
type storedSettings struct {
	Version  uint64 `json:"version"`
	Settings []byte `json:"settings"`
	On       []byte `json:"on,omitempty"`
	Off      []byte `json:"off,omitempty"`
}

func (s *sharedSettings) has(kind sharedKind, id [16]byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key := shared{kind, id}
	if on, ok := s.pending[key]; ok {
		return on
	}
	return s.base.on[key]
}

// due tells whether it is time to ask the server.
func (s *sharedSettings) due(now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.pending) > 0 || now.Sub(s.shared) >= shareInterval
}

// sharedAt notes when the server was asked; zero: it is to be asked again.
func (s *sharedSettings) sharedAt(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = t
}

// merged is what counts: the server's with what was changed since. The caller
// holds s.mu.
func (s *sharedSettings) merged() map[shared]bool {
	all := maps.Clone(s.base.on)
	for key, on := range s.pending {
		if on {
			all[key] = true
		} else {
			delete(all, key)
		}
	}
	return all
}

// ids lists what a setting is on for.
func (s *sharedSettings) ids(kind sharedKind) [][16]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list [][16]byte
	for key := range s.merged() {
		if key.kind == kind {
			list = append(list, key.id)
		}
	}
	return list
}

func marshalShared(r revision) ([]byte, error) {
	m := &qpcv1.AccountSettings{Revision: r.number}
	for _, key := range slices.SortedFunc(maps.Keys(r.on), compareShared) {
		id := key.id[:]
		if key.kind == sharedBlocked {
			m.Blocked = append(m.Blocked, slices.Clone(id))
			continue
		}
		n := len(m.Conversations)
		if n == 0 || !slices.Equal(m.Conversations[n-1].ConversationId, id) {
			m.Conversations = append(m.Conversations, &qpcv1.ConversationSettings{ConversationId: slices.Clone(id)})
			n++
		}
		m.Conversations[n-1].Muted = m.Conversations[n-1].Muted || key.kind == sharedMuted
		m.Conversations[n-1].Pinned = m.Conversations[n-1].Pinned || key.kind == sharedPinned
	}
	return proto.Marshal(m)
}

var errSharedSettings = errors.New("client: shared settings are malformed")

func parseShared(b []byte) (revision, error) {
	var m qpcv1.AccountSettings
	if err := proto.Unmarshal(b, &m); err != nil {
		return revision{}, fmt.Errorf("%w: %w", errSharedSettings, err)
	}
	all := make(map[shared]bool)
	for _, c := range m.Conversations {
		if len(c.ConversationId) != 16 {
			return revision{}, errSharedSettings
		}
		if c.Muted {
			all[shared{sharedMuted, [16]byte(c.ConversationId)}] = true
		}
		if c.Pinned {
			all[shared{sharedPinned, [16]byte(c.ConversationId)}] = true
		}
	}
	for _, id := range m.Blocked {
		if len(id) != 16 {
			return revision{}, errSharedSettings
		}
		all[shared{sharedBlocked, [16]byte(id)}] = true
	}
	if len(all) > maxShared {
		return revision{}, errSharedSettings
	}
	return revision{m.Revision, all}, nil
}

// sealShared seals a version of the settings for the server to keep.
func sealShared(key *identity.VaultKey, account AccountID, version uint64, r revision) ([]byte, error) {
	b, err := marshalShared(r)
	if err != nil {
		return nil, err
	}
	return key.Seal(account, version, seal.Pad(b, sharedFloor)), nil
}

func openShared(key *identity.VaultKey, account AccountID, version uint64, sealed []byte) (revision, error) {
	padded, err := key.Open(account, version, sealed)
	if err != nil {
		return revision{}, err
	}
	b, err := seal.Unpad(padded)
	if err != nil {
		return revision{}, err
	}
	return parseShared(b)
}

// loadShared reads the settings from the vault.
func loadShared(tx *vault.Tx) (*sharedSettings, error) {
	s := &sharedSettings{base: revision{on: map[shared]bool{}}, pending: map[shared]bool{}}
	raw, err := tx.Setting(settingShared)
	if errors.Is(err, vault.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	var stored storedSettings
	err = json.Unmarshal(raw, &stored)
	base, baseErr := parseShared(stored.Settings)
	on, onErr := parseShared(stored.On)
	off, offErr := parseShared(stored.Off)
	if err = errors.Join(err, baseErr, onErr, offErr); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfileCorrupt, err)
	}
	s.version, s.base = stored.Version, base
	for key := range on.on {
		s.pending[key] = true
	}
	for key := range off.on {
		s.pending[key] = false
	}
	return s, nil
}

// saveShared writes the settings into the vault as they are to become, and then
// makes them so. The caller holds s.mu.
func (c *Client) saveShared(ctx context.Context, version uint64, base revision, pending map[shared]bool) error {
	on, off := make(map[shared]bool), make(map[shared]bool)
	for key, is := range pending {
		if is {
			on[key] = true
		} else {
			off[key] = true
		}
	}
	stored := storedSettings{Version: version}
	var err, onErr, offErr error
	stored.Settings, err = marshalShared(base)
	stored.On, onErr = marshalShared(revision{on: on})
	stored.Off, offErr = marshalShared(revision{on: off})
	if err := errors.Join(err, onErr, offErr); err != nil {
		return err
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	err = c.vault.Update(ctx, func(tx *vault.Tx) error { return tx.PutSetting(settingShared, raw) })
	if err == nil {
		c.shared.version, c.shared.base, c.shared.pending = version, base, pending
	}
	return err
}

// setShared turns a setting on or off here, and lets the other devices know
// when there is a connection.
func (c *Client) setShared(ctx context.Context, key shared, on bool) error {
	s := c.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.merged()
	if all[key] == on {
		return nil
	}
	if on && len(all) >= maxShared {
		return ErrTooManySettings
	}
	pending := maps.Clone(s.pending)
	if pending[key] = on; s.base.on[key] == on {
		delete(pending, key)
	}
	if err := c.saveShared(ctx, s.version, s.base, pending); err != nil {
		return c.closedOr(err)
	}
	wake(c.start)
	return nil
}
