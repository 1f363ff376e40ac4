package mls

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"text/tabwriter"
	"time"
)

// primitives are what single operations of a suite cost, through the suite and
// from serialised keys as everywhere here.
type primitives struct {
	hpkeSeal, hpkeOpen, sign, verify, aead1KiB, aead12B, step time.Duration
}

// fastest gives the mean of the fastest of some batches.
func fastest(f func()) time.Duration {
	best := time.Duration(math.MaxInt64)
	n := 1
	for range 8 {
		start := time.Now()
		for range n {
			f()
		}
		took := time.Since(start)
		best = min(best, took/time.Duration(n))
		n = int(4*time.Millisecond/max(best, 1)) + 1
	}
	return best
}

// laps finds the mean of the fastest of batches as fastest does, of what a
// benchmark repeats.
type laps struct {
	best, sum time.Duration
	n         int
}

func (l *laps) time(f func()) {
	start := time.Now()
	f()
	l.sum += time.Since(start)
	l.n++
	if l.sum < 4*time.Millisecond {
		return
	}
	if mean := l.sum / time.Duration(l.n); l.best == 0 || mean < l.best {
		l.best = mean
	}
	l.sum, l.n = 0, 0
}

func primitivesOf(t testing.TB, s *suite) primitives {
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	private, public, err := s.generateKeyPair()
	check(err)
	signer, err := GenerateSigner(s.id)
	check(err)
	signatureKey, err := s.sig.publicOf(signer)
	check(err)
	context, secret, text := make([]byte, 150), s.randomSecret(), text1KiB()
	sealed, err := s.encryptWithLabel(public, "UpdatePathNode", context, secret)
	check(err)
	signature, err := s.signWithLabel(signer, "FramedContentTBS", text)
	check(err)
	key, nonce := make([]byte, s.nk), make([]byte, nn)
	chain := &ratchet{secret: s.randomSecret()}
	return primitives{
		hpkeSeal: fastest(func() { _, _ = s.encryptWithLabel(public, "UpdatePathNode", context, secret) }),
		hpkeOpen: fastest(func() { _, _ = s.decryptWithLabel(private, "UpdatePathNode", context, sealed) }),
		sign:     fastest(func() { _, _ = s.signWithLabel(signer, "FramedContentTBS", text) }),
		verify:   fastest(func() { s.verifyWithLabel(signatureKey, "FramedContentTBS", text, signature) }),
		aead1KiB: fastest(func() { _, _ = s.seal(key, nonce, context, text) }),
		aead12B:  fastest(func() { _, _ = s.seal(key, nonce, context, text[:12]) }),
		step:     fastest(func() { s.step(chain) }),
	}
}

// treeHashing is what hashing the tree once costs.
func (m *madeGroup) treeHashing() time.Duration {
	nodes := make([]node, 2*m.bob.g.cur.tree.leaves()-1)
	m.bob.g.cur.tree.top.walk(m.bob.g.cur.tree.root(), func(x nodeIndex, n node) bool {
		nodes[x] = n
		return true
	})
	best := time.Duration(math.MaxInt64)
	for range 3 {
		fresh := newTree(m.s, m.bob.g.cur.tree.leaves())
		fresh.top = build(nodes, fresh.root())
		start := time.Now()
		fresh.rootHash()
		best = min(best, time.Since(start))
	}
	return best
}

type measurement struct {
	row         benchRow
	took        time.Duration
	floor       time.Duration // 0 where none is known
	target      float64       // times the floor
	most, limit int           // bytes, where they are what counts
}

type benchReport struct {
	rows       []*measurement
	primitives map[Suite]primitives
}

var report = &benchReport{primitives: map[Suite]primitives{}}

func (r *benchReport) row(row benchRow) *measurement {
	for _, m := range r.rows {
		if m.row == row {
			return m
		}
	}
	m := &measurement{row: row, took: math.MaxInt64}
	r.rows = append(r.rows, m)
	return m
}

// setFloor measures the primitives anew and says what an operation cannot do without.
func (r *benchReport) setFloor(row benchRow, m *madeGroup) {
	p := primitivesOf(m.bob.t, m.s)
	r.primitives[row.suite] = p
	cores := time.Duration(runtime.GOMAXPROCS(0))
	n := time.Duration(m.n)
	e := r.row(row)
	floor := time.Duration(0)
	switch row.op {
	case "update-commit":
		if row.shape == flat {
			floor, e.target = (n-1)*p.hpkeSeal/min(cores, n-1), 1.3
		}
	case "join", "join-tree-apart":
		floor, e.target = n*p.verify/min(cores, n)+m.treeHashing(), 1.5
	case "external-join":
		floor = n*p.verify/min(cores, n) + m.treeHashing()
		if row.shape == flat {
			floor += n * p.hpkeSeal / min(cores, n)
		}
	case "seal-1KiB":
		floor, e.target = p.sign+p.aead1KiB+p.aead12B+p.step, 1.5
	case "open-1KiB":
		floor, e.target = p.verify+p.aead1KiB+p.aead12B+p.step, 1.5
	}
	if e.floor == 0 || floor < e.floor {
		e.floor = floor
	}
}

// add notes the result of a benchmark; of several runs the fastest counts.
func (r *benchReport) add(row benchRow, m *madeGroup) {
	e := r.row(row)
	if m.laps.best > 0 {
		e.took = min(e.took, m.laps.best)
	}
	e.most, e.limit = m.most, m.limit
}

func (r *benchReport) print(w io.Writer) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "suite\tHPKE seal\topen\tsign\tverify\tAEAD 1 KiB\tratchet step")
	for _, s := range benchSuites {
		if p, ok := r.primitives[s]; ok {
			fmt.Fprintf(t, "%#04x\t%v\t%v\t%v\t%v\t%v\t%v\n", uint16(s), p.hpkeSeal, p.hpkeOpen, p.sign, p.verify, p.aead1KiB, p.step)
		}
	}
	fmt.Fprintln(t, "\noperation\tmeasured\tleast possible\tratio\ttarget\tmet")
	for _, e := range r.rows {
		name := fmt.Sprintf("%s/%#04x/%s/%d", e.row.op, uint16(e.row.suite), e.row.shape, e.row.n)
		least, target := e.floor, e.target
		if e.row.op == "process-commit" && e.row.shape == warm && e.row.n == 10000 {
			small := e.row
			small.n = 10 // it may take four times as long as this one
			least, target = r.row(small).took, 4
		}
		if e.limit > 0 {
			met := map[bool]string{true: "yes", false: "NO"}[e.most <= e.limit]
			fmt.Fprintf(t, "%s\t%d B\t%d B at most\t%.2f\t1.0\t%s\n", name, e.most, e.limit, float64(e.most)/float64(e.limit), met)
			continue
		}
		if least > 0 && e.took < math.MaxInt64 {
			ratio := float64(e.took) / float64(least)
			met := "yes"
			switch {
			case target == 0:
				met = "none set"
			case ratio > target:
				met = "NO"
			}
			fmt.Fprintf(t, "%s\t%v\t%v\t%.2f\t%.1f\t%s\n", name, e.took, least, ratio, target, met)
		}
	}
}
