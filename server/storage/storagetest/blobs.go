package storagetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func random32() (b [32]byte) {
	rand.Read(b[:])
	return b
}

// newBlob is an upload of five chunks, the last of a single byte.
func newBlob() storage.NewBlob {
	return storage.NewBlob{Name: random32(), Size: 41, ChunkSize: 10, Quota: random32(), Charge: 50, Now: today}
}

func createBlob(t testing.TB, s storage.Store) storage.Blob {
	t.Helper()
	b, err := s.CreateBlob(t.Context(), newBlob())
	must(t, err)
	return b
}

func chunkOf(name storage.BlobName, number int) storage.BlobChunk {
	return storage.BlobChunk{Name: name, Number: number, Digest: [32]byte{byte(number), 'd'}, Now: today}
}

// storeChunks begins and stores chunks.
func storeChunks(t testing.TB, s storage.Store, name storage.BlobName, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		_, err := s.BeginChunk(t.Context(), chunkOf(name, n))
		must(t, err)
		must(t, s.StoredChunk(t.Context(), chunkOf(name, n)))
	}
}

func finishedBlob(t testing.TB, s storage.Store) storage.Blob {
	t.Helper()
	b := createBlob(t, s)
	storeChunks(t, s, b.Name, 0, 1, 2, 3, 4)
	b, err := s.FinishBlob(t.Context(), b.Name, [32]byte{'h'}, today)
	must(t, err)
	return b
}

func chunks(t testing.TB, s storage.Store, name storage.BlobName) string {
	t.Helper()
	numbers, err := s.BlobChunks(t.Context(), name)
	must(t, err)
	return fmt.Sprint(numbers)
}

// goneNames lists the blobs that are to be cleared away at now.
func goneNames(t testing.TB, s storage.Store, now time.Time) []storage.BlobName {
	t.Helper()
	list, err := s.GoneBlobs(t.Context(), now, 100)
	must(t, err)
	var names []storage.BlobName
	for _, b := range list {
		if b.Chunks() != 5 {
			t.Fatalf("a gone blob has %d chunks to delete", b.Chunks())
		}
		names = append(names, b.Name)
	}
	return names
}

func testBlobs(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	n := newBlob()
	b, err := s.CreateBlob(t.Context(), n)
	must(t, err)
	upload := storage.Blob{Name: n.Name, Size: 41, ChunkSize: 10, Expires: b.Expires}
	equal(t, "upload", b, upload)
	equal(t, "chunks", b.Chunks(), 5)
	if b.Expires.Before(today.Add(24*time.Hour)) || b.Expires.After(today.Add(48*time.Hour)) || b.Expires.Unix()%86400 != 0 {
		t.Errorf("upload expires at %v", b.Expires)
	}
	got, err := s.Blob(t.Context(), n.Name, today)
	must(t, err)
	equal(t, "upload that was read", got, upload)

	// again, from another day and with another size of chunks: it stays as it was
	again := n
	again.Now, again.ChunkSize, again.Quota = today.Add(2*time.Hour), 20, random32()
	b, err = s.CreateBlob(t.Context(), again)
	must(t, err)
	equal(t, "created again", b, upload)
	again.Size++
	_, err = s.CreateBlob(t.Context(), again)
	wantErr(t, err, storage.ErrBlobConflict)

	_, err = s.Blob(t.Context(), random32(), today)
	wantErr(t, err, storage.ErrUnknownBlob)
	equal(t, "chunks of an unknown blob", chunks(t, s, random32()), "[]")
}

func testBlobChunks(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	b, other := createBlob(t, s), createBlob(t, s)
	begin := func(c storage.BlobChunk) (bool, error) { return s.BeginChunk(t.Context(), c) }

	c := chunkOf(b.Name, 3)
	wantErr(t, s.StoredChunk(t.Context(), c), storage.ErrUnknownBlob) // never begun
	for range 2 {
		stored, err := begin(c)
		must(t, err)
		equal(t, "stored before it was", stored, false)
	}
	equal(t, "begun only", chunks(t, s, b.Name), "[]")
	replaced := c
	replaced.Digest = random32()
	_, err := begin(replaced)
	wantErr(t, err, storage.ErrBlobConflict)
	wantErr(t, s.StoredChunk(t.Context(), replaced), storage.ErrUnknownBlob)
	for range 2 {
		must(t, s.StoredChunk(t.Context(), c))
	}
	stored, err := begin(c)
	must(t, err)
	equal(t, "stored", stored, true)
	_, err = begin(replaced)
	wantErr(t, err, storage.ErrBlobConflict)

	storeChunks(t, s, b.Name, 4, 0)
	equal(t, "chunks", chunks(t, s, b.Name), "[0 3 4]")
	equal(t, "chunks of another", chunks(t, s, other.Name), "[]")
	_, err = begin(chunkOf(random32(), 0))
	wantErr(t, err, storage.ErrUnknownBlob)
}

