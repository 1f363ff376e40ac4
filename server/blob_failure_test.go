package server

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// A bucket that fails: the caller is told so, what was acknowledged stays, and
// when it works again, all goes on.
func TestBlobBucketFails(t *testing.T) {
	b := newBucket()
	f, alice, anon := blobServer(t, b)
	u := newUpload(3 * mib)
	u.create(alice.conn)
	u.send(alice.conn, 0)
	wantStorage := func(err error) {
		t.Helper()
		e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_STORAGE)
		if e.RetryAfter <= 0 || strings.Contains(e.Message, "secret-key") {
			t.Errorf("%+v", e)
		}
	}
	b.failing("write")
	for range 2 {
		_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(1))
		wantStorage(err)
	}
	u.send(alice.conn, 0) // is here already
	b.failing("")
	if missing := u.create(alice.conn); len(missing) != 2 {
		t.Errorf("missing: %v", missing)
	}
	b.set(func() { b.lostAnswers = true })
	_, err := call[qpcv1.UploadChunkResponse](alice.conn, u.chunkRequest(2))
	wantStorage(err)
	b.set(func() { b.lostAnswers = false })
	u.send(alice.conn, 1, 2)
	b.failing("read")
	_, err = call[qpcv1.FinishUploadResponse](alice.conn, u.finishRequest())
	wantStorage(err)
	u.wantUnknown(anon)
	b.failing("")
	u.run(alice.conn)
	b.failing("read")
	_, err = call[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id})
	wantStorage(err)
	b.failing("")
	u.wantDownload(anon)

	b.failing("delete")
	must[qpcv1.DeleteBlobResponse](anon, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
	f.clearBlobs(t.Context())
	u.wantUnknown(anon)
	if b.len() != 3 {
		t.Fatal("deleting did not fail")
	}
	b.failing("")
	f.restart() // the next run begins with what the last one left
	for deadline := time.Now().Add(patience); b.len() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d objects are left", b.len())
		}
	}
	logs := string(f.logs.Bytes())
	if !strings.Contains(logs, "no space left on device") || strings.Contains(logs, "secret-key") {
		t.Error("the log does not say what is wrong, or too much")
	}
}

// A blob that is deleted while somebody reads it is gone, and no failure.
func TestBlobDeletedWhileRead(t *testing.T) {
	b := newBucket()
	f, alice, anon := blobServer(t, b)
	u := newUpload(10).run(alice.conn)
	other := f.dial()
	b.set(func() {
		b.fail = func(call, _ string) error {
			if call != "read" {
				return nil
			}
			must[qpcv1.DeleteBlobResponse](other, &qpcv1.DeleteBlobRequest{UploadSecret: u.secret})
			return errDiskFull
		}
	})
	u.wantUnknown(anon)
	if strings.Contains(string(f.logs.Bytes()), "level=ERROR") {
		t.Error("the log complains")
	}
}

// Objects that changed behind the server's back are not vouched for.
func TestBlobObjectsAreChecked(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"other bytes": func(d []byte) []byte { d[len(d)/2] ^= 1; return d },
		"truncated":   func(d []byte) []byte { return d[:len(d)-1] },
		"empty":       func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket()
			_, alice, anon := blobServer(t, b)
			u := newUpload(mib + 9)
			u.send(alice.conn, u.create(alice.conn)...)
			b.tamper(change)
			_, err := call[qpcv1.FinishUploadResponse](alice.conn, u.finishRequest())
			if code := wire.CodeOf(err); code != qpcv1.ErrorCode_ERROR_CODE_BLOB_HASH_MISMATCH && code != qpcv1.ErrorCode_ERROR_CODE_BLOB_STORAGE {
				t.Errorf("finished: %v", err)
			}
			u.wantUnknown(anon)
		})
	}
}

