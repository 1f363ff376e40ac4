package storagetest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func testFetch(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	c := newChannel(t, s, queues[0])
	lastSeq := func() uint64 {
		t.Helper()
		seq, err := s.LastSeq(t.Context(), queues[0])
		must(t, err)
		return seq
	}
	equal(t, "last seq of an empty queue", lastSeq(), 0)
	for i := range 10 {
		post(t, s, newPost(c.ID, 7, fmt.Sprint(i)))
	}
	equal(t, "last seq", lastSeq(), 10)

	size := 33 // of one item
	for _, test := range []struct {
		after           uint64
		limit, maxBytes int
		first           uint64
		count           int
		more            bool
	}{
		{0, 100, 1 << 20, 1, 10, false},
		{0, 10, 1 << 20, 1, 10, false},
		{0, 9, 1 << 20, 1, 9, true},
		{4, 3, 1 << 20, 5, 3, true},
		{7, 3, 1 << 20, 8, 3, false},
		{0, 100, 3*size + 1, 1, 3, true},
		{0, 100, 3 * size, 1, 3, true},
		{7, 100, 3 * size, 8, 3, false},
		{0, 100, 0, 1, 1, true},
		{9, 100, 1, 10, 1, false},
		{10, 100, 1 << 20, 0, 0, false},
		{11, 100, 1 << 20, 0, 0, false},
		{math.MaxUint32, 100, 1 << 20, 0, 0, false},
		{math.MaxUint64, 100, 1 << 20, 0, 0, false},
	} {
		items, more, err := s.FetchItems(t.Context(), queues[0], test.after, test.limit, test.maxBytes)
		must(t, err)
		if len(items) != test.count || more != test.more || test.count > 0 && items[0].Seq != test.first {
			t.Errorf("after %d, limit %d, %d bytes: got %d items, more %v", test.after, test.limit, test.maxBytes, len(items), more)
		}
		for _, item := range items {
			equal(t, "received", item.ReceivedAt.UTC(), time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC))
		}
	}
	equal(t, "a neighbour's queue", texts(t, s, queues[1]), "")
	_, _, err := s.FetchItems(t.Context(), random16(), 0, 1, 1)
	wantErr(t, err, storage.ErrUnknownQueue)
	_, err = s.LastSeq(t.Context(), random16())
	wantErr(t, err, storage.ErrUnknownQueue)
}

func testAck(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 3)
	c := newChannel(t, s, queues...)
	for i := range 5 {
		post(t, s, newPost(c.ID, 7, fmt.Sprint(i)))
	}
	for _, step := range []struct {
		upTo uint64
		left string
	}{{0, "0 1 2 3 4"}, {2, "2 3 4"}, {2, "2 3 4"}, {1, "2 3 4"}, {math.MaxUint64, ""}, {5, ""}} {
		must(t, s.AckItems(t.Context(), queues[1], step.upTo))
		equal(t, "left in the queue", texts(t, s, queues[1]), step.left)
		equal(t, "the queue before", texts(t, s, queues[0]), "0 1 2 3 4")
		equal(t, "the queue behind", texts(t, s, queues[2]), "0 1 2 3 4")
	}
	// seqs go on where they were
	post(t, s, newPost(c.ID, 7, "next"))
	items := fetchAll(t, s, queues[1], 0)
	equal(t, "items", len(items), 1)
	equal(t, "seq after all were acknowledged", items[0].Seq, 6)
	wantErr(t, s.AckItems(t.Context(), random16(), 1), storage.ErrUnknownQueue)
}