func testFinishBlob(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	n := newBlob()
	b, err := s.CreateBlob(t.Context(), n)
	must(t, err)
	hash := [32]byte{'h'}
	finish := func(name storage.BlobName, hash [32]byte) (storage.Blob, error) {
		return s.FinishBlob(t.Context(), name, hash, today.Add(time.Hour))
	}
	_, err = finish(random32(), hash)
	wantErr(t, err, storage.ErrUnknownBlob)
	_, err = finish(b.Name, hash)
	wantErr(t, err, storage.ErrBlobIncomplete)
	storeChunks(t, s, b.Name, 0, 1, 2, 4)
	_, err = s.BeginChunk(t.Context(), chunkOf(b.Name, 3))
	must(t, err)
	_, err = finish(b.Name, hash) // begun is not stored
	wantErr(t, err, storage.ErrBlobIncomplete)
	storeChunks(t, s, b.Name, 3)

	done, err := finish(b.Name, hash)
	must(t, err)
	want := b
	want.Finished, want.Expires = true, done.Expires
	equal(t, "finished", done, want)
	if ttl := storage.DefaultLimits().BlobTTL; done.Expires.Before(today.Add(ttl)) || done.Expires.After(today.Add(ttl+25*time.Hour)) {
		t.Errorf("blob expires at %v", done.Expires)
	}
	again, err := s.FinishBlob(t.Context(), b.Name, hash, today.Add(72*time.Hour))
	must(t, err)
	equal(t, "finished again, later", again, done)
	_, err = finish(b.Name, random32())
	wantErr(t, err, storage.ErrBlobConflict)
	created, err := s.CreateBlob(t.Context(), n)
	must(t, err)
	equal(t, "created again when finished", created, done)

	// its chunks are what they are
	stored, err := s.BeginChunk(t.Context(), chunkOf(b.Name, 2))
	must(t, err)
	equal(t, "chunk of a finished blob", stored, true)
	_, err = s.BeginChunk(t.Context(), chunkOf(b.Name, 5))
	wantErr(t, err, storage.ErrBlobFinished)
}

func testBlobQuota(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.BlobQuota = 120
	s := open(t, limits)
	quota := storage.QuotaKey(random32())
	create := func(charge int64) (storage.NewBlob, error) {
		n := newBlob()
		n.Quota, n.Charge = quota, charge
		_, err := s.CreateBlob(t.Context(), n)
		return n, err
	}
	first, err := create(100)
	must(t, err)
	refused, err := create(21)
	wantErr(t, err, storage.ErrBlobQuota)
	_, err = s.Blob(t.Context(), refused.Name, today)
	wantErr(t, err, storage.ErrUnknownBlob)
	_, err = s.CreateBlob(t.Context(), first) // what is there costs nothing
	must(t, err)
	_, err = create(20) // and a refusal neither
	must(t, err)
	_, err = create(1)
	wantErr(t, err, storage.ErrBlobQuota)
	createBlob(t, s) // another's

	// counts of past days are deleted
	expireAll(t, s, today.Add(23*time.Hour), 10)
	_, err = create(1)
	wantErr(t, err, storage.ErrBlobQuota)
	expireAll(t, s, today.AddDate(0, 0, 2), 10)
	_, err = create(120)
	must(t, err)

	// of many at once, as many get through as fit
	quota = random32()
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := create(50); err == nil {
				created.Add(1)
			} else if !errors.Is(err, storage.ErrBlobQuota) {
				t.Errorf("create: %v", err)
			}
		})
	}
	wg.Wait()
	equal(t, "uploads of 50 within 120", created.Load(), 2)
}

