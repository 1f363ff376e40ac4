package mls

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// Vectors of our own for the post-quantum suite, which the working group's
// files do not have. They pin the wire format and the key derivations:
// go test -run XWing -write-vectors makes new ones.
var writeVectors = flag.Bool("write-vectors", false, "write testdata/xwing.json anew")

type xwingVectors struct {
	DeriveSeed    hexBytes        `json:"derive_ikm"`
	DerivePrivate hexBytes        `json:"derive_priv"`
	DerivePublic  hexBytes        `json:"derive_pub"`
	Passive       []passiveVector `json:"passive_clients"`
}

func TestVectorsXWing(t *testing.T) {
	file := filepath.Join("testdata", "xwing.json")
	if *writeVectors {
		writeXWing(t, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v xwingVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	s, err := suiteOf(SuiteXWing)
	if err != nil {
		t.Fatal(err)
	}
	private, public, err := s.kem.deriveKeyPair(v.DeriveSeed)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "derived private key", private, v.DerivePrivate)
	equal(t, "derived public key", public, v.DerivePublic)
	equal(t, "start of the derived key", private[:4], []byte{0x8c, 0xf9, 0x6b, 0x44}) // draft-ietf-hpke-pq
	if len(v.Passive) == 0 {
		t.Error("no passive client")
	}
	for i := range v.Passive {
		v.Passive[i].follow(t)
	}
}

func writeXWing(t *testing.T, file string) {
	s, err := suiteOf(SuiteXWing)
	if err != nil {
		t.Fatal(err)
	}
	v := xwingVectors{DeriveSeed: bytes.Repeat([]byte{0x42}, 32)}
	if v.DerivePrivate, v.DerivePublic, err = keyPairOf(s, v.DeriveSeed); err != nil {
		t.Fatal(err)
	}
	alice, bob, carol := newPeer(t, SuiteXWing, "alice"), newPeer(t, SuiteXWing, "bob"), newPeer(t, SuiteXWing, "carol")
	alice.create()
	staged := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage()), AddProposal(carol.keyPackage())}})
	alice.merge()
	carol.join(staged.Welcome)
	p := passiveVector{
		CipherSuite: SuiteXWing, KeyPackage: marshal(&message{wireFormat: wireKeyPackage, keyPackage: bob.bundle.kp}),
		Signature: mustSigner(t, bob), Encryption: bob.bundle.encryptPrivate, Init: bob.bundle.initPrivate,
		Welcome: staged.Welcome, Authenticator: alice.g.EpochAuthenticator(),
	}
	proposal, err := carol.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	alice.process(proposal)
	update := alice.commit(CommitOptions{})
	alice.merge()
	carol.process(update.Message)
	p.Epochs = append(p.Epochs, passiveCommit{[]hexBytes{proposal}, update.Message, alice.g.EpochAuthenticator()})
	remove := carol.commit(CommitOptions{Proposals: []Proposal{
		RemoveProposal(0), GroupContextExtensionsProposal([]Extension{{Type: extTest, Data: []byte("name")}}),
	}})
	carol.merge()
	p.Epochs = append(p.Epochs, passiveCommit{nil, remove.Message, carol.g.EpochAuthenticator()})
	v.Passive = append(v.Passive, p)
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keyPairOf(s *suite, seed []byte) (private, public hexBytes, err error) {
	return s.kem.deriveKeyPair(seed)
}

func mustSigner(t *testing.T, p *peer) []byte {
	b, err := MarshalSigner(p.suite, p.signer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
