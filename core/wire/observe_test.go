package wire

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// figures collects what an Observer is told.
type figures struct {
	mu     sync.Mutex
	calls  []Call
	pushes []qpcv1.EventType
}

func (f *figures) observer() Observer {
	return Observer{
		Call: func(c Call) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.calls = append(f.calls, c)
		},
		Push: func(e qpcv1.EventType, bytes int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if bytes > pushHeader {
				f.pushes = append(f.pushes, e)
			}
		},
	}
}

// wait waits for so many calls: they are told of after their answer.
func (f *figures) wait(t *testing.T, n int) []Call {
	t.Helper()
	ctx := testContext(t)
	for {
		f.mu.Lock()
		calls := f.calls
		f.mu.Unlock()
		if len(calls) >= n {
			return calls
		}
		if ctx.Err() != nil {
			t.Fatalf("told of %d calls", len(calls))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestObserverAndExplain(t *testing.T) {
	var f figures
	r := NewRouter()
	Handle(r, func(ctx context.Context, p *Peer, _ *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) {
		return &qpcv1.HealthResponse{}, p.Push(ctx, qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS, &qpcv1.QueueItems{Items: []*qpcv1.QueueItem{{Seq: 1}}})
	})
	Handle(r, func(context.Context, *Peer, *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
		return nil, errors.New("disk on fire")
	})
	Handle(r, func(context.Context, *Peer, *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		return nil, errors.New("something else")
	})
	s := serve(t, r, ServeOptions{
		Observer: f.observer(),
		Explain: func(m Method, err error) *Error {
			if m.Name != "qpc.v1.UserService.ResolveUser" || err.Error() != "disk on fire" {
				return nil
			}
			return &Error{Code: qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE, Message: "Later.", RetryAfter: 1e9}
		},
	})
	c := s.dial(t, DialOptions{})
	mustHealth(t, c)
	err := c.Call(testContext(t), &qpcv1.ResolveUserRequest{Name: "x"}, &qpcv1.ResolveUserResponse{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE || e.RetryAfter != 1e9 {
		t.Errorf("explained: %v", err)
	}
	if err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_INTERNAL {
		t.Errorf("not explained: %v", err)
	}
	calls := f.wait(t, 3)
	if h := calls[0]; h.Method.Name != "qpc.v1.NodeService.Health" || h.Code != 0 || h.Took <= 0 {
		t.Errorf("%+v", h)
	}
	if u := calls[1]; u.Method.Name != "qpc.v1.UserService.ResolveUser" || u.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE || u.Received != 3 {
		t.Errorf("%+v", u)
	}
	if len(f.pushes) != 1 {
		t.Errorf("pushes: %v", f.pushes)
	}
	if logs := s.logs.String(); strings.Contains(logs, "disk on fire") || !strings.Contains(logs, "something else") {
		t.Errorf("log: %s", logs)
	}
}

func TestBudget(t *testing.T) {
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	m := newBudget(4 * MaxRequest)
	if !m.take(a, MaxRequest) || m.take(a, 1) {
		t.Error("a network does not have a quarter")
	}
	if !m.take(b, MaxRequest) {
		t.Error("another one has nothing")
	}
	m.give(a, MaxRequest)
	if len(m.perPrefix) != 1 || !m.take(a, 1) {
		t.Error("nothing is given back")
	}
	m.total = 0
	if m.take(netip.MustParsePrefix("192.0.2.9/32"), 1) {
		t.Error("more than there is")
	}
}

// Places go by network: a /64 of IPv6, an address of IPv4 however it is
// written; and handshakes have a bound of their own.
func TestConnectionsByNetwork(t *testing.T) {
	at := func(text string) *place {
		ip := netip.MustParseAddr(text).Unmap()
		bits := 32
		if ip.Is6() {
			bits = 64
		}
		return &place{prefix: netip.PrefixFrom(ip, bits).Masked()}
	}
	c := NewConnections(100, 2, 3)
	one, two := at("2001:db8::1"), at("2001:db8::ffff:2")
	if !c.enter(one) || !c.enter(two) || c.enter(at("2001:db8::3")) {
		t.Error("a /64 does not have two places")
	}
	if !c.enter(at("192.0.2.1")) || c.enter(at("::ffff:192.0.2.1")) {
		t.Error("a third handshake, and not a fourth")
	}
	one.made, c.counts.Handshaking = true, c.counts.Handshaking-1
	mapped := at("::ffff:192.0.2.1")
	if !c.enter(mapped) || c.enter(at("192.0.2.1")) {
		t.Error("an IPv4 address in IPv6's clothes is another one")
	}
	if got := c.Counts(); got.RefusedAddress != 2 || got.RefusedHandshakes != 1 || got.Open != 4 || got.Handshaking != 3 {
		t.Errorf("%+v", got)
	}
	c.leave(two)
	c.leave(one)
	c.SetLimits(1, 0)
	if c.enter(at("2001:db8:1::1")) {
		t.Error("above a limit that was lowered")
	}
	if got := c.Counts(); got.Open != 2 || got.Failed != 1 || got.RefusedTotal != 1 || len(c.perPrefix) != 1 {
		t.Errorf("%+v, %d prefixes", got, len(c.perPrefix))
	}
}
