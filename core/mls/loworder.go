package mls

import (
	"crypto/hpke"
	"encoding/hex"
)

// kemX25519 is HPKE's id of DHKEM(X25519, HKDF-SHA256).
const kemX25519 = 0x0020

// endsInX25519 tells whether public keys of this KEM end in a point of X25519.
func endsInX25519(k hpke.KEM) bool { return k.ID() == kemX25519 || k.ID() == kemXWing }

// Points of low order, little-endian: an agreement with one of them gives zero
// whatever the other key is, which HPKE refuses (RFC 9180 §7.1.4). A leaf or a
// KeyPackage with such a key would make every other member's commit fail, and is therefore
// no more a key than one of the wrong length.
var (
	lowOrder25519 = pointSet(
		"0000000000000000000000000000000000000000000000000000000000000000", // 0
		"0100000000000000000000000000000000000000000000000000000000000000", // 1
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", // of order 8
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", // of order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p-1
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1
	)
	lowOrder448 = pointSet(
		"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", // 0
		"0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", // 1
		"fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff", // p-1
		"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff", // p
		"00000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // p+1
	)
)

func pointSet(points ...string) map[string]bool {
	set := map[string]bool{}
	for _, p := range points {
		b, err := hex.DecodeString(p)
		if err != nil {
			panic(err)
		}
		set[string(b)] = true
	}
	return set
}

// hasLowOrder25519 tells whether a point of X25519, whose top bit does not count,
// is of low order.
func hasLowOrder25519(point []byte) bool {
	p := [32]byte(point)
	p[31] &= 0x7f
	return lowOrder25519[string(p[:])]
}
