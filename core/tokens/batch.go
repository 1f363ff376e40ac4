package tokens

import (
	"errors"
	"fmt"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
)

// PublicKey is the key of a day, as everybody sees it.
type PublicKey struct {
	ID    uint32
	Bytes []byte // 32 bytes
}

// Batch is tokens in the making. It is used once.
type Batch struct {
	client  oprf.VerifiableClient
	keyID   uint32
	nonces  [][]byte
	data    *oprf.FinalizeData
	blinded [][]byte
}

// NewBatch picks n nonces, 1 to MaxBatch, and blinds them. The tokens will be
// good only if they are evaluated with the given key. ErrBatch, ErrPublicKey.
func NewBatch(key PublicKey, n int) (*Batch, error) {
	if n < 1 || n > MaxBatch {
		return nil, fmt.Errorf("%w: %d", ErrBatch, n)
	}
	nonces := make([][]byte, n)
	for i := range nonces {
		nonces[i] = newNonce()
	}
	return blind(key, nonces, func(c oprf.VerifiableClient, inputs [][]byte) (*oprf.FinalizeData, *oprf.EvaluationRequest, error) {
		return c.Blind(inputs)
	})
}

type blinder func(oprf.VerifiableClient, [][]byte) (*oprf.FinalizeData, *oprf.EvaluationRequest, error)

func blind(key PublicKey, nonces [][]byte, run blinder) (*Batch, error) {
	var public oprf.PublicKey
	if len(key.Bytes) != ElementSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrPublicKey, len(key.Bytes))
	}
	if err := public.UnmarshalBinary(suite, key.Bytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	b := &Batch{client: oprf.NewVerifiableClient(suite, &public), keyID: key.ID, nonces: nonces}
	inputs := make([][]byte, len(nonces))
	for i, nonce := range nonces {
		inputs[i] = input(nonce)
	}
	data, request, err := run(b.client, inputs)
	if err != nil {
		return nil, fmt.Errorf("tokens: blind: %w", err)
	}
	b.data = data
	b.blinded, err = encodeElements(request.Elements)
	return b, err
}

// Blinded is what the server is to evaluate: 32 bytes each.
func (b *Batch) Blinded() [][]byte { return b.blinded }

// Finish verifies that the server has evaluated the batch with the expected
// key, and makes the tokens. ErrBatch, ErrElement, ErrProof; there are no
// tokens then.
func (b *Batch) Finish(evaluated [][]byte, proof []byte) ([]*Token, error) {
	if len(evaluated) != len(b.nonces) {
		return nil, fmt.Errorf("%w: %d for %d", ErrBatch, len(evaluated), len(b.nonces))
	}
	outputs, err := finish(b.client, b.data, evaluated, proof)
	if err != nil {
		return nil, err
	}
	list := make([]*Token, len(outputs))
	for i, output := range outputs {
		t := &Token{KeyID: b.keyID}
		copy(t.Nonce[:], b.nonces[i])
		copy(t.output[:], output)
		list[i] = t
	}
	return list, nil
}

func finish(c oprf.VerifiableClient, data *oprf.FinalizeData, evaluated [][]byte, proof []byte) ([][]byte, error) {
	var elements []group.Element
	elements, err := parseElements(evaluated)
	if err != nil {
		return nil, err
	}
	if len(proof) != ProofSize {
		return nil, fmt.Errorf("%w: proof of %d bytes", ErrProof, len(proof))
	}
	var p dleq.Proof
	if err := p.UnmarshalBinary(suite.Group(), proof); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	outputs, err := c.Finalize(data, &oprf.Evaluation{Elements: elements, Proof: &p})
	switch {
	case errors.Is(err, oprf.ErrInvalidProof):
		return nil, ErrProof
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrElement, err)
	}
	return outputs, nil
}
