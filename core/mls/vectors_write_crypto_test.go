package mls

import (
	"bytes"
	"slices"
	"testing"
)

func newCryptoBasics(_ *testing.T, s *suite) []any {
	v := cryptoBasicsVector{CipherSuite: s.id}
	v.RefHash.Label, v.RefHash.Value = "RefHash", random(s.nh)
	v.RefHash.Out = s.digest(labelled(v.RefHash.Label, v.RefHash.Value))

	e := &v.ExpandWithLabel
	e.Secret, e.Label, e.Context, e.Length = random(s.nh), "ExpandWithLabel", random(s.nh), 16
	e.Out = s.expandWithLabel(e.Secret, e.Label, e.Context, e.Length)

	d := &v.DeriveSecret
	d.Secret, d.Label = random(s.nh), "DeriveSecret"
	d.Out = s.deriveSecret(d.Secret, d.Label)

	r := &v.DeriveTreeSecret
	r.Secret, r.Label, r.Generation, r.Length = random(s.nh), "DeriveTreeSecret", 0xA0A0A0A0, s.nk
	r.Out = s.deriveTreeSecret(r.Secret, r.Label, r.Generation, r.Length)

	signer := must(GenerateSigner(s.id))
	g := &v.SignWithLabel
	g.Priv, g.Pub = must(MarshalSigner(s.id, signer)), must(s.sig.publicOf(signer))
	g.Label, g.Content = "SignWithLabel", random(64)
	g.Signature = must(s.signWithLabel(signer, g.Label, g.Content))

	h := &v.EncryptWithLabel
	h.Label, h.Context, h.Plaintext = "EncryptWithLabel", random(64), random(64)
	private, public, err := s.generateKeyPair()
	h.Priv, h.Pub = must(private, err), public
	c := must(s.encryptWithLabel(h.Pub, h.Label, h.Context, h.Plaintext))
	h.KEMOutput, h.Ciphertext = c.kemOutput, c.ciphertext
	return []any{v}
}

func newKeySchedule(_ *testing.T, s *suite) []any {
	v := keyScheduleVector{CipherSuite: s.id, GroupID: random(16), InitSecret: random(s.nh)}
	initSecret := []byte(v.InitSecret)
	for i := range uint64(2) {
		e := keyScheduleEpoch{CommitSecret: random(s.nh), PSKSecret: random(s.nh), TreeHash: random(s.nh), Confirmed: random(s.nh)}
		e.Context = marshal(&groupContext{
			suite: s.id, groupID: v.GroupID, epoch: i, treeHash: e.TreeHash, confirmedTranscriptHash: e.Confirmed,
		})
		j := s.joinerOf(initSecret, e.CommitSecret, e.PSKSecret, e.Context)
		e.Joiner, e.Welcome = j.joinerSecret, j.welcomeSecret
		got := s.epochOf(j, e.Context)
		e.Init, e.SenderData, e.Encryption, e.ExporterS = got.init, got.senderData, got.encryption, got.exporter
		e.Authenticator, e.External, e.Confirmation = got.authenticator, got.external, got.confirmation
		e.Membership, e.Resumption = got.membership, got.resumption
		_, public, err := s.kem.deriveKeyPair(got.external)
		e.ExternalPub = must(public, err)
		x := &e.Exporter
		x.Label, x.Context, x.Length = "exporter", random(32), 32
		x.Secret = s.export(got.exporter, x.Label, x.Context, x.Length)
		v.Epochs = append(v.Epochs, e)
		initSecret = got.init
	}
	return []any{v}
}

func newPSKSecrets(_ *testing.T, s *suite) (cases []any) {
	for n := range 3 {
		v := pskSecretVector{CipherSuite: s.id, PSKs: []pskSecretPSK{}}
		var psks []presharedKey
		for range n {
			p := pskSecretPSK{ID: random(8), PSK: random(s.nh), Nonce: random(s.nh)}
			v.PSKs = append(v.PSKs, p)
			psks = append(psks, presharedKey{pskID{typ: pskExternal, id: p.ID, nonce: p.Nonce}, p.PSK})
		}
		v.Secret = s.pskSecret(psks)
		cases = append(cases, v)
	}
	return cases
}

