package mls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// operations are what may happen in a world at any time.
func (w *world) operations() map[string]func() {
	return map[string]func(){
		"add":            w.add,
		"remove":         w.remove,
		"update":         func() { w.commit(w.member(), CommitOptions{}) },
		"PSK":            func() { w.commit(w.member(), CommitOptions{Proposals: []Proposal{ExternalPSKProposal([]byte("id"))}}) },
		"resumption PSK": w.resume,
		"extensions":     func() { w.commit(w.member(), CommitOptions{Proposals: []Proposal{w.extensions()}}) },
		"propose update": func() { w.propose(func(g *Group) ([]byte, error) { return g.ProposeUpdate(nil) }) },
		"propose PSK": func() {
			w.propose(func(g *Group) ([]byte, error) { return g.Propose(ExternalPSKProposal([]byte("other"))) })
		},
		"propose removal": w.proposeRemoval,
		"propose extensions": func() {
			w.propose(func(g *Group) ([]byte, error) { return g.Propose(w.extensions()) })
		},
		"leave":          w.leave,
		"join by itself": func() { w.pick(w.outsiders(), func(p *peer) { w.enter(p, nil) }) },
		"come back": func() {
			if p := w.member(); w.roster[p] {
				i := p.g.OwnIndex()
				w.enter(p, &i)
			}
		},
		"write":          w.write,
		"receive":        func() { w.pick(w.waiting(), w.receive) },
		"catch up":       func() { w.pick(w.waiting(), w.drain) },
		"lose a message": func() { w.pick(w.waiting(), w.lose) },
		"replay": func() {
			if p := w.member(); len(w.past[p]) > 0 {
				w.replay(p, rapid.SampledFrom(w.past[p]).Draw(w.t, "message"))
			}
		},
		"restore":          func() { w.member().restore() },
		"lose what is new": w.loseTransaction,
	}
}

func (w *world) pick(peers []*peer, f func(*peer)) {
	if len(peers) > 0 {
		f(rapid.SampledFrom(peers).Draw(w.t, "peer"))
	}
}

// waiting lists the clients for whom there is something.
func (w *world) waiting() []*peer {
	return slices.DeleteFunc(slices.Clone(w.peers), func(p *peer) bool { return len(w.inbox[p]) == 0 })
}

func (w *world) extensions() Proposal {
	return GroupContextExtensionsProposal([]Extension{{Type: extTest, Data: []byte{rapid.Byte().Draw(w.t, "data")}}})
}

func (w *world) add() {
	w.pick(w.outsiders(), func(q *peer) {
		w.commit(w.member(), CommitOptions{
			Proposals: []Proposal{AddProposal(q.keyPackage())}, AddOnly: rapid.Bool().Draw(w.t, "add only"),
		})
	})
}

func (w *world) remove() {
	if p, q := w.member(), w.member(); p != q {
		w.commit(p, CommitOptions{Proposals: []Proposal{RemoveProposal(q.g.OwnIndex())}})
	}
}

// resume mixes in a resumption PSK that everybody in the group has.
func (w *world) resume() {
	p := w.member()
	if p.g.Epoch() != w.epoch {
		return // of an epoch that a newcomer has not seen
	}
	w.commit(p, CommitOptions{Proposals: []Proposal{ResumptionPSKProposal(p.g.ID(), p.g.Epoch())}})
}

// propose publishes a proposal in the service's epoch.
func (w *world) propose(make func(*Group) ([]byte, error)) {
	p := w.member()
	if p.g.Epoch() != w.epoch {
		return
	}
	m, err := make(p.g)
	if errors.Is(err, ErrTooManyProposals) && p.leaving() {
		return // asked to go, and not let go yet
	}
	if err != nil {
		w.t.Fatal(err)
	}
	p.save()
	w.broadcast(p, m, "")
}

// leaving tells whether the peer has proposed its own removal in this epoch.
func (p *peer) leaving() bool {
	return slices.ContainsFunc(p.g.proposals, func(c *cachedProposal) bool {
		return c.typ == ProposalSelfRemove && c.sender.isMember(p.g.own)
	})
}

