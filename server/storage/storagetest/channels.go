package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"quicprochat/server/storage"
)

func channelOf(t testing.TB, s storage.Store, id storage.ChannelID) storage.Channel {
	t.Helper()
	c, err := s.Channel(t.Context(), id)
	must(t, err)
	return c
}

func wantAddresses(t testing.TB, s storage.Store, id storage.ChannelID, want ...[]byte) {
	t.Helper()
	got, err := s.ChannelAddresses(t.Context(), id)
	must(t, err)
	slices.SortFunc(got, bytes.Compare)
	slices.SortFunc(want, bytes.Compare)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("got %d addresses, want %d others", len(got), len(want))
	}
}

func testCreateChannel(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ChannelAddresses = 3
	s := open(t, limits)
	queues := enrolQueues(t, s, 4)
	c := newChannel(t, s, queues[:3]...)
	if got, want := channelOf(t, s, c.ID), (storage.Channel{Epoch: 7, Keys: []storage.EpochKey{{Epoch: 7, Key: []byte("key 7")}}}); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	wantAddresses(t, s, c.ID, c.Addresses...)

	// again, in another order and with doubles, also after a commit
	again := c
	again.Addresses = [][]byte{c.Addresses[2], c.Addresses[0], c.Addresses[1], c.Addresses[0]}
	must(t, s.CreateChannel(t.Context(), again))
	commit(t, s, newCommit(c.ID, 7, "c"))
	must(t, s.CreateChannel(t.Context(), again))
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 8)

	for _, change := range []func(*storage.NewChannel){
		func(n *storage.NewChannel) { n.Epoch++ },
		func(n *storage.NewChannel) { n.VerifyKey = []byte("key 8") },
		func(n *storage.NewChannel) { n.Addresses = n.Addresses[:2] },
		func(n *storage.NewChannel) { n.Addresses = nil },
	} {
		n := c
		change(&n)
		wantErr(t, s.CreateChannel(t.Context(), n), storage.ErrChannelExists)
	}

	full := storage.NewChannel{ID: random16(), VerifyKey: []byte("k"), Addresses: addressesOf(queues), Now: today}
	wantErr(t, s.CreateChannel(t.Context(), full), storage.ErrChannelFull)
	_, err := s.Channel(t.Context(), full.ID)
	wantErr(t, err, storage.ErrUnknownChannel)

	far := storage.NewChannel{ID: random16(), Epoch: storage.MaxEpoch, VerifyKey: []byte("k"), Now: today}
	must(t, s.CreateChannel(t.Context(), far))
	wantAddresses(t, s, far.ID)
	_, err = s.Commit(t.Context(), newCommit(far.ID, storage.MaxEpoch, "x"))
	wantErr(t, err, storage.ErrEpochRange)
	for _, epoch := range []uint64{storage.MaxEpoch + 1, math.MaxUint64} {
		n := storage.NewChannel{ID: random16(), Epoch: epoch, VerifyKey: []byte("k"), Now: today}
		wantErr(t, s.CreateChannel(t.Context(), n), storage.ErrEpochRange)
	}
	_, err = s.ChannelAddresses(t.Context(), random16())
	wantErr(t, err, storage.ErrUnknownChannel)
}

func testPost(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 3)
	c := newChannel(t, s, queues[0], queues[1])
	p := newPost(c.ID, 7, "one")
	first := post(t, s, p)
	equal(t, "channel seq", first.ChannelSeq, 1)
	got := queuesOf(first)
	slices.SortFunc(got, func(a, b storage.QueueID) int { return bytes.Compare(a[:], b[:]) })
	want := slices.Clone(queues[:2])
	slices.SortFunc(want, func(a, b storage.QueueID) int { return bytes.Compare(a[:], b[:]) })
	if !slices.Equal(got, want) {
		t.Fatal("wrong queues to wake")
	}

	for _, a := range first.Appended {
		equal(t, "seq of the item handed out", a.Item.Seq, 1)
	}
	if again := post(t, s, p); again.ChannelSeq != 1 || !again.Duplicate || len(again.Appended) != 0 {
		t.Fatalf("repeated item: %+v", again)
	}
	equal(t, "second channel seq", post(t, s, newPost(c.ID, 7, "two")).ChannelSeq, 2)
	for _, q := range queues[:2] {
		equal(t, "queue", texts(t, s, q), "one two")
		for i, item := range fetchAll(t, s, q, 0) {
			equal(t, "channel seq in the queue", channelSeqOf(item), uint64(i+1))
		}
	}
	equal(t, "queue of nobody in the channel", texts(t, s, queues[2]), "")

	// the same item id in another channel is another item
	other := newChannel(t, s, queues[2])
	p.Channel = other.ID
	equal(t, "other channel's seq", post(t, s, p).ChannelSeq, 1)
	equal(t, "other channel's queue", texts(t, s, queues[2]), "one")

	_, err := s.Post(t.Context(), newPost(random16(), 7, "x"))
	wantErr(t, err, storage.ErrUnknownChannel)
}

