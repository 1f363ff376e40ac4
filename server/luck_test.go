package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
)

// acknowledged is what a server has taken, in order.
type acknowledged struct {
	room  *room
	posts []*qpcv1.PostRequest
	items [][]byte
}

// post posts size bytes, and notes it where the server takes it.
func (a *acknowledged) post(req *qpcv1.PostRequest, item []byte) error {
	_, err := call[qpcv1.PostResponse](a.room.anon, req)
	if err == nil {
		a.posts, a.items = append(a.posts, req), append(a.items, item)
	}
	return err
}

func (a *acknowledged) request(size int) (*qpcv1.PostRequest, []byte) {
	body := a.room.postBody(random(size))
	return a.room.postRequest(body, a.room.keys[a.room.epoch]), body.ItemId
}

// check fetches what waits and compares: all that was taken, once, in order.
func (a *acknowledged) check(d *member) {
	d.t.Helper()
	var got [][]byte
	after := uint64(0)
	for more := true; more; {
		resp := must[qpcv1.FetchResponse](d.conn, &qpcv1.FetchRequest{AfterSeq: after, Limit: 100})
		for _, item := range resp.Items {
			got, after = append(got, item.ItemId), item.Seq
		}
		more = resp.More
	}
	if !bytes.Equal(bytes.Join(got, nil), bytes.Join(a.items, nil)) {
		d.t.Errorf("%d items wait, %d were taken, or in another order", len(got), len(a.items))
	}
}

// wantUnavailable checks that a call is put off.
func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE); e.RetryAfter <= 0 {
		t.Errorf("no word on when to try again: %+v", e)
	}
}

// wantOnce checks that a trouble has had one line at each end.
func (f *fixture) wantOnce(part string) {
	f.t.Helper()
	if begins, ends := f.logLines("trouble begins", "part="+part), f.logLines("trouble is over", "part="+part); begins != 1 || ends != 1 {
		f.t.Errorf("%s: %d lines that it begins, %d that it is over\n%s", part, begins, ends, f.logs.Bytes())
	}
}

func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, 12<<20)
	f := &fixture{t: t, cfg: testConfig(t), clock: &clock{}, logs: &logBuffer{}, options: []Option{func(s *Server) { s.leastFree = 1 << 20 }}}
	f.cfg.DataDir = filepath.Join(disk, "data")
	f.open()
	t.Cleanup(f.shutdown)
	f.inspected()
	alice, bob := f.register("alice"), f.register("bob")
	a := &acknowledged{room: newRoom(f, alice, bob)}
	for range 20 {
		req, item := a.request(2000)
		if err := a.post(req, item); err != nil {
			t.Fatal(err)
		}
	}
	if p := f.part(partDisk); !p.OK {
		t.Fatalf("%+v", p)
	}
	f.troubles.mu.Lock()
	f.troubles.calm = time.Hour // so that nothing ends in between
	f.troubles.mu.Unlock()
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	var err error
	var waiting *qpcv1.PostRequest
	var waitingItem []byte
	for i := 0; err == nil && i < 1000; i++ { // some still fits into what is there
		waiting, waitingItem = a.request(20_000)
		err = a.post(waiting, waitingItem)
	}
	wantUnavailable(t, err)
	for range 30 {
		wantUnavailable(t, a.post(waiting, waitingItem))
	}
	for i, o := range must[qpcv1.BatchPostResponse](a.room.anon, batchOf(waiting, waiting)).Outcomes {
		// "not tried" where the one before it had failed when its turn came
		code := o.GetError().GetCode()
		if code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE && (i == 0 || code != qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED) || i == 0 && o.GetError().GetRetryAfterMs() == 0 {
			t.Errorf("post %d of a batch: %v", i, o)
		}
	}
	if p := f.part(partStore); p.OK || !strings.Contains(p.Text, "full") {
		t.Errorf("%+v", p)
	}
	if p := f.part(partDisk); p.OK || !strings.Contains(p.Text, "full") && !strings.Contains(p.Text, "no space") {
		t.Errorf("%+v", p)
	}
	a.check(bob) // reading goes on
	must[qpcv1.InfoResponse](f.dial(), &qpcv1.InfoRequest{})

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := a.post(waiting, waitingItem); err != nil {
		t.Errorf("when there is space again: %v", err)
	}
	f.inspected()
	for _, part := range []string{partStore, partDisk} {
		if p := f.part(part); !p.OK {
			t.Errorf("%+v", p)
		}
		f.wantOnce(part)
	}
	if n := f.logLines("call failed"); n != 0 {
		t.Errorf("%d lines about calls", n)
	}
	f.restart()
	f.reconnect(bob)
	a.check(bob)
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := file.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, 12<<20)
	f := start(t, func(c *Config) { c.DataDir = filepath.Join(disk, "data") })
	f.inspected()
	f.shutdown()
	readOnly(t, disk)
	if p := f.part(partDisk); p.OK || !strings.Contains(p.Text, "read-only file system") {
		t.Errorf("%+v", p)
	}
	s, err := New(f.cfg, nil)
	if err == nil {
		_ = s.Shutdown(t.Context())
		t.Fatal("started on a disk that cannot be written to")
	}
	if !strings.Contains(err.Error(), "read-only") && !strings.Contains(err.Error(), "readonly") {
		t.Errorf("got %v", err)
	}
}

