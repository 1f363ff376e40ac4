package server

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// unlucky makes a share of all calls fail, before or after they have had
// their effect, as a crash or a lost connection to a bucket does.
func (b *bucket) unlucky(share float64) {
	rng := rand.New(rand.NewPCG(3, 4))
	b.set(func() {
		b.fail = func(call, key string) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if rng.Float64() >= share {
				return nil
			}
			if call == "delete" && rng.IntN(2) == 0 {
				delete(b.objects, key)
			}
			b.lostAnswers = call == "write" && rng.IntN(2) == 0
			if b.lostAnswers {
				return nil
			}
			return errors.New("bad luck")
		}
	})
}

// attempt repeats a call until the bucket has been kind.
func attempt(t *testing.T, do func() error) {
	t.Helper()
	for range 200 {
		err := do()
		if err == nil {
			return
		}
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_STORAGE)
	}
	t.Fatal("no luck in 200 attempts")
}

// Whatever fails between the database and the bucket, what was acknowledged is
// there, what was deleted is not, and in the end nothing is left on either
// side.
func TestBlobBadLuck(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) // the bucket has another, for its own goroutines
	b := newBucket()
	f, alice, anon := blobServer(t, b)
	b.unlucky(0.4)
	var kept, deleted []*upload
	for round := range 24 {
		u := newUpload(1 + rng.IntN(2)*mib)
		missing := u.create(alice.conn)
		if round%8 == 7 { // given up
			_, _ = call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(0))
			continue
		}
		for _, i := range missing {
			attempt(t, func() error {
				_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(i))
				return err
			})
		}
		attempt(t, func() error {
			_, err := call[qpcv1.FinishUploadResponse](alice.conn, u.finishRequest())
			return err
		})
		if round%3 == 0 {
			must[qpcv1.DeleteBlobResponse](anon, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
			deleted = append(deleted, u)
		} else {
			kept = append(kept, u)
		}
		if round%10 == 5 {
			f.restart()
			f.reconnect(alice)
			anon = f.dial()
		}
	}
	b.set(func() { b.fail, b.lostAnswers = nil, false })
	for _, u := range kept {
		u.wantDownload(anon)
	}
	for _, u := range deleted {
		u.wantUnknown(anon)
	}
	b.unlucky(0.2)
	for range 20 { // days in which the janitor fails now and then
		f.clock.advance(3 * 24 * time.Hour)
		f.expire(t.Context())
	}
	b.set(func() { b.fail, b.lostAnswers = nil, false })
	f.expire(t.Context())
	for _, u := range kept {
		u.wantUnknown(anon)
	}
	if n := b.len(); n != 0 {
		t.Errorf("%d objects are left behind", n)
	}
	f.clock.advance(3 * 24 * time.Hour)
	f.expire(t.Context())
	f.shutdown()
	db := f.database()
	defer db.Close()
	for _, table := range []string{"blobs", "blob_chunks", "blob_quotas"} {
		var rows int
		if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != 0 {
			t.Errorf("%d rows of %s are left behind", rows, table)
		}
	}
	db.Close()
	f.open() // for the clean-up
}
