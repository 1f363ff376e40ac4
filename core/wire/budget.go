package wire

import (
	"net/netip"
	"sync"
)

// budget bounds the bytes of requests in memory, of all connections together
// and of each network, which can have a quarter. What counts is what has
// arrived: bytes that are only announced cost nothing and keep nobody out.
type budget struct {
	total int

	mu        sync.Mutex
	used      int
	perPrefix map[netip.Prefix]int
}

func newBudget(total int) *budget {
	return &budget{total: total, perPrefix: map[netip.Prefix]int{}}
}

func (b *budget) take(prefix netip.Prefix, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.total || b.perPrefix[prefix]+n > max(b.total/4, MaxRequest) {
		return false
	}
	b.used += n
	b.perPrefix[prefix] += n
	return true
}

func (b *budget) give(prefix netip.Prefix, n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.perPrefix[prefix] -= n; b.perPrefix[prefix] == 0 {
		delete(b.perPrefix, prefix)
	}
}
