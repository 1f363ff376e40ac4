package mls

import (
	"bytes"
	"errors"
	"testing"
)

func TestGroupInfoOfStagedCommit(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 3)
	s := peers[0].commit(CommitOptions{})
	peers[0].restore()
	info, err := peers[0].g.Pending().GroupInfo(false)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.RatchetTree()
	if err != nil {
		t.Fatal(err)
	}
	peers[0].merge()
	received := peers[1].process(s.Message).(*StagedCommit)
	if again, err := received.RatchetTree(); err != nil || !bytes.Equal(again, tree) || !bytes.Equal(tree, peers[0].g.RatchetTree()) {
		t.Errorf("trees differ: %v", err)
	}
	if _, err := received.GroupInfo(true); err != nil {
		t.Errorf("group info of a merged commit: %v", err)
	}
	peers[2].process(s.Message)
	p := newPeer(t, SuiteXWing, "joiner")
	m := p.joinByCommit(ExternalJoinOptions{GroupInfo: info, Tree: tree})
	for _, q := range peers {
		q.process(m)
	}
	agree(t, append(peers, p)...)
	for name, c := range map[string]*StagedCommit{"of a past epoch": received, "discarded": peers[0].commit(CommitOptions{})} {
		peers[0].g.DiscardPending()
		if _, err := c.GroupInfo(true); !errors.Is(err, ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.RatchetTree(); !errors.Is(err, ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s = peers[0].commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
	out := peers[1].process(s.Message).(*StagedCommit)
	if _, err := out.GroupInfo(true); !errors.Is(err, ErrRemoved) {
		t.Errorf("group info for one who is removed: %v", err)
	}
	if _, err := out.RatchetTree(); !errors.Is(err, ErrRemoved) {
		t.Errorf("tree for one who is removed: %v", err)
	}
	if _, err := peers[1].g.GroupInfo(true); !errors.Is(err, ErrRemoved) {
		t.Errorf("group info by one who is removed: %v", err)
	}
}

func TestOmitTree(t *testing.T) {
	alice, bob := newPeer(t, SuiteXWing, "alice"), newPeer(t, SuiteXWing, "bob")
	alice.create()
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}, OmitTree: true})
	tree, err := s.RatchetTree()
	if err != nil {
		t.Fatal(err)
	}
	alice.merge()
	_, err = Join(bob.cfg, bob.signer, bob.bundle, s.Welcome, nil)
	expect(t, err, ErrNoTree)
	if bob.g, err = Join(bob.cfg, bob.signer, bob.bundle, s.Welcome, tree); err != nil {
		t.Fatal(err)
	}
	bob.save()
	converse(t, alice, bob)
}
