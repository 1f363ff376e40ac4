package server

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/rendezvous"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// stranger is a server of which there is only the key.
type stranger struct {
	t   *testing.T
	key ed25519.PrivateKey
}

func newStranger(t *testing.T) *stranger {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &stranger{t, key}
}

func (s *stranger) record(host string, issued time.Time) *qpcv1.EndpointRecord {
	s.t.Helper()
	r, err := rendezvous.Sign(s.key, rendezvous.Endpoint{Hosts: []string{host}, Port: 4433, Issued: issued, Expires: issued.Add(24 * time.Hour)})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stranger) pin(now time.Time) []byte {
	e, err := rendezvous.Open(s.record("x", now), now)
	if err != nil {
		s.t.Fatal(err)
	}
	return e.Pin[:]
}

func publish(c *conn, r *qpcv1.EndpointRecord) error {
	_, err := call[qpcv1.PublishEndpointResponse](c, &qpcv1.PublishEndpointRequest{Record: r})
	return err
}

func TestEndpoints(t *testing.T) {
	f := start(t)
	c, s := f.dial(), newStranger(t)
	now := f.clock.now()
	pin := s.pin(now)
	resolve := func() (*qpcv1.ResolveEndpointResponse, error) {
		return call[qpcv1.ResolveEndpointResponse](c, &qpcv1.ResolveEndpointRequest{Pin: pin})
	}
	_, err := resolve()
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ENDPOINT)
	record := s.record("home.example", now)
	for range 2 {
		resp := must[qpcv1.PublishEndpointResponse](c, &qpcv1.PublishEndpointRequest{Record: record})
		if resp.SeenAs != "127.0.0.1" {
			t.Errorf("seen as %q", resp.SeenAs)
		}
	}
	got, err := resolve()
	if err != nil || !proto.Equal(got.Record, record) {
		t.Fatalf("%v, %v", got, err)
	}
	later := s.record("new.example", now.Add(time.Second))
	if err := publish(c, later); err != nil {
		t.Fatal(err)
	}
	wantCode(t, publish(c, record), qpcv1.ErrorCode_ERROR_CODE_ENDPOINT_STALE)
	// forged in every way, nothing changes
	forged := proto.CloneOf(later)
	forged.Signature[0] ^= 1
	other := newStranger(t).record("evil.example", now.Add(time.Minute))
	foreign := &qpcv1.EndpointRecord{Body: s.record("evil.example", now.Add(time.Minute)).Body, Signature: other.Signature}
	for _, bad := range []*qpcv1.EndpointRecord{
		nil, {}, forged, foreign, s.record("old.example", now.Add(-48*time.Hour)), s.record("future.example", now.Add(time.Hour)),
	} {
		wantCode(t, publish(c, bad), qpcv1.ErrorCode_ERROR_CODE_ENDPOINT_INVALID)
	}
	if got, err = resolve(); err != nil || !proto.Equal(got.Record, later) {
		t.Fatalf("%v, %v", got, err)
	}
	_, err = call[qpcv1.ResolveEndpointResponse](c, &qpcv1.ResolveEndpointRequest{Pin: pin[:31]})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	f.clock.advance(25 * time.Hour)
	_, err = resolve()
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ENDPOINT)
	f.expire(t.Context())
	if err := publish(c, s.record("back.example", f.clock.now())); err != nil {
		t.Fatal(err)
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.EndpointsPerNetwork = 3 })
	c := f.dial()
	for range 3 {
		if err := publish(c, newStranger(t).record("x", f.clock.now())); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, publish(c, newStranger(t).record("x", f.clock.now())), qpcv1.ErrorCode_ERROR_CODE_ENDPOINTS_FULL)
	closed := start(t, func(c *Config) { c.Limits.Endpoints = 0 })
	wantCode(t, publish(closed.dial(), newStranger(t).record("x", f.clock.now())), qpcv1.ErrorCode_ERROR_CODE_ENDPOINTS_FULL)
}

// A server leaves word at others by itself: at its start, when it has moved,
// and every hour. Its clients are told where.
func TestServerLeavesWord(t *testing.T) {
	meeting := start(t)
	home := start(t, func(c *Config) { c.Rendezvous = []string{meeting.Link([]byte("token"))} })
	info := must[qpcv1.InfoResponse](home.dial(), &qpcv1.InfoRequest{})
	if len(info.Rendezvous) != 1 || info.Rendezvous[0] != meeting.Link(nil) {
		t.Errorf("clients are told of %q", info.Rendezvous)
	}
	link, err := wire.ParseLink(home.Link(nil))
	if err != nil {
		t.Fatal(err)
	}
	c := meeting.dial()
	found := func() (rendezvous.Endpoint, bool) {
		resp, err := call[qpcv1.ResolveEndpointResponse](c, &qpcv1.ResolveEndpointRequest{Pin: link.Pin})
		if err != nil {
			return rendezvous.Endpoint{}, false
		}
		e, err := rendezvous.OpenFor(link.Pin, resp.Record, meeting.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		return e, true
	}
	await := func(what string, ok func(rendezvous.Endpoint) bool) rendezvous.Endpoint {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if e, known := found(); known && ok(e) {
				return e
			}
			if time.Now().After(deadline) {
				t.Fatalf("no word %s", what)
			}
		}
	}
	first := await("after the start", func(e rendezvous.Endpoint) bool { return e.Port == link.Port && e.Hosts[0] == "127.0.0.1" })
	home.restart() // on another free port
	moved, _ := wire.ParseLink(home.Link(nil))
	second := await("after the move", func(e rendezvous.Endpoint) bool { return e.Port == moved.Port })
	if moved.Port == link.Port || !second.Issued.After(first.Issued) {
		t.Errorf("moved from %d to %d", link.Port, moved.Port)
	}
	// by hand, what the ticker does: nothing within the hour, then again
	p := home.publisher()
	for range 2 {
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	third, _ := found()
	meeting.clock.advance(30 * time.Minute)
	home.clock.advance(30 * time.Minute)
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if same, _ := found(); !same.Issued.Equal(third.Issued) {
		t.Error("published again within the hour")
	}
	meeting.clock.advance(2 * time.Hour)
	home.clock.advance(2 * time.Hour)
	if err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if later, _ := found(); !later.Issued.After(third.Issued) {
		t.Error("not published after an hour")
	}
	meeting.shutdown()
	p = home.publisher()
	if err := p.Publish(t.Context()); err == nil {
		t.Error("a server that is gone took the word")
	}
	meeting.open()
}
