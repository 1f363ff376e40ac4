package mls

import (
	"bytes"
	"errors"
	"testing"
)

// eachExternalSuite runs f for one suite of each kind of KEM and signature.
func eachExternalSuite(t *testing.T, f func(*testing.T, Suite)) {
	for _, s := range []Suite{SuiteX25519, SuiteP256, SuiteX448, SuiteXWing} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			f(t, s)
		})
	}
}

func (p *peer) groupInfo(withTree bool) []byte {
	p.t.Helper()
	info, err := p.g.GroupInfo(withTree)
	if err != nil {
		p.t.Fatalf("%s: group info: %v", p.name, err)
	}
	return info
}

// joining completes what a peer joins by commit with.
func (p *peer) joining(o ExternalJoinOptions) ExternalJoinOptions {
	o.Signer, o.Credential = p.signer, BasicCredential([]byte(p.name))
	o.ExtraCapabilities = testCapabilities
	return o
}

// joinByCommit joins, stores and loads the group, and returns the commit.
func (p *peer) joinByCommit(o ExternalJoinOptions) []byte {
	p.t.Helper()
	g, commit, err := JoinByCommit(p.cfg, p.joining(o))
	if err != nil {
		p.t.Fatalf("%s joins by commit: %v", p.name, err)
	}
	p.g, p.store = g, records{}
	p.save()
	p.restore()
	return commit
}

// converse lets everybody write, update and add, after a restart.
func converse(t *testing.T, peers ...*peer) {
	t.Helper()
	agree(t, peers...)
	for _, from := range peers {
		from.restore()
		text := from.seal("hello from " + from.name)
		for _, to := range peers {
			if to != from {
				to.hears(text, "hello from "+from.name, from)
			}
		}
		s := from.commit(CommitOptions{})
		from.merge()
		for _, to := range peers {
			if to != from {
				to.process(s.Message)
			}
		}
		agree(t, peers...)
	}
}

func TestExternalJoin(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 4)
		for i, o := range []ExternalJoinOptions{
			{GroupInfo: peers[0].groupInfo(true), AAD: []byte("here I am")},
			{GroupInfo: nil, Tree: nil}, // set below: the tree comes apart
		} {
			p := newPeer(t, suite, "joiner")
			p.name += string(rune('0' + i))
			if o.GroupInfo == nil {
				o.GroupInfo, o.Tree = peers[2].groupInfo(false), peers[1].g.RatchetTree()
				_, _, err := JoinByCommit(p.cfg, p.joining(ExternalJoinOptions{GroupInfo: o.GroupInfo}))
				expect(t, err, ErrNoTree)
			}
			m := p.joinByCommit(o)
			for _, q := range peers {
				q.restore()
				r := q.process(m).(*StagedCommit)
				want := CommittedProposal{Kind: ProposalExternalInit, From: SenderNewMemberCommit, Sender: p.g.OwnIndex(), Target: p.g.OwnIndex()}
				if !r.External || r.Committer != p.g.OwnIndex() || len(r.Added) != 1 || len(r.Removed)+len(r.Updated) != 0 ||
					len(r.Proposals) != 1 || r.Proposals[0] != want || !bytes.Equal(r.AAD, o.AAD) {
					t.Errorf("external commit is described as %+v", r)
				}
				q.refuses(m, ErrOldEpoch)
			}
			p.refuses(m, ErrOldEpoch)
			peers = append(peers, p)
			if n := LeafIndex(len(peers) - 1); p.g.OwnIndex() != n || p.g.MemberCount() != len(peers) {
				t.Errorf("joiner is leaf %d of %d members", p.g.OwnIndex(), p.g.MemberCount())
			}
			converse(t, peers...)
		}
		// The newcomer adds and removes like anybody.
		last, eve := peers[len(peers)-1], newPeer(t, suite, "eve")
		s := last.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1), AddProposal(eve.keyPackage())}})
		last.merge()
		for _, p := range peers[:len(peers)-1] {
			p.process(s.Message)
		}
		eve.join(s.Welcome)
		peers[1] = eve
		agree(t, peers...)
	})
}

