package main

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// world is a group whose members are at several endpoints. Every operation
// delivers to all members and ends with a check that they agree.
type world struct {
	t       testing.TB
	suite   int
	policy  func() string // of the next client's handshakes
	members []*member
	n       int // messages said so far
}

// member is a member as one endpoint knows it: a client and a group of the same handle.
type member struct {
	*endpoint
	handle string
	// unmerged: it has been added and has sent no path since.
	unmerged bool
}

func newWorld(t testing.TB, suite int, policy func() string, founder *endpoint) *world {
	t.Helper()
	w := &world{t: t, suite: suite, policy: policy}
	m := w.newMember(founder)
	m.call("create", params{"client": m.handle, "group": m.handle, "group_id": octets("a group")}, nil)
	w.members = []*member{m}
	return w
}

func (w *world) newMember(at *endpoint) *member {
	w.t.Helper()
	return &member{endpoint: at, handle: at.newClient(w.suite, w.policy())}
}

// on makes a request about a member's group.
func (m *member) on(cmd string, p params, result any) {
	m.t.Helper()
	if p == nil {
		p = params{}
	}
	p["group"] = m.handle
	m.call(cmd, p, result)
}

func (m *member) info() groupState {
	m.t.Helper()
	var s groupState
	m.on("info", nil, &s)
	return s
}

func (m *member) keyPackage() octets {
	m.t.Helper()
	var kp keyPackageResult
	m.call("keypackage", params{"client": m.handle}, &kp)
	return kp.KeyPackage
}

// process takes in a message of another member.
func (m *member) process(message octets) processResult {
	m.t.Helper()
	var r processResult
	m.on("process", params{"message": message}, &r)
	return r
}

// check demands that all members are in the same epoch of the same group.
func (w *world) check() {
	w.t.Helper()
	want := w.members[0].info()
	if len(want.Members) != len(w.members) {
		w.t.Fatalf("epoch %d has %d members instead of %d", want.Epoch, len(want.Members), len(w.members))
	}
	if len(want.Authenticator) == 0 {
		w.t.Fatal("there is no epoch authenticator")
	}
	for _, m := range w.members[1:] {
		got := m.info()
		if got.Epoch != want.Epoch || !bytes.Equal(got.Authenticator, want.Authenticator) {
			w.t.Fatalf("%s is in epoch %d %x, %s in %d %x", w.members[0].handle, want.Epoch, want.Authenticator,
				m.handle, got.Epoch, got.Authenticator)
		}
		if fmt.Sprint(got.Members, got.Extensions) != fmt.Sprint(want.Members, want.Extensions) {
			w.t.Fatalf("%s and %s differ in members or extensions", w.members[0].handle, m.handle)
		}
	}
}

// commit has a member commit, everybody else follow, and the joiners join.
// Members that the commit removes leave the world.
func (w *world) commit(by *member, p params, joiners ...*member) commitInfo {
	w.t.Helper()
	for _, j := range joiners {
		adds, _ := p["adds"].([]octets)
		p["adds"] = append(adds, j.keyPackage())
	}
	var c commitResult
	by.on("commit", p, &c)
	for _, m := range w.members {
		if m == by {
			continue
		}
		if r := m.process(c.Message); r.Kind != "commit" {
			w.t.Fatalf("%s takes a commit for a %s", m.handle, r.Kind)
		}
		m.on("merge", nil, nil)
	}
	var after groupState
	by.on("merge", nil, &after)
	w.dropRemoved(after)
	for _, j := range joiners {
		j.unmerged = true
		w.join(j, c)
	}
	w.check()
	return *c.Commit
}

func (w *world) join(m *member, c commitResult) {
	w.t.Helper()
	p := params{"client": m.handle, "group": m.handle, "welcome": c.Welcome}
	if c.Tree != nil {
		p["tree"] = c.Tree
	}
	m.call("join", p, nil)
	w.members = append(w.members, m)
}

// dropRemoved lets those go who are no longer members, who must know it.
func (w *world) dropRemoved(after groupState) {
	w.t.Helper()
	w.members = slices.DeleteFunc(w.members, func(m *member) bool {
		own := m.info()
		if slices.ContainsFunc(after.Members, func(i memberInfo) bool { return string(i.Identity) == m.handle }) {
			return false
		}
		if own.Active {
			w.t.Errorf("%s has been removed and takes itself to be a member", m.handle)
		}
		m.on("drop", nil, nil)
		return true
	})
}

// add adds clients at these endpoints.
func (w *world) add(by *member, p params, at ...*endpoint) {
	w.t.Helper()
	var joiners []*member
	for _, e := range at {
		joiners = append(joiners, w.newMember(e))
	}
	w.commit(by, p, joiners...)
}

// update gives a member fresh keys.
func (w *world) update(m *member) {
	w.t.Helper()
	w.commit(m, params{})
	m.unmerged = false
}

func (w *world) remove(by, whom *member) {
	w.t.Helper()
	w.commit(by, params{"removes": []uint32{whom.info().Own}})
	by.unmerged = false
}

// seal gives a message to be opened, with its data and AAD.
func (w *world) seal(from *member) (message octets, want applicationInfo) {
	w.t.Helper()
	w.n++
	want = applicationInfo{Data: fmt.Appendf(nil, "message %d of %s", w.n, from.handle), AAD: fmt.Appendf(nil, "aad %d", w.n)}
	var r messageResult
	from.on("seal", params{"data": want.Data, "aad": want.AAD}, &r)
	return r.Message, want
}

