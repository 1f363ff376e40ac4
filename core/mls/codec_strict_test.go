package mls

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// kind is a valid structure and what decodes it. check is nil where decoding is all
// that there is.
type kind struct {
	name  string
	bytes []byte
	// decode gives what the structure encodes to.
	decode func([]byte) ([]byte, error)
	// enter is the entry point of the package for it, nil if it is no message.
	enter func([]byte) error
}

func decoding[T wire](read func(*reader) T) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		v, err := unmarshal(b, read)
		if err != nil {
			return nil, err
		}
		return marshal(v), nil
	}
}

// kinds gives one of each structure, in a group where bob is to process them.
func kinds(t testing.TB) (bob *peer, list []kind) {
	peers := newGroupOf(t, SuiteX25519, 4)
	alice, bob, dave := peers[0], peers[1], newPeer(t, SuiteX25519, "dave")
	bob.handshakes(HandshakesMixed)
	process := func(b []byte) error { _, err := bob.g.Process(b); return err }
	join := func(b []byte) error {
		_, err := Join(dave.cfg, dave.signer, dave.bundle, b, nil)
		return err
	}
	add := func(name string, b []byte, enter func([]byte) error) {
		list = append(list, kind{name, b, decoding(readMessage), enter})
	}
	s := alice.commit(CommitOptions{Proposals: []Proposal{
		AddProposal(dave.keyPackage()), RemoveProposal(3), GroupContextExtensionsProposal([]Extension{{Type: extTest}}),
	}})
	add("welcome", s.Welcome, join)
	add("private commit", s.Message, process)
	alice.g.DiscardPending()
	alice.save()
	add("private application", alice.seal("text"), process)
	update, err := alice.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	add("private proposal", update, process)
	content := alice.g.content(contentProposal, marshal(&Proposal{typ: ProposalRemove, removed: 2}), []byte("aad"))
	content.wireFormat = wirePublic
	if err := content.sign(alice.g.suite, alice.g.signer, alice.g.cur.contextRaw); err != nil {
		t.Fatal(err)
	}
	public := &publicMessage{authenticatedContent: *content}
	public.authenticate(alice.g.suite, alice.g.cur.secrets.membership, alice.g.cur.contextRaw)
	add("public proposal", marshal(&message{wireFormat: wirePublic, public: public}), process)

	info := &groupInfo{
		context: alice.g.cur.context, confirmationTag: alice.g.cur.confirmationTag,
		extensions: []Extension{{Type: ExtRatchetTree, Data: marshal(alice.g.cur.tree)}},
	}
	if err := info.sign(alice.g.suite, alice.g.signer); err != nil {
		t.Fatal(err)
	}
	add("group info", marshal(&message{wireFormat: wireGroupInfo, groupInfo: info}), nil)
	add("key package message", marshal(&message{wireFormat: wireKeyPackage, keyPackage: dave.bundle.kp}), nil)
	bundle, err := dave.bundle.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var c *commit
	alice.forge(func(f *forgery) {
		c = f.c
		f.byValue(&Proposal{typ: ProposalAdd, keyPackage: dave.bundle.kp}, &Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, nonce: []byte{1}}},
			&Proposal{typ: ProposalExternalInit, kemOutput: []byte{1}}, &Proposal{typ: ProposalSelfRemove},
			&Proposal{typ: ProposalReInit, reInit: &ReInit{GroupID: []byte{1}, Version: 1, Suite: 1, Extensions: []Extension{{Type: 7}}}})
		f.c.proposals = append(f.c.proposals, proposalOrRef{ref: make([]byte, 32)})
		c = &commit{f.c.proposals, f.c.path}
		f.c.proposals = nil
	})
	secrets := &groupSecrets{joinerSecret: make([]byte, 32), pathSecret: make([]byte, 32), psks: []pskID{
		{typ: pskResumption, usage: usageApplication, groupID: []byte{1}, epoch: 1, nonce: make([]byte, 32)},
	}}
	return bob, append(list,
		kind{"key package", dave.bundle.KeyPackage(), func(b []byte) ([]byte, error) {
			kp, err := ParseKeyPackage(b)
			if err != nil {
				return nil, err
			}
			return kp.Bytes(), nil
		}, nil},
		kind{"bundle", bundle, func(b []byte) ([]byte, error) {
			kp, err := ParseKeyPackageBundle(b)
			if err != nil {
				return nil, err
			}
			return kp.MarshalBinary()
		}, nil},
		kind{"tree", marshal(alice.g.cur.tree), func(b []byte) ([]byte, error) {
			tree, err := parseTree(alice.g.suite, b)
			if err != nil {
				return nil, err
			}
			return marshal(tree), nil
		}, nil},
		kind{"commit", marshal(c), decoding(readCommit), nil},
		kind{"group secrets", marshal(secrets), decoding(readGroupSecrets), nil},
		kind{"sender data", marshal(senderData{leaf: 3, generation: 4}), decoding(readSenderData), nil},
	)
}