func TestResync(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 5)
		// There is a blank left of the lost leaf: that is where the client goes.
		s := peers[0].commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
		peers[0].merge()
		for _, p := range peers[2:] {
			p.process(s.Message)
		}
		lost := peers[3]
		old := lost.g.OwnIndex()
		others := []*peer{peers[0], peers[2], peers[4]}
		s = others[0].commit(CommitOptions{}) // which lost never sees
		others[0].merge()
		for _, p := range others[1:] {
			p.process(s.Message)
		}
		m := lost.joinByCommit(ExternalJoinOptions{GroupInfo: others[2].groupInfo(true), Replace: &old})
		for _, p := range others {
			r := p.process(m).(*StagedCommit)
			if !r.External || len(r.Added) != 1 || r.Added[0].Index != 1 || len(r.Removed) != 1 || r.Removed[0].Index != old {
				t.Errorf("resync is described as %+v", r)
			}
		}
		if lost.g.OwnIndex() != 1 || lost.g.MemberCount() != 4 {
			t.Errorf("lost client is leaf %d of %d members", lost.g.OwnIndex(), lost.g.MemberCount())
		}
		converse(t, append(others, lost)...)

		// Again, into the very place: no other is free.
		old = lost.g.OwnIndex()
		m = lost.joinByCommit(ExternalJoinOptions{GroupInfo: lost.groupInfo(true), Replace: &old})
		for _, p := range others {
			if r := p.process(m).(*StagedCommit); r.Added[0].Index != old || r.Removed[0].Index != old {
				t.Errorf("resync is described as %+v", r)
			}
			p.restore()
		}
		converse(t, append(others, lost)...)
	})
}

// The last leaf of a tree goes, the tree shrinks, and grows again for the newcomer.
func TestResyncAtTheEdge(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 5)
	lost, old := peers[4], LeafIndex(4)
	m := lost.joinByCommit(ExternalJoinOptions{GroupInfo: peers[0].groupInfo(true), Replace: &old})
	for _, p := range peers[:4] {
		p.process(m)
	}
	converse(t, peers...)

	alone := newGroupOf(t, SuiteX25519, 1)[0]
	old = 0
	alone.joinByCommit(ExternalJoinOptions{GroupInfo: alone.groupInfo(true), Replace: &old})
	bob := newPeer(t, SuiteX25519, "bob")
	m = bob.joinByCommit(ExternalJoinOptions{GroupInfo: alone.groupInfo(true)})
	alone.process(m)
	converse(t, alone, bob)
}

// One of two who believe they are the same client finds itself replaced.
func TestReplacedByResync(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 2)
	again := newPeer(t, SuiteXWing, peers[1].name)
	again.signer = peers[1].signer
	old := LeafIndex(1)
	m := again.joinByCommit(ExternalJoinOptions{GroupInfo: peers[0].groupInfo(true), Replace: &old})
	if r := peers[1].process(m).(*StagedCommit); !r.RemovesSelf() || peers[1].g.Active() {
		t.Errorf("commit is %+v", r)
	}
	peers[0].process(m)
	converse(t, peers[0], again)
}

