package mls

import (
	"crypto/hpke"
	"crypto/mlkem"
)

// HPKE's ids of the KEMs whose public keys begin with one of ML-KEM-768 (and end,
// in X-Wing, with one of X25519, as which any 32 bytes will do that are not of low order).
const (
	kemMLKEM768 = 0x0041
	kemXWing    = 0x647a
)

// mlkem768KeySize tells how long public keys are that can be checked without
// expanding them into a matrix, which costs as much as verifying a signature.
func mlkem768KeySize(k hpke.KEM) (n int, ok bool) {
	switch k.ID() {
	case kemMLKEM768:
		return mlkem.EncapsulationKeySize768, true
	case kemXWing:
		return mlkem.EncapsulationKeySize768 + 32, true
	default:
		return 0, false
	}
}

// mlkem768Valid is the modulus check of FIPS 203 §7.2: that every one of the 768
// coefficients, 12 bits each, is below q.
func mlkem768Valid(public []byte) bool {
	const q = 3329
	vector := public[:mlkem.EncapsulationKeySize768-32]
	for i := 0; i < len(vector); i += 3 {
		a, b, c := uint16(vector[i]), uint16(vector[i+1]), uint16(vector[i+2])
		if a|b&0xf<<8 >= q || b>>4|c<<4 >= q {
			return false
		}
	}
	return true
}
