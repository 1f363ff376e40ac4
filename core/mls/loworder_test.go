package mls

import (
	"slices"
	"testing"
)

// lowOrderKeys gives public keys of a suite to which nothing can be sealed.
func lowOrderKeys(t *testing.T, s *suite) [][]byte {
	t.Helper()
	_, public, err := s.generateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	add := func(point string) {
		key := slices.Clone(public)
		copy(key[len(key)-len(point):], point)
		keys = append(keys, key)
	}
	switch k := s.kem.(type) {
	case *x448KEM:
		for p := range lowOrder448 {
			add(p)
		}
	case *stdKEM:
		if !endsInX25519(k.kem) {
			return nil
		}
		for p := range lowOrder25519 {
			add(p)
			top := []byte(p)
			top[31] |= 0x80
			add(string(top))
		}
	}
	return keys
}

// A key of low order is no key: nothing can be sealed to it.
func TestLowOrderKeys(t *testing.T) {
	tried := 0
	for _, s := range suites {
		for _, key := range lowOrderKeys(t, s) {
			tried++
			if _, _, err := s.kem.seal(key, nil, []byte("x")); err == nil {
				t.Errorf("%v: sealed to %x", s.id, key[len(key)-32:])
			}
			if s.validPublicKey(key) {
				t.Errorf("%v: %x is a valid key", s.id, key[len(key)-32:])
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d keys tried", tried)
	}
}

// Nobody can keep others from committing by a key that nothing can be sealed to.
func TestLowOrderKeyBlocksNobody(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteX448, SuiteXWing} {
		t.Run(suite.String(), func(t *testing.T) {
			peers := newGroupOf(t, suite, 3)
			mallory, bob, carol := peers[0], peers[1], peers[2]
			key := lowOrderKeys(t, bob.g.suite)[0]
			m := mallory.forgeUpdate(func(l *LeafNode) { l.EncryptionKey = key }, mallory.g.own)
			bob.refusesFor(m, "7.3")
			carol.refusesFor(m, "7.3")

			eve := newPeer(t, suite, "eve")
			eve.keyPackage()
			kp := *eve.bundle.kp
			kp.initKey, kp.raw = key, nil
			var err error
			if kp.signature, err = bob.g.suite.signWithLabel(eve.signer, "KeyPackageTBS", kp.tbs()); err != nil {
				t.Fatal(err)
			}
			var w writer
			kp.encodeUnsigned(&w)
			w.vec(kp.signature)
			kp.raw = w.b
			m = mallory.forgeProposal(&Proposal{typ: ProposalAdd, keyPackage: &kp})
			bob.refusesFor(m, "10")
			carol.refusesFor(m, "10")

			s := bob.commit(CommitOptions{})
			bob.merge()
			carol.process(s.Message)
			agree(t, bob, carol)
		})
	}
}
