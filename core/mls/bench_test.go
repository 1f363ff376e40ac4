package mls

import (
	"crypto/rand"
	"fmt"
	"testing"
)

var benchSizes = map[Suite][]int{SuiteX25519: {10, 100, 1000}, SuiteXWing: {10, 100, 1000}}

// BenchmarkMLS measures BenchmarkMLS/<operation>/<suite>/<shape>/<members>. In
// the flat shape all were added in one commit; in the full shape all have
// updated once, so that the tree has no blanks.
func BenchmarkMLS(b *testing.B) {
	ops := []struct {
		name string
		run  func(*testing.B, *benchGroup)
	}{
		{"update-commit", benchUpdate},
		{"process-commit", benchProcess},
		{"join", benchJoin},
		{"load", benchLoad},
		{"seal-1KiB", benchSeal},
		{"open-1KiB", benchOpen},
	}
	for _, op := range ops {
		b.Run(op.name, func(b *testing.B) {
			for _, suite := range []Suite{SuiteX25519, SuiteXWing} {
				b.Run(fmt.Sprintf("%#04x", uint16(suite)), func(b *testing.B) {
					for _, shape := range []string{"flat", "full"} {
						b.Run(shape, func(b *testing.B) {
							for _, n := range benchSizes[suite] {
								if shape == "full" && n > 100 {
									continue // setting it up takes n commits processed by all
								}
								b.Run(fmt.Sprint(n), func(b *testing.B) { op.run(b, benchGroupOf(b, suite, n, shape == "full")) })
							}
						})
					}
				})
			}
		})
	}
}

// benchGroup is a committer, another member and a joiner who has not joined yet.
type benchGroup struct {
	alice, bob *peer
	joiner     *peer
	welcome    []byte
}

type benchKey struct {
	suite Suite
	n     int
	full  bool
}

var benchGroups = map[benchKey]*benchGroup{}

// benchGroupOf makes a group of n with the joiner as the last; groups are kept
// between benchmarks and their peers restored from records.
func benchGroupOf(b *testing.B, suite Suite, n int, full bool) *benchGroup {
	key := benchKey{suite, n, full}
	g := benchGroups[key]
	if g == nil {
		g = &benchGroup{}
		peers := newGroupOf(b, suite, benchMembers(n, full))
		g.alice, g.bob = peers[0], peers[1]
		var adds []Proposal
		for i := len(peers); i < n-1; i++ {
			adds = append(adds, AddProposal(newPeer(b, suite, fmt.Sprint(i)).keyPackage()))
		}
		if len(adds) > 0 {
			s := g.alice.commit(CommitOptions{Proposals: adds})
			g.alice.merge()
			g.bob.process(s.Message)
		}
		for _, p := range peers {
			if !full {
				break
			}
			s := p.commit(CommitOptions{})
			p.merge()
			for _, q := range peers {
				if q != p {
					q.process(s.Message)
				}
			}
		}
		g.joiner = newPeer(b, suite, "joiner")
		s := g.alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(g.joiner.keyPackage())}})
		g.alice.merge()
		g.bob.process(s.Message)
		g.welcome = s.Welcome
		benchGroups[key] = g
	}
	for _, p := range []*peer{g.alice, g.bob, g.joiner} {
		p.t = b
	}
	g.alice.restore()
	g.bob.restore()
	return g
}

func benchMembers(n int, full bool) int {
	if full {
		return n - 1
	}
	return 2
}

func benchUpdate(b *testing.B, g *benchGroup) {
	var size int
	for b.Loop() {
		s, err := g.alice.g.Commit(CommitOptions{})
		if err != nil {
			b.Fatal(err)
		}
		size = len(s.Message)
		g.alice.g.DiscardPending()
		g.alice.g.TakeChanges()
	}
	b.ReportMetric(float64(size), "message-B")
}

func benchProcess(b *testing.B, g *benchGroup) {
	s, err := g.alice.g.Commit(CommitOptions{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := unmarshal(s.Message, readMessage)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		// Process without its last line, which uses up the key.
		d, err := m.private.sender(g.bob.g.suite, g.bob.g.cur.secrets.senderData)
		if err != nil {
			b.Fatal(err)
		}
		step, err := g.bob.g.keys.receive(d.leaf, ratchetHandshake, d.generation, 1000, 20)
		if err != nil {
			b.Fatal(err)
		}
		content, err := m.private.unprotect(g.bob.g.suite, d, step.keyUse)
		if err != nil || !content.verify(g.bob.g.suite, g.bob.g.cur.tree.leaf(d.leaf).SignatureKey, g.bob.g.cur.contextRaw) {
			b.Fatal(err)
		}
		if _, err := g.bob.g.stage(content); err != nil {
			b.Fatal(err)
		}
	}
}

func benchJoin(b *testing.B, g *benchGroup) {
	for b.Loop() {
		if _, err := Join(g.joiner.cfg, g.joiner.signer, g.joiner.bundle, g.welcome, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(g.welcome)), "welcome-B")
}

func benchLoad(b *testing.B, g *benchGroup) {
	for b.Loop() {
		g.bob.restore()
	}
}

func benchSeal(b *testing.B, g *benchGroup) {
	text := make([]byte, 1024)
	rand.Read(text)
	for b.Loop() {
		if _, err := g.alice.g.Seal(text, nil); err != nil {
			b.Fatal(err)
		}
		g.alice.g.TakeChanges()
	}
}

func benchOpen(b *testing.B, g *benchGroup) {
	text := make([]byte, 1024)
	rand.Read(text)
	for b.Loop() {
		b.StopTimer()
		m, err := g.alice.g.Seal(text, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := g.bob.g.Process(m); err != nil {
			b.Fatal(err)
		}
		g.bob.g.TakeChanges()
	}
}
