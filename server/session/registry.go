package session

import (
	"slices"
	"sync"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Registry holds the connections of this node that have proved an account, with
// or without a device. It is safe for concurrent use.
type Registry struct {
	relay Relay // nil: there is no other node

	mu       sync.Mutex
	devices  map[identity.DeviceID]*wire.Peer
	accounts map[identity.AccountID][]*wire.Peer
}

// NewRegistry returns an empty Registry that tells relay what ends here, so
// that it ends everywhere. A nil relay is for a server of one node.
func NewRegistry(relay Relay) *Registry {
	return &Registry{
		relay:    relay,
		devices:  make(map[identity.DeviceID]*wire.Peer),
		accounts: make(map[identity.AccountID][]*wire.Peer),
	}
}

// BindAccount makes p a connection of an account whose password it has proved,
// without a device. A connection that has another account is refused with a
// *wire.Error.
//
// Whether the account may still log in must be asked of the store once more
// after this: an end that came before found nothing to end.
func (r *Registry) BindAccount(p *wire.Peer, account identity.AccountID) error {
	if err := p.Authenticate(wire.Principal{Account: account[:]}); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addToAccount(p, account)
	return nil
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
	if old := r.devices[d.ID]; old != nil && old != p {
		old.Close(qpcv1.Goodbye_REASON_REPLACED)
	}
	r.devices[d.ID] = p
	r.addToAccount(p, d.Account)
	return nil
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
func (r *Registry) EndAccount(account identity.AccountID, reason qpcv1.Goodbye_Reason) {
	r.end(Ending{Account: account, Reason: reason})
}

func (r *Registry) end(e Ending) {
	r.Apply(e)
	if r.relay != nil {
		r.relay.Relay(e)
	}
}

// Apply says goodbye to what an ending names on this node alone.
func (r *Registry) Apply(e Ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.devices[e.Device]; p != nil {
		p.Close(e.Reason)
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
	for id, p := range r.devices {
		if gone(p) {
			delete(r.devices, id)
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
