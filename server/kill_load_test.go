package server

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/check"
	"quicprochat/server/secrets"
	"quicprochat/server/verify"
)

// A server that is killed at any moment, over and over, while people send,
// commit and read, has everything that it acknowledged, once, in one order for
// all, and a database without contradictions.
func TestKilledUnderLoad(t *testing.T) {
	kills := int(numberFrom(t, killsVariable, 10))
	f := start(t)
	s := newSiege(f)
	f.shutdown()
	for range kills {
		s.round(startKillable(t, f.cfg.DataDir))
		checkDatabase(t, f.cfg.DataDir)
		if t.Failed() {
			break
		}
	}
	f.open() // for the clean-up
	s.finish()
	t.Logf("%d kills, %d posts and %d commits acknowledged, %d of them in a repetition", kills, s.posts.Load(), s.commits.Load(), s.repeated.Load())
	if s.posts.Load() < int64(kills) || s.commits.Load() == 0 || kills >= 10 && s.repeated.Load() == 0 {
		t.Error("the load was too light to prove anything")
	}
}

// siege is people who use a server that is killed.
type siege struct {
	f       *fixture
	readers []*reader
	writers []*writer

	posts, commits, repeated atomic.Int64
}

// writer sends to a channel of its own: one request after the other, each
// again until it is acknowledged.
type writer struct {
	siege   *siege
	room    *room
	members []*reader
	commits bool // now and then, besides posting

	pending  proto.Message // sent, not acknowledged
	item     []byte        // of pending
	accepted [][]byte      // item ids, in the order of their acknowledgement
}

// reader is a device that reads its queue, and acknowledges now and then.
type reader struct {
	siege  *siege
	member *member

	items map[uint64]*qpcv1.QueueItem // by seq
	last  uint64                      // acknowledged to the server
}

func newSiege(f *fixture) *siege {
	s := &siege{f: f}
	for _, name := range []string{"alice", "bob", "carol"} {
		s.readers = append(s.readers, &reader{siege: s, member: f.register(name), items: make(map[uint64]*qpcv1.QueueItem)})
	}
	for i := range 8 {
		w := &writer{siege: s, members: s.readers[i%len(s.readers):], commits: i%4 == 0}
		var members []*member
		for _, r := range w.members {
			members = append(members, r.member)
		}
		w.room = newRoom(f, members...)
		s.writers = append(s.writers, w)
	}
	return s
}

// round uses a server until it is killed, at a random moment after somebody
// got an answer.
func (s *siege) round(k *killable) {
	var conns []*conn
	dial := func() *conn {
		c := dialLink(s.f.t, k.link)
		conns = append(conns, c)
		return c
	}
	answered := make(chan struct{}, 1)
	var tasks sync.WaitGroup
	for _, r := range s.readers {
		c := dial()
		tasks.Go(func() { r.read(c) })
	}
	for _, w := range s.writers {
		w.room.anon = dial()
		tasks.Go(func() { w.write(answered) })
	}
	select {
	case <-answered:
	case <-time.After(patience):
		s.f.t.Error("nothing was acknowledged")
	}
	time.Sleep(time.Duration(rand.IntN(150_000)) * time.Microsecond) // any moment is as good
	k.kill()
	for _, c := range conns {
		c.Close() // nobody answers any more
	}
	tasks.Wait()
}

// write sends until the connection ends.
func (w *writer) write(answered chan<- struct{}) {
	for w.send(w.room.anon) {
		select {
		case answered <- struct{}{}:
		default:
		}
	}
}

// send sends what is pending, or something new, and tells whether it was
// acknowledged.
func (w *writer) send(c *conn) bool {
	again := w.pending != nil
	if !again {
		w.draft()
	}
	var err error
	switch req := w.pending.(type) {
	case *qpcv1.PostRequest:
		_, err = call[qpcv1.PostResponse](c, req)
	case *qpcv1.CommitRequest:
		_, err = call[qpcv1.CommitResponse](c, req)
	}
	if err != nil {
		if _, refused := errors.AsType[*wire.Error](err); refused {
			w.siege.f.t.Errorf("refused: %v", err)
		}
		return false
	}
	w.accepted = append(w.accepted, w.item)
	if again {
		w.siege.repeated.Add(1)
	}
	if _, commit := w.pending.(*qpcv1.CommitRequest); commit {
		w.room.epoch++
		w.siege.commits.Add(1)
	} else {
		w.siege.posts.Add(1)
	}
	w.pending = nil
	return true
}

