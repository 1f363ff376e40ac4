package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"

	"quicprochat/server/storage"
)

// A page of the database that was overwritten behind its back: what needs the
// page fails and says why; the rest goes on.
func TestDamagedPage(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	var item storage.ItemID
	for range 200 {
		rand.Read(item[:])
		_, err := s.Post(t.Context(), bigPost(channel, item))
		must(t, err)
	}
	must(t, s.Close())
	// from its second page on, so that it still opens
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	rubbish := make([]byte, 4096)
	rand.Read(rubbish)
	for at := info.Size() / 2 / 4096 * 4096; at < info.Size(); at += 4096 {
		_, err := f.WriteAt(rubbish, at)
		must(t, err)
	}
	must(t, f.Close())
	s = openAt(t, path, storage.DefaultLimits())
	_, _, err = s.FetchItems(t.Context(), d.Queue, 0, 1000, 1<<24)
	if !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("reading: %v", err)
	}
	if err := s.AckItems(t.Context(), d.Queue, 1000); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("changing: %v", err)
	}
	must(t, s.Ping(t.Context()))
}

func bigPost(channel storage.ChannelID, item storage.ItemID) storage.Post {
	return storage.Post{
		Channel: channel, Item: item, Now: today,
		Resolve: func(a []byte) (storage.QueueID, bool) { return storage.QueueID(a), true },
		Seal: func(storage.QueueID, uint64, uint64) ([]byte, error) {
			return make([]byte, 2000), nil
		},
	}
}

func TestTroubles(t *testing.T) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	var told storage.Transaction
	s.Observe(func(transaction storage.Transaction) { told = transaction })
	_, channel := oneQueue(t, s)
	var limit int
	must(t, s.writer.do(t.Context(), func(tx *tx) error { return tx.get(into(&limit), `PRAGMA max_page_count(70)`) }))
	var item storage.ItemID
	var err error
	taken := 0
	for err == nil && taken < 1000 {
		rand.Read(item[:])
		if _, err = s.Post(t.Context(), bigPost(channel, item)); err == nil {
			taken++
		}
	}
	if !errors.Is(err, storage.ErrFull) || taken == 0 {
		t.Fatalf("%d posts, then %v", taken, err)
	}
	if told.Err != nil { // the call's own failure: others in its transaction could have fitted
		t.Errorf("told: %+v", told)
	}
	must(t, s.writer.do(t.Context(), func(tx *tx) error { return tx.get(into(&limit), `PRAGMA max_page_count(100000)`) }))
	if _, err := s.Post(t.Context(), bigPost(channel, item)); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	must(t, s.writer.do(t.Context(), func(tx *tx) error { return tx.control(`PRAGMA query_only(1)`) }))
	rand.Read(item[:])
	if _, err := s.Post(t.Context(), bigPost(channel, item)); !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("while it takes no changes: %v", err)
	}
	if storage.TroubleOf(withTrouble(context.Canceled)) != nil || storage.TroubleOf(storage.ErrUnknownQueue) != nil {
		t.Error("an ordinary error is a trouble")
	}
}
