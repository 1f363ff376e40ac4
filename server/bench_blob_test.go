package server

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"gocloud.dev/blob/fileblob"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/blob"
	"quicprochat/server/blob/blobtest"
)

// BenchmarkBlobUpload measures chunks of 1 MiB over QUIC on loopback, durable
// in the folder, so many at a time on one connection.
func BenchmarkBlobUpload(b *testing.B) {
	for _, parallel := range []int{1, 4} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			f := start(b, func(c *Config) { c.Limits.BlobSize, c.Limits.BlobBytesPerDay = 16<<30, 1<<50 })
			alice := f.register("alice")
			secret, data := random(32), random(mib)
			must[qpcv1.CreateUploadResponse](alice.conn, &qpcv1.CreateUploadRequest{UploadSecret: secret, Size: uint64(b.N) * mib})
			inParallel(b, parallel, func(i int) {
				must[qpcv1.UploadChunkResponse](alice.conn, &qpcv1.UploadChunkRequest{UploadSecret: secret, Offset: uint64(i) * mib, Data: data})
			})
		})
	}
}

// BenchmarkBlobDownload measures parts of 1 MiB over QUIC on loopback.
func BenchmarkBlobDownload(b *testing.B) {
	for _, parallel := range []int{1, 4} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			const parts = 32
			_, alice, anon := blobServer(b, nil)
			u := newUpload(parts * mib).run(alice.conn)
			inParallel(b, parallel, func(i int) {
				must[qpcv1.DownloadResponse](anon, &qpcv1.DownloadRequest{BlobId: u.id, Offset: uint64(i%parts) * mib})
			})
		})
	}
}

// BenchmarkBlobFinish measures the check of a blob of 100 MiB, with a hash
// that does not fit, so that it can be repeated.
func BenchmarkBlobFinish(b *testing.B) {
	_, alice, _ := blobServer(b, nil)
	u := newUpload(100 * mib)
	u.send(alice.conn, u.create(alice.conn)...)
	req := &qpcv1.FinishUploadRequest{UploadSecret: u.secret, Sha256: random(32)}
	b.SetBytes(100 * mib)
	for b.Loop() {
		_, err := call[qpcv1.FinishUploadResponse](alice.conn, req)
		wantCode(b, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_HASH_MISMATCH)
	}
}

// BenchmarkBlobFolder writes objects of 1 MiB without a network and a
// database: into the server's folder, which is durable, and into that of
// gocloud.dev beside it, which is not.
func BenchmarkBlobFolder(b *testing.B) {
	data := random(mib)
	key := func(i int) string { return blobtest.Key + fmt.Sprint(i%64) }
	b.Run("durable", func(b *testing.B) {
		folder, err := blob.OpenFolder(filepath.Join(b.TempDir(), "blobs"))
		if err != nil {
			b.Fatal(err)
		}
		inParallel(b, 1, func(i int) {
			if err := folder.Write(b.Context(), key(i), data); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("fileblob", func(b *testing.B) {
		folder, err := fileblob.OpenBucket(b.TempDir(), &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
		if err != nil {
			b.Fatal(err)
		}
		defer folder.Close()
		inParallel(b, 1, func(i int) {
			if err := folder.WriteAll(b.Context(), key(i), data, nil); err != nil {
				b.Error(err)
			}
		})
	})
}

// inParallel calls do b.N times with 1 MiB each, so many at a time.
func inParallel(b *testing.B, parallel int, do func(i int)) {
	b.SetBytes(mib)
	b.ResetTimer()
	work := make(chan int)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range b.N {
		work <- i
	}
	close(work)
	wg.Wait()
	b.StopTimer()
}
