package main

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

const randomOperations = 50

// seed is QPC_INTEROP_SEED where it is set, else a fresh one; it is printed.
func seed(t *testing.T) uint64 {
	s := rand.Uint64()
	if set := os.Getenv("QPC_INTEROP_SEED"); set != "" {
		var err error
		if s, err = strconv.ParseUint(set, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("QPC_INTEROP_SEED=%d", s)
	return s
}

// wanderer does random operations in a world of two implementations.
type wanderer struct {
	*world
	*rand.Rand
	sides [2]*endpoint
	done  map[string]int
}

// wander does random operations among members at both endpoints.
func wander(t *testing.T, suite int, seed uint64, a, b *endpoint) {
	r := &wanderer{Rand: rand.New(rand.NewPCG(seed, uint64(suite))), sides: [2]*endpoint{a, b}, done: map[string]int{}}
	policy := func() string { return []string{"mixed", "public"}[r.IntN(2)] }
	r.world = newWorld(t, suite, policy, r.sides[r.IntN(2)])
	r.addTo(a)
	r.addTo(b)
	r.addTo(r.sides[r.IntN(2)])
	for range randomOperations {
		name := r.step()
		r.done[name]++
		if t.Failed() {
			t.Fatalf("after %s", name)
		}
	}
	r.say(r.any())
	t.Logf("suite %d: %v, %d members, epoch %d", suite, r.done, len(r.members), r.members[0].info().Epoch)
}

// operations gives each kind of operation and how often it is to happen.
var operations = []struct {
	name   string
	weight int
	do     func(r *wanderer) bool
}{
	{"update", 4, (*wanderer).updateOne},
	{"add", 4, (*wanderer).addOne},
	{"remove", 3, (*wanderer).removeOne},
	{"say", 4, func(r *wanderer) bool { r.say(r.any()); return true }},
	{"late", 2, func(r *wanderer) bool { r.late(r.two()); return true }},
	{"race", 2, func(r *wanderer) bool { r.race(r.two()); return true }},
	{"psk", 1, func(r *wanderer) bool { r.commit(r.any(), params{"psks": []octets{octets("psk")}}); return true }},
	{"extensions", 1, (*wanderer).extend},
	{"propose add", 2, (*wanderer).proposeAdd},
	{"propose remove", 2, (*wanderer).proposeRemove},
	{"propose update", 2, (*wanderer).proposeUpdate},
	{"propose psk", 1, (*wanderer).proposePSK},
	{"enter", 3, (*wanderer).enterOne},
	{"resync", 2, (*wanderer).resyncOne},
	{"restore", 1, func(r *wanderer) bool { r.restore(r.any()); return true }},
	{"export", 1, func(r *wanderer) bool { r.export(); return true }},
}

// step does one operation, whatever the dice say that is possible now.
func (r *wanderer) step() string {
	total := 0
	for _, o := range operations {
		total += o.weight
	}
	for {
		n := r.IntN(total)
		for _, o := range operations {
			if n -= o.weight; n < 0 {
				if o.do(r) {
					return o.name
				}
				break
			}
		}
	}
}

func (r *wanderer) any() *member { return r.members[r.IntN(len(r.members))] }

// two gives two different members.
func (r *wanderer) two() (*member, *member) {
	a := r.any()
	return a, r.but(a)
}

func (r *wanderer) but(not ...*member) *member {
	for {
		if m := r.any(); !slices.Contains(not, m) {
			return m
		}
	}
}

// at gives the members at an endpoint.
func (r *wanderer) at(e *endpoint) (list []*member) {
	for _, m := range r.members {
		if m.endpoint == e {
			list = append(list, m)
		}
	}
	return list
}

func (r *wanderer) updateOne() bool {
	r.update(r.any())
	return true
}

// addOne keeps the group at 6 members, 3 at an endpoint.
func (r *wanderer) addOne() bool {
	side := r.sides[r.IntN(2)]
	if len(r.at(side)) >= 3 {
		return false
	}
	r.addTo(side)
	return true
}

func (r *wanderer) addTo(side *endpoint) {
	by := r.any()
	p := r.beforeJoin(side, r.IntN(2) == 0)
	r.add(by, p, side)
	if by.can("add-with-path") && p["no_path"] != true {
		by.unmerged = false
	}
}

// beforeJoin brings the tree into a state that an implementation can join, and
// says whether the commit that adds is to have a path.
func (r *wanderer) beforeJoin(side *endpoint, noPath bool) params {
	if !side.can("join-unmerged") {
		r.settle()
		noPath = true
	}
	return params{"no_path": noPath}
}

// removable gives a member that can be spared: one is left at each endpoint.
func (r *wanderer) removable() *member {
	m := r.any()
	if len(r.at(m.endpoint)) < 2 || len(r.members) < 4 {
		return nil
	}
	return m
}

func (r *wanderer) removeOne() bool {
	whom := r.removable()
	if whom == nil {
		return false
	}
	r.remove(r.but(whom), whom)
	return true
}

// extend changes the group's extensions by the commit of one who can.
func (r *wanderer) extend() bool {
	by := r.any()
	if !by.can("commit-extensions") {
		return false
	}
	data := octets{byte(r.Uint32()), byte(r.Uint32())}
	r.commit(by, params{"extensions": []extension{{testExtension, data}}})
	by.unmerged = false
	return true
}

func (r *wanderer) proposeAdd() bool {
	side := r.sides[r.IntN(2)]
	if len(r.at(side)) >= 3 {
		return false
	}
	p := r.beforeJoin(side, r.IntN(2) == 0)
	proposer, committer := r.two()
	joiner := r.newMember(side)
	r.propose(proposer, params{"type": "add", "key_package": joiner.keyPackage()})
	var c commitResult
	committer.on("commit", p, &c)
	for _, m := range r.members {
		if m != committer {
			m.process(c.Message)
		}
		m.on("merge", nil, nil)
	}
	joiner.unmerged = true
	if p["no_path"] != true && committer.can("add-with-path") {
		committer.unmerged = false
	}
	r.join(joiner, c)
	r.check()
	return true
}

func (r *wanderer) proposeRemove() bool {
	whom := r.removable()
	if whom == nil {
		return false
	}
	proposer := r.but(whom)
	r.propose(proposer, params{"type": "remove", "leaf": whom.info().Own})
	committer := r.but(whom)
	r.commit(committer, params{})
	committer.unmerged = false
	return true
}

func (r *wanderer) proposeUpdate() bool {
	who, committer := r.two()
	if !who.can("update-proposal") {
		return false
	}
	r.propose(who, params{"type": "update"})
	r.commit(committer, params{})
	committer.unmerged = false
	return true
}

func (r *wanderer) proposePSK() bool {
	proposer, committer := r.two()
	r.propose(proposer, params{"type": "psk", "psk_id": octets("psk")})
	r.commit(committer, params{})
	return true
}

// enterOne has somebody new join by an external commit.
func (r *wanderer) enterOne() bool {
	side := r.sides[r.IntN(2)]
	if len(r.at(side)) >= 3 {
		return false
	}
	r.beforeJoin(side, false)
	r.enter(side, r.any(), nil, params{"tree_apart": r.IntN(2) == 0})
	return true
}

// resyncOne has a member lose its group and come back.
func (r *wanderer) resyncOne() bool {
	who, teller := r.two()
	r.beforeJoin(who.endpoint, false)
	r.enter(who.endpoint, teller, who, params{"tree_apart": r.IntN(2) == 0})
	return true
}
