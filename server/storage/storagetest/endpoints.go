package storagetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func newEndpoint(pin byte, issued uint64, network byte) storage.Endpoint {
	return storage.Endpoint{
		Pin: storage.EndpointPin{pin}, Record: fmt.Appendf(nil, "record %d of %d", issued, pin),
		Issued: issued, Expires: today.Add(time.Duration(issued) * time.Hour), Network: [16]byte{network},
	}
}

// endpoint gives a server's record; "": there is none.
func endpoint(t testing.TB, s storage.Store, pin byte, now time.Time) string {
	t.Helper()
	record, err := s.Endpoint(t.Context(), storage.EndpointPin{pin}, now)
	if err != nil {
		wantErr(t, err, storage.ErrUnknownEndpoint)
		return ""
	}
	return string(record)
}

func testEndpoints(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	put := func(e storage.Endpoint) error { return s.PutEndpoint(t.Context(), e) }
	equal(t, "before", endpoint(t, s, 1, today), "")
	must(t, put(newEndpoint(1, 5, 1)))
	must(t, put(newEndpoint(1, 5, 1)))
	must(t, put(newEndpoint(2, 3, 1)))
	equal(t, "stored", endpoint(t, s, 1, today), "record 5 of 1")
	wantErr(t, put(newEndpoint(1, 4, 1)), storage.ErrEndpointStale)
	same := newEndpoint(1, 5, 1)
	same.Record = []byte("another of the same time")
	wantErr(t, put(same), storage.ErrEndpointStale)
	must(t, put(newEndpoint(1, 6, 2)))
	equal(t, "replaced", endpoint(t, s, 1, today), "record 6 of 1")
	equal(t, "another", endpoint(t, s, 2, today), "record 3 of 2")

	equal(t, "just before its end", endpoint(t, s, 2, today.Add(3*time.Hour-time.Second)), "record 3 of 2")
	equal(t, "at its end", endpoint(t, s, 2, today.Add(3*time.Hour)), "")
	expireAll(t, s, today.Add(3*time.Hour), 1)
	must(t, put(newEndpoint(2, 1, 1))) // forgotten, and so not stale
	equal(t, "the one that had time left", endpoint(t, s, 1, today.Add(3*time.Hour)), "record 6 of 1")
}

func testEndpointBounds(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.Endpoints, limits.EndpointsPerNetwork = 4, 2
	s := open(t, limits)
	put := func(e storage.Endpoint) error { return s.PutEndpoint(t.Context(), e) }
	must(t, put(newEndpoint(1, 1, 1)))
	must(t, put(newEndpoint(2, 1, 1)))
	wantErr(t, put(newEndpoint(3, 1, 1)), storage.ErrEndpointsFull)
	must(t, put(newEndpoint(2, 2, 1))) // who is there is renewed
	must(t, put(newEndpoint(3, 1, 2)))
	must(t, put(newEndpoint(3, 2, 1))) // also in a full network, where it is not counted
	equal(t, "moved", endpoint(t, s, 3, today), "record 2 of 3")
	must(t, put(newEndpoint(2, 3, 2)))                              // makes room in the first, and is the second in the second
	wantErr(t, put(newEndpoint(5, 1, 2)), storage.ErrEndpointsFull) // which is therefore full
	must(t, put(newEndpoint(3, 3, 1)))                              // and this moves at last
	must(t, put(newEndpoint(4, 9, 3)))
	wantErr(t, put(newEndpoint(5, 1, 4)), storage.ErrEndpointsFull)
	must(t, put(newEndpoint(4, 10, 4)))
	expireAll(t, s, today.Add(5*time.Hour), 100) // all but the last
	for pin := byte(5); pin < 8; pin++ {
		must(t, put(newEndpoint(pin, 1, pin)))
	}
	wantErr(t, put(newEndpoint(8, 1, 8)), storage.ErrEndpointsFull)
}

func testEndpointRace(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.Endpoints, limits.EndpointsPerNetwork = 10, 10
	s := open(t, limits)
	var wg sync.WaitGroup
	for pin := range byte(20) {
		wg.Go(func() {
			for issued := range uint64(5) {
				_ = s.PutEndpoint(t.Context(), newEndpoint(pin, issued+1, pin))
			}
		})
	}
	wg.Wait()
	kept := 0
	for pin := range byte(20) {
		switch endpoint(t, s, pin, today) {
		case "":
		case fmt.Sprintf("record 5 of %d", pin):
			kept++
		default:
			t.Errorf("server %d: %q", pin, endpoint(t, s, pin, today))
		}
	}
	equal(t, "servers", kept, 10)
}