func testPostEpochs(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	early := newPost(c.ID, 7, "early")
	post(t, s, early)
	winners := make(map[uint64]storage.ItemID)
	for epoch := uint64(7); epoch < 17; epoch++ {
		won := newCommit(c.ID, epoch, "c")
		commit(t, s, won)
		winners[epoch] = won.Item
	}
	got := channelOf(t, s, c.ID)
	equal(t, "epoch", got.Epoch, 17)
	equal(t, "keys", len(got.Keys), 6)
	for epoch := uint64(0); epoch < 20; epoch++ {
		key, ok := got.VerifyKey(epoch)
		accepted := epoch >= 12 && epoch <= 17
		equal(t, fmt.Sprintf("key of epoch %d is there", epoch), ok, accepted)
		_, err := s.Post(t.Context(), newPost(c.ID, epoch, "p"))
		if accepted {
			equal(t, "key", string(key), fmt.Sprintf("key %d", epoch))
			must(t, err)
			continue
		}
		winner, ended := winners[epoch]
		if !ended {
			wantStale(t, err, 17, nil)
			continue
		}
		wantStale(t, err, 17, &winner)
	}
	_, err := s.Post(t.Context(), newPost(c.ID, math.MaxUint64, "p"))
	wantStale(t, err, 17, nil)

	// what was posted once is answered whatever the epoch
	equal(t, "seq of the early item", post(t, s, early).ChannelSeq, 1)
}

func testPostPassesOver(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	d := enrol(t, s)
	gone := addDevice(t, s, d.Account)
	c := storage.NewChannel{ID: random16(), Epoch: 7, VerifyKey: []byte("k"), Now: today, Addresses: [][]byte{
		addressOf(gone.Queue), addressOf(random16()), []byte("not an address"),
		{},
		addressOf(d.Queue), addressOf(d.Queue),
	}}
	must(t, s.CreateChannel(t.Context(), c))
	must(t, s.RevokeDevice(t.Context(), gone.Account, gone.ID))
	posted := post(t, s, newPost(c.ID, 7, "a"))
	if !slices.Equal(queuesOf(posted), []storage.QueueID{d.Queue}) {
		t.Fatalf("woke %d queues, want one", len(posted.Appended))
	}
	equal(t, "queue with two addresses", texts(t, s, d.Queue), "a")

	empty := storage.NewChannel{ID: random16(), Epoch: 7, VerifyKey: []byte("k"), Now: today}
	must(t, s.CreateChannel(t.Context(), empty))
	equal(t, "seq in a channel without addresses", post(t, s, newPost(empty.ID, 7, "a")).ChannelSeq, 1)
}

// A post that fails half way leaves no trace, and a panic reaches its caller.
func testPostFails(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 100)
	c := newChannel(t, s, queues...)
	p := newPost(c.ID, 7, "a")
	broken := errors.New("cannot seal")
	calls := 0
	p.Seal = func(queue storage.QueueID, seq, channelSeq uint64) ([]byte, error) {
		if calls++; calls > 90 {
			return nil, broken
		}
		return sealed(queue, seq, channelSeq, "a"), nil
	}
	_, err := s.Post(t.Context(), p)
	wantErr(t, err, broken)

	func() {
		defer func() { equal(t, "panic", recover(), any("in seal")) }()
		p.Seal = func(storage.QueueID, uint64, uint64) ([]byte, error) { panic("in seal") }
		_, _ = s.Post(t.Context(), p)
	}()

	p.Seal = seal("a")
	if posted := post(t, s, p); posted.ChannelSeq != 1 || posted.Duplicate || len(posted.Appended) != 100 {
		t.Fatalf("after failures: seq %d, duplicate %v, %d queues", posted.ChannelSeq, posted.Duplicate, len(posted.Appended))
	}
	for _, q := range queues {
		items := fetchAll(t, s, q, 0)
		equal(t, "items", len(items), 1)
		equal(t, "seq", items[0].Seq, 1)
	}
}

