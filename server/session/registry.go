package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// Store is what a Registry asks when it was not told.
type Store interface {
	ClaimDevice(ctx context.Context, account, device [16]byte, node storage.NodeID) (moved bool, err error)
	DeviceNodes(ctx context.Context, devices [][16]byte) (map[[16]byte]storage.NodeID, error)
	Records(ctx context.Context, accounts [][16]byte) (map[[16]byte][]byte, error)
}

// Registry holds the connections of this node that have proved an account, with
// or without a device. It is safe for concurrent use.
type Registry struct {
	store Store
	relay Relay
	node  storage.NodeID

	mu       sync.Mutex
	devices  map[identity.DeviceID]*binding
	accounts map[identity.AccountID][]*wire.Peer

	doubts  map[identity.DeviceID]struct{} // devices that another node may have
	doubted chan struct{}
}

// binding is a device's connection.
type binding struct {
	peer *wire.Peer
	// claimed: the store knows that the device is here. Until then it may say
	// something else.
	claimed bool
}

// NewRegistry returns an empty Registry that tells relay what ends here, so
// that it ends everywhere.
func NewRegistry(store Store, relay Relay) *Registry {
	r := &Registry{
		store:    store,
		relay:    relay,
		devices:  make(map[identity.DeviceID]*binding),
		accounts: make(map[identity.AccountID][]*wire.Peer),
		doubts:   make(map[identity.DeviceID]struct{}),
		doubted:  make(chan struct{}, 1),
	}
	rand.Read(r.node[:])
	return r
}

// recordKey finds the hash of the record that a connection has proved.
type recordKey struct{}

// BindAccount makes p a connection of an account whose password it has proved
// by an OPAQUE record, without a device. A connection that has another account
// is refused with a *wire.Error.
//
// Whether the record is still the account's must be asked of the store once
// more after this: an end that came before found nothing to end.
func (r *Registry) BindAccount(p *wire.Peer, account identity.AccountID, record []byte) error {
	if err := p.Authenticate(wire.Principal{Account: account[:]}); err != nil {
		return err
	}
	p.SetValue(recordKey{}, sha256.Sum256(record))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addToAccount(p, account)
	return nil
}

// Bind makes p the connection of d and says goodbye to the one before, on
// whichever node it is. Binding it again to the same device changes nothing; a
// connection that has another device or account is refused with a *wire.Error.
//
// A device that was revoked meanwhile gives storage.ErrDeviceRevoked or
// storage.ErrUnknownDevice; then, as where the store fails, p is told goodbye.
func (r *Registry) Bind(ctx context.Context, p *wire.Peer, d Device) error {
	if bound, ok := p.Value(deviceKey{}).(Device); ok && bound.ID != d.ID {
		return errOther
	}
	if err := p.Authenticate(wire.Principal{Account: d.Account[:], Device: d.ID[:]}); err != nil {
		return err
	}
	p.SetValue(deviceKey{}, d)
	r.replace(p, d)
	// After the binding: a revocation that came between the caller's look at
	// the device and the binding found no connection to end. It is found here.
	moved, err := r.store.ClaimDevice(ctx, d.Account, d.ID, r.node)
	if err != nil {
		p.Close(qpcv1.Goodbye_REASON_REVOKED)
		return err
	}
	r.mu.Lock()
	if b := r.devices[d.ID]; b != nil && b.peer == p {
		b.claimed = true
		if _, doubted := r.doubts[d.ID]; doubted { // by a node that claimed it after this one
			r.signalDoubt()
		}
	}
	r.mu.Unlock()
	if moved {
		r.relay.Relay(Ending{Device: d.ID, Reason: qpcv1.Goodbye_REASON_REPLACED})
	}
	return nil
}

// replace makes p the connection of d on this node.
func (r *Registry) replace(p *wire.Peer, d Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.devices[d.ID]; old == nil || old.peer != p {
		if old != nil {
			old.peer.Close(qpcv1.Goodbye_REASON_REPLACED)
		}
		r.devices[d.ID] = &binding{peer: p}
	}
	r.addToAccount(p, d.Account)
}

func (r *Registry) addToAccount(p *wire.Peer, account identity.AccountID) {
	if !slices.Contains(r.accounts[account], p) {
		r.accounts[account] = append(r.accounts[account], p)
	}
}

// End says goodbye to the connection of a device, on whichever node it is.
// Calls under way may finish.
func (r *Registry) End(device identity.DeviceID, reason qpcv1.Goodbye_Reason) {
	r.end(Ending{Device: device, Reason: reason})
}

// EndAccount says goodbye to every connection, on any node, that has proved an
// account by its password or as one of its devices. Calls under way may finish,
// so that the one that ends the account is answered.
//
// The store must know before why: nodes that are not told find out there.
func (r *Registry) EndAccount(account identity.AccountID, reason qpcv1.Goodbye_Reason) {
	r.end(Ending{Account: account, Reason: reason})
}

func (r *Registry) end(e Ending) {
	r.apply(e)
	r.relay.Relay(e)
}

// Ended does on this node what another one has said. Where a device came back
// in the meantime, the store knows which node has it, so it is asked first: see
// Doubted.
func (r *Registry) Ended(e Ending) {
	if e.Reason == qpcv1.Goodbye_REASON_REPLACED {
		r.doubt(e.Device)
		return
	}
	r.apply(e)
}

// apply says goodbye to what an ending names on this node alone.
func (r *Registry) apply(e Ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.devices[e.Device]; b != nil {
		b.peer.Close(e.Reason)
		delete(r.devices, e.Device)
	}
	for _, p := range r.accounts[e.Account] {
		p.Close(e.Reason)
	}
	delete(r.accounts, e.Account)
}

// Sweep forgets connections that are gone. Call it now and then.
func (r *Registry) Sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, b := range r.devices {
		if gone(b.peer) {
			delete(r.devices, id)
			delete(r.doubts, id)
		}
	}
	for id, peers := range r.accounts {
		if left := slices.DeleteFunc(peers, gone); len(left) > 0 {
			r.accounts[id] = left
		} else {
			delete(r.accounts, id)
		}
	}
}

func gone(p *wire.Peer) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// Len is the number of devices with a connection, gone ones that were not
// swept yet included.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.devices)
}