// TestTruncated: no structure is valid cut anywhere, or with a byte more.
func TestTruncated(t *testing.T) {
	bob, list := kinds(t)
	before := dump(bob.g)
	for _, k := range list {
		if b, err := k.decode(k.bytes); err != nil || !bytes.Equal(b, k.bytes) {
			t.Fatalf("%s is not valid: %v", k.name, err)
		}
		refused := func(b []byte) {
			t.Helper()
			if _, err := k.decode(b); err == nil {
				t.Errorf("%s decodes at %d of %d bytes", k.name, len(b), len(k.bytes))
			}
			if k.enter != nil {
				expect(t, k.enter(b), ErrMalformed)
			}
		}
		for n := range k.bytes {
			if n != 0 || k.name != "tree" {
				refused(k.bytes[:n:n])
			}
		}
		refused(append(bytes.Clone(k.bytes), 0))
	}
	if dump(bob.g) != before || len(bob.g.TakeChanges()) != 0 {
		t.Error("refused messages have changed the group")
	}
	for _, k := range list {
		if k.enter != nil && k.name != "private commit" {
			if err := k.enter(k.bytes); err != nil {
				t.Errorf("%s is not taken whole: %v", k.name, err)
			}
		}
	}
}

// TestCanonical: at every place of every structure, a length in longer form, one
// of eight bytes, one beyond the data, and every value of the octet that stands
// for absence or presence or a type are refused, or mean something else that encodes
// to just these bytes.
func TestCanonical(t *testing.T) {
	_, list := kinds(t)
	for _, k := range list {
		if k.name == "private commit" || k.name == "welcome" {
			continue // are opaque for the most part
		}
		check := func(what string, at int, b []byte) {
			t.Helper()
			if again, err := k.decode(b); err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%s with %s at byte %d decodes, but encodes to something else", k.name, what, at)
			}
		}
		for at, old := range k.bytes {
			splice := func(with ...byte) []byte {
				return append(append(bytes.Clone(k.bytes[:at]), with...), k.bytes[at+1:]...)
			}
			check("a length of two bytes", at, splice(0x40, old))
			check("a length of four bytes", at, splice(0x80, 0, 0, old))
			check("a length of eight bytes", at, splice(0xc0, 0, 0, 0, 0, 0, 0, old))
			check("a huge length", at, splice(0xbf, 0xff, 0xff, 0xff))
			for _, v := range []byte{0, 1, 2, 3, 4, 5, 0x40, 0x80, 0xff} {
				check(fmt.Sprintf("octet %d", v), at, splice(v))
			}
		}
	}
}

