package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// hold makes the lane of a channel busy with a post to another one, until
// release is called, which gives the outcome.
func hold(t *testing.T, s *Store, channel storage.ChannelID) (release func() error) {
	t.Helper()
	d, err := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{7}, Name: "held", DeviceID: [16]byte{7}, Now: today})
	must(t, err)
	other := storage.ChannelID{channel[0], 7}
	must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: other, VerifyKey: []byte("k"), Addresses: [][]byte{d.Queue[:]}, Now: today}))
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	p := newPost(other, storage.ItemID{7})
	p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) {
		close(entered)
		<-leave
		return []byte("x"), nil
	}
	go func() {
		_, err := s.Post(context.Background(), p)
		done <- err
	}()
	<-entered
	return func() error {
		close(leave)
		return <-done
	}
}

// counter counts the transactions that were committed.
type counter struct {
	recorder
	commits int
}

func (c *counter) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if data.SQL == "COMMIT" {
		c.commits++
	}
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// Posts that wait together share one transaction.
func TestGroupCommit(t *testing.T) {
	c := &counter{recorder: recorder{statements: make(map[string]struct{})}}
	s := openTraced(t, newURL(t), storage.DefaultLimits(), c)
	_, channel := oneQueue(t, s)
	release := hold(t, s, channel)
	before := c.count()
	const posts = 50
	var wg sync.WaitGroup
	for i := range byte(posts) {
		wg.Go(func() {
			if _, err := s.Post(context.Background(), newPost(channel, storage.ItemID{i + 1})); err != nil {
				t.Error(err)
			}
		})
	}
	waitUntil(t, func() bool { return len(s.laneOf(channel).calls) == posts })
	must(t, release())
	wg.Wait()
	if n := c.count() - before; n != 2 { // that of the held post, and one for all
		t.Errorf("%d posts took %d commits", posts, n-1)
	}
}

// A call that nobody waits for any more is not carried out.
func TestAbandonedCall(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	release := hold(t, s, channel)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPost(channel, storage.ItemID{1})
	result := make(chan error)
	go func() {
		_, err := s.Post(ctx, p)
		result <- err
	}()
	waitUntil(t, func() bool { return len(s.laneOf(channel).calls) == 1 })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	must(t, release())
	posted, err := s.Post(t.Context(), p)
	if err != nil || posted.Duplicate || posted.ChannelSeq != 1 {
		t.Errorf("after an abandoned post: %+v, %v", posted, err)
	}
}

// A call that has begun is carried out, whatever becomes of its context.
func TestStartedCall(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPost(channel, storage.ItemID{1})
	p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) {
		cancel()
		return []byte("x"), nil
	}
	posted, err := s.Post(ctx, p)
	if err != nil || posted.ChannelSeq != 1 {
		t.Errorf("got %+v, %v", posted, err)
	}
}

// Close lets those finish that wait already.
func TestCloseFinishes(t *testing.T) {
	u := newURL(t)
	s := openAt(t, u, storage.DefaultLimits())
	_, channel := oneQueue(t, s)
	release := hold(t, s, channel)
	result, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Post(context.Background(), newPost(channel, storage.ItemID{1}))
		result <- err
	}()
	waitUntil(t, func() bool { return len(s.laneOf(channel).calls) == 1 })
	go func() { closed <- s.Close() }()
	waitUntil(t, s.closed.Load)
	must(t, release())
	must(t, <-result)
	must(t, <-closed)
	posted, err := openAt(t, u, storage.DefaultLimits()).Post(t.Context(), newPost(channel, storage.ItemID{1}))
	if err != nil || !posted.Duplicate {
		t.Errorf("after reopening: %+v, %v", posted, err)
	}
}

// A transaction that PostgreSQL ends is done again, and what it computed is
// not handed out.
func TestEndedTransaction(t *testing.T) {
	u := newURL(t)
	s := openAt(t, u, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	p := newPost(channel, storage.ItemID{1})
	calls := 0
	p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) {
		if calls++; calls == 1 { // the connection that is in a transaction
			_, err := s.pool.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
			must(t, err)
		}
		return fmt.Append(nil, calls), nil
	}
	posted, err := s.Post(t.Context(), p)
	if err != nil || posted.ChannelSeq != 1 || posted.Duplicate || len(posted.Appended) != 1 || string(posted.Appended[0].Item.Sealed) != "2" {
		t.Fatalf("got %+v, %v", posted, err)
	}
	items, _, err := s.FetchItems(t.Context(), d.Queue, 0, 10, 100)
	if err != nil || len(items) != 1 || string(items[0].Sealed) != "2" {
		t.Fatalf("got %+v, %v", items, err)
	}
}

