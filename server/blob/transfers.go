package blob

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// patience is how long a download waits for its place.
const patience = 10 * time.Second

// transfers counts chunks in memory, in all and of each client network, so
// that neither a crowd nor a single client can fill it.
type transfers struct {
	all        *semaphore.Weighted
	maxNetwork int

	mu      sync.Mutex
	network map[netip.Prefix]int
}

func newTransfers(all, perNetwork int) *transfers {
	return &transfers{all: semaphore.NewWeighted(int64(all)), maxNetwork: perNetwork, network: make(map[netip.Prefix]int)}
}

// try takes a place until ctx ends; errBusy where there is none.
func (t *transfers) try(ctx context.Context, client netip.Addr) error {
	network := networkOf(client)
	if !t.enter(network) {
		return errBusy
	}
	if !t.all.TryAcquire(1) {
		t.exit(network)
		return errBusy
	}
	context.AfterFunc(ctx, func() { t.leave(network) })
	return nil
}

// wait is try with some patience.
func (t *transfers) wait(ctx context.Context, client netip.Addr) error {
	network := networkOf(client)
	if !t.enter(network) {
		return errBusy
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := t.all.Acquire(waiting, 1); err != nil {
		t.exit(network)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errBusy
	}
	context.AfterFunc(ctx, func() { t.leave(network) })
	return nil
}

func (t *transfers) leave(network netip.Prefix) {
	t.all.Release(1)
	t.exit(network)
}

func (t *transfers) enter(network netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.network[network] >= t.maxNetwork {
		return false
	}
	t.network[network]++
	return true
}

func (t *transfers) exit(network netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.network[network]--; t.network[network] == 0 {
		delete(t.network, network)
	}
}

// networkOf is what one client usually has: an IPv4 address or an IPv6 /64.
func networkOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // zero for an address that is none
	return prefix
}
