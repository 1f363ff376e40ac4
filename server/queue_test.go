package server

import (
	"bytes"
	"sync"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
)

func TestPushesKeepTheOrderOfConcurrentPosts(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	alice.subscribe(0)
	bob.subscribe(0)
	r := newRoom(f, alice, bob)
	const senders, each = 8, 40
	var wg sync.WaitGroup
	for range senders {
		anon := f.dial()
		wg.Go(func() {
			for range each {
				if _, err := call[qpcv1.PostResponse](anon, r.postRequest(r.postBody(random(50)), r.keys[0])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var order [2][][]byte
	for i, m := range []*member{alice, bob} {
		for want := range uint64(senders * each) {
			got := m.next()
			if got.Seq != want+1 || got.GetMessage().GetChannelSeq() != want+1 {
				t.Fatalf("%s: got seq %d, channel seq %d, want %d", m.name, got.Seq, got.GetMessage().GetChannelSeq(), want+1)
			}
			order[i] = append(order[i], got.ItemId)
			if got.Seq%100 == 0 {
				must[qpcv1.AckResponse](m.conn, &qpcv1.AckRequest{UpToSeq: got.Seq})
			}
		}
	}
	wg.Wait()
	for i := range order[0] {
		if !bytes.Equal(order[0][i], order[1][i]) {
			t.Fatalf("item %d differs between the members", i+1)
		}
	}
}

func TestWhatWaitsComesFirst(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	var items [][]byte
	for range 10 {
		items = append(items, r.post(random(10)))
	}
	if last := alice.subscribe(3); last != 10 {
		t.Errorf("last seq %d", last)
	}
	for i, want := range items[3:] {
		if got := alice.next(); got.Seq != uint64(i+4) || !bytes.Equal(got.ItemId, want) {
			t.Errorf("got seq %d, want %d", got.Seq, i+4)
		}
	}
	// A cursor beyond the queue's end is of another queue.
	if last := alice.subscribe(1000); last != 10 {
		t.Errorf("last seq %d", last)
	}
	if got := alice.next(); got.Seq != 1 {
		t.Errorf("got seq %d", got.Seq)
	}
}

func TestWindowIsBounded(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	const window, total = 256, 300
	for range total {
		r.post([]byte("x"))
	}
	alice.subscribe(0)
	for want := range uint64(window) {
		if got := alice.next(); got.Seq != want+1 {
			t.Fatalf("got seq %d, want %d", got.Seq, want+1)
		}
	}
	// A call that is answered later than anything pushed before it.
	for range 3 {
		must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{})
	}
	if n := len(alice.pushed); n != 0 {
		t.Fatalf("%d items beyond the window", n)
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 10})
	for want := range uint64(10) {
		if got := alice.next(); got.Seq != window+want+1 {
			t.Fatalf("got seq %d, want %d", got.Seq, window+want+1)
		}
	}
	if n := len(alice.pushed); n != 0 {
		t.Fatalf("%d items beyond the window", n)
	}
	// An acknowledgement of what was never pushed makes no more room than
	// that of what was.
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: window})
	for want := range uint64(total - window - 10) {
		if got := alice.next(); got.Seq != window+10+want+1 {
			t.Fatalf("got seq %d, want %d", got.Seq, window+10+want+1)
		}
	}
}

func TestFetchAndAck(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	for range 150 {
		r.post([]byte("x"))
	}
	page := must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{})
	if len(page.Items) != 100 || !page.More || page.Items[0].Seq != 1 {
		t.Errorf("%d items, more %v", len(page.Items), page.More)
	}
	page = must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{AfterSeq: 100, Limit: 1000})
	if len(page.Items) != 50 || page.More || page.Items[0].Seq != 101 {
		t.Errorf("%d items, more %v", len(page.Items), page.More)
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 149})
	page = must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{Limit: 10})
	if len(page.Items) != 1 || page.More || page.Items[0].Seq != 150 {
		t.Errorf("after the ack: %d items", len(page.Items))
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 150})
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 150})
	// Acknowledged is gone, and seqs go on.
	r.post([]byte("next"))
	if last := alice.subscribe(0); last != 151 {
		t.Errorf("last seq %d", last)
	}
	if got := alice.next(); got.Seq != 151 {
		t.Errorf("got seq %d", got.Seq)
	}
}

