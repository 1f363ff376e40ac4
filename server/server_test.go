package server

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

func TestSeveralServersInOneProcess(t *testing.T) {
	a, b := start(t), start(t)
	if a.Addr().String() == b.Addr().String() || a.Link(nil) == b.Link(nil) {
		t.Fatal("two servers are one")
	}
	alice := a.register("alice")
	if _, err := b.tryRegister("alice", goodPassword, nil); err != nil {
		t.Error(err)
	}
	wantCode(t, alice.authenticate(b.dial()), qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)
}

func TestLifeOfAServer(t *testing.T) {
	cfg := testConfig(t)
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != nil {
		t.Error("an address before the start")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); !errors.Is(err, ErrRunning) {
		t.Errorf("second start: %v", err)
	}
	cfg2 := testConfig(t)
	cfg2.Listen = s.Addr().String()
	other, err := New(cfg2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err == nil {
		t.Error("two servers on one port")
	}
	for range 2 {
		for _, s := range []*Server{other, s} {
			if err := s.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	<-s.Done()
	if err := s.Start(); !errors.Is(err, ErrRunning) {
		t.Errorf("start after the end: %v", err)
	}
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	f := start(t)
	c := f.dial() // stays, and so the goodbye takes a moment
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := f.Server
	err := s.Shutdown(ctx)
	if !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("got %v", err)
	}
	c.goodbye()
	<-s.Done()
	s.tasks.Wait()
	for !errors.Is(s.store.Ping(context.Background()), storage.ErrClosed) {
		time.Sleep(time.Millisecond)
	}
}

func TestLinks(t *testing.T) {
	f := start(t, func(c *Config) { c.PublicHost, c.PublicPort = "chat.example.org", 7777 })
	link, err := wire.ParseLink(f.Link([]byte("token")))
	if err != nil {
		t.Fatal(err)
	}
	if link.Host != "chat.example.org" || link.Port != 7777 || string(link.Token) != "token" || len(link.Pin) != 32 {
		t.Errorf("link: %+v", link)
	}
	for _, terms := range []struct {
		uses int
		ttl  time.Duration
	}{{0, time.Hour}, {-1, time.Hour}, {1, 0}, {1, -time.Hour}} {
		if _, err := f.CreateInvite(t.Context(), terms.uses, terms.ttl); !errors.Is(err, ErrInviteTerms) {
			t.Errorf("%+v: %v", terms, err)
		}
	}
}

// An invite made by another process, such as "qpc-server invite", works at once.
func TestInviteBesideARunningServer(t *testing.T) {
	f := start(t, func(c *Config) { c.Registration = config.RegistrationInvite })
	beside, err := New(f.cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := beside.CreateInvite(t.Context(), 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := beside.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	link, err := wire.ParseLink(text)
	if err == nil {
		t.Fatalf("a link with port 0 was made: %v", link)
	}
	token := text[strings.Index(text, "token=")+len("token="):]
	link, err = wire.ParseLink("qpc://127.0.0.1:1/?token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.tryRegister("alice", goodPassword, link.Token); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(t *testing.T, c *Config)
		want   string
	}{
		"no folder":         {func(_ *testing.T, c *Config) { c.DataDir = "" }, "data_dir"},
		"bad configuration": {func(_ *testing.T, c *Config) { c.Limits.QueueItems = -1 }, "queue_items"},
		"file as folder": {func(t *testing.T, c *Config) {
			c.DataDir = filepath.Join(c.DataDir, "file")
			if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "data folder"},
		"file as folder of blobs": {func(t *testing.T, c *Config) {
			if err := os.WriteFile(filepath.Join(c.DataDir, blobFolder), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "folder of blobs"},
		"database without keys": {func(t *testing.T, c *Config) {
			if err := os.WriteFile(filepath.Join(c.DataDir, secrets.DatabaseName), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "restore it from a backup"},
	} {
		cfg := testConfig(t)
		tc.change(t, &cfg)
		s, err := New(cfg, nil)
		if err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Shutdown(t.Context())
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRateLimits(t *testing.T) {
	f := start(t, func(c *Config) {
		c.Rates.Lookup = config.Rate{PerMinute: 60, Burst: 5}
		c.Rates.Auth = config.Rate{PerMinute: 60, Burst: 10}
	})
	c := f.dial()
	for range 5 {
		_, err := call[qpcv1.ResolveUserResponse](c, &qpcv1.ResolveUserRequest{Name: "nobody"})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	}
	// Another connection of the same network shares the bucket.
	for _, c := range []*conn{c, f.dial()} {
		_, err := call[qpcv1.ResolveUserResponse](c, &qpcv1.ResolveUserRequest{Name: "nobody"})
		e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
		if e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
	}
	// Other classes have buckets of their own.
	f.register("alice")
	f.clock.advance(time.Minute)
	_, err := call[qpcv1.ResolveUserResponse](c, &qpcv1.ResolveUserRequest{Name: "nobody"})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
}

func TestHealthAndInfo(t *testing.T) {
	f := start(t, func(c *Config) { c.ServerName = "Ours" })
	must[qpcv1.HealthResponse](f.dial(), &qpcv1.HealthRequest{})
	info := must[qpcv1.InfoResponse](f.dial(), &qpcv1.InfoRequest{})
	if info.ServerName != "Ours" || info.Version == "" || info.Registration != qpcv1.InfoResponse_REGISTRATION_OPEN ||
		info.MaxBlobSize != 100<<20 || info.MaxChannelAddresses != 2000 {
		t.Errorf("info: %v", info)
	}
}

// A port that is taken for a moment only keeps no server from starting.
func TestStartOnAPortThatIsFreeSoon(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.Listen = socket.LocalAddr().String()
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = socket.Close() })
	if err := s.Start(); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
