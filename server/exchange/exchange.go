// Package exchange keeps what the second half of a call in two halves needs of
// the first: with the connection, and one at a time, of whichever kind. So an
// exchange cannot be finished elsewhere, nor twice, nor as one of another kind.
package exchange

import (
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Life is how long the second half of an exchange may take to come. Argon2id
// on a slow device takes some seconds of it.
const Life = 2 * time.Minute

// ErrNone is a *wire.Error with ERROR_CODE_NO_EXCHANGE.
var ErrNone error = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE, "The start of this exchange is missing or too old. Begin again.")

// Begun says when an exchange began. Every kind of exchange embeds it.
type Begun struct{ At time.Time }

func (b Begun) begun() time.Time { return b.At }

type key struct{}

// Keep makes x the connection's exchange, in place of one that may be there.
func Keep(p *wire.Peer, x interface{ begun() time.Time }) { p.SetValue(key{}, x) }

// Take ends the connection's exchange and returns it, where it is of the type
// X and not too old; otherwise ErrNone. Whatever was there is gone: an exchange
// has one try.
func Take[X interface{ begun() time.Time }](p *wire.Peer, now time.Time) (X, error) {
	x, ok := p.TakeValue(key{}).(X)
	if !ok {
		return x, ErrNone
	}
	if age := now.Sub(x.begun()); age < 0 || age > Life {
		return x, ErrNone
	}
	return x, nil
}
