package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a server that runs.
func running(t *testing.T) *server.Server {
	t.Helper()
	cfg := server.DefaultConfig()
	cfg.DataDir, cfg.Listen, cfg.PublicHost = t.TempDir(), "127.0.0.1:0", "127.0.0.1"
	cfg.Registration = config.RegistrationOpen
	s, err := server.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks a handler as a program on this machine does.
func get(h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9433"+path, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMetrics(t *testing.T) {
	s := running(t)
	link, err := wire.ParseLink(s.Link(nil))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wire.Dial(t.Context(), link, wire.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	name := "nobody-of-that-name"
	if err := c.Call(t.Context(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
		t.Fatal(err)
	}
	_ = c.Call(t.Context(), &qpcv1.ResolveUserRequest{Name: name}, &qpcv1.ResolveUserResponse{})
	h := Handler(s, false)
	text := ""
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(text, `outcome="unknown_account"`); {
		if time.Now().After(deadline) {
			t.Fatal(text)
		}
		w := get(h, "/metrics")
		if text = w.Body.String(); w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, text)
		}
	}
	for _, want := range []string{
		`qpc_calls_total{method="NodeService.Health",outcome="ok"} 1`,
		`qpc_calls_total{method="UserService.ResolveUser",outcome="unknown_account"} 1`,
		`qpc_call_seconds_bucket{method="NodeService.Health",le="+Inf"} 1`,
		`qpc_connections 1`, `# TYPE qpc_posts_total counter`, `go_goroutines `, `process_`, `qpc_build_info{version="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, secret := range []string{name, "127.0.0.1"} {
		if strings.Contains(text, secret) {
			t.Errorf("the figures have %q", secret)
		}
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	n := 0
	for lines.Scan() {
		n++
	}
	if n > 2000 {
		t.Errorf("%d lines", n)
	}
}

func TestHealthOfARunningServer(t *testing.T) {
	s := running(t)
	h := Handler(s, false)
	if w := get(h, "/healthz"); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := get(h, "/readyz")
	var answer readiness
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || !answer.Ready || len(answer.Parts) < 5 {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/healthz"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "clients cannot connect") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// stub is a server that says what a test wants.
type stub struct {
	parts []server.Part
	block chan struct{}
}

func (s stub) Metrics() []metrics.Family { return nil }
func (s stub) Alive(context.Context) error {
	if s.block != nil {
		<-s.block
	}
	return errors.New("no answer")
}
func (s stub) Ready(context.Context) []server.Part { return s.parts }

func TestNotReady(t *testing.T) {
	h := Handler(stub{parts: []server.Part{{Name: "store", OK: true, Text: "fine"}, {Name: "disk", Text: "the disk is full"}}}, false)
	w := get(h, "/readyz")
	var answer struct {
		Ready bool
		Parts []struct {
			Part, Text string
			OK         bool
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusServiceUnavailable || answer.Ready ||
		len(answer.Parts) != 2 || answer.Parts[1].Part != "disk" || answer.Parts[1].OK || answer.Parts[1].Text != "the disk is full" {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	if w := get(h, "/healthz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestNothingElse(t *testing.T) {
	h := Handler(stub{}, false)
	for _, path := range []string{"/", "/metrics/", "/debug/pprof/", "/healthz/x", "/..%2f"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if w := get(h, "/metrics", func(r *http.Request) { r.Method = method }); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// A page in a browser, whose name was made to lead here, reads nothing.
func TestOtherNamesAreRefused(t *testing.T) {
	for host, fine := range map[string]bool{
		"127.0.0.1:9433": true, "localhost:9433": true, "[::1]:9433": true, "localhost": true, "[::1]": true,
		"evil.example:9433": false, "10.0.0.1": false, "": false, "localhost.evil.example": false,
	} {
		w := get(Handler(stub{}, false), "/readyz", func(r *http.Request) { r.Host = host })
		if (w.Code == http.StatusOK) != fine {
			t.Errorf("%q: %d", host, w.Code)
		}
		if w := get(Handler(stub{}, true), "/readyz", func(r *http.Request) { r.Host = host }); w.Code != http.StatusOK {
			t.Errorf("%q where it is exposed: %d", host, w.Code)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := stub{block: make(chan struct{})}
	h := Handler(s, false)
	codes := make(chan int)
	for range atOnce + 3 {
		go func() { codes <- get(h, "/healthz").Code }()
	}
	for range 3 { // refused at once, while the others wait
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("status %d", code)
		}
	}
	close(s.block)
	for range atOnce {
		<-codes
	}
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, ln, Handler(stub{}, false), slog.New(slog.DiscardHandler)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + ln.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !slices.Contains(resp.Header["Cache-Control"], "no-store") {
		t.Errorf("%+v", resp)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
