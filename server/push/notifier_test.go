package push

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	noon     = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
)

// receiver is a push service and the device behind it.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	key    *ecdh.PrivateKey
	auth   []byte

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
	came   []*http.Request
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, key: key, auth: []byte("0123456789abcdef")}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.came, r.bodies = append(r.came, req), append(r.bodies, body)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) status(code int, headers ...string) {
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	})
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.came)
}

func (r *receiver) request(path string) *qpcv1.RegisterPushRequest {
	return &qpcv1.RegisterPushRequest{Endpoint: r.server.URL + path, P256Dh: r.key.PublicKey().Bytes(), Auth: r.auth}
}

// house is a notifier with a store and a clock of the test's own.
type house struct {
	*Service
	t *testing.T
	r *receiver

	mu        sync.Mutex
	time      time.Time
	targets   map[storage.QueueID]*storage.PushTarget
	connected map[storage.QueueID]uint64 // acknowledged over a connection here
	lookUps   int
	log       bytes.Buffer
	storage.PushStore
}

func newHouse(t *testing.T, allowed []netip.Prefix) *house {
	t.Helper()
	h := &house{t: t, r: newReceiver(t), time: noon, targets: map[storage.QueueID]*storage.PushTarget{}, connected: map[storage.QueueID]uint64{}}
	roots := x509.NewCertPool()
	roots.AddCert(h.r.server.Certificate())
	var err error
	h.Service, err = New(Options{
		Store: h, Presence: h, StorageKey: [32]byte{1}, Contact: "mailto:op@example.org", Networks: allowed, Roots: roots,
		Now: h.clock, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.sends.Wait()
		h.sender.close()
	})
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *house) PushTargets(_ context.Context, queues []storage.QueueID) (found []storage.PushTarget, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lookUps++
	for _, q := range queues {
		if target := h.targets[q]; target != nil {
			found = append(found, *target)
		}
	}
	return found, nil
}

func (h *house) ForgetPush(_ context.Context, queue storage.QueueID, sealed []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if target := h.targets[queue]; target != nil && bytes.Equal(target.Sealed, sealed) {
		delete(h.targets, queue)
	}
	return nil
}

func (h *house) Presence(queue storage.QueueID, seq uint64) (connected, caughtUp bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	acked, ok := h.connected[queue]
	return ok, ok && acked >= seq
}

