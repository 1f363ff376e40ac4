package storagetest

import (
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
)

// newToken is a token that is about to be spent, good until tomorrow's end.
func newToken() storage.SpentToken {
	return storage.SpentToken{Token: storage.TokenHash(random32()), Use: random32(), Due: today.Add(2 * day)}
}

func newDelivery(queue storage.QueueID, text string) storage.SealedDelivery {
	return storage.SealedDelivery{Token: newToken(), Queue: queue, Seal: seal(text), Now: today}
}

func deliverSealed(t testing.TB, s storage.Store, d storage.SealedDelivery) storage.Posted {
	t.Helper()
	posted, err := s.DeliverSealed(t.Context(), d)
	must(t, err)
	checkAppended(t, s, posted.Appended)
	return posted
}

func testTokenQuota(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	quota, other := storage.QuotaKey(random32()), storage.QuotaKey(random32())
	count := func(q storage.QuotaKey, batch [32]byte, n int) error {
		return s.CountTokens(t.Context(), storage.TokenBatch{Quota: q, Batch: batch, Count: n, Limit: 10, Now: today})
	}
	first, second := random32(), random32()
	must(t, count(quota, first, 6))
	must(t, count(quota, first, 6)) // the answer was lost
	must(t, count(quota, second, 4))
	must(t, count(quota, second, 4))
	wantErr(t, count(quota, first, 1), storage.ErrTokenQuota)
	must(t, count(quota, second, 4)) // what was refused has changed nothing
	wantErr(t, count(other, first, 11), storage.ErrTokenQuota)
	must(t, count(other, first, 10))

	race := storage.QuotaKey(random32())
	var issued atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				switch err := count(race, random32(), 1); {
				case err == nil:
					issued.Add(1)
				case !errors.Is(err, storage.ErrTokenQuota):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "tokens in a race", issued.Load(), 10)
}

func testDeliverSealed(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	d := newDelivery(queues[0], "hello")
	posted := deliverSealed(t, s, d)
	equal(t, "duplicate", posted.Duplicate, false)
	equal(t, "appended", len(posted.Appended), 1)
	equal(t, "seq", posted.Appended[0].Item.Seq, 1)

	again := deliverSealed(t, s, d)
	equal(t, "repeated", again.Duplicate, true)
	equal(t, "its queue", again.Appended[0].Queue, queues[0])
	other := newDelivery(queues[1], "other")
	other.Token.Token = d.Token.Token
	_, err := s.DeliverSealed(t.Context(), other)
	wantErr(t, err, storage.ErrTokenSpent)
	equal(t, "queue", texts(t, s, queues[0]), "hello")
	equal(t, "other queue", texts(t, s, queues[1]), "")

	// A token stays good where its delivery failed.
	failing := newDelivery(queues[1], "")
	broken := errors.New("cannot seal")
	failing.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) { return nil, broken }
	_, err = s.DeliverSealed(t.Context(), failing)
	wantErr(t, err, broken)
	failing.Seal = seal("after all")
	equal(t, "after a failure", deliverSealed(t, s, failing).Duplicate, false)
	equal(t, "other queue", texts(t, s, queues[1]), "after all")

	// Nobody learns from it whether a queue exists.
	nowhere := newDelivery(storage.QueueID(random16()), "lost")
	equal(t, "passed over", len(deliverSealed(t, s, nowhere).Appended), 0)
	equal(t, "again", deliverSealed(t, s, nowhere).Duplicate, true)
}

// Of several uses of one token at the same time one is carried out.
func testTokenRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 8)
	for range 5 {
		token := newToken()
		var won atomic.Int64
		var wg sync.WaitGroup
		for _, queue := range queues {
			d := newDelivery(queue, "x")
			d.Token.Token = token.Token
			wg.Go(func() {
				switch _, err := s.DeliverSealed(t.Context(), d); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, storage.ErrTokenSpent):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, "uses of one token", won.Load(), 1)
	}
	delivered := 0
	for _, queue := range queues {
		delivered += len(fetchAll(t, s, queue, 0))
	}
	equal(t, "items", delivered, 5)
}

func testCommitTokens(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	c := storage.NewChannel{ID: storage.ChannelID(random16()), Epoch: 0, VerifyKey: []byte("key 0"), Addresses: addressesOf(queues[:1]), Now: today}
	must(t, s.CreateChannel(t.Context(), c))
	spent := newDelivery(queues[1], "first")
	deliverSealed(t, s, spent)

	com := newCommit(c.ID, 0, "commit")
	com.Welcomes = []storage.Welcome{{Queue: queues[1], Seal: seal("welcome")}}
	good := newToken()
	com.Tokens = []storage.SpentToken{good, spent.Token}
	com.Tokens[1].Use = random32()
	_, err := s.Commit(t.Context(), com)
	wantErr(t, err, storage.ErrTokenSpent)
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 0)
	equal(t, "newcomer", texts(t, s, queues[1]), "first")

	// The other token was not spent by that, nor by a commit that comes too late.
	stale := newCommit(c.ID, 7, "stale")
	stale.Tokens = []storage.SpentToken{good}
	_, err = s.Commit(t.Context(), stale)
	wantStale(t, err, 0, nil)
	for range 100 { // more than one statement's worth
		com.Tokens = append(com.Tokens, newToken())
	}
	com.Tokens = append(com.Tokens[:1], com.Tokens[2:]...)
	equal(t, "duplicate", commit(t, s, com).Duplicate, false)
	equal(t, "newcomer", texts(t, s, queues[1]), "first welcome")
	equal(t, "repeated", commit(t, s, com).Duplicate, true)
	equal(t, "newcomer", texts(t, s, queues[1]), "first welcome")

	for _, token := range com.Tokens {
		d := newDelivery(queues[1], "second")
		d.Token.Token = token.Token
		_, err := s.DeliverSealed(t.Context(), d)
		wantErr(t, err, storage.ErrTokenSpent)
	}
	next := newCommit(c.ID, 1, "next")
	next.Tokens = []storage.SpentToken{{Token: good.Token, Use: sha256.Sum256([]byte("next")), Due: good.Due}}
	_, err = s.Commit(t.Context(), next)
	wantErr(t, err, storage.ErrTokenSpent)
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 1)
}

// A spent token is known until its key is not accepted any more.
func testExpireTokens(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	d := newDelivery(queue, "x")
	deliverSealed(t, s, d)
	other := d
	other.Token.Use = random32()
	tryAgain := func() error {
		_, err := s.DeliverSealed(t.Context(), other)
		return err
	}
	quota := storage.TokenBatch{Quota: storage.QuotaKey(random32()), Batch: random32(), Count: 5, Limit: 5, Now: today}
	must(t, s.CountTokens(t.Context(), quota))
	quota.Batch = random32()
	lastMoment := storage.DayOf(d.Token.Due)
	expireAll(t, s, time.Unix(int64(lastMoment)-1, 0), 10)
	wantErr(t, tryAgain(), storage.ErrTokenSpent)
	expireAll(t, s, time.Unix(int64(lastMoment), 0), 10)
	must(t, tryAgain())
	must(t, s.CountTokens(t.Context(), quota))
}
