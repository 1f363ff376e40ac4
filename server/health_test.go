package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/bus/nats/natstest"
	"quicprochat/server/storage"
)

// inspected makes the fixture look its server over anew each time, and its
// troubles end as soon as all is well.
func (f *fixture) inspected() *fixture {
	f.health.looking.Lock()
	f.health.again = 0
	f.health.looking.Unlock()
	f.troubles.mu.Lock()
	f.troubles.calm = 0
	f.troubles.mu.Unlock()
	return f
}

// part looks the server over and returns one part.
func (f *fixture) part(name string) Part {
	f.t.Helper()
	for _, p := range f.Ready(f.t.Context()) {
		if p.Name == name {
			if p.Text == "" || strings.Contains(p.Text, f.cfg.DataDir) {
				f.t.Errorf("%s says %q", name, p.Text)
			}
			return p
		}
	}
	f.t.Fatalf("there is no part %s", name)
	return Part{}
}

// logLines counts the lines of the log with all of some words.
func (f *fixture) logLines(words ...string) (n int) {
	for line := range strings.Lines(string(f.logs.Bytes())) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			n++
		}
	}
	return n
}

func TestReady(t *testing.T) {
	f := start(t).inspected()
	for _, name := range []string{partServing, partStore, partDisk, partBlobs, partClock} {
		if p := f.part(name); !p.OK {
			t.Errorf("%+v", p)
		}
	}
	if err := f.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	f.wantFigure(5, "qpc_ready")
	f.shutdown()
	if p := f.part(partServing); p.OK {
		t.Errorf("%+v", p)
	}
	if err := f.Alive(t.Context()); err == nil {
		t.Error("alive after its end")
	}
	if n := f.logLines("level=ERROR"); n > 1 { // that it was asked after its end
		t.Errorf("%s", f.logs.Bytes())
	}
}

func TestAliveOnEveryAddress(t *testing.T) {
	f := start(t, func(c *Config) { c.Listen = ":0" })
	if err := f.Alive(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBucketInTrouble(t *testing.T) {
	b := newBucket()
	f, alice, _ := blobServer(t, b)
	f.inspected()
	u := newUpload(10)
	u.create(alice.conn)
	b.failing("write check")
	for range 20 {
		_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(0))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_STORAGE)
	}
	if p := f.part(partBlobs); p.OK || !strings.Contains(p.Text, "no space left") {
		t.Errorf("%+v", p)
	}
	if p := f.part(partStore); !p.OK {
		t.Errorf("%+v", p)
	}
	b.failing("")
	if p := f.part(partBlobs); !p.OK {
		t.Errorf("%+v", p)
	}
	u.run(alice.conn)
	if begins, ends := f.logLines("trouble begins", "part=blobs"), f.logLines("trouble is over", "part=blobs"); begins != 1 || ends != 1 {
		t.Errorf("%d lines that it begins, %d that it is over", begins, ends)
	}
	if n := f.figure("qpc_trouble_failures_total", partBlobs); n < 21 {
		t.Errorf("%v failures", n)
	}
}

// A bucket that hangs does not hold the look up for ever.
func TestLookIsBounded(t *testing.T) {
	f := start(t).inspected()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := f.look(ctx, look{"hangs", func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}})
	if p.OK || f.troubles.of("hangs") != nil {
		t.Errorf("%+v", p)
	}
}

func TestTroubles(t *testing.T) {
	logs := &logBuffer{}
	now := time.Unix(1e9, 0)
	tr := newTroubles(slog.New(slog.NewTextHandler(logs, nil)), newMeters())
	tr.now = func() time.Time { return now }
	lines := func() int { return strings.Count(string(logs.Bytes()), "\n") }
	full := errors.Join(storage.ErrFull, errors.New("disk"))
	for range 100 {
		tr.happened(partStore, full)
		now = now.Add(time.Second)
		tr.fine(partStore) // does not mean much yet
	}
	if lines() != 1 || !errors.Is(tr.of(partStore), storage.ErrFull) || tr.of(partBlobs) != nil {
		t.Fatalf("%s", logs.Bytes())
	}
	now = now.Add(calmTime)
	tr.fine(partStore)
	tr.fine(partStore)
	if text := string(logs.Bytes()); lines() != 2 || !strings.Contains(text, "failures=100") || !strings.Contains(text, "lasted=2m10s") || tr.of(partStore) != nil {
		t.Fatalf("%s", text)
	}
	tr.happened(partStore, storage.ErrDamaged)
	now = now.Add(24 * time.Hour)
	tr.happened(partStore, storage.ErrBusy)
	tr.fine(partStore)
	now = now.Add(24 * time.Hour)
	tr.fine(partStore)
	if !errors.Is(tr.of(partStore), storage.ErrDamaged) {
		t.Error("damage went away by itself")
	}
}

func TestTroubleHandler(t *testing.T) {
	logs := &logBuffer{}
	tr := newTroubles(slog.New(slog.NewTextHandler(logs, nil)), newMeters())
	log := slog.New(troubleHandler{slog.NewTextHandler(logs, nil), tr}).With("a", 1).WithGroup("g")
	for range 10 {
		log.Error("pushing failed", "error", storage.ErrUnreachable)
	}
	log.Error("something else", "error", errors.New("of its own"))
	log.Info("nothing bad", "error", storage.ErrFull)
	if text := string(logs.Bytes()); strings.Count(text, "\n") != 3 || !strings.Contains(text, "of its own") || !strings.Contains(text, "nothing bad") {
		t.Errorf("%s", text)
	}
}

