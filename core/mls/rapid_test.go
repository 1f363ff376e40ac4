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
}

type delivery struct {
	message []byte
	welcome []byte
	text    string // of an application message
	from    *peer
}

func newWorld(t *rapid.T, tb testing.TB) *world {
	w := &world{t: t, tb: tb, inbox: map[*peer][]delivery{}, roster: map[*peer]bool{}, authent: map[uint64][]byte{}}
	for i := range 5 {
		w.peers = append(w.peers, newPeer(tb, SuiteX25519, fmt.Sprintf("peer %d", i)))
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
	w.broadcast(p, commit, "")
	p.g, p.store = g, records{}
	p.save()
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
	w.inbox[p] = slices.Delete(slices.Clone(box), at, at+1)
	if d.welcome != nil {
		p.join(d.welcome)
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
	case *StagedCommit:
		if err := p.g.Merge(r); err != nil {
			w.t.Fatal(err)
		}
		w.note(p)
	}
	p.save()
	if _, err := p.g.Process(d.message); err == nil {
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
	for _, q := range w.peers {
		if q != p && w.roster[q] {
			w.inbox[q] = append(w.inbox[q], delivery{message: message, text: text, from: p})
		}
	}
}

// TestWorld lets five clients add, remove, update, leave, join by themselves, come
// back, write, race, crash and fall behind at random; whoever is in an epoch agrees about it.
func TestWorld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t)
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				w.t = rt
				if out := w.outsiders(); len(out) > 0 {
					q := rapid.SampledFrom(out).Draw(rt, "newcomer")
					w.commit(w.member(), CommitOptions{
						Proposals: []Proposal{AddProposal(q.keyPackage())}, AddOnly: rapid.Bool().Draw(rt, "add only"),
					})
				}
			},
			"remove": func(rt *rapid.T) {
				w.t = rt
				p, q := w.member(), w.member()
				if p != q {
					w.commit(p, CommitOptions{Proposals: []Proposal{RemoveProposal(q.g.OwnIndex())}})
				}
			},
			"update": func(rt *rapid.T) {
				w.t = rt
				w.commit(w.member(), CommitOptions{})
			},
			"propose update": func(rt *rapid.T) {
				w.t = rt
				p := w.member()
				m, err := p.g.ProposeUpdate(nil)
				if err != nil {
					rt.Fatal(err)
				}
				p.save()
				if p.g.Epoch() == w.epoch {
					w.broadcast(p, m, "")
				}
			},
			"join by itself": func(rt *rapid.T) {
				w.t = rt
				if out := w.outsiders(); len(out) > 0 {
					w.enter(rapid.SampledFrom(out).Draw(rt, "joiner"), nil)
				}
			},
			"come back": func(rt *rapid.T) {
				w.t = rt
				if p := w.member(); w.roster[p] {
					i := p.g.OwnIndex()
					w.enter(p, &i)
				}
			},
			"leave": func(rt *rapid.T) {
				w.t = rt
				p := w.member()
				if len(w.in()) < 3 || p.g.Epoch() != w.epoch || rapid.IntRange(0, 3).Draw(rt, "stay") > 0 {
					return
				}
				m, err := p.g.ProposeSelfRemove()
				if err != nil {
					rt.Fatal(err)
				}
				p.save()
				w.broadcast(p, m, "")
			},
			"write": func(rt *rapid.T) {
				w.t = rt
				p := w.member()
				if p.g.Epoch() != w.epoch {
					return // the service refuses what is too old; the client catches up first
				}
				w.sent++
				text := fmt.Sprintf("message %d", w.sent)
				w.broadcast(p, p.seal(text), text)
			},
			"receive": func(rt *rapid.T) {
				w.t = rt
				p := rapid.SampledFrom(w.peers).Draw(rt, "receiver")
				if len(w.inbox[p]) > 0 {
					w.receive(p)
				}
			},
			"restore": func(rt *rapid.T) {
				w.t = rt
				w.member().restore()
			},
			"": func(rt *rapid.T) {
				w.t = rt
				for _, p := range w.in() {
					if p.g.Epoch() > w.epoch {
						rt.Fatalf("%s is in epoch %d, the service in %d", p.name, p.g.Epoch(), w.epoch)
					}
				}
			},
		})
		w.t = rt
		for _, p := range w.peers {
			w.drain(p)
		}
		if members := w.in(); len(members) > 0 {
			agree(t, members...)
			if n := members[0].g.MemberCount(); n != len(members) {
				rt.Fatalf("%d members in the tree, %d clients in the group", n, len(members))
			}
		}
	})
}
