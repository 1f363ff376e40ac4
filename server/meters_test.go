package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/metrics"
	"quicprochat/server/ratelimit"
)

// figure sums the series of a figure whose label values contain all of those
// given; of a histogram, how many values it has.
func (f *fixture) figure(name string, values ...string) (sum float64) {
	f.t.Helper()
	for _, family := range f.Metrics() {
		if family.Name != name {
			continue
		}
		for _, s := range family.Samples {
			if !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(s.Values, v) }) {
				sum += s.Value + float64(s.Count)
			}
		}
		return sum
	}
	f.t.Fatalf("there is no %s", name)
	return 0
}

// wantFigure waits for a figure, which may come a moment after an answer.
func (f *fixture) wantFigure(want float64, name string, values ...string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); f.figure(name, values...) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s%v is %v, want %v", name, values, f.figure(name, values...), want)
		}
	}
}

func TestMetricsOfAChat(t *testing.T) {
	f := start(t, func(c *Config) { c.Rates.Lookup = config.Rate{PerMinute: 1, Burst: 3} })
	c := runChat(t, f)
	f.wantFigure(21, "qpc_posts_total", "stored")
	f.wantFigure(20*2+2+1, "qpc_items_appended_total") // and the commit, with its welcome
	f.wantFigure(20, "qpc_calls_total", "ChannelService.Post", "ok")
	f.wantFigure(1, "qpc_calls_total", "ChannelService.Post", "bad_signature")
	f.wantFigure(21, "qpc_call_seconds", "ChannelService.Post")
	f.wantFigure(1, "qpc_calls_total", "login_failed")
	f.wantFigure(3, "qpc_calls_total", "AuthService.RegisterFinish", "ok")
	f.wantFigure(3, "qpc_sessions")
	f.wantFigure(1, "qpc_subscriptions")
	if got := f.figure("qpc_pushes_total", "queue_items"); got < 1 || got > 21 {
		t.Errorf("%v pushes", got)
	}
	if in, out := f.figure("qpc_blob_bytes_total", "in"), f.figure("qpc_blob_bytes_total", "out"); in < 1500+10+20 || out < 1500 || in > 3000 {
		t.Errorf("%v bytes of files in, %v out", in, out)
	}
	if got := f.figure("qpc_store_transactions_total", "ok"); got < 25 || got != f.figure("qpc_store_batch_calls") || got != f.figure("qpc_store_wait_seconds") {
		t.Errorf("%v transactions", got)
	}
	post := c.room.postRequest(c.room.postBody([]byte("twice")), c.room.keys[c.room.epoch])
	for range 2 {
		must[qpcv1.PostResponse](c.room.anon, post)
	}
	f.wantFigure(1, "qpc_posts_total", "duplicate")
	for range 6 {
		_, _ = call[qpcv1.ResolveUserResponse](c.room.anon, &qpcv1.ResolveUserRequest{Name: "nobody"})
	}
	if got := f.figure("qpc_rate_limited_total", "lookup"); got < 3 || f.figure("qpc_calls_total", "UserService.ResolveUser", "rate_limited") != got {
		t.Errorf("%v look-ups too many", got)
	}
	before := f.figure("qpc_connections")
	f.dial()
	f.wantFigure(before+1, "qpc_connections")
	f.wantFigure(0, "qpc_handshakes")
	f.clock.advance(40 * 24 * time.Hour)
	f.expire(t.Context())
	if f.figure("qpc_expired_total", "rows") < 20 || f.figure("qpc_expire_failures_total") != 0 {
		t.Error("what expired was not counted")
	}
	f.metricsNameNobody(c)
}

// metricsNameNobody searches the figures for everything that was used in a
// chat, and checks that labels come from fixed lists.
func (f *fixture) metricsNameNobody(c *chat) {
	f.t.Helper()
	families := f.Metrics()
	text := fmt.Appendf(nil, "%+v", families)
	secrets := [][]byte{[]byte("127.0.0.1"), []byte("::1"), c.room.id}
	for _, more := range [][][]byte{c.queues, c.items, c.otherSecrets, c.room.addresses, c.messages} {
		secrets = append(secrets, more...)
	}
	for _, name := range c.names {
		secrets = append(secrets, []byte(name))
	}
	for _, u := range c.blobs {
		name := u.name()
		secrets = append(secrets, u.secret, u.id, name[:])
	}
	for _, secret := range secrets {
		for _, spelled := range spellings(secret) {
			if bytes.Contains(text, spelled) {
				f.t.Errorf("the figures have %q", spelled)
			}
		}
	}
	known := []string{"unknown", "ok", "ended", "in", "out", "stored", "duplicate", "rows", "blobs", "failed", "refused", "total", "address", "handshakes", "login"}
	known = append(known, partServing, partStore, partDisk, partBlobs, partClock, partBus)
	for _, m := range wire.Methods() {
		known = append(known, methodLabel(m))
	}
	for _, enum := range []map[int32]string{qpcv1.ErrorCode_name, qpcv1.EventType_name, qpcv1.RateClass_name} {
		for _, name := range enum {
			for _, prefix := range []string{"ERROR_CODE_", "EVENT_TYPE_", "RATE_CLASS_"} {
				known = append(known, word(name, prefix))
			}
		}
	}
	series := 0
	for _, family := range families {
		series += len(family.Samples)
		for _, s := range family.Samples {
			for _, value := range s.Values {
				if !slices.Contains(known, value) && family.Name != "qpc_build_info" {
					f.t.Errorf("%s has the label value %q, which is in no fixed list", family.Name, value)
				}
			}
		}
	}
	if series > 500 {
		f.t.Errorf("%d series", series)
	}
}

