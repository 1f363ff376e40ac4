package mls

import (
	"hash"
	"math/rand"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

// countingHash counts what is hashed, by whatever it is made for.
type countingHash struct {
	hash.Hash
	sums *atomic.Int64
}

func (h countingHash) Sum(b []byte) []byte {
	h.sums.Add(1)
	return h.Hash.Sum(b)
}

// countHashes makes a group use a copy of its suite that counts.
func countHashes(g *Group) *atomic.Int64 {
	counted, plain, sums := *g.suite, g.suite.hash, new(atomic.Int64)
	counted.hash = func() hash.Hash { return countingHash{plain(), sums} }
	g.suite, g.cur.tree.suite, g.keys.suite = &counted, &counted, &counted
	return sums
}

// cost is what processing and merging a commit takes.
type cost struct {
	hashes         int64
	bytes          uint64 // allocated
	records, wrote int
}

func costOf(t *testing.T, g *Group, message []byte) (c cost) {
	t.Helper()
	g.TakeChanges()
	sums := countHashes(g)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := g.Process(message)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Merge(r.(*StagedCommit)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	c.hashes, c.bytes = sums.Load(), after.TotalAlloc-before.TotalAlloc
	c.wrote, c.records = written(g.TakeChanges())
	return c
}

// What a commit costs its receivers grows with the depth of the tree, not with
// the members: from 256 to 4096 as much as from 16 to 256.
func TestCostOfCommit(t *testing.T) {
	costs := map[string]func(m *madeGroup) cost{
		"update": func(m *madeGroup) cost {
			m.extend(1)
			return costOf(t, m.bob.g, m.chain[0])
		},
		"add": func(m *madeGroup) cost {
			kp := newPeer(t, m.s.id, "newcomer").keyPackage()
			return costOf(t, m.bob.g, m.alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(kp)}}).Message)
		},
		"remove": func(m *madeGroup) cost {
			remove := RemoveProposal(LeafIndex(m.n / 2))
			return costOf(t, m.bob.g, m.alice.commit(CommitOptions{Proposals: []Proposal{remove}}).Message)
		},
	}
	for name, run := range costs {
		t.Run(name, func(t *testing.T) {
			var c []cost
			for _, n := range []int{15, 255, 4095} { // so that a newcomer finds a place
				c = append(c, run(makeGroup(t, SuiteX25519, warm, n)))
			}
			t.Logf("%+v", c)
			linear := func(what string, a, b, c, slack int64) {
				if c-b > b-a+slack {
					t.Errorf("%s: %d, %d, %d", what, a, b, c)
				}
			}
			linear("hashes", c[0].hashes, c[1].hashes, c[2].hashes, 4)
			linear("bytes allocated", int64(c[0].bytes), int64(c[1].bytes), int64(c[2].bytes), 24<<10)
			linear("bytes written", int64(c[0].wrote), int64(c[1].wrote), int64(c[2].wrote), 200)
			linear("records", int64(c[0].records), int64(c[1].records), int64(c[2].records), 2)
		})
	}
}

// Messages cost the same in any group, but for a sender's first of an epoch.
func TestCostOfMessage(t *testing.T) {
	var sealed, opened []float64
	for _, n := range []int{2, 4095} {
		m := makeGroup(t, SuiteX25519, flat, n)
		sealed = append(sealed, testing.AllocsPerRun(20, func() {
			m.alice.seal("x")
		}))
		m.bob.process(m.alice.seal("x"))
		var messages [][]byte
		for range 21 {
			messages = append(messages, m.alice.seal("x"))
		}
		opened = append(opened, testing.AllocsPerRun(20, func() {
			m.bob.process(messages[0])
			messages = messages[1:]
		}))
	}
	if sealed[1] > sealed[0]+2 || opened[1] > opened[0]+2 {
		t.Errorf("allocations of 2 and of 4095 members: %v sealing, %v opening", sealed, opened)
	}
}

// A message stores at most a KiB, whatever the group and whoever has sent before.
func TestSizeOfMessageRecords(t *testing.T) {
	for _, s := range suites {
		for _, leaves := range []uint32{2, 1 << 10, 1 << 14, 1 << 16} {
			tree, log := newSecretTree(s, 1<<40, leaves, s.randomSecret()), changeLog{}
			for _, leaf := range append([]LeafIndex{0, LeafIndex(leaves - 1), LeafIndex(leaves / 2)}, leavesAtRandom(leaves, 50)...) {
				for _, kind := range []ratchetKind{ratchetApplication, ratchetHandshake} {
					step, err := tree.send(leaf, kind)
					if err != nil {
						t.Fatal(err)
					}
					step.apply(log)
					if size, _ := written(log.take()); size > maxMessageRecords {
						t.Fatalf("%v: a message of leaf %d of %d stores %d bytes", s.id, leaf, leaves, size)
					}
				}
			}
		}
	}
}

func leavesAtRandom(leaves uint32, n int) (out []LeafIndex) {
	for range n {
		out = append(out, LeafIndex(rand.Intn(int(leaves))))
	}
	return out
}

// A tree that begins with the secrets of subtrees gives the keys that it would
// give from its root.
func TestExpandedSecretTree(t *testing.T) {
	s := suites[0]
	root := s.randomSecret()
	whole, expanded := emptySecretTree(s, 1, 64), emptySecretTree(s, 1, 64)
	whole.expand(rootOf(64), slices.Clone(root), 6)
	expanded.expand(rootOf(64), slices.Clone(root), 3)
	if len(whole.nodes) != 1 || len(expanded.nodes) != 8 {
		t.Fatalf("%d and %d secrets", len(whole.nodes), len(expanded.nodes))
	}
	for i := range LeafIndex(64) {
		a, err := whole.send(i, ratchetApplication)
		if err != nil {
			t.Fatal(err)
		}
		b, err := expanded.send(i, ratchetApplication)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "key", b.key, a.key)
		a.apply(changeLog{})
		b.apply(changeLog{})
	}
	if len(expanded.nodes) != 0 {
		t.Errorf("%d secrets are left", len(expanded.nodes))
	}
}

// No goroutine outlives a call.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	m := makeGroup(t, SuiteX25519, flat, 600)
	m.extend(1)
	m.bob.process(m.chain[0])
	m.bob.restore()
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	failed := inParallel(1000, func(i int) error {
		if i%3 == 2 {
			return invalid("", "%d", i)
		}
		return nil
	})
	if want := invalid("", "%d", 2); failed == nil || failed.Error() != want.Error() {
		t.Errorf("the first error is %v", failed)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines after an error, %d before", n, before)
	}
}
