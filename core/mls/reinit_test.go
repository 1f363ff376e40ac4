package mls

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// deliver lets the others process a message, and start anew.
func deliver(message []byte, from *peer, peers []*peer) []Result {
	var results []Result
	for _, p := range peers {
		if p != from {
			results = append(results, p.process(message))
		}
		p.restore()
	}
	return results
}

// again are the same people with new keys, for a group of this suite.
func again(t testing.TB, suite Suite, peers []*peer) []*peer {
	out := make([]*peer, len(peers))
	for i, p := range peers {
		out[i] = newPeer(t, suite, p.name)
	}
	return out
}

func (p *peer) successorOptions(others []*peer) SuccessorOptions {
	o := SuccessorOptions{Credential: p.credential, Signer: p.signer, ExtraCapabilities: p.capabilities}
	for _, q := range others {
		o.KeyPackages = append(o.KeyPackages, q.keyPackage())
	}
	return o
}

// starts makes p the first member of a successor group, across a restart.
func (p *peer) starts(g *Group, s *StagedCommit, err error) (welcome []byte) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s starts a successor: %v", p.name, err)
	}
	if g.Epoch() != 0 || g.Pending() != s {
		p.t.Fatalf("the successor begins at epoch %d", g.Epoch())
	}
	p.g, p.store = g, records{}
	p.save()
	p.restore()
	welcome = p.g.Pending().Welcome
	p.merge()
	p.restore()
	return welcome
}

// succeeds joins the successor of the group that p was in as old.
func (p *peer) succeeds(old *peer, welcome []byte) {
	p.t.Helper()
	var refusal *SuccessorError
	if _, err := Join(p.cfg, p.signer, p.bundle, welcome, nil); !errors.As(err, &refusal) || !bytes.Equal(refusal.GroupID, old.g.ID()) {
		p.t.Fatalf("%s joins without the old group: %v", p.name, err)
	}
	g, err := old.g.JoinSuccessor(p.signer, p.bundle, welcome, nil)
	if err != nil {
		p.t.Fatalf("%s joins the successor: %v", p.name, err)
	}
	if changes := old.g.TakeChanges(); len(changes) != 0 {
		p.t.Errorf("joining changed %d records of the old group", len(changes))
	}
	p.g, p.store = g, records{}
	p.save()
	p.restore()
}

func talk(t testing.TB, peers []*peer) {
	t.Helper()
	agree(t, peers...)
	for _, from := range peers {
		m := from.seal("from " + from.name)
		for _, p := range peers {
			if p != from {
				p.hears(m, "from "+from.name, from)
			}
		}
	}
	s := peers[1].commit(CommitOptions{})
	peers[1].merge()
	deliver(s.Message, peers[1], peers)
	agree(t, peers...)
}

// closed checks that nothing can be done in a group any more.
func (p *peer) closed() {
	p.t.Helper()
	for name, try := range map[string]func() error{
		"seal":        func() error { _, err := p.g.Seal([]byte("x"), nil); return err },
		"propose":     func() error { _, err := p.g.Propose(RemoveProposal(0)); return err },
		"update":      func() error { _, err := p.g.ProposeUpdate(nil); return err },
		"self-remove": func() error { _, err := p.g.ProposeSelfRemove(); return err },
		"commit":      func() error { _, err := p.g.Commit(CommitOptions{}); return err },
		"branch": func() error {
			_, _, err := p.g.Branch([]byte("branch"), nil, p.successorOptions(nil))
			return err
		},
	} {
		if err := try(); !errors.Is(err, ErrReInit) {
			p.t.Errorf("%s: %s in a closed group: %v", p.name, name, err)
		}
	}
	if changes := p.g.TakeChanges(); len(changes) != 0 {
		p.t.Errorf("%s: %d records of a closed group changed", p.name, len(changes))
	}
}

func TestReinitialize(t *testing.T) {
	for _, c := range []struct{ from, to Suite }{
		{SuiteX25519, SuiteX25519},
		{SuiteP256, SuiteP256},
		{SuiteXWing, SuiteXWing},
		{SuiteX25519, SuiteXWing},
		{SuiteXWing, SuiteP256},
	} {
		for _, byReference := range []bool{false, true} {
			t.Run(fmt.Sprintf("%#04x to %#04x, by reference %t", uint16(c.from), uint16(c.to), byReference), func(t *testing.T) {
				testReinitialize(t, c.from, c.to, byReference)
			})
		}
	}
}

