package server

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"quicprochat/core/tokens"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// payWithTokens gets tokens and spends one, twice.
func (l *long) payWithTokens(d *member) {
	f := l.f
	f.t.Helper()
	req, list := f.issue(d, 3)
	for _, blinded := range req.Blinded {
		l.hide("a blinded element", blinded, nil)
	}
	for _, encoded := range list {
		token, err := tokens.Parse(encoded)
		if err != nil {
			f.t.Fatal(err)
		}
		l.hide("a token's nonce", token.Nonce[:], nil)
		l.hide("a token's output", encoded[4+len(token.Nonce):], nil)
	}
	const text = "a first contact that nobody else may read"
	first := delivery(list[0], l.bob.address(), text)
	must[qpcv1.DeliverSealedResponse](f.dial(), first)
	_, err := call[qpcv1.DeliverSealedResponse](f.dial(), delivery(list[0], first.Address, text))
	wantCode(f.t, err, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
	l.hide("a message", []byte(text), nil)
	// These are in the queue, sealed, and tell nothing of a channel.
	l.hide("a first contact's item", first.ItemId, nil)
	l.hide("a first contact's address", first.Address, nil)
}

// wake has a device woken, and another one that does not want to be any more.
func (l *long) wake(laptop *member) {
	f := l.f
	t := f.t.(*testing.T)
	t.Helper()
	url, came := pushService(t)
	phone := f.enrolDevice(laptop)
	for d, path := range map[*member]string{phone: "/a-path-to-the-phone", laptop: "/a-path-to-the-laptop"} {
		req := pushRequest(t, url+path)
		must[qpcv1.RegisterPushResponse](d.conn, req)
		l.hide("a push endpoint's path", []byte(path), nil)
		l.hide("a push registration's key", req.P256Dh, nil)
		l.hide("a push registration's secret", req.Auth, nil)
	}
	l.hide("a push service", []byte(url), nil)
	must[qpcv1.UnregisterPushResponse](laptop.conn, &qpcv1.UnregisterPushRequest{})
	room := newRoom(f, phone)
	phone.Close()
	l.items = append(l.items, room.post([]byte("what wakes")))
	l.hide("a message", []byte("what wakes"), nil)
	select {
	case <-came:
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
}

// leaveWord keeps word of another server, which tells this one's client's
// address.
func (l *long) leaveWord() {
	f := l.f
	t := f.t.(*testing.T)
	t.Helper()
	const host = "home-in-logs.example"
	other, now := newStranger(t), f.clock.now()
	pin := other.pin(now)
	c := f.dial()
	published := must[qpcv1.PublishEndpointResponse](c, &qpcv1.PublishEndpointRequest{Record: other.record(host, now)})
	must[qpcv1.ResolveEndpointResponse](c, &qpcv1.ResolveEndpointRequest{Pin: pin})
	l.hide("a server's host", []byte(host), hostColumns)
	l.hide("a server's pin", pin, pinColumns)

	if published.SeenAs == f.cfg.PublicHost {
		if runtime.GOOS == "linux" {
			t.Fatal("a client's address is the server's")
		}
		return
	}
	address, err := netip.ParseAddr(published.SeenAs)
	if err != nil {
		t.Fatal(err)
	}
	mapped := address.As16()
	l.hide("a client's address", []byte(published.SeenAs), nil)
	l.hide("a client's address in bytes", mapped[:], nil)
}
