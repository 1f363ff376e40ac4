package mls

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// openCommit decrypts a commit of another member, and forgets that it did.
func (p *peer) openCommit(message []byte) *commit {
	p.t.Helper()
	m, err := unmarshal(bytes.Clone(message), readMessage)
	if err != nil {
		p.t.Fatal(err)
	}
	e, err := p.g.messageEpoch(m.private.epoch)
	if err != nil {
		p.t.Fatal(err)
	}
	d, err := m.private.sender(p.g.suite, e.senderData)
	if err != nil {
		p.t.Fatal(err)
	}
	step, err := e.keys.receive(d.leaf, ratchetHandshake, d.generation, 1000, 20)
	if err != nil {
		p.t.Fatal(err)
	}
	content, err := m.private.unprotect(p.g.suite, d, step.keyUse)
	if err != nil {
		p.t.Fatal(err)
	}
	p.restore()
	return content.content.commit
}

// pskStore is what an application knows of PSKs.
type pskStore map[string][]byte

func (s pskStore) resumption(groupID []byte, epoch uint64) ([]byte, bool) {
	secret, ok := s[string(groupID)+"/"+string(rune('0'+epoch))]
	return secret, ok
}

func (s pskStore) external(id []byte) ([]byte, bool) {
	secret, ok := s[string(id)]
	return secret, ok
}

func (p *peer) knows(s pskStore) {
	p.cfg.ResumptionPSK, p.cfg.ExternalPSK = s.resumption, s.external
	p.restore()
}

func TestResumptionPSK(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteP256, SuiteXWing} {
		t.Run(suite.String(), func(t *testing.T) {
			peers := newGroupOf(t, suite, 3)
			alice, bob, carol := peers[0], peers[1], peers[2]
			s := alice.commit(CommitOptions{})
			alice.merge()
			deliver(s.Message, alice, peers)
			// The group's own epochs: the present one and the one before, by value and by reference.
			m, err := bob.g.Propose(ResumptionPSKProposal(bob.g.ID(), 1))
			if err != nil {
				t.Fatal(err)
			}
			bob.save()
			deliver(m, bob, peers)
			s = bob.commit(CommitOptions{Proposals: []Proposal{ResumptionPSKProposal(bob.g.ID(), 2)}, AddOnly: true})
			if len(s.Proposals) != 2 || len(s.Updated) != 0 {
				t.Errorf("commits %+v", s.Proposals)
			}
			bob.merge()
			deliver(s.Message, bob, peers)
			agree(t, peers...)

			// Of another group, and of an epoch that only one application has kept.
			secret, ok := alice.g.ResumptionPSK(1)
			if !ok || len(secret) != alice.g.suite.nh {
				t.Fatalf("a secret of %d bytes", len(secret))
			}
			shared := pskStore{"elsewhere/7": []byte("whatever it is"), "an id": []byte("a PSK")}
			for _, p := range peers[:2] {
				p.knows(shared)
			}
			dave := newPeer(t, suite, "dave")
			s = alice.commit(CommitOptions{Proposals: []Proposal{
				ExternalPSKProposal([]byte("an id")), AddProposal(dave.keyPackage()),
				ResumptionPSKProposal([]byte("elsewhere"), 7), ResumptionPSKProposal([]byte("elsewhere"), 7),
			}})
			// Those of the commit and of the Welcome are the same, in one order, each with a nonce of its own (§8.4).
			var committed []pskID
			for _, p := range bob.openCommit(s.Message).proposals {
				if p.proposal.typ == ProposalPSK {
					committed = append(committed, p.proposal.psk)
				}
			}
			welcome := openWelcome(dave, s.Welcome)
			if len(committed) != 3 || !reflect.DeepEqual(committed, welcome.psks) {
				t.Errorf("the commit has %+v, the welcome %+v", committed, welcome.psks)
			}
			for i, p := range committed {
				if len(p.nonce) != alice.g.suite.nh || bytes.Equal(p.nonce, committed[(i+1)%3].nonce) {
					t.Errorf("nonce %x", p.nonce)
				}
			}
			alice.merge()
			bob.process(s.Message)
			carol.unchanged(func() { carol.refuses(s.Message, ErrMissingPSK) })
			carol.knows(pskStore{"elsewhere/7": []byte("something else"), "an id": []byte("a PSK")})
			carol.unchanged(func() { carol.refuses(s.Message, ErrInvalidSignature) })
			carol.knows(shared)
			carol.process(s.Message)
			for _, c := range []struct {
				store pskStore
				want  error
			}{
				{nil, ErrMissingPSK},
				{pskStore{"an id": []byte("a PSK")}, ErrMissingPSK},
				{pskStore{"elsewhere/7": []byte("something else"), "an id": []byte("a PSK")}, ErrDecrypt},
			} {
				dave.cfg.ResumptionPSK, dave.cfg.ExternalPSK = c.store.resumption, c.store.external
				_, err := Join(dave.cfg, dave.signer, dave.bundle, s.Welcome, nil)
				expect(t, err, c.want)
			}
			dave.cfg.ResumptionPSK, dave.cfg.ExternalPSK = shared.resumption, shared.external
			dave.join(s.Welcome)
			agree(t, alice, bob, carol, dave)
		})
	}
}

