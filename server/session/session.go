// Package session knows which device is behind which connection. A device has
// one connection at a time: when it authenticates on another one, the old is
// told goodbye, and when it is revoked, too.
package session

import (
	"crypto/ed25519"
	"sync"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// Device is what the server knows of the device behind a connection.
type Device struct {
	Account identity.AccountID
	ID      identity.DeviceID
	// AccountKey certified Key, the device's signature key.
	AccountKey, Key ed25519.PublicKey
	Queue           storage.QueueID
}

type deviceKey struct{}

var (
	errNoAccount = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection has not logged in.")
	errNoDevice  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection has not authenticated as a device.")
	errOther     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection belongs to another device.")
)

// AccountOf returns the account that p has proved, or a *wire.Error.
func AccountOf(p *wire.Peer) (identity.AccountID, error) {
	who, ok := p.Principal()
	if !ok {
		return identity.AccountID{}, errNoAccount
	}
	id, err := identity.ParseAccountID(who.Account)
	if err != nil {
		return identity.AccountID{}, errNoAccount
	}
	return id, nil
}

// DeviceOf returns the device that p has proved, or a *wire.Error.
func DeviceOf(p *wire.Peer) (Device, error) {
	d, ok := p.Value(deviceKey{}).(Device)
	if !ok {
		return Device{}, errNoDevice
	}
	return d, nil
}

// Registry holds the live connection of each device of this node. The zero
// Registry is empty and ready, and safe for concurrent use.
type Registry struct {
	mu    sync.Mutex
	peers map[identity.DeviceID]*wire.Peer
}

// Bind makes p the connection of d and says goodbye to the one before.
// Binding it again to the same device changes nothing; a connection that has
// another device or account is refused with a *wire.Error.
func (r *Registry) Bind(p *wire.Peer, d Device) error {
	if bound, ok := p.Value(deviceKey{}).(Device); ok && bound.ID != d.ID {
		return errOther
	}
	if err := p.Authenticate(wire.Principal{Account: d.Account[:], Device: d.ID[:]}); err != nil {
		return err
	}
	p.SetValue(deviceKey{}, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers == nil {
		r.peers = make(map[identity.DeviceID]*wire.Peer)
	}
	if old := r.peers[d.ID]; old != nil && old != p {
		old.Close(qpcv1.Goodbye_REASON_REPLACED)
	}
	r.peers[d.ID] = p
	return nil
}

// End says goodbye to the connection of a device where there is one. Calls
// under way may finish.
func (r *Registry) End(device identity.DeviceID, reason qpcv1.Goodbye_Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[device]; p != nil {
		p.Close(reason)
		delete(r.peers, device)
	}
}

// Sweep forgets connections that are gone. Call it now and then.
func (r *Registry) Sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.peers {
		select {
		case <-p.Done():
			delete(r.peers, id)
		default:
		}
	}
}

// Len is the number of devices with a connection, gone ones that were not
// swept yet included.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.peers)
}