func newSecretTrees(_ *testing.T, s *suite) []any {
	v := secretTreeVector{CipherSuite: s.id, Encryption: random(s.nh)}
	d := &v.SenderData
	d.Secret, d.Ciphertext = random(s.nh), random(77)
	d.Key, d.Nonce = s.senderDataKey(d.Secret, d.Ciphertext)
	tree := newSecretTree(s, 0, 4, bytes.Clone(v.Encryption))
	for leaf := range LeafIndex(4) {
		var list []secretTreeGeneration
		for _, n := range []uint32{0, 3} {
			g := secretTreeGeneration{Generation: n}
			use := func(kind ratchetKind) (key, nonce hexBytes) {
				step := must(tree.receive(leaf, kind, n, 10, 10))
				key, nonce = bytes.Clone(step.key), bytes.Clone(step.nonce)
				step.apply(changeLog{})
				return key, nonce
			}
			g.ApplicationKey, g.ApplicationNonce = use(ratchetApplication)
			g.HandshakeKey, g.HandshakeNonce = use(ratchetHandshake)
			list = append(list, g)
		}
		v.Leaves = append(v.Leaves, list)
	}
	return []any{v}
}

func newTranscriptHashes(t *testing.T, s *suite) []any {
	g := newGroupOf(t, s.id, 1)[0].g
	v := transcriptHashesVector{CipherSuite: s.id, ConfirmationKey: random(s.nh), InterimBefore: random(s.nh)}
	c := &commit{proposals: []proposalOrRef{{proposal: &Proposal{typ: ProposalRemove, removed: 1}}}}
	content := g.content(contentCommit, marshal(c), random(8))
	if err := content.sign(s, g.signer, g.cur.contextRaw); err != nil {
		t.Fatal(err)
	}
	v.Confirmed = s.confirmedHash(v.InterimBefore, content)
	content.confirmationTag = s.mac(v.ConfirmationKey, v.Confirmed)
	v.Content = marshal(content)
	v.Interim = s.interimHash(v.Confirmed, content.confirmationTag)
	return []any{v}
}

func newMessageProtection(_ *testing.T, s *suite) []any {
	signer := must(GenerateSigner(s.id))
	v := messageProtectionVector{
		CipherSuite: s.id, GroupID: random(16), Epoch: 7, TreeHash: random(s.nh), Confirmed: random(s.nh),
		SignaturePriv: must(MarshalSigner(s.id, signer)), SignaturePub: must(s.sig.publicOf(signer)),
		Encryption: random(s.nh), SenderData: random(s.nh), Membership: random(s.nh), Application: random(32),
	}
	v.Proposal = marshal(&Proposal{typ: ProposalRemove, removed: 0})
	v.Commit = marshal(&commit{proposals: []proposalOrRef{{proposal: &Proposal{typ: ProposalRemove, removed: 0}}}})
	context := marshal(&groupContext{
		suite: s.id, groupID: v.GroupID, epoch: v.Epoch, treeHash: v.TreeHash, confirmedTranscriptHash: v.Confirmed,
	})
	tree := newSecretTree(s, v.Epoch, 2, bytes.Clone(v.Encryption))
	signed := func(wireFormat uint16, typ contentType, body []byte) *authenticatedContent {
		content := &authenticatedContent{wireFormat: wireFormat, content: framedContent{
			groupID: v.GroupID, epoch: v.Epoch, sender: sender{SenderMember, 1}, aad: []byte("aad"), typ: typ, body: body,
		}}
		if typ == contentCommit {
			content.confirmationTag = random(s.nh)
		}
		if err := content.sign(s, signer, context); err != nil {
			panic(err)
		}
		return content
	}
	private := func(typ contentType, body []byte) []byte {
		step := must(tree.send(1, typ.ratchet()))
		m := must(signed(wirePrivate, typ, body).protect(s, v.SenderData, step.keyUse, paddedLen))
		step.apply(changeLog{})
		return marshal(&message{wireFormat: wirePrivate, private: m})
	}
	public := func(typ contentType, body []byte) []byte {
		m := &publicMessage{authenticatedContent: *signed(wirePublic, typ, body)}
		m.authenticate(s, v.Membership, context)
		return marshal(&message{wireFormat: wirePublic, public: m})
	}
	var application writer
	application.vec(v.Application)
	v.ProposalPriv, v.CommitPriv = private(contentProposal, v.Proposal), private(contentCommit, v.Commit)
	v.ProposalPub, v.CommitPub = public(contentProposal, v.Proposal), public(contentCommit, v.Commit)
	v.ApplicationPriv = private(contentApplication, application.b)
	return []any{v}
}