// What strangers send under method numbers of their own is one series.
func TestMetricsOfRubbish(t *testing.T) {
	f := start(t)
	raw := f.dialRaw(t)
	for i := range 10 {
		stream, err := raw.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(wire.AppendRequest(nil, wire.Request{Method: uint16(0xfe00 + i), ID: 1}))
		_ = stream.Close()
	}
	f.wantFigure(10, "qpc_calls_total", "unknown", "unknown_method")
	f.wantFigure(0, "qpc_call_seconds", "unknown")
}

// Every figure has the prefix and an ending that says its unit.
func TestMetricsAreNamedWell(t *testing.T) {
	f := start(t)
	for _, family := range f.Metrics() {
		if !strings.HasPrefix(family.Name, "qpc_") || family.Help == "" || !strings.HasSuffix(family.Help, ".") {
			t.Errorf("%+v", family)
		}
		if (family.Kind == metrics.Counter) != strings.HasSuffix(family.Name, "_total") {
			t.Errorf("%s: counters end in _total, and nothing else does", family.Name)
		}
	}
}

// The limit of passwords for a name holds wherever they come from, for names
// that nobody has too, and costs no device its connection.
func TestLoginLimitByName(t *testing.T) {
	f := start(t, func(c *Config) { c.Rates.Login = config.Rate{PerMinute: 1, Burst: 4} })
	alice := f.register("alice")
	limitOf := func(name string) (tries int, last *wire.Error) {
		for {
			// a connection of its own each, as from many networks
			_, err := f.tryLogin(f.dial(), name, "wrong")
			if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED {
				return tries, wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
			}
			if tries++; tries > 20 {
				t.Fatal("there is no limit")
			}
		}
	}
	has, of := limitOf("alice")
	if has != 4 || of.RetryAfter < 30*time.Second || of.RetryAfter > 61*time.Second {
		t.Errorf("%d tries, then %+v", has, of)
	}
	// The same to the letter where nobody has the name, and nothing else learned.
	hasNot, ofNot := limitOf("nobody")
	if hasNot != has || ofNot.Message != of.Message || ofNot.RetryAfter.Round(10*time.Second) != of.RetryAfter.Round(10*time.Second) {
		t.Errorf("%d tries, then %+v; a name that somebody has: %d, %+v", hasNot, ofNot, has, of)
	}
	// Another spelling is the same name.
	_, err := f.tryLogin(f.dial(), "ALICE", alice.password)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
	f.reconnect(alice)
	if _, err := f.tryLogin(f.dial(), "bob", "wrong"); wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED {
		t.Error("another name is limited, too")
	}
	f.clock.advance(of.RetryAfter)
	if _, err := f.tryLogin(f.dial(), "alice", alice.password); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	f.wantFigure(3, "qpc_rate_limited_total", "login")
}

// A connection of a device is no way around the limit of passwords that are
// tried.
func TestPasswordChangeCountsAsLogin(t *testing.T) {
	f := start(t, func(c *Config) { c.Rates.Login = config.Rate{PerMinute: 1, Burst: 4} })
	alice := f.register("alice")
	for range 2 { // each lets two passwords be tried
		f.beginPassword(alice.conn, alice.person, "wrong", "whatever it is now")
	}
	_, request, err := passwords.StartRegistration([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, ke1, err := passwords.StartLogin([]byte("wrong"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = call[qpcv1.ChangePasswordStartResponse](alice.conn, &qpcv1.ChangePasswordStartRequest{Ke1: ke1, OpaqueRequest: request})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
	_, err = f.tryLogin(f.dial(), "alice", alice.password)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
}

// Rate limits count a network as what one customer has.
func TestRateLimitsByNetwork(t *testing.T) {
	f := start(t)
	rates := callRates(config.Rates{Lookup: config.Rate{PerMinute: 1, Burst: 2}})
	f.limiter.SetRates(rates)
	lookup := int32(qpcv1.RateClass_RATE_CLASS_LOOKUP)
	allowed := func(addresses ...string) (n int) {
		for _, a := range addresses {
			if f.limiter.Allow(lookup, ratelimit.Network(netip.MustParseAddr(a))) == 0 {
				n++
			}
		}
		return n
	}
	var host, hosts []string
	for i := range 100 {
		host = append(host, fmt.Sprintf("2001:db8:0:1::%x", i+1))
		hosts = append(hosts, fmt.Sprintf("2001:db8:0:%x::1", 0x100+i))
	}
	if n := allowed(host...); n != 2 {
		t.Errorf("a hundred addresses of one /64 had %d calls", n)
	}
	if n := allowed("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"); n != 2 {
		t.Errorf("one IPv4 address in two spellings had %d calls", n)
	}
	if n := allowed(hosts...); n != 100 {
		t.Errorf("a hundred networks had %d calls", n)
	}
}
