package storagetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func keyPackage(name string, expires time.Time) storage.KeyPackage {
	return storage.KeyPackage{Ref: []byte("ref of " + name), Data: []byte(name), Expires: expires}
}

// putKeys gives a device a hybrid key and n single-use KeyPackages.
func putKeys(t testing.TB, s storage.Store, device [16]byte, n int, lastResort bool) {
	t.Helper()
	upload := storage.KeyPackageUpload{Device: device, Now: today}
	for i := range n {
		upload.SingleUse = append(upload.SingleUse, keyPackage(fmt.Sprintf("%x %d", device, i), today.Add(time.Hour)))
	}
	if lastResort {
		kp := keyPackage(fmt.Sprintf("%x last", device), today.Add(time.Hour))
		upload.LastResort = &kp
	}
	count, err := s.PutKeyPackages(t.Context(), upload)
	must(t, err)
	equal(t, "key packages", count, n)
	must(t, s.PutHybridKey(t.Context(), device, fmt.Appendf(nil, "%x hybrid", device)))
}

func claim(t testing.TB, s storage.Store, account [16]byte, now time.Time, except ...[16]byte) []storage.DeviceKeys {
	t.Helper()
	keys, err := s.ClaimKeyPackages(t.Context(), account, except, now)
	must(t, err)
	return keys
}

func testKeyPackages(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.KeyPackages = 4
	s := open(t, limits)
	d := enrol(t, s)
	must(t, s.PutHybridKey(t.Context(), d.ID, []byte("hybrid")))
	expires := today.Add(time.Hour)
	put := func(lastResort *storage.KeyPackage, kps ...storage.KeyPackage) (int, error) {
		return s.PutKeyPackages(t.Context(), storage.KeyPackageUpload{Device: d.ID, SingleUse: kps, LastResort: lastResort, Now: today})
	}
	wantCount := func(now time.Time, want int, wantLast bool) {
		t.Helper()
		count, last, err := s.CountKeyPackages(t.Context(), d.ID, now)
		must(t, err)
		equal(t, "count", count, want)
		equal(t, "last resort", last, wantLast)
	}
	wantCount(today, 0, false)
	a, b, c := keyPackage("a", expires), keyPackage("b", expires), keyPackage("c", expires.Add(time.Hour))
	count, err := put(nil, a, b)
	must(t, err)
	equal(t, "count", count, 2)
	count, err = put(nil, a, b, c, c)
	must(t, err)
	equal(t, "count after a repeated upload", count, 3)
	wantCount(today, 3, false)
	wantCount(expires, 1, false)

	last := keyPackage("last", expires)
	_, err = put(&last, keyPackage("d", expires), keyPackage("e", expires))
	wantErr(t, err, storage.ErrTooManyKeyPackages)
	wantCount(today, 3, false)
	_, err = put(&last)
	must(t, err)
	wantCount(today, 3, true)
	wantCount(expires, 1, false)

	// one that was claimed does not come back by a repeated upload
	equal(t, "claimed", string(claim(t, s, d.Account, today)[0].KeyPackage), "a")
	count, err = put(nil, a, b, c)
	must(t, err)
	equal(t, "count after a claim", count, 2)

	// two devices may hold the same ref
	other := addDevice(t, s, d.Account)
	count, err = s.PutKeyPackages(t.Context(), storage.KeyPackageUpload{Device: other.ID, SingleUse: []storage.KeyPackage{b}, Now: today})
	must(t, err)
	equal(t, "count of the other device", count, 1)

	_, err = s.PutKeyPackages(t.Context(), storage.KeyPackageUpload{Device: random16(), Now: today})
	wantErr(t, err, storage.ErrUnknownDevice)
	_, _, err = s.CountKeyPackages(t.Context(), random16(), today)
	wantErr(t, err, storage.ErrUnknownDevice)
}

func testClaimKeyPackages(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	first := enrol(t, s)
	second, third := addDevice(t, s, first.Account), addDevice(t, s, first.Account)
	noHybrid, noKeys := addDevice(t, s, first.Account), addDevice(t, s, first.Account)
	putKeys(t, s, first.ID, 1, true)
	putKeys(t, s, second.ID, 2, false)
	putKeys(t, s, third.ID, 0, true)
	putKeys(t, s, noKeys.ID, 0, false)
	_, err := s.PutKeyPackages(t.Context(), storage.KeyPackageUpload{Device: noHybrid.ID, SingleUse: []storage.KeyPackage{keyPackage("x", today.Add(time.Hour))}, Now: today})
	must(t, err)

	want := func(d storage.Device, which string) storage.DeviceKeys {
		return storage.DeviceKeys{
			Device: d.ID, KeyPackage: fmt.Appendf(nil, "%x %s", d.ID, which), LastResort: which == "last",
			HybridKey: fmt.Appendf(nil, "%x hybrid", d.ID),
		}
	}
	for i, round := range [][]storage.DeviceKeys{
		{want(first, "0"), want(second, "0"), want(third, "last")},
		{want(first, "last"), want(second, "1"), want(third, "last")},
		{want(first, "last"), want(third, "last")},
	} {
		if got := claim(t, s, first.Account, today); !reflect.DeepEqual(got, round) {
			t.Fatalf("claim %d: got %+v, want %+v", i, got, round)
		}
	}
	if got := claim(t, s, first.Account, today, first.ID, third.ID, random16()); len(got) != 0 {
		t.Fatalf("claimed %+v of devices to leave out", got)
	}
	if got := claim(t, s, first.Account, today.Add(time.Hour)); len(got) != 0 {
		t.Fatalf("claimed expired %+v", got)
	}
	_, err = s.ClaimKeyPackages(t.Context(), random16(), nil, today)
	wantErr(t, err, storage.ErrUnknownAccount)
}

func testClaimConcurrent(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	d := enrol(t, s)
	const packages, claimers = 200, 16
	putKeys(t, s, d.ID, packages, true)
	var mu sync.Mutex
	times := make(map[string]int)
	var wg sync.WaitGroup
	for range claimers {
		wg.Go(func() {
			for range packages/claimers + 2 {
				keys, err := s.ClaimKeyPackages(t.Context(), d.Account, nil, today)
				if err != nil || len(keys) != 1 {
					t.Errorf("claimed %d, error %v", len(keys), err)
					return
				}
				if !keys[0].LastResort {
					mu.Lock()
					times[string(keys[0].KeyPackage)]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	equal(t, "packages given out", len(times), packages)
	for name, n := range times {
		equal(t, "times that "+name+" was given out", n, 1)
	}
}

func testHybridKey(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	d := enrol(t, s)
	_, err := s.HybridKey(t.Context(), d.ID)
	wantErr(t, err, storage.ErrUnknownDevice)
	wantErr(t, s.PutHybridKey(t.Context(), random16(), []byte("x")), storage.ErrUnknownDevice)
	for _, want := range []string{"first", "second", "second"} {
		must(t, s.PutHybridKey(t.Context(), d.ID, []byte(want)))
		got, err := s.HybridKey(t.Context(), d.ID)
		must(t, err)
		equal(t, "hybrid key", string(got), want)
	}
}