// TestProposedPSKShutsNobodyOut: by proposing a PSK of an epoch of the group a member cannot
// make others' commits shut out who came later, or comes by them.
func TestProposedPSKShutsNobodyOut(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice, mallory := peers[0], peers[1]
	was := alice.g.Epoch()
	dave, erin := newPeer(t, SuiteX25519, "dave"), newPeer(t, SuiteX25519, "erin")
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(dave.keyPackage())}})
	alice.merge()
	mallory.process(s.Message)
	dave.join(s.Welcome)
	for _, epoch := range []uint64{was, alice.g.Epoch()} {
		m, err := mallory.g.Propose(ResumptionPSKProposal(mallory.g.ID(), epoch))
		if err != nil {
			t.Fatal(err)
		}
		mallory.save()
		alice.process(m)
		dave.process(m)
	}
	s = alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(erin.keyPackage())}})
	alice.merge()
	dave.process(s.Message)
	mallory.process(s.Message)
	erin.join(s.Welcome)
	agree(t, alice, mallory, dave, erin)
}

// One group's resumption PSK proves a membership in it to another.
func TestResumptionPSKOfAnotherGroup(t *testing.T) {
	first := newGroupOf(t, SuiteX25519, 3)
	second := newGroupOf(t, SuiteXWing, 3)
	epoch := first[0].g.Epoch()
	for i, p := range second[:2] {
		other := first[i].g
		p.cfg.ResumptionPSK = func(id []byte, epoch uint64) ([]byte, bool) {
			if !bytes.Equal(id, []byte("first")) {
				return nil, false
			}
			return other.ResumptionPSK(epoch)
		}
		p.restore()
	}
	s := second[0].commit(CommitOptions{Proposals: []Proposal{ResumptionPSKProposal([]byte("first"), epoch)}})
	second[0].merge()
	second[1].process(s.Message)
	agree(t, second[:2]...)
	second[2].refuses(s.Message, ErrMissingPSK)
}

// The resumption PSK of an epoch goes with the epoch.
func TestResumptionPSKRetention(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	for range 6 {
		s := alice.commit(CommitOptions{})
		alice.merge()
		deliver(s.Message, alice, peers)
	}
	for epoch, want := range map[uint64]bool{0: false, 1: false, 2: true, 6: true, 7: true, 8: false} {
		a, ok := alice.g.ResumptionPSK(epoch)
		b, _ := bob.g.ResumptionPSK(epoch)
		if ok != want || !bytes.Equal(a, b) {
			t.Errorf("epoch %d: %t", epoch, ok)
		}
		_, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{ResumptionPSKProposal(alice.g.ID(), epoch)}})
		if want != (err == nil) || !want && !errors.Is(err, ErrMissingPSK) {
			t.Errorf("epoch %d: %v", epoch, err)
		}
		alice.g.DiscardPending()
		alice.save()
	}
	s := alice.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
	bob.process(s.Message)
	bob.restore()
	if _, ok := bob.g.ResumptionPSK(bob.g.Epoch()); ok {
		t.Error("kept by one who has been removed")
	}
}

// A proposed PSK that is missing here does not keep anybody from committing.
func TestUselessPSK(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	shared := pskStore{"elsewhere/7": []byte("x")}
	for _, p := range []Proposal{
		ResumptionPSKProposal([]byte("elsewhere"), 7), ExternalPSKProposal([]byte("nobody's")),
	} {
		m, err := alice.g.Propose(p)
		if err != nil {
			t.Fatal(err)
		}
		alice.save()
		deliver(m, alice, peers)
	}
	if s := bob.commit(CommitOptions{}); len(s.Proposals) != 0 {
		t.Errorf("commits %+v", s.Proposals)
	}
	bob.g.DiscardPending()
	bob.save()
	bob.knows(shared)
	alice.knows(shared)
	s := bob.commit(CommitOptions{})
	if len(s.Proposals) != 1 || s.Proposals[0].Kind != ProposalPSK {
		t.Errorf("commits %+v", s.Proposals)
	}
	bob.merge()
	carol.unchanged(func() { carol.refuses(s.Message, ErrMissingPSK) })
	alice.process(s.Message)
	agree(t, alice, bob)
}
