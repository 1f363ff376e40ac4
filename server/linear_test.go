package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"
	"time"

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

// checkCommitsKilled has 32 committers race for a channel of their own for each
// kill, through all nodes.
func checkCommitsKilled(t *testing.T, nodes []*process) {
	t.Helper()
	f := &fixture{t: t, clock: &clock{}, link: func() string { return nodes[0].link }}
	address := f.register("alice").address()
	r := &commitRace{nodes: nodes, key: ed25519.NewKeyFromSeed(random(ed25519.SeedSize))}
	for i := range 32 {
		c := &caller{roamer: roamer{t: t, nodes: nodes, at: i}}
		r.callers = append(r.callers, c)
		defer c.close()
	}
	for _, p := range append(nodes, nodes[0]) {
		r.room = &room{f: f, id: random(16)}
		create := &qpcv1.CreateChannelRequest{ChannelId: r.room.id, Epoch: storagetest.FirstEpoch, VerifyKey: publicOf(r.key), Addresses: [][]byte{address}}
		must[qpcv1.CreateChannelResponse](f.dial(), create)
		ended := storagetest.CheckCommits(t, r.commit, func() uint64 { return r.current(t) }, func() {
			p.kill()
			p.run()
		})
		t.Logf("%d epochs ended; %d calls lost so far", ended, r.lost.Load())
	}
	if r.lost.Load() == 0 {
		t.Error("the kills did not hit a call")
	}
}

// commitRace is a channel for the check of commits, and who commits.
type commitRace struct {
	room    *room
	key     ed25519.PrivateKey // of all epochs
	nodes   []*process
	callers []*caller
	lost    atomic.Int64 // calls that were not answered
}

func (r *commitRace) commit(ctx context.Context, client int, epoch uint64, item storage.ItemID) error {
	c := r.callers[client]
	if err := c.connect(ctx); err != nil {
		return err
	}
	body := &qpcv1.CommitBody{ChannelId: r.room.id, Epoch: epoch, ItemId: item[:], MlsMessage: []byte("x"), NextVerifyKey: publicOf(r.key)}
	err := c.try(ctx, r.room.commitRequest(body, r.key), &qpcv1.CommitResponse{})
	if err != nil && c.conn == nil {
		r.lost.Add(1)
		return err
	}
	err = staleError(err)
	if stale, ok := errors.AsType[*storage.StaleError](err); ok && stale.Winner != nil && *stale.Winner == item {
		return nil // so long ago that its key is gone, and the winner is known
	}
	return err
}

// current asks, over a connection that knows nothing of a killed server, until
// it is answered.
func (r *commitRace) current(t *testing.T) uint64 {
	t.Helper()
	c := &caller{roamer: roamer{t: t, nodes: r.nodes}}
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := c.connect(ctx)
		resp := &qpcv1.GetChannelResponse{}
		if err == nil {
			err = c.try(ctx, r.room.getRequest(storagetest.FirstEpoch, r.key), resp)
		}
		if err == nil {
			return resp.CurrentEpoch
		}
		if stale, ok := errors.AsType[*storage.StaleError](staleError(err)); ok {
			return stale.Current // the first epoch was long ago
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // as clients do
	}
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
