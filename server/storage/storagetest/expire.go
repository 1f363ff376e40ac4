package storagetest

import (
	"testing"
	"time"

	"quicprochat/server/storage"
)

const day = 24 * time.Hour

// expireAll calls Expire until nothing is left to do.
func expireAll(t testing.TB, s storage.Store, now time.Time, limit int) {
	t.Helper()
	for range 10_000 {
		n, err := s.Expire(t.Context(), now, limit)
		must(t, err)
		if n == 0 {
			return
		}
	}
	t.Fatal("Expire does not come to an end")
}

func testExpireItems(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ItemTTL = 30 * day
	limits.QueueItems = 4
	s := open(t, limits)
	queues := enrolQueues(t, s, 2)
	c := newChannel(t, s, queues...)
	postOn := func(day int, text string) storage.Post {
		t.Helper()
		p := newPost(c.ID, 7, text)
		p.Now = today.AddDate(0, 0, day)
		post(t, s, p)
		return p
	}
	old := postOn(0, "a")
	postOn(0, "b")
	postOn(1, "c")
	must(t, s.AckItems(t.Context(), queues[1], 2))
	for _, step := range []struct {
		day        int
		one, other string
	}{
		{29, "a b c", "c"},
		{30, "a b c", "c"},
		{31, "c", "c"},
		{31, "c", "c"},
		{32, "", ""},
		{99, "", ""},
	} {
		expireAll(t, s, today.AddDate(0, 0, step.day), 100)
		equal(t, "one queue", texts(t, s, queues[0]), step.one)
		equal(t, "other queue", texts(t, s, queues[1]), step.other)
	}
	equal(t, "an expired item id is new", post(t, s, old).Duplicate, false)

	// the space is free again, and seqs go on
	must(t, s.AckItems(t.Context(), queues[0], 100))
	for _, text := range []string{"d", "e", "f", "g", "h"} {
		postOn(100, text)
	}
	equal(t, "refilled", texts(t, s, queues[0]), "d e f g !")
	expireAll(t, s, today.AddDate(0, 0, 140), 100)
	equal(t, "expired with the mark", texts(t, s, queues[0]), "")
	for _, text := range []string{"i", "j", "k", "l", "m"} {
		postOn(141, text)
	}
	equal(t, "refilled again", texts(t, s, queues[0]), "i j k l !")
	seq, err := s.LastSeq(t.Context(), queues[0])
	must(t, err)
	equal(t, "last seq", seq, 3+1+5+5)
}

func testExpireRest(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ChannelTTL = 100 * day
	s := open(t, limits)
	d := enrol(t, s)
	idle, busy := newChannel(t, s, d.Queue), newChannel(t, s, d.Queue)
	p := newPost(busy.ID, 7, "a")
	p.Now = today.Add(50 * day)
	post(t, s, p)
	invite := newInvite(t, s, 1)
	used := keyPackage("used", today.Add(time.Hour))
	late := keyPackage("late", today.Add(500*day))
	upload := storage.KeyPackageUpload{Device: d.ID, SingleUse: []storage.KeyPackage{used, late}, LastResort: &late, Now: today}
	_, err := s.PutKeyPackages(t.Context(), upload)
	must(t, err)
	must(t, s.PutHybridKey(t.Context(), d.ID, []byte("h")))
	equal(t, "claimed", string(claim(t, s, d.Account, today)[0].KeyPackage), "used")

	expireAll(t, s, today.Add(100*day), 100)
	_, err = s.Channel(t.Context(), idle.ID)
	must(t, err)
	expireAll(t, s, today.Add(102*day), 100)
	_, err = s.Channel(t.Context(), idle.ID)
	wantErr(t, err, storage.ErrUnknownChannel)
	_, err = s.Channel(t.Context(), busy.ID)
	must(t, err)
	wantErr(t, s.CheckInvite(t.Context(), invite, today.Add(102*day)), storage.ErrInviteUnknown)
	count, last, err := s.CountKeyPackages(t.Context(), d.ID, today.Add(102*day))
	must(t, err)
	equal(t, "key packages", count, 1)
	equal(t, "last resort", last, true)
	expireAll(t, s, today.Add(152*day), 100)
	_, err = s.Channel(t.Context(), busy.ID)
	wantErr(t, err, storage.ErrUnknownChannel)

	// accounts and devices stay
	_, err = s.Device(t.Context(), d.Account, d.ID)
	must(t, err)
}

// A backlog goes away in bounded pieces.
func testExpireBounded(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 7)
	c := newChannel(t, s, queues...)
	for range 13 {
		post(t, s, newPost(c.ID, 7, "a"))
	}
	for _, q := range queues[:3] { // bounds on their age that are no longer exact
		must(t, s.AckItems(t.Context(), q, 13))
	}
	left := func() (n int) {
		for _, q := range queues {
			n += len(fetchAll(t, s, q, 0))
		}
		return n
	}
	later := today.Add(40 * day)
	for before := left(); before > 0; {
		n, err := s.Expire(t.Context(), later, 5)
		must(t, err)
		after := left()
		if n == 0 || before-after > 5 {
			t.Fatalf("did %d pieces of work, %d items before, %d after", n, before, after)
		}
		before = after
	}
	expireAll(t, s, later, 5)
	n, err := s.Expire(t.Context(), later, 5)
	must(t, err)
	equal(t, "work when nothing is left", n, 0)
}
