package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
)

// stateBroken is StateBroken in the vault, beside the vault's own states.
const stateBroken vault.ConversationState = 4

// conversation is a conversation in memory: its row, its MLS group while that
// is needed, and what waits to be sent.
type conversation struct {
	c  *Client
	id ConversationID

	// turn is taken by whoever changes the group: one intention at a time.
	turn chan struct{}

	mu    sync.Mutex
	row   vault.Conversation // Last, Unread and LastActivity are not kept up to date
	notes notes              // what row.Data holds
	group *mls.Group         // nil until needed, and after a transaction that failed
	state groupState         // of group
	epoch uint64             // of group, also while it is not in memory
	// accounts counts the leaves of each account in group.
	accounts map[AccountID]int
	signing  epochKey
	// outbox is what the vault's outbox holds for this conversation, in order.
	outbox     []*outgoing
	delivering bool // a goroutine works on the outbox
}

// notes is what the client keeps with a conversation's row.
type notes struct {
	// CanManage is Conversation.CanManage.
	CanManage bool `json:"manage,omitempty"`
	// Creating: the commit that adds the others has not been accepted yet.
	Creating bool `json:"creating,omitempty"`
	// Leaving: this device has asked to be removed.
	Leaving bool `json:"leaving,omitempty"`
	// NewHere: it has not been checked that all own devices take part.
	NewHere bool `json:"new,omitempty"`
	// Leavers asked to be removed in the present epoch.
	Leavers []mls.LeafIndex `json:"leavers,omitempty"`
	// Ahead is the own commits that were merged on the server's word, before the
	// queue brought them.
	Ahead []aheadCommit `json:"ahead,omitempty"`
	// Last is the epoch in which the group was when it was left.
	Last uint64 `json:"last,omitempty"`
	// Doubt: something was lost, and it has not been checked that no commit was.
	Doubt bool `json:"doubt,omitempty"`
	// Healing is the way back into a group that this device follows no longer.
	Healing *healing `json:"healing,omitempty"`
}

// aheadCommit is a commit by the epoch that it ended and its item id.
type aheadCommit struct {
	Epoch uint64 `json:"epoch"`
	Item  []byte `json:"item"`
}

// maxAhead bounds notes.Ahead: what the queue has not brought by then it will not.
const maxAhead = 8

// epochKey signs what goes to the channel in one epoch.
type epochKey struct {
	epoch uint64
	key   ed25519.PrivateKey
}

func newConversation(c *Client, row vault.Conversation) (*conversation, error) {
	v := &conversation{c: c, id: row.ID, row: row, turn: make(chan struct{}, 1)}
	if len(row.Data) > 0 {
		if err := json.Unmarshal(row.Data, &v.notes); err != nil {
			return nil, fmt.Errorf("%w: conversation: %w", ErrProfileCorrupt, err)
		}
	}
	return v, nil
}

// take waits for one's turn to change the group.
func (v *conversation) take(ctx context.Context) error {
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *conversation) giveBack() { <-v.turn }

// usable says why nothing can be written into the conversation.
func (v *conversation) usable() error {
	switch v.row.State {
	case vault.ConversationActive:
		return nil
	case stateBroken:
		return ErrBroken
	default:
		return ErrNotMember
	}
}

// sendable says why no message can be sent.
func (v *conversation) sendable() error {
	if err := v.c.status.ended(); err != nil {
		return err
	}
	return v.usable()
}

// following tells whether the group's messages are still taken in: also while
// waiting for one's own removal.
func (v *conversation) following() bool {
	return v.row.State == vault.ConversationActive || v.notes.Leaving
}

