package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// world is five clients around a delivery service: it orders commits, takes one
// per epoch, and delivers to each client in order, save that application
// messages may overtake each other.
type world struct {
	t       *rapid.T
	tb      testing.TB
	peers   []*peer
	inbox   map[*peer][]delivery
	roster  map[*peer]bool // members of the service's epoch
	epoch   uint64
	info    []byte // the service's GroupInfo of its epoch
	sent    int
	authent map[uint64][]byte // epoch authenticators seen
	ledger  ledger
	past    map[*peer][][]byte // messages taken in this membership
	heard   map[*peer]map[string]bool
}

type delivery struct {
	message []byte
	welcome []byte
	text    string // of an application message
	from    *peer
}

func newWorld(t *rapid.T, tb testing.TB) *world {
	w := &world{t: t, tb: tb, inbox: map[*peer][]delivery{}, roster: map[*peer]bool{}, authent: map[uint64][]byte{}}
	w.ledger, w.past, w.heard = ledger{}, map[*peer][][]byte{}, map[*peer]map[string]bool{}
	for i := range 5 {
		w.peers = append(w.peers, newPeer(tb, SuiteX25519, fmt.Sprintf("peer %d", i)))
		w.peers[i].cfg.ExternalPSK = func(id []byte) ([]byte, bool) { return append([]byte("PSK "), id...), true }
		w.heard[w.peers[i]] = map[string]bool{}
	}
	w.peers[0].create()
	w.roster[w.peers[0]] = true
	w.info = w.peers[0].groupInfo(true)
	return w
}

// in lists the clients that are, as far as they know, members.
func (w *world) in() []*peer {
	return slices.DeleteFunc(slices.Clone(w.peers), func(p *peer) bool { return p.g == nil || !p.g.Active() })
}

func (w *world) member() *peer { return rapid.SampledFrom(w.in()).Draw(w.t, "member") }

// outsiders lists the clients that are in no member's present or coming epoch.
func (w *world) outsiders() []*peer {
	return slices.DeleteFunc(slices.Clone(w.peers), func(p *peer) bool {
		return w.roster[p] || p.g != nil && p.g.Active() || len(w.inbox[p]) > 0
	})
}

// publish gives a commit to the delivery service, which takes the first of an epoch.
func (w *world) publish(p *peer, s *StagedCommit) bool {
	if s.Epoch != w.epoch {
		return false
	}
	var err error
	if w.info, err = s.GroupInfo(true); err != nil {
		w.t.Fatal(err)
	}
	w.epoch++
	w.broadcast(p, s.Message, "")
	for _, m := range s.Removed {
		w.roster[w.named(m)] = false
	}
	for _, m := range s.Added {
		q := w.named(m)
		w.roster[q] = true
		w.inbox[q] = []delivery{{welcome: s.Welcome, from: p}}
	}
	return true
}

// enter lets a client join by itself, or come back where it is a member that may
// have lost its state. The service may take another commit first: then it tries again.
func (w *world) enter(p *peer, replace *LeafIndex) {
	o := p.joining(ExternalJoinOptions{GroupInfo: w.info, Replace: replace})
	g, commit, err := JoinByCommit(p.cfg, o)
	if err != nil {
		w.t.Fatal(err)
	}
	if rapid.Bool().Draw(w.t, "refused by the service") {
		return
	}
	w.epoch++
	w.roster[p] = true
	w.inbox[p] = nil
	p.g, p.store = g, records{}
	w.broadcast(p, commit, "")
	p.save()
	w.past[p] = nil
	w.info = p.groupInfo(true)
	w.note(p)
}

func (w *world) named(m Member) *peer {
	return w.peers[slices.IndexFunc(w.peers, func(q *peer) bool { return q.name == string(m.Credential.Identity) })]
}

