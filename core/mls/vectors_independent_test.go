package mls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"hash"
	"os"
	"path/filepath"
	"testing"

	circlkem "github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/cloudflare/circl/kem/xwing"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"golang.org/x/crypto/chacha20poly1305"
)

// The post-quantum suites once more, from the documents and other
// implementations than those the package uses: ML-KEM and X-Wing are circl's
// here, HPKE is written out, and so are the inputs to signatures. The project's
// own vectors of these suites have to agree.
type independentSuite struct {
	kemID, kdfID, aeadID uint16
	hash                 func() hash.Hash
	nh, nk, seed         int
	aead                 func(key []byte) (cipher.AEAD, error)
	decapsulate          func(t *testing.T, private, enc []byte) (secret []byte)
	publicOf             func(t *testing.T, private []byte) []byte
	verify               func(public, message, signature []byte) bool
}

var independentSuites = map[Suite]independentSuite{
	0xF001: {0x647a, 1, 1, sha256.New, 32, 16, 32, gcm, xwingDecapsulate, xwingPublic, verifyEd25519},
	0xF002: {0x647a, 2, 2, sha512.New384, 48, 32, 32, gcm, xwingDecapsulate, xwingPublic, verifyEd25519},
	0xF005: {0x0051, 2, 2, sha512.New384, 48, 32, 32, gcm, hybridDecapsulate, hybridPublic, verifyP384},
	0xF006: {0x0041, 2, 2, sha512.New384, 48, 32, 64, gcm, mlkem768Decapsulate, mlkem768Public, verifyEd25519},
	0xF009: {0x647a, 2, 3, sha512.New384, 48, 32, 32, chacha20poly1305.New, xwingDecapsulate, xwingPublic, verifyMLDSA44},
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func verifyEd25519(public, message, signature []byte) bool {
	return ed25519.Verify(public, message, signature)
}

func verifyP384(public, message, signature []byte) bool {
	const prefix = "\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00" // of SubjectPublicKeyInfo
	key, err := x509.ParsePKIXPublicKey(append([]byte(prefix), public...))
	digest := sha512.Sum384(message)
	return err == nil && ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), digest[:], signature)
}

func verifyMLDSA44(public, message, signature []byte) bool {
	scheme := mldsa44.Scheme()
	key, err := scheme.UnmarshalBinaryPublicKey(public)
	return err == nil && scheme.Verify(key, message, signature, nil)
}

func decapsulate(t *testing.T, scheme circlkem.Scheme, key circlkem.PrivateKey, enc []byte) []byte {
	t.Helper()
	secret, err := scheme.Decapsulate(key, enc)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func packed(t *testing.T, key circlkem.PublicKey) []byte {
	t.Helper()
	b, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func xwingDecapsulate(_ *testing.T, private, enc []byte) []byte {
	return xwing.Decapsulate(enc, private)
}

func xwingPublic(_ *testing.T, private []byte) []byte {
	_, public := xwing.DeriveKeyPairPacked(private)
	return public
}

func mlkem768Decapsulate(t *testing.T, private, enc []byte) []byte {
	_, key := mlkem768.Scheme().DeriveKeyPair(private)
	return decapsulate(t, mlkem768.Scheme(), key, enc)
}

func mlkem768Public(t *testing.T, private []byte) []byte {
	public, _ := mlkem768.Scheme().DeriveKeyPair(private)
	return packed(t, public)
}

// hybridKeys expands the seed of ML-KEM-1024 with P-384 (draft-ietf-hpke-pq).
func hybridKeys(t *testing.T, seed []byte) (circlkem.PublicKey, circlkem.PrivateKey, *ecdh.PrivateKey) {
	h := sha3.NewSHAKE256()
	h.Write(seed)
	expanded := make([]byte, 64+48)
	h.Read(expanded)
	public, private := mlkem1024.Scheme().DeriveKeyPair(expanded[:64])
	scalar, err := ecdh.P384().NewPrivateKey(expanded[64:])
	if err != nil {
		t.Fatal(err)
	}
	return public, private, scalar
}

func hybridDecapsulate(t *testing.T, private, enc []byte) []byte {
	_, key, scalar := hybridKeys(t, private)
	point, err := ecdh.P384().NewPublicKey(enc[1568:])
	if err != nil {
		t.Fatal(err)
	}
	shared, err := scalar.ECDH(point)
	if err != nil {
		t.Fatal(err)
	}
	secret := sha3.Sum256(bytes.Join([][]byte{
		decapsulate(t, mlkem1024.Scheme(), key, enc[:1568]), shared, enc[1568:], scalar.PublicKey().Bytes(), []byte("MLKEM1024-P384"),
	}, nil))
	return secret[:]
}

func hybridPublic(t *testing.T, private []byte) []byte {
	public, _, scalar := hybridKeys(t, private)
	return append(packed(t, public), scalar.PublicKey().Bytes()...)
}

// deriveKeyPair is DeriveKeyPair of the KEMs of draft-ietf-hpke-pq.
func (s *independentSuite) deriveKeyPair(ikm []byte) []byte {
	h := sha3.NewSHAKE256()
	h.Write(ikm)
	h.Write([]byte("HPKE-v1KEM"))
	h.Write(binary.BigEndian.AppendUint16(nil, s.kemID))
	h.Write([]byte("\x00\x0dDeriveKeyPair"))
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(s.seed)))
	private := make([]byte, s.seed)
	h.Read(private)
	return private
}

