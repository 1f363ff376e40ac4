package mls

import (
	"bytes"
	"maps"
	"testing"
	"time"
)

// unchanged runs try and checks that the group and its records are what they were, also
// after a start from them.
func (p *peer) unchanged(try func()) {
	p.t.Helper()
	before, live := maps.Clone(p.store), dump(p.g)
	try()
	if dump(p.g) != live {
		p.t.Errorf("%s: the group has changed", p.name)
	}
	if changes := p.g.TakeChanges(); len(changes) != 0 {
		p.t.Errorf("%s: %d records changed", p.name, len(changes))
	}
	p.restore()
	if changes := p.g.TakeChanges(); len(changes) != 0 || !maps.EqualFunc(before, p.store, bytes.Equal) {
		p.t.Errorf("%s: the records are not what they were", p.name)
	}
}

// forgeProposal sends a proposal past all checks on the sending side.
func (p *peer) forgeProposal(proposal *Proposal) []byte {
	p.t.Helper()
	content := p.g.content(contentProposal, marshal(proposal), nil)
	content.content.proposal = proposal
	m, err := p.g.send(content)
	if err != nil {
		p.t.Fatal(err)
	}
	p.save()
	return m
}

func TestReInitValidation(t *testing.T) {
	const suite = SuiteX25519
	peers := newGroupOf(t, suite, 3)
	mallory, bob := peers[0], peers[1]
	reInit := func(edit func(*ReInit)) *Proposal {
		r := &ReInit{GroupID: []byte("next"), Version: protocolVersion, Suite: suite}
		edit(r)
		return &Proposal{typ: ProposalReInit, reInit: r}
	}
	resumption := func(usage uint8) *Proposal {
		return &Proposal{typ: ProposalPSK, psk: pskID{
			typ: pskResumption, usage: usage, groupID: mallory.g.ID(), epoch: mallory.g.Epoch(), nonce: make([]byte, 32),
		}}
	}
	fine := func(*ReInit) {}
	cases := []struct {
		name  string
		want  any
		alone bool // refused as a proposal, too
		list  []*Proposal
	}{
		{"older version", "12.1.5", true, []*Proposal{reInit(func(r *ReInit) { r.Version = 0 })}},
		{"extension twice", "13.4", true, []*Proposal{reInit(func(r *ReInit) {
			r.Extensions = []Extension{{Type: extTest}, {Type: extTest}}
		})}},
		{"requirements malformed", ErrMalformed, true, []*Proposal{reInit(func(r *ReInit) {
			r.Extensions = []Extension{{Type: ExtRequiredCapabilities, Data: []byte{1}}}
		})}},
		{"beside another", "12.2", false, []*Proposal{reInit(fine), reInit(func(r *ReInit) { r.GroupID = []byte("other") })}},
		{"beside a removal", "12.2", false, []*Proposal{reInit(fine), {typ: ProposalRemove, removed: 2}}},
		{"after a PSK", "12.2", false, []*Proposal{resumption(usageApplication), reInit(fine)}},
		{"PSK of a re-initialisation", "12.1.4", true, []*Proposal{resumption(usageReInit)}},
		{"PSK of a branch", "12.1.4", true, []*Proposal{resumption(usageBranch)}},
		{"PSK of usage 0", ErrMalformed, true, []*Proposal{resumption(0)}},
		{"PSK of unknown usage", ErrMalformed, true, []*Proposal{resumption(4)}},
		{"PSK with a long nonce", "12.1.4", true, []*Proposal{{typ: ProposalPSK, psk: pskID{
			typ: pskResumption, usage: usageApplication, groupID: mallory.g.ID(), epoch: 1, nonce: make([]byte, 33),
		}}}},
		{"PSK of an epoch to come", ErrMissingPSK, false, []*Proposal{{typ: ProposalPSK, psk: pskID{
			typ: pskResumption, usage: usageApplication, groupID: mallory.g.ID(), epoch: 2, nonce: make([]byte, 32),
		}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			commit := mallory.forge(func(f *forgery) { f.byValue(c.list...) })
			bob.unchanged(func() {
				_, err := bob.g.Process(commit)
				expect(t, err, c.want)
			})
			if c.alone {
				proposal := mallory.forgeProposal(c.list[0])
				bob.unchanged(func() {
					_, err := bob.g.Process(proposal)
					expect(t, err, c.want)
				})
			}
		})
	}

	t.Run("made here", func(t *testing.T) {
		for name, c := range map[string]struct {
			want any
			r    ReInit
		}{
			"no id":         {nil, ReInit{Suite: suite}},
			"unknown suite": {ErrUnsupported, ReInit{GroupID: []byte("x"), Suite: 0x0a0a}},
			"newer version": {ErrUnsupported, ReInit{GroupID: []byte("x"), Suite: suite, Version: 2}},
			"extensions":    {"13.4", ReInit{GroupID: []byte("x"), Suite: suite, Extensions: []Extension{{Type: 9}, {Type: 9}}}},
		} {
			bob.unchanged(func() {
				_, err := bob.g.Propose(ReInitProposal(c.r))
				if err == nil {
					t.Errorf("%s: proposed", name)
				}
				expect(t, err, c.want)
				_, err = bob.g.Commit(CommitOptions{Proposals: []Proposal{ReInitProposal(c.r)}})
				if err == nil {
					t.Errorf("%s: committed", name)
				}
				expect(t, err, c.want)
			})
		}
	})
	honest := mallory.forge(func(*forgery) {})
	bob.process(honest)
}

// A suite or version that is not known here closes the group as any other does:
// members must not disagree about that.
func TestReInitIntoTheUnknown(t *testing.T) {
	for _, r := range []*ReInit{
		{GroupID: []byte("next"), Version: protocolVersion, Suite: 0x7777},
		{GroupID: []byte("next"), Version: 2, Suite: SuiteX25519},
	} {
		peers := newGroupOf(t, SuiteX25519, 2)
		m := peers[0].forge(func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalReInit, reInit: r})
			f.out.reInit = r
		})
		peers[1].process(m)
		peers[1].closed()
		next := again(t, SuiteX25519, peers)
		peers[1].unchanged(func() {
			_, _, err := peers[1].g.Reinitialize(next[1].successorOptions(next[:1]))
			expect(t, err, ErrUnsupported)
		})
	}
}