// wantGone checks that nobody can do anything with a blob any more.
func wantGone(t testing.TB, s storage.Store, n storage.NewBlob, now time.Time) {
	t.Helper()
	_, err := s.Blob(t.Context(), n.Name, now)
	wantErr(t, err, storage.ErrUnknownBlob)
	c := chunkOf(n.Name, 0)
	c.Now = now
	_, err = s.BeginChunk(t.Context(), c)
	wantErr(t, err, storage.ErrUnknownBlob)
	wantErr(t, s.StoredChunk(t.Context(), c), storage.ErrUnknownBlob)
	_, err = s.FinishBlob(t.Context(), n.Name, [32]byte{'h'}, now)
	wantErr(t, err, storage.ErrUnknownBlob)
	n.Now = now
	_, err = s.CreateBlob(t.Context(), n)
	wantErr(t, err, storage.ErrBlobGone)
}

func testDeleteBlob(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	kept := finishedBlob(t, s)
	n := newBlob()
	_, err := s.CreateBlob(t.Context(), n)
	must(t, err)
	storeChunks(t, s, n.Name, 0, 1, 2, 3, 4)
	_, err = s.FinishBlob(t.Context(), n.Name, [32]byte{'h'}, today)
	must(t, err)
	must(t, s.DeleteBlob(t.Context(), random32()))
	equal(t, "gone blobs", len(goneNames(t, s, today)), 0)
	for range 2 {
		must(t, s.DeleteBlob(t.Context(), n.Name))
		wantGone(t, s, n, today)
		equal(t, "gone", fmt.Sprint(goneNames(t, s, today)), fmt.Sprint([]storage.BlobName{n.Name}))
		equal(t, "the one", goneNames(t, s, today)[0], n.Name)
	}

	// a blob that is not gone is not cleared away
	must(t, s.ClearedBlob(t.Context(), kept.Name, today))
	must(t, s.ClearedBlob(t.Context(), random32(), today))
	// the objects are deleted twice, with a day in between
	for range 2 {
		must(t, s.ClearedBlob(t.Context(), n.Name, today))
		equal(t, "gone after they were deleted", len(goneNames(t, s, today.Add(24*time.Hour-time.Second))), 0)
		wantGone(t, s, n, today)
		must(t, s.DeleteBlob(t.Context(), n.Name))
	}
	later := today.Add(48 * time.Hour)
	equal(t, "gone a day later", len(goneNames(t, s, later)), 1)
	must(t, s.ClearedBlob(t.Context(), n.Name, later))
	equal(t, "gone in the end", len(goneNames(t, s, later)), 0)
	equal(t, "chunks in the end", chunks(t, s, n.Name), "[]")
	n.Now = later
	_, err = s.CreateBlob(t.Context(), n) // forgotten
	must(t, err)
	_, err = s.Blob(t.Context(), kept.Name, today)
	must(t, err)
}

func testExpireBlobs(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.UploadTTL, limits.BlobTTL = day, 10*day
	s := open(t, limits)
	upload := createBlob(t, s)
	storeChunks(t, s, upload.Name, 1, 2)
	blob := finishedBlob(t, s)
	for _, step := range []struct {
		now          time.Time
		upload, blob bool
	}{
		{today.Add(day), true, true},
		{today.Add(2 * day), false, true},
		{today.Add(10 * day), false, true},
		{today.Add(11 * day), false, false},
	} {
		for range 2 { // before the janitor came and after: it makes no difference
			for _, b := range []struct {
				storage.Blob
				alive bool
			}{{upload, step.upload}, {blob, step.blob}} {
				_, err := s.Blob(t.Context(), b.Name, step.now)
				if b.alive {
					must(t, err)
				} else {
					wantErr(t, err, storage.ErrUnknownBlob)
					wantGone(t, s, storage.NewBlob{Name: b.Name, Size: 41, ChunkSize: 10, Charge: 1}, step.now)
				}
			}
			expireAll(t, s, step.now, 100)
		}
		names := goneNames(t, s, step.now)
		equal(t, "upload is to be cleared", slices.Contains(names, upload.Name), !step.upload)
		equal(t, "blob is to be cleared", slices.Contains(names, blob.Name), !step.blob)
	}

	// a backlog goes in pieces
	for range 7 {
		createBlob(t, s)
	}
	late := today.Add(99 * day)
	for {
		before := len(goneNames(t, s, late))
		n, err := s.Expire(t.Context(), late, 3)
		must(t, err)
		if after := len(goneNames(t, s, late)); after-before > 3 {
			t.Fatalf("%d blobs in one piece of work", after-before)
		}
		if n == 0 {
			break
		}
	}
	list, err := s.GoneBlobs(t.Context(), late, 4)
	must(t, err)
	equal(t, "gone blobs, at most 4", len(list), 4)
	for clears := 0; ; clears++ {
		list, err := s.GoneBlobs(t.Context(), late, 4)
		must(t, err)
		if len(list) == 0 {
			break
		}
		if clears > 10 {
			t.Fatal("clearing does not come to an end")
		}
		for _, b := range list {
			must(t, s.ClearedBlob(t.Context(), b.Name, late))
		}
	}
}

