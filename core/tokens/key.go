package tokens

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
)

// keyInfo is the info of RFC 9497's DeriveKeyPair.
const keyInfo = "qpc send token key v1"

// Key issues and checks the tokens of one day.
type Key struct {
	id      uint32
	private *oprf.PrivateKey
	public  []byte
}

// DeriveKey makes the key of a day from a secret of at least 32 bytes, the
// same for the same day: nothing needs to be kept.
func DeriveKey(secret []byte, day uint32) (*Key, error) {
	info := binary.BigEndian.AppendUint32([]byte("qpc send token seed v1\x00"), day)
	seed, err := hkdf.Key(sha256.New, secret, nil, string(info), 32)
	if err != nil {
		return nil, fmt.Errorf("tokens: derive seed: %w", err)
	}
	defer clear(seed)
	return keyFromSeed(seed, []byte(keyInfo), day)
}

func keyFromSeed(seed, info []byte, day uint32) (*Key, error) {
	private, err := oprf.DeriveKey(suite, oprf.VerifiableMode, seed, info)
	if err != nil {
		return nil, fmt.Errorf("tokens: derive key: %w", err)
	}
	public, err := private.Public().MarshalBinary() // computed here once: not safe later by several
	if err != nil {
		return nil, fmt.Errorf("tokens: encode key: %w", err)
	}
	return &Key{id: day, private: private, public: public}, nil
}

// ID is the day of the key: days since 1970.
func (k *Key) ID() uint32 { return k.id }

// Public is the public key, 32 bytes.
func (k *Key) Public() []byte { return append([]byte(nil), k.public...) }

// LogValue shows nothing.
func (Key) LogValue() slog.Value { return slog.StringValue("[token key]") }

// String shows nothing.
func (Key) String() string { return "[token key]" }

// GoString shows nothing.
func (Key) GoString() string { return "[token key]" }

// Evaluate turns blinded elements into evaluated ones, with one proof for all.
// ErrBatch, ErrElement; nothing is learned from either.
func (k *Key) Evaluate(blinded [][]byte) (evaluated [][]byte, proof []byte, err error) {
	elements, err := parseElements(blinded)
	if err != nil {
		return nil, nil, err
	}
	e, err := oprf.NewVerifiableServer(suite, k.private).Evaluate(&oprf.EvaluationRequest{Elements: elements})
	if err != nil {
		return nil, nil, fmt.Errorf("tokens: evaluate: %w", err)
	}
	if evaluated, err = encodeElements(e.Elements); err != nil {
		return nil, nil, err
	}
	proof, err = e.Proof.MarshalBinary()
	return evaluated, proof, err
}

// Check tells whether a token was made with this key, in time that does not
// depend on what is wrong with its output. It does not know what was spent.
// ErrToken.
func (k *Key) Check(t *Token) error {
	if t.KeyID != k.id || !oprf.NewVerifiableServer(suite, k.private).VerifyFinalize(input(t.Nonce[:]), t.output[:]) {
		return ErrToken
	}
	return nil
}

func parseElements(encoded [][]byte) ([]group.Element, error) {
	if len(encoded) == 0 || len(encoded) > MaxBatch {
		return nil, fmt.Errorf("%w: %d", ErrBatch, len(encoded))
	}
	elements := make([]group.Element, len(encoded))
	for i, b := range encoded {
		e := suite.Group().NewElement()
		if len(b) != ElementSize || e.UnmarshalBinary(b) != nil || e.IsIdentity() {
			return nil, ErrElement
		}
		elements[i] = e
	}
	return elements, nil
}

func encodeElements(elements []group.Element) ([][]byte, error) {
	encoded := make([][]byte, len(elements))
	for i, e := range elements {
		b, err := e.MarshalBinaryCompress()
		if err != nil {
			return nil, fmt.Errorf("tokens: encode element: %w", err)
		}
		encoded[i] = b
	}
	return encoded, nil
}
