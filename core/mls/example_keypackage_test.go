package mls_test

import (
	"fmt"

	"quicprochat/core/mls"
)

// When all its other KeyPackages are used up, a client can still be added with the
// one of last resort.
func ExampleNewKeyPackage_lastResort() {
	known := directory{}
	alice, bob, carol := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "carol")
	bundle := must(mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: mls.SuiteXWing, Credential: carol.credential(), Signer: carol.key, LastResort: true,
	}))
	fmt.Println("of last resort:", bundle.Public().LastResort())

	for _, c := range []*client{alice, bob} {
		c.create(mls.SuiteXWing, c.name+"'s group")
		staged := must(c.group.Commit(mls.CommitOptions{
			Proposals: []mls.Proposal{mls.AddProposal(bundle.KeyPackage())},
		}))
		c.merge()
		group := must(mls.Join(carol.cfg, carol.key, bundle, staged.Welcome, nil))

		// In each group she replaces her leaf's key, which the bundle has as well, at once.
		fresh := must(group.Commit(mls.CommitOptions{}))
		check(group.MergePending())
		c.receive(fresh.Message)
		fmt.Printf("%s: %d members\n", group.ID(), group.MemberCount())
	}
	bundle.Destroy() // when it has expired, or another one has taken its place
	// Output:
	// of last resort: true
	// alice's group: 2 members
	// bob's group: 2 members
}
