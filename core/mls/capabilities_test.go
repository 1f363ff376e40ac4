package mls

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
	"time"
)

// requiring makes a required_capabilities extension of the ids that are not 0.
func requiring(extension, proposal, credential uint16) Extension {
	one := func(id uint16) []uint16 {
		return slices.DeleteFunc([]uint16{id}, func(id uint16) bool { return id == 0 })
	}
	return RequiredCapabilitiesExtension(Capabilities{Extensions: one(extension), Proposals: one(proposal), Credentials: one(credential)})
}

func without(list *[]uint16, id uint16) {
	*list = slices.DeleteFunc(slices.Clone(*list), func(x uint16) bool { return x == id })
}

// What required_capabilities (§11.1) lists, every leaf has to have, however it
// gets into the group.
func TestRequiredCapabilities(t *testing.T) {
	const required = 0xF0E1
	all := Capabilities{Extensions: []uint16{required, extTest}, Proposals: []uint16{required}, Credentials: []uint16{required}}
	for name, c := range map[string]struct {
		extension Extension
		strip     func(*Capabilities)
	}{
		"extensions":  {requiring(required, 0, 0), func(c *Capabilities) { without(&c.Extensions, required) }},
		"proposals":   {requiring(0, required, 0), func(c *Capabilities) { without(&c.Proposals, required) }},
		"credentials": {requiring(0, 0, required), func(c *Capabilities) { without(&c.Credentials, required) }},
	} {
		t.Run(name, func(t *testing.T) {
			less := Capabilities{slices.Clone(all.Versions), nil, slices.Clone(all.Extensions), slices.Clone(all.Proposals), slices.Clone(all.Credentials)}
			c.strip(&less)
			r := requirement{extension: c.extension, strip: c.strip, all: all, less: less}
			t.Run("create", r.create)
			t.Run("add", r.add)
			t.Run("update", r.update)
			t.Run("path", r.path)
			t.Run("external commit", r.externalCommit)
			t.Run("group context extensions", r.groupContextExtensions)
			t.Run("join", r.join)
		})
	}
}

type requirement struct {
	extension Extension
	strip     func(*Capabilities)
	all, less Capabilities
}

// group makes a group of two with these capabilities, under the requirement or not.
func (r *requirement) group(t *testing.T, caps Capabilities, context ...Extension) (alice, bob *peer, added *StagedCommit) {
	alice, bob = newPeer(t, SuiteX25519, "alice"), newPeer(t, SuiteX25519, "bob")
	alice.capabilities, bob.capabilities = r.all, caps
	alice.createWith(context...)
	added = alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}})
	alice.merge()
	bob.join(added.Welcome)
	return alice, bob, added
}

func (r *requirement) create(t *testing.T) {
	p := newPeer(t, SuiteX25519, "alice")
	for _, c := range []struct {
		caps Capabilities
		want any
	}{{r.all, nil}, {r.less, "11.1"}} {
		_, err := Create(p.cfg, CreateParams{
			GroupID: []byte("g"), Suite: p.suite, Credential: BasicCredential(nil), Signer: p.signer,
			ExtraCapabilities: c.caps, GroupContextExtensions: []Extension{r.extension},
		})
		if c.want == nil && err != nil {
			t.Error(err)
		}
		expect(t, err, c.want)
	}
}

func (r *requirement) add(t *testing.T) {
	alice, bob, _ := r.group(t, r.all, r.extension)
	poor := badKeyPackage(t, SuiteX25519, func(kp *KeyPackage, signer ed25519.PrivateKey) {
		kp.leaf.raw, kp.leaf.Capabilities = nil, r.less
		kp.leaf.Capabilities.Versions, kp.leaf.Capabilities.Suites = []uint16{1}, []uint16{1}
		kp.leaf.Capabilities.Credentials = append(kp.leaf.Capabilities.Credentials, 1)
		kp.leaf.Extensions = nil
		resign(kp, signer)
	})
	_, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{*poor}})
	expect(t, err, "7.3")
	_, err = alice.g.Propose(*poor)
	expect(t, err, "7.3")
	bob.refusesFor(alice.forge(func(f *forgery) { f.byValue(poor) }), "7.3")
}

// refusesFor is refuses for a violation of a section.
func (p *peer) refusesFor(message []byte, section string) {
	p.t.Helper()
	_, err := p.g.Process(message)
	expect(p.t, err, section)
	if c := p.g.TakeChanges(); len(c) != 0 {
		p.t.Errorf("%s: a refused message changed %d records", p.name, len(c))
	}
}

func (r *requirement) update(t *testing.T) {
	alice, bob, _ := r.group(t, r.all, r.extension)
	leaf := *bob.g.cur.tree.leaf(1)
	_, public, err := bob.g.suite.generateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	leaf.raw, leaf.EncryptionKey, leaf.Source, leaf.parentHash, leaf.Lifetime = nil, public, SourceUpdate, nil, Lifetime{}
	r.strip(&leaf.Capabilities)
	if err := leaf.sign(bob.g.suite, bob.signer, bob.g.ID(), 1); err != nil {
		t.Fatal(err)
	}
	content := bob.g.content(contentProposal, marshal(&Proposal{typ: ProposalUpdate, leaf: &leaf}), nil)
	m, err := bob.g.send(content)
	if err != nil {
		t.Fatal(err)
	}
	alice.refusesFor(m, "7.3")
}

