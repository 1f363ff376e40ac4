package mls_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"

	"quicprochat/core/mls"
)

// resident is a person of the example, whose key serves for either suite.
type resident struct {
	name  string
	key   ed25519.PrivateKey
	group *mls.Group
	vault vault
}

func newResident(known directory, name string) *resident {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	known[name] = public
	return &resident{name: name, key: key, vault: vault{}}
}

func (r *resident) credential() mls.Credential { return mls.BasicCredential([]byte(r.name)) }

func (r *resident) keyPackage(suite mls.Suite) *mls.KeyPackageBundle {
	return must(mls.NewKeyPackage(mls.KeyPackageOptions{Suite: suite, Credential: r.credential(), Signer: r.key}))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// A group moves from a classical suite to one that holds against quantum computers.
func ExampleGroup_Reinitialize() {
	known := directory{}
	cfg := mls.Config{Auth: known}
	alice, bob := newResident(known, "alice"), newResident(known, "bob")

	// A group with suite 1.
	bundle := bob.keyPackage(mls.SuiteX25519)
	alice.group = must(mls.Create(cfg, mls.CreateParams{
		GroupID: []byte("garden"), Suite: mls.SuiteX25519, Credential: alice.credential(), Signer: alice.key,
	}))
	staged := must(alice.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{mls.AddProposal(bundle.KeyPackage())}}))
	if err := alice.group.MergePending(); err != nil {
		log.Fatal(err)
	}
	bob.group = must(mls.Join(cfg, bob.key, bundle, staged.Welcome, nil))

	// Alice closes it. From here on nobody can send in it.
	staged = must(alice.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{
		mls.ReInitProposal(mls.ReInit{GroupID: []byte("garden, post-quantum"), Suite: mls.SuiteXWing}),
	}}))
	result := must(bob.group.Process(staged.Message))
	if commit, ok := result.(*mls.StagedCommit); ok && commit.ReInit != nil && commit.ReInit.Suite == mls.SuiteXWing {
		if err := bob.group.Merge(commit); err != nil { // where the application agrees
			log.Fatal(err)
		}
	}
	if err := alice.group.MergePending(); err != nil {
		log.Fatal(err)
	}
	_, err := bob.group.Seal([]byte("anybody?"), nil)
	fmt.Println(errors.Is(err, mls.ErrReInit))

	// Either makes the successor, here Bob, from a new KeyPackage of everybody else.
	bundle = alice.keyPackage(mls.SuiteXWing)
	next, staged, err := bob.group.Reinitialize(mls.SuccessorOptions{
		Credential: bob.credential(), Signer: bob.key, KeyPackages: [][]byte{bundle.KeyPackage()},
	})
	if err != nil {
		log.Fatal(err)
	}
	bob.vault.save(next) // before the Welcome goes out
	if err := next.MergePending(); err != nil {
		log.Fatal(err)
	}
	bob.vault.save(next)
	bob.group = next

	// Alice finds that the Welcome is into a group's successor, and of which.
	var successor *mls.SuccessorError
	if _, err := mls.Join(cfg, alice.key, bundle, staged.Welcome, nil); errors.As(err, &successor) {
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