func testCommit(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	q := enrolQueues(t, s, 4)
	stays, leaves, joins, invited := q[0], q[1], q[2], q[3]
	c := newChannel(t, s, stays, leaves)
	joinAddress, invitedAddress := addressOf(joins), addressOf(invited)
	com := newCommit(c.ID, 7, "commit")
	com.Add = [][]byte{joinAddress, invitedAddress, joinAddress, c.Addresses[0]}
	com.Remove = [][]byte{c.Addresses[1], addressOf(stays), c.Addresses[1]}
	com.Welcomes = []storage.Welcome{
		{Queue: joins, Seal: seal("welcome")},
		{Queue: random16(), Seal: seal("nobody")},
		{Queue: invited, Seal: seal("w1")},
		{Queue: invited, Seal: seal("w2")},
		{Queue: stays, Seal: seal("again")},
	}
	posted := commit(t, s, com)
	equal(t, "channel seq", posted.ChannelSeq, 1)
	equal(t, "queues woken", len(posted.Appended), 4)
	check := func() {
		t.Helper()
		equal(t, "who stays", texts(t, s, stays), "commit again")
		equal(t, "who leaves", texts(t, s, leaves), "commit")
		equal(t, "who joins", texts(t, s, joins), "welcome")
		equal(t, "who has two welcomes", texts(t, s, invited), "w1 w2")
		wantAddresses(t, s, c.ID, c.Addresses[0], joinAddress, invitedAddress)
		got := channelOf(t, s, c.ID)
		equal(t, "epoch", got.Epoch, 8)
		equal(t, "keys", len(got.Keys), 2)
		equal(t, "key", string(got.Keys[0].Key), "key 8")
	}
	check()
	if again := commit(t, s, com); again.ChannelSeq != 1 || !again.Duplicate || len(again.Appended) != 0 {
		t.Fatalf("repeated commit: %+v", again)
	}
	check()
	post(t, s, newPost(c.ID, 8, "p"))
	equal(t, "who left", texts(t, s, leaves), "commit")
	equal(t, "who joined", texts(t, s, joins), "welcome p")

	// an address in both lists stays
	com = newCommit(c.ID, 8, "c2")
	com.Add, com.Remove = [][]byte{joinAddress}, [][]byte{joinAddress}
	commit(t, s, com)
	wantAddresses(t, s, c.ID, c.Addresses[0], joinAddress, invitedAddress)
	_, err := s.Commit(t.Context(), newCommit(random16(), 7, "x"))
	wantErr(t, err, storage.ErrUnknownChannel)
}

func testCommitStale(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	won := newCommit(c.ID, 7, "won")
	commit(t, s, won)
	lost := newCommit(c.ID, 7, "lost")
	lost.Add = [][]byte{addressOf(queue)}
	lost.Welcomes = []storage.Welcome{{Queue: queue, Seal: seal("lost")}}
	_, err := s.Commit(t.Context(), lost)
	wantStale(t, err, 8, &won.Item)
	for _, epoch := range []uint64{0, 6, 9, math.MaxUint64} {
		_, err = s.Commit(t.Context(), newCommit(c.ID, epoch, "x"))
		wantStale(t, err, 8, nil)
	}
	equal(t, "queue", texts(t, s, queue), "won")
	wantAddresses(t, s, c.ID, c.Addresses...)
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 8)
}

// A post of an epoch in which somebody was not yet there would be unreadable
// to him, and one who was removed has the keys of the epochs before: so a
// commit that changes the addresses ends the grace for older epochs.
func testPostAfterChange(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 2)
	c := newChannel(t, s, queues[0])
	commit(t, s, newCommit(c.ID, 7, "renames"))
	_, err := s.Post(t.Context(), newPost(c.ID, 7, "still in time"))
	must(t, err)
	adds := newCommit(c.ID, 8, "adds")
	adds.Add = [][]byte{addressOf(queues[1])}
	commit(t, s, adds)
	_, err = s.Post(t.Context(), newPost(c.ID, 8, "too late"))
	wantStale(t, err, 9, &adds.Item)
	commit(t, s, newCommit(c.ID, 9, "renames again"))
	_, err = s.Post(t.Context(), newPost(c.ID, 9, "in time again"))
	must(t, err)
	_, err = s.Post(t.Context(), newPost(c.ID, 8, "still too late"))
	wantStale(t, err, 10, &adds.Item)
	removes := newCommit(c.ID, 10, "removes")
	removes.Remove = [][]byte{addressOf(queues[0])}
	commit(t, s, removes)
	_, err = s.Post(t.Context(), newPost(c.ID, 10, "from one who was removed"))
	wantStale(t, err, 11, &removes.Item)
	equal(t, "queue of the newcomer", texts(t, s, queues[1]), "renames again in time again removes")
}