func testQueueItemBound(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.QueueItems = 3
	s := open(t, limits)
	queues := enrolQueues(t, s, 2)
	full, other := queues[0], queues[1]
	c := newChannel(t, s, full, other)
	send := func(text string) int {
		t.Helper()
		must(t, s.AckItems(t.Context(), other, math.MaxUint64))
		woken := post(t, s, newPost(c.ID, 7, text)).Appended
		equal(t, "the other queue", texts(t, s, other), text)
		return len(woken)
	}
	for _, text := range []string{"a", "b", "c"} {
		equal(t, "woken", send(text), 2)
	}
	equal(t, "woken by the first that is lost", send("d"), 2)
	equal(t, "woken by the second that is lost", send("e"), 1)
	equal(t, "full queue", texts(t, s, full), "a b c !")

	// with space, the mark stays where items were lost
	must(t, s.AckItems(t.Context(), full, 2))
	send("f")
	send("g") // lost again: the mark is an item too
	send("h")
	equal(t, "queue with space", texts(t, s, full), "c ! f !")
	must(t, s.AckItems(t.Context(), full, 5))
	equal(t, "last mark", texts(t, s, full), "!")
	send("i")
	equal(t, "after the mark", texts(t, s, full), "! i")

	// a mark that was acknowledged does not keep the next from being set
	must(t, s.AckItems(t.Context(), full, math.MaxUint64))
	for _, text := range []string{"j", "k", "l", "m"} {
		send(text)
	}
	equal(t, "full again", texts(t, s, full), "j k l !")
	must(t, s.AckItems(t.Context(), full, math.MaxUint64))
	for _, text := range []string{"n", "o", "p", "q"} {
		send(text)
	}
	equal(t, "full once more", texts(t, s, full), "n o p !")
}

func testQueueByteBound(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.QueueBytes = 3 * 132
	s := open(t, limits)
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	item := func(name string) string { return name + strings.Repeat(".", 99) } // 132 bytes when sealed
	want := func(names ...string) {
		t.Helper()
		var list []string
		for _, n := range names {
			if n != "!" && len(n) == 1 {
				n = item(n)
			}
			list = append(list, n)
		}
		equal(t, "queue", texts(t, s, queue), strings.Join(list, " "))
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		post(t, s, newPost(c.ID, 7, item(name)))
	}
	want("a", "b", "c", "!")
	must(t, s.AckItems(t.Context(), queue, 1))
	post(t, s, newPost(c.ID, 7, item("f")))
	want("b", "c", "!", "f")
	post(t, s, newPost(c.ID, 7, item("g")))
	must(t, s.AckItems(t.Context(), queue, 2))
	post(t, s, newPost(c.ID, 7, "small")) // what fits is taken
	post(t, s, newPost(c.ID, 7, item("h")))
	want("c", "!", "f", "!", "small", "!")
}

func testPeek(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.QueueItems, limits.ItemTTL = 5, 30*day
	s := open(t, limits)
	queues := enrolQueues(t, s, 2)
	c := newChannel(t, s, queues...)
	want := func(items int, bytes int64, oldest time.Time, last, acked uint64) {
		t.Helper()
		got, err := s.Peek(t.Context(), queues[0])
		must(t, err)
		w := storage.Waiting{Items: items, Bytes: bytes, LastSeq: last, Acked: acked}
		if items > 0 {
			w.OldestDay = storage.DayOf(oldest)
		}
		equal(t, "waiting", got, w)
	}
	want(0, 0, today, 0, 0)
	for i := range 3 {
		p := newPost(c.ID, 7, "x")
		p.Now = today.AddDate(0, 0, i)
		post(t, s, p)
	}
	want(3, 99, today, 3, 0)
	must(t, s.AckItems(t.Context(), queues[0], 1))
	want(2, 66, today.AddDate(0, 0, 1), 3, 1)
	expireAll(t, s, today.AddDate(0, 0, 32), 100)
	want(1, 33, today.AddDate(0, 0, 2), 3, 2)
	for range 6 {
		post(t, s, newPost(c.ID, 7, "x"))
	}
	want(6, 165, today.AddDate(0, 0, 2), 8, 2) // an overflow mark is an item too
	must(t, s.AckItems(t.Context(), queues[0], math.MaxUint64))
	want(0, 0, today, 8, 8)
	_, err := s.Peek(t.Context(), random16())
	wantErr(t, err, storage.ErrUnknownQueue)
}
