package server

import (
	"bytes"
	"fmt"
	"testing"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
)

func batchOf(posts ...*qpcv1.PostRequest) *qpcv1.BatchPostRequest {
	return &qpcv1.BatchPostRequest{Posts: posts}
}

// newPost is a signed post at the current epoch.
func (r *room) newPost(message []byte) *qpcv1.PostRequest {
	return r.postRequest(r.postBody(message), r.keys[r.epoch])
}

func TestBatchPost(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	one, two := newRoom(f, alice), newRoom(f, alice)
	alice.subscribe(0)
	var posts []*qpcv1.PostRequest
	for i := range 32 {
		posts = append(posts, one.newPost(fmt.Appendf(nil, "one %d", i)), two.newPost(fmt.Appendf(nil, "two %d", i)))
	}
	for range 2 { // the second time it changes nothing
		resp := must[qpcv1.BatchPostResponse](one.anon, batchOf(posts...))
		for i, o := range resp.Outcomes {
			if o.GetPosted().GetChannelSeq() != uint64(i/2+1) {
				t.Fatalf("post %d: %v", i, o)
			}
		}
	}
	next := map[string]int{}
	for range 64 {
		m := alice.next().GetMessage()
		name := map[bool]string{true: "one", false: "two"}[bytes.Equal(m.ChannelId, one.id)]
		if want := fmt.Sprintf("%s %d", name, next[name]); string(m.MlsMessage) != want {
			t.Fatalf("got %q, want %q", m.MlsMessage, want)
		}
		next[name]++
	}
	if last := alice.subscribe(64); last != 64 {
		t.Errorf("last seq %d", last)
	}
}

func TestBatchPostFailures(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	good, bad := newRoom(f, alice), newRoom(f, alice)
	forged := bad.newPost([]byte("forged"))
	forged.Signature = random(64)
	stale := bad.postBody([]byte("stale"))
	stale.Epoch = 9
	large := bad.postRequest(bad.postBody(make([]byte, 1<<20)), bad.keys[0])
	nowhere := &room{f: f, id: random(16), keys: good.keys}
	for name, tc := range map[string]struct {
		post *qpcv1.PostRequest
		code qpcv1.ErrorCode
		keep bool // those behind it are tried all the same: nobody knows which channel it was for
	}{
		"forged":  {forged, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE, false},
		"stale":   {bad.postRequest(stale, bad.keys[0]), qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH, false},
		"large":   {large, qpcv1.ErrorCode_ERROR_CODE_TOO_LARGE, false},
		"garbage": {&qpcv1.PostRequest{Body: []byte{0xff}}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED, true},
		"nowhere": {nowhere.newPost([]byte("x")), qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := bad.newPost([]byte("before"))
			after := bad.newPost([]byte("after"))
			resp := must[qpcv1.BatchPostResponse](good.anon, batchOf(before, tc.post, good.newPost([]byte("other")), after))
			if resp.Outcomes[0].GetPosted() == nil || resp.Outcomes[2].GetPosted() == nil {
				t.Errorf("good posts: %v", resp.Outcomes)
			}
			if e := resp.Outcomes[1].GetError(); e.GetCode() != tc.code || e.GetMessage() == "" {
				t.Errorf("the bad post: %v", e)
			}
			if got := resp.Outcomes[3].GetError().GetCode(); (got == qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED) == tc.keep {
				t.Errorf("behind it: %v", resp.Outcomes[3])
			}
			if name == "stale" {
				if e := wire.ErrorFromProto(resp.Outcomes[1].GetError()); e.Stale == nil {
					t.Error("nothing is said of the epoch")
				}
			}
		})
	}
	for _, n := range []int{0, 65} {
		var posts []*qpcv1.PostRequest
		for range n {
			posts = append(posts, good.newPost([]byte("x")))
		}
		_, err := call[qpcv1.BatchPostResponse](good.anon, batchOf(posts...))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
}

// A batch counts as many calls as it has posts.
func TestBatchPostCounts(t *testing.T) {
	f := start(t, func(c *Config) { c.Rates.Post = config.Rate{PerMinute: 60, Burst: 100} })
	alice := f.register("alice")
	r := newRoom(f, alice) // counts as one
	batch := func() error {
		var posts []*qpcv1.PostRequest
		for range 64 {
			posts = append(posts, r.newPost([]byte("x")))
		}
		_, err := call[qpcv1.BatchPostResponse](r.anon, batchOf(posts...))
		return err
	}
	for range 2 { // the second one leaves a debt
		if err := batch(); err != nil {
			t.Fatal(err)
		}
	}
	if e := wantCode(t, batch(), qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED); e.RetryAfter < 20e9 {
		t.Errorf("retry after %v", e.RetryAfter)
	}
}

// BenchmarkWaitingMessages sends the hundred messages that have waited for a
// connection, one after the other so that their order holds, or in batches.
func BenchmarkWaitingMessages(b *testing.B) {
	const waiting = 100
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			f := start(b)
			r := newRoom(f, f.register("alice"), f.register("bob"))
			message := random(1024)
			for b.Loop() {
				for left := waiting; left > 0; {
					n := min(size, left)
					left -= n
					if n == 1 {
						must[qpcv1.PostResponse](r.anon, r.newPost(message))
						continue
					}
					var posts []*qpcv1.PostRequest
					for range n {
						posts = append(posts, r.newPost(message))
					}
					for _, o := range must[qpcv1.BatchPostResponse](r.anon, batchOf(posts...)).Outcomes {
						if o.GetPosted() == nil {
							b.Fatal(o)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/100-messages")
		})
	}
}
