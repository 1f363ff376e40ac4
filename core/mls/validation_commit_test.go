package mls

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
)

// forgery is a commit that its author, who has a member's keys, may falsify
// before it is signed.
type forgery struct {
	g    *Group
	c    *commit
	out  *outcome
	path *newPath
}

// forge makes a commit past all checks on the sending side.
func (p *peer) forge(edit func(*forgery)) []byte {
	p.t.Helper()
	out, err := p.g.apply(memberSender(p.g.own), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	path, err := p.g.newPath(out, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	f := &forgery{g: p.g, c: &commit{path: &path.path}, out: out, path: path}
	edit(f)
	s, err := p.g.publishable(f.c, CommitOptions{}, f.out, f.path)
	if err != nil {
		p.t.Fatal(err)
	}
	p.g.DiscardPending()
	p.save()
	return s.Message
}

func (f *forgery) byValue(list ...*Proposal) {
	for _, p := range list {
		f.c.proposals = append(f.c.proposals, proposalOrRef{proposal: p})
	}
}

func (f *forgery) resignLeaf() {
	if err := f.path.path.leaf.sign(f.g.suite, f.g.signer, f.g.cur.context.groupID, f.g.own); err != nil {
		panic(err)
	}
}

// expect tells whether err is the sentinel wanted or a ValidationError of the section wanted.
func expect(t testing.TB, err error, want any) {
	t.Helper()
	switch want := want.(type) {
	case error:
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	case string:
		var invalid *ValidationError
		if !errors.As(err, &invalid) || invalid.Section != want {
			t.Errorf("got %v, want a violation of §%s", err, want)
		}
	}
}

func badKeyPackage(t testing.TB, suite Suite, edit func(kp *KeyPackage, signer ed25519.PrivateKey)) *Proposal {
	p := newPeer(t, suite, "newcomer")
	kp, err := ParseKeyPackage(p.keyPackage())
	if err != nil {
		t.Fatal(err)
	}
	edit(kp, p.signer.(ed25519.PrivateKey))
	return &Proposal{typ: ProposalAdd, keyPackage: kp}
}

// resign signs leaf and KeyPackage anew after an edit.
func resign(kp *KeyPackage, signer ed25519.PrivateKey) {
	s, err := suiteOf(kp.suite)
	if err != nil {
		s = suites[0]
	}
	if err := kp.leaf.sign(s, signer, nil, 0); err != nil {
		panic(err)
	}
	kp.signature, _ = s.signWithLabel(signer, "KeyPackageTBS", kp.tbs())
	var w writer
	kp.encodeUnsigned(&w)
	w.vec(kp.signature)
	kp.raw = w.b
}

func TestCommitValidation(t *testing.T) {
	const suite = SuiteX25519
	peers := newGroupOf(t, suite, 5)
	mallory, bob := peers[0], peers[1]
	others := peers[1:]

	// Proposals that forged commits refer to; everybody has them but dave, who leaves the tree.
	reference := func(from *peer, m []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		from.save()
		for _, p := range peers {
			if p != from {
				p.process(m)
			}
		}
		return bob.g.proposals[len(bob.g.proposals)-1].ref
	}
	s := mallory.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(4)}})
	mallory.merge()
	for _, p := range others {
		p.process(s.Message)
	}
	peers = peers[:4]
	m, err := peers[2].g.ProposeUpdate(nil)
	update := reference(peers[2], m, err)
	m, err = peers[3].g.ProposeSelfRemove()
	leaving := reference(peers[3], m, err)
	m, err = mallory.g.ProposeUpdate(nil)
	ownUpdate := reference(mallory, m, err)

	fresh := badKeyPackage(t, suite, func(*KeyPackage, ed25519.PrivateKey) {})
	psk := func() *Proposal {
		return &Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, id: []byte("id"), nonce: make([]byte, 32)}}
	}
	gce := func(list ...Extension) *Proposal {
		return &Proposal{typ: ProposalGroupContextExtensions, extensions: list}
	}
	cases := []struct {
		name string
		want any
		edit func(*forgery)
	}{
		{"update by value", "12.2", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalUpdate, leaf: f.path.path.leaf})
		}},
		{"update by the committer", "12.2", func(f *forgery) {
			f.c.proposals = []proposalOrRef{{ref: ownUpdate}}
		}},
		{"removes itself", "12.2", func(f *forgery) { f.byValue(&Proposal{typ: ProposalRemove, removed: 0}) }},
		{"removes twice", "12.2", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalRemove, removed: 1}, &Proposal{typ: ProposalRemove, removed: 1})
		}},
		{"update and remove", "12.2", func(f *forgery) {
			f.c.proposals = []proposalOrRef{{ref: update}}
			f.byValue(&Proposal{typ: ProposalRemove, removed: 2})
		}},
		{"self-remove and remove", "12.2", func(f *forgery) {
			f.c.proposals = []proposalOrRef{{ref: leaving}}
			f.byValue(&Proposal{typ: ProposalRemove, removed: 3})
		}},
		{"the same reference twice", "12.2", func(f *forgery) {
			f.c.proposals = []proposalOrRef{{ref: update}, {ref: update}}
		}},
		{"unknown reference", ErrMissingProposal, func(f *forgery) {
			f.c.proposals = []proposalOrRef{{ref: make([]byte, 32)}}
		}},
		{"self-remove by value", "mls-extensions SelfRemove", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalSelfRemove})
		}},
		{"external init", "12.2", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalExternalInit, kemOutput: []byte{1}})
		}},
		{"the same PSK twice", "12.2", func(f *forgery) { f.byValue(psk(), psk()) }},
		{"short PSK nonce", "12.1.4", func(f *forgery) {
			p := psk()
			p.psk.nonce = p.psk.nonce[:31]
			f.byValue(p)
		}},
		{"resumption PSK of a reinit", "12.1.4", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalPSK, psk: pskID{typ: pskResumption, usage: 2, nonce: make([]byte, 32)}})
		}},
		{"unknown PSK", ErrMissingPSK, func(f *forgery) { f.byValue(psk()) }},
		{"remove of a blank leaf", "12.1.3", func(f *forgery) { f.byValue(&Proposal{typ: ProposalRemove, removed: 4}) }},
		{"remove outside the tree", "12.1.3", func(f *forgery) { f.byValue(&Proposal{typ: ProposalRemove, removed: 1 << 31}) }},
		{"extensions twice", "12.2", func(f *forgery) { f.byValue(gce(), gce()) }},
		{"extension twice", "13.4", func(f *forgery) { f.byValue(gce(Extension{Type: extTest}, Extension{Type: extTest})) }},
		{"extension not supported", "12.1.7", func(f *forgery) { f.byValue(gce(Extension{Type: 0xF0FF})) }},
		{"requirements malformed", ErrMalformed, func(f *forgery) {
			f.byValue(gce(Extension{Type: ExtRequiredCapabilities, Data: []byte{1}}))
		}},
		{"required extension not supported", "11.1", func(f *forgery) {
			f.byValue(gce(Extension{Type: ExtRequiredCapabilities, Data: []byte{2, 0xF0, 0xFF, 0, 0}}))
		}},
		{"required proposal not supported", "11.1", func(f *forgery) {
			f.byValue(gce(Extension{Type: ExtRequiredCapabilities, Data: []byte{0, 2, 0xF0, 0xFF, 0}}))
		}},
		{"required credential not supported", "11.1", func(f *forgery) {
			f.byValue(gce(Extension{Type: ExtRequiredCapabilities, Data: []byte{0, 0, 2, 0xF0, 0xFF}}))
		}},
		{"no path", "12.4", func(f *forgery) { f.c.path = nil }},
		{"no path for a removal", "12.4", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalRemove, removed: 2})
			f.c.path = nil
		}},

		{"adds twice", "7.3", func(f *forgery) { f.byValue(fresh, fresh) }},
		{"adds a member", "7.3", func(f *forgery) {
			f.byValue(&Proposal{typ: ProposalAdd, keyPackage: peers[2].bundle.kp})
		}},
		{"key package of another suite", "12.1.1", func(f *forgery) {
			f.byValue(badKeyPackage(t, SuiteXWing, func(*KeyPackage, ed25519.PrivateKey) {}))
		}},
		{"key package with a bad signature", ErrInvalidSignature, func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, _ ed25519.PrivateKey) { kp.raw[len(kp.raw)-1] ^= 1 }))
		}},
		{"key package whose leaf has a bad signature", ErrInvalidSignature, func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				other := ed25519.NewKeyFromSeed(make([]byte, 32))
				kp.leaf.sign(suites[0], other, nil, 0)
				kp.signature, _ = suites[0].signWithLabel(signer, "KeyPackageTBS", kp.tbs())
				kp.raw = append(kp.tbs(), append([]byte{0x40, 64}, kp.signature...)...)
			}))
		}},
		{"key package with one key for both", "10.1", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.initKey = kp.leaf.EncryptionKey
				resign(kp, signer)
			}))
		}},
		{"key package with an update's leaf", "10", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Source = nil, SourceUpdate
				resign(kp, signer)
			}))
		}},
		{"key package with a short init key", "10", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.initKey = kp.initKey[1:]
				resign(kp, signer)
			}))
		}},
		{"key package with a short encryption key", "7.3", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.EncryptionKey = nil, kp.leaf.EncryptionKey[1:]
				resign(kp, signer)
			}))
		}},
		{"key package without the suite", "7.2", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Capabilities.Suites = nil, []uint16{0xF002}
				resign(kp, signer)
			}))
		}},
		{"key package without the version", "7.2", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Capabilities.Versions = nil, nil
				resign(kp, signer)
			}))
		}},
		{"key package without its credential", "7.3", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Capabilities.Credentials = nil, []uint16{0x0a0a}
				resign(kp, signer)
			}))
		}},
		{"leaf with an unlisted extension", "7.3", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Extensions = nil, []Extension{{Type: 0xF0FF}}
				resign(kp, signer)
			}))
		}},
		{"lifetime that ends first", "7.2", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Lifetime = nil, Lifetime{2, 1}
				resign(kp, signer)
			}))
		}},
		{"joiner without the group's extension", "7.2", func(f *forgery) {
			f.byValue(gce(Extension{Type: extTest}), badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw = nil
				without(&kp.leaf.Capabilities.Extensions, extTest)
				resign(kp, signer)
			}))
		}},
		{"credential others do not support", "7.3", func(f *forgery) {
			f.byValue(badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
				kp.leaf.raw, kp.leaf.Credential = nil, Credential{Type: CredentialX509, Certificates: [][]byte{{1}}}
				kp.leaf.Capabilities.Credentials = []uint16{1, 2}
				resign(kp, signer)
			}))
		}},

		{"path leaf of another source", "12.4.2", func(f *forgery) {
			l := f.path.path.leaf
			l.raw, l.Source, l.parentHash = nil, SourceUpdate, nil
			f.resignLeaf()
		}},
		{"path leaf with the old key", "7.3", func(f *forgery) {
			l := f.path.path.leaf
			l.raw, l.EncryptionKey = nil, f.g.cur.tree.leaf(0).EncryptionKey
			f.resignLeaf()
		}},
		{"path leaf with another's encryption key", "12.4.2", func(f *forgery) {
			l := f.path.path.leaf
			l.raw, l.EncryptionKey = nil, f.g.cur.tree.leaf(2).EncryptionKey
			f.resignLeaf()
		}},
		{"path leaf with a wrong parent hash", "7.9.2", func(f *forgery) {
			l := f.path.path.leaf
			l.raw, l.parentHash = nil, make([]byte, 32)
			f.resignLeaf()
		}},
		{"path leaf with a bad signature", ErrInvalidSignature, func(f *forgery) {
			l := f.path.path.leaf
			l.raw[len(l.raw)-1] ^= 1
		}},
		{"path leaf signed for another place", ErrInvalidSignature, func(f *forgery) {
			l := f.path.path.leaf
			if err := l.sign(f.g.suite, f.g.signer, f.g.cur.context.groupID, 1); err != nil {
				t.Fatal(err)
			}
		}},
		{"path too short", "12.4.2", func(f *forgery) { f.path.path.nodes = f.path.path.nodes[1:] }},
		{"path too long", "12.4.2", func(f *forgery) {
			f.path.path.nodes = append(f.path.path.nodes, f.path.path.nodes[0])
		}},
		{"ciphertext missing", "7.6", func(f *forgery) {
			n := &f.path.path.nodes[1]
			n.secrets = n.secrets[1:]
		}},
		{"ciphertext too many", "7.6", func(f *forgery) {
			n := &f.path.path.nodes[0]
			n.secrets = append(n.secrets, n.secrets[0])
		}},
		{"path key malformed", "7.6", func(f *forgery) { f.path.path.nodes[0].publicKey = []byte{1} }},
		{"path key replaced", "7.9.2", func(f *forgery) {
			f.path.path.nodes[0].publicKey = bytes.Clone(f.path.path.nodes[1].publicKey)
		}},
		{"path secret garbled", ErrDecrypt, func(f *forgery) { f.path.path.nodes[0].secrets[0].ciphertext[0] ^= 1 }},
		{"encapsulation cut", ErrDecrypt, func(f *forgery) {
			f.path.path.nodes[0].secrets[0].kemOutput = f.path.path.nodes[0].secrets[0].kemOutput[1:]
		}},
		{"another path secret", "12.4.2", func(f *forgery) {
			secret := make([]byte, 32)
			context := marshal(f.g.nextContext(f.out, f.g.cur.context.confirmedTranscriptHash))
			key := f.g.cur.tree.leaf(1).EncryptionKey
			f.path.path.nodes[0].secrets[0], _ = f.g.suite.encryptWithLabel(key, "UpdatePathNode", context, secret)
		}},
		{"short path secret", "7.4", func(f *forgery) {
			context := marshal(f.g.nextContext(f.out, f.g.cur.context.confirmedTranscriptHash))
			key := f.g.cur.tree.leaf(1).EncryptionKey
			f.path.path.nodes[0].secrets[0], _ = f.g.suite.encryptWithLabel(key, "UpdatePathNode", context, []byte{1})
		}},
		{"wrong confirmation tag", ErrInvalidSignature, func(f *forgery) {
			f.out.extensions = []Extension{{Type: extTest}}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bob.resists(t, mallory.forge(c.edit), c.want)
		})
	}
	// And after all that an honest commit goes through.
	honest := mallory.forge(func(*forgery) {})
	bob.process(honest)
}
