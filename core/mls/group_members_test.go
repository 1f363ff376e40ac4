package mls

import (
	"bytes"
	"errors"
	"testing"
)

// Received proposals that cannot be committed do not keep anybody from committing.
func TestUselessProposals(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	bob, carol, dave := peers[1], peers[2], peers[3]
	again := proposeAgain(t, carol, dave)
	leave, err := dave.g.ProposeSelfRemove()
	if err != nil {
		t.Fatal(err)
	}
	stay, err := dave.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	update, err := bob.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := peers[0]
	for _, m := range [][]byte{again, stay, leave, update} {
		if r := alice.process(m).(*ReceivedProposal); r.Kind == ProposalAdd && r.Leaf == nil {
			t.Errorf("proposal is %+v", r)
		}
	}
	// Once dave is gone, his double may come.
	s := alice.commit(CommitOptions{})
	if len(s.Removed) != 1 || len(s.Added) != 1 || len(s.Updated) != 2 {
		t.Errorf("commit is described as %+v", s.Proposals)
	}
	alice.g.DiscardPending()
	alice.g.forgetProposals()
	alice.process(proposeAgain(t, carol, dave))
	if s := alice.commit(CommitOptions{}); len(s.Proposals) != 0 {
		t.Errorf("alice commits %+v", s.Proposals)
	}
}

// proposeAgain is a proposal to add a member that is in the group.
func proposeAgain(t *testing.T, from, member *peer) []byte {
	t.Helper()
	double := newPeer(t, member.suite, "double")
	double.signer = member.signer
	m, err := from.g.Propose(AddProposal(double.keyPackage()))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAccessors(t *testing.T) {
	peers := newGroupOf(t, SuiteXWing, 3)
	alice, bob := peers[0], peers[1]
	if string(alice.g.ID()) != "a group" || alice.g.Suite() != SuiteXWing || bob.g.OwnIndex() != 1 || alice.g.MemberCount() != 3 {
		t.Error("the group does not know itself")
	}
	names := ""
	for m := range alice.g.Members() {
		names += string(m.Credential.Identity) + ","
	}
	if names != "peer 0,peer 1,peer 2," {
		t.Errorf("members are %s", names)
	}
	if _, ok := alice.g.Member(3); ok {
		t.Error("there is a fourth member")
	}
	a, err := alice.g.Export("label", []byte("context"), 32)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bob.g.Export("label", []byte("context"), 32)
	if err != nil || !bytes.Equal(a, b) || len(a) != 32 {
		t.Errorf("exports differ: %v", err)
	}
	for _, n := range []int{-1, 0, maxExport + 1} {
		if _, err := alice.g.Export("label", nil, n); err == nil {
			t.Errorf("exports %d bytes", n)
		}
	}
	s := alice.commit(CommitOptions{
		Proposals: []Proposal{GroupContextExtensionsProposal([]Extension{{Type: extTest, Data: []byte("new")}})}, AAD: []byte("aad"),
	})
	info, err := Peek(s.Message)
	if err != nil || string(info.GroupID) != "a group" || info.Epoch != 1 || !info.Handshake {
		t.Errorf("peek: %+v, %v", info, err)
	}
	if _, err := Peek([]byte{0, 1, 0, 9}); !errors.Is(err, ErrMalformed) {
		t.Errorf("peek: %v", err)
	}
	r, err := bob.g.Process(s.Message)
	if err != nil {
		t.Fatal(err)
	}
	received := r.(*StagedCommit)
	name, ok := received.GroupContextExtension(extTest)
	if !ok || string(name) != "new" || string(received.AAD) != "aad" || received.Committer != 0 || received.Epoch != 1 {
		t.Errorf("commit is %+v", received)
	}
	a, errA := s.Export("label", nil, 16)
	b, errB := received.Export("label", nil, 16)
	if errA != nil || errB != nil || !bytes.Equal(a, b) || !bytes.Equal(s.EpochAuthenticator(), received.EpochAuthenticator()) {
		t.Error("the next epoch's exports differ")
	}
	if _, ok := bob.g.GroupContextExtension(extTest); ok || len(bob.g.GroupContextExtensions()) != 0 {
		t.Error("processing has changed the group")
	}
}