// Whoever goes on in a closed group is not heard (§12.4.2).
func TestMessagesInClosedGroup(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	mallory, bob := peers[0], peers[1]
	s := mallory.commit(CommitOptions{Proposals: []Proposal{ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteX25519})}})
	mallory.merge()
	deliver(s.Message, mallory, peers)
	mallory.g.reInit = nil
	update, err := mallory.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	messages := [][]byte{mallory.seal("still here"), update, mallory.commit(CommitOptions{}).Message}
	mallory.merge()
	messages = append(messages, mallory.seal("and on"))
	for _, m := range messages {
		bob.unchanged(func() { bob.refuses(m, ErrReInit) })
	}
	bob.unchanged(func() { bob.refuses(s.Message, ErrOldEpoch) })
	bob.closed()
}

// Records of a closed group that do not go together are refused.
func TestLoadClosedGroup(t *testing.T) {
	peers, _ := closedGroup(t, SuiteX25519, SuiteXWing)
	bob := peers[1]
	record := bob.store[recordReInit]
	open := newGroupOf(t, SuiteX25519, 2)[0]
	open.commit(CommitOptions{})
	out := newGroupOf(t, SuiteX25519, 2)
	s := out[0].commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
	out[1].process(s.Message)
	for _, c := range []struct {
		name   string
		p      *peer
		record []byte
	}{
		{"cut", bob, record[:len(record)-1]},
		{"trailing byte", bob, append(bytes.Clone(record), 0)},
		{"empty", bob, []byte{}},
		{"with a pending commit", open, record},
		{"by one who has been removed", out[1], record},
	} {
		store := maps.Clone(c.p.store)
		store[recordReInit] = c.record
		_, err := Load(c.p.cfg, c.p.signer, store.each)
		if err == nil {
			t.Errorf("%s: loaded", c.name)
		}
		expect(t, err, ErrCorruptState)
	}
}

