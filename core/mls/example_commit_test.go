package mls_test

import (
	"errors"
	"fmt"

	"quicprochat/core/mls"
)

// Two members change the group at the same time. One of them has to wait.
func ExampleGroup_Commit_lostRace() {
	known := directory{}
	alice, bob, carol := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "carol")
	alice.create(mls.SuiteXWing, "lunch")
	alice.add(bob)

	// Stage: both prepare a commit, and store it with everything to merge it.
	refresh := must(alice.group.Commit(mls.CommitOptions{})) // just fresh keys
	alice.vault.save(alice.group)
	bundle := carol.keyPackage(mls.SuiteXWing)
	invite := mls.CommitOptions{Proposals: []mls.Proposal{mls.AddProposal(bundle.KeyPackage())}}
	invitation := must(bob.group.Commit(invite))
	bob.vault.save(bob.group)

	// Publish: the delivery service lets one of them have the epoch.
	delivery := service{}
	fmt.Println("Alice:", delivery.accepts(refresh.Message))
	fmt.Println("Bob:", delivery.accepts(invitation.Message))

	// Merge: the winner its own, the loser the winner's, which discards the one it has pending.
	alice.merge()
	bob.receive(refresh.Message)
	fmt.Println("Bob's is pending:", bob.group.Pending() != nil)

	// Bob still wants Carol in, and so tries again in the new epoch.
	invitation = must(bob.group.Commit(invite))
	bob.vault.save(bob.group)
	if delivery.accepts(invitation.Message) {
		bob.merge()
		alice.receive(invitation.Message)
	}
	fmt.Println(alice.group.MemberCount(), agree(alice, bob))
	// Output:
	// Alice: true
	// Bob: false
	// Bob's is pending: false
	// 3 true
}

// A member looks at what a commit does before it follows.
func ExampleGroup_Merge() {
	known := directory{}
	alice, bob, carol := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "carol")
	alice.create(mls.SuiteXWing, "lunch")
	alice.add(bob, carol)

	removal := must(alice.group.Commit(mls.CommitOptions{
		Proposals: []mls.Proposal{mls.RemoveProposal(carol.group.OwnIndex())},
	}))
	alice.merge()

	for _, c := range []*client{bob, carol} {
		staged, ok := must(c.group.Process(removal.Message)).(*mls.StagedCommit)
		if !ok || staged.Committer != alice.group.OwnIndex() {
			continue // here, Alice alone may remove others
		}
		for _, m := range staged.Removed {
			fmt.Printf("%s sees %s go\n", c.name, m.Credential.Identity)
		}
		check(c.group.Merge(staged))
		c.vault.save(c.group)
	}
	_, err := carol.group.Seal([]byte("wait"), nil)
	fmt.Println(carol.group.Active(), errors.Is(err, mls.ErrRemoved))
	// Output:
	// bob sees carol go
	// carol sees carol go
	// false true
}

// Nobody can commit its own leaving, so a member asks the others to.
func ExampleGroup_ProposeSelfRemove() {
	known := directory{}
	alice, bob := newClient(known, "alice"), newClient(known, "bob")
	alice.create(mls.SuiteXWing, "lunch")
	alice.add(bob)

	leaving := must(bob.group.ProposeSelfRemove())
	bob.vault.save(bob.group)
	_, err := bob.group.Commit(mls.CommitOptions{})
	fmt.Println("Bob can only wait:", errors.Is(err, mls.ErrLeaving))

	// Alice has to commit it before she says anything else.
	if p, ok := alice.receive(leaving).(*mls.ReceivedProposal); ok {
		fmt.Printf("%s leaves: %t\n", p.SenderLeaf.Credential.Identity, p.Kind == mls.ProposalSelfRemove)
	}
	farewell := must(alice.group.Commit(mls.CommitOptions{}))
	alice.vault.save(alice.group)
	alice.merge()
	bob.receive(farewell.Message)
	fmt.Println(alice.group.MemberCount(), bob.group.Active())
	// Output:
	// Bob can only wait: true
	// bob leaves: true
	// 1 false
}