// open is the base mode of RFC 9180.
func (s *independentSuite) open(t *testing.T, secret, info, ciphertext []byte) []byte {
	suiteID := []byte("HPKE")
	for _, id := range []uint16{s.kemID, s.kdfID, s.aeadID} {
		suiteID = binary.BigEndian.AppendUint16(suiteID, id)
	}
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(s.hash, bytes.Join([][]byte{[]byte("HPKE-v1"), suiteID, []byte(label), ikm}, nil), salt)
		if err != nil {
			t.Fatal(err)
		}
		return prk
	}
	context := append([]byte{0}, append(extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info)...)...)
	prk := extract(secret, "secret", nil)
	expand := func(label string, n int) []byte {
		labeled := binary.BigEndian.AppendUint16(nil, uint16(n))
		labeled = append(labeled, bytes.Join([][]byte{[]byte("HPKE-v1"), suiteID, []byte(label), context}, nil)...)
		out, err := hkdf.Expand(s.hash, prk, string(labeled), n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	aead, err := s.aead(expand("key", s.nk))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, expand("base_nonce", 12), ciphertext, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// mlsLabel writes a struct of two vectors, the first of which is the label (RFC 9420 §5.1.2, §5.1.3).
func mlsLabel(label string, content []byte) []byte {
	label = "MLS 1.0 " + label
	b := append([]byte{byte(len(label))}, label...)
	if n := len(content); n < 64 {
		b = append(b, byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(b, 1<<14|uint16(n))
	}
	return append(b, content...)
}

func own[V any](t *testing.T, name string) (list []V) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOwnVectorsIndependently(t *testing.T) {
	checked := 0
	for _, v := range own[cryptoBasicsVector](t, "crypto-basics.json") {
		s, ok := independentSuites[v.CipherSuite]
		if !ok {
			continue
		}
		checked++
		h := v.EncryptWithLabel
		equal(t, "public key", s.publicOf(t, h.Priv), h.Pub)
		secret := s.decapsulate(t, h.Priv, h.KEMOutput)
		equal(t, "plaintext", s.open(t, secret, mlsLabel(h.Label, h.Context), h.Ciphertext), h.Plaintext)
		g := v.SignWithLabel
		if !s.verify(g.Pub, mlsLabel(g.Label, g.Content), g.Signature) {
			t.Errorf("%v: signature refused", v.CipherSuite)
		}
	}
	for _, v := range own[keyScheduleVector](t, "key-schedule.json") {
		s, ok := independentSuites[v.CipherSuite]
		if !ok {
			continue
		}
		for _, e := range v.Epochs {
			equal(t, "external public key", s.publicOf(t, s.deriveKeyPair(e.External)), e.ExternalPub)
		}
	}
	if checked != len(independentSuites) {
		t.Errorf("%d suites checked", checked)
	}
}

// What draft-ietf-hpke-pq derives from a seed of 32 bytes of 0x42.
func TestXWingDerivation(t *testing.T) {
	private, _, err := mustSuite(t, SuiteXWing).kem.deriveKeyPair(bytes.Repeat([]byte{0x42}, 32))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "start of the private key", private[:4], []byte{0x8c, 0xf9, 0x6b, 0x44})
}
