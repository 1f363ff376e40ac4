package tokens

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cloudflare/circl/oprf"
)

// Lengths, in bytes.
const (
	// ElementSize is of a blinded or evaluated element, and of a public key.
	ElementSize = 32
	// ProofSize is of a DLEQ proof.
	ProofSize = 64
	// TokenSize is of an encoded token: key id, nonce, output.
	TokenSize = keyIDSize + nonceSize + outputSize

	keyIDSize  = 4
	nonceSize  = 32
	outputSize = 64
)

// MaxBatch is how many tokens one batch may have.
const MaxBatch = 100

var (
	// ErrToken says that a token is malformed or was not made with the key.
	// Refuse it.
	ErrToken = errors.New("tokens: not a token of this key")
	// ErrElement says that an element is malformed. Refuse the batch.
	ErrElement = errors.New("tokens: malformed element")
	// ErrBatch says that a batch is empty, or has more than MaxBatch elements,
	// or not as many as were asked for.
	ErrBatch = errors.New("tokens: wrong size of a batch")
	// ErrProof says that a batch was not evaluated with the expected key. Do not
	// use its tokens: whoever made them could recognise them.
	ErrProof = errors.New("tokens: evaluated with another key")
	// ErrPublicKey says that a public key is malformed.
	ErrPublicKey = errors.New("tokens: malformed public key")
)

var suite = oprf.SuiteRistretto255

// Token is good for one use, on the day of its key and the next.
type Token struct {
	// KeyID is the day of the key that it was made with.
	KeyID uint32
	// Nonce is random, and makes the token what it is.
	Nonce  [nonceSize]byte
	output [outputSize]byte
}

// Bytes encodes a token: key id (big-endian), nonce, output.
func (t *Token) Bytes() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, TokenSize), t.KeyID)
	b = append(b, t.Nonce[:]...)
	return append(b, t.output[:]...)
}

// Parse decodes a token. Whether it was made with the key is for Key.Check to
// say. ErrToken.
func Parse(b []byte) (*Token, error) {
	if len(b) != TokenSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrToken, len(b))
	}
	t := &Token{KeyID: binary.BigEndian.Uint32(b)}
	copy(t.Nonce[:], b[keyIDSize:])
	copy(t.output[:], b[keyIDSize+nonceSize:])
	return t, nil
}

// LogValue shows nothing: who has a token can spend it.
func (Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// String shows nothing.
func (Token) String() string { return "[token]" }

// GoString shows nothing.
func (Token) GoString() string { return "[token]" }

// inputLabel keeps the function's inputs apart from those of any other use.
const inputLabel = "qpc send token v1\x00"

// input is what the function is evaluated on. The key id need not be in it:
// each day has a key of its own.
func input(nonce []byte) []byte { return append([]byte(inputLabel), nonce...) }

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails
	return nonce
}