func testCommitMemory(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	c := newChannel(t, s, enrolQueues(t, s, 1)...)
	const epochs = storage.WinnerEpochs + 10
	var winners []storage.ItemID
	for i := range uint64(epochs) {
		com := newCommit(c.ID, 7+i, "c")
		commit(t, s, com)
		winners = append(winners, com.Item)
	}
	for i, want := range winners {
		got, ok, err := s.Winner(t.Context(), c.ID, 7+uint64(i))
		must(t, err)
		equal(t, fmt.Sprintf("winner %d of %d is known", i, epochs), ok, i >= epochs-storage.WinnerEpochs)
		if ok {
			equal(t, "winner", got, want)
		}
	}
	for _, epoch := range []uint64{0, 7 + epochs, math.MaxUint64} {
		_, ok, err := s.Winner(t.Context(), c.ID, epoch)
		must(t, err)
		equal(t, "winner of an epoch that has not ended", ok, false)
	}
	_, _, err := s.Winner(t.Context(), random16(), 7)
	wantErr(t, err, storage.ErrUnknownChannel)
}

func testCommitBounds(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ChannelAddresses = 3
	s := open(t, limits)
	q := enrolQueues(t, s, 4)
	c := newChannel(t, s, q[0], q[1])
	com := newCommit(c.ID, 7, "c")
	com.Add = addressesOf(q[2:])
	com.Welcomes = []storage.Welcome{{Queue: q[2], Seal: seal("w")}}
	_, err := s.Commit(t.Context(), com)
	wantErr(t, err, storage.ErrChannelFull)
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 7)
	equal(t, "welcome", texts(t, s, q[2]), "")
	wantAddresses(t, s, c.ID, c.Addresses...)

	com.Remove = c.Addresses[:1]
	commit(t, s, com)
	wantAddresses(t, s, c.ID, c.Addresses[1], com.Add[0], com.Add[1])
	com = newCommit(c.ID, 8, "c")
	com.Add = addressesOf(q[:1])
	_, err = s.Commit(t.Context(), com)
	wantErr(t, err, storage.ErrChannelFull)
}

func testCommitFails(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	q := enrolQueues(t, s, 2)
	c := newChannel(t, s, q[0])
	com := newCommit(c.ID, 7, "c")
	com.Add = addressesOf(q[1:])
	broken := errors.New("cannot seal")
	com.Welcomes = []storage.Welcome{{Queue: q[1], Seal: func(storage.QueueID, uint64, uint64) ([]byte, error) { return nil, broken }}}
	_, err := s.Commit(t.Context(), com)
	wantErr(t, err, broken)
	equal(t, "epoch", channelOf(t, s, c.ID).Epoch, 7)
	equal(t, "queue", texts(t, s, q[0]), "")
	wantAddresses(t, s, c.ID, c.Addresses...)
	com.Welcomes = nil
	equal(t, "seq", commit(t, s, com).ChannelSeq, 1)
}

func testDeleteChannel(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queue := enrolQueues(t, s, 1)[0]
	c := newChannel(t, s, queue)
	p := newPost(c.ID, 7, "a")
	post(t, s, p)
	won := newCommit(c.ID, 7, "c")
	commit(t, s, won)
	wantStale(t, s.DeleteChannel(t.Context(), c.ID, 7), 8, &won.Item)
	wantStale(t, s.DeleteChannel(t.Context(), c.ID, 9), 8, nil)
	must(t, s.DeleteChannel(t.Context(), c.ID, 8))
	wantErr(t, s.DeleteChannel(t.Context(), c.ID, 8), storage.ErrUnknownChannel)
	_, err := s.Channel(t.Context(), c.ID)
	wantErr(t, err, storage.ErrUnknownChannel)
	_, err = s.ChannelAddresses(t.Context(), c.ID)
	wantErr(t, err, storage.ErrUnknownChannel)
	_, err = s.Post(t.Context(), p)
	wantErr(t, err, storage.ErrUnknownChannel)
	equal(t, "what was delivered", texts(t, s, queue), "a c")

	// the id is free again, and the new channel knows nothing of the old
	must(t, s.CreateChannel(t.Context(), c))
	if posted := post(t, s, p); posted.ChannelSeq != 1 || posted.Duplicate {
		t.Fatalf("post to the new channel: %+v", posted)
	}
}

func testFanOut(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 333)
	c := newChannel(t, s, queues...)
	for i := range 3 {
		equal(t, "queues woken", len(post(t, s, newPost(c.ID, 7, fmt.Sprint(i))).Appended), len(queues))
	}
	for _, q := range queues {
		equal(t, "queue", texts(t, s, q), "0 1 2")
	}
}

func testLargeItems(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	queues := enrolQueues(t, s, 20)
	c := newChannel(t, s, queues...)
	text := strings.Repeat("large ", 50_000)
	post(t, s, newPost(c.ID, 7, text))
	post(t, s, newPost(c.ID, 7, "small"))
	for _, q := range queues {
		items := fetchAll(t, s, q, 0)
		equal(t, "items", len(items), 2)
		equal(t, "large item is whole", textOf(items[0]) == text, true)
		equal(t, "small item", textOf(items[1]), "small")
	}
}