func (w *world) commit(p *peer, o CommitOptions) {
	if p.g.Epoch() != w.epoch && rapid.Bool().Draw(w.t, "catch up") {
		w.drain(p)
	}
	s, err := p.g.Commit(o)
	if errors.Is(err, ErrRemoved) || errors.Is(err, ErrLeaving) || errors.Is(err, ErrPending) {
		return
	}
	var invalid *ValidationError
	if errors.As(err, &invalid) {
		return // e.g. adds a client whose leaving it has not heard of
	}
	if err != nil {
		w.t.Fatal(err)
	}
	p.save()
	if rapid.Bool().Draw(w.t, "crash before the answer") {
		p.restore()
		s = p.g.Pending()
	}
	if !w.publish(p, s) {
		if rapid.Bool().Draw(w.t, "give up") {
			p.g.DiscardPending()
			p.save()
		}
		return
	}
	if rapid.Bool().Draw(w.t, "crash after the answer") {
		p.restore()
	}
	p.merge()
	w.note(p)
}

// note records the epoch authenticator and compares it with the others'.
func (w *world) note(p *peer) {
	a := p.g.EpochAuthenticator()
	if a == nil {
		return
	}
	if seen, ok := w.authent[p.g.Epoch()]; ok && !bytes.Equal(seen, a) {
		w.t.Fatalf("%s disagrees about epoch %d", p.name, p.g.Epoch())
	}
	w.authent[p.g.Epoch()] = a
}

// receive delivers the first thing in a client's inbox, or an application
// message from further behind.
func (w *world) receive(p *peer) {
	box := w.inbox[p]
	at := 0
	if n := min(len(box), 8); rapid.Bool().Draw(w.t, "out of order") {
		for i := range n {
			if box[i].text == "" {
				break
			}
			at = i
		}
	}
	d := box[at]
	if d.welcome == nil && rapid.IntRange(0, 3).Draw(w.t, "crash before storing") == 0 {
		if r, err := p.g.Process(d.message); err == nil {
			if s, ok := r.(*StagedCommit); ok && rapid.Bool().Draw(w.t, "after merging") {
				_ = p.g.Merge(s)
			}
		}
		p.restore() // and it is delivered again
	}
	w.inbox[p] = slices.Delete(slices.Clone(box), at, at+1)
	if d.welcome != nil {
		p.join(d.welcome)
		w.past[p] = nil
		w.note(p)
		return
	}
	r, err := p.g.Process(d.message)
	if err != nil {
		if d.text == "" && errors.Is(err, ErrOldEpoch) {
			return // a proposal that came too late
		}
		if d.text != "" && errors.Is(err, ErrOldEpoch) {
			return // sent in an epoch that is long over
		}
		if !p.g.Active() && errors.Is(err, ErrRemoved) {
			return
		}
		if d.text != "" && errors.Is(err, ErrFutureEpoch) {
			w.t.Fatalf("%s gets %q before its epoch", p.name, d.text)
		}
		w.t.Fatalf("%s processes: %v", p.name, err)
	}
	switch r := r.(type) {
	case *Application:
		if string(r.Data) != d.text || string(r.SenderLeaf.Credential.Identity) != d.from.name {
			w.t.Fatalf("%s opens %q by %q", p.name, r.Data, r.SenderLeaf.Credential.Identity)
		}
		if w.heard[p][d.text] {
			w.t.Fatalf("%s opens %q twice", p.name, d.text)
		}
		w.heard[p][d.text] = true
	case *StagedCommit:
		if err := p.g.Merge(r); err != nil {
			w.t.Fatal(err)
		}
		w.note(p)
	}
	p.save()
	w.past[p] = append(w.past[p], d.message)
	w.replay(p, d.message)
}

// replay delivers what has been taken already once more.
func (w *world) replay(p *peer, message []byte) {
	if _, err := p.g.Process(message); err == nil {
		w.t.Fatalf("%s processes the same message twice", p.name)
	}
	if c := p.g.TakeChanges(); len(c) > 0 {
		w.t.Fatalf("a duplicate changed %d records", len(c))
	}
}

func (w *world) drain(p *peer) {
	for len(w.inbox[p]) > 0 {
		w.receive(p)
	}
}

func (w *world) broadcast(p *peer, message []byte, text string) {
	w.ledger.note(w.tb, p.g, message)
	for _, q := range w.peers {
		if q != p && w.roster[q] {
			w.inbox[q] = append(w.inbox[q], delivery{message: message, text: text, from: p})
		}
	}
}
