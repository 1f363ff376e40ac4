package wire

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// slowRouter has an Info that runs until it is released.
func slowRouter() (r *Router, peers chan *Peer, release chan struct{}) {
	r = healthRouter()
	peers, release = make(chan *Peer, 64), make(chan struct{})
	Handle(r, func(ctx context.Context, p *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		peers <- p
		select {
		case <-release:
			return &qpcv1.InfoResponse{ServerName: "finished"}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	return r, peers, release
}

func wantGoodbye(t *testing.T, err error, reason qpcv1.Goodbye_Reason) {
	t.Helper()
	closed, ok := errors.AsType[*ClosedError](err)
	if !ok || closed.Goodbye != reason || !closed.Remote || !errors.Is(err, ErrClosed) {
		t.Errorf("%+v", err)
	}
}

func TestGracefulStopFinishesCalls(t *testing.T) {
	r, peers, release := slowRouter()
	s := serve(t, r, ServeOptions{Linger: patience, DrainTimeout: patience})
	events := make(chan qpcv1.EventType, 4)
	c := s.dial(t, DialOptions{OnPush: func(e qpcv1.EventType, _ []byte) { events <- e }})
	idle := s.dial(t, DialOptions{})
	mustHealth(t, idle)
	var resp qpcv1.InfoResponse
	called := make(chan error, 1)
	go func() { called <- c.Call(testContext(t), &qpcv1.InfoRequest{}, &resp) }()
	p := receive(t, peers, "the handler's start")
	s.stop()
	if e := receive(t, events, "the goodbye"); e != qpcv1.EventType_EVENT_TYPE_GOODBYE {
		t.Error(e)
	}
	receive(t, idle.Done(), "the idle connection's end")
	wantGoodbye(t, idle.Err(), qpcv1.Goodbye_REASON_STOPPING)
	if c.Err() != nil || p.Context().Err() != nil {
		t.Error("closed while a call is under way")
	}
	if r, err := send(t, c, AppendRequest(nil, Request{Method: healthID, ID: 1})); err != nil || errorCode(t, r) != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE {
		t.Errorf("a new call: %v", err)
	}
	close(release)
	if err := receive(t, called, "the call's end"); err != nil || resp.GetServerName() != "finished" {
		t.Errorf("the call under way: %v", err)
	}
	if err := receive(t, s.done, "the server's end"); err != nil {
		t.Error(err)
	}
	receive(t, c.Done(), "the connection's end")
	wantGoodbye(t, c.Err(), qpcv1.Goodbye_REASON_STOPPING)
	wantGoodbye(t, callHealth(t, c), qpcv1.Goodbye_REASON_STOPPING)
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	r, peers, _ := slowRouter()
	s := serve(t, r, ServeOptions{DrainTimeout: 50 * time.Millisecond, Linger: 50 * time.Millisecond})
	c := s.dial(t, DialOptions{})
	called := make(chan error, 1)
	go func() { called <- c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}) }()
	receive(t, peers, "the handler's start")
	s.stop()
	if err := receive(t, s.done, "the server's end"); err != nil {
		t.Error(err)
	}
	wantGoodbye(t, receive(t, called, "the call's end"), qpcv1.Goodbye_REASON_STOPPING)
}

// A client that reads no pushes still learns the reason, from the close.
func TestGoodbyeReachesDeafClient(t *testing.T) {
	r, peers := peerRouter()
	s := serve(t, r, ServeOptions{Linger: 20 * time.Millisecond})
	blocked := make(chan struct{})
	c, p := dialPeer(t, s, peers, DialOptions{OnPush: func(qpcv1.EventType, []byte) { <-blocked }})
	defer close(blocked)
	if err := p.Push(testContext(t), queueItems, item(1, 1)); err != nil {
		t.Fatal(err)
	}
	p.Close(qpcv1.Goodbye_REASON_REVOKED)
	p.Close(qpcv1.Goodbye_REASON_STOPPING) // the first counts
	receive(t, c.Done(), "the connection's end")
	wantGoodbye(t, c.Err(), qpcv1.Goodbye_REASON_REVOKED)
}

func TestPeerCloseInsideItsOwnCall(t *testing.T) {
	r := healthRouter()
	Handle(r, func(_ context.Context, p *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		p.Close(qpcv1.Goodbye_REASON_REPLACED)
		err := p.Push(context.Background(), queueItems, item(1, 1))
		if !errors.Is(err, ErrClosed) {
			return nil, errors.New("pushed after the goodbye")
		}
		return &qpcv1.InfoResponse{ServerName: "answered"}, nil
	})
	c := serve(t, r, ServeOptions{Linger: patience}).dial(t, DialOptions{})
	var resp qpcv1.InfoResponse
	if err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &resp); err != nil || resp.GetServerName() != "answered" {
		t.Error(err)
	}
	receive(t, c.Done(), "the connection's end")
	wantGoodbye(t, c.Err(), qpcv1.Goodbye_REASON_REPLACED)
}

func TestServeReportsALostSocket(t *testing.T) {
	pc := listen(t, "127.0.0.1:0")
	done := make(chan error, 1)
	go func() {
		done <- Serve(context.Background(), pc, ServerTLS(certificate()), healthRouter(), ServeOptions{})
	}()
	c, err := Dial(testContext(t), linkTo(pc), DialOptions{IdleTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = pc.Close()
	if err := receive(t, done, "the server's end"); err == nil {
		t.Error("no error")
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, opts := range map[string]ServeOptions{
		"in all":      {Connections: NewConnections(2, 0, 0)},
		"per address": {Connections: NewConnections(0, 2, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, healthRouter(), opts)
			first, second := s.dial(t, DialOptions{}), s.dial(t, DialOptions{})
			if _, err := Dial(testContext(t), s.link, DialOptions{}); !errors.Is(err, ErrUnreachable) {
				t.Errorf("a third: %v", err)
			}
			mustHealth(t, second)
			_ = first.Close()
			ctx := testContext(t)
			c, err := Dial(ctx, s.link, DialOptions{})
			for err != nil && ctx.Err() == nil { // the server has not noticed yet
				c, err = Dial(ctx, s.link, DialOptions{})
			}
			if err != nil {
				t.Fatalf("the place is not given back: %v", err)
			}
			mustHealth(t, c)
			_ = c.Close()
		})
	}
}

// Resetting a stream must not buy a new one while its handler runs.
func TestResetStreamsKeepTheirPlace(t *testing.T) {
	const places = 4
	r := healthRouter()
	started, release := make(chan struct{}, 100), make(chan struct{})
	Handle(r, func(context.Context, *Peer, *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		started <- struct{}{}
		<-release
		return &qpcv1.InfoResponse{}, nil
	})
	c := serve(t, r, ServeOptions{MaxStreams: places}).dial(t, DialOptions{})
	for range places {
		stream, err := c.quic.OpenStreamSync(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(AppendRequest(nil, Request{Method: 0x0E02, ID: 1}))
		_ = stream.Close()
		receive(t, started, "a handler's start")
		stream.CancelRead(0)
	}
	if _, err := c.quic.OpenStream(); !errors.As(err, new(*quic.StreamLimitReachedError)) {
		t.Errorf("a fifth stream: %v", err)
	}
	close(release)
	mustHealth(t, c)
}
