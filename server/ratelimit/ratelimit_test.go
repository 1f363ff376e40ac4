package ratelimit

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"
)

const class = 1

type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func newLimiter(perMinute, burst int) (*Limiter, *clock) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	return New(map[int32]Rate{class: {PerMinute: perMinute, Burst: burst}}, c.now), c
}

func ip(text string) Subject { return Network(netip.MustParseAddr(text)) }

func TestBurstThenRate(t *testing.T) {
	l, c := newLimiter(60, 3)
	for i := range 3 {
		if wait := l.Allow(class, ip("192.0.2.1")); wait != 0 {
			t.Fatalf("call %d waits %v", i, wait)
		}
	}
	wait := l.Allow(class, ip("192.0.2.1"))
	if wait <= 0 || wait > time.Second+time.Millisecond {
		t.Fatalf("wait %v, want about a second", wait)
	}
	c.advance(wait)
	if wait := l.Allow(class, ip("192.0.2.1")); wait != 0 {
		t.Errorf("after the wait: %v", wait)
	}
	if wait := l.Allow(class, ip("192.0.2.1")); wait == 0 {
		t.Error("a second token came with the first")
	}
}

func TestNoTokenIsTakenWhereOneBucketIsEmpty(t *testing.T) {
	l, _ := newLimiter(60, 1)
	account := Account([16]byte{1})
	l.Allow(class, ip("192.0.2.1"))
	if l.Allow(class, account, ip("192.0.2.1")) == 0 {
		t.Fatal("an empty bucket gave a token")
	}
	if l.Allow(class, account, ip("192.0.2.2")) != 0 {
		t.Error("the refused call took the account's token")
	}
}

func TestSubjects(t *testing.T) {
	for _, tc := range []struct {
		a, b Subject
		same bool
	}{
		{ip("192.0.2.1"), ip("192.0.2.2"), false},
		{ip("192.0.2.1"), ip("::ffff:192.0.2.1"), true},
		{ip("2001:db8:1:2::1"), ip("2001:db8:1:2:ffff::9"), true},
		{ip("2001:db8:1:2::1"), ip("2001:db8:1:3::1"), false},
		{ip("fe80::1%eth0"), ip("fe80::2%eth1"), true},
		{Account([16]byte{15: 1}), ip("::1"), false},
		{Account([16]byte{1}), Name([16]byte{1}), false},
	} {
		if (tc.a == tc.b) != tc.same {
			t.Errorf("%v and %v: same is not %v", tc.a, tc.b, tc.same)
		}
	}
}

func TestClassesAreApart(t *testing.T) {
	l, _ := newLimiter(1, 1)
	l.Allow(class, ip("192.0.2.1"))
	if l.Allow(class+1, ip("192.0.2.1")) != 0 {
		t.Error("a class without a rate is limited")
	}
}

func TestSweepForgetsFullBuckets(t *testing.T) {
	l, c := newLimiter(60, 10)
	l.Allow(class, ip("192.0.2.1"))
	c.advance(30 * time.Second)
	for range 10 {
		l.Allow(class, ip("192.0.2.2"))
	}
	l.Sweep()
	if l.Len() != 1 {
		t.Errorf("%d buckets, want the one in use", l.Len())
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l, _ := newLimiter(1, 5)
	for i := range maxBuckets + 10 {
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], uint64(i))
		l.Allow(class, Account(id))
	}
	if l.Len() > maxBuckets || l.Len() < maxBuckets/2 {
		t.Errorf("%d buckets", l.Len())
	}
}

func TestSetRates(t *testing.T) {
	l, _ := newLimiter(1, 5)
	one, two := ip("192.0.2.1"), ip("192.0.2.2")
	l.Allow(class, one)
	l.SetRates(map[int32]Rate{class: {PerMinute: 1, Burst: 2}})
	for i, want := range []bool{true, true, false} {
		if got := l.Allow(class, one) == 0; got != want {
			t.Errorf("call %d of one that was here: %v", i, got)
		}
		if got := l.Allow(class, two) == 0; got != want {
			t.Errorf("call %d of a new one: %v", i, got)
		}
	}
	l.SetRates(nil)
	if l.Allow(class, one) != 0 {
		t.Error("limited without a rate")
	}
}

func TestTimeGoingBackGivesNothing(t *testing.T) {
	l, c := newLimiter(60, 1)
	l.Allow(class, ip("192.0.2.1"))
	c.advance(-time.Hour)
	if l.Allow(class, ip("192.0.2.1")) == 0 {
		t.Error("a token came out of a clock set back")
	}
}

func TestConcurrentCallsGetTheBurstExactly(t *testing.T) {
	l, _ := newLimiter(1, 100)
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if l.Allow(class, ip("192.0.2.1")) == 0 {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 100 {
		t.Errorf("%d calls allowed, want 100", allowed)
	}
}

// A call that counts as several leaves a debt, which is waited for.
func TestCharge(t *testing.T) {
	now := time.Unix(0, 0)
	l := New(map[int32]Rate{1: {PerMinute: 60, Burst: 10}}, func() time.Time { return now })
	who := Account([16]byte{1})
	if wait := l.Allow(1, who); wait != 0 {
		t.Fatal(wait)
	}
	l.Charge(1, 14, who)
	l.Charge(2, 1000, who) // not limited
	l.Charge(1, -5, who)
	if wait := l.Allow(1, who); wait < 6*time.Second || wait > 7*time.Second {
		t.Errorf("after a debt of 5: %v", wait)
	}
	now = now.Add(6 * time.Second)
	if wait := l.Allow(1, who); wait != 0 {
		t.Errorf("after the debt was worked off: %v", wait)
	}
}

// A rate may change while somebody is charged. The race detector finds what the
// lock does not cover.
func TestChargeWhileRatesChange(t *testing.T) {
	rates := map[int32]Rate{1: {PerMinute: 60, Burst: 10}}
	l := New(rates, time.Now)
	var both sync.WaitGroup
	both.Go(func() {
		for range 100 {
			l.Charge(1, 1, Account([16]byte{1}))
		}
	})
	both.Go(func() {
		for range 100 {
			l.SetRates(maps.Clone(rates))
		}
	})
	both.Wait()
}