func testReinitialize(t *testing.T, from, to Suite, byReference bool) {
	peers := newGroupOf(t, from, 4)
	bob, carol, dave := peers[1], peers[2], peers[3]
	want := ReInit{GroupID: []byte("next"), Version: protocolVersion, Suite: to, Extensions: []Extension{{Type: extTest, Data: []byte("kept")}}}
	ask := ReInitProposal(ReInit{GroupID: want.GroupID, Suite: to, Extensions: want.Extensions})
	late := dave.seal("late")

	o := CommitOptions{Proposals: []Proposal{ask}, AddOnly: true}
	if byReference {
		m, err := bob.g.Propose(ask)
		if err != nil {
			t.Fatal(err)
		}
		bob.save()
		for _, r := range deliver(m, bob, peers) {
			if p := r.(*ReceivedProposal); p.Kind != ProposalReInit || !reflect.DeepEqual(p.ReInit, &want) {
				t.Errorf("proposal is described as %+v", p)
			}
		}
		o = CommitOptions{}
	}
	s := carol.commit(o)
	if !reflect.DeepEqual(s.ReInit, &want) || s.Welcome != nil || byReference != (len(s.Updated) == 1) {
		t.Errorf("commit is described as %+v", s)
	}
	carol.restore()
	if p := carol.g.Pending(); !reflect.DeepEqual(p.ReInit, &want) || carol.g.ReInit() != nil {
		t.Errorf("pending commit is described as %+v", p)
	}
	carol.merge()
	for _, r := range deliver(s.Message, carol, peers) {
		if p := r.(*StagedCommit); !reflect.DeepEqual(p.ReInit, &want) || p.Committer != 2 {
			t.Errorf("commit is received as %+v", p)
		}
	}
	agree(t, peers...)
	for _, p := range peers {
		if r := p.g.ReInit(); !reflect.DeepEqual(r, &want) || !p.g.Active() {
			t.Errorf("%s goes on in %+v", p.name, r)
		}
		p.closed()
	}
	bob.hears(late, "late", dave) // of before

	// Neither who asked nor who committed makes the new group.
	next := again(t, to, peers)
	welcome := next[3].starts(dave.g.Reinitialize(next[3].successorOptions(next[:3])))
	for i, p := range next[:3] {
		p.succeeds(peers[i], welcome)
	}
	for _, p := range next {
		if name, _ := p.g.GroupContextExtension(extTest); p.g.Epoch() != 1 || p.g.Suite() != to || string(p.g.ID()) != "next" || string(name) != "kept" {
			t.Errorf("%s is in epoch %d of %q", p.name, p.g.Epoch(), p.g.ID())
		}
	}
	talk(t, []*peer{next[3], next[0], next[1], next[2]})
	if secrets := openWelcome(next[0], welcome); len(secrets.psks) != 1 || len(secrets.psks[0].nonce) != next[0].g.suite.nh {
		t.Errorf("the welcome has the PSKs %+v", secrets.psks)
	}
}

// openWelcome decrypts the secrets for p's key package.
func openWelcome(p *peer, message []byte) *groupSecrets {
	p.t.Helper()
	m, err := unmarshal(bytes.Clone(message), readMessage)
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := suiteOf(p.suite)
	if err != nil {
		p.t.Fatal(err)
	}
	secrets, err := m.welcome.openSecrets(s, p.bundle.Ref(), p.bundle.initPrivate)
	if err != nil {
		p.t.Fatal(err)
	}
	return secrets
}

// A group of one has nobody to welcome.
func TestReinitializeAlone(t *testing.T) {
	alice := newGroupOf(t, SuiteX25519, 1)[0]
	alice.commit(CommitOptions{Proposals: []Proposal{ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteXWing})}})
	alice.merge()
	next := again(t, SuiteXWing, []*peer{alice})[0]
	if welcome := next.starts(alice.g.Reinitialize(next.successorOptions(nil))); welcome != nil || next.g.Epoch() != 1 {
		t.Errorf("at epoch %d", next.g.Epoch())
	}
}

func TestBranch(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteP256, SuiteXWing} {
		t.Run(suite.String(), func(t *testing.T) { testBranch(t, suite) })
	}
}

