package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Doubted receives when Settle has something to do.
func (r *Registry) Doubted() <-chan struct{} { return r.doubted }

// doubt notes that another node may have a device's connection.
func (r *Registry) doubt(device identity.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices[device] == nil {
		return
	}
	r.doubts[device] = struct{}{}
	r.signalDoubt()
}

// signalDoubt has Settle called. The caller holds mu.
func (r *Registry) signalDoubt() {
	select {
	case r.doubted <- struct{}{}:
	default:
	}
}

// Settle asks the store about the devices that another node has said to have,
// and ends the connections here that are no longer the newest. After an error,
// Recheck has to do it.
func (r *Registry) Settle(ctx context.Context) error {
	r.mu.Lock()
	doubts := r.doubts
	r.doubts = make(map[identity.DeviceID]struct{})
	bound := make(map[[16]byte]*binding, len(doubts))
	for id := range doubts {
		switch b := r.devices[id]; {
		case b == nil:
		case b.claimed:
			bound[id] = b
		default: // what the store says now may be of before; Bind comes back to it
			r.doubts[id] = struct{}{}
		}
	}
	r.mu.Unlock()
	return r.recheckDevices(ctx, bound)
}

// Recheck asks the store about everybody who is connected, and ends what should
// have ended: whatever another node, or a program beside the server, has done
// that this node was not told of.
func (r *Registry) Recheck(ctx context.Context) error {
	r.mu.Lock()
	bound := make(map[[16]byte]*binding, len(r.devices))
	for id, b := range r.devices {
		if b.claimed {
			bound[id] = b
		}
	}
	accounts := make(map[[16]byte][]*wire.Peer, len(r.accounts))
	for id, peers := range r.accounts {
		accounts[id] = slices.Clone(peers)
	}
	r.mu.Unlock()
	// accounts first, whose reasons say more
	if err := r.recheckAccounts(ctx, accounts); err != nil {
		return err
	}
	return r.recheckDevices(ctx, bound)
}

func (r *Registry) recheckAccounts(ctx context.Context, accounts map[[16]byte][]*wire.Peer) error {
	if len(accounts) == 0 {
		return nil
	}
	records, err := r.store.Records(ctx, slices.Collect(maps.Keys(accounts)))
	if err != nil {
		return fmt.Errorf("looking for accounts: %w", err)
	}
	for id, peers := range accounts {
		record, there := records[id]
		hash := sha256.Sum256(record)
		for _, p := range peers {
			proved, login := p.Value(recordKey{}).([32]byte)
			switch {
			case !there:
				p.Close(qpcv1.Goodbye_REASON_DELETED)
			case login && proved != hash:
				p.Close(qpcv1.Goodbye_REASON_PASSWORD_CHANGED)
			}
		}
	}
	return nil
}

func (r *Registry) recheckDevices(ctx context.Context, bound map[[16]byte]*binding) error {
	if len(bound) == 0 {
		return nil
	}
	nodes, err := r.store.DeviceNodes(ctx, slices.Collect(maps.Keys(bound)))
	if err != nil {
		return fmt.Errorf("looking for devices: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, b := range bound {
		node, there := nodes[id]
		if r.devices[id] != b || there && node == r.node {
			continue // it connected anew meanwhile, or is where it should be
		}
		reason := qpcv1.Goodbye_REASON_REPLACED
		if !there {
			reason = qpcv1.Goodbye_REASON_REVOKED
		}
		b.peer.Close(reason)
		delete(r.devices, id)
	}
	return nil
}
