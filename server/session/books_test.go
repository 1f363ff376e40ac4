package session

import (
	"context"
	"sync"
	"testing"

	"quicprochat/core/identity"
	"quicprochat/server/storage"
)

// books is a store in memory.
type books struct {
	mu       sync.Mutex
	err      error
	accounts map[[16]byte][]byte
	devices  map[[16]byte]storage.NodeID
	// afterClaim, where set, is called once when a device was claimed, before its
	// node learns that.
	afterClaim func()
}

func newBooks() *books {
	return &books{accounts: make(map[[16]byte][]byte), devices: make(map[[16]byte]storage.NodeID)}
}

func (b *books) do(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *books) fail(err error)                     { b.do(func() { b.err = err }) }
func (b *books) deleteAccount(a identity.AccountID) { b.do(func() { delete(b.accounts, a) }) }

func (b *books) revoke(d Device) { b.do(func() { delete(b.devices, d.ID) }) }

func (b *books) setRecord(a identity.AccountID, record []byte) {
	b.do(func() { b.accounts[a] = record })
}

func (b *books) record(a identity.AccountID) (record []byte) {
	b.do(func() { record = b.accounts[a] })
	return record
}

func (b *books) addAccount(a identity.AccountID) {
	b.do(func() {
		if b.accounts[a] == nil {
			b.accounts[a] = []byte("record")
		}
	})
}

func (b *books) add(d Device) {
	b.addAccount(d.Account)
	b.do(func() {
		if _, there := b.devices[d.ID]; !there {
			b.devices[d.ID] = storage.NodeID{}
		}
	})
}

func (b *books) ClaimDevice(_ context.Context, _, device [16]byte, node storage.NodeID) (bool, error) {
	moved, err := b.claim(device, node)
	var then func()
	b.do(func() { then, b.afterClaim = b.afterClaim, nil })
	if then != nil {
		then()
	}
	return moved, err
}

func (b *books) claim(device [16]byte, node storage.NodeID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, there := b.devices[device]
	if !there {
		return false, storage.ErrUnknownDevice
	}
	b.devices[device] = node
	return before != storage.NodeID{} && before != node, b.err
}

func (b *books) DeviceNodes(_ context.Context, devices [][16]byte) (map[[16]byte]storage.NodeID, error) {
	return pick(b, b.devices, devices)
}

func (b *books) Records(_ context.Context, accounts [][16]byte) (map[[16]byte][]byte, error) {
	return pick(b, b.accounts, accounts)
}

func pick[V any](b *books, all map[[16]byte]V, ids [][16]byte) (map[[16]byte]V, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[[16]byte]V)
	for _, id := range ids {
		if v, there := all[id]; there {
			found[id] = v
		}
	}
	return found, b.err
}

// alone is the relay of a node without others.
type alone struct{}

func (alone) Relay(Ending) {}

type relayFunc func(Ending)

func (f relayFunc) Relay(e Ending) { f(e) }

// toOther takes endings to another node, or loses them.
type toOther struct {
	t  *testing.T
	mu sync.Mutex
	no bool
}

func (r *toOther) lost(lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.no = lost
}

func (r *toOther) tell(other *node, e Ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.no {
		return
	}
	parsed, err := ParseEnding(e.Marshal())
	if err != nil {
		r.t.Error(err)
	}
	other.Ended(parsed)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
