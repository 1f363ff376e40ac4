package mls_test

import (
	"errors"
	"fmt"

	"quicprochat/core/mls"
)

// A group moves from a classical suite to one that holds against quantum computers.
func ExampleGroup_Reinitialize() {
	known := directory{}
	alice, bob := newClient(known, "alice"), newClient(known, "bob")
	alice.create(mls.SuiteX25519, "garden")
	alice.add(bob)

	// Alice closes it. From here on nobody can send in it.
	staged := must(alice.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{
		mls.ReInitProposal(mls.ReInit{GroupID: []byte("garden, post-quantum"), Suite: mls.SuiteXWing}),
	}}))
	result := must(bob.group.Process(staged.Message))
	if commit, ok := result.(*mls.StagedCommit); ok && commit.ReInit != nil && commit.ReInit.Suite == mls.SuiteXWing {
		check(bob.group.Merge(commit)) // where the application agrees
	}
	alice.merge()
	_, err := bob.group.Seal([]byte("anybody?"), nil)
	fmt.Println(errors.Is(err, mls.ErrReInit))

	// Either makes the successor, here Bob, from a new KeyPackage of everybody else.
	bundle := alice.keyPackage(mls.SuiteXWing)
	next, staged, err := bob.group.Reinitialize(mls.SuccessorOptions{
		Credential: bob.credential(), Signer: bob.key, KeyPackages: [][]byte{bundle.KeyPackage()},
	})
	check(err)
	bob.vault.save(next) // before the Welcome goes out
	check(next.MergePending())
	bob.vault.save(next)
	bob.group = next

	// Alice finds that the Welcome is into a group's successor, and of which.
	var successor *mls.SuccessorError
	if _, err := mls.Join(alice.cfg, alice.key, bundle, staged.Welcome, nil); errors.As(err, &successor) {
		fmt.Printf("successor of %q\n", successor.GroupID)
	}
	alice.group = must(alice.group.JoinSuccessor(alice.key, bundle, staged.Welcome, nil))
	alice.vault.save(alice.group)
	bundle.Destroy()

	result = must(bob.group.Process(must(alice.group.Seal([]byte("still here"), nil))))
	if m, ok := result.(*mls.Application); ok {
		fmt.Printf("%s: %s\n", m.SenderLeaf.Credential.Identity, m.Data)
	}
	fmt.Printf("%q, %v\n", alice.group.ID(), alice.group.Suite())
	// Output:
	// true
	// successor of "garden"
	// alice: still here
	// "garden, post-quantum", MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519
}
