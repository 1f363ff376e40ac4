package mls_test

import (
	"crypto/ed25519"
	"fmt"
	"log"

	"quicprochat/core/mls"
)

// A conversation of two, from nothing.
func Example() {
	alicePublic, aliceKey, _ := ed25519.GenerateKey(nil)
	bobPublic, bobKey, _ := ed25519.GenerateKey(nil)
	cfg := mls.Config{Auth: directory{"alice": alicePublic, "bob": bobPublic}}
	aliceVault, bobVault := vault{}, vault{}

	// Bob publishes a KeyPackage.
	bundle, err := mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: mls.SuiteXWing, Credential: mls.BasicCredential([]byte("bob")), Signer: bobKey,
	})
	if err != nil {
		log.Fatal(err)
	}

	// Alice makes a group and stages a commit that adds him.
	alice, err := mls.Create(cfg, mls.CreateParams{
		GroupID: []byte("lunch"), Suite: mls.SuiteXWing, Credential: mls.BasicCredential([]byte("alice")), Signer: aliceKey,
	})
	if err != nil {
		log.Fatal(err)
	}
	staged, err := alice.Commit(mls.CommitOptions{Proposals: []mls.Proposal{mls.AddProposal(bundle.KeyPackage())}})
	if err != nil {
		log.Fatal(err)
	}
	aliceVault.save(alice)

	// She publishes staged.Message, which nobody else is there to read yet. The delivery
	// service accepts it, and passes staged.Welcome to Bob.
	if err := alice.MergePending(); err != nil {
		log.Fatal(err)
	}
	aliceVault.save(alice)
	bob, err := mls.Join(cfg, bobKey, bundle, staged.Welcome, nil)
	if err != nil {
		log.Fatal(err)
	}
	bobVault.save(bob)
	bundle.Destroy()

	// Bob says something.
	message, err := bob.Seal([]byte("noon?"), nil)
	if err != nil {
		log.Fatal(err)
	}
	bobVault.save(bob) // before it leaves
	result, err := alice.Process(message)
	if err != nil {
		log.Fatal(err)
	}
	aliceVault.save(alice)
	if m, ok := result.(*mls.Application); ok {
		fmt.Printf("%s: %s\n", m.SenderLeaf.Credential.Identity, m.Data)
	}
	// Output:
	// bob: noon?
}
