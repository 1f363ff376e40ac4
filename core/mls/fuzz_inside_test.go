package mls

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

// The targets here falsify what is inside: the attacker is a member, or somebody
// added, who has keys to sign and encrypt whatever comes.

// forgeContent signs and encrypts any body as a member, with this much padding.
func (p *peer) forgeContent(typ contentType, body, tag []byte, wireFormat uint16) []byte {
	g := p.g
	c := g.content(typ, body, nil)
	c.wireFormat, c.confirmationTag = wireFormat, tag
	if err := c.sign(g.suite, g.signer, g.cur.contextRaw); err != nil {
		p.t.Fatal(err)
	}
	if wireFormat == wirePublic {
		m := &publicMessage{authenticatedContent: *c}
		m.authenticate(g.suite, g.cur.secrets.membership, g.cur.contextRaw)
		return marshal(&message{wireFormat: wirePublic, public: m})
	}
	step, err := g.keys.send(g.own, typ.ratchet())
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := g.encrypt(c, step)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// FuzzContent: whatever a member signs is refused and the group is byte for byte as it was, or taken.
func FuzzContent(f *testing.F) {
	peers := newGroupOf(f, SuiteX25519, 5)
	mallory, bob := peers[0], peers[1]
	bob.cfg.Handshakes = HandshakesMixed
	add := func(typ contentType, body []byte) {
		f.Add(uint8(typ), body, []byte("tag"), false)
		f.Add(uint8(typ), body, []byte{}, true)
	}
	fresh := badKeyPackage(f, SuiteX25519, func(*KeyPackage, ed25519.PrivateKey) {})
	update, err := mallory.g.ProposeUpdate(nil)
	if err != nil {
		f.Fatal(err)
	}
	bob.process(update)
	mallory.save()
	ref := bob.g.proposals[0].ref
	list := []*Proposal{
		fresh, mallory.g.proposals[0].Proposal,
		{typ: ProposalRemove, removed: 2},
		{typ: ProposalSelfRemove},
		{typ: ProposalPSK, psk: pskID{typ: pskExternal, id: []byte("id"), nonce: make([]byte, 32)}},
		{typ: ProposalPSK, psk: pskID{typ: pskResumption, usage: usageApplication, groupID: []byte("a group"), epoch: 1, nonce: make([]byte, 32)}},
		{typ: ProposalReInit, reInit: &ReInit{GroupID: []byte("x"), Version: 1, Suite: 1, Extensions: []Extension{{Type: extTest}}}},
		{typ: ProposalExternalInit, kemOutput: make([]byte, 32)},
		{typ: ProposalGroupContextExtensions, extensions: []Extension{requiring(extTest, 0, 0)}},
	}
	for _, p := range list {
		add(contentProposal, marshal(p))
		add(contentCommit, marshal(&commit{proposals: []proposalOrRef{{proposal: p}, {ref: ref}}}))
	}
	mallory.forge(func(c *forgery) {
		add(contentCommit, marshal(c.c))
		c.byValue(fresh, &Proposal{typ: ProposalRemove, removed: 2})
		add(contentCommit, marshal(c.c))
		c.c.proposals = nil
	})
	add(contentApplication, []byte{1, 'x'})
	f.Fuzz(func(t *testing.T, typ uint8, body, tag []byte, public bool) {
		if typ < uint8(contentApplication) || typ > uint8(contentCommit) {
			return
		}
		mallory.t, bob.t = t, t
		mallory.restore()
		bob.restore()
		wireFormat := wirePrivate
		if public {
			wireFormat = wirePublic
		}
		m := mallory.forgeContent(contentType(typ), body, tag, wireFormat)
		before := dump(bob.g)
		_, err := bob.g.Process(m)
		if err != nil && (dump(bob.g) != before || len(bob.g.TakeChanges()) != 0) {
			t.Errorf("a message refused with %v changed the group", err)
		}
	})
}

// FuzzWelcome: whatever the one who adds a member puts into its Welcome, valid
// tags and signatures around it, is refused, or gives a group that can be stored.
func FuzzWelcome(f *testing.F) {
	alice, dave := newGroupOf(f, SuiteX25519, 4)[0], newPeer(f, SuiteX25519, "dave")
	staged := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(dave.keyPackage()), RemoveProposal(2)}})
	s := alice.g.suite
	m, err := unmarshal(bytes.Clone(staged.Welcome), readMessage)
	if err != nil {
		f.Fatal(err)
	}
	secrets, err := m.welcome.openSecrets(s, dave.bundle.Ref(), dave.bundle.initPrivate)
	if err != nil {
		f.Fatal(err)
	}
	info, err := m.welcome.openGroupInfo(s, s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil)).welcomeSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(marshal(secrets), marshal(info), true)
	f.Add(marshal(secrets), marshal(info), false)
	f.Fuzz(func(t *testing.T, secretsRaw, infoRaw []byte, honest bool) {
		joinerSecret := secrets.joinerSecret
		if g, err := unmarshal(secretsRaw, readGroupSecrets); err == nil {
			joinerSecret = g.joinerSecret
		}
		j := s.joinerFrom(bytes.Clone(joinerSecret), s.pskSecret(nil))
		if i, err := unmarshal(bytes.Clone(infoRaw), readGroupInfo); err == nil && honest {
			i.confirmationTag = s.mac(s.epochOf(j, marshal(&i.context)).confirmation, i.context.confirmedTranscriptHash)
			if err := i.sign(s, alice.signer); err != nil {
				t.Fatal(err)
			}
			infoRaw = marshal(i)
		}
		key, nonce := s.welcomeKey(j.welcomeSecret)
		w := &welcome{suite: s.id, secrets: make([]encryptedGroupSecrets, 1)}
		if w.groupInfo, err = s.seal(key, nonce, nil, infoRaw); err != nil {
			t.Fatal(err)
		}
		w.secrets[0].newMember = dave.bundle.Ref()
		w.secrets[0].secrets, err = s.encryptWithLabel(dave.bundle.kp.initKey, "Welcome", w.groupInfo, secretsRaw)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Join(dave.cfg, dave.signer, dave.bundle, marshal(&message{wireFormat: wireWelcome, welcome: w}), nil)
		if err != nil {
			return
		}
		usable(t, dave, g)
	})
}

// usable demands that a group just entered can be stored, restored and used.
func usable(t *testing.T, p *peer, g *Group) {
	q := *p
	q.t, q.g, q.store = t, g, records{}
	q.save()
	q.restore()
	q.seal("x")
	if _, err := q.g.Commit(CommitOptions{}); err == nil {
		q.merge()
		q.restore()
	}
}

// FuzzBundle: what decodes encodes to the same bytes, and joins or does not.
func FuzzBundle(f *testing.F) {
	alice, dave := newGroupOf(f, SuiteX25519, 2)[0], newPeer(f, SuiteX25519, "dave")
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(dave.keyPackage())}})
	b, err := dave.bundle.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		bundle, err := ParseKeyPackageBundle(b)
		if err != nil {
			return
		}
		if again, err := bundle.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Error("decodes, but encodes to something else")
		}
		if g, err := Join(dave.cfg, dave.signer, bundle, s.Welcome, nil); err == nil {
			g.TakeChanges()
		}
		bundle.Destroy()
	})
}
