package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"quicprochat/server/storage"
)

func postBatch(t testing.TB, s storage.Store, posts ...storage.Post) []storage.PostOutcome {
	t.Helper()
	outcomes := s.PostBatch(t.Context(), posts)
	equal(t, "outcomes", len(outcomes), len(posts))
	for _, o := range outcomes {
		checkAppended(t, s, o.Posted.Appended)
	}
	return outcomes
}

func testPostBatch(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	both, one := newChannel(t, s, queues...), newChannel(t, s, queues[0])
	var posts []storage.Post
	for i := range 30 {
		posts = append(posts, newPost(both.ID, 7, fmt.Sprint("b", i)), newPost(one.ID, 7, fmt.Sprint("o", i)))
	}
	for i, o := range postBatch(t, s, posts...) {
		must(t, o.Err)
		equal(t, "channel seq", o.Posted.ChannelSeq, uint64(i/2+1))
		equal(t, "queues", len(o.Posted.Appended), 2-i%2)
	}
	var got []string
	for _, text := range strings.Fields(texts(t, s, queues[0])) {
		if text[0] == 'o' {
			got = append(got, text)
		}
	}
	for i, text := range got {
		equal(t, "order", text, fmt.Sprint("o", i))
	}
	equal(t, "items of one channel", len(got), 30)
	// again, with one that is new
	for i, o := range postBatch(t, s, append(posts, newPost(one.ID, 7, "new"))...) {
		must(t, o.Err)
		equal(t, "repeated", o.Posted.Duplicate, i < 60)
		equal(t, "channel seq", o.Posted.ChannelSeq, uint64(i/2+1))
	}
	equal(t, "nothing", len(s.PostBatch(t.Context(), nil)), 0)
}

// What fails keeps what follows it in its channel back, and nothing else.
func testPostBatchFails(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	a, b := newChannel(t, s, queues[0]), newChannel(t, s, queues[1])
	broken := newPost(b.ID, 7, "")
	errSeal := errors.New("cannot be sealed")
	broken.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) { return nil, errSeal }
	outcomes := postBatch(t, s,
		newPost(a.ID, 7, "a1"),
		newPost(b.ID, 7, "b1"),
		newPost(a.ID, 9, "stale"),
		newPost(storage.ChannelID{9}, 7, "nowhere"),
		newPost(a.ID, 7, "a3"),
		newPost(b.ID, 7, "b2"),
		newPost(storage.ChannelID{9}, 7, "nowhere"),
		broken,
		newPost(b.ID, 7, "b4"),
		newPost(a.ID, 7, "a4"),
	)
	for i, want := range []error{
		nil, nil, nil, storage.ErrUnknownChannel, storage.ErrNotTried,
		nil, storage.ErrNotTried, errSeal, storage.ErrNotTried, storage.ErrNotTried,
	} {
		if i == 2 {
			wantStale(t, outcomes[2].Err, 7, nil)
			continue
		}
		if want == nil {
			must(t, outcomes[i].Err)
			continue
		}
		wantErr(t, outcomes[i].Err, want)
		equal(t, "appended", len(outcomes[i].Posted.Appended), 0)
	}
	equal(t, "one queue", texts(t, s, queues[0]), "a1")
	equal(t, "other queue", texts(t, s, queues[1]), "b1 b2")
	equal(t, "the place after", postBatch(t, s, newPost(a.ID, 7, "a2"))[0].Posted.ChannelSeq, 2)
}

func testPostBatchEnds(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range s.PostBatch(ctx, []storage.Post{newPost(c.ID, 7, "a"), newPost(c.ID, 7, "b")}) {
		wantErr(t, o.Err, context.Canceled)
	}
	equal(t, "queue", texts(t, s, queue), "")

	// cancelled in the middle: the first so and so many, in order
	var wg sync.WaitGroup
	for n := range 20 {
		c := newChannel(t, s, queue)
		var posts []storage.Post
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 40 {
			p := newPost(c.ID, 7, fmt.Sprint(i))
			if i == n {
				p.Seal = func(queue storage.QueueID, seq, channelSeq uint64) ([]byte, error) {
					cancel()
					return seal("x")(queue, seq, channelSeq)
				}
			}
			posts = append(posts, p)
		}
		wg.Go(func() {
			defer cancel()
			failed := false
			for i, o := range s.PostBatch(ctx, posts) {
				if o.Err == nil && (failed || o.Posted.ChannelSeq != uint64(i+1)) {
					t.Errorf("post %d came in at %d behind one that did not", i, o.Posted.ChannelSeq)
				}
				failed = failed || o.Err != nil
			}
		})
	}
	wg.Wait()
	must(t, s.Close())
	for _, o := range s.PostBatch(t.Context(), []storage.Post{newPost(c.ID, 7, "a")}) {
		wantErr(t, o.Err, storage.ErrClosed)
	}
}
