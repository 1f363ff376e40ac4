package server

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// idleConnections is how many BenchmarkServerIdle makes.
const idleConnections = 10_000

// BenchmarkServerIdle makes authenticated connections with a subscription each
// to a server in a process of its own, and measures what one takes of that
// process's resident memory, and how long it takes from a post until one of
// them, chosen at random, has its push.
func BenchmarkServerIdle(b *testing.B) {
	f := start(b)
	all := f.enrol(idleConnections)
	addresses := f.addresses(all)
	f.shutdown()
	k := startKillable(b, f.cfg.DataDir)
	defer k.kill()
	pid := k.cmd.Process.Pid
	const rooms = 200
	woken := make([]*room, rooms)
	targets := make([]int, rooms)
	for i := range woken {
		targets[i] = rand.IntN(len(all))
		woken[i] = draftRoom(f, dialLink(b, k.link))
		woken[i].addresses = addresses[targets[i] : targets[i]+1]
		woken[i].create()
	}
	before := resident(b, pid)
	connectAll(b, k.link, all)
	after := resident(b, pid)
	perConnection := float64(after-before) / idleConnections
	settled := settle(b, pid)

	var wake load
	message := random(1024)
	b.ResetTimer()
	for n := 0; n < max(b.N, 5*rooms); n++ {
		i := n % rooms
		began := time.Now()
		woken[i].post(message)
		all[targets[i]].next()
		wake.latencies = append(wake.latencies, time.Since(began))
		time.Sleep(time.Millisecond) // so that each finds the server idle
	}
	b.StopTimer()
	b.Logf("%d idle connections: %.1f KiB resident each, %.1f after a minute's rest; from the post to the push of one of them p50 %.2f ms, p99 %.2f ms",
		idleConnections, perConnection/1024, float64(settled-before)/idleConnections/1024, wake.quantile(.5), wake.quantile(.99))
	b.ReportMetric(perConnection/1024, "KiB/connection")
	b.ReportMetric(wake.quantile(.5), "p50-ms-to-wake")
	b.ReportMetric(wake.quantile(.99), "p99-ms-to-wake")
	b.ReportMetric(0, "ns/op")
}

// connectAll connects, authenticates and subscribes every device, some at a time.
func connectAll(b *testing.B, link string, all []enrolled) {
	work := make(chan *member)
	var wg sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for d := range work {
				d.conn = dialFor(b, link, 16)
				if err := d.authenticate(d.conn); err != nil {
					b.Error(err)
				}
				d.subscribe(0)
			}
		})
	}
	for _, d := range all {
		work <- d.member
	}
	close(work)
	wg.Wait()
}

// resident is the resident memory of a process in bytes.
func resident(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("resident memory is asked of Linux: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// settle gives a process a minute to hand back what it no longer uses.
func settle(b *testing.B, pid int) int {
	time.Sleep(time.Minute)
	return resident(b, pid)
}