// TestHugeLengths: a length far beyond the data costs no memory.
func TestHugeLengths(t *testing.T) {
	_, list := kinds(t)
	var before, after runtime.MemStats
	for _, k := range list {
		decode := func(b []byte) uint64 {
			runtime.ReadMemStats(&before)
			_, _ = k.decode(b)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		most := 8*decode(k.bytes) + 1<<16
		for at := 0; at < len(k.bytes); at += 1 + len(k.bytes)/200 {
			b := bytes.Clone(k.bytes)
			copy(b[at:], []byte{0xbf, 0xff, 0xff, 0xff})
			if n := decode(b); n > most {
				t.Errorf("%s with a huge length at byte %d allocates %d bytes", k.name, at, n)
			}
		}
	}
}

// TestBadEnums: values that stand for nothing are refused wherever there is a choice.
func TestBadEnums(t *testing.T) {
	for name, bad := range map[string]struct {
		good   byte
		values []byte
		b      func(v byte) []byte
		decode func([]byte) error
	}{
		"presence":    {0, []byte{2, 0xff}, func(v byte) []byte { return []byte{0, v} }, fails(readCommit)},
		"sender type": {3, []byte{0, 5, 0xff}, func(v byte) []byte { return []byte{v} }, fails(readSender)},
		"content type": {1, []byte{0, 4, 0xff}, func(v byte) []byte {
			return []byte{1, 'g', 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, v, 0}
		}, fails(readFramedContent)},
		"content type of a private message": {2, []byte{0, 4, 0xff}, func(v byte) []byte {
			return []byte{1, 'g', 0, 0, 0, 0, 0, 0, 0, 0, v, 0, 0, 0}
		}, fails(readPrivateMessage)},
		"wire format":           {3, []byte{0, 6, 0xff}, func(v byte) []byte { return []byte{0, 1, 0, v, 0, 1, 0, 0} }, fails(readMessage)},
		"protocol version":      {1, []byte{0, 2, 0xff}, func(v byte) []byte { return []byte{0, v, 0, 3, 0, 1, 0, 0} }, fails(readMessage)},
		"node type":             {2, []byte{0, 3, 0xff}, func(v byte) []byte { return []byte{v, 0, 0, 0} }, fails(readNode)},
		"proposal or reference": {2, []byte{0, 3, 0xff}, func(v byte) []byte { return []byte{v, 0} }, fails(readProposalOrRef)},
		"PSK type":              {1, []byte{0, 3, 0xff}, func(v byte) []byte { return []byte{v, 0, 0} }, fails(readPSKID)},
		"PSK usage": {1, []byte{0, 4, 0xff}, func(v byte) []byte {
			return []byte{2, v, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		}, fails(readPSKID)},
		"leaf source": {2, []byte{0, 4, 0xff}, func(v byte) []byte {
			return []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, v, 0, 0}
		}, fails(readLeafNode)},
		"odd list of ids": {2, []byte{1, 3}, func(v byte) []byte { return append([]byte{v}, make([]byte, v+4)...) }, fails(readCapabilities)},
	} {
		if err := bad.decode(bad.b(bad.good)); err != nil {
			t.Errorf("%s %d: %v", name, bad.good, err)
		}
		for _, v := range bad.values {
			if err := bad.decode(bad.b(v)); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s %d: %v", name, v, err)
			}
		}
	}
}

func fails[T any](read func(*reader) T) func([]byte) error {
	return func(b []byte) error { _, err := unmarshal(b, read); return err }
}

// TestWrongWireFormat: every entry point refuses what is for another one.
func TestWrongWireFormat(t *testing.T) {
	bob, list := kinds(t)
	before := dump(bob.g)
	dave := newPeer(t, SuiteX25519, "dave")
	dave.keyPackage()
	entries := map[string]struct {
		own   []string
		enter func([]byte) error
	}{
		"Process": {
			[]string{"private commit", "private application", "private proposal", "public proposal"},
			func(b []byte) error { _, err := bob.g.Process(b); return err },
		},
		"Peek": {
			[]string{"private commit", "private application", "private proposal", "public proposal"},
			func(b []byte) error { _, err := Peek(b); return err },
		},
		"Join": {[]string{"welcome"}, func(b []byte) error {
			_, err := Join(dave.cfg, dave.signer, dave.bundle, b, nil)
			return err
		}},
		"ParseKeyPackage":       {[]string{"key package"}, func(b []byte) error { _, err := ParseKeyPackage(b); return err }},
		"ParseKeyPackageBundle": {[]string{"bundle"}, func(b []byte) error { _, err := ParseKeyPackageBundle(b); return err }},
		"AddProposal":           {[]string{"key package"}, func(b []byte) error { p := AddProposal(b); return p.err }},
	}
	for name, e := range entries {
		for _, k := range list {
			own := false
			for _, n := range e.own {
				own = own || n == k.name
			}
			if own {
				continue
			}
			if err := e.enter(k.bytes); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s of a %s: %v", name, k.name, err)
			}
		}
		if err := e.enter(nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if dump(bob.g) != before {
		t.Error("refused messages have changed the group")
	}
}
