package mls

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// queue is a delivery service: one order of messages for all, one commit per epoch.
type queue struct {
	t       testing.TB
	entries []entry
	epoch   uint64
	ledger  ledger
}

type entry struct {
	from    *device
	message []byte
	commit  bool
}

func (q *queue) put(d *device, message []byte) {
	q.ledger.note(q.t, d.g, message)
	q.entries = append(q.entries, entry{from: d, message: message})
}

// commit takes the first commit of an epoch.
func (q *queue) commit(d *device, s *StagedCommit) {
	if s.Epoch != q.epoch {
		return
	}
	q.ledger.note(q.t, d.g, s.Message)
	q.epoch++
	q.entries = append(q.entries, entry{from: d, message: s.Message, commit: true})
}

// device is a client that may lose power between any two steps. What it has
// stored, records and its place in the queue, is all that it has afterwards.
type device struct {
	*peer
	q       *queue
	at      int // in the queue
	saved   int // at, as stored
	ticks   int // until the next crash; negative: never
	wish    func() CommitOptions
	done    bool // the wish has been published, and won or lost
	welcome []byte
	text    []string
}

var errCrash = errors.New("crash")

// tick is a place between two steps.
func (d *device) tick() {
	if d.ticks == 0 {
		panic(errCrash)
	}
	d.ticks--
}

func (d *device) store() {
	d.tick()
	d.save()
	d.saved = d.at
	d.tick()
}

// run does all there is to do, and again after each crash; the first comes after
// so many ticks. It tells whether it came to a crash.
func (d *device) run(ticks ...int) (crashed int) {
	for {
		d.ticks = -1
		if len(ticks) > 0 {
			d.ticks, ticks = ticks[0], ticks[1:]
		}
		if d.attempt() {
			return crashed
		}
		crashed++
		d.restore()
		d.at = d.saved
	}
}

func (d *device) attempt() (finished bool) {
	defer func() {
		if r := recover(); r != nil && r != errCrash {
			panic(r)
		}
	}()
	d.tick()
	if d.wish != nil && !d.done && d.g.Pending() == nil && d.g.Active() {
		d.say("before")
		d.tick()
		if _, err := d.g.Commit(d.wish()); err != nil {
			d.t.Fatal(err)
		}
		d.store()
	}
	if s := d.g.Pending(); s != nil {
		d.q.commit(d, s)
		d.done = true
		d.tick()
	}
	for d.at < len(d.q.entries) {
		d.take(d.q.entries[d.at])
	}
	return true
}

func (d *device) say(text string) {
	m, err := d.g.Seal([]byte(text), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.store()
	d.q.put(d, m)
}

func (d *device) take(e entry) {
	pending := d.g.Pending()
	switch {
	case pending != nil && e.commit && bytes.Equal(e.message, pending.Message):
		d.welcome = pending.Welcome
		if err := d.g.MergePending(); err != nil {
			d.t.Fatal(err)
		}
	case e.from == d || !d.g.Active() && e.commit:
	default:
		r, err := d.g.Process(e.message)
		if err != nil {
			d.t.Fatalf("%s: %v", d.name, err)
		}
		switch r := r.(type) {
		case *StagedCommit:
			d.tick()
			d.save() // which is not owed, but must do no harm
			d.tick()
			if err := d.g.Merge(r); err != nil {
				d.t.Fatal(err)
			}
		case *Application:
			d.text = append(d.text, string(r.Data))
		}
	}
	d.at++
	d.store()
}

// crashKinds are commits by device 1 of four, with what has to be so before and
// who are members after.
var crashKinds = map[string]struct {
	wish    func(newcomer *peer) CommitOptions
	prepare func(devices []*device)
	removed int
	closed  bool // no message goes to the group after the commit
}{
	"update": {wish: func(*peer) CommitOptions { return CommitOptions{} }, removed: -1},
	"add": {wish: func(p *peer) CommitOptions {
		return CommitOptions{Proposals: []Proposal{AddProposal(p.bundle.KeyPackage())}}
	}, removed: -1},
	"add without a path": {wish: func(p *peer) CommitOptions {
		return CommitOptions{Proposals: []Proposal{AddProposal(p.bundle.KeyPackage())}, AddOnly: true}
	}, removed: -1},
	"remove": {wish: func(*peer) CommitOptions {
		return CommitOptions{Proposals: []Proposal{RemoveProposal(3)}}
	}, removed: 3},
	"self-remove": {
		wish: func(*peer) CommitOptions { return CommitOptions{} },
		prepare: func(devices []*device) {
			m, err := devices[3].g.ProposeSelfRemove()
			if err != nil {
				devices[3].t.Fatal(err)
			}
			devices[3].store()
			devices[3].q.put(devices[3], m)
		},
		removed: 3,
	},
	"other's update": {
		wish: func(*peer) CommitOptions { return CommitOptions{} },
		prepare: func(devices []*device) {
			m, err := devices[3].g.ProposeUpdate(nil)
			if err != nil {
				devices[3].t.Fatal(err)
			}
			devices[3].store()
			devices[3].q.put(devices[3], m)
		},
		removed: -1,
	},
	"update in public": {
		wish: func(*peer) CommitOptions { return CommitOptions{} },
		prepare: func(devices []*device) {
			for _, d := range devices {
				d.cfg.Handshakes = HandshakesPublic
				d.restore()
			}
		},
		removed: -1,
	},
	"reinit": {wish: func(*peer) CommitOptions {
		return CommitOptions{Proposals: []Proposal{ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteXWing})}}
	}, removed: -1, closed: true},
	"extensions": {wish: func(*peer) CommitOptions {
		return CommitOptions{Proposals: []Proposal{GroupContextExtensionsProposal([]Extension{{Type: extTest}})}}
	}, removed: -1},
}

