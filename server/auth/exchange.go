package auth

import (
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	"quicprochat/server/storage"
)

// exchangeLife is how long the second half of an exchange may take to come.
// Argon2id on a slow device takes some seconds of it.
const exchangeLife = 2 * time.Minute

// registration is what RegisterFinish needs of RegisterStart.
type registration struct {
	started time.Time
	account identity.AccountID
	name    string
	invite  *storage.InviteHash
}

// login is what LoginFinish needs of LoginStart. account is the zero value
// where nobody has the name; then the exchange cannot succeed.
type login struct {
	started time.Time
	account storage.Account
	opaque  *opaque.ServerLogin
}

func (r *registration) begun() time.Time { return r.started }
func (l *login) begun() time.Time        { return l.started }

type exchangeKey struct{}

// keep makes x the connection's exchange, in place of one that may be there.
func keep(p *wire.Peer, x any) { p.SetValue(exchangeKey{}, x) }

// take ends the connection's exchange and returns it, where it is of the type
// X and not too old. Whatever was there is gone: an exchange has one try.
func take[X interface{ begun() time.Time }](p *wire.Peer, now time.Time) (X, error) {
	x, ok := p.TakeValue(exchangeKey{}).(X)
	if !ok {
		return x, errNoExchange
	}
	if age := now.Sub(x.begun()); age < 0 || age > exchangeLife {
		return x, errNoExchange
	}
	return x, nil
}

// unauthenticated refuses connections that have logged in: a second exchange
// could only confuse who they are.
func unauthenticated(p *wire.Peer) error {
	if _, known := p.Principal(); known {
		return errAuthenticated
	}
	return nil
}
