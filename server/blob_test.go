package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/blob"
)

const mib = 1 << 20

func TestBlobRoundTrip(t *testing.T) {
	f, alice, anon := blobServer(t, nil)
	for _, size := range []int{1, 1000, mib - 1, mib, mib + 1, 5*mib + 17} {
		u := newUpload(size).run(alice.conn)
		u.wantDownload(anon)
		for range 10 {
			from := rand.IntN(size)
			n := 1 + rand.IntN(mib)
			resp := must[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id, Offset: uint64(from), Length: uint32(n)})
			if want := u.data[from:min(from+n, size)]; !bytes.Equal(resp.Data, want) || resp.Size != uint64(size) {
				t.Fatalf("%d from %d of %d: %d other bytes, size %d", n, from, size, len(resp.Data), resp.Size)
			}
		}
	}
	if n := len(f.blobFiles()); n != 1+1+1+1+2+6 {
		t.Errorf("%d files", n)
	}
}

// Everything can be said twice, and in any order, and nothing changes once it
// is said.
func TestBlobUploadIsIdempotent(t *testing.T) {
	_, alice, anon := blobServer(t, nil, func(c *Config) { c.Limits.BlobBytesPerDay = 4 * mib })
	c := alice.conn
	u := newUpload(3*mib + 5)
	for range 3 { // counts once: 4 MiB of 4
		if missing := u.create(c); len(missing) != 4 {
			t.Fatalf("missing: %v", missing)
		}
	}
	u.send(c, 3, 1, 3, 1)
	if missing := fmt.Sprint(u.create(c)); missing != "[0 2]" {
		t.Errorf("missing: %v", missing)
	}
	_, err := call[qpcv1.FinishUploadResponse](c, u.finishRequest())
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_INCOMPLETE)
	other := u.chunkRequest(1)
	other.Data = random(len(other.Data))
	_, err = call[qpcv1.UploadChunkResponse](c, other)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT)
	u.wantUnknown(anon)
	u.send(c, 0, 2)
	first := must[qpcv1.FinishUploadResponse](c, u.finishRequest())
	if again := must[qpcv1.FinishUploadResponse](c, u.finishRequest()); again.ExpiresAt != first.ExpiresAt || first.ExpiresAt == 0 {
		t.Errorf("expires at %d and %d", first.ExpiresAt, again.ExpiresAt)
	}
	if resp := must[qpcv1.CreateUploadResponse](c, u.createRequest()); !resp.Finished || !bytes.Equal(resp.BlobId, u.id) {
		t.Errorf("created when finished: %v", resp)
	}
	u.send(c, 2)
	_, err = call[qpcv1.UploadChunkResponse](c, other)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT)
	u.wantDownload(anon)
}

