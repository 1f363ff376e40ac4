package mls

import (
	"crypto"
	"errors"
	"testing"
)

// The same rules hold on the sending side: nothing is published or changed.
func TestCommitRefuses(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice := peers[0]
	expired := newPeer(t, SuiteX25519, "late")
	b, err := NewKeyPackage(KeyPackageOptions{
		Suite: SuiteX25519, Credential: BasicCredential(nil), Signer: expired.signer,
		NotBefore: alice.g.cfg.now().AddDate(-1, 0, 0), NotAfter: alice.g.cfg.now().AddDate(0, 0, -1),
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, b.Public().Verify(alice.g.cfg.now()), "7.3")
	_, err = alice.g.Propose(AddProposal(b.KeyPackage()))
	expect(t, err, "7.3")
	if len(alice.g.TakeChanges()) != 0 {
		t.Error("a proposal that is not made changes the group")
	}
	for _, c := range []struct {
		p    Proposal
		want any
	}{
		{AddProposal(nil), ErrMalformed},
		{AddProposal(b.KeyPackage()), "7.3"},
		{RemoveProposal(0), "12.2"},
		{RemoveProposal(7), "12.1.3"},
		{GroupContextExtensionsProposal([]Extension{{Type: 0xF0FF}}), "12.1.7"},
		{ExternalPSKProposal([]byte("id")), ErrMissingPSK},
	} {
		_, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{c.p}})
		expect(t, err, c.want)
		if changes := alice.g.TakeChanges(); len(changes) != 0 || alice.g.Pending() != nil {
			t.Errorf("%d records changed", len(changes))
		}
	}
}

type refusing struct{ name string }

var errRefused = errors.New("refused")

func (refusing) ValidateExternalSender([]byte, ExternalSender) error { return nil }

func (r refusing) ValidateLeaf(_ LeafContext, leaf *LeafNode) error {
	if string(leaf.Credential.Identity) == r.name {
		return errRefused
	}
	return nil
}

func TestAuthenticationServiceRefuses(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	eve := newPeer(t, SuiteX25519, "eve")
	add := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(eve.keyPackage())}})
	bob.g.cfg.Auth = refusing{"eve"}
	bob.refuses(add.Message, errRefused)
	alice.g.DiscardPending()

	update := alice.commit(CommitOptions{})
	bob.g.cfg.Auth = refusing{"peer 0"}
	bob.refuses(update.Message, errRefused)
	_, err := bob.g.Commit(CommitOptions{Proposals: []Proposal{AddProposal(eve.keyPackage())}})
	if err != nil {
		t.Fatal(err)
	}
	bob.g.DiscardPending()

	alice.g.DiscardPending()
	alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(eve.keyPackage())}})
	welcome := alice.g.Pending().Welcome
	eve.cfg.Auth = refusing{"peer 2"}
	_, err = Join(eve.cfg, eve.signer, eve.bundle, welcome, nil)
	expect(t, err, errRefused)
	eve.cfg.Auth = refusing{"nobody"}
	if _, err = Join(eve.cfg, eve.signer, eve.bundle, welcome, nil); err != nil {
		t.Error(err)
	}
}

func TestFramingValidation(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	mallory, bob := peers[0], peers[1]
	bob.g.cfg.Handshakes = HandshakesMixed
	g := mallory.g
	public := func(typ contentType, body []byte, from sender, edit func(*publicMessage)) []byte {
		content := g.content(typ, body, nil)
		content.wireFormat, content.content.sender = wirePublic, from
		if err := content.sign(g.suite, g.signer, g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		m := &publicMessage{authenticatedContent: *content}
		m.authenticate(g.suite, g.cur.secrets.membership, g.cur.contextRaw)
		edit(m)
		return marshal(&message{wireFormat: wirePublic, public: m})
	}
	private := func(body []byte, signer crypto.Signer, as LeafIndex, pad byte) []byte {
		content := g.content(contentApplication, body, nil)
		content.content.sender.index = uint32(as)
		if err := content.sign(g.suite, signer, g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		step, err := g.keys.send(as, ratchetApplication)
		if err != nil {
			t.Fatal(err)
		}
		d := senderData{leaf: as, generation: step.generation}
		m := &privateMessage{groupID: content.content.groupID, epoch: content.content.epoch, typ: contentApplication}
		var w writer
		w.raw(body)
		content.encodeAuth(&w)
		w.u8(pad)
		m.ciphertext, _ = g.suite.seal(step.key, d.guarded(step.nonce), m.contentAAD(), w.b)
		key, nonce := g.suite.senderDataKey(g.cur.secrets.senderData, m.ciphertext)
		m.senderData, _ = g.suite.seal(key, nonce, m.senderDataAAD(), marshal(d))
		step.apply(g.log)
		return marshal(&message{wireFormat: wirePrivate, private: m})
	}
	same := func(*publicMessage) {}
	remove := marshal(&Proposal{typ: ProposalRemove, removed: 2})
	member := sender{SenderMember, 0}
	cases := []struct {
		name string
		want any
		m    []byte
	}{
		{"public application", "6.2", public(contentApplication, []byte{1, 1}, member, same)},
		{"external sender", "12.1.8.1", public(contentProposal, remove, sender{typ: SenderExternal}, same)},
		{"new member", "12.1.8", public(contentProposal, remove, sender{typ: SenderNewMemberProposal}, same)},
		{"membership tag", ErrInvalidSignature, public(contentProposal, remove, member, func(m *publicMessage) { m.membershipTag[0] ^= 1 })},
		{"short membership tag", ErrInvalidSignature, public(contentProposal, remove, member, func(m *publicMessage) { m.membershipTag = nil })},
		{"public signature", ErrInvalidSignature, public(contentProposal, remove, member, func(m *publicMessage) {
			m.signature[0] ^= 1
			m.authenticate(g.suite, g.cur.secrets.membership, g.cur.contextRaw)
		})},
		{"not a member", "6.1", public(contentProposal, remove, sender{SenderMember, 3}, same)},
		{"oneself", ErrOwnMessage, public(contentProposal, remove, sender{SenderMember, 1}, same)},
		{"in another's name", ErrInvalidSignature, private([]byte{1, 'x'}, mallory.signer, 2, 0)},
		{"from a blank leaf", "6.3.2", private([]byte{1, 'x'}, mallory.signer, 3, 0)},
		{"padding", ErrMalformed, private([]byte{1, 'x'}, mallory.signer, 0, 1)},
		{"content length", ErrMalformed, private([]byte{0x40, 1, 'x'}, mallory.signer, 0, 0)},
		{"a welcome", ErrUnsupported, marshal(&message{wireFormat: wireWelcome, welcome: &welcome{suite: 1}})},
		{"a key package", ErrUnsupported, marshal(&message{wireFormat: wireKeyPackage, keyPackage: bob.bundle.kp})},
		{"another version", ErrUnsupported, append([]byte{0, 2}, mallory.seal("x")[2:]...)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bob.resists(t, c.m, c.want)
		})
	}
	// A proposal in public is as good as one in private.
	if r := bob.process(public(contentProposal, remove, member, same)).(*ReceivedProposal); r.Target != 2 {
		t.Errorf("proposal is %+v", r)
	}
	bob.refuses(public(contentProposal, remove, member, same), ErrAlreadyUsed)
}