// Half of the database is overwritten. What can be read is served, the rest is
// said to be damaged, until somebody restores it.
func TestDamagedDatabase(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	a := &acknowledged{room: newRoom(f, alice, bob)}
	for range 200 {
		req, item := a.request(2000)
		if err := a.post(req, item); err != nil {
			t.Fatal(err)
		}
	}
	f.shutdown()
	path := filepath.Join(f.cfg.DataDir, secrets.DatabaseName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = rand.Read(content[len(content)/2/4096*4096:])
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.inspected()
	f.reconnect(bob)
	for range 20 {
		_, err := call[qpcv1.FetchResponse](bob.conn, &qpcv1.FetchRequest{Limit: 500})
		wantUnavailable(t, err)
	}
	for range 2 { // it does not go away because nobody asks
		if p := f.part(partStore); p.OK || !strings.Contains(p.Text, "damaged") {
			t.Errorf("%+v", p)
		}
	}
	if n := f.logLines("trouble begins", "part=store", "damaged"); n != 1 || f.logLines("call failed") != 0 {
		t.Errorf("%d lines:\n%s", n, f.logs.Bytes())
	}
}

// PostgreSQL goes away and comes back. Calls are put off and go through when
// they are repeated; nothing that was taken is lost.
func TestPostgresGone(t *testing.T) {
	cluster := postgrestest.Own(t)
	url, err := cluster.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, cfg: testConfig(t), clock: &clock{}, logs: &logBuffer{}}
	f.cfg.Store.URL = storage.URL(url)
	f.options = []Option{WithStore(func(ctx context.Context, url storage.URL, limits storage.Limits, keyHash []byte) (storage.Store, error) {
		return postgres.Open(ctx, postgres.Options{URL: url, Limits: limits, KeyHash: keyHash})
	})}
	f.open()
	t.Cleanup(f.shutdown)
	f.inspected()
	alice, bob := f.register("alice"), f.register("bob")
	a := &acknowledged{room: newRoom(f, alice, bob)}
	post := func() error {
		req, item := a.request(500)
		return a.post(req, item)
	}
	for range 10 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	waiting, waitingItem := a.request(500)
	failed := make(chan error)
	for range 20 {
		go func() {
			_, err := call[qpcv1.PostResponse](a.room.anon, waiting)
			failed <- err
		}()
	}
	for range 20 {
		wantUnavailable(t, <-failed)
	}
	if p := f.part(partStore); p.OK || !strings.Contains(p.Text, "PostgreSQL") {
		t.Errorf("%+v", p)
	}
	if err := f.Alive(t.Context()); err != nil {
		t.Errorf("the process lives: %v", err)
	}
	if err := cluster.Run(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); a.post(waiting, waitingItem) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("it does not go on")
		}
	}
	for deadline := time.Now().Add(patience); !f.part(partStore).OK; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", f.part(partStore))
		}
	}
	if err := post(); err != nil {
		t.Error(err)
	}
	a.check(bob)
	f.wantOnce(partStore)
	if n := f.logLines("call failed"); n != 0 {
		t.Errorf("%d lines about calls", n)
	}
	if !bob.alive() {
		t.Error("a connection was lost")
	}
}

// alive tells whether the member's connection is still there.
func (d *member) alive() bool {
	select {
	case <-d.Done():
		return false
	default:
		return true
	}
}

// The clock goes back by an hour: devices stay, posts go on, limits give
// nothing away, and what is stored is neither lost nor doubled.
func TestClockGoesBack(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	a := &acknowledged{room: newRoom(f, alice, bob)}
	bob.subscribe(0)
	for _, jump := range []time.Duration{0, -time.Hour, time.Hour, time.Hour, -time.Hour} {
		f.clock.advance(jump)
		for i := range 5 {
			req, item := a.request(100)
			if err := a.post(req, item); err != nil {
				t.Fatalf("%v, post %d: %v", jump, i, err)
			}
			if err := a.room.repeat(req); err != nil {
				t.Fatal(err)
			}
			if got := bob.next(); !bytes.Equal(got.ItemId, item) {
				t.Fatal("another item was pushed")
			}
		}
		f.expire(t.Context())
		if err := bob.authenticate(f.dial()); err != nil {
			t.Errorf("%v: the device is refused: %v", jump, err)
		}
		f.reconnect(bob)
		bob.subscribe(uint64(len(a.items)))
	}
	a.check(bob)
}

// repeat posts once more what was taken.
func (r *room) repeat(req *qpcv1.PostRequest) error {
	_, err := call[qpcv1.PostResponse](r.anon, req)
	return err
}
