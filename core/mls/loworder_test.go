package mls

import (
	"bytes"
	"math/big"
	"slices"
	"testing"
)

// lowOrderPoints gives all encodings of the points of Curve25519 and Curve448 with
// which every secret comes out as zero, by the arithmetic of their fields.
func lowOrderPoints(x448 bool) [][]byte {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	size, spare := 32, byte(0x80)
	us := []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1))}
	if x448 {
		p = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 448), new(big.Int).Lsh(big.NewInt(1), 224))
		p.Sub(p, big.NewInt(1))
		size, spare, us[2] = 56, 0, new(big.Int).Sub(p, big.NewInt(1))
	} else {
		for _, u := range []string{
			"325606250916557431795983626356110631294008115727848805560023387167927233504",
			"39382357235489614581723060781553021112529911719440698176882885853963445705823",
		} {
			n, _ := new(big.Int).SetString(u, 10)
			us = append(us, n)
		}
	}
	us = append(us, p, new(big.Int).Add(p, big.NewInt(1))) // 0 and 1 once more
	var list [][]byte
	for _, u := range us {
		b := u.FillBytes(make([]byte, size))
		slices.Reverse(b)
		list = append(list, b)
		if spare != 0 {
			high := bytes.Clone(b)
			high[size-1] |= spare
			list = append(list, high)
		}
	}
	return list
}

// TestLowOrderKeys has keys of the right form to which nobody can encrypt: a
// leaf with one would keep all others from committing.
func TestLowOrderKeys(t *testing.T) {
	for _, c := range []struct {
		suite Suite
		x448  bool
	}{{SuiteX25519, false}, {SuiteX448, true}, {SuiteXWing, false}} {
		s, err := suiteOf(c.suite)
		if err != nil {
			t.Fatal(err)
		}
		_, good, err := s.generateKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		for _, point := range lowOrderPoints(c.x448) {
			key := append(bytes.Clone(good[:len(good)-len(point)]), point...)
			if _, _, err := s.kem.seal(key, nil, nil); err == nil {
				t.Fatalf("%v: sealing to %x works, the test is wrong", c.suite, point)
			}
			if s.validPublicKey(key) {
				t.Errorf("%v: a key that ends in %x passes", c.suite, point)
			}
		}
		if !s.validPublicKey(good) {
			t.Errorf("%v: a good key does not pass", c.suite)
		}
	}
}

// TestLowOrderLeaf: an update to such a key is refused, so that the others can go on.
func TestLowOrderLeaf(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	mallory, bob := peers[0], peers[1]
	bob.resists(t, mallory.forgeUpdate(func(l *LeafNode) { l.EncryptionKey = make([]byte, 32) }, mallory.g.own), "7.3")
	bob.commit(CommitOptions{})
}
