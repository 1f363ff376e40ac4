package wire

import (
	"context"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func BenchmarkCall(b *testing.B) {
	for _, size := range []int{0, 900, 64 << 10} {
		b.Run(byteCount(size), func(b *testing.B) {
			r := NewRouter()
			Handle(r, func(_ context.Context, _ *Peer, req *qpcv1.PostRequest) (*qpcv1.PostResponse, error) {
				return &qpcv1.PostResponse{ChannelSeq: uint64(len(req.GetBody()))}, nil
			})
			c := serve(b, r, ServeOptions{}).dial(b, DialOptions{})
			req, resp := &qpcv1.PostRequest{Body: make([]byte, size)}, &qpcv1.PostResponse{}
			ctx := context.Background()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Call(ctx, req, resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func byteCount(n int) string {
	switch {
	case n >= 1<<10:
		return "64KiB"
	case n > 0:
		return "900B"
	}
	return "0B"
}

func BenchmarkCallParallel(b *testing.B) {
	c := serve(b, healthRouter(), ServeOptions{}).dial(b, DialOptions{})
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := c.Call(context.Background(), &qpcv1.HealthRequest{}, &qpcv1.HealthResponse{}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkPush measures throughput: one op is one pushed and received event
// of about 1 KiB.
func BenchmarkPush(b *testing.B) {
	r, peers := peerRouter()
	arrived := make(chan struct{}, 1<<16)
	_, p := dialPeer(b, serve(b, r, ServeOptions{}), peers, DialOptions{OnPush: func(qpcv1.EventType, []byte) { arrived <- struct{}{} }})
	msg := item(1, 1000)
	ctx := context.Background()
	b.SetBytes(1000)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			if p.Push(ctx, queueItems, msg) != nil {
				return
			}
		}
	}()
	for range b.N {
		<-arrived
	}
}

// BenchmarkPushLatency measures one event from Push to OnPush.
func BenchmarkPushLatency(b *testing.B) {
	r, peers := peerRouter()
	arrived := make(chan struct{}, 1)
	_, p := dialPeer(b, serve(b, r, ServeOptions{}), peers, DialOptions{OnPush: func(qpcv1.EventType, []byte) { arrived <- struct{}{} }})
	msg := item(1, 1000)
	for b.Loop() {
		if err := p.Push(context.Background(), queueItems, msg); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
}

func BenchmarkDial(b *testing.B) {
	s := serve(b, healthRouter(), ServeOptions{Linger: time.Millisecond})
	for b.Loop() {
		c, err := Dial(context.Background(), s.link, DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}
