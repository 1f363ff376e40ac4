package mls_test

import (
	"errors"
	"fmt"

	"quicprochat/core/mls"
)

// Those who share a secret of another kind make it count: who does not have it
// cannot follow the group any more.
func ExampleExternalPSKProposal() {
	known := directory{}
	alice, bob, carol := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "carol")
	for _, c := range []*client{alice, bob} {
		c.cfg.ExternalPSK = func(id []byte) (secret []byte, ok bool) {
			return []byte("thirty-two bytes from two dice.."), string(id) == "dice"
		}
	}
	alice.create(mls.SuiteXWing, "lunch")
	alice.add(bob, carol)

	staged := must(alice.group.Commit(mls.CommitOptions{
		Proposals: []mls.Proposal{mls.ExternalPSKProposal([]byte("dice"))},
	}))
	alice.merge()
	bob.receive(staged.Message)
	_, err := carol.group.Process(staged.Message)
	fmt.Println(agree(alice, bob), errors.Is(err, mls.ErrMissingPSK))
	// Output:
	// true true
}