func newWelcomes(t *testing.T, s *suite) []any {
	alice, bob := newPeer(t, s.id, "alice"), newPeer(t, s.id, "bob")
	alice.create()
	staged := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}, OmitTree: true})
	return []any{welcomeVector{
		CipherSuite: s.id, InitPriv: bytes.Clone(bob.bundle.initPrivate), Welcome: staged.Welcome,
		KeyPackage: keyPackageMessage(bob), SignerPub: must(s.sig.publicOf(alice.signer)),
	}}
}

func keyPackageMessage(p *peer) []byte {
	return marshal(&message{wireFormat: wireKeyPackage, keyPackage: p.bundle.kp})
}

// newMessages has one of everything. What is not made by a group here is valid in
// form alone.
func newMessages(t *testing.T, s *suite) []any {
	if !slices.Contains([]Suite{SuiteX25519, SuiteMLKEM768}, s.id) {
		return nil // the forms depend on no suite: two do, one of small keys and one of large
	}
	alice, bob := newPeer(t, s.id, "alice"), newPeer(t, s.id, "bob")
	alice.create()
	staged := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}})
	alice.merge()
	bob.join(staged.Welcome)
	m := must(unmarshal(staged.Welcome, readMessage))
	update := must(unmarshal(must(bob.g.ProposeUpdate(nil)), readMessage))
	info := must(bob.openWelcome(m.welcome))
	secrets := must(m.welcome.openSecrets(s, bob.bundle.Ref(), bob.bundle.initPrivate))
	v := messagesVector{}
	put := func(name string, b []byte) { h := hexBytes(b); v[name] = &h }
	proposal := func(name string, p *Proposal) { put(name, marshal(p)[2:]) }
	put("mls_welcome", staged.Welcome)
	put("mls_group_info", marshal(&message{wireFormat: wireGroupInfo, groupInfo: info}))
	put("mls_key_package", keyPackageMessage(bob))
	put("ratchet_tree", marshal(alice.g.cur.tree))
	put("group_secrets", marshal(secrets))
	put("private_message", marshal(update))
	proposal("add_proposal", &Proposal{typ: ProposalAdd, keyPackage: bob.bundle.kp})
	proposal("update_proposal", bob.g.proposals[0].Proposal)
	proposal("remove_proposal", &Proposal{typ: ProposalRemove, removed: 1})
	proposal("pre_shared_key_proposal", &Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, id: random(8), nonce: random(s.nh)}})
	re := ReInitProposal(ReInit{GroupID: random(16), Suite: s.id, Extensions: []Extension{{Type: extTest, Data: random(8)}}})
	proposal("re_init_proposal", &re)
	enc, _, err := s.kem.seal(bob.bundle.kp.initKey, nil, nil)
	proposal("external_init_proposal", &Proposal{typ: ProposalExternalInit, kemOutput: must(enc, err)})
	gce := GroupContextExtensionsProposal([]Extension{{Type: extTest, Data: random(8)}, requiring(extTest, 0, 1)})
	proposal("group_context_extensions_proposal", &gce)

	c := &commit{proposals: []proposalOrRef{{proposal: &Proposal{typ: ProposalRemove, removed: 1}}, {ref: random(s.nh)}}}
	put("commit", marshal(c))
	var application writer
	application.vec(random(20))
	for name, body := range map[string][]byte{"application": application.b, "proposal": marshal(&gce), "commit": marshal(c)} {
		typ := contentType(1 + slices.Index([]string{"application", "proposal", "commit"}, name))
		content := alice.g.content(typ, body, random(4))
		content.wireFormat = wirePublic
		if err := content.sign(s, alice.signer, alice.g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		if typ == contentCommit {
			content.confirmationTag = random(s.nh)
		}
		public := &publicMessage{authenticatedContent: *content}
		public.authenticate(s, alice.g.cur.secrets.membership, alice.g.cur.contextRaw)
		put("public_message_"+name, marshal(&message{wireFormat: wirePublic, public: public}))
	}
	return []any{v}
}
