package mls_test

import (
	"errors"
	"fmt"

	"quicprochat/core/mls"
)

// A group has a topic that all members agree on, and every member must know what that is.
func ExampleGroupContextExtensionsProposal() {
	const topic = 0xF0C1 // of the range for private use
	knowing := mls.Capabilities{Extensions: []uint16{topic}}
	known := directory{}
	alice, bob, carol := newClient(known, "alice"), newClient(known, "bob"), newClient(known, "carol")
	alice.group = must(mls.Create(alice.cfg, mls.CreateParams{
		GroupID: []byte("lunch"), Suite: mls.SuiteXWing, Credential: alice.credential(), Signer: alice.key,
		ExtraCapabilities: knowing,
		GroupContextExtensions: []mls.Extension{
			{Type: topic, Data: []byte("soup")},
			mls.RequiredCapabilitiesExtension(knowing),
		},
	}))

	// Carol's software does not know topics, Bob's does.
	var rule *mls.ValidationError
	_, err := alice.group.Commit(mls.CommitOptions{
		Proposals: []mls.Proposal{mls.AddProposal(carol.keyPackage(mls.SuiteXWing).KeyPackage())},
	})
	fmt.Println("Carol is refused:", errors.As(err, &rule))
	bundle := must(mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: mls.SuiteXWing, Credential: bob.credential(), Signer: bob.key, ExtraCapabilities: knowing,
	}))
	staged := must(alice.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{mls.AddProposal(bundle.KeyPackage())}}))
	alice.merge()
	bob.group = must(mls.Join(bob.cfg, bob.key, bundle, staged.Welcome, nil))

	// The proposal replaces all extensions, so Alice starts from those there are.
	extensions := alice.group.GroupContextExtensions()
	for i := range extensions {
		if extensions[i].Type == topic {
			extensions[i].Data = []byte("salad")
		}
	}
	staged = must(alice.group.Commit(mls.CommitOptions{
		Proposals: []mls.Proposal{mls.GroupContextExtensionsProposal(extensions)},
	}))
	alice.merge()
	bob.receive(staged.Message)
	data, _ := bob.group.GroupContextExtension(topic)
	fmt.Printf("topic: %s\n", data)
	// Output:
	// Carol is refused: true
	// topic: salad
}