func testBranch(t *testing.T, suite Suite) {
	peers := newGroupOf(t, suite, 5)
	alice, carol, eve := peers[0], peers[2], peers[4]
	some := again(t, suite, []*peer{alice, carol, eve})
	extensions := []Extension{{Type: extTest, Data: []byte("aside")}}
	// The group is one commit further than what carol has got,
	s := alice.commit(CommitOptions{})
	alice.merge()
	alice.restore()
	eve.process(s.Message)
	welcome := some[0].starts(alice.g.Branch([]byte("branch"), extensions, some[0].successorOptions(some[1:])))
	if _, err := carol.g.JoinSuccessor(some[1].signer, some[1].bundle, welcome, nil); !errors.Is(err, ErrFutureEpoch) {
		t.Errorf("carol joins too early: %v", err)
	}
	carol.process(s.Message)
	some[1].succeeds(carol, welcome)
	// and eve is out of it when she joins the branch.
	s = alice.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(4)}})
	alice.merge()
	for _, p := range []*peer{peers[1], peers[3]} {
		p.refuses(s.Message, ErrFutureEpoch)
	}
	carol.process(s.Message)
	eve.process(s.Message)
	eve.restore()
	_, err := eve.g.JoinSuccessor(some[2].signer, some[2].bundle, welcome, nil)
	expect(t, err, ErrMissingPSK) // her secrets went when she did
	talk(t, []*peer{alice, carol})
	for _, p := range some[:2] {
		if aside, _ := p.g.GroupContextExtension(extTest); string(p.g.ID()) != "branch" || p.g.Suite() != suite || string(aside) != "aside" {
			t.Errorf("%s is in %q", p.name, p.g.ID())
		}
	}
	m := some[0].seal("here")
	some[1].hears(m, "here", some[0])
}

// A branch of an epoch that is over is joined as long as that epoch is kept.
func TestBranchOfPastEpoch(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	some := again(t, SuiteX25519, peers)
	welcome := some[0].starts(alice.g.Branch([]byte("branch"), nil, some[0].successorOptions(some[1:])))
	s := alice.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(carol.g.OwnIndex())}})
	alice.merge()
	bob.process(s.Message)
	for range 4 {
		s := alice.commit(CommitOptions{})
		alice.merge()
		bob.process(s.Message)
	}
	bob.restore()
	some[1].succeeds(bob, welcome) // five epochs later, with carol in the branch who has left the group
	agree(t, some[0], some[1])
	s = alice.commit(CommitOptions{})
	alice.merge()
	bob.process(s.Message)
	_, err := bob.g.JoinSuccessor(some[1].signer, some[1].bundle, welcome, nil)
	expect(t, err, ErrMissingPSK)
}

// What a member commits where there is a ReInit among the proposals (§12.2).
func TestReInitStandsAlone(t *testing.T) {
	const suite = SuiteX25519
	reInit := func(id string) Proposal { return ReInitProposal(ReInit{GroupID: []byte(id), Suite: suite}) }
	kinds := func(s *StagedCommit) []ProposalType {
		var list []ProposalType
		for _, p := range s.Proposals {
			list = append(list, p.Kind)
		}
		return list
	}
	update := func(p *peer) ([]byte, error) { return p.g.ProposeUpdate(nil) }
	leave := func(p *peer) ([]byte, error) { return p.g.ProposeSelfRemove() }
	first := func(p *peer) ([]byte, error) { return p.g.Propose(reInit("first")) }
	second := func(p *peer) ([]byte, error) { return p.g.Propose(reInit("second")) }
	for _, c := range []struct {
		name     string
		received []func(*peer) ([]byte, error) // by bob, carol …
		asked    []Proposal
		want     []ProposalType
		id       string // of the group that follows
	}{
		{"asked for, beside an update", []func(*peer) ([]byte, error){update}, []Proposal{reInit("asked")}, []ProposalType{ProposalReInit}, "asked"},
		{"asked for, beside a self-remove", []func(*peer) ([]byte, error){leave}, []Proposal{reInit("asked")}, []ProposalType{ProposalReInit}, "asked"},
		{"asked for, beside another", []func(*peer) ([]byte, error){first}, []Proposal{reInit("asked")}, []ProposalType{ProposalReInit}, "asked"},
		{"received, beside a removal asked for", []func(*peer) ([]byte, error){first}, []Proposal{RemoveProposal(3)}, []ProposalType{ProposalRemove}, ""},
		{"received, beside an update", []func(*peer) ([]byte, error){update, first}, nil, []ProposalType{ProposalUpdate}, ""},
		{"received, beside a self-remove", []func(*peer) ([]byte, error){first, leave}, nil, []ProposalType{ProposalSelfRemove}, ""},
		{"received twice", []func(*peer) ([]byte, error){first, second}, nil, []ProposalType{ProposalReInit}, "second"},
	} {
		t.Run(c.name, func(t *testing.T) {
			peers := newGroupOf(t, suite, 4)
			for i, propose := range c.received {
				m, err := propose(peers[i+1])
				if err != nil {
					t.Fatal(err)
				}
				peers[i+1].save()
				deliver(m, peers[i+1], peers)
			}
			s := peers[0].commit(CommitOptions{Proposals: c.asked})
			if !slices.Equal(kinds(s), c.want) {
				t.Errorf("commits %v", kinds(s))
			}
			if (s.ReInit != nil) != (c.id != "") || c.id != "" && string(s.ReInit.GroupID) != c.id {
				t.Errorf("goes on in %+v", s.ReInit)
			}
			peers[0].merge()
			for _, p := range peers[1:] {
				p.process(s.Message)
			}
		})
	}
	t.Run("own, and one that was rejected", func(t *testing.T) {
		peers := newGroupOf(t, suite, 2)
		m, err := peers[0].g.Propose(reInit("own"))
		if err != nil {
			t.Fatal(err)
		}
		peers[1].g.Reject(peers[1].process(m).(*ReceivedProposal))
		if s := peers[1].commit(CommitOptions{}); len(s.Proposals) != 0 {
			t.Errorf("commits %v", kinds(s))
		}
		if s := peers[0].commit(CommitOptions{}); s.ReInit == nil || len(s.Proposals) != 1 {
			t.Errorf("commits %v", kinds(s))
		}
	})
	t.Run("asked for with another", func(t *testing.T) {
		alice := newGroupOf(t, suite, 2)[0]
		for _, list := range [][]Proposal{{reInit("a"), RemoveProposal(1)}, {reInit("a"), reInit("b")}} {
			_, err := alice.g.Commit(CommitOptions{Proposals: list})
			expect(t, err, "12.2")
		}
		if changes := alice.g.TakeChanges(); len(changes) != 0 {
			t.Errorf("%d records changed", len(changes))
		}
	})
}