func TestExternalJoinWithPSK(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		psk := func(id []byte) ([]byte, bool) { return append([]byte("secret of "), id...), len(id) > 0 }
		peers := newGroupOf(t, suite, 3)
		for _, p := range peers {
			p.cfg.ExternalPSK = psk
			p.restore()
		}
		p := newPeer(t, suite, "joiner")
		info := peers[0].groupInfo(true)
		o := ExternalJoinOptions{GroupInfo: info, PSKs: []Proposal{ExternalPSKProposal([]byte("one")), ExternalPSKProposal([]byte("two"))}}
		_, _, err := JoinByCommit(p.cfg, p.joining(o))
		expect(t, err, ErrMissingPSK)
		p.cfg.ExternalPSK = psk
		m := p.joinByCommit(o)
		for _, q := range peers {
			if r := q.process(m).(*StagedCommit); len(r.Proposals) != 3 || r.Proposals[2].Kind != ProposalPSK {
				t.Errorf("commit is %+v", r)
			}
		}
		converse(t, append(peers, p)...)

		// Who knows another secret is not led into an epoch of its own.
		evil := newPeer(t, suite, "evil")
		evil.cfg.ExternalPSK = func([]byte) ([]byte, bool) { return []byte("guess"), true }
		m = evil.joinByCommit(ExternalJoinOptions{GroupInfo: peers[0].groupInfo(true), PSKs: []Proposal{ExternalPSKProposal([]byte("one"))}})
		peers[0].refuses(m, ErrInvalidSignature)
		peers[1].g.cfg.ExternalPSK = nil
		peers[1].refuses(m, ErrMissingPSK)
	})
}

// A client that comes back proves by a secret of an earlier epoch that it was there.
func TestResyncWithResumptionPSK(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 3)
	lost, old := peers[2], LeafIndex(2)
	epoch := lost.g.Epoch()
	secret, ok := lost.g.ResumptionPSK(epoch)
	if !ok {
		t.Fatal("no resumption PSK")
	}
	s := peers[0].commit(CommitOptions{})
	peers[0].merge()
	peers[1].process(s.Message)
	o := ExternalJoinOptions{
		GroupInfo: peers[0].groupInfo(true), Replace: &old, PSKs: []Proposal{ResumptionPSKProposal(lost.g.ID(), epoch)},
	}
	_, _, err := JoinByCommit(lost.cfg, lost.joining(o))
	expect(t, err, ErrMissingPSK)
	lost.cfg.ResumptionPSK = func(_ []byte, e uint64) ([]byte, bool) { return secret, e == epoch }
	m := lost.joinByCommit(o)
	for _, p := range peers[:2] {
		p.process(m)
	}
	converse(t, peers...)

	o.PSKs = []Proposal{RemoveProposal(1)}
	_, _, err = JoinByCommit(lost.cfg, lost.joining(o))
	expect(t, err, "12.4.3.2")
}

// Nobody enters a group that has been closed.
func TestExternalJoinOfClosedGroup(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	// An external sender may ask for it.
	next := ReInitProposal(ReInit{GroupID: []byte("next"), Suite: SuiteXWing})
	m := out[1].proposes(t, alice.g, 1, next)
	if r := alice.process(m).(*ReceivedProposal); r.From != SenderExternal || r.ReInit == nil {
		t.Errorf("proposal is %+v", r)
	}
	bob.process(m)
	s := alice.commit(CommitOptions{})
	if s.ReInit == nil {
		t.Fatalf("commit is %+v", s)
	}
	if _, err := s.GroupInfo(true); !errors.Is(err, ErrReInit) {
		t.Errorf("group info of a commit that closes the group: %v", err)
	}
	info := alice.groupInfo(true)
	alice.merge()
	bob.process(s.Message)
	if _, err := alice.g.GroupInfo(true); !errors.Is(err, ErrReInit) {
		t.Errorf("group info of a closed group: %v", err)
	}
	eve := newPeer(t, SuiteX25519, "eve")
	bob.refuses(eve.joinByCommit(ExternalJoinOptions{GroupInfo: info}), ErrOldEpoch)
	late := eve.forgeExternal(ExternalJoinOptions{GroupInfo: info}, testCapabilities, func(f *externalForgery) { f.content.content.epoch++ })
	bob.refuses(late, ErrReInit)
}

