package auth

import (
	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	"quicprochat/server/exchange"
	"quicprochat/server/storage"
)

// registration is what RegisterFinish needs of RegisterStart.
type registration struct {
	exchange.Begun
	account identity.AccountID
	name    string
	invite  *storage.InviteHash
}

// login is what LoginFinish needs of LoginStart. account is the zero value
// where nobody has the name; then the exchange cannot succeed.
type login struct {
	exchange.Begun
	account storage.Account
	opaque  *opaque.ServerLogin
}

// unauthenticated refuses connections that have logged in: a second exchange
// could only confuse who they are.
func unauthenticated(p *wire.Peer) error {
	if _, known := p.Principal(); known {
		return errAuthenticated
	}
	return nil
}
