package mls_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"

	"quicprochat/core/mls"
)

// directory is an authentication service that knows who has which key.
type directory map[string]ed25519.PublicKey

func (d directory) ValidateLeaf(_ mls.LeafContext, leaf *mls.LeafNode) error {
	if key, ok := d[string(leaf.Credential.Identity)]; !ok || !bytes.Equal(key, leaf.SignatureKey) {
		return errors.New("unknown key")
	}
	return nil
}

func (directory) ValidateExternalSender([]byte, mls.ExternalSender) error {
	return errors.New("nobody outside has a say")
}

// vault stores a group's records; a real one does it in one transaction with
// the message they came with.
type vault map[string][]byte

func (v vault) save(g *mls.Group) {
	for _, c := range g.TakeChanges() {
		if c.Value == nil {
			delete(v, string(c.Key))
		} else {
			v[string(c.Key)] = c.Value
		}
	}
}

func Example() {
	alicePublic, aliceKey, _ := ed25519.GenerateKey(nil)
	bobPublic, bobKey, _ := ed25519.GenerateKey(nil)
	cfg := mls.Config{Auth: directory{"alice": alicePublic, "bob": bobPublic}}

	// Bob publishes a KeyPackage.
	bundle, err := mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: mls.SuiteXWing, Credential: mls.BasicCredential([]byte("bob")), Signer: bobKey,
	})
	if err != nil {
		log.Fatal(err)
	}

	// Alice makes a group and stages a commit that adds him.
	aliceVault, bobVault := vault{}, vault{}
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
	// staged.Message goes to the members, staged.Welcome to Bob. The service accepts:
	if err := alice.MergePending(); err != nil {
		log.Fatal(err)
	}
	aliceVault.save(alice)

	bob, err := mls.Join(cfg, bobKey, bundle, staged.Welcome, nil)
	if err != nil {
		log.Fatal(err)
	}
	bundle.Destroy()
	bobVault.save(bob)

	// A message.
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

	// After a restart.
	bob, err = mls.Load(cfg, bobKey, func(yield func(key, value []byte) bool) {
		for k, v := range bobVault {
			if !yield([]byte(k), v) {
				return
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bob.Epoch(), bytes.Equal(alice.EpochAuthenticator(), bob.EpochAuthenticator()))
	// Output:
	// bob: noon?
	// 1 true
}

// A client that is no member lets itself in, and comes back when it has lost its state.
func ExampleJoinByCommit() {
	alicePublic, aliceKey, _ := ed25519.GenerateKey(nil)
	bobPublic, bobKey, _ := ed25519.GenerateKey(nil)
	cfg := mls.Config{Auth: directory{"alice": alicePublic, "bob": bobPublic}}
	alice, err := mls.Create(cfg, mls.CreateParams{
		GroupID: []byte("lunch"), Suite: mls.SuiteXWing, Credential: mls.BasicCredential([]byte("alice")), Signer: aliceKey,
	})
	if err != nil {
		log.Fatal(err)
	}

	enter := func(replace *mls.LeafIndex) *mls.Group {
		info, err := alice.GroupInfo(true) // is published with every commit
		if err != nil {
			log.Fatal(err)
		}
		bob, commit, err := mls.JoinByCommit(cfg, mls.ExternalJoinOptions{
			GroupInfo: info, Signer: bobKey, Credential: mls.BasicCredential([]byte("bob")), Replace: replace,
		})
		if err != nil {
			log.Fatal(err)
		}
		vault{}.save(bob) // before the commit leaves
		result, err := alice.Process(commit)
		if err != nil {
			log.Fatal(err)
		}
		staged := result.(*mls.StagedCommit)
		fmt.Println(staged.External, len(staged.Added), len(staged.Removed))
		if err := alice.Merge(staged); err != nil {
			log.Fatal(err)
		}
		return bob
	}
	bob := enter(nil)
	old := bob.OwnIndex()
	bob = enter(&old)
	fmt.Println(alice.MemberCount(), bytes.Equal(alice.EpochAuthenticator(), bob.EpochAuthenticator()))
	// Output:
	// true 1 0
	// true 1 1
	// 2 true
}