func TestNewAddress(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	for _, count := range []uint32{0, 201, 1 << 31} {
		_, err := call[qpcv1.NewAddressResponse](alice.conn, &qpcv1.NewAddressRequest{Count: count})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
	addresses := must[qpcv1.NewAddressResponse](alice.conn, &qpcv1.NewAddressRequest{Count: 200}).Addresses
	seen := map[string]bool{}
	for _, a := range addresses {
		seen[string(a)] = true
		if len(a) != address.Size {
			t.Errorf("length %d", len(a))
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d different addresses of 200", len(seen))
	}
}

func TestFullQueueSaysSo(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.QueueItems = 5 })
	alice, bob := f.register("alice"), f.register("bob")
	bob.subscribe(0)
	r := newRoom(f, alice, bob)
	for i := range uint64(10) { // bob reads, alice is away
		r.post([]byte("x"))
		bob.next()
		must[qpcv1.AckResponse](bob.conn, &qpcv1.AckRequest{UpToSeq: i + 1})
	}
	alice.subscribe(0)
	for {
		got := alice.next()
		if got.GetOverflow() != nil {
			break
		}
		if got.Seq > 5 {
			t.Fatalf("seq %d was kept, and no overflow was told", got.Seq)
		}
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: alice.subscribe(0)})
}

func TestRestartKeepsEverything(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	r := newRoom(f, alice, bob)
	winner := r.commit()
	item := r.post([]byte("before"))
	link := f.Link(nil)
	f.cfg.Listen = f.Addr().String()
	f.restart()
	if f.Link(nil) != link {
		t.Error("the link changed")
	}
	if reason := alice.goodbye(); reason != qpcv1.Goodbye_REASON_STOPPING {
		t.Errorf("goodbye: %v", reason)
	}
	r.anon = f.dial()
	f.reconnect(alice)
	alice.subscribe(1)
	if got := alice.next(); got.Seq != 2 || !bytes.Equal(got.ItemId, item) {
		t.Errorf("got %v", got)
	}
	if state := must[qpcv1.GetChannelResponse](r.anon, r.getRequest(0, r.keys[0])); state.CurrentEpoch != 1 || !bytes.Equal(state.WinnerItemId, winner) {
		t.Errorf("channel: %v", state)
	}
	after := r.post([]byte("after"))
	if got := alice.next(); got.Seq != 3 || !bytes.Equal(got.ItemId, after) {
		t.Errorf("got %v", got)
	}
	if _, err := f.tryLogin(f.dial(), "bob", bob.password); err != nil {
		t.Error(err)
	}
}

func TestExpiry(t *testing.T) {
	f := start(t, func(c *Config) { c.Limits.QueueTTL, c.Limits.ChannelTTL = 10*24*time.Hour, 20*24*time.Hour })
	alice := f.register("alice")
	r := newRoom(f, alice)
	r.post([]byte("old"))
	f.clock.advance(12 * 24 * time.Hour)
	r.post([]byte("new"))
	f.expire(t.Context())
	page := must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{})
	if len(page.Items) != 1 || page.Items[0].Seq != 2 {
		t.Errorf("%d items are left", len(page.Items))
	}
	f.clock.advance(25 * 24 * time.Hour)
	f.expire(t.Context())
	_, err := call[qpcv1.PostResponse](r.anon, r.postRequest(r.postBody([]byte("x")), r.keys[0]))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL)
}

