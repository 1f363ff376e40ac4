package mls

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
)

var (
	benchSuites = []Suite{SuiteX25519, SuiteXWing}
	benchSizes  = []int{2, 10, 100, 1000, 10000}
)

// BenchmarkMLS measures BenchmarkMLS/<operation>/<suite>/<shape>/<members>, and
// beside each what it cannot do without (see floorOf). The shapes are those of
// makeGroup. At the end it prints measured against least possible.
func BenchmarkMLS(b *testing.B) {
	ops := []struct {
		name string
		run  func(*testing.B, *madeGroup)
	}{
		{"update-commit", benchUpdate},
		{"process-commit", benchProcess},
		{"add-commit", benchAdd},
		{"remove-commit", benchRemove},
		{"join", benchJoin},
		{"join-tree-apart", benchJoinApart},
		{"external-join", benchExternalJoin},
		{"process-external", benchProcessExternal},
		{"seal-1KiB", benchSeal},
		{"open-1KiB", benchOpen},
		{"open-first-1KiB", benchOpenFirst},
		{"save-after-message", benchSaveMessage},
		{"save-after-commit", benchSaveCommit},
		{"load", benchLoad},
		{"memory", benchMemory},
	}
	for _, op := range ops {
		b.Run(op.name, func(b *testing.B) {
			for _, suite := range benchSuites {
				b.Run(fmt.Sprintf("%#04x", uint16(suite)), func(b *testing.B) {
					for _, shape := range []string{flat, warm} {
						b.Run(shape, func(b *testing.B) {
							for _, n := range benchSizes {
								b.Run(fmt.Sprint(n), func(b *testing.B) {
									m := benchGroup(b, suite, shape, n)
									row := benchRow{op.name, suite, shape, n}
									report.setFloor(row, m)
									m.laps, m.limit, m.most = laps{}, 0, 0
									op.run(b, m)
									report.add(row, m)
								})
							}
						})
					}
				})
			}
		})
	}
	report.print(os.Stdout)
}

type benchRow struct {
	op    string
	suite Suite
	shape string
	n     int
}

var benchGroups = map[benchRow]*madeGroup{}

// benchGroup makes a group once, and gives it back as it was then.
func benchGroup(b *testing.B, suite Suite, shape string, n int) *madeGroup {
	key := benchRow{suite: suite, shape: shape, n: n}
	m := benchGroups[key]
	if m == nil {
		m = makeGroup(b, suite, shape, n)
		benchGroups[key] = m
	}
	m.alice.t, m.bob.t = b, b
	m.rewind()
	return m
}

func benchUpdate(b *testing.B, m *madeGroup) { benchCommit(b, m, CommitOptions{}) }

// benchAdd adds one member, with an update path.
func benchAdd(b *testing.B, m *madeGroup) {
	kp := newPeer(b, m.s.id, "newcomer").keyPackage()
	benchCommit(b, m, CommitOptions{Proposals: []Proposal{AddProposal(kp)}})
}

// benchRemove removes a member from the middle of the tree.
func benchRemove(b *testing.B, m *madeGroup) {
	benchCommit(b, m, CommitOptions{Proposals: []Proposal{RemoveProposal(LeafIndex(m.n / 2))}})
}

func benchCommit(b *testing.B, m *madeGroup, o CommitOptions) {
	var size int
	for b.Loop() {
		m.laps.time(func() {
			s, err := m.alice.g.Commit(o)
			if err != nil {
				b.Fatal(err)
			}
			size = len(s.Message)
		})
		m.alice.g.DiscardPending()
		m.alice.g.TakeChanges()
	}
	m.alice.restore() // as many generations as that nobody would skip
	b.ReportMetric(float64(size), "message-B")
}

// chainLength is how many commits of alice's are made for bob to follow. Those
// of a big flat group take as long as they are long.
func (m *madeGroup) chainLength() int { return max(4, min(32, 4000/m.n)) }

// follow lets bob process and merge the commits of the chain in turn.
func (m *madeGroup) follow(b *testing.B, after func()) {
	m.extend(m.chainLength())
	m.alice.t = b
	next := 0
	for b.Loop() {
		if next == len(m.chain) {
			b.StopTimer()
			m.rewind()
			next = 0
			b.StartTimer()
		}
		m.laps.time(func() {
			r, err := m.bob.g.Process(m.chain[next])
			if err != nil {
				b.Fatal(err)
			}
			if err := m.bob.g.Merge(r.(*StagedCommit)); err != nil {
				b.Fatal(err)
			}
			after()
		})
		next++
	}
}

// benchProcess processes and merges commits of alice's.
func benchProcess(b *testing.B, m *madeGroup) {
	m.follow(b, func() { m.bob.g.TakeChanges() })
	b.ReportMetric(float64(len(m.chain[0])), "message-B")
}

