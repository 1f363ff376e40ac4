package server

import (
	"fmt"
	"math"
	"testing"
	"time"

	"quicprochat/server/address"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

// enrolled are devices that were put into the store directly, which takes a
// hundredth of the time of registering them.
type enrolled struct {
	*member
	queue storage.QueueID
}

// enrol adds accounts with a device each, not connected.
func (f *fixture) enrol(n int) []enrolled {
	f.t.Helper()
	all := make([]enrolled, n)
	for i := range all {
		p := f.newPerson(fmt.Sprintf("enrolled-%d", i))
		d := f.newDevice(p)
		stored, err := f.store.CreateAccount(f.t.Context(), storage.NewAccount{
			ID: p.id, Name: p.name, Record: random(192), PublicKey: p.key.Public(), SealedKey: random(80),
			DeviceID: d.id, DeviceCertificate: d.cert.Raw, Now: f.clock.now(),
		})
		if err != nil {
			f.t.Fatal(err)
		}
		all[i] = enrolled{d, stored.Queue}
	}
	return all
}

// addresses makes one for each queue, as the server would.
func (f *fixture) addresses(all []enrolled) [][]byte {
	f.t.Helper()
	keys, err := secrets.Load(f.cfg.DataDir)
	if err != nil {
		f.t.Fatal(err)
	}
	sealer := address.NewSealer(keys.Address, keys.Storage)
	addresses := make([][]byte, len(all))
	for i := range all {
		addresses[i] = sealer.NewAddress(all[i].queue)
	}
	return addresses
}

// BenchmarkServerFanOut measures a post of 1 KiB to 1000 queues, over QUIC,
// durable before the answer, where so many items wait in each queue on
// average: the devices acknowledge them off the clock.
func BenchmarkServerFanOut(b *testing.B) {
	const recipients = 1000
	f := start(b)
	all := f.enrol(recipients)
	r := draftRoom(f, f.dial())
	r.addresses = f.addresses(all)
	r.create()
	message := random(1024)
	for _, waiting := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			acknowledge := func() {
				for _, d := range all {
					if err := f.store.AckItems(b.Context(), d.queue, math.MaxUint64); err != nil {
						b.Fatal(err)
					}
				}
			}
			posts, best := 0, math.MaxFloat64
			for b.Loop() {
				began := time.Now()
				r.post(message)
				best = min(best, float64(time.Since(began).Nanoseconds()))
				if posts++; posts%(2*waiting-1) == 0 {
					b.StopTimer()
					acknowledge()
					b.StartTimer()
				}
			}
			b.StopTimer()
			acknowledge()
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(posts*recipients), "µs/recipient")
			b.ReportMetric(best/1000/recipients, "best-µs/recipient")
			b.ReportMetric(0, "ns/op")
		})
	}
}
