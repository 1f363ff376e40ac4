package mls

import (
	"crypto/ed25519"
	"testing"
)

// TestProposalValidation: what no commit could contain is refused when it is
// proposed, and a proposal that only a member's software mistakes for one is none.
func TestProposalValidation(t *testing.T) {
	const suite = SuiteX25519
	peers := newGroupOf(t, suite, 3)
	mallory, bob := peers[0], peers[1]
	keyPackage := func(edit func(*KeyPackage)) *Proposal {
		return badKeyPackage(t, suite, func(kp *KeyPackage, signer ed25519.PrivateKey) {
			kp.leaf.raw = nil
			edit(kp)
			resign(kp, signer)
		})
	}
	psk := func(id pskID) *Proposal { return &Proposal{typ: ProposalPSK, psk: id} }
	nonce := make([]byte, 32)
	cases := []struct {
		name string
		want any
		p    *Proposal
	}{
		{"proposed key package of another suite", "12.1.1", badKeyPackage(t, SuiteXWing, func(*KeyPackage, ed25519.PrivateKey) {})},
		{"proposed key package with one key for both", "10.1", keyPackage(func(kp *KeyPackage) { kp.initKey = kp.leaf.EncryptionKey })},
		{"proposed key package with a path's leaf", "10", keyPackage(func(kp *KeyPackage) { kp.leaf.Source = SourceCommit })},
		{"proposed key package with a bad signature", ErrInvalidSignature, badKeyPackage(t, suite, func(kp *KeyPackage, _ ed25519.PrivateKey) {
			kp.raw[len(kp.raw)-1] ^= 1
			kp.signature = kp.raw[len(kp.raw)-64:]
		})},
		{"proposed key package with an extension twice", "13.4", keyPackage(func(kp *KeyPackage) {
			kp.extensions = []Extension{{Type: ExtLastResort}, {Type: ExtLastResort}}
		})},
		{"proposed removal of a blank leaf", "12.1.3", &Proposal{typ: ProposalRemove, removed: 3}},
		{"proposed removal beyond the tree", "12.1.3", &Proposal{typ: ProposalRemove, removed: 1<<32 - 1}},
		{"proposed extensions with one twice", "13.4", &Proposal{
			typ: ProposalGroupContextExtensions, extensions: []Extension{{Type: extTest}, {Type: extTest}},
		}},
		{"proposed extensions with malformed requirements", ErrMalformed, &Proposal{
			typ: ProposalGroupContextExtensions, extensions: []Extension{{Type: ExtRequiredCapabilities, Data: []byte{0, 0, 0, 0}}},
		}},
		{"proposed PSK with a long nonce", "12.1.4", psk(pskID{typ: pskExternal, nonce: make([]byte, 33)})},
		{"proposed PSK of a branch", "12.1.4", psk(pskID{typ: pskResumption, usage: 3, nonce: nonce})},
		{"proposed PSK of no usage", ErrMalformed, psk(pskID{typ: pskResumption, usage: 0, nonce: nonce})},
		{"proposed re-initialisation with an older version", "12.1.5", &Proposal{typ: ProposalReInit, reInit: &ReInit{GroupID: []byte("x"), Suite: suite}}},
		{"proposed re-initialisation with an extension twice", "13.4", &Proposal{typ: ProposalReInit, reInit: &ReInit{
			GroupID: []byte("x"), Version: 1, Suite: suite, Extensions: []Extension{{Type: extTest}, {Type: extTest}},
		}}},
		{"proposed external init", nil, &Proposal{typ: ProposalExternalInit, kemOutput: []byte{1}}},
		{"proposal of an unknown type", ErrMalformed, &Proposal{typ: 0xF0F0}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { bob.resists(t, mallory.forgeProposal(c.p), c.want) })
	}
	m, err := mallory.g.Propose(RemoveProposal(2))
	if err != nil {
		t.Fatal(err)
	}
	bob.process(m)
}