func (w *writer) draft() {
	key := w.room.keys[w.room.epoch]
	if w.commits && rand.IntN(10) == 0 {
		body := w.room.commitBody()
		w.pending, w.item = w.room.commitRequest(body, key), body.ItemId
		return
	}
	body := w.room.postBody(random(1 + rand.IntN(2000)))
	w.pending, w.item = w.room.postRequest(body, key), body.ItemId
}

// read takes in what is pushed until the connection ends.
func (r *reader) read(c *conn) {
	if err := r.member.authenticate(c); err != nil {
		return // killed before
	}
	r.member.conn = c
	if _, err := call[qpcv1.SubscribeResponse](c, &qpcv1.SubscribeRequest{AfterSeq: r.last}); err != nil {
		return
	}
	for {
		select {
		case <-c.Done():
			return
		case item := <-c.pushed:
			r.take(item)
			if item.Seq <= r.last || rand.IntN(20) != 0 {
				continue
			}
			// what is acknowledged is kept here first
			if _, err := call[qpcv1.AckResponse](c, &qpcv1.AckRequest{UpToSeq: item.Seq}); err != nil {
				return
			}
			r.last = item.Seq
		}
	}
}

// take keeps an item. The same place must always hold the same item.
func (r *reader) take(item *qpcv1.QueueItem) {
	if item.GetOverflow() != nil {
		r.siege.f.t.Errorf("item %d was lost", item.Seq)
		return
	}
	if old := r.items[item.Seq]; old != nil && !proto.Equal(old, item) {
		r.siege.f.t.Errorf("item %d was another one before", item.Seq)
	}
	r.items[item.Seq] = item
}

// finish sends what is pending, reads what is left, and compares.
func (s *siege) finish() {
	s.f.t.Helper()
	for _, w := range s.writers {
		w.room.anon = s.f.dial()
		if w.pending != nil && !w.send(w.room.anon) {
			s.f.t.Error("the last request is not acknowledged")
		}
	}
	for _, r := range s.readers {
		s.f.reconnect(r.member)
		for after, more := r.last, true; more; {
			fetched := must[qpcv1.FetchResponse](r.member.conn, &qpcv1.FetchRequest{AfterSeq: after, Limit: 500})
			for _, item := range fetched.Items {
				r.take(item)
				after = item.Seq
			}
			more = fetched.More
		}
		r.check()
	}
}

// check holds what a reader got to what its channels' writers know.
func (r *reader) check() {
	t := r.siege.f.t
	t.Helper()
	got := make(map[string][]string) // item ids by channel, in the order of seq
	for i, seq := range sortedKeys(r.items) {
		if seq != uint64(i+1) {
			t.Errorf("item %d is missing", i+1)
			return
		}
		item := r.items[seq]
		channel, channelSeq := item.GetMessage().GetChannelId(), item.GetMessage().GetChannelSeq()
		if commit := item.GetCommit(); commit != nil {
			channel, channelSeq = commit.ChannelId, commit.ChannelSeq
		}
		got[string(channel)] = append(got[string(channel)], string(item.ItemId))
		if n := len(got[string(channel)]); uint64(n) != channelSeq {
			t.Errorf("item %d is number %d of its channel and was delivered as number %d", seq, channelSeq, n)
		}
	}
	for _, w := range r.siege.writers {
		if !slices.Contains(w.members, r) {
			continue
		}
		want := make([]string, len(w.accepted))
		for i, id := range w.accepted {
			want[i] = string(id)
		}
		if !slices.Equal(got[string(w.room.id)], want) {
			t.Errorf("%d items were acknowledged and %d delivered, or in another order", len(want), len(got[string(w.room.id)]))
		}
		delete(got, string(w.room.id))
	}
	if len(got) > 0 {
		t.Error("a channel delivers to a device that is not in it")
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// checkDatabase looks for what SQLite and the store would never leave behind.
func checkDatabase(t *testing.T, dir string) {
	t.Helper()
	keys, err := secrets.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	subject := verify.Subject{
		Database: filepath.Join(dir, secrets.DatabaseName),
		Sealer:   address.NewSealer(keys.Address, keys.Storage),
	}
	for finding := range verify.Run(t.Context(), subject) {
		if finding.Grade != check.OK {
			t.Errorf("%s: %s", finding.Grade, finding.Text)
		}
	}
}