// device registers a device at the receiver.
func (h *house) device(n byte) storage.QueueID {
	h.t.Helper()
	queue := storage.QueueID{n}
	sealed, err := h.vault.seal(queue, h.r.request(fmt.Sprintf("/device/%d", n)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.targets[queue] = &storage.PushTarget{Queue: queue, Sealed: sealed}
	return queue
}

// item appends an item to a queue.
func (h *house) item(queue storage.QueueID) {
	h.mu.Lock()
	h.targets[queue].LastSeq++
	seq := h.targets[queue].LastSeq
	h.mu.Unlock()
	h.Wake(storage.Appended{Queue: queue, Item: storage.Item{Seq: seq}})
}

// acknowledge has a device take in everything.
func (h *house) acknowledge(queue storage.QueueID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.targets[queue].Acked = h.targets[queue].LastSeq
}

// after lets time pass and everything happen that is due then.
func (h *house) after(d time.Duration) {
	h.mu.Lock()
	h.time = h.time.Add(d)
	h.mu.Unlock()
	h.round(h.t.Context())
	h.sends.Wait()
}

func (h *house) want(n int) {
	h.t.Helper()
	if got := h.r.count(); got != n {
		h.t.Fatalf("%d messages, want %d\n%s", got, n, h.log.String())
	}
}

func TestMessage(t *testing.T) {
	h := newHouse(t, loopback)
	h.item(h.device(1))
	h.after(delay)
	h.want(1)
	req := h.r.came[0]
	if req.Method != http.MethodPost || req.URL.Path != "/device/1" {
		t.Errorf("%s %s", req.Method, req.URL)
	}
	for name, want := range map[string]string{
		"Content-Encoding": "aes128gcm", "TTL": "604800", "Urgency": "normal", "Topic": "qpc",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	message, padding, err := decrypt(h.r.bodies[0], h.r.key, h.r.auth)
	if err != nil || len(message) != 0 || padding != 255 {
		t.Errorf("%q, %d bytes of padding, %v", message, padding, err)
	}
	h.checkToken(req.Header.Get("Authorization"))
}

// checkToken checks an Authorization header as RFC 8292 says.
func (h *house) checkToken(header string) {
	h.t.Helper()
	fields, ok := strings.CutPrefix(header, "vapid ")
	token, key, ok2 := strings.Cut(fields, ", k=")
	token, ok3 := strings.CutPrefix(token, "t=")
	parts := strings.Split(token, ".")
	if !ok || !ok2 || !ok3 || len(parts) != 3 {
		h.t.Fatalf("authorization %q", header)
	}
	raw := unbase64(h.t, key)
	if !bytes.Equal(raw, h.PublicKey()) {
		h.t.Error("the key is not the one that clients are told")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		h.t.Fatal(err)
	}
	signature := unbase64(h.t, parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(signature) != 64 || !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		h.t.Error("the signature does not verify")
	}
	if got := string(unbase64(h.t, parts[0])); got != `{"typ":"JWT","alg":"ES256"}` {
		h.t.Errorf("header %s", got)
	}
	var claims map[string]any
	if err := json.Unmarshal(unbase64(h.t, parts[1]), &claims); err != nil {
		h.t.Fatal(err)
	}
	life := time.Unix(int64(claims["exp"].(float64)), 0).Sub(h.clock())
	if claims["aud"] != h.r.server.URL || claims["sub"] != "mailto:op@example.org" || life <= 0 || life > 24*time.Hour || len(claims) != 3 {
		h.t.Errorf("claims %v, %v to live", claims, life)
	}
}

// Who is woken is left alone until it has fetched something, or minutes have
// passed.
func TestCoalescing(t *testing.T) {
	h := newHouse(t, loopback)
	one, two := h.device(1), h.device(2)
	for range 10 {
		h.item(one)
	}
	h.after(delay / 2)
	h.want(0) // it may still come by itself
	h.after(delay / 2)
	h.want(1)
	for range 5 {
		h.item(one)
		h.after(10 * time.Second)
	}
	h.want(1)
	h.item(two)
	h.after(delay)
	h.want(2)
	h.acknowledge(one) // it was here, on whatever node
	h.item(one)
	h.after(delay)
	h.want(3)
	h.after(quiet)
	h.want(3) // nothing new
	h.item(one)
	h.after(delay)
	h.want(4)
}

// Who takes in what comes is not woken: over a connection here, or elsewhere.
func TestConnected(t *testing.T) {
	h := newHouse(t, loopback)
	here, elsewhere, zombie := h.device(1), h.device(2), h.device(3)
	h.connected[here], h.connected[zombie] = 0, 0
	for range 20 {
		h.item(here)
		h.item(elsewhere)
		h.connected[here]++
		h.acknowledge(elsewhere)
		h.after(delay)
	}
	h.want(0)
	// whose connection is dead, and found to be so only later
	h.item(zombie)
	for range 20 {
		h.after(delay)
	}
	h.want(0)
	delete(h.connected, zombie)
	h.after(delay)
	h.want(1)
	// whose connection lives, but who does not acknowledge, is its own matter
	h.connected[zombie] = 0
	h.acknowledge(zombie)
	h.item(zombie)
	for range 5 {
		h.after(patience)
	}
	delete(h.connected, zombie)
	h.after(delay)
	h.want(1)
	if n := h.left(); n != 0 {
		t.Errorf("%d queues are remembered", n)
	}
}

func TestGoneRegistrationIsDeleted(t *testing.T) {
	for _, code := range []int{http.StatusNotFound, http.StatusGone} {
		h := newHouse(t, loopback)
		queue := h.device(1)
		h.r.status(code)
		h.item(queue)
		h.after(delay)
		h.want(1)
		if len(h.targets) != 0 {
			t.Error("the registration is still there")
		}
		h.Wake(storage.Appended{Queue: queue})
		h.after(time.Hour)
		h.want(1)
	}
}

func TestRetries(t *testing.T) {
	h := newHouse(t, loopback)
	queue := h.device(1)
	h.r.status(http.StatusServiceUnavailable)
	h.item(queue)
	h.after(delay)
	h.want(1)
	h.after(firstRetry / 3)
	h.want(1)
	h.after(firstRetry)
	h.want(2)
	h.r.status(http.StatusCreated)
	h.after(2 * firstRetry)
	h.want(3)
	h.after(time.Hour)
	h.want(3)

	// it comes to an end, and the next message begins anew, but not at once
	h.acknowledge(queue)
	h.r.status(http.StatusInternalServerError)
	h.item(queue)
	for range 50 {
		h.after(10 * time.Minute)
	}
	h.want(3 + maxTries)
	if n := h.left(); n != 0 {
		t.Errorf("%d queues are remembered", n)
	}
	if strings.Contains(h.log.String(), "127.0.0.1") || !strings.Contains(h.log.String(), "status 500") {
		t.Errorf("log: %s", h.log.String())
	}
}

// A push service that asks to be left alone is, for all devices; another is
// not kept waiting by that.
func TestRetryAfter(t *testing.T) {
	for name, value := range map[string]string{"seconds": "120", "date": noon.Add(121 * time.Second).Format(http.TimeFormat)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, loopback)
			one, two := h.device(1), h.device(2)
			h.r.status(http.StatusTooManyRequests, "Retry-After", value)
			h.item(one)
			h.after(delay)
			h.want(1)
			h.item(two)
			h.after(100 * time.Second)
			h.want(1)
			h.r.status(http.StatusCreated)
			h.after(25 * time.Second)
			h.want(3)
		})
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	h := newHouse(t, loopback)
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "7": 7 * time.Second, "999999999": time.Hour, "99999999999999999999": 0,
		noon.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := h.sender.retryAfter(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What a push service refuses for good is not repeated, and a redirect is not
// followed.
func TestRefused(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusFound, http.StatusTemporaryRedirect} {
		h := newHouse(t, loopback)
		h.r.status(code, "Location", h.r.server.URL+"/elsewhere")
		h.item(h.device(1))
		h.after(delay)
		for range 10 {
			h.after(10 * time.Minute)
		}
		h.want(1)
		if len(h.targets) != 1 {
			t.Error("the registration was deleted")
		}
	}
}

// A slow push service takes its share of requests and no more, and posts do
// not notice.
func TestSlowPushService(t *testing.T) {
	h := newHouse(t, loopback)
	gate := make(chan struct{})
	h.r.answers(func(w http.ResponseWriter, _ *http.Request) { <-gate })
	const devices = 50
	for n := range byte(devices) {
		h.item(h.device(n))
	}
	h.mu.Lock()
	h.time = h.time.Add(delay)
	h.mu.Unlock()
	h.round(t.Context())
	for h.r.count() < maxSendsPerService {
		time.Sleep(time.Millisecond)
	}
	h.Notifier.mu.Lock()
	if n := len(h.sending); n != maxSendsPerService {
		t.Errorf("%d requests at a time", n)
	}
	h.Notifier.mu.Unlock()
	close(gate)
	h.sends.Wait()
	for range devices / maxSendsPerService {
		h.after(delay)
	}
	h.want(devices)
}

func TestWaitingIsBounded(t *testing.T) {
	h := newHouse(t, loopback)
	for n := range maxWaiting + 100 {
		h.Wake(storage.Appended{Queue: storage.QueueID{1, byte(n), byte(n >> 8), byte(n >> 16)}})
	}
	if n := len(h.waiting); n != maxWaiting {
		t.Errorf("%d queues are remembered", n)
	}
	h.after(delay)
	if n := len(h.waiting); n != 0 || h.lookUps != (maxWaiting+storage.MaxPushTargets-1)/storage.MaxPushTargets {
		t.Errorf("%d queues are left after %d look-ups", n, h.lookUps)
	}
}

// Without leave, nothing that is not public is dialled, by whatever name.
func TestPrivateAddressesAreNotDialled(t *testing.T) {
	h := newHouse(t, nil)
	r, err := parseRegistration(h.r.request("/"), loopback)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.sender.send(t.Context(), r); got.verdict != refused || !strings.Contains(got.why, "public") {
		t.Errorf("got %+v", got)
	}
	r.endpoint.Host = strings.Replace(r.endpoint.Host, "127.0.0.1", "localhost", 1)
	if got := h.sender.send(t.Context(), r); got.verdict != refused || !strings.Contains(got.why, "public") {
		t.Errorf("by name: got %+v", got)
	}
	h.want(0)
}

func TestNetworks(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "100.63.255.255": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
		"2001:0:1::": false, "192.0.2.1": false, "198.18.0.1": false, "fec0::1": false, "fe80::1%eth0": false,
	} {
		if got := networks(nil).may(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !networks(loopback).may(netip.MustParseAddr("::ffff:127.0.0.1")) || networks(loopback).may(netip.MustParseAddr("::1")) {
		t.Error("leave is for what it names")
	}
}

func TestRegistrations(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *qpcv1.RegisterPushRequest {
		return &qpcv1.RegisterPushRequest{Endpoint: "https://push.example.org/x?y=z", P256Dh: key.PublicKey().Bytes(), Auth: make([]byte, 16)}
	}
	for name, tc := range map[string]struct {
		change  func(*qpcv1.RegisterPushRequest)
		allowed networks
		want    bool
	}{
		"good":           {func(*qpcv1.RegisterPushRequest) {}, nil, true},
		"a port":         {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org:8443/" }, nil, true},
		"http":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://push.example.org/" }, loopback, false},
		"http, loopback": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://127.0.0.1:99/" }, loopback, true},
		"http, no leave": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://127.0.0.1:99/" }, nil, false},
		"http, by name":  {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://localhost:99/" }, loopback, false},
		"private":        {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://192.168.1.1/" }, nil, false},
		"metadata":       {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://169.254.169.254/latest" }, nil, false},
		"IPv6":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://[::1]/" }, nil, false},
		"another scheme": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "ftp://push.example.org/" }, nil, false},
		"file":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "file:///etc/passwd" }, nil, false},
		"no host":        {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https:///x" }, nil, false},
		"credentials":    {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://a:b@push.example.org/" }, nil, false},
		"fragment":       {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org/#x" }, nil, false},
		"long": {func(r *qpcv1.RegisterPushRequest) {
			r.Endpoint = "https://push.example.org/" + strings.Repeat("x", 1000)
		}, nil, false},
		"empty":             {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "" }, nil, false},
		"control character": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org/\r\nX: y" }, nil, false},
		"short key":         {func(r *qpcv1.RegisterPushRequest) { r.P256Dh = r.P256Dh[:64] }, nil, false},
		"no point":          {func(r *qpcv1.RegisterPushRequest) { r.P256Dh = append([]byte{4}, make([]byte, 64)...) }, nil, false},
		"long secret":       {func(r *qpcv1.RegisterPushRequest) { r.Auth = make([]byte, 17) }, nil, false},
	} {
		req := good()
		tc.change(req)
		if _, err := parseRegistration(req, tc.allowed); (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is stored tells nothing, not even by its length, and opens in its place
// only.
func TestSealedRegistration(t *testing.T) {
	v, err := newVault([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	req := &qpcv1.RegisterPushRequest{Endpoint: "https://push.example.org/secret", P256Dh: make([]byte, 65), Auth: make([]byte, 16)}
	sealed, err := v.seal(storage.QueueID{1}, req)
	if err != nil {
		t.Fatal(err)
	}
	req.Endpoint = "https://push.example.org/" + strings.Repeat("x", 999)
	longest, err := v.seal(storage.QueueID{1}, req)
	if err != nil || len(longest) != len(sealed) || len(req.Endpoint) != maxEndpoint {
		t.Errorf("%d and %d bytes, %v", len(sealed), len(longest), err)
	}
	if bytes.Contains(sealed, []byte("push.example")) {
		t.Error("the endpoint shows")
	}
	if got, err := v.open(storage.QueueID{1}, sealed); err != nil || got.Endpoint != "https://push.example.org/secret" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := v.open(storage.QueueID{2}, sealed); err == nil {
		t.Error("it opens in another place")
	}
	other, err := newVault([32]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range [][]byte{nil, sealed[:10], sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)} {
		if _, err := v.open(storage.QueueID{1}, broken); err == nil {
			t.Error("something broken opens")
		}
	}
	if _, err := other.open(storage.QueueID{1}, sealed); err == nil {
		t.Error("it opens with another key")
	}
}

// The key at push services is the same after every start, and of this server.
func TestPushKey(t *testing.T) {
	one, err := newSigner([32]byte{1}, "")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := newSigner([32]byte{1}, "")
	other, _ := newSigner([32]byte{2}, "")
	if !bytes.Equal(one.public, again.public) || bytes.Equal(one.public, other.public) || len(one.public) != publicKeySize {
		t.Error("keys do not go with the storage key")
	}
	header, err := one.authorization("https://push.example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(header, ".")[1]
	if claims := string(unbase64(t, payload)); strings.Contains(claims, "sub") {
		t.Errorf("claims without a contact: %s", claims)
	}
}
