package mls

import (
	"crypto/ed25519"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func TestGREASEValues(t *testing.T) {
	var all []uint16
	for id := range 1 << 16 {
		if isGREASE(uint16(id)) {
			all = append(all, uint16(id))
		}
	}
	want := []uint16{
		0x0a0a, 0x1a1a, 0x2a2a, 0x3a3a, 0x4a4a, 0x5a5a, 0x6a6a, 0x7a7a,
		0x8a8a, 0x9a9a, 0xaaaa, 0xbaba, 0xcaca, 0xdada, 0xeaea,
	}
	if !slices.Equal(all, want) {
		t.Errorf("GREASE values are %#04x", all)
	}
	var seen []uint16
	for range 2000 {
		v := randomGREASE()
		if !isGREASE(v) {
			t.Fatalf("%#04x", v)
		}
		seen = merge(seen, v)
	}
	if len(seen) != len(want) {
		t.Errorf("only %#04x occur", seen)
	}
}

// Every new leaf carries GREASE where §13.5 asks for it, and keeps it.
func TestOwnGREASE(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	kp := bob.bundle.Public()
	first := kp.LeafNode()
	for name, list := range map[string][]uint16{
		"suites": first.Capabilities.Suites, "extensions": first.Capabilities.Extensions,
		"proposals": first.Capabilities.Proposals, "credentials": first.Capabilities.Credentials,
	} {
		if !slices.ContainsFunc(list, isGREASE) {
			t.Errorf("no GREASE in the %s %#04x", name, list)
		}
	}
	if slices.ContainsFunc(first.Capabilities.Versions, isGREASE) {
		t.Error("GREASE among the versions")
	}
	ofGREASE := func(e Extension) bool {
		return isGREASE(e.Type) && slices.Contains(first.Capabilities.Extensions, e.Type)
	}
	if !slices.ContainsFunc(first.Extensions, ofGREASE) || !slices.ContainsFunc(kp.extensions, ofGREASE) {
		t.Errorf("no GREASE in the extensions %v and %v", first.Extensions, kp.extensions)
	}
	m, err := bob.g.ProposeUpdate([]Extension{{Type: extTest}})
	if err != nil {
		t.Fatal(err)
	}
	bob.save()
	alice.process(m)
	s := alice.commit(CommitOptions{})
	alice.merge()
	bob.process(s.Message)
	s = bob.commit(CommitOptions{LeafExtensions: []Extension{{Type: extTest, Data: []byte{1}}}})
	bob.merge()
	alice.process(s.Message)
	agree(t, alice, bob)
	after, _ := alice.g.Member(1)
	if !reflect.DeepEqual(after.Capabilities, first.Capabilities) {
		t.Errorf("capabilities were %#04x and are %#04x", first.Capabilities, after.Capabilities)
	}
	if !slices.ContainsFunc(after.Extensions, ofGREASE) || len(after.Extensions) != 2 {
		t.Errorf("extensions are %v", after.Extensions)
	}
}

// Ids that nobody knows are carried and ignored wherever they occur: in
// capabilities, in extensions of leaf, KeyPackage and GroupInfo.
func TestForeignGREASE(t *testing.T) {
	grease := []uint16{0x0a0a, 0x1a1a, 0xeaea, 0xf0ff, 0xffff}
	alice, bob := newPeer(t, SuiteX25519, "alice"), newPeer(t, SuiteX25519, "bob")
	alice.create()
	b, err := NewKeyPackage(KeyPackageOptions{
		Suite: SuiteX25519, Credential: BasicCredential([]byte("bob")), Signer: bob.signer,
		LeafExtensions:    []Extension{{Type: 0x2a2a, Data: []byte{1}}, {Type: 0xf0fe}},
		ExtraCapabilities: Capabilities{grease, grease, grease, grease, grease},
		LastResort:        true,
	})
	if err != nil {
		t.Fatal(err)
	}
	// One type that the leaf does not list: §13.4 has it ignored.
	b.kp.extensions = append(b.kp.extensions, Extension{Type: 0xf0fd, Data: []byte("what")})
	resign(b.kp, bob.signer.(ed25519.PrivateKey))
	private, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if bob.bundle, err = ParseKeyPackageBundle(private); err != nil || !bob.bundle.Public().LastResort() {
		t.Fatal(err)
	}
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(b.KeyPackage())}})
	alice.merge()
	m, err := unmarshal(s.Welcome, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	bob.join(s.Welcome)
	info, err := bob.openWelcome(m.welcome)
	if err != nil || !slices.ContainsFunc(info.extensions, func(e Extension) bool { return isGREASE(e.Type) }) {
		t.Errorf("GroupInfo has the extensions %v, %v", info.extensions, err)
	}
	s = bob.commit(CommitOptions{LeafExtensions: []Extension{{Type: 0x3a3a}, {Type: 0xf0fc, Data: []byte("x")}}})
	bob.merge()
	alice.process(s.Message)
	agree(t, alice, bob)
	got, _ := alice.g.Member(1)
	for _, typ := range []uint16{0x3a3a, 0xf0fc} {
		if _, ok := got.Extension(typ); !ok {
			t.Errorf("bob's leaf lost extension %#04x", typ)
		}
	}
	if _, ok := got.Extension(0xf0fe); ok {
		t.Error("bob's leaf keeps an extension that was replaced")
	}
}

func (p *peer) openWelcome(w *welcome) (*groupInfo, error) {
	s := p.g.suite
	secrets, err := w.openSecrets(s, p.bundle.Ref(), p.bundle.initPrivate)
	if err != nil {
		return nil, err
	}
	return w.openGroupInfo(s, s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil)).welcomeSecret)
}

// GREASE cannot be required: nobody supports it, whatever leaves list (§13.5).
func TestGREASEIsNotSupported(t *testing.T) {
	alice := newPeer(t, SuiteX25519, "alice")
	all := Capabilities{Extensions: []uint16{0x0a0a}, Proposals: []uint16{0x0a0a}, Credentials: []uint16{0x0a0a}}
	for name, e := range map[string]Extension{
		"context extension":  {Type: 0x0a0a},
		"required extension": requiring(0x0a0a, 0, 0), "required proposal": requiring(0, 0x0a0a, 0),
		"required credential": requiring(0, 0, 0x0a0a),
	} {
		_, err := Create(alice.cfg, CreateParams{
			GroupID: []byte("g"), Suite: alice.suite, Credential: BasicCredential(nil), Signer: alice.signer,
			ExtraCapabilities: all, GroupContextExtensions: []Extension{e},
		})
		var invalid *ValidationError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: group created: %v", name, err)
		}
	}
}