// crashWorld is four devices of which the second wants to commit something.
type crashWorld struct {
	devices  []*device
	newcomer *peer
	q        *queue
	removed  int
	closed   bool
}

func newCrashWorld(t *testing.T, kind string, origin []*peer, lost bool) *crashWorld {
	k := crashKinds[kind]
	w := &crashWorld{q: &queue{t: t, epoch: 1, ledger: ledger{}}, removed: k.removed, closed: k.closed, newcomer: newPeer(t, SuiteX25519, "newcomer")}
	w.newcomer.keyPackage()
	for _, p := range origin {
		c := *p
		c.t, c.store = t, records{}
		for key, value := range p.store {
			c.store[key] = bytes.Clone(value)
		}
		c.restore()
		w.devices = append(w.devices, &device{peer: &c, q: w.q, ticks: -1})
	}
	if k.prepare != nil {
		k.prepare(w.devices)
		for _, d := range w.devices {
			d.run()
		}
	}
	w.devices[1].wish = func() CommitOptions { return k.wish(w.newcomer) }
	if lost { // another commit for the same epoch comes first
		w.devices[2].wish = w.devices[1].wish
		w.devices[2].run()
	}
	return w
}

// finish lets everybody come to the end, and checks that they agree there.
func (w *crashWorld) finish(t *testing.T) {
	t.Helper()
	for _, d := range w.devices {
		d.run()
	}
	var members []*peer
	for i, d := range w.devices {
		if i == w.removed {
			if d.g.Active() {
				t.Fatalf("%s is still in", d.name)
			}
			continue
		}
		d.restore() // what is on record is the same
		members = append(members, d.peer)
	}
	for _, d := range w.devices {
		if d.welcome != nil {
			w.newcomer.join(d.welcome)
			members = append(members, w.newcomer)
		}
	}
	agree(t, members...)
	for i, p := range members {
		if p.g.Pending() != nil || p.g.Epoch() != w.q.epoch || p.g.MemberCount() != len(members) {
			t.Fatalf("%s: epoch %d of %d, %d members of %d", p.name, p.g.Epoch(), w.q.epoch, p.g.MemberCount(), len(members))
		}
		if (p.g.ReInit() != nil) != w.closed {
			t.Fatalf("%s: closed by %+v", p.name, p.g.ReInit())
		}
		if w.closed {
			continue
		}
		text := "after, by " + p.name
		m := p.seal(text)
		w.q.ledger.note(t, p.g, m)
		other := members[(i+1)%len(members)]
		other.hears(m, text, p)
	}
}

// TestCrashPoints cuts the power of one device, committing or receiving, between
// any two of its steps, and once more between any two after that: nobody
// forks off, no key is used twice, no message is lost.
func TestCrashPoints(t *testing.T) {
	origin := newGroupOf(t, SuiteX25519, 4)
	for kind := range crashKinds {
		for _, lost := range []bool{false, true} {
			for who, role := range map[int]string{1: "committer", 0: "receiver", 3: "concerned"} {
				t.Run(fmt.Sprintf("%s/lost=%v/%s", kind, lost, role), func(t *testing.T) {
					t.Parallel()
					points := 0
					for first := 0; ; first++ {
						crashed := crashAt(t, kind, origin, lost, who, first)
						for second := first % 5; crashed == 1 && who == 1; second += 5 {
							if crashAt(t, kind, origin, lost, who, first, second) < 2 {
								break
							}
						}
						if crashed == 0 {
							break
						}
						points++
					}
					if points < 5 {
						t.Errorf("only %d places to crash at", points)
					}
				})
			}
		}
	}
}

func crashAt(t *testing.T, kind string, origin []*peer, lost bool, who int, ticks ...int) (crashed int) {
	w := newCrashWorld(t, kind, origin, lost)
	d := w.devices[who]
	if who != 1 {
		w.devices[1].run()
	}
	crashed = d.run(ticks...)
	w.finish(t)
	sent := 0
	for _, e := range w.q.entries {
		if m, err := Peek(e.message); err == nil && !m.Handshake && e.from != d {
			sent++
		}
	}
	// What was opened before a crash may be opened again after it; none is missed.
	if len(d.text) < sent {
		t.Errorf("%s has heard %q of %d messages", d.name, d.text, sent)
	}
	return crashed
}