func TestBlobRefusals(t *testing.T) {
	_, alice, anon := blobServer(t, nil, func(c *Config) { c.Limits.BlobSize = 8 * mib })
	u := newUpload(2*mib + 100)
	u.create(alice.conn)
	u.send(alice.conn, 0, 1)
	done := newUpload(mib + 1).run(alice.conn)
	chunk := func(change func(*qpcv1.UploadChunkRequest)) proto.Message {
		req := u.chunkRequest(2)
		change(req)
		return req
	}
	malformed, unknown := qpcv1.ErrorCode_ERROR_CODE_MALFORMED, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB
	for name, tc := range map[string]struct {
		c    *conn
		req  proto.Message
		want qpcv1.ErrorCode
	}{
		"secret too short":      {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(31), Size: 1}, malformed},
		"secret too long":       {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(33), Size: 1}, malformed},
		"no bytes":              {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(32)}, malformed},
		"oversize":              {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(32), Size: 8*mib + 1}, qpcv1.ErrorCode_ERROR_CODE_BLOB_TOO_LARGE},
		"beyond numbers":        {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(32), Size: 1<<64 - 1}, qpcv1.ErrorCode_ERROR_CODE_BLOB_TOO_LARGE},
		"another size":          {alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: u.secret, Size: 2 * mib}, qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT},
		"chunk, wrong secret":   {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.UploadSecret = random(32) }), unknown},
		"chunk, id as secret":   {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.UploadSecret = u.id }), unknown},
		"chunk off the grid":    {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Offset++ }), malformed},
		"chunk past the end":    {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Offset = 3 * mib }), malformed},
		"chunk far past it":     {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Offset = 1 << 63 }), malformed},
		"chunk too short":       {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Data = r.Data[:99] }), malformed},
		"chunk too long":        {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Data = random(101) }), malformed},
		"chunk empty":           {alice.conn, chunk(func(r *qpcv1.UploadChunkRequest) { r.Data = nil }), malformed},
		"finish, wrong secret":  {alice.conn, &qpcv1.FinishUploadRequest{UploadSecret: random(32), Sha256: random(32)}, unknown},
		"finish, short hash":    {alice.conn, &qpcv1.FinishUploadRequest{UploadSecret: u.secret, Sha256: random(31)}, malformed},
		"finish, incomplete":    {alice.conn, u.finishRequest(), qpcv1.ErrorCode_ERROR_CODE_BLOB_INCOMPLETE},
		"finish again, another": {alice.conn, &qpcv1.FinishUploadRequest{UploadSecret: done.secret, Sha256: random(32)}, qpcv1.ErrorCode_ERROR_CODE_BLOB_CONFLICT},
		"download unfinished":   {anon, &qpcv1.DownloadRequest{BlobId: u.id}, unknown},
		"download by secret":    {anon, &qpcv1.DownloadRequest{BlobId: done.secret}, unknown},
		"download by nothing":   {anon, &qpcv1.DownloadRequest{}, malformed},
		"download at the end":   {anon, &qpcv1.DownloadRequest{BlobId: done.id, Offset: mib + 1}, malformed},
		"download far past it":  {anon, &qpcv1.DownloadRequest{BlobId: done.id, Offset: 1<<64 - 1}, malformed},
		"download too much":     {anon, &qpcv1.DownloadRequest{BlobId: done.id, Length: mib + 1}, malformed},
		"delete by half":        {anon, &qpcv1.DeleteBlobRequest{UploadSecret: random(16)}, malformed},
		"download, signed in":   {alice.conn, &qpcv1.DownloadRequest{BlobId: done.id}, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION},
		"upload, anonymous":     {anon, u.createRequest(), qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION},
	} {
		m, _ := wire.MethodOf(tc.req)
		err := tc.c.Call(t.Context(), tc.req, m.Response.New().Interface())
		if wire.CodeOf(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	done.wantDownload(anon)

	// A hash that does not fit finishes nothing; nor does it lose anything.
	u.send(alice.conn, 2)
	_, err := call[qpcv1.FinishUploadResponse](alice.conn, &qpcv1.FinishUploadRequest{UploadSecret: u.secret, Sha256: random(32)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_HASH_MISMATCH)
	u.wantUnknown(anon)
	must[qpcv1.FinishUploadResponse](alice.conn, u.finishRequest())
	u.wantDownload(anon)
}

func TestBlobSizeByDefault(t *testing.T) {
	_, alice, _ := blobServer(t, nil)
	must[qpcv1.CreateUploadResponse](alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(32), Size: 100 * mib})
	_, err := call[qpcv1.CreateUploadResponse](alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: random(32), Size: 100*mib + 1})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_TOO_LARGE)
}

// An upload goes on where it was: after the connection broke in the middle of
// a chunk, on another device's connection, and after the server was restarted.
func TestBlobResume(t *testing.T) {
	f, alice, _ := blobServer(t, nil)
	u := newUpload(6*mib + 1)
	u.create(alice.conn)
	u.send(alice.conn, 0, 1)
	failed := make(chan error, 1)
	go func() {
		_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(2))
		failed <- err
	}()
	alice.conn.Close()
	<-failed // it came through or not: the server tells which
	f.reconnect(alice)
	missing := u.create(alice.conn)
	if n := len(missing); n != 4 && n != 5 {
		t.Fatalf("missing after the connection broke: %v", missing)
	}
	u.send(alice.conn, missing[0], 5)
	f.restart()
	f.reconnect(alice)
	if left := u.create(alice.conn); len(left) != len(missing)-2 {
		t.Fatalf("missing after the restart: %v", left)
	}
	u.run(alice.conn)
	f.restart()
	u.wantDownload(f.dial())
}