// Nor is one who speaks in public, or comes from outside.
func TestPublicMessagesInClosedGroup(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 3)
	mallory, bob := peers[0], peers[1]
	for _, p := range peers {
		p.cfg.Handshakes = HandshakesPublic
		p.restore()
	}
	ask := ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteX25519})
	s := mallory.commit(CommitOptions{Proposals: []Proposal{ask}})
	_, err := s.GroupInfo(true)
	expect(t, err, ErrReInit)
	mallory.merge()
	deliver(s.Message, mallory, peers)
	bob.unchanged(func() {
		_, err := bob.g.GroupInfo(true)
		expect(t, err, ErrReInit)
	})

	mallory.g.reInit = nil
	update, err := mallory.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	eve := newPeer(t, SuiteX25519, "eve")
	for _, m := range [][]byte{
		update, mallory.commit(CommitOptions{}).Message, out[0].proposes(t, mallory.g, 0, ask),
		eve.joinByCommit(ExternalJoinOptions{GroupInfo: mallory.groupInfo(true)}),
	} {
		bob.unchanged(func() { bob.refuses(m, ErrReInit) })
	}
}

func TestReinitializeValidation(t *testing.T) {
	const suite = SuiteX25519
	peers := newGroupOf(t, suite, 3)
	alice, carol := peers[0], peers[2]
	next := again(t, SuiteXWing, peers)
	alice.unchanged(func() {
		_, _, err := alice.g.Reinitialize(next[0].successorOptions(next[1:]))
		expect(t, err, "11.2")
	})
	branch := again(t, suite, peers)
	stranger := newPeer(t, suite, "stranger")
	for _, c := range []struct {
		name, id string
		others   []*peer
		want     any
	}{
		{"stranger", "branch", []*peer{branch[1], stranger}, "11.3"},
		{"id of the group", "a group", branch[1:2], "11.3"},
		{"key package of another suite", "branch", next[1:2], "12.1.1"},
	} {
		alice.unchanged(func() {
			_, _, err := alice.g.Branch([]byte(c.id), nil, branch[0].successorOptions(c.others))
			expect(t, err, c.want)
		})
	}
	alice.unchanged(func() { // who makes the branch under another name
		if _, _, err := alice.g.Branch([]byte("branch"), nil, stranger.successorOptions(branch[1:2])); err == nil {
			t.Error("a stranger makes a branch")
		} else {
			expect(t, err, "11.3")
		}
		_, _, err := alice.g.Branch([]byte("branch"), nil, SuccessorOptions{Credential: alice.credential})
		expect(t, err, ErrSigner)
	})

	s := carol.commit(CommitOptions{Proposals: []Proposal{
		ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteXWing}),
	}})
	carol.merge()
	deliver(s.Message, carol, peers)
	stranger = newPeer(t, SuiteXWing, "stranger")
	twin := newPeer(t, SuiteXWing, "peer 1")
	for _, c := range []struct {
		name   string
		others []*peer
		want   any
	}{
		{"a member missing", next[1:2], "11.2"},
		{"a stranger", []*peer{next[1], next[2], stranger}, "11.2"},
		{"a member replaced", []*peer{next[1], stranger}, "11.2"},
		{"a member twice", []*peer{next[1], twin}, "11.2"},
		{"key package of the old suite", []*peer{next[1], branch[2]}, "12.1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alice.unchanged(func() {
				_, _, err := alice.g.Reinitialize(next[0].successorOptions(c.others))
				expect(t, err, c.want)
			})
		})
	}
	alice.unchanged(func() {
		o := next[0].successorOptions(next[1:])
		alice.g.cfg.Now = func() time.Time { return time.Now().Add(100 * 24 * time.Hour) }
		_, _, err := alice.g.Reinitialize(o)
		expect(t, err, "7.3")
	})
	if _, _, err := alice.g.Reinitialize(next[0].successorOptions(next[1:])); err != nil {
		t.Errorf("after all that: %v", err)
	}
}