// TestMessageValidation: what a message says of itself fits what it carries, whoever signs it.
func TestMessageValidation(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	mallory, bob := peers[0], peers[1]
	s := mallory.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(3)}})
	mallory.merge()
	bob.process(s.Message)
	g := mallory.g
	remove := marshal(&Proposal{typ: ProposalRemove, removed: 2})
	// private encrypts a message whose parts edit may falsify before they are signed and encrypted.
	private := func(typ contentType, body []byte, edit func(*authenticatedContent, *senderData), after func(*authenticatedContent)) []byte {
		c := g.content(typ, body, nil)
		d := senderData{leaf: g.own}
		edit(c, &d)
		if err := c.sign(g.suite, g.signer, g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		c.confirmationTag = make([]byte, g.suite.nh)
		after(c)
		step, err := g.keys.send(g.own, c.content.typ.ratchet())
		if err != nil {
			t.Fatal(err)
		}
		d.generation += step.generation
		m := &privateMessage{groupID: c.content.groupID, epoch: c.content.epoch, typ: c.content.typ, aad: c.content.aad}
		var w writer
		w.raw(c.content.body)
		c.encodeAuth(&w)
		m.ciphertext, _ = g.suite.seal(step.key, d.guarded(step.nonce), m.contentAAD(), w.b)
		key, nonce := g.suite.senderDataKey(g.cur.secrets.senderData, m.ciphertext)
		m.senderData, _ = g.suite.seal(key, nonce, m.senderDataAAD(), marshal(d))
		step.apply(g.log)
		mallory.save()
		return marshal(&message{wireFormat: wirePrivate, private: m})
	}
	asIs := func(*authenticatedContent, *senderData) {}
	same := func(*authenticatedContent) {}
	empty := marshal(&commit{})
	cases := []struct {
		name string
		want any
		m    []byte
	}{
		{"of another group", ErrWrongGroup, private(contentProposal, remove, func(c *authenticatedContent, _ *senderData) {
			c.content.groupID = []byte("another group")
		}, same)},
		{"of a later epoch", ErrFutureEpoch, private(contentProposal, remove, func(c *authenticatedContent, _ *senderData) { c.content.epoch++ }, same)},
		{"of an epoch before the first", ErrOldEpoch, private(contentProposal, remove, func(c *authenticatedContent, _ *senderData) { c.content.epoch = 0 }, same)},
		{"handshake of a past epoch", nil, private(contentProposal, remove, func(c *authenticatedContent, _ *senderData) { c.content.epoch-- }, same)},
		{"sender beyond the tree", "6.3.2", private(contentProposal, remove, func(_ *authenticatedContent, d *senderData) { d.leaf = 1 << 31 }, same)},
		{"sender at a blank leaf", "6.3.2", private(contentProposal, remove, func(_ *authenticatedContent, d *senderData) { d.leaf = 3 }, same)},
		{"in the receiver's own name", ErrOwnMessage, private(contentProposal, remove, func(_ *authenticatedContent, d *senderData) { d.leaf = 1 }, same)},
		{"under another generation's key", ErrDecrypt, private(contentProposal, remove, func(_ *authenticatedContent, d *senderData) { d.generation = 7 }, same)},
		{"generation far ahead", ErrTooFarAhead, private(contentProposal, remove, func(_ *authenticatedContent, d *senderData) { d.generation = 5000 }, same)},
		{"commit for a proposal", ErrMalformed, private(contentProposal, empty, asIs, same)},
		{"trailing bytes of a proposal", ErrMalformed, private(contentProposal, append(remove[:len(remove):len(remove)], 1), asIs, same)},
		{"signature garbled", ErrInvalidSignature, private(contentProposal, remove, asIs, func(c *authenticatedContent) { c.signature[5] ^= 1 })},
		{"signature missing", ErrInvalidSignature, private(contentProposal, remove, asIs, func(c *authenticatedContent) { c.signature = nil })},
		{"other additional data than signed", ErrInvalidSignature, private(contentProposal, remove, asIs, func(c *authenticatedContent) { c.content.aad = []byte("x") })},
		{"empty commit without a path", "12.4", private(contentCommit, empty, asIs, same)},
		{"commit's confirmation tag garbled", ErrInvalidSignature, private(contentCommit, addOnlyCommit(t), asIs, same)},
		{"commit's confirmation tag short", ErrInvalidSignature, private(contentCommit, addOnlyCommit(t), asIs, func(c *authenticatedContent) {
			c.confirmationTag = c.confirmationTag[1:]
		})},
		{"commit's confirmation tag empty", ErrInvalidSignature, private(contentCommit, addOnlyCommit(t), asIs, func(c *authenticatedContent) {
			c.confirmationTag = nil
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { bob.resists(t, c.m, c.want) })
	}
	bob.process(mallory.forge(func(*forgery) {}))
}

// addOnlyCommit is the body of a commit that is valid but for its confirmation tag.
func addOnlyCommit(t *testing.T) []byte {
	fresh := badKeyPackage(t, SuiteX25519, func(*KeyPackage, ed25519.PrivateKey) {})
	return marshal(&commit{proposals: []proposalOrRef{{proposal: fresh}}})
}

// TestSelfRemoveSupport: who stays must support a member's leaving by itself, and a
// proposal to do so where somebody does not keeps nobody from committing.
func TestSelfRemoveSupport(t *testing.T) {
	alice, bob, carol, old := newPeer(t, SuiteX25519, "alice"), newPeer(t, SuiteX25519, "bob"), newPeer(t, SuiteX25519, "carol"), newPeer(t, SuiteX25519, "old")
	alice.create()
	bob.keyPackage()
	carol.keyPackage()
	old.keyPackage()
	without(&old.bundle.kp.leaf.Capabilities.Proposals, uint16(ProposalSelfRemove))
	old.bundle.kp.leaf.raw = nil
	resign(old.bundle.kp, old.signer.(ed25519.PrivateKey))
	var adds []Proposal
	for _, p := range []*peer{bob, carol, old} {
		adds = append(adds, AddProposal(p.bundle.KeyPackage()))
	}
	s := alice.commit(CommitOptions{Proposals: adds})
	alice.merge()
	bob.join(s.Welcome)
	carol.join(s.Welcome)
	_, err := carol.g.ProposeSelfRemove()
	expect(t, err, "7.2")
	leave := carol.forgeProposal(&Proposal{typ: ProposalSelfRemove})
	bob.process(leave)
	alice.process(leave)
	ref := bob.g.proposals[0].ref
	bob.resists(t, alice.forge(func(f *forgery) { f.c.proposals = []proposalOrRef{{ref: ref}} }), "12.2")
	if s := alice.commit(CommitOptions{}); len(s.Removed) != 0 {
		t.Error("alice commits what not all support")
	}
	bob.process(alice.g.Pending().Message)
}
