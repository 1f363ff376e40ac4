package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/bus/nats/natstest"
	"quicprochat/server/storage"
	"quicprochat/server/storage/storagetest"
)

// Commits are linearizable while the one server of a file is killed among them
// and comes back...
func TestCommitsLinearizableKilledSQLite(t *testing.T) {
	p := newProcess(t, t.TempDir())
	p.run()
	checkCommitsKilled(t, []*process{p})
}

// ...and while either of two servers of a PostgreSQL is.
func TestCommitsLinearizableKilledPostgres(t *testing.T) {
	checkCommitsKilled(t, newCluster(t, 2, natstest.Run(t)))
}

func checkCommitsKilled(t *testing.T, nodes []*process) {
	t.Helper()
	f := &fixture{t: t, clock: &clock{}, link: func() string { return nodes[0].link }}
	alice := f.register("alice")
	r := &room{f: f, id: random(16), keys: map[uint64]ed25519.PrivateKey{}}
	create := &qpcv1.CreateChannelRequest{ChannelId: r.id, Epoch: storagetest.FirstEpoch, VerifyKey: r.key(0), Addresses: [][]byte{alice.address()}}
	must[qpcv1.CreateChannelResponse](f.dial(), create)

	callers := make(map[int]*caller)
	for i := range 32 {
		callers[i] = &caller{roamer: roamer{t: t, nodes: nodes, at: i}}
	}
	defer func() {
		for _, c := range callers {
			c.close()
		}
	}()
	var answered, lost atomic.Int64
	commit := func(client int, epoch uint64, item storage.ItemID) error {
		c := callers[client]
		if err := c.connect(t.Context()); err != nil {
			return err
		}
		body := &qpcv1.CommitBody{ChannelId: r.id, Epoch: epoch, ItemId: item[:], MlsMessage: []byte("x"), NextVerifyKey: publicOf(r.keys[0])}
		err := c.try(t.Context(), r.commitRequest(body, r.keys[0]), &qpcv1.CommitResponse{})
		if err != nil && c.conn == nil {
			lost.Add(1)
			return err
		}
		answered.Add(1)
		err = staleError(err)
		if stale, ok := errors.AsType[*storage.StaleError](err); ok && stale.Winner != nil && *stale.Winner == item {
			return nil // so long ago that its key is gone, and the winner is known
		}
		return err
	}
	current := func() uint64 {
		c := callers[0]
		resp := &qpcv1.GetChannelResponse{}
		var err error
		for range 3 { // its connection may be one to a server that was killed
			if err = c.connect(context.Background()); err != nil {
				t.Fatal(err)
			}
			err = c.try(context.Background(), r.getRequest(storagetest.FirstEpoch, r.keys[0]), resp)
			if c.conn != nil {
				break
			}
		}
		if stale, ok := errors.AsType[*storage.StaleError](staleError(err)); ok {
			return stale.Current // the first epoch was long ago
		}
		if err != nil {
			t.Fatal(err)
		}
		return resp.CurrentEpoch
	}
	storagetest.CheckCommits(t, commit, current, func() {
		for _, p := range append(nodes, nodes[0]) {
			before := answered.Load()
			waitFor(t, "commits go on", func() bool { return answered.Load() > before+40 })
			p.kill()
			p.run()
		}
	})
	t.Logf("%d answers, %d calls lost", answered.Load(), lost.Load())
}

// staleError is what the store had said.
func staleError(err error) error {
	answer, ok := errors.AsType[*wire.Error](err)
	if !ok || answer.Stale == nil {
		return err
	}
	stale := &storage.StaleError{Current: answer.Stale.CurrentEpoch}
	if id := answer.Stale.WinnerItemId; len(id) == len(storage.ItemID{}) {
		item := storage.ItemID(id)
		stale.Winner = &item
	}
	return stale
}