// Of many that want to store a chunk, one's bytes count.
func testChunkRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	b := createBlob(t, s)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c := chunkOf(b.Name, 0)
			c.Digest = [32]byte{byte(i % 4)}
			_, err := s.BeginChunk(t.Context(), c)
			if err == nil {
				won.Add(1 << (8 * (i % 4)))
			} else if !errors.Is(err, storage.ErrBlobConflict) {
				t.Errorf("begin: %v", err)
			}
		})
	}
	wg.Wait()
	if w := uint32(won.Load()); w != 4 && w != 4<<8 && w != 4<<16 && w != 4<<24 {
		t.Errorf("winners %08x", w)
	}
}

// An upload that many begin at the same time is one, and is charged once.
func testCreateBlobRace(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.BlobQuota = 100
	s := open(t, limits)
	n := newBlob()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.CreateBlob(t.Context(), n); err != nil {
				t.Errorf("create: %v", err)
			}
		})
	}
	wg.Wait()
	other := newBlob()
	other.Quota = n.Quota
	_, err := s.CreateBlob(t.Context(), other) // what is left
	must(t, err)
	other.Name = random32()
	_, err = s.CreateBlob(t.Context(), other)
	wantErr(t, err, storage.ErrBlobQuota)
}

// While a few blobs are created, uploaded, finished, deleted, expired and
// cleared away by many at the same time, nobody gets an error that it should
// not, and no blob is finished without all of its chunks.
func testBlobsTogether(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	quota := storage.QuotaKey(random32())
	names := []storage.BlobName{random32(), random32(), random32()}
	expected := []error{
		storage.ErrUnknownBlob, storage.ErrBlobGone, storage.ErrBlobConflict, storage.ErrBlobFinished, storage.ErrBlobIncomplete, storage.ErrBlobQuota,
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 40 {
				n := newBlob()
				n.Name, n.Quota = names[(worker+i)%len(names)], quota
				chunk := chunkOf(n.Name, (worker/3+i)%5)
				now := today
				if i%20 == 19 {
					now = today.Add(3 * day)
				}
				_, create := s.CreateBlob(t.Context(), n)
				_, begin := s.BeginChunk(t.Context(), chunk)
				stored := s.StoredChunk(t.Context(), chunk)
				b, finish := s.FinishBlob(t.Context(), n.Name, [32]byte{'h'}, today)
				if finish == nil && !b.Finished {
					t.Error("finishing did not finish")
				}
				errs := []error{create, begin, stored, finish}
				if worker == 0 && i%4 == 3 {
					errs = append(errs, s.DeleteBlob(t.Context(), n.Name))
				}
				if worker < 2 {
					_, expire := s.Expire(t.Context(), now, 2)
					list, gone := s.GoneBlobs(t.Context(), now, 2)
					errs = append(errs, expire, gone)
					for _, b := range list {
						errs = append(errs, s.ClearedBlob(t.Context(), b.Name, now))
					}
				}
				for _, err := range errs {
					if err != nil && !slices.ContainsFunc(expected, func(want error) bool { return errors.Is(err, want) }) {
						t.Errorf("got %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		if b, err := s.Blob(t.Context(), name, today); err == nil && b.Finished {
			equal(t, "chunks of a finished blob", chunks(t, s, name), "[0 1 2 3 4]")
		}
	}
}
