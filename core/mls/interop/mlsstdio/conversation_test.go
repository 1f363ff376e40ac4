package main

import (
	"fmt"
	"slices"
	"testing"
)

// converse goes through the operations in turn, each by a at one side and by b at
// the other, whichever implementations they are of.
func converse(t *testing.T, suite int, a, b *endpoint) {
	w := newWorld(t, suite, func() string { return "private" }, a)
	w.add(w.members[0], params{}, b)
	alice, bob := w.members[0], w.members[1]
	w.say(alice)
	w.say(bob)
	w.update(bob)
	w.update(alice)
	w.settle()
	w.add(bob, params{"no_path": true}, a)
	w.settle()
	w.add(alice, params{"no_path": true}, b)
	w.settle()
	for _, m := range w.members {
		w.say(m)
	}
	w.export()
	w.late(alice, bob)
	w.late(bob, alice)
	w.race(alice, bob)
	w.race(bob, alice)
	w.commit(alice, params{"psks": []octets{octets("psk")}})
	w.commit(bob, params{"psks": []octets{octets("psk")}})
	w.restore(alice)
	w.restore(bob)
	carol, dave := w.members[2], w.members[3]
	w.propose(bob, params{"type": "remove", "leaf": carol.info().Own})
	w.commit(alice, params{})
	w.propose(alice, params{"type": "psk", "psk_id": octets("psk")})
	w.commit(bob, params{})
	extensions := []extension{{testExtension, octets("a name")}}
	for _, pair := range [][2]*member{{alice, bob}, {bob, alice}} {
		proposer, committer := pair[0], pair[1]
		if proposer.can("update-proposal") {
			w.propose(proposer, params{"type": "update"})
			w.commit(committer, params{})
		}
		if committer.can("commit-extensions") {
			extensions[0].Data = append(extensions[0].Data, '!')
			w.propose(proposer, params{"type": "group_context_extensions", "extensions": extensions})
			w.commit(committer, params{"aad": octets("aad of a commit")})
		}
	}
	if got := fmt.Sprint(bob.info().Extensions); got != fmt.Sprint(extensions) {
		t.Errorf("the group's extensions are %s", got)
	}
	w.say(bob)
	w.remove(bob, dave)
	w.say(alice)
	w.enter(b, alice, nil, params{})
	w.enter(a, bob, nil, params{"tree_apart": true, "aad": octets("let me in")})
	w.enter(alice.endpoint, bob, alice, params{})
	w.enter(bob.endpoint, alice, bob, params{})
	for _, m := range w.members {
		w.say(m)
		w.update(m)
	}
	w.add(alice, params{"no_path": true, "omit_tree": true}, b)
	w.settle()
	w.add(bob, params{"no_path": true, "omit_tree": true}, a)
	w.export()
	for _, m := range []*member{alice, bob} {
		w.update(m)
		epoch := m.info().Epoch
		w.commit(m, params{"resumption_psks": []uint64{epoch, epoch - 1}})
		w.propose(m, params{"type": "resumption_psk", "epoch": epoch})
		w.commit(w.members[0], params{})
	}
	w.follow(alice, suite, params{"group_id": octets("a branch"), "no_path": true})
	w.follow(bob, suite, params{"group_id": octets("another branch"), "no_path": true})
	other := 1 + suite%2
	w.propose(alice, params{"type": "reinit", "reinit": reInit{GroupID: octets("after"), Suite: uint16(other)}})
	w.commit(bob, params{})
	if got := alice.info().ReInit; got == nil || int(got.Suite) != other {
		t.Errorf("the group is re-initialised as %+v", got)
	}
	w.follow(alice, other, params{"no_path": true})
	w.follow(bob, other, params{"no_path": true})
}

// settle has those who have been added send a path each, so that no leaf is unmerged.
func (w *world) settle() {
	w.t.Helper()
	for _, m := range w.members {
		if m.unmerged {
			w.update(m)
		}
	}
}

// suites are what the endpoint says it has, those of the RFC alone where all is not set.
func (e *endpoint) suites(all bool) []uint16 {
	e.t.Helper()
	var g greeting
	e.call("hello", params{}, &g)
	return slices.DeleteFunc(g.Suites, func(s uint16) bool { return !all && s > 7 })
}

// greet is the short form of converse.
func greet(t *testing.T, suite int, a, b *endpoint) {
	w := newWorld(t, suite, func() string { return "public" }, a)
	w.add(w.members[0], params{}, b)
	w.say(w.members[1])
	w.enter(b, w.members[0], nil, params{})
	w.update(w.members[1])
	w.restore(w.members[1])
	w.remove(w.members[2], w.members[0])
	w.say(w.members[0])
}

func TestTwoProcessesTalk(t *testing.T) {
	for _, suite := range startOwn(t, "any").suites(true) {
		t.Run(fmt.Sprintf("%#04x", suite), func(t *testing.T) {
			talk := greet
			if suite == 0x0001 || suite == 0xF002 {
				talk = converse
			}
			talk(t, int(suite), startOwn(t, "left"), startOwn(t, "right"))
		})
	}
}

func TestRandomOperations(t *testing.T) {
	wander(t, 1, 1, startOwn(t, "left"), startOwn(t, "right"))
}