func benchJoin(b *testing.B, m *madeGroup) {
	for b.Loop() {
		m.laps.time(func() {
			if _, err := Join(m.bob.cfg, m.bob.signer, m.bundle, m.welcome, nil); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(len(m.welcome)), "welcome-B")
}

// benchJoinApart joins as one does in a big group: with the tree beside the Welcome, which is
// hashed and decrypted as a whole several times.
func benchJoinApart(b *testing.B, m *madeGroup) {
	for b.Loop() {
		m.laps.time(func() {
			if _, err := Join(m.bob.cfg, m.bob.signer, m.bundle, m.apart.Welcome, m.apartTree); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(len(m.apart.Welcome)), "welcome-B")
}

// benchExternalJoin makes the commit by which a newcomer enters, and its group.
func benchExternalJoin(b *testing.B, m *madeGroup) {
	p := newPeer(b, m.s.id, "newcomer")
	o := p.joining(ExternalJoinOptions{GroupInfo: m.alice.groupInfo(true)})
	var size int
	for b.Loop() {
		m.laps.time(func() {
			_, commit, err := JoinByCommit(p.cfg, o)
			if err != nil {
				b.Fatal(err)
			}
			size = len(commit)
		})
	}
	b.ReportMetric(float64(size), "message-B")
}

// benchProcessExternal validates an external commit and derives its epoch.
func benchProcessExternal(b *testing.B, m *madeGroup) {
	p := newPeer(b, m.s.id, "newcomer")
	_, commit, err := JoinByCommit(p.cfg, p.joining(ExternalJoinOptions{GroupInfo: m.bob.groupInfo(true)}))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		m.laps.time(func() {
			if _, err := m.bob.g.Process(commit); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(len(commit)), "message-B")
}

func text1KiB() []byte {
	text := make([]byte, 1024)
	rand.Read(text)
	return text
}

func benchSeal(b *testing.B, m *madeGroup) {
	text := text1KiB()
	for b.Loop() {
		m.laps.time(func() {
			if _, err := m.bob.g.Seal(text, nil); err != nil {
				b.Fatal(err)
			}
		})
		m.bob.g.TakeChanges()
	}
}

// benchOpen opens messages of one sender, but for its first.
func benchOpen(b *testing.B, m *madeGroup) {
	text := text1KiB()
	sender := *m.bob.g
	sender.own, sender.signer, sender.log = 0, m.alice.signer, changeLog{}
	sender.keys = m.secretTree()
	batch := func(n int) (messages [][]byte) {
		for range n {
			message, err := sender.Seal(text, nil)
			if err != nil {
				b.Fatal(err)
			}
			messages = append(messages, message)
		}
		return messages
	}
	m.bob.process(batch(1)[0])
	var messages [][]byte
	for b.Loop() {
		if len(messages) == 0 {
			b.StopTimer()
			messages = batch(256)
			b.StartTimer()
		}
		m.laps.time(func() {
			if _, err := m.bob.g.Process(messages[0]); err != nil {
				b.Fatal(err)
			}
		})
		m.bob.g.TakeChanges()
		messages = messages[1:]
	}
}

// benchOpenFirst opens the first message in an epoch of ever another sender.
func benchOpenFirst(b *testing.B, m *madeGroup) {
	text := text1KiB()
	var messages [][]byte
	for i := range min(64, m.n-1) {
		messages = append(messages, m.from(b, LeafIndex(i*(m.n-1)/min(64, m.n-1)), text))
	}
	next := 0
	for b.Loop() {
		if next == len(messages) {
			b.StopTimer()
			m.bob.g.keys = m.secretTree()
			next = 0
			b.StartTimer()
		}
		if _, err := m.bob.g.Process(messages[next]); err != nil {
			b.Fatal(err)
		}
		m.bob.g.TakeChanges()
		next++
	}
}

// written is what storing changes writes: bytes of keys and values, and records.
func written(changes []Change) (size, n int) {
	for _, c := range changes {
		size += len(c.Key) + len(c.Value)
	}
	return size, len(changes)
}

// benchSaveMessage reports the most that a message makes its sender and its
// receiver write, the first one and others.
func benchSaveMessage(b *testing.B, m *madeGroup) {
	size, n := 0, 0
	note := func() {
		if s, k := written(m.bob.g.TakeChanges()); s > size {
			size, n = s, k
		}
	}
	for i := range min(64, m.n-1) {
		message := m.from(b, LeafIndex(i*(m.n-1)/min(64, m.n-1)), []byte("x"))
		if _, err := m.bob.g.Process(message); err != nil {
			b.Fatal(err)
		}
		note()
	}
	text := text1KiB()
	for b.Loop() {
		if _, err := m.bob.g.Seal(text, nil); err != nil {
			b.Fatal(err)
		}
		note()
	}
	b.ReportMetric(float64(size), "written-B")
	b.ReportMetric(float64(n), "records")
	m.limit, m.most = maxMessageRecords, size
}

// benchSaveCommit reports what a receiver of a commit writes.
func benchSaveCommit(b *testing.B, m *madeGroup) {
	size, n := 0, 0
	m.follow(b, func() { size, n = written(m.bob.g.TakeChanges()) })
	b.ReportMetric(float64(size), "written-B")
	b.ReportMetric(float64(n), "records")
}

func benchLoad(b *testing.B, m *madeGroup) {
	for b.Loop() {
		m.bob.restore()
	}
}

// benchMemory reports what a group takes that has been loaded, and one that has
// joined, beside its tree as it goes over the wire.
func benchMemory(b *testing.B, m *madeGroup) {
	tree := len(marshal(m.bob.g.cur.tree))
	m.bob.g = nil
	loaded := heapOf(func() any { m.bob.restore(); return m.bob.g })
	m.bob.g = nil
	joined := heapOf(func() any {
		g, err := Join(m.bob.cfg, m.bob.signer, m.bundle, slices.Clone(m.welcome), nil)
		if err != nil {
			b.Fatal(err)
		}
		g.TakeChanges()
		return g
	})
	m.rewind()
	for b.Loop() {
		runtime.Gosched()
	}
	b.ReportMetric(float64(tree), "tree-B")
	b.ReportMetric(float64(loaded), "loaded-B")
	b.ReportMetric(float64(joined), "joined-B")
	m.limit, m.most = 4*tree, int(max(loaded, joined))
}

// heapOf is what f's result holds on the heap.
func heapOf(f func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}
