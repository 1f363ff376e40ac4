package mls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestConversation(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 5)
		for _, from := range peers {
			m := from.seal("hello from " + from.name)
			for _, to := range peers {
				if to == from {
					to.refuses(m, ErrOwnMessage)
				} else {
					to.hears(m, "hello from "+from.name, from)
					to.refuses(m, ErrAlreadyUsed)
				}
			}
		}
		for i, from := range peers { // updates
			s := from.commit(CommitOptions{})
			from.refuses(s.Message, ErrOwnMessage)
			from.merge()
			from.refuses(s.Message, ErrOwnMessage)
			for _, to := range peers {
				if to != from {
					to.process(s.Message)
				}
			}
			agree(t, peers...)
			if s.Welcome != nil || len(s.Updated) != 1 || s.Updated[0].Index != LeafIndex(i) {
				t.Errorf("update is described as %+v", s)
			}
		}
	})
}

func TestAddRemoveRejoin(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 4)
		alice, bob, carol, dave := peers[0], peers[1], peers[2], peers[3]

		s := carol.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(bob.g.OwnIndex())}})
		late := dave.seal("late")
		carol.merge()
		alice.process(s.Message)
		dave.process(s.Message)
		r := bob.process(s.Message).(*StagedCommit)
		if !r.RemovesSelf() || bob.g.Active() {
			t.Error("bob does not notice that he is out")
		}
		agree(t, alice, carol, dave)
		carol.hears(late, "late", dave)
		bob.hears(late, "late", dave) // sent while he was a member
		bob.restore()
		bob.refuses(alice.seal("secret"), ErrRemoved)
		if _, err := bob.g.Seal([]byte("x"), nil); !errors.Is(err, ErrRemoved) {
			t.Errorf("bob seals: %v", err)
		}
		if _, err := bob.g.Export("x", nil, 32); !errors.Is(err, ErrRemoved) || bob.g.EpochAuthenticator() != nil {
			t.Errorf("bob exports: %v", err)
		}

		s = dave.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}, AddOnly: true})
		if len(s.Updated) != 0 || len(s.Added) != 1 || s.Added[0].Index != 1 {
			t.Errorf("add is described as %+v", s)
		}
		dave.merge()
		alice.process(s.Message)
		carol.process(s.Message)
		bob.join(s.Welcome)
		agree(t, peers...)
		m := bob.seal("back")
		alice.hears(m, "back", bob)
	})
}

func TestSelfRemove(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 4)
	alice, bob, carol, dave := peers[0], peers[1], peers[2], peers[3]
	leave, err := bob.g.ProposeSelfRemove()
	if err != nil {
		t.Fatal(err)
	}
	bob.save()
	if _, err := bob.g.Commit(CommitOptions{}); !errors.Is(err, ErrLeaving) {
		t.Errorf("a leaver commits: %v", err)
	}
	bob.refuses(leave, ErrOwnMessage)
	for _, p := range []*peer{alice, carol, dave} {
		r := p.process(leave).(*ReceivedProposal)
		if r.Kind != ProposalSelfRemove || r.Target != bob.g.OwnIndex() {
			t.Errorf("proposal is described as %+v", r)
		}
		p.restore()
	}
	// An explicit removal of the same member gives way to the proposal.
	s := carol.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
	if len(s.Removed) != 1 || s.Removed[0].Index != 1 {
		t.Errorf("leaving is described as %+v", s)
	}
	carol.restore()
	want := []CommittedProposal{{Kind: ProposalSelfRemove, From: SenderMember, Sender: 1, Target: 1}}
	if p := carol.g.Pending(); !slices.Equal(p.Proposals, want) || !slices.Equal(s.Proposals, want) {
		t.Errorf("proposals are %+v", p.Proposals)
	}
	carol.merge()
	for _, p := range []*peer{alice, bob, dave} {
		p.process(s.Message)
	}
	agree(t, alice, carol, dave)
	if bob.g.Active() {
		t.Error("bob is still in")
	}
}

func TestProposalsByReference(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	alice, bob, carol, dave := peers[0], peers[1], peers[2], peers[3]
	eve := newPeer(t, SuiteX25519, "eve")
	send := func(from *peer, m []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		from.save()
		for _, p := range peers {
			if p != from {
				p.process(m)
			}
		}
	}
	m, err := bob.g.ProposeUpdate(nil)
	send(bob, m, err)
	m, err = bob.g.ProposeUpdate(nil) // the latest counts
	send(bob, m, err)
	m, err = carol.g.Propose(AddProposal(eve.keyPackage()))
	send(carol, m, err)
	m, err = alice.g.Propose(GroupContextExtensionsProposal([]Extension{{Type: extTest, Data: []byte("name")}}))
	send(alice, m, err)
	bob.restore()
	s := dave.commit(CommitOptions{})
	if len(s.Added) != 1 || len(s.Updated) != 2 {
		t.Errorf("commit is described as %+v", s)
	}
	dave.merge()
	for _, p := range []*peer{alice, bob, carol} {
		p.process(s.Message)
	}
	eve.join(s.Welcome)
	peers = append(peers, eve)
	agree(t, peers...)
	if name, ok := eve.g.GroupContextExtension(extTest); !ok || string(name) != "name" {
		t.Errorf("extension is %q", name)
	}
	m, err = carol.g.Propose(RemoveProposal(0))
	if err != nil {
		t.Fatal(err)
	}
	carol.save()
	bob.g.Reject(bob.process(m).(*ReceivedProposal))
	bob.save()
	bob.restore()
	if s := bob.commit(CommitOptions{}); len(s.Removed) != 0 {
		t.Error("bob commits what he has rejected")
	}
}

