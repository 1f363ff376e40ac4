// Package ratelimit counts calls in token buckets. A bucket belongs to a
// subject (a remote network, an account, a name) and a rate class; a call takes one
// token from each bucket that it touches, or none where one of them is empty.
package ratelimit

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is a bucket's size and how fast it fills.
type Rate struct {
	PerMinute int
	Burst     int
}

func (r Rate) perSecond() float64 { return float64(r.PerMinute) / 60 }

// Key names a bucket. Class is the caller's number for the kind of call.
type Key struct {
	Class   int32
	Subject Subject
}

// Subject is whom a bucket belongs to.
type Subject struct {
	kind kind
	id   [16]byte
}

type kind uint8

const (
	network kind = iota
	account
	name
)

// Account returns the subject of an account id of 16 bytes.
func Account(id [16]byte) Subject { return Subject{account, id} }

// Name returns the subject of a name, which the caller has hashed under a key
// of its own.
func Name(hash [16]byte) Subject { return Subject{name, hash} }

// Network returns the subject of the network of ip: the address itself for
// IPv4, its /64 for IPv6, where a single customer usually has all of it.
func Network(ip netip.Addr) Subject {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			ip = prefix.Addr()
		}
	}
	return Subject{network, ip.As16()}
}

// maxBuckets bounds the memory that strangers can make the limiter use, some 20
// MiB. At the bound all buckets are forgotten that have been idle long enough to be
// full, and if that frees nothing, any eighth: so whoever has many addresses
// cannot be sure to make a certain bucket forgotten.
const maxBuckets = 200_000

// Limiter holds the buckets. It is safe for concurrent use.
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	rates   map[int32]Rate
	buckets map[Key]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
}

// New returns a limiter for the given rate of each class. Classes without a
// rate are not limited.
func New(rates map[int32]Rate, now func() time.Time) *Limiter {
	return &Limiter{rates: rates, now: now, buckets: make(map[Key]*bucket)}
}

// Allow takes a token of class from every subject's bucket and returns 0, or
// takes none and returns how long it is until all of them have one.
func (l *Limiter) Allow(class int32, subjects ...Subject) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate, limited := l.rates[class]
	if !limited {
		return 0
	}
	now := l.now()
	var wait time.Duration
	for _, subject := range subjects {
		wait = max(wait, l.fill(Key{class, subject}, rate, now).wait(rate))
	}
	if wait > 0 {
		return wait
	}
	for _, subject := range subjects {
		l.buckets[Key{class, subject}].tokens--
	}
	return 0
}

// Charge takes n tokens more for a call that was allowed, where it turns out to
// be worth several. The buckets may be left with a debt, which the calls after
// it wait for.
func (l *Limiter) Charge(class int32, n int, subjects ...Subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate, limited := l.rates[class]
	if !limited || n <= 0 {
		return
	}
	now := l.now()
	for _, subject := range subjects {
		l.fill(Key{class, subject}, rate, now).tokens -= float64(n)
	}
}

// fill returns the bucket of key as it is now, a full one where it is new.
func (l *Limiter) fill(key Key, rate Rate, now time.Time) *bucket {
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.makeRoom(now)
		}
		b = &bucket{tokens: float64(rate.Burst), last: now}
		l.buckets[key] = b
		return b
	}
	b.fill(rate, now)
	return b
}

func (b *bucket) fill(rate Rate, now time.Time) {
	if elapsed := now.Sub(b.last); elapsed > 0 {
		b.tokens = min(float64(rate.Burst), b.tokens+elapsed.Seconds()*rate.perSecond())
	}
	b.last = now
}

func (b *bucket) wait(rate Rate) time.Duration {
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1-b.tokens)/rate.perSecond()*float64(time.Second)) + time.Millisecond
}

func (l *Limiter) makeRoom(now time.Time) {
	l.sweep(now)
	for key := range l.buckets { // in no order
		if len(l.buckets) < maxBuckets-maxBuckets/8 {
			break
		}
		delete(l.buckets, key)
	}
}

// SetRates changes the rates. Buckets keep what they hold, as far as the new
// rate lets them.
func (l *Limiter) SetRates(rates map[int32]Rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rates = rates
	for key, b := range l.buckets {
		b.tokens = min(b.tokens, float64(rates[key.Class].Burst))
	}
}

// Sweep forgets the buckets that are full: they mean nothing.
func (l *Limiter) Sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(l.now())
}

func (l *Limiter) sweep(now time.Time) {
	for key, b := range l.buckets {
		rate := l.rates[key.Class]
		if b.fill(rate, now); b.tokens >= float64(rate.Burst) {
			delete(l.buckets, key)
		}
	}
}

// Len is the number of buckets held.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
