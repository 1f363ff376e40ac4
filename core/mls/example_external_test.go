package mls_test

import (
	"fmt"

	"quicprochat/core/mls"
)

// A client that is no member lets itself in, and comes back when it has lost its state.
func ExampleJoinByCommit() {
	known := directory{}
	alice, bob := newClient(known, "alice"), newClient(known, "bob")
	alice.create(mls.SuiteXWing, "lunch")

	enter := func(replace *mls.LeafIndex) {
		info := must(alice.group.GroupInfo(true)) // is published with every commit
		group, commit, err := mls.JoinByCommit(bob.cfg, mls.ExternalJoinOptions{
			GroupInfo: info, Signer: bob.key, Credential: bob.credential(), Replace: replace,
		})
		check(err)
		bob.group, bob.vault = group, vault{}
		bob.vault.save(bob.group) // before the commit leaves; deleted if the service refuses it
		if staged, ok := must(alice.group.Process(commit)).(*mls.StagedCommit); ok {
			fmt.Println(staged.External, len(staged.Added), len(staged.Removed))
			check(alice.group.Merge(staged)) // where the application agrees
			alice.vault.save(alice.group)
		}
	}
	enter(nil)
	old := bob.group.OwnIndex()
	enter(&old)
	fmt.Println(alice.group.MemberCount(), agree(alice, bob))
	// Output:
	// true 1 0
	// true 1 1
	// 2 true
}

// A moderator, who is no member and cannot read a word, asks for somebody to be removed.
func ExampleNewExternalProposal() {
	known := directory{}
	alice, bob, moderator := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "moderator")
	listed := must(mls.NewExternalSender(mls.SuiteXWing, moderator.key, moderator.credential()))
	alice.create(mls.SuiteXWing, "lunch", mls.ExternalSendersExtension([]mls.ExternalSender{listed}))
	alice.add(bob)

	request := must(mls.NewExternalProposal(mls.ExternalProposalParams{
		Suite: mls.SuiteXWing, GroupID: []byte("lunch"), Epoch: 1,
		Sender: 0, Signer: moderator.key, // the first in the list
		Proposal: mls.RemoveProposal(bob.group.OwnIndex()),
	}))
	bob.receive(request)
	if p, ok := alice.receive(request).(*mls.ReceivedProposal); ok {
		fmt.Println("from outside:", p.From == mls.SenderExternal, "about leaf", p.Target)
	}
	removal := must(alice.group.Commit(mls.CommitOptions{})) // alice.group.Reject would leave it out
	alice.merge()
	bob.receive(removal.Message)
	fmt.Println(alice.group.MemberCount(), bob.group.Active())
	// Output:
	// from outside: true about leaf 1
	// 1 false
}
