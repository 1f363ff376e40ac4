package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func TestMain(m *testing.M) {
	if attack := os.Getenv(attackEnv); attack != "" {
		runAttack(attack)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what should happen at once; only a failing test waits for it.
const patience = 20 * time.Second

// certificate is made once: what tests of other things need.
var certificate = sync.OnceValue(func() tls.Certificate {
	cert, err := selfSigned()
	if err != nil {
		panic(err)
	}
	return cert
})

func selfSigned() (tls.Certificate, error) {
	dir, err := os.MkdirTemp("", "wire")
	if err != nil {
		return tls.Certificate{}, err
	}
	defer os.RemoveAll(dir)
	return LoadOrCreateCertificate(dir, nil)
}

// testServer is a running Serve.
type testServer struct {
	link Link
	logs *syncBuffer
	stop context.CancelFunc // begins the graceful stop
	done chan error         // what Serve returned
}

func listen(t testing.TB, addr string) net.PacketConn {
	t.Helper()
	pc, err := Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

func serve(t testing.TB, r *Router, opts ServeOptions) *testServer {
	t.Helper()
	return serveOn(t, listen(t, "127.0.0.1:0"), r, opts)
}

func serveOn(t testing.TB, pc net.PacketConn, r *Router, opts ServeOptions) *testServer {
	t.Helper()
	cert := certificate()
	s := &testServer{
		link: linkTo(pc),
		logs: &syncBuffer{},
		done: make(chan error, 1),
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(s.logs, nil))
	}
	if opts.Linger == 0 {
		opts.Linger = 200 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		s.done <- Serve(ctx, pc, ServerTLS(cert), r, opts)
		close(s.done)
	}()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, s.done, "the server's end"); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// listenRaw makes a bare QUIC server, for tests that play one that misbehaves.
// Closing its transport at the test's end takes the connections along, which
// closing the listener would not.
func listenRaw(t testing.TB, conf *tls.Config) (*quic.Listener, Link) {
	t.Helper()
	pc := listen(t, "127.0.0.1:0")
	tr := &quic.Transport{Conn: pc}
	t.Cleanup(func() {
		_ = tr.Close()
		_ = pc.Close()
	})
	ln, err := tr.Listen(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ln, linkTo(pc)
}

func linkTo(pc net.PacketConn) Link {
	pin := PinOf(certificate())
	return Link{Host: "127.0.0.1", Port: pc.LocalAddr().(*net.UDPAddr).Port, Pin: pin[:]}
}

func (s *testServer) dial(t testing.TB, opts DialOptions) *Conn {
	t.Helper()
	c, err := Dial(testContext(t), s.link, opts)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a value, or for a channel's close.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

// syncBuffer collects logs.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// healthRouter answers Health and ResolveUser.
func healthRouter() *Router {
	r := NewRouter()
	Handle(r, func(context.Context, *Peer, *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) {
		return &qpcv1.HealthResponse{}, nil
	})
	Handle(r, func(_ context.Context, _ *Peer, req *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
		return &qpcv1.ResolveUserResponse{AccountId: []byte(req.GetName())}, nil
	})
	return r
}

func callHealth(t testing.TB, c *Conn) error {
	t.Helper()
	return c.Call(testContext(t), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{})
}

func mustHealth(t testing.TB, c *Conn) {
	t.Helper()
	if err := callHealth(t, c); err != nil {
		t.Fatalf("Health: %v", err)
	}
}