// open loads the group. The caller holds v.mu, here and below. ErrProfileCorrupt
// where what the vault holds is no group.
func (v *conversation) open(ctx context.Context) error {
	if v.group != nil {
		return nil
	}
	var group *mls.Group
	err := v.c.vault.View(ctx, func(tx *vault.Tx) error {
		records, err := tx.MLSRecords(v.id)
		if err != nil {
			return err
		}
		group, err = mls.Load(v.c.groups, v.c.self.signer, records)
		return err
	})
	switch {
	case errors.Is(err, mls.ErrCorruptState), errors.Is(err, mls.ErrSigner):
		return fmt.Errorf("%w: group: %w", ErrProfileCorrupt, err)
	case err != nil:
		return fmt.Errorf("client: load group: %w", err)
	}
	if err := v.enter(group); err != nil {
		return fmt.Errorf("%w: group: %w", ErrProfileCorrupt, err)
	}
	return nil
}

// enter takes a group into memory and reads from it what is asked for often.
func (v *conversation) enter(group *mls.Group) error {
	data, _ := group.GroupContextExtension(extGroupState)
	state, err := parseGroupState(v.id, data)
	if err != nil {
		return err
	}
	accounts := make(map[AccountID]int)
	for m := range group.Members() {
		account, err := accountOf(m.LeafNode)
		if err != nil {
			return err
		}
		accounts[account]++
	}
	v.group, v.state, v.accounts, v.epoch = group, state, accounts, group.Epoch()
	v.signing = epochKey{}
	return nil
}

// close drops the group from memory; the vault's is loaded when next needed.
func (v *conversation) close() {
	v.group, v.accounts = nil, nil
	clear(v.signing.key)
	v.signing = epochKey{}
}

// channelKeyLabel derives the key that signs what goes to the channel.
const channelKeyLabel = "qpc channel auth"

// exporter is the present epoch of a group, or the next one of a staged commit.
type exporter interface {
	Export(label string, context []byte, n int) ([]byte, error)
}

func (v *conversation) channelKey(from exporter) (ed25519.PrivateKey, error) {
	seed, err := from.Export(channelKeyLabel, v.id[:], ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// signingKey is the channel key of the present epoch.
func (v *conversation) signingKey() (ed25519.PrivateKey, error) {
	if v.signing.key == nil || v.signing.epoch != v.group.Epoch() {
		key, err := v.channelKey(v.group)
		if err != nil {
			return nil, err
		}
		v.signing = epochKey{v.group.Epoch(), key}
	}
	return v.signing.key, nil
}

// ownDevices is the leaves of an account.
func (v *conversation) leavesOf(account AccountID) []mls.Member {
	var leaves []mls.Member
	for m := range v.group.Members() {
		if a, err := accountOf(m.LeafNode); err == nil && a == account {
			leaves = append(leaves, m)
		}
	}
	return leaves
}

// alone tells whether no other account is in the group.
func (v *conversation) alone() bool {
	me := v.c.self.account()
	for account := range v.accounts {
		if account != me {
			return false
		}
	}
	return true
}

// peer is the other account of a direct chat; zero where there is none.
func (v *conversation) peer() AccountID {
	for account := range v.accounts {
		if account != v.c.self.account() {
			return account
		}
	}
	return AccountID{}
}

func random16() (id [16]byte) {
	rand.Read(id[:]) // never fails
	return id
}

func equalRows(a, b vault.Conversation) bool { return sameLook(a, b) && bytes.Equal(a.Data, b.Data) }

// sameLook compares what readers see of a row.
func sameLook(a, b vault.Conversation) bool {
	return a.Kind == b.Kind && a.Title == b.Title && a.PeerID == b.PeerID && a.State == b.State
}

func cloneNotes(n notes) notes {
	n.Leavers, n.Ahead, n.Healing = slices.Clone(n.Leavers), slices.Clone(n.Ahead), n.Healing.clone()
	return n
}

// canManage reads Conversation.CanManage from a row.
func canManage(row vault.Conversation) bool {
	var n notes
	return row.State == vault.ConversationActive && json.Unmarshal(row.Data, &n) == nil && n.CanManage
}