func TestExplain(t *testing.T) {
	f := start(t)
	for _, trouble := range []error{storage.ErrFull, storage.ErrReadOnly, storage.ErrDisk, storage.ErrDamaged, storage.ErrBusy, storage.ErrUnreachable} {
		e := f.explain(wire.Method{}, errors.Join(errors.New("doing something"), trouble))
		if e == nil || e.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE || e.RetryAfter <= 0 || e.Message == "" {
			t.Errorf("%v: %+v", trouble, e)
		}
	}
	if e := f.explain(wire.Method{}, storage.ErrClosed); e == nil || e.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE {
		t.Errorf("closed: %+v", e)
	}
	if e := f.explain(wire.Method{}, errors.New("a mistake of ours")); e != nil {
		t.Errorf("%+v", e)
	}
}

func TestClockIsWatched(t *testing.T) {
	var wall, elapsed time.Duration
	began := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	c := newWallClock(func() time.Time { return began.Add(wall) }, func() time.Duration { return elapsed })
	pass := func(d time.Duration) { wall, elapsed = wall+d, elapsed+d }
	want := func(what string, words string) {
		t.Helper()
		err := c.check()
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	pass(24 * time.Hour)
	want("a day later", "")
	for range 100 {
		pass(time.Minute)
		wall += time.Second // it is corrected all the time
		want("corrected a little", "")
	}
	wall -= time.Hour
	want("an hour back", "set back by 1h0m0s")
	pass(steadyTime / 2)
	want("still", "set back")
	wall += time.Hour
	want("set right", "")
	wall += time.Hour
	want("an hour ahead", "set ahead by 1h0m0s")
	pass(steadyTime)
	want("steady for a while", "")
	wall += 30 * 24 * time.Hour
	want("a month ahead", "until it is set back")
	pass(10 * steadyTime)
	want("a month ahead, after two hours", "until it is set back")
	wall -= 30 * 24 * time.Hour
	want("set right again", "")
	wall += 30 * 24 * time.Hour
	want("a machine that was paused for a month", "until it is set back")
	pass(farSteadyTime)
	want("steady for a day", "")
	pass(24 * time.Hour)
	want("and from then on", "")
	wall -= 20 * 365 * 24 * time.Hour
	want("before there was such a program", "set it")
}

// A disk that hangs neither keeps who asks waiting nor has looks pile up behind
// it.
func TestLookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{troubles: newTroubles(slog.New(slog.DiscardHandler), newMeters())}
		release := make(chan struct{})
		var looks atomic.Int32
		hanging := look{partDisk, func(context.Context) (string, error) {
			looks.Add(1)
			<-release
			return "fine", nil
		}}
		began := time.Now()
		if p := s.look(t.Context(), hanging); p.OK || !strings.Contains(p.Text, "no answer") {
			t.Errorf("%+v", p)
		}
		if took := time.Since(began); took > lookTime {
			t.Errorf("it took %v", took)
		}
		for range 10 {
			if p := s.look(t.Context(), hanging); p.OK || !strings.Contains(p.Text, "hangs") {
				t.Errorf("%+v", p)
			}
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("%d looks hang", n)
		}
		close(release)
		synctest.Wait()
		time.Sleep(calmTime)
		if p := s.look(t.Context(), hanging); !p.OK {
			t.Errorf("afterwards: %+v", p)
		}
	})
}

// While the clock is not believed, nothing expires.
func TestNothingExpiresByAWrongClock(t *testing.T) {
	f := start(t).inspected()
	alice, bob := f.register("alice"), f.register("bob")
	r := newRoom(f, alice, bob)
	r.post([]byte("keep me"))
	elapsed := time.Until(f.clock.now()) // stands still from here on
	f.Server.clock.mu.Lock()
	f.Server.clock.elapsed = func() time.Duration { return elapsed + time.Since(f.made) }
	f.Server.clock.mu.Unlock()
	f.clock.advance(40 * 24 * time.Hour)
	f.expire(t.Context())
	if items := must[qpcv1.FetchResponse](bob.conn, &qpcv1.FetchRequest{}).Items; len(items) == 0 {
		t.Error("what waited is gone")
	}
	if p := f.part(partClock); p.OK || !strings.Contains(p.Text, "set ahead") {
		t.Errorf("%+v", p)
	}
	f.clock.advance(-40 * 24 * time.Hour)
	if p := f.part(partClock); !p.OK {
		t.Errorf("%+v", p)
	}
	f.clock.advance(-time.Hour)
	if p := f.part(partClock); p.OK || !strings.Contains(p.Text, "set back") {
		t.Errorf("%+v", p)
	}
	r.post([]byte("at an hour that was before")) // goes on all the same
	if n := f.logLines("trouble begins", "part=clock"); n != 2 {
		t.Errorf("%d lines", n)
	}
}

// A server alone has no bus to look at; one of several tells whether the others
// hear of what it gets.
func TestBusInTrouble(t *testing.T) {
	alone := start(t).inspected()
	if parts := alone.Ready(t.Context()); slices.ContainsFunc(parts, func(p Part) bool { return p.Name == partBus }) {
		t.Errorf("alone: %+v", parts)
	}
	nats := natstest.Run(t)
	f := startNodes(t, 1, nats)[0].inspected()
	well(t, []*fixture{f})
	if p := f.part(partBus); !p.OK {
		t.Errorf("%+v", p)
	}
	nats.Stop()
	waitFor(t, "the bus is gone", func() bool { return f.BusHealth() != nil })
	for range 5 {
		if p := f.part(partBus); p.OK || !strings.Contains(p.Text, "the bus") {
			t.Errorf("%+v", p)
		}
	}
	nats.Start()
	well(t, []*fixture{f})
	if p := f.part(partBus); !p.OK {
		t.Errorf("%+v", p)
	}
	f.wantOnce(partBus)
}
