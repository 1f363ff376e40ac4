package opaque

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
)

// blindedPassword is the client's side of the OPRF (RFC 9497 §3.3.1).
type blindedPassword struct {
	password []byte
	blind    group.Scalar
	data     *oprf.FinalizeData
	message  []byte
}

// blindPassword takes its own copy of the password.
func blindPassword(password []byte, blind group.Scalar) (*blindedPassword, error) {
	b := &blindedPassword{password: bytes.Clone(password), blind: blind}
	data, request, err := oprf.NewClient(oprf.SuiteRistretto255).
		DeterministicBlind([][]byte{b.password}, []oprf.Blind{blind})
	if err != nil {
		return nil, fmt.Errorf("opaque: blinding: %w", err)
	}
	b.data, b.message = data, encodeElement(request.Elements[0])
	return b, nil
}

// randomize unblinds the server's evaluation, stretches the result and returns
// the randomized password (RFC 9807 §5.2.3). This is the slow step.
func (b *blindedPassword) randomize(ksf KSF, evaluated group.Element) ([]byte, error) {
	out, err := oprf.NewClient(oprf.SuiteRistretto255).
		Finalize(b.data, &oprf.Evaluation{Elements: []oprf.Evaluated{evaluated}})
	if err != nil {
		return nil, fmt.Errorf("%w: evaluated message", ErrMalformed)
	}
	stretched := ksf(out[0])
	both := slices.Concat(out[0], stretched)
	randomized := extract(both)
	clear(both)
	clear(stretched)
	clear(out[0])
	return randomized, nil
}

func (b *blindedPassword) wipe() {
	clear(b.password)
	wipeScalar(b.blind)
}

func randomBlind() group.Scalar {
	return group.Ristretto255.RandomNonZeroScalar(nil) // reads crypto/rand itself
}
