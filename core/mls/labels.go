package mls

import (
	"crypto"
	"crypto/hkdf"
	"encoding/binary"
)

const (
	protocolVersion uint16 = 1 // mls10
	labelPrefix            = "MLS 1.0 "
)

// expandWithLabel is ExpandWithLabel of RFC 9420 §8. It fails only for lengths
// beyond 255 hashes, which Group.Export refuses.
func (s *suite) expandWithLabel(secret []byte, label string, context []byte, length int) []byte {
	var w writer
	w.u16(uint16(length))
	w.vec([]byte(labelPrefix + label))
	w.vec(context)
	out, err := hkdf.Expand(s.hash, secret, string(w.b), length)
	if err != nil {
		panic(err)
	}
	return out
}

func (s *suite) deriveSecret(secret []byte, label string) []byte {
	return s.expandWithLabel(secret, label, nil, s.nh)
}

func (s *suite) deriveTreeSecret(secret []byte, label string, generation uint32, length int) []byte {
	return s.expandWithLabel(secret, label, binary.BigEndian.AppendUint32(nil, generation), length)
}

// labelled is the shape of SignContent (§5.1.2), EncryptContext (§5.1.3) and
// RefHashInput (§5.2).
func labelled(label string, content []byte) []byte {
	w := writer{b: make([]byte, 0, len(label)+len(content)+8)}
	w.vec([]byte(label))
	w.vec(content)
	return w.b
}

func (s *suite) signWithLabel(signer crypto.Signer, label string, content []byte) ([]byte, error) {
	return s.sig.sign(signer, labelled(labelPrefix+label, content))
}

func (s *suite) verifyWithLabel(public []byte, label string, content, signature []byte) bool {
	return s.sig.verify(public, labelled(labelPrefix+label, content), signature)
}

// hpkeCiphertext is HPKECiphertext of §7.6.
type hpkeCiphertext struct{ kemOutput, ciphertext []byte }

func (c hpkeCiphertext) encode(w *writer) {
	w.vec(c.kemOutput)
	w.vec(c.ciphertext)
}

func readHPKECiphertext(r *reader) hpkeCiphertext {
	return hpkeCiphertext{kemOutput: r.vec(), ciphertext: r.vec()}
}

func (s *suite) encryptWithLabel(public []byte, label string, context, plaintext []byte) (hpkeCiphertext, error) {
	enc, ct, err := s.kem.seal(public, labelled(labelPrefix+label, context), plaintext)
	return hpkeCiphertext{enc, ct}, err
}

func (s *suite) decryptWithLabel(private []byte, label string, context []byte, c hpkeCiphertext) ([]byte, error) {
	return s.kem.open(private, c.kemOutput, labelled(labelPrefix+label, context), c.ciphertext)
}

func (s *suite) refHash(label string, value []byte) []byte {
	return s.digest(labelled(labelPrefix+label, value))
}

func (s *suite) keyPackageRef(raw []byte) []byte { return s.refHash("KeyPackage Reference", raw) }
func (s *suite) proposalRef(raw []byte) []byte   { return s.refHash("Proposal Reference", raw) }