// However many upload at once, so many chunks are in memory and no more; the
// others are told to wait, and lose nothing.
func TestBlobUploadsAreBounded(t *testing.T) {
	b := newBucket()
	f, alice, _ := blobServer(t, b)
	const chunks, places = 40, 16
	u := newUpload(chunks * mib)
	u.create(alice.conn)
	second := f.newDevice(alice.person)
	if _, err := call[qpcv1.EnrolDeviceResponse](alice.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw}); err != nil {
		t.Fatal(err)
	}
	f.reconnect(second)
	conns := []*conn{alice.conn, second.conn}

	var writing, most, busy atomic.Int32
	release := make(chan struct{})
	b.set(func() {
		b.before = func(string) {
			n := writing.Add(1)
			defer writing.Add(-1)
			for {
				old := most.Load()
				if n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			<-release
		}
	})
	var answered, calls sync.WaitGroup
	answered.Add(chunks - places)
	for i := range chunks {
		calls.Go(func() {
			_, err := call[qpcv1.UploadChunkResponse](conns[i%2], u.chunkRequest(i))
			if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED {
				busy.Add(1)
				answered.Done()
			} else if err != nil {
				t.Errorf("chunk: %v", err)
			}
		})
	}
	answered.Wait() // all but those that wait for the bucket
	for began := time.Now(); writing.Load() < places && time.Since(began) < patience; {
		time.Sleep(time.Millisecond)
	}
	close(release)
	calls.Wait()
	if most.Load() != places || busy.Load() != chunks-places {
		t.Errorf("%d chunks at once, %d were told to wait", most.Load(), busy.Load())
	}
	for tries := 0; ; tries++ {
		missing := u.create(alice.conn)
		if len(missing) == 0 {
			break
		}
		if tries > chunks {
			t.Fatalf("missing: %v", missing)
		}
		u.send(alice.conn, missing[0])
	}
	u.run(alice.conn)
	u.wantDownload(f.dial())
}

// Clients that ask for parts and read none of them take only so many places,
// and give them back.
func TestBlobSlowReadersAreBounded(t *testing.T) {
	b := newBucket()
	f, alice, anon := blobServer(t, b)
	u := newUpload(2 * mib).run(alice.conn)
	var reads atomic.Int32
	b.set(func() {
		b.fail = func(string, string) error { reads.Add(1); return nil }
	})
	slow := f.dialRaw(t)
	payload, err := proto.Marshal(&qpcv1.DownloadRequest{BlobId: u.id})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := wire.MethodOf(&qpcv1.DownloadRequest{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 16 {
		stream, err := slow.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(wire.AppendRequest(nil, wire.Request{Method: m.ID, ID: uint32(i), Payload: payload}))
		_ = stream.Close()
	}
	for reads.Load() < 16 {
		if ctx.Err() != nil {
			t.Fatalf("%d parts were read", reads.Load())
		}
		time.Sleep(time.Millisecond)
	}
	_, err = call[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id})
	e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED)
	if e.RetryAfter <= 0 {
		t.Error("no word on when to try again")
	}
	if n := reads.Load(); n != 16 {
		t.Errorf("%d parts were read", n)
	}
	_ = slow.CloseWithError(0, "")
	for {
		_, err := call[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the places are not given back: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// A place is given back with every answer, also with every refusal.
func TestBlobPlacesAreGivenBack(t *testing.T) {
	_, alice, anon := blobServer(t, nil)
	u := newUpload(2 * mib)
	u.create(alice.conn)
	for range 40 {
		_, err := call[qpcv1.UploadChunkResponse](alice.conn, &qpcv1.UploadChunkRequest{UploadSecret: random(32), Data: []byte("x")})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
		u.send(alice.conn, 0)
	}
	u.run(alice.conn)
	for range 40 {
		resp := must[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id, Offset: 5, Length: 10})
		if !bytes.Equal(resp.Data, u.data[5:15]) {
			t.Fatal("other bytes")
		}
	}
}
