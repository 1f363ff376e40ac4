package mls

import (
	"bytes"
	"testing"
)

// TestStagedCommitWaits: between Process and Merge a group is as it was. The commit can
// be processed again, also after a restart from records stored in between, and what
// its author sent before it can be opened.
func TestStagedCommitWaits(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	early, late := alice.seal("early"), alice.seal("late")
	key := chainOf(bob.g, 0, 1).keys[ratchetHandshake][0]
	s := alice.commit(CommitOptions{})
	before := dump(bob.g)
	r, err := bob.g.Process(s.Message)
	if err != nil {
		t.Fatal(err)
	}
	staged := r.(*StagedCommit)
	if dump(bob.g) != before || len(bob.g.TakeChanges()) != 0 {
		t.Error("a staged commit has changed the group")
	}
	bob.save()
	bob.hears(late, "late", alice) // opens the committer's ratchets
	bob.hears(carol.seal("x"), "x", carol)
	if r, err = bob.g.Process(s.Message); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.(*StagedCommit).EpochAuthenticator(), staged.EpochAuthenticator()) {
		t.Error("the same commit leads into another epoch")
	}
	if err := bob.g.Merge(staged); err != nil {
		t.Fatal(err)
	}
	bob.save()
	expect(t, bob.g.Merge(r.(*StagedCommit)), ErrStale)
	absent(t, bob, "the commit's key", key)
	alice.merge()
	agree(t, alice, bob)
	bob.hears(early, "early", alice)
	for _, m := range [][]byte{early, late} {
		bob.refuses(m, ErrAlreadyUsed)
	}
	bob.refuses(s.Message, ErrOldEpoch)

	carol.hears(early, "early", alice)
	if _, err := carol.g.Process(s.Message); err != nil {
		t.Fatal(err)
	}
	carol.save()
	carol.restore()
	carol.process(s.Message)
	agree(t, alice, carol)
}

// TestDiscardedCommit: a commit that was discarded is merged neither in its own
// epoch nor later, and the group goes on.
func TestDiscardedCommit(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	s := alice.commit(CommitOptions{})
	alice.g.DiscardPending()
	alice.save()
	before := dump(alice.g)
	expect(t, alice.g.Merge(s), ErrStale)
	if _, err := s.Export("x", nil, 32); err == nil {
		t.Error("a discarded commit exports")
	}
	if dump(alice.g) != before || len(alice.g.TakeChanges()) != 0 {
		t.Error("merging what was discarded has changed the group")
	}
	s = alice.commit(CommitOptions{})
	alice.merge()
	bob.process(s.Message)
	agree(t, alice, bob)
}

// TestDiscardReceivedCommit: discarding another's commit wipes what it would have
// brought, and nothing that the group has.
func TestDiscardReceivedCommit(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	alice, bob := peers[0], peers[1]
	stage := func(m []byte) *StagedCommit {
		t.Helper()
		r, err := bob.g.Process(m)
		if err != nil {
			t.Fatal(err)
		}
		return r.(*StagedCommit)
	}
	s := alice.commit(CommitOptions{})
	staged := stage(s.Message)
	before := dump(bob.g)
	held, _ := probe(staged.next).secret()
	own := bob.g.cur.keys[bob.g.own.node()]
	for _, b := range []string{".secrets.init", ".secrets.exporter", ".secrets.encryption", ".keys[3]"} {
		if held[b] == nil || allZero(held[b]) {
			t.Fatalf("a staged commit has no %s", b)
		}
	}
	bob.g.Discard(staged)
	for path, b := range held {
		if !allZero(b) && &b[0] != &own[0] {
			t.Errorf("%s is not wiped", path)
		}
	}
	if dump(bob.g) != before || allZero(own) {
		t.Error("discarding has changed the group")
	}
	expect(t, bob.g.Merge(staged), ErrStale)

	again, merged := stage(s.Message), stage(s.Message)
	if err := bob.g.Merge(merged); err != nil {
		t.Fatal(err)
	}
	before = dump(bob.g)
	bob.g.Discard(merged)
	bob.g.Discard(again)
	if dump(bob.g) != before {
		t.Error("discarding what is over has changed the group")
	}
	bob.save()
	alice.merge()
	agree(t, alice, bob)
	bob.commit(CommitOptions{})
	bob.g.Discard(bob.g.Pending())
	bob.save()
	if bob.g.Pending() != nil || bob.store[recordPending] != nil {
		t.Error("the pending commit is not discarded")
	}
}
