package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/blob"
)

// upload is one as its client sees it.
type upload struct {
	secret, id, data []byte
	chunkSize        int
}

func newUpload(size int) *upload { return &upload{secret: random(32), data: random(size)} }

// name is what the server knows the blob by, as docs/wire.md says.
func (u *upload) name() [32]byte {
	return sha256.Sum256(append([]byte("qpc blob name v1\x00"), u.id...))
}

func (u *upload) createRequest() *qpcv1.CreateUploadRequest {
	return &qpcv1.CreateUploadRequest{UploadSecret: u.secret, Size: uint64(len(u.data))}
}

// create begins or resumes the upload and tells which chunks are missing.
func (u *upload) create(c *conn) (missing []int) {
	c.t.Helper()
	resp := must[qpcv1.CreateUploadResponse](c, u.createRequest())
	u.id, u.chunkSize = resp.BlobId, int(resp.ChunkSize)
	if want := sha256.Sum256(append([]byte("qpc blob id v1\x00"), u.secret...)); !bytes.Equal(u.id, want[:]) {
		c.t.Fatal("the id is not made from the secret")
	}
	for i := range (len(u.data) + u.chunkSize - 1) / u.chunkSize {
		if resp.Received[i/8]&(1<<(i%8)) == 0 {
			missing = append(missing, i)
		}
	}
	return missing
}

func (u *upload) chunkRequest(i int) *qpcv1.UploadChunkRequest {
	from := i * u.chunkSize
	return &qpcv1.UploadChunkRequest{UploadSecret: u.secret, Offset: uint64(from), Data: u.data[from:min(from+u.chunkSize, len(u.data))]}
}

func (u *upload) send(c *conn, chunks ...int) {
	c.t.Helper()
	for _, i := range chunks {
		must[qpcv1.UploadChunkResponse](c, u.chunkRequest(i))
	}
}

func (u *upload) finishRequest() *qpcv1.FinishUploadRequest {
	sum := sha256.Sum256(u.data)
	return &qpcv1.FinishUploadRequest{UploadSecret: u.secret, Sha256: sum[:]}
}

// run does all of it, or what is missing of it.
func (u *upload) run(c *conn) *upload {
	c.t.Helper()
	u.send(c, u.create(c)...)
	must[qpcv1.FinishUploadResponse](c, u.finishRequest())
	return u
}

// wantDownload checks that a blob can be read and is what was uploaded.
func (u *upload) wantDownload(c *conn) {
	c.t.Helper()
	var got []byte
	for size := uint64(1); uint64(len(got)) < size; {
		resp := must[qpcv1.DownloadResponse](c, &qpcv1.DownloadRequest{BlobId: u.id, Offset: uint64(len(got))})
		if len(resp.Data) == 0 {
			c.t.Fatal("an empty part")
		}
		got, size = append(got, resp.Data...), resp.Size
	}
	if !bytes.Equal(got, u.data) {
		c.t.Fatalf("%d other bytes than the %d uploaded", len(got), len(u.data))
	}
}

func (u *upload) wantUnknown(c *conn) {
	c.t.Helper()
	_, err := call[qpcv1.DownloadResponse](c, &qpcv1.DownloadRequest{BlobId: u.id})
	wantCode(c.t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_BLOB)
}

// blobFiles lists the files in the folder of blobs.
func (f *fixture) blobFiles() []string {
	f.t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(f.cfg.DataDir, blobFolder), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return files
}

// bucket is a blob.Objects in memory that can fail, wait, and be looked into.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	// fail, where set, decides whether a call fails; before, where set, is
	// called before a write lands.
	fail   func(call, key string) error
	before func(key string)
	// lostAnswers makes writes fail after they have landed.
	lostAnswers bool
}

func newBucket() *bucket { return &bucket{objects: make(map[string][]byte)} }

var errDiskFull = &fs.PathError{Op: "write", Path: "/somewhere/secret-key", Err: syscall.ENOSPC}

// failing makes calls of these kinds fail as a full disk does.
func (b *bucket) failing(calls string) {
	b.set(func() {
		b.fail = func(call, _ string) error {
			if strings.Contains(calls, call) {
				return errDiskFull
			}
			return nil
		}
	})
}

func (b *bucket) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bucket) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.objects)
}

func (b *bucket) check(call, key string) error {
	b.mu.Lock()
	fail := b.fail
	b.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(call, key)
}

func (b *bucket) Write(_ context.Context, key string, data []byte) error {
	if err := b.check("write", key); err != nil {
		return err
	}
	b.mu.Lock()
	before := b.before
	b.mu.Unlock()
	if before != nil {
		before(key)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = bytes.Clone(data)
	if b.lostAnswers {
		return errors.New("the answer was lost")
	}
	return nil
}

func (b *bucket) Read(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := b.check("read", key); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[key]
	if !ok {
		return nil, errors.New("no such object")
	}
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(data), offset, length)), nil
}

func (b *bucket) Delete(_ context.Context, key string) error {
	if err := b.check("delete", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

func (b *bucket) Check(context.Context) error { return b.check("check", "") }

func (b *bucket) Close() error { return nil }

var _ blob.Objects = (*bucket)(nil)

// tamper changes every object.
func (b *bucket) tamper(change func([]byte) []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, data := range b.objects {
		b.objects[key] = change(data)
	}
}

// blobServer is a server with an account and an anonymous connection.
func blobServer(t testing.TB, objects blob.Objects, change ...func(*Config)) (f *fixture, alice *member, anon *conn) {
	t.Helper()
	f = startWith(t, objects, change...)
	return f, f.register("alice"), f.dial()
}
