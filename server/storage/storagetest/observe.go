package storagetest

import (
	"errors"
	"sync"
	"testing"

	"quicprochat/server/storage"
)

// testObserve: an observer is told of changes, of those that were declined
// too, which are no failures; and of nothing else.
func testObserve(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	var mu sync.Mutex
	var told []storage.Transaction
	s.Observe(func(transaction storage.Transaction) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, transaction)
	})
	calls := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, transaction := range told {
			n += transaction.Calls
			if transaction.Err != nil || transaction.Took <= 0 || transaction.Waited < 0 {
				t.Errorf("%+v", transaction)
			}
		}
		return n
	}
	channel := newChannel(t, s, enrolQueues(t, s, 1)...)
	before := calls()
	if before == 0 {
		t.Error("not told of an account and a channel")
	}
	_, err := s.Channel(t.Context(), channel.ID)
	must(t, errors.Join(err, s.Ping(t.Context())))
	equal(t, "calls after a query", calls(), before)
	const posts = 20
	var wg sync.WaitGroup
	for range posts {
		wg.Go(func() { post(t, s, newPost(channel.ID, channel.Epoch, "x")) })
	}
	wg.Wait()
	equal(t, "calls after posts", calls(), before+posts)
	_, err = s.Post(t.Context(), newPost(storage.ChannelID(random16()), 0, "x"))
	wantErr(t, err, storage.ErrUnknownChannel)
	calls()
}