func (w *world) open(m *member, message octets, want applicationInfo) {
	w.t.Helper()
	var got applicationInfo
	m.on("open", params{"message": message}, &got)
	if !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.AAD, want.AAD) {
		w.t.Errorf("%s opens %q %q instead of %q %q", m.handle, got.Data, got.AAD, want.Data, want.AAD)
	}
}

// say sends a few messages to everybody, who get them in another order.
func (w *world) say(from *member) {
	w.t.Helper()
	type sent struct {
		message octets
		want    applicationInfo
	}
	var all []sent
	for range 3 {
		message, want := w.seal(from)
		all = append(all, sent{message, want})
	}
	for _, m := range w.members {
		if m == from {
			continue
		}
		for _, s := range slices.Backward(all) {
			w.open(m, s.message, s.want)
		}
	}
}

// propose has a member propose and the others take note.
func (w *world) propose(by *member, p params) {
	w.t.Helper()
	var r messageResult
	by.on("propose", p, &r)
	for _, m := range w.members {
		if m == by {
			continue
		}
		if got := m.process(r.Message); got.Kind != "proposal" {
			w.t.Fatalf("%s takes a proposal for a %s", m.handle, got.Kind)
		}
	}
}

// follow has a member make a group that follows from this one, with all its
// members: a branch where p has a group id, else what the re-initialised group said. The
// world goes on in it; of another suite the members are new clients of the same names.
func (w *world) follow(by *member, suite int, p params) {
	w.t.Helper()
	next := &world{t: w.t, suite: suite, policy: w.policy}
	var first *member
	keyPackages := []octets{}
	for _, m := range w.members {
		m.clients++
		heir := &member{endpoint: m.endpoint, handle: fmt.Sprintf("%s heir %d", m.handle, m.clients)}
		heir.newClientAs(heir.handle, m.handle, suite, w.policy())
		if m == by {
			first = heir
		} else {
			keyPackages = append(keyPackages, heir.keyPackage())
		}
		next.members = append(next.members, heir)
	}
	p["from"], p["client"], p["group"], p["key_packages"] = by.handle, first.handle, first.handle, keyPackages
	var c commitResult
	first.call("successor", p, &c)
	first.on("merge", nil, nil)
	for i, heir := range next.members {
		if heir != first {
			from := w.members[i].handle
			heir.call("join", params{"client": heir.handle, "group": heir.handle, "from": from, "welcome": c.Welcome}, nil)
		}
	}
	next.check()
	for _, m := range next.members {
		next.say(m)
	}
}

// export demands that all members derive the same secret.
func (w *world) export() {
	w.t.Helper()
	p := params{"label": "a label", "context": octets("a context"), "length": 77}
	var want exportResult
	w.members[0].on("export", p, &want)
	if len(want.Secret) != 77 {
		w.t.Errorf("exported %d bytes", len(want.Secret))
	}
	for _, m := range w.members[1:] {
		var got exportResult
		m.on("export", p, &got)
		if !bytes.Equal(got.Secret, want.Secret) {
			w.t.Errorf("%s and %s export different secrets", w.members[0].handle, m.handle)
		}
	}
}

// restore replaces a member's group by what its records say.
func (w *world) restore(m *member) {
	w.t.Helper()
	var saved saveResult
	m.on("save", nil, &saved)
	m.on("drop", nil, nil)
	m.on("restore", params{"client": m.handle, "records": saved.Records}, nil)
	w.check()
}

// late sends a message that arrives after the next commit.
func (w *world) late(from, committer *member) {
	w.t.Helper()
	message, want := w.seal(from)
	w.update(committer)
	for _, m := range w.members {
		if m != from {
			w.open(m, message, want)
		}
	}
}

// race has two members commit at once; what the second sends wins.
func (w *world) race(loser, winner *member) {
	w.t.Helper()
	loser.on("commit", params{}, nil)
	w.update(winner)
	if s := loser.info(); s.Pending {
		w.t.Errorf("%s still waits for the commit that has lost", loser.handle)
	}
}

// enter has a client join by an external commit, told how by a member. Where it
// replaces one, it is that client, which has lost its group.
func (w *world) enter(at *endpoint, teller, replaces *member, p params) *member {
	w.t.Helper()
	var m *member
	if replaces == nil {
		m = w.newMember(at)
	} else {
		m = replaces
		p["replace"] = m.info().Own
	}
	var told groupInfoResult
	teller.on("groupinfo", params{"omit_tree": p["tree_apart"] == true}, &told)
	if told.Tree != nil {
		p["tree"] = told.Tree
	}
	delete(p, "tree_apart")
	if replaces != nil {
		m.on("drop", nil, nil)
		w.members = slices.DeleteFunc(w.members, func(o *member) bool { return o == m })
	}
	p["client"], p["group"], p["group_info"] = m.handle, m.handle, told.GroupInfo
	var entered externalJoinResult
	m.call("external-join", p, &entered)
	for _, o := range w.members {
		if r := o.process(entered.Message); r.Kind != "commit" {
			w.t.Fatalf("%s takes an external commit for a %s", o.handle, r.Kind)
		}
		o.on("merge", nil, nil)
	}
	m.unmerged = false
	w.members = append(w.members, m)
	w.check()
	return m
}
