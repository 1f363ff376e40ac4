package wire

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const queueItems = qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS

// peerRouter hands the test the server's side of each connection that calls Info.
func peerRouter() (*Router, chan *Peer) {
	r := healthRouter()
	peers := make(chan *Peer, 16)
	Handle(r, func(_ context.Context, p *Peer, _ *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
		peers <- p
		return &qpcv1.InfoResponse{}, nil
	})
	return r, peers
}

func dialPeer(t testing.TB, s *testServer, peers chan *Peer, opts DialOptions) (*Conn, *Peer) {
	t.Helper()
	c := s.dial(t, opts)
	if err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}); err != nil {
		t.Fatal(err)
	}
	return c, receive(t, peers, "the peer")
}

func item(seq uint64, size int) *qpcv1.QueueItems {
	return &qpcv1.QueueItems{Items: []*qpcv1.QueueItem{{Seq: seq, ItemId: make([]byte, size)}}}
}

func TestPushesArriveInOrder(t *testing.T) {
	const n, pushers = 300, 4
	r, peers := peerRouter()
	s := serve(t, r, ServeOptions{PushBuffer: 64 << 10})
	got := make(chan *qpcv1.QueueItem, n*pushers)
	_, p := dialPeer(t, s, peers, DialOptions{OnPush: func(event qpcv1.EventType, payload []byte) {
		var items qpcv1.QueueItems
		if err := proto.Unmarshal(payload, &items); err != nil || event != queueItems {
			t.Errorf("%v %v", event, err)
			return
		}
		got <- items.GetItems()[0]
	}})
	var wg sync.WaitGroup
	for pusher := range pushers {
		wg.Go(func() {
			for i := range n {
				// Sizes around a packet's, and one above the buffer's.
				size := []int{0, 100, 2000, 5}[i%4]
				if i == n/2 {
					size = 100 << 10
				}
				if err := p.Push(testContext(t), queueItems, item(uint64(i*pushers+pusher), size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [pushers]uint64
	for range n * pushers {
		seq := receive(t, got, "a push").GetSeq()
		if pusher := seq % pushers; seq/pushers != next[pusher] {
			t.Fatalf("push %d of pusher %d came as its %d", seq/pushers, pusher, next[pusher])
		}
		next[seq%pushers]++
	}
	wg.Wait()
}

func TestPushTooLarge(t *testing.T) {
	r, peers := peerRouter()
	_, p := dialPeer(t, serve(t, r, ServeOptions{}), peers, DialOptions{})
	if err := p.Push(testContext(t), queueItems, item(1, MaxPush)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := p.Push(testContext(t), queueItems, item(1, 16<<20)); err != nil {
		t.Errorf("a push as large as a commit: %v", err)
	}
}

// A client that stops reading must cost the server a bounded buffer, and no
// more than PushStall.
func TestSlowClientIsDropped(t *testing.T) {
	r, peers := peerRouter()
	s := serve(t, r, ServeOptions{PushBuffer: 256 << 10, PushStall: 100 * time.Millisecond})
	blocked := make(chan struct{})
	var once sync.Once
	c, p := dialPeer(t, s, peers, DialOptions{OnPush: func(qpcv1.EventType, []byte) {
		once.Do(func() { <-blocked })
	}})
	// Unblock before the connection's clean-up, whatever happens.
	defer close(blocked)
	other, q := dialPeer(t, s, peers, DialOptions{})
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = p.Push(testContext(t), queueItems, item(1, 64<<10))
	}
	if !errors.Is(err, ErrSlowPeer) {
		t.Errorf("%v", err)
	}
	receive(t, p.Done(), "the slow peer's end")
	receive(t, c.Done(), "the slow client's end")
	if !errors.Is(c.Err(), ErrSlowPeer) || !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("%v", c.Err())
	}
	if err := p.Push(testContext(t), queueItems, item(1, 1)); !errors.Is(err, ErrSlowPeer) {
		t.Errorf("a push to a dropped peer: %v", err)
	}
	if err := q.Push(testContext(t), queueItems, item(1, 1)); err != nil {
		t.Errorf("another client suffers: %v", err)
	}
	mustHealth(t, other)
}

func TestPushGivesUpWithItsContext(t *testing.T) {
	r, peers := peerRouter()
	s := serve(t, r, ServeOptions{PushBuffer: 64 << 10, PushStall: time.Hour})
	blocked := make(chan struct{})
	_, p := dialPeer(t, s, peers, DialOptions{OnPush: func(qpcv1.EventType, []byte) { <-blocked }})
	defer close(blocked)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var err error
	for i := 0; err == nil && i < 1000; i++ { // a context that has ended does not matter while there is room
		err = p.Push(ended, queueItems, item(1, 63<<10))
	}
	if !errors.Is(err, ErrSlowPeer) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if p.Context().Err() != nil {
		t.Error("the connection is gone")
	}
}

func TestPushToLostConnection(t *testing.T) {
	r, peers := peerRouter()
	c, p := dialPeer(t, serve(t, r, ServeOptions{}), peers, DialOptions{})
	_ = c.Close()
	receive(t, p.Done(), "the peer's end")
	if err := p.Push(testContext(t), queueItems, item(1, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