// A server that the group listens to may ask for a re-initialisation (§12.1.8), and
// newcomers may not.
func TestReInitByExternalSender(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteP256, SuiteXWing} {
		t.Run(suite.String(), func(t *testing.T) {
			peers, out := withOutsiders(t, suite, 3)
			want := ReInit{GroupID: []byte("next"), Version: protocolVersion, Suite: SuiteXWing, Extensions: []Extension{}}
			m := out[1].proposes(t, peers[0].g, 1, ReInitProposal(want))
			for _, p := range peers {
				r := p.process(m).(*ReceivedProposal)
				if r.From != SenderExternal || r.Sender != 1 || r.Kind != ProposalReInit || string(r.ReInit.GroupID) != "next" {
					t.Errorf("proposal is described as %+v", r)
				}
				p.restore()
			}
			// It gives way to a member's update, and is asked for again.
			update, err := peers[1].g.ProposeUpdate(nil)
			if err != nil {
				t.Fatal(err)
			}
			peers[1].save()
			peers[0].process(update)
			peers[2].process(update)
			s := peers[0].commit(CommitOptions{})
			if s.ReInit != nil || len(s.Proposals) != 1 {
				t.Errorf("commits %+v", s.Proposals)
			}
			peers[0].merge()
			deliver(s.Message, peers[0], peers)
			m = out[1].proposes(t, peers[0].g, 1, ReInitProposal(want))
			for _, p := range peers {
				p.process(m)
				p.restore()
			}
			s = peers[2].commit(CommitOptions{})
			if len(s.Proposals) != 1 || s.Proposals[0].From != SenderExternal || s.ReInit == nil {
				t.Errorf("commits %+v", s.Proposals)
			}
			peers[2].merge()
			deliver(s.Message, peers[2], peers)
			for _, p := range peers {
				p.closed()
			}
			next := again(t, SuiteXWing, peers)
			welcome := next[0].starts(peers[0].g.Reinitialize(next[0].successorOptions(next[1:])))
			for i, p := range next[1:] {
				p.succeeds(peers[i+1], welcome)
			}
			talk(t, next)
		})
	}
}

// The tree may go another way than the Welcome.
func TestSuccessorWithoutTree(t *testing.T) {
	old, next := closedGroup(t, SuiteX25519, SuiteXWing)
	o := next[0].successorOptions(next[1:])
	o.OmitTree = true
	welcome := next[0].starts(old[0].g.Reinitialize(o))
	bob, me := old[1], next[1]
	_, err := bob.g.JoinSuccessor(me.signer, me.bundle, welcome, nil)
	expect(t, err, ErrNoTree)
	g, err := bob.g.JoinSuccessor(me.signer, me.bundle, welcome, next[0].g.RatchetTree())
	if err != nil {
		t.Fatal(err)
	}
	me.g = g
	agree(t, next[:2]...)
}