// A joiner takes those along who wait to leave.
func TestExternalJoinCommitsSelfRemoves(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	for _, p := range peers {
		p.g.cfg.Handshakes = HandshakesPublic
	}
	leave, err := peers[2].g.ProposeSelfRemove()
	if err != nil {
		t.Fatal(err)
	}
	peers[2].save()
	info := peers[0].groupInfo(true)
	p := newPeer(t, SuiteX25519, "joiner")
	o := ExternalJoinOptions{GroupInfo: info, SelfRemoves: [][]byte{leave}}
	m := p.joinByCommit(o)
	peers[0].refuses(m, ErrMissingProposal)
	for _, q := range []*peer{peers[0], peers[1], peers[3]} {
		q.process(leave)
		q.restore()
		q.g.cfg.Handshakes = HandshakesPublic
		r := q.process(m).(*StagedCommit)
		want := CommittedProposal{Kind: ProposalSelfRemove, From: SenderMember, Sender: 2, Target: 2}
		if len(r.Removed) != 1 || r.Removed[0].Index != 2 || r.Proposals[1] != want || r.Committer != 2 {
			t.Errorf("commit is %+v", r)
		}
	}
	if r := peers[2].process(m).(*StagedCommit); !r.RemovesSelf() {
		t.Error("the leaver is still in")
	}
	agree(t, p, peers[0], peers[1], peers[3])

	bad := func(name string, want any, message []byte) {
		t.Helper()
		o.SelfRemoves = [][]byte{message}
		_, _, err := JoinByCommit(p.cfg, p.joining(o))
		if err == nil {
			t.Errorf("%s: joins", name)
		}
		expect(t, err, want)
	}
	edit := func(f func(*publicMessage)) []byte {
		m, err := unmarshal(bytes.Clone(leave), readMessage)
		if err != nil {
			t.Fatal(err)
		}
		f(m.public)
		return marshal(m)
	}
	bad("signature", ErrInvalidSignature, edit(func(m *publicMessage) { m.signature[0] ^= 1 }))
	bad("another member", ErrInvalidSignature, edit(func(m *publicMessage) { m.content.sender.index = 1 }))
	bad("no member", "6.1", edit(func(m *publicMessage) { m.content.sender.index = 4 }))
	bad("external sender", "12.1.8", edit(func(m *publicMessage) { m.content.sender.typ = SenderExternal }))
	bad("another group", ErrWrongGroup, edit(func(m *publicMessage) { m.content.groupID = []byte{1} }))
	bad("old epoch", ErrOldEpoch, edit(func(m *publicMessage) { m.content.epoch-- }))
	bad("future epoch", ErrFutureEpoch, edit(func(m *publicMessage) { m.content.epoch++ }))
	bad("not a proposal", ErrUnsupported, info)
	bad("malformed", ErrMalformed, leave[:len(leave)-1])
	o.SelfRemoves = [][]byte{leave, leave}
	_, _, err = JoinByCommit(p.cfg, p.joining(o))
	expect(t, err, "12.2")
}

// The loser of a race against another commit begins again.
func TestExternalJoinLosesRace(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	p := newPeer(t, SuiteX25519, "joiner")
	m := p.joinByCommit(ExternalJoinOptions{GroupInfo: peers[0].groupInfo(true)})
	s := peers[0].commit(CommitOptions{})
	info, err := s.GroupInfo(true)
	if err != nil {
		t.Fatal(err)
	}
	peers[0].merge()
	peers[1].process(s.Message)
	for _, q := range peers {
		q.refuses(m, ErrOldEpoch)
	}
	m = p.joinByCommit(ExternalJoinOptions{GroupInfo: info})
	// And a member's own pending commit loses against the newcomer's.
	lost := peers[1].commit(CommitOptions{})
	for _, q := range peers {
		q.process(m)
	}
	if peers[1].g.Pending() != nil {
		t.Error("a lost commit is still pending")
	}
	peers[0].refuses(lost.Message, ErrOldEpoch)
	converse(t, peers[0], peers[1], p)
}