func TestOutOfOrder(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 2)
	alice, bob := peers[0], peers[1]
	var sent [][]byte
	for range 40 {
		sent = append(sent, alice.seal("x"))
	}
	bob.hears(sent[39], "x", alice)
	for _, i := range []int{38, 19, 30, 25} {
		bob.restore()
		bob.hears(sent[i], "x", alice)
		bob.refuses(sent[i], ErrAlreadyUsed)
	}
	bob.refuses(sent[18], ErrAlreadyUsed) // its key had to go: 20 are kept
	for range 1001 {
		alice.seal("lost")
	}
	bob.refuses(alice.seal("too far"), ErrTooFarAhead)

	far := newGroupOf(t, SuiteX25519, 2)
	for range 1000 {
		far[0].seal("lost")
	}
	far[1].hears(far[0].seal("just so"), "just so", far[0])
	for key, value := range far[1].store {
		if bytes.HasPrefix([]byte(key), []byte(prefixRatchet)) && len(value) >= 1024 {
			t.Errorf("a ratchet record of %d bytes", len(value))
		}
	}
}

func TestPastEpochs(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	var old [][]byte
	for range 7 {
		old = append(old, carol.seal("old"))
		s := alice.commit(CommitOptions{})
		alice.merge()
		bob.process(s.Message)
		carol.process(s.Message)
	}
	s := alice.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(2)}})
	alice.merge()
	bob.process(s.Message)
	bob.restore()
	// Eight epochs are over, five are kept, and carol was a member in four of them.
	for i, m := range old {
		if i < 3 {
			bob.refuses(m, ErrOldEpoch)
		} else {
			bob.hears(m, "old", carol)
		}
	}
	if n := len(bob.g.past); n != 5 {
		t.Errorf("%d past epochs are kept", n)
	}
}

func TestLostRace(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	won, lost := alice.commit(CommitOptions{}), bob.commit(CommitOptions{})
	bob.restore()
	pending := bob.g.Pending()
	if pending == nil || !bytes.Equal(pending.Message, lost.Message) {
		t.Fatal("the pending commit is not in the records")
	}
	alice.restore()
	if a, err := alice.g.Pending().Export("x", nil, 32); err != nil {
		t.Fatal(err)
	} else if b, _ := won.Export("x", nil, 32); !bytes.Equal(a, b) {
		t.Error("the restored commit exports something else")
	}
	alice.merge()
	bob.process(won.Message)
	carol.process(won.Message)
	if bob.g.Pending() != nil {
		t.Error("the lost commit is still pending")
	}
	agree(t, peers...)
	for _, p := range []*peer{alice, carol} {
		p.refuses(lost.Message, ErrOldEpoch)
	}
	if _, err := pending.Export("x", nil, 32); !errors.Is(err, ErrStale) {
		t.Errorf("a lost commit exports: %v", err)
	}
	if err := bob.g.Merge(lost); !errors.Is(err, ErrStale) {
		t.Errorf("a lost commit is merged: %v", err)
	}
	if _, err := bob.g.Commit(CommitOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := bob.g.Commit(CommitOptions{}); !errors.Is(err, ErrPending) {
		t.Errorf("a second pending commit: %v", err)
	}
	bob.g.DiscardPending()
	if err := bob.g.MergePending(); !errors.Is(err, ErrNoPending) {
		t.Errorf("nothing is merged: %v", err)
	}
}

func TestFutureAndForeign(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	s := alice.commit(CommitOptions{})
	alice.merge()
	early := alice.seal("early")
	bob.refuses(early, ErrFutureEpoch)
	bob.process(s.Message)
	bob.hears(early, "early", alice)

	other := newPeer(t, SuiteX25519, "other")
	g, err := Create(other.cfg, CreateParams{
		GroupID: []byte("another"), Suite: other.suite, Credential: BasicCredential([]byte("x")), Signer: other.signer,
	})
	if err != nil {
		t.Fatal(err)
	}
	other.g = g
	bob.refuses(other.seal("lost"), ErrWrongGroup)
	bob.refuses(s.Message[:len(s.Message)-1], ErrMalformed)
	bob.refuses(append(slices.Clone(s.Message), 0), ErrMalformed)
	bob.refuses(nil, ErrMalformed)
}

// After a crash before the changes were stored, the group still does not use a
// generation twice for anything that could have left the device.
func TestGenerationNeverReused(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	seen := map[uint32]bool{}
	for i := range 30 {
		m := alice.seal("x") // stored before it leaves
		if i%3 == 0 {
			if _, err := alice.g.Seal([]byte("never stored, never sent"), nil); err != nil {
				t.Fatal(err)
			}
		}
		alice.restore()
		a := bob.process(m).(*Application)
		if seen[a.Generation] {
			t.Fatalf("generation %d is used twice", a.Generation)
		}
		seen[a.Generation] = true
	}
}