func (w *world) proposeRemoval() {
	q := w.member()
	w.propose(func(g *Group) ([]byte, error) {
		if _, ok := g.Member(q.g.OwnIndex()); !ok {
			return g.ProposeUpdate(nil)
		}
		return g.Propose(RemoveProposal(q.g.OwnIndex()))
	})
}

func (w *world) leave() {
	if len(w.in()) > 2 && rapid.IntRange(0, 3).Draw(w.t, "stay") == 0 {
		w.propose((*Group).ProposeSelfRemove)
	}
}

func (w *world) write() {
	p := w.member()
	if p.g.Epoch() != w.epoch {
		return // the service refuses what is too old; the client catches up first
	}
	w.sent++
	text := fmt.Sprintf("message %d", w.sent)
	w.broadcast(p, p.seal(text), text)
}

// lose lets an application message never arrive.
func (w *world) lose(p *peer) {
	i := slices.IndexFunc(w.inbox[p], func(d delivery) bool { return d.text != "" })
	if i >= 0 {
		w.inbox[p] = slices.Delete(slices.Clone(w.inbox[p]), i, i+1)
	}
}

// loseTransaction does something that is neither stored nor sent.
func (w *world) loseTransaction() {
	p := w.member()
	switch rapid.IntRange(0, 3).Draw(w.t, "what") {
	case 0:
		_, _ = p.g.Seal([]byte("never sent"), nil)
	case 1:
		_, _ = p.g.ProposeUpdate(nil)
	case 2:
		_, _ = p.g.Commit(CommitOptions{})
	case 3:
		_ = p.g.MergePending()
	}
	p.restore()
}

// live runs a world from its beginning to where everybody has caught up.
func live(tb testing.TB) func(*rapid.T) {
	return func(rt *rapid.T) {
		w := newWorld(rt, tb)
		actions := map[string]func(*rapid.T){"": func(rt *rapid.T) {
			for _, p := range w.in() {
				if p.g.Epoch() > w.epoch {
					rt.Fatalf("%s is in epoch %d, the service in %d", p.name, p.g.Epoch(), w.epoch)
				}
			}
		}}
		for name, f := range w.operations() {
			actions[name] = func(rt *rapid.T) {
				w.t = rt
				f()
			}
		}
		rt.Repeat(actions)
		w.t = rt
		for _, p := range w.peers {
			w.drain(p)
		}
		w.end()
	}
}

// end demands that all who are in the group now agree about everything.
func (w *world) end() {
	members := w.in()
	if len(members) == 0 {
		return
	}
	agree(w.tb, members...)
	tree := members[0].g.RatchetTree()
	for _, p := range members {
		if n := p.g.MemberCount(); n != len(members) || p.g.Epoch() != w.epoch {
			w.t.Fatalf("%s: %d members in the tree, %d clients in the group, epoch %d of %d", p.name, n, len(members), p.g.Epoch(), w.epoch)
		}
		if string(p.g.RatchetTree()) != string(tree) {
			w.t.Fatalf("%s has another tree", p.name)
		}
		p.restore()
		m := p.seal("the end")
		w.ledger.note(w.tb, p.g, m)
		for _, q := range members {
			if q != p {
				q.hears(m, "the end", p)
			}
		}
	}
}

// TestWorld lets five clients add, remove, update, leave, join by themselves, come
// back, propose, write, race, crash, lose, repeat and fall behind at random; whoever is
// in an epoch agrees about it, and no key is used for two messages.
func TestWorld(t *testing.T) { rapid.Check(t, live(t)) }

// maxFate bounds what the fuzzer decides, so that one life is not long.
const maxFate = 3 << 10

// FuzzWorld is TestWorld with the fuzzer as the one that decides. Where what it
// says does not reach to the end the world just stops.
func FuzzWorld(f *testing.F) {
	for seed := range uint64(4) {
		source := rand.NewChaCha8([32]byte{byte(seed)})
		b := make([]byte, maxFate)
		if _, err := source.Read(b); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= maxFate {
			rapid.MakeFuzz(live(t))(t, b)
		}
	})
}
