// Package blobtest is the suite that every implementation of blob.Objects
// passes.
package blobtest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"quicprochat/server/blob"
)

// Key is one as the service makes them.
const Key = "ab/ab4cdef0123456789ab4cdef0123456789ab4cdef0123456789ab4cdef012345-7"

// Run runs the suite on an empty store.
func Run(t *testing.T, objects blob.Objects) {
	for _, step := range []struct {
		name string
		test func(*testing.T, blob.Objects)
	}{
		{"Missing", testMissing},
		{"Ranges", testRanges},
		{"Replace", testReplace},
		{"Concurrent", testConcurrent},
	} {
		t.Run(step.name, func(t *testing.T) { step.test(t, objects) })
	}
}

func write(t *testing.T, o blob.Objects, key string, data []byte) {
	t.Helper()
	if err := o.Write(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, o blob.Objects, key string, offset, length int64) []byte {
	t.Helper()
	r, err := o.Read(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testMissing(t *testing.T, o blob.Objects) {
	_, err := o.Read(t.Context(), Key, 0, 1)
	if err == nil {
		t.Fatal("an object that is not there was read")
	}
	if strings.Contains(err.Error(), Key[3:]) {
		t.Errorf("the error has the key: %v", err)
	}
	if err := o.Delete(t.Context(), Key); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func testRanges(t *testing.T, o blob.Objects) {
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	write(t, o, Key, data)
	for _, r := range [][2]int64{{0, 300_000}, {0, 1}, {299_999, 1}, {100_000, 150_000}} {
		if got := read(t, o, Key, r[0], r[1]); !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			t.Errorf("range %v: %d other bytes", r, len(got))
		}
	}
	for range 2 {
		if err := o.Delete(t.Context(), Key); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := o.Read(t.Context(), Key, 0, 1); err == nil {
		_ = r.Close()
		t.Error("a deleted object was read")
	}
}

func testReplace(t *testing.T, o blob.Objects) {
	write(t, o, Key, []byte("first, and longer"))
	write(t, o, Key, []byte("second"))
	if got := read(t, o, Key, 0, 6); string(got) != "second" {
		t.Errorf("got %q", got)
	}
	// What is there is all there is: no rest of the first.
	r, err := o.Read(t.Context(), Key, 0, 17)
	if err != nil {
		return
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err == nil && len(data) > 6 {
		t.Errorf("got %q", data)
	}
}

// Writers of one object do not mix: readers see one or the other, whole.
func testConcurrent(t *testing.T, o blob.Objects) {
	const size = 100_000
	write(t, o, Key, bytes.Repeat([]byte{0}, size))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				if err := o.Write(t.Context(), Key, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				r, err := o.Read(t.Context(), Key, 0, size)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				data, err := io.ReadAll(r)
				_ = r.Close()
				if err != nil || len(data) != size || bytes.Count(data, data[:1]) != size {
					t.Errorf("%d mixed bytes, %v", len(data), err)
				}
			}
		})
	}
	wg.Wait()
}