func TestBlobQuota(t *testing.T) {
	f, alice, _ := blobServer(t, nil, func(c *Config) { c.Limits.BlobBytesPerDay = 3 * mib })
	bob := f.register("bob")
	newUpload(mib + 1).run(alice.conn) // two whole MiB
	small := newUpload(5)
	small.create(alice.conn)
	refused := newUpload(1)
	_, err := call[qpcv1.CreateUploadResponse](alice.conn, refused.createRequest())
	e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_QUOTA)
	if e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	small.run(alice.conn) // what was begun goes on
	newUpload(3 * mib).run(bob.conn)
	f.clock.advance(e.RetryAfter + time.Second)
	refused.run(alice.conn)
}

func TestBlobExpiry(t *testing.T) {
	f, alice, anon := blobServer(t, nil, func(c *Config) { c.Limits.BlobTTL, c.Limits.UploadTTL = 10*24*time.Hour, 24*time.Hour })
	begun, done := newUpload(2*mib), newUpload(2*mib)
	begun.create(alice.conn)
	begun.send(alice.conn, 0)
	done.run(alice.conn)
	f.clock.advance(48 * time.Hour)
	// Gone with its time, and not only when the janitor comes.
	_, err := call[qpcv1.UploadChunkResponse](alice.conn, begun.chunkRequest(1))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
	f.expire(t.Context())
	_, err = call[qpcv1.CreateUploadResponse](alice.conn, begun.createRequest())
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
	if files := f.blobFiles(); len(files) != 2 {
		t.Errorf("%d files when the upload has expired", len(files))
	}
	done.wantDownload(anon)
	f.clock.advance(9 * 24 * time.Hour)
	done.wantUnknown(anon)
	f.expire(t.Context())
	if files := f.blobFiles(); len(files) != 0 {
		t.Errorf("%d files when the blob has expired", len(files))
	}
}

func TestBlobDelete(t *testing.T) {
	f, alice, anon := blobServer(t, nil)
	kept, done, begun := newUpload(mib+1).run(alice.conn), newUpload(2*mib).run(alice.conn), newUpload(2*mib)
	begun.create(alice.conn)
	begun.send(alice.conn, 1)
	// Neither the id nor another's secret deletes.
	for _, secret := range [][]byte{done.id, random(32)} {
		must[qpcv1.DeleteBlobResponse](anon, &qpcv1.DeleteBlobRequest{UploadSecret: secret})
		done.wantDownload(anon)
	}
	for _, u := range []*upload{done, begun, done, begun} {
		must[qpcv1.DeleteBlobResponse](anon, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
		u.wantUnknown(anon)
		_, err := call[qpcv1.CreateUploadResponse](alice.conn, u.createRequest())
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
	}
	// The janitor is told; it does not wait for its hour.
	for deadline := time.Now().Add(patience); len(f.blobFiles()) != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d files", len(f.blobFiles()))
		}
	}
	kept.wantDownload(anon)
}

// A blob that is deleted while one of its chunks is being written leaves
// nothing behind, though the chunk lands after the deletion.
func TestBlobDeletedWhileWritten(t *testing.T) {
	b := newBucket()
	f, alice, anon := blobServer(t, b)
	u := newUpload(mib)
	u.create(alice.conn)
	b.set(func() {
		b.before = func(string) {
			must[qpcv1.DeleteBlobResponse](anon, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
			f.clearBlobs(t.Context())
		}
	})
	_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(0))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
	if b.len() != 1 {
		t.Fatal("the chunk has not landed late")
	}
	f.clock.advance(49 * time.Hour)
	f.expire(t.Context())
	if b.len() != 0 {
		t.Error("the chunk is left behind")
	}
}

func TestBlobParallel(t *testing.T) {
	f, alice, _ := blobServer(t, nil)
	u := newUpload(4*mib + 3)
	missing := u.create(alice.conn)
	var wg sync.WaitGroup
	for _, i := range missing {
		wg.Go(func() { u.send(alice.conn, i) })
	}
	wg.Wait()
	u.run(alice.conn)
	for range 8 {
		c := f.dial()
		wg.Go(func() { u.wantDownload(c) })
	}
	wg.Wait()
}

func TestBlobURLNeedsABucket(t *testing.T) {
	cfg := testConfig(t)
	cfg.BlobURL = "s3://somewhere"
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	if err := s.Start(); err != ErrNoBucket {
		t.Errorf("started with %v", err)
	}
	with, err := New(cfg, nil, WithObjects(newBucket()))
	if err != nil {
		t.Fatal(err)
	}
	defer with.Shutdown(t.Context())
	if err := with.Start(); err != nil {
		t.Error(err)
	}
}

var _ blob.Objects = (*blob.Folder)(nil)