// Of two servers that deliver to the same queues in opposite orders, none
// makes the other fail: rows are locked in one order.
func TestOppositeOrders(t *testing.T) {
	u := newURL(t)
	stores := []*Store{openAt(t, u, storage.DefaultLimits()), openAt(t, u, storage.DefaultLimits()), openAt(t, u, storage.DefaultLimits())}
	var queues []storage.QueueID
	var addresses [][]byte
	for i := range byte(10) {
		d, err := stores[0].CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{i}, Name: fmt.Sprint(i), DeviceID: [16]byte{i}, Now: today})
		must(t, err)
		queues = append(queues, d.Queue)
		addresses = append(addresses, d.Queue[:])
	}
	for c := range byte(6) {
		must(t, stores[0].CreateChannel(t.Context(), storage.NewChannel{ID: storage.ChannelID{c}, VerifyKey: []byte("k"), Addresses: addresses, Now: today}))
	}
	const posts = 40
	var wg sync.WaitGroup
	for i := range 18 {
		wg.Go(func() {
			s := stores[i%3]
			for n := range posts {
				p := newPost(storage.ChannelID{byte(i % 6)}, storage.ItemID{byte(i), byte(n)})
				if _, err := s.Post(t.Context(), p); err != nil {
					t.Error(err)
				}
				if n%5 == 0 {
					if err := s.AckItems(t.Context(), queues[(i+n)%10], math.MaxUint64); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, q := range queues {
		seq, err := stores[1].LastSeq(t.Context(), q)
		if err != nil || seq != 18*posts {
			t.Errorf("last seq %d, %v", seq, err)
		}
		items, more, err := stores[2].FetchItems(t.Context(), q, 0, 1000, 1<<20)
		if err != nil || more {
			t.Errorf("more %v, %v", more, err)
		}
		for i, item := range items {
			if want := seq - uint64(len(items)) + 1 + uint64(i); item.Seq != want {
				t.Fatalf("seq %d, want %d", item.Seq, want)
			}
		}
	}
	var deadlocks int
	must(t, stores[0].get(t.Context(), into(&deadlocks), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	if deadlocks != 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}

// Errors of the database name nobody.
func TestErrorsAreDiscreet(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	_, err := s.pool.Exec(t.Context(), `DROP TABLE queue_items, channel_addresses, revoked_devices, blob_chunks, blob_quotas; ALTER TABLE accounts RENAME COLUMN record TO gone`, pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	_, post := s.Post(t.Context(), newPost(channel, storage.ItemID{9}))
	_, _, fetch := s.FetchItems(t.Context(), d.Queue, 0, 1, 1)
	_, account := s.AccountByName(t.Context(), "ada")
	_, create := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{9}, Name: "ada-too"})
	name := storage.BlobName{7, 7, 7, 7}
	_, blob := s.CreateBlob(t.Context(), storage.NewBlob{Name: name, Size: 1, ChunkSize: 1, Now: today})
	_, chunks := s.BlobChunks(t.Context(), name)
	secrets := []string{"ada", fmt.Sprintf("%x", name[:4]), fmt.Sprintf("%x", d.Queue[:]), fmt.Sprintf("%x", channel[:]), string(d.Queue[:])}
	for name, err := range map[string]error{"post": post, "fetch": fetch, "account": account, "create": create, "blob": blob, "chunks": chunks} {
		if err == nil {
			t.Errorf("%s: no error from a broken database", name)
			continue
		}
		for _, secret := range secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: error tells too much: %v", name, err)
			}
		}
	}
}

// What a try came to whose commit was not answered is told as the call's own.
func TestUncertain(t *testing.T) {
	s := openAt(t, newURL(t), storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	p := newPost(channel, storage.ItemID{1})
	first, err := s.Post(t.Context(), p)
	must(t, err)
	c := &call{channel: channel, item: p.Item, resolve: p.Resolve, seal: p.Seal, now: p.Now, lost: &first}
	posted, err := s.do(t.Context(), c)
	if err != nil || posted.Duplicate || posted.ChannelSeq != 1 || len(posted.Appended) != 1 || posted.Appended[0].Queue != d.Queue || posted.Appended[0].Item.Seq != 0 {
		t.Errorf("got %+v, %v", posted, err)
	}
	again := func(run func(*tx) error) error {
		return s.retry(t.Context(), time.Now().Add(patience), func(bool) error { return s.try(t.Context(), true, run) })
	}
	must(t, again(func(tx *tx) error {
		device, made, err := tx.accountMade(storage.NewAccount{ID: d.Account, DeviceID: d.ID})
		if !made || device.Queue != d.Queue {
			t.Errorf("account: %v", made)
		}
		return err
	}))
	must(t, again(func(tx *tx) error {
		_, made, err := tx.accountMade(storage.NewAccount{ID: d.Account, DeviceID: d.ID, Record: []byte("another")})
		if made {
			t.Error("takes another's account for its own")
		}
		return err
	}))
	lost := &uncertainError{errors.New("gone")}
	s.retryOnce(t, lost)
}

// retryOnce has one try fail with an error and looks at how the next is told.
func (s *Store) retryOnce(t *testing.T, failure error) {
	t.Helper()
	tries := 0
	must(t, s.retry(t.Context(), time.Now().Add(patience), func(uncertain bool) error {
		if tries++; tries == 1 {
			return failure
		}
		if !uncertain {
			t.Error("the second try is not told that the first may have been carried out")
		}
		return nil
	}))
	err := s.retry(t.Context(), time.Now(), func(bool) error { return failure })
	if !errors.Is(err, storage.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", err)
	}
}
