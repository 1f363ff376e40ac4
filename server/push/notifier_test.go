package push

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicprochat/server/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	noon     = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
)

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
