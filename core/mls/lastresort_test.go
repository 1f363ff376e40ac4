package mls

import "testing"

// TestLastResort: one KeyPackage, handed out twice, leads into two groups, and its
// bundle is destroyed only then.
func TestLastResort(t *testing.T) {
	dave := newPeer(t, SuiteX25519, "dave")
	b, err := NewKeyPackage(KeyPackageOptions{
		Suite: SuiteX25519, Credential: dave.credential, Signer: dave.signer, ExtraCapabilities: dave.capabilities, LastResort: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Public().LastResort() {
		t.Error("the key package does not say what it is")
	}
	dave.bundle = b
	for _, name := range []string{"one", "two"} {
		alice := newPeer(t, SuiteX25519, name)
		alice.create()
		s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(b.KeyPackage())}})
		alice.merge()
		dave.join(s.Welcome)
		agree(t, alice, dave)
		alice.hears(dave.seal("here"), "here", dave)
		// The first commit replaces the leaf's key, which the bundle still has.
		alice.process(dave.commit(CommitOptions{}).Message)
		dave.merge()
		agree(t, alice, dave)
	}
	b.Destroy()
	alice := newPeer(t, SuiteX25519, "three")
	alice.create()
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(b.KeyPackage())}})
	if _, err := Join(dave.cfg, dave.signer, b, s.Welcome, nil); err == nil {
		t.Error("joined with a destroyed bundle")
	}
}
