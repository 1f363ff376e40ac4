package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// What each suite's keys, encapsulations and signatures are long.
var suiteSizes = map[Suite]struct{ public, enc, signer, signature int }{
	SuiteX25519:          {32, 32, 32, 64},
	SuiteP256:            {65, 65, 32, 0},
	SuiteX25519Cha:       {32, 32, 32, 64},
	SuiteX448:            {56, 56, 57, 114},
	SuiteP521:            {133, 133, 66, 0},
	SuiteX448Cha:         {56, 56, 57, 114},
	SuiteP384:            {97, 97, 48, 0},
	SuiteXWing128:        {1216, 1120, 32, 64},
	SuiteXWing:           {1216, 1120, 32, 64},
	SuiteMLKEM1024P384:   {1665, 1665, 48, 0},
	SuiteMLKEM768:        {1184, 1088, 32, 64},
	SuiteXWingChaMLDSA44: {1216, 1120, 32, 2420},
}

func TestSuiteHPKE(t *testing.T) {
	eachSuite(t, func(t *testing.T, id Suite) {
		s, size := mustSuite(t, id), suiteSizes[id]
		seed := make([]byte, s.nh)
		private, public, err := s.kem.deriveKeyPair(seed)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := s.kem.deriveKeyPair(seed)
		if err != nil || !bytes.Equal(private, again) {
			t.Errorf("derivation is not deterministic: %v", err)
		}
		ct, err := s.encryptWithLabel(public, "label", []byte("context"), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if len(public) != size.public || len(ct.kemOutput) != size.enc || len(ct.ciphertext) != 5+16 {
			t.Errorf("public key of %d bytes, encapsulation of %d, ciphertext of %d", len(public), len(ct.kemOutput), len(ct.ciphertext))
		}
		plain, err := s.decryptWithLabel(private, "label", []byte("context"), ct)
		if err != nil || string(plain) != "hello" {
			t.Errorf("opens as %q, %v", plain, err)
		}
		for name, c := range map[string]hpkeCiphertext{
			"no encapsulation":         {nil, ct.ciphertext},
			"a shorter encapsulation":  {ct.kemOutput[1:], ct.ciphertext},
			"a longer encapsulation":   {append(bytes.Clone(ct.kemOutput), 0), ct.ciphertext},
			"no ciphertext":            {ct.kemOutput, nil},
			"a ciphertext of nobody's": {ct.kemOutput, flipped(ct.ciphertext)},
		} {
			if _, err := s.decryptWithLabel(private, "label", []byte("context"), c); !errors.Is(err, ErrDecrypt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, key := range map[string][]byte{
			"none": nil, "a shorter one": public[1:], "a longer one": append(bytes.Clone(public), 0),
		} {
			if s.validPublicKey(key) {
				t.Errorf("public key accepted: %s", name)
			}
			if _, err := s.encryptWithLabel(key, "label", nil, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("sealed to %s: %v", name, err)
			}
		}
	})
}

func mustSuite(t testing.TB, id Suite) *suite {
	t.Helper()
	s, err := suiteOf(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// An encapsulation key holds numbers of 12 bits below 3329; FIPS 203 §7.2 has
// others refused.
func TestMLKEMKeyModulus(t *testing.T) {
	for _, id := range []Suite{SuiteXWing128, SuiteXWing, SuiteMLKEM1024P384, SuiteMLKEM768, SuiteXWingChaMLDSA44} {
		s := mustSuite(t, id)
		_, public, err := s.generateKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		if !s.validPublicKey(public) {
			t.Errorf("%v: good key refused", id)
		}
		// The first coefficient is 3329, the second stays.
		public[0], public[1] = 0x01, public[1]&0xf0|0x0d
		if s.validPublicKey(public) {
			t.Errorf("%v: coefficient beyond the modulus accepted", id)
		}
	}
}

func TestHybridCurveKey(t *testing.T) {
	s := mustSuite(t, SuiteMLKEM1024P384)
	_, public, err := s.generateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	public[len(public)-1] ^= 1
	if s.validPublicKey(public) {
		t.Error("a point that is not on P-384 accepted")
	}
}

func TestSuiteSignatures(t *testing.T) {
	eachSuite(t, func(t *testing.T, id Suite) {
		s, size := mustSuite(t, id), suiteSizes[id]
		signer, err := GenerateSigner(id)
		if err != nil {
			t.Fatal(err)
		}
		private, err := MarshalSigner(id, signer)
		if err != nil || len(private) != size.signer {
			t.Fatalf("private key of %d bytes, %v", len(private), err)
		}
		parsed, err := ParseSigner(id, private)
		if err != nil {
			t.Fatal(err)
		}
		public, err := s.sig.publicOf(signer)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.sig.publicOf(parsed); err != nil || !bytes.Equal(again, public) {
			t.Errorf("the parsed key is another: %v", err)
		}
		sig, err := s.signWithLabel(parsed, "label", []byte("content"))
		if err != nil || size.signature != 0 && len(sig) != size.signature {
			t.Fatalf("signature of %d bytes, %v", len(sig), err)
		}
		if !s.verifyWithLabel(public, "label", []byte("content"), sig) {
			t.Error("signature refused")
		}
		for name, ok := range map[string]bool{
			"other label":       s.verifyWithLabel(public, "lab", []byte("content"), sig),
			"other content":     s.verifyWithLabel(public, "label", []byte("contents"), sig),
			"shorter signature": s.verifyWithLabel(public, "label", []byte("content"), sig[:len(sig)-1]),
			"longer signature":  s.verifyWithLabel(public, "label", []byte("content"), append(bytes.Clone(sig), 0)),
			"no signature":      s.verifyWithLabel(public, "label", []byte("content"), nil),
			"no key":            s.verifyWithLabel(nil, "label", []byte("content"), sig),
			"shorter key":       s.verifyWithLabel(public[1:], "label", []byte("content"), sig),
			"longer key":        s.verifyWithLabel(append(bytes.Clone(public), 0), "label", []byte("content"), sig),
		} {
			if ok {
				t.Errorf("accepted: %s", name)
			}
		}
		for _, b := range [][]byte{nil, make([]byte, 67)} {
			if _, err := ParseSigner(id, b); !errors.Is(err, ErrSigner) {
				t.Errorf("private key of %d bytes: %v", len(b), err)
			}
		}
	})
}

// Signers of the wrong type are refused wherever one is given.
func TestForeignSigner(t *testing.T) {
	eachSuite(t, func(t *testing.T, id Suite) {
		other := SuiteX25519
		if _, isEd25519 := mustSuite(t, id).sig.(ed25519Scheme); isEd25519 {
			other = SuiteP256
		}
		signer, err := GenerateSigner(other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := MarshalSigner(id, signer); !errors.Is(err, ErrSigner) {
			t.Errorf("serialised: %v", err)
		}
		o := KeyPackageOptions{Suite: id, Credential: BasicCredential(nil), Signer: signer}
		if _, err := NewKeyPackage(o); !errors.Is(err, ErrSigner) {
			t.Errorf("key package: %v", err)
		}
	})
	for _, f := range []func(Suite) error{
		func(id Suite) error { _, err := GenerateSigner(id); return err },
		func(id Suite) error { _, err := MarshalSigner(id, nil); return err },
		func(id Suite) error { _, err := ParseSigner(id, nil); return err },
	} {
		if err := f(0x0a0a); !errors.Is(err, ErrUnsupported) {
			t.Errorf("unknown suite: %v", err)
		}
	}
}

// A key on another curve is another type, and so is half an Ed25519 key.
func TestAlmostRightSigner(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []Suite{SuiteP384, SuiteP521, SuiteMLKEM1024P384} {
		if _, err := mustSuite(t, id).sig.publicOf(p256); !errors.Is(err, ErrSigner) {
			t.Errorf("%v: %v", id, err)
		}
	}
	if _, err := mustSuite(t, SuiteMLKEM768).sig.publicOf(ed25519.PrivateKey{1}); !errors.Is(err, ErrSigner) {
		t.Error(err)
	}
}

// ML-DSA is hedged: two signatures of the same message differ. A key of circl's
// itself does as well, though its signatures are deterministic.
func TestMLDSAHedged(t *testing.T) {
	s := mustSuite(t, SuiteXWingChaMLDSA44)
	signer, err := GenerateSigner(s.id)
	if err != nil {
		t.Fatal(err)
	}
	var sigs [2][]byte
	for i := range sigs {
		if sigs[i], err = s.signWithLabel(signer, "label", nil); err != nil || !s.verifyWithLabel(publicKey(t, s, signer), "label", nil, sigs[i]) {
			t.Fatal(err)
		}
	}
	if bytes.Equal(sigs[0], sigs[1]) {
		t.Error("the same signature twice")
	}
	if _, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, ErrSigner) {
		t.Errorf("a hash is signed: %v", err)
	}
	_, plain, err := mldsa44.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.signWithLabel(plain, "label", nil)
	if err != nil || !s.verifyWithLabel(publicKey(t, s, plain), "label", nil, sig) {
		t.Errorf("circl's key: %v", err)
	}
	seed, err := MarshalSigner(s.id, plain)
	if err != nil || !slices.Equal(seed, plain.Seed()) {
		t.Errorf("circl's key is serialised as %x, %v", seed, err)
	}
	var unpacked mldsa44.PrivateKey
	if err := unpacked.UnmarshalBinary(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := MarshalSigner(s.id, &unpacked); !errors.Is(err, ErrSigner) {
		t.Errorf("a key without its seed: %v", err)
	}
}

func publicKey(t testing.TB, s *suite, signer crypto.Signer) []byte {
	t.Helper()
	public, err := s.sig.publicOf(signer)
	if err != nil {
		t.Fatal(err)
	}
	return public
}
