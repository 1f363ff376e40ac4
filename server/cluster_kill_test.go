package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/bus/nats/natstest"
)

// killsVariable, in the environment, says how often TestClusterKilled and
// TestKilledUnderLoad kill a server, and seedVariable with which seed the former
// does.
const (
	killsVariable = "QPC_TEST_KILLS"
	seedVariable  = "QPC_TEST_SEED"
)

func numberFrom(t *testing.T, variable string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// Three servers on one PostgreSQL and one NATS, one of which is killed ever
// again, and NATS once, while twenty clients post, commit and receive through
// them: nothing is lost, nothing is there twice, and every recipient sees every
// channel in its order.
func TestClusterKilled(t *testing.T) {
	kills := numberFrom(t, killsVariable, 10)
	seed := numberFrom(t, seedVariable, rand.Uint64())
	t.Logf("again with %s=%d", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	nats := natstest.Run(t)
	nodes := newCluster(t, 3, nats)
	w := newWorld(t, nodes, random)
	w.run(seed)
	for kill := range kills {
		w.more(20 + random.Uint64N(60))
		p := nodes[random.IntN(len(nodes))]
		p.kill()
		if random.IntN(2) == 0 {
			w.more(20) // the others serve on
		}
		p.run()
		switch kill {
		case kills / 3:
			nats.Stop()
		case kills * 2 / 3:
			nats.Start()
		}
	}
	w.more(100)
	w.finish()
	t.Logf("%d posts and commits, %d deliveries, %d of them more than once", w.posted.Load(), w.deliveries(), w.repeats())
}

// world is the clients and what they have in common.
type world struct {
	t          *testing.T
	nodes      []*process
	places     []*place
	travellers []*traveller
	posted     atomic.Uint64

	stopPosts context.CancelFunc
	stopAll   context.CancelFunc
	posters   sync.WaitGroup
	receivers sync.WaitGroup
}

const (
	roamers  = 20
	places   = 6
	perPlace = 8
)

func newWorld(t *testing.T, nodes []*process, random *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, nodes: nodes}
	f := &fixture{t: t, clock: &clock{}, link: func() string { return nodes[0].link }}
	for i := range roamers {
		m := f.register(fmt.Sprintf("roamer-%d", i))
		w.travellers = append(w.travellers, newTraveller(t, nodes, i, m))
	}
	for range places {
		p := &place{}
		var members []*member
		for _, i := range random.Perm(roamers)[:perPlace] {
			p.members = append(p.members, w.travellers[i])
			members = append(members, w.travellers[i].member)
		}
		p.room = newRoom(f, members...)
		w.places = append(w.places, p)
	}
	return w
}

// run has everybody receive and post.
func (w *world) run(seed uint64) {
	all, stopAll := context.WithCancel(context.Background())
	posting, stopPosts := context.WithCancel(all)
	w.stopAll, w.stopPosts = stopAll, stopPosts
	w.t.Cleanup(func() {
		stopAll()
		w.posters.Wait()
		w.receivers.Wait()
	})
	for i, v := range w.travellers {
		w.receivers.Go(func() { v.travel(all) })
		w.posters.Go(func() { w.post(all, posting, i, rand.New(rand.NewPCG(seed, uint64(1+i)))) })
	}
}

// post posts to one place after the other until posting ends; what was begun is
// brought to its end.
func (w *world) post(all, posting context.Context, i int, random *rand.Rand) {
	c := &caller{roamer: roamer{t: w.t, nodes: w.nodes, at: i}}
	defer c.close()
	for n := i; posting.Err() == nil; n++ {
		p := w.places[n%len(w.places)]
		if err := c.post(all, p, n%17 == 0); err != nil {
			if all.Err() == nil {
				w.t.Errorf("a post was refused: %v", err)
			}
			return
		}
		p.mu.Lock()
		p.posts++
		p.mu.Unlock()
		w.posted.Add(1)
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) // as people do
	}
}

// more waits until so many more posts were answered.
func (w *world) more(n uint64) {
	w.t.Helper()
	want := w.posted.Load() + n
	waitFor(w.t, "posts go on", func() bool { return w.posted.Load() >= want })
}

// finish ends the posting, waits until all has arrived, and checks it.
func (w *world) finish() {
	w.t.Helper()
	w.stopPosts()
	w.posters.Wait()
	for _, v := range w.travellers {
		want := w.expected(v)
		waitFor(w.t, "all arrives", func() bool { return int(v.taken()) >= want })
	}
	w.stopAll()
	w.receivers.Wait()
	for i, v := range w.travellers {
		for _, fault := range v.faults {
			w.t.Errorf("client %d: %s", i, fault)
		}
		if int(v.upTo) != w.expected(v) || len(v.seen) != w.expected(v) {
			w.t.Errorf("client %d has %d items up to %d, want %d", i, len(v.seen), v.upTo, w.expected(v))
		}
		for _, p := range w.places {
			v.checkOrder(w.t, i, p)
		}
	}
}

// expected is how many items a client gets.
func (w *world) expected(v *traveller) (n int) {
	for _, p := range w.places {
		for _, m := range p.members {
			if m == v {
				n += p.posts
			}
		}
	}
	return n
}

// checkOrder wants every number of a channel once and in order.
func (v *traveller) checkOrder(t *testing.T, client int, p *place) {
	t.Helper()
	for i, seq := range v.channels[string(p.id)] {
		if seq != uint64(i+1) {
			t.Errorf("client %d: item %d of a channel is at place %d", client, seq, i+1)
			return
		}
	}
}

func (w *world) deliveries() (n int) {
	for _, v := range w.travellers {
		n += len(v.seen)
	}
	return n
}

func (w *world) repeats() (n int) {
	for _, v := range w.travellers {
		n += v.repeated
	}
	return n
}
