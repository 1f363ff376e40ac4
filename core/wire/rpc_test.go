package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func TestConcurrentCalls(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{MaxStreams: 8}).dial(t, DialOptions{})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 10 {
				name := fmt.Sprintf("%d-%d", i, j)
				var resp qpcv1.ResolveUserResponse
				if err := c.Call(testContext(t), &qpcv1.ResolveUserRequest{Name: name}, &resp); err != nil {
					t.Error(err)
				} else if string(resp.GetAccountId()) != name {
					t.Errorf("%s was answered with %s", name, resp.GetAccountId())
				}
			}
		})
	}
	wg.Wait()
}

func TestLargeCalls(t *testing.T) {
	r := NewRouter()
	Handle(r, func(_ context.Context, _ *Peer, req *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
		return &qpcv1.CommitResponse{ChannelSeq: uint64(len(req.GetBody()))}, nil
	})
	Handle(r, func(_ context.Context, p *Peer, req *qpcv1.FetchKeyPackageRequest) (*qpcv1.FetchKeyPackageResponse, error) {
		return &qpcv1.FetchKeyPackageResponse{Devices: []*qpcv1.DeviceKeys{{KeyPackage: make([]byte, 15<<20)}}}, nil
	})
	c := serve(t, r, ServeOptions{}).dial(t, DialOptions{})
	var wg sync.WaitGroup
	for range 2 { // together within RequestMemory
		wg.Go(func() {
			var resp qpcv1.CommitResponse
			err := c.Call(testContext(t), &qpcv1.CommitRequest{Body: make([]byte, 15<<20)}, &resp)
			if err != nil || resp.GetChannelSeq() != 15<<20 {
				t.Errorf("%d, %v", resp.GetChannelSeq(), err)
			}
		})
	}
	wg.Wait()
	var resp qpcv1.FetchKeyPackageResponse
	if err := c.Call(testContext(t), &qpcv1.FetchKeyPackageRequest{}, &resp); err != nil || len(resp.GetDevices()[0].GetKeyPackage()) != 15<<20 {
		t.Error(err)
	}
	if err := c.Call(testContext(t), &qpcv1.CommitRequest{Body: make([]byte, 17<<20)}, &qpcv1.CommitResponse{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above max_payload: %v", err)
	}
}

// Large requests beyond a connection's memory are refused before they are
// read, and small ones go on.
func TestRequestMemoryIsBounded(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	r := healthRouter()
	Handle(r, func(context.Context, *Peer, *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
		started <- struct{}{}
		<-release
		return &qpcv1.CommitResponse{}, nil
	})
	c := serve(t, r, ServeOptions{RequestMemory: 1 << 20}).dial(t, DialOptions{})
	large := &qpcv1.CommitRequest{Body: make([]byte, 8<<20)} // alone it may be larger than the bound
	called := make(chan error, 1)
	go func() { called <- c.Call(testContext(t), large, &qpcv1.CommitResponse{}) }()
	receive(t, started, "the first call's handler")
	err := c.Call(testContext(t), large, &qpcv1.CommitResponse{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED || e.RetryAfter == 0 {
		t.Error(err)
	}
	mustHealth(t, c)
	close(release)
	if err := receive(t, called, "the first call"); err != nil {
		t.Error(err)
	}
	go func() { <-started }()
	if err := c.Call(testContext(t), large, &qpcv1.CommitResponse{}); err != nil {
		t.Errorf("the memory is not given back: %v", err)
	}
}

func TestErrorsTravel(t *testing.T) {
	want := &Error{
		Code:       qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH,
		Message:    "Somebody was faster.",
		RetryAfter: 1500 * time.Millisecond,
		Stale:      &qpcv1.StaleEpoch{CurrentEpoch: 7, WinnerItemId: []byte("winner")},
	}
	r := NewRouter()
	Handle(r, func(context.Context, *Peer, *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
		return nil, fmt.Errorf("commit: %w", want)
	})
	c := serve(t, r, ServeOptions{}).dial(t, DialOptions{})
	err := c.Call(testContext(t), &qpcv1.CommitRequest{}, &qpcv1.CommitResponse{})
	got, ok := errors.AsType[*Error](err)
	if !ok || got.Code != want.Code || got.Message != want.Message || got.RetryAfter != want.RetryAfter || !proto.Equal(got.Stale, want.Stale) {
		t.Errorf("%+v", err)
	}
	if CodeOf(fmt.Errorf("x: %w", err)) != want.Code || CodeOf(errors.New("x")) != 0 || CodeOf(nil) != 0 {
		t.Error("CodeOf")
	}
}

func TestFailuresInHandlersAreInternal(t *testing.T) {
	for name, h := range map[string]func(name string) error{
		"an error":        func(string) error { return errors.New("disk full") },
		"a panic":         func(name string) error { panic("cannot handle " + name) },
		"a runtime panic": func(string) error { return []error{}[len(os.Args)] },
		"bad text":        func(string) error { return NewError(qpcv1.ErrorCode_ERROR_CODE_INTERNAL, "\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRouter()
			Handle(r, func(_ context.Context, _ *Peer, req *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
				return nil, h(req.GetName())
			})
			Handle(r, func(context.Context, *Peer, *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) {
				return &qpcv1.HealthResponse{}, nil
			})
			s := serve(t, r, ServeOptions{})
			c := s.dial(t, DialOptions{})
			err := c.Call(testContext(t), &qpcv1.ResolveUserRequest{Name: "alice-the-secret"}, &qpcv1.ResolveUserResponse{})
			if CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_INTERNAL || strings.Contains(err.Error(), "disk") {
				t.Errorf("%v", err)
			}
			mustHealth(t, c)
			log := s.logs.String()
			if name != "bad text" && !strings.Contains(log, "UserService.ResolveUser") {
				t.Errorf("not logged: %q", log)
			}
			if strings.Contains(log, "alice") || strings.Contains(log, "127.0.0.1") {
				t.Errorf("the log tells too much: %s", log)
			}
		})
	}
}

func TestHandleRefusesMistakes(t *testing.T) {
	panics := func(name string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		f()
	}
	panics("duplicate", func() {
		r := healthRouter()
		Handle(r, func(context.Context, *Peer, *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) { return nil, nil })
	})
	panics("no request", func() {
		Handle(NewRouter(), func(context.Context, *Peer, *emptypb.Empty) (*qpcv1.HealthResponse, error) { return nil, nil })
	})
	panics("wrong response", func() {
		Handle(NewRouter(), func(context.Context, *Peer, *qpcv1.HealthRequest) (*qpcv1.InfoResponse, error) { return nil, nil })
	})
}

func TestCallRefusesMistakes(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
	if err := c.Call(testContext(t), &emptypb.Empty{}, &emptypb.Empty{}); !errors.Is(err, ErrUnknownMethod) {
		t.Error(err)
	}
	if err := c.Call(testContext(t), &qpcv1.HealthRequest{}, &qpcv1.InfoResponse{}); err == nil {
		t.Error("a wrong response type was taken")
	}
	if err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD {
		t.Errorf("method without a handler: %v", err)
	}
	mustHealth(t, c)
}

func TestCancelReachesTheHandler(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	r := healthRouter()
	Handle(r, func(ctx context.Context, _ *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	s := serve(t, r, ServeOptions{})
	c := s.dial(t, DialOptions{})
	ctx, cancel := context.WithCancel(testContext(t))
	called := make(chan error, 1)
	go func() { called <- c.Call(ctx, &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}) }()
	receive(t, started, "the handler's start")
	cancel()
	if err := receive(t, called, "the call's end"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	receive(t, ended, "the handler's end")
	mustHealth(t, c)
	if log := s.logs.String(); log != "" {
		t.Errorf("a cancelled call is logged: %s", log)
	}
}

func TestExporterIsOfOneConnection(t *testing.T) {
	r := NewRouter()
	Handle(r, func(_ context.Context, p *Peer, _ *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
		e, err := p.Exporter()
		return &qpcv1.ResolveUserResponse{AccountId: e}, err
	})
	s := serve(t, r, ServeOptions{})
	var all [][]byte
	for range 2 {
		c := s.dial(t, DialOptions{})
		mine, err := c.Exporter()
		if err != nil || len(mine) != 32 {
			t.Fatalf("%x, %v", mine, err)
		}
		var resp qpcv1.ResolveUserResponse
		if err := c.Call(testContext(t), &qpcv1.ResolveUserRequest{}, &resp); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(mine, resp.GetAccountId()) {
			t.Error("the two ends have different exporters")
		}
		all = append(all, mine)
	}
	if bytes.Equal(all[0], all[1]) {
		t.Error("two connections have the same exporter")
	}
}

func TestLostConnection(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	r := healthRouter()
	Handle(r, func(ctx context.Context, p *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		started <- struct{}{}
		<-release
		p.closeNow(CloseMalformed, "")
		return &qpcv1.InfoResponse{}, nil
	})
	c := serve(t, r, ServeOptions{}).dial(t, DialOptions{})
	called := make(chan error, 1)
	go func() { called <- c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}) }()
	receive(t, started, "the handler's start")
	if c.Err() != nil {
		t.Error(c.Err())
	}
	close(release)
	for _, err := range []error{
		receive(t, called, "the call's end"),
		func() error { receive(t, c.Done(), "the connection's end"); return c.Err() }(),
		callHealth(t, c),
	} {
		var closed *ClosedError
		if !errors.Is(err, ErrClosed) || !errors.As(err, &closed) || closed.Code != CloseMalformed || !closed.Remote {
			t.Errorf("%v", err)
		}
	}
}

func TestOwnClose(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
	_ = c.Close()
	_ = c.Close()
	closed, ok := errors.AsType[*ClosedError](c.Err())
	if !ok || closed.Remote || closed.Code != CloseNormal || !errors.Is(closed, ErrClosed) || errors.Is(closed, ErrSlowPeer) {
		t.Errorf("%+v", c.Err())
	}
	if err := callHealth(t, c); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestSilenceEndsTheConnection(t *testing.T) {
	s := serve(t, healthRouter(), ServeOptions{})
	relay := newRelay(t)
	relay.forwardTo(s.link.Addr())
	s.link.Port = relay.port()
	c := s.dial(t, DialOptions{IdleTimeout: 200 * time.Millisecond})
	mustHealth(t, c)
	relay.cut()
	receive(t, c.Done(), "the connection's end")
	if _, idle := errors.AsType[*quic.IdleTimeoutError](c.Err()); !idle || !errors.Is(c.Err(), ErrClosed) {
		t.Error(c.Err())
	}
}

func TestUnreachable(t *testing.T) {
	silent := listen(t, "127.0.0.1:0") // takes packets and never answers
	defer silent.Close()
	link := Link{Host: "127.0.0.1", Port: silent.LocalAddr().(*net.UDPAddr).Port, Pin: testPin}
	if _, err := Dial(testContext(t), link, DialOptions{HandshakeTimeout: 100 * time.Millisecond}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("handshake timeout: %v", err)
	}
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, link, DialOptions{}); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(testContext(t))
	cancel()
	if _, err := Dial(ctx, link, DialOptions{}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
	link.Host = "no-such-host.invalid"
	_, err := Dial(testContext(t), link, DialOptions{})
	if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "no-such-host") {
		t.Errorf("unknown name: %v", err)
	}
}

func TestLocalhostFindsEitherFamily(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		pc, err := Listen(addr)
		if err != nil && strings.HasPrefix(addr, "[") {
			t.Logf("no IPv6 here: %v", err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		s := serveOn(t, pc, healthRouter(), ServeOptions{})
		s.link.Host = "localhost"
		mustHealth(t, s.dial(t, DialOptions{}))
	}
}

func TestConnectionValues(t *testing.T) {
	type key struct{}
	p := &Peer{}
	if p.Value(key{}) != nil || p.TakeValue(key{}) != nil {
		t.Error("a value from nowhere")
	}
	p.SetValue(key{}, 1)
	if p.Value(key{}) != 1 || p.TakeValue(key{}) != 1 || p.Value(key{}) != nil {
		t.Error("TakeValue")
	}
	p.SetValue(key{}, 2)
	p.SetValue(key{}, nil)
	if p.Value(key{}) != nil {
		t.Error("nil does not delete")
	}
}

func TestRemoteAddr(t *testing.T) {
	r := NewRouter()
	Handle(r, func(_ context.Context, p *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		return &qpcv1.InfoResponse{ServerName: p.RemoteAddr().String()}, nil
	})
	s := serveOn(t, listen(t, ":0"), r, ServeOptions{}) // an IPv6 socket that takes IPv4
	var resp qpcv1.InfoResponse
	if err := s.dial(t, DialOptions{}).Call(testContext(t), &qpcv1.InfoRequest{}, &resp); err != nil || resp.GetServerName() != "127.0.0.1" {
		t.Errorf("%s, %v", resp.GetServerName(), err)
	}
}