func TestGoneConnectionsAreForgotten(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	alice.subscribe(0)
	alice.Close()
	<-alice.Done()
	deadline := time.Now().Add(patience)
	for f.queues.Len() > 0 || f.sessions.Len() > 0 { // the server hears of it a little later
		if time.Now().After(deadline) {
			t.Fatalf("%d subscriptions and %d sessions are kept", f.queues.Len(), f.sessions.Len())
		}
		time.Sleep(time.Millisecond)
		f.queues.Sweep()
		f.sessions.Sweep()
	}
}

// A channel outlives a device; its address leads nowhere then.
func TestPostToARevokedDevice(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	r := newRoom(f, alice, bob)
	must[qpcv1.RevokeDeviceResponse](bob.conn, &qpcv1.RevokeDeviceRequest{DeviceId: bob.id[:]})
	alice.subscribe(0)
	item := r.post([]byte("x"))
	if got := alice.next(); !bytes.Equal(got.ItemId, item) {
		t.Error("another item")
	}
}

// A stored item that was damaged or moved is lost, and the device is told.
func TestDamagedItemIsReportedAsLost(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	r.post([]byte("x"))
	f.shutdown()
	f.damage(`UPDATE queue_items SET sealed = zeroblob(length(sealed))`)
	f.open()
	f.reconnect(alice)
	r.anon = f.dial()
	r.post([]byte("y"))
	alice.subscribe(0)
	if got := alice.next(); got.Seq != 1 || got.GetOverflow() == nil {
		t.Errorf("got %v", got)
	}
	if got := alice.next(); got.Seq != 2 || got.GetMessage() == nil {
		t.Errorf("got %v", got)
	}
}

// Numbers at the end of their range are answered, and break nothing.
func TestNumbersAtTheEndOfTheirRange(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	r.post([]byte("x"))
	for _, n := range []uint64{1<<63 - 1, 1 << 63, 1<<64 - 1, 1 << 32, 1<<32 - 1} {
		if page := must[qpcv1.FetchResponse](alice.conn, &qpcv1.FetchRequest{AfterSeq: n, Limit: 1<<32 - 1}); len(page.Items) != 0 {
			t.Errorf("%d items after %d", len(page.Items), n)
		}
		if last := must[qpcv1.SubscribeResponse](alice.conn, &qpcv1.SubscribeRequest{AfterSeq: n}).LastSeq; last != 1 {
			t.Errorf("last seq %d", last)
		}
		alice.next()
		body := r.postBody([]byte("x"))
		body.Epoch = n
		_, err := call[qpcv1.PostResponse](r.anon, r.postRequest(body, r.keys[0]))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
		commit := r.commitBody()
		commit.Epoch = n
		_, err = call[qpcv1.CommitResponse](r.anon, r.commitRequest(commit, r.keys[0]))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
		_, err = call[qpcv1.GetChannelResponse](r.anon, r.getRequest(n, r.keys[0]))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH)
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 1<<64 - 1})
	item := r.post([]byte("y"))
	if got := alice.next(); got.Seq != 2 || !bytes.Equal(got.ItemId, item) {
		t.Errorf("got %v", got)
	}
}

func TestPeek(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	r := newRoom(f, alice)
	peek := func() *qpcv1.PeekResponse { return must[qpcv1.PeekResponse](alice.conn, &qpcv1.PeekRequest{}) }
	if got := peek(); got.Count != 0 || got.Bytes != 0 || got.OldestDay != 0 || got.LastSeq != 0 || got.AckedSeq != 0 {
		t.Errorf("empty: %v", got)
	}
	for range 5 {
		r.post(random(100))
	}
	must[qpcv1.AckResponse](alice.conn, &qpcv1.AckRequest{UpToSeq: 2})
	got := peek()
	if got.Count != 3 || got.Bytes < 300 || got.LastSeq != 5 || got.AckedSeq != 2 || got.OldestDay%86400 != 0 || got.OldestDay == 0 {
		t.Errorf("got %v", got)
	}
	if again := peek(); again.Count != 3 {
		t.Errorf("peeking took something in: %v", again)
	}
}
