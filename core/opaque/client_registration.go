package opaque

import (
	"crypto/rand"
	"slices"

	"github.com/cloudflare/circl/group"
)

// ClientRegistration is a registration under way. It is good for one Finish.
type ClientRegistration struct {
	redacted
	config  Config
	blinded *blindedPassword
}

// StartRegistration begins to register a password (at most 65535 bytes, copied)
// and returns the request for the server, [RequestSize] bytes.
func (c Config) StartRegistration(password []byte) (reg *ClientRegistration, request []byte, err error) {
	return c.startRegistration(password, randomBlind())
}

func (c Config) startRegistration(password []byte, blind group.Scalar) (*ClientRegistration, []byte, error) {
	if err := c.checkClient(password); err != nil {
		return nil, nil, err
	}
	blinded, err := blindPassword(password, blind)
	if err != nil {
		return nil, nil, err
	}
	return &ClientRegistration{config: c, blinded: blinded}, blinded.message, nil
}

// Finish takes the server's response and returns the record for the server to
// store ([RecordSize] bytes) and the export key ([ExportKeySize] bytes), which
// stays with the client. An empty identity stands for the public key; both
// must be the same in each login. It returns a *LengthError, ErrMalformed or
// ErrSpent.
func (r *ClientRegistration) Finish(response, clientID, serverID []byte) (record, exportKey []byte, err error) {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return r.finish(response, clientID, serverID, nonce[:])
}

func (r *ClientRegistration) finish(response, clientID, serverID, envelopeNonce []byte) (record, exportKey []byte, err error) {
	blinded := r.blinded
	if blinded == nil {
		return nil, nil, ErrSpent
	}
	r.blinded = nil
	defer blinded.wipe()

	m, err := decodeRegistrationResponse(response)
	if err != nil {
		return nil, nil, err
	}
	randomized, err := blinded.randomize(r.config.KSF, m.evaluated)
	if err != nil {
		return nil, nil, err
	}
	defer clear(randomized)
	keys, err := derivePasswordKeys(randomized, envelopeNonce)
	if err != nil {
		return nil, nil, err
	}
	defer keys.wipe()
	ids, err := newIdentities(clientID, serverID, keys.client.public, m.serverPublicKey)
	if err != nil {
		return nil, nil, err
	}
	record = slices.Concat(keys.client.public, maskingKey(randomized), envelopeNonce,
		keys.authTag(envelopeNonce, m.serverPublicKey, ids))
	return record, keys.exportKey, nil
}
