package server

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

// pushService is one on this machine; it tells of each message that comes.
func pushService(t *testing.T) (url string, came <-chan string) {
	t.Helper()
	messages := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		messages <- r.URL.Path
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(s.Close)
	return s.URL, messages
}

func withLoopbackPush(c *Config) { c.Push.PrivateNetworks = []string{"127.0.0.0/8"} }

func pushRequest(t *testing.T, url string) *qpcv1.RegisterPushRequest {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &qpcv1.RegisterPushRequest{Endpoint: url, P256Dh: key.PublicKey().Bytes(), Auth: random(16)}
}

func (m *member) registerPush(t *testing.T, url string) []byte {
	t.Helper()
	return must[qpcv1.RegisterPushResponse](m.conn, pushRequest(t, url)).PushKey
}

// A device is woken when it is not connected, and only then; also after the
// server was restarted, and at the endpoint that it named last.
func TestPushWakesWhoIsAway(t *testing.T) {
	f := start(t, withLoopbackPush)
	url, came := pushService(t)
	alice, bob := f.register("alice"), f.register("bob")
	info := must[qpcv1.InfoResponse](alice.conn, &qpcv1.InfoRequest{})
	if key := alice.registerPush(t, url+"/old"); !bytes.Equal(key, info.PushKey) || len(key) != 65 {
		t.Errorf("push key %x, by Info %x", key, info.PushKey)
	}
	alice.registerPush(t, url+"/alice")
	bob.registerPush(t, url+"/bob")
	r := newRoom(f, alice, bob)
	f.cfg.Listen = f.Addr().String()
	f.restart()
	f.reconnect(bob)
	r.anon = f.dial()
	bob.subscribe(0)
	r.post([]byte("x"))
	must[qpcv1.AckResponse](bob.conn, &qpcv1.AckRequest{UpToSeq: bob.next().Seq})
	select {
	case path := <-came:
		if path != "/alice" {
			t.Errorf("%s was woken", path)
		}
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
	// and bob when he is gone, which says that he was not before
	bob.Close()
	r.post([]byte("y"))
	if path := <-came; path != "/bob" {
		t.Errorf("%s was woken", path)
	}
}

// What is delivered for a token wakes like a post.
func TestSealedDeliveryWakesWhoIsAway(t *testing.T) {
	f := start(t, withLoopbackPush)
	url, came := pushService(t)
	alice, bob := f.register("alice"), f.register("bob")
	bob.registerPush(t, url+"/bob")
	_, list := f.issue(alice, 1)
	address := bob.address()
	bob.Close()
	must[qpcv1.DeliverSealedResponse](f.dial(), delivery(list[0], address, "first contact"))
	select {
	case path := <-came:
		if path != "/bob" {
			t.Errorf("%s was woken", path)
		}
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
}

// Posts do not wait for a push service that does not answer.
func TestPushServiceThatHangs(t *testing.T) {
	f := start(t, withLoopbackPush)
	gate, came := make(chan struct{}), make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		came <- struct{}{}
		<-gate
	}))
	defer s.Close()
	defer close(gate)
	alice, bob := f.register("alice"), f.register("bob")
	alice.registerPush(t, s.URL)
	r := newRoom(f, alice, bob)
	alice.Close()
	bob.subscribe(0)
	r.post([]byte("x"))
	bob.next()
	<-came
	for range 20 {
		r.post([]byte("y"))
		bob.next()
	}
	f.restart() // shutting down does not wait for it either
}

func TestPushRegistrationEnds(t *testing.T) {
	f := start(t, withLoopbackPush)
	url, _ := pushService(t)
	alice := f.register("alice")
	registered := func() bool {
		t.Helper()
		d, err := f.store.Device(t.Context(), alice.person.id, alice.id)
		if err != nil {
			return false
		}
		targets, err := f.store.PushTargets(t.Context(), []storage.QueueID{d.Queue})
		if err != nil {
			t.Fatal(err)
		}
		return len(targets) == 1
	}
	alice.registerPush(t, url)
	if !registered() {
		t.Fatal("not registered")
	}
	for range 2 {
		must[qpcv1.UnregisterPushResponse](alice.conn, &qpcv1.UnregisterPushRequest{})
		if registered() {
			t.Fatal("still registered")
		}
	}
	alice.registerPush(t, url)
	must[qpcv1.RevokeDeviceResponse](alice.conn, &qpcv1.RevokeDeviceRequest{DeviceId: alice.id[:]})
	var count int
	f.shutdown()
	if err := f.database().QueryRow(`SELECT count(*) FROM push_registrations`).Scan(&count); err != nil || count != 0 {
		t.Errorf("%d registrations are left of a revoked device, %v", count, err)
	}
	f.open() // for the clean-up
}

func TestPushRefused(t *testing.T) {
	f := start(t)
	url, _ := pushService(t)
	alice := f.register("alice")
	for _, bad := range []string{url, "http://push.example.org/", "https://10.1.2.3/", "https://[::ffff:127.0.0.1]/", ""} {
		_, err := call[qpcv1.RegisterPushResponse](alice.conn, pushRequest(t, bad))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_PUSH_INVALID)
	}
	off := start(t, func(c *Config) { c.Push.Enabled = false })
	bob := off.register("bob")
	_, err := call[qpcv1.RegisterPushResponse](bob.conn, pushRequest(t, "https://push.example.org/"))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_PUSH_DISABLED)
	if info := must[qpcv1.InfoResponse](bob.conn, &qpcv1.InfoRequest{}); info.PushKey != nil {
		t.Error("there is a push key")
	}
	must[qpcv1.UnregisterPushResponse](bob.conn, &qpcv1.UnregisterPushRequest{})
}

// A stolen database shows no endpoint, and neither does the log.
func TestEndpointIsHidden(t *testing.T) {
	f := start(t, withLoopbackPush)
	url, came := pushService(t)
	alice := f.register("alice")
	req := pushRequest(t, url+"/a-path-that-nobody-else-may-know")
	must[qpcv1.RegisterPushResponse](alice.conn, req)
	r := newRoom(f, alice)
	alice.Close()
	r.post([]byte("x"))
	<-came
	f.shutdown()
	raw, err := os.ReadFile(filepath.Join(f.cfg.DataDir, secrets.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	for _, haystack := range [][]byte{raw, f.logs.Bytes()} {
		for _, secret := range [][]byte{[]byte("a-path-that-nobody"), []byte(url), req.Auth, req.P256Dh} {
			if bytes.Contains(haystack, secret) {
				t.Errorf("%q shows", secret)
			}
		}
	}
	f.open() // for the clean-up
}