func (r *requirement) path(t *testing.T) {
	alice, bob, _ := r.group(t, r.all, r.extension)
	bob.refusesFor(alice.forge(func(f *forgery) {
		l := f.path.path.leaf
		l.raw = nil
		r.strip(&l.Capabilities)
		f.resignLeaf()
	}), "7.3")
}

func (r *requirement) externalCommit(t *testing.T) {
	alice, bob, _ := r.group(t, r.all, r.extension)
	o := ExternalJoinOptions{GroupInfo: must(alice.g.GroupInfo(true))}
	carol := newPeer(t, SuiteX25519, "carol")
	bob.refusesFor(carol.forgeExternal(o, r.less, func(*externalForgery) {}), "7.3")

	o.Signer, o.Credential, o.ExtraCapabilities = carol.signer, carol.credential, r.less
	_, _, err := JoinByCommit(carol.cfg, o)
	expect(t, err, "7.3")
	o.ExtraCapabilities = r.all
	_, commit, err := JoinByCommit(carol.cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	bob.process(commit)
}

func (r *requirement) groupContextExtensions(t *testing.T) {
	alice, bob, _ := r.group(t, r.less)
	proposal := GroupContextExtensionsProposal([]Extension{r.extension})
	_, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{proposal}})
	expect(t, err, "11.1")
	bob.refusesFor(alice.forge(func(f *forgery) { f.byValue(&proposal) }), "11.1")

	// When the one who lacks it goes with the same commit, nothing is amiss.
	if _, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{proposal, RemoveProposal(1)}}); err != nil {
		t.Error(err)
	}
	// And where all have it, it can be required.
	alice, bob, _ = r.group(t, r.all)
	s := alice.commit(CommitOptions{Proposals: []Proposal{proposal}})
	alice.merge()
	bob.process(s.Message)
	agree(t, alice, bob)
}

func (r *requirement) join(t *testing.T) {
	alice, bob, added := r.group(t, r.less)
	m, err := unmarshal(added.Welcome, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	info, err := bob.openWelcome(m.welcome)
	if err != nil {
		t.Fatal(err)
	}
	s := bob.g.suite
	secrets, err := m.welcome.openSecrets(s, bob.bundle.Ref(), bob.bundle.initPrivate)
	if err != nil {
		t.Fatal(err)
	}
	info.context.extensions = []Extension{r.extension}
	j := s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil))
	info.confirmationTag = s.mac(s.epochOf(j, marshal(&info.context)).confirmation, info.context.confirmedTranscriptHash)
	if err := info.sign(s, alice.signer); err != nil {
		t.Fatal(err)
	}
	key, nonce := s.welcomeKey(j.welcomeSecret)
	if m.welcome.groupInfo, err = s.seal(key, nonce, nil, marshal(info)); err != nil {
		t.Fatal(err)
	}
	m.welcome.secrets[0].secrets, err = s.encryptWithLabel(bob.bundle.kp.initKey, "Welcome", m.welcome.groupInfo, marshal(secrets))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Join(bob.cfg, bob.signer, bob.bundle, marshal(m), nil)
	expect(t, err, "11.1")
}

func TestMalformedRequiredCapabilities(t *testing.T) {
	alice := newGroupOf(t, SuiteX25519, 1)[0]
	for _, b := range [][]byte{nil, {0, 0}, {0, 0, 0, 0}, {1, 0, 0}, {1, 0, 0, 0}, {0, 0, 3, 0, 0, 0}} {
		p := GroupContextExtensionsProposal([]Extension{{Type: ExtRequiredCapabilities, Data: b}})
		if _, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{p}}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Credentials of unknown types are carried in capabilities and refused in leaves.
func TestUnknownCredentialType(t *testing.T) {
	p := newPeer(t, SuiteX25519, "alice")
	p.capabilities = Capabilities{Credentials: []uint16{0x0003, 0xF0CC}}
	raw := p.keyPackage()
	kp, err := ParseKeyPackage(raw)
	if err != nil || kp.Verify(time.Now()) != nil || !slices.Contains(kp.LeafNode().Capabilities.Credentials, 0xF0CC) {
		t.Fatalf("capabilities %v, %v", kp.LeafNode().Capabilities, err)
	}
	kp.leaf.raw, kp.leaf.Credential.Type = nil, 0xF0CC
	resign(kp, p.signer.(ed25519.PrivateKey))
	if _, err := ParseKeyPackage(kp.raw); !errors.Is(err, ErrUnsupported) {
		t.Errorf("credential of an unknown type: %v", err)
	}
	_, err = NewKeyPackage(KeyPackageOptions{Suite: p.suite, Credential: Credential{Type: 0xF0CC}, Signer: p.signer})
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("own credential of an unknown type: %v", err)
	}
}
