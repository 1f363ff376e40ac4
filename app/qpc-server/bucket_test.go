package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cloud "gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"quicprochat/server"
	"quicprochat/server/blob"
	"quicprochat/server/blob/blobtest"
	"quicprochat/server/check"
)

var _ blob.Objects = bucket{}

func TestBucketInMemory(t *testing.T) {
	b := bucket{memblob.OpenBucket(nil)}
	defer b.Close()
	blobtest.Run(t, b)
}

func TestBucketOption(t *testing.T) {
	if options, err := bucketOption(t.Context(), ""); err != nil || len(options) != 0 {
		t.Errorf("no URL: %v", err)
	}
	for _, bad := range []string{"gs://bucket", "s3://bucket?nonsense=1", "://"} {
		if _, err := bucketOption(t.Context(), bad); err == nil {
			t.Errorf("%s: opened", bad)
		}
	}
	for url, want := range map[string]check.Grade{"mem://": check.OK, "gs://bucket": check.Wrong} {
		if got := bucketFinding(t.Context(), url); got.Grade != want {
			t.Errorf("%s: %s", url, got.Text)
		}
	}
	options, err := bucketOption(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.DefaultConfig()
	cfg.DataDir, cfg.Listen, cfg.BlobURL = t.TempDir(), "127.0.0.1:0", "mem://"
	s, err := server.New(cfg, nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// fakeS3 understands as much of S3 as blobs need.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string][]byte
	types   map[string]bool
	refuse  bool
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
		return
	}
	object, found := f.objects[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		f.objects[r.URL.Path] = unchunk(r, body)
		f.types[r.Header.Get("Content-Type")] = true
	case http.MethodDelete:
		delete(f.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodHead, http.MethodGet:
		if !found {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
			return
		}
		w.Header().Set("ETag", strconv.Quote("e"))
		http.ServeContent(w, r, "", time.Unix(1_800_000_000, 0), bytes.NewReader(object))
	}
}

// unchunk takes a body out of the framing that the client puts around one
// whose checksum follows it.
func unchunk(r *http.Request, body []byte) []byte {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return body
	}
	var whole []byte
	for {
		head, rest, _ := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := strings.Cut(string(head), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 {
			return whole
		}
		whole, body = append(whole, rest[:n]...), rest[n+2:]
	}
}

// The way to S3 is its client's own; only the other end is made up.
func TestBucketOnS3(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	f := &fakeS3{objects: make(map[string][]byte), types: make(map[string]bool)}
	web := httptest.NewServer(f)
	defer web.Close()
	opened, err := cloud.OpenBucket(t.Context(), "s3://blobs?region=eu-central-1&use_path_style=true&endpoint="+url.QueryEscape(web.URL))
	if err != nil {
		t.Fatal(err)
	}
	b := bucket{opened}
	defer b.Close()
	blobtest.Run(t, b)
	if _, ok := f.objects["/blobs/"+blobtest.Key]; !ok || len(f.objects) != 1 {
		t.Errorf("%d objects", len(f.objects))
	}
	if len(f.types) != 1 || !f.types["application/octet-stream"] {
		t.Errorf("types of contents: %v", f.types)
	}

	f.mu.Lock()
	f.refuse = true
	f.mu.Unlock()
	_, read := b.Read(t.Context(), blobtest.Key, 0, 1)
	for name, err := range map[string]error{
		"write": b.Write(t.Context(), blobtest.Key, []byte("x")), "read": read, "delete": b.Delete(t.Context(), blobtest.Key),
	} {
		if err == nil || !strings.Contains(err.Error(), "PermissionDenied") || strings.Contains(err.Error(), blobtest.Key[3:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	web.Close()
	if err := b.Write(t.Context(), blobtest.Key, []byte("x")); err == nil || strings.Contains(err.Error(), blobtest.Key[3:]) {
		t.Errorf("nobody there: %v", err)
	}
}
