package opaque

import (
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
)

// Server answers registrations and logins. It holds no state of exchanges and
// is safe for concurrent use.
type Server struct {
	redacted
	context []byte
	keys    keyPair
	seed    []byte
	fake    []byte
}

// NewServer returns a server with the keys. It returns ErrServerKeys, or a
// *LengthError where the context is too long. The Config needs no KSF.
func NewServer(cfg Config, keys ServerKeys) (*Server, error) {
	if err := checkVector("context", cfg.Context); err != nil {
		return nil, err
	}
	pair, err := newKeyPair(keys.PrivateKey[:])
	if err != nil {
		return nil, err
	}
	s := &Server{context: slices.Clone(cfg.Context), keys: pair, seed: slices.Clone(keys.OPRFSeed[:])}
	s.fake, err = fakeRecord(s.seed)
	return s, err
}

// fakeRecord makes the record that answers for unknown users (RFC 9807
// §6.3.2.2): some public key, some masking key, an envelope of zeros. It
// derives from the seed, so it outlives a restart. The labels cannot meet an
// OPRF key's, which end in "OprfKey".
func fakeRecord(seed []byte) ([]byte, error) {
	keySeed := expand(seed, seedSize, []byte("quicprochat fake record key pair"))
	defer clear(keySeed)
	client, err := deriveKeyPair(keySeed)
	if err != nil {
		return nil, err
	}
	defer client.wipe()
	return slices.Concat(client.public,
		expand(seed, hashSize, []byte("quicprochat fake record masking key")),
		make([]byte, envelopeSize)), nil
}

// PublicKey returns the server's public key, 32 bytes.
func (s *Server) PublicKey() []byte { return slices.Clone(s.keys.public) }

// evaluate is the server's side of the OPRF under the user's own key.
func (s *Server) evaluate(blinded group.Element, credentialID []byte) ([]byte, error) {
	seed := expand(s.seed, seedSize, credentialID, []byte("OprfKey"))
	defer clear(seed)
	key, err := oprf.DeriveKey(oprf.SuiteRistretto255, oprf.BaseMode, seed, []byte("OPAQUE-DeriveKeyPair"))
	if err != nil {
		return nil, fmt.Errorf("opaque: OPRF key: %w", err)
	}
	out, err := oprf.NewServer(oprf.SuiteRistretto255, key).
		Evaluate(&oprf.EvaluationRequest{Elements: []oprf.Blinded{blinded}})
	if err != nil {
		return nil, fmt.Errorf("opaque: OPRF: %w", err)
	}
	return encodeElement(out.Elements[0]), nil
}

// RegistrationResponse answers a registration request for the credential
// identifier, which is the user's for ever. The response has [ResponseSize]
// bytes. It returns a *LengthError or ErrMalformed.
func (s *Server) RegistrationResponse(request, credentialID []byte) (response []byte, err error) {
	if err := checkLength("registration request", request, RequestSize); err != nil {
		return nil, err
	}
	blinded, err := decodeElement("registration request", request)
	if err != nil {
		return nil, err
	}
	evaluated, err := s.evaluate(blinded, credentialID)
	if err != nil {
		return nil, err
	}
	return slices.Concat(evaluated, s.keys.public), nil
}

// ValidateRecord tells whether a record that a client uploads can be used at
// all: a *LengthError, ErrMalformed or nil. Whether it holds the password that
// the client thinks of, only the client knows.
func ValidateRecord(record []byte) error {
	_, err := decodeRecord(record)
	return err
}

// ServerLogin is a login that waits for its last message. It is good for one
// Finish.
type ServerLogin struct {
	redacted
	keys *handshakeKeys
}

// StartLogin answers KE1 with KE2, [KE2Size] bytes. The record is the user's;
// nil answers for an unknown user from a fake record, by the same path. An
// empty identity stands for the public key. It returns a *LengthError or
// ErrMalformed, about KE1 or the record.
func (s *Server) StartLogin(ke1, credentialID, record, clientID, serverID []byte) (login *ServerLogin, ke2 []byte, err error) {
	var maskingNonce, nonce [nonceSize]byte
	var keyshareSeed [seedSize]byte
	rand.Read(maskingNonce[:]) // never fails
	rand.Read(nonce[:])
	rand.Read(keyshareSeed[:])
	defer clear(keyshareSeed[:])
	return s.startLogin(ke1, credentialID, record, clientID, serverID, maskingNonce[:], nonce[:], keyshareSeed[:])
}

func (s *Server) startLogin(ke1, credentialID, rawRecord, clientID, serverID, maskingNonce, nonce, keyshareSeed []byte) (*ServerLogin, []byte, error) {
	m, err := decodeKE1(ke1)
	if err != nil {
		return nil, nil, err
	}
	if rawRecord == nil {
		rawRecord = s.fake
	}
	rec, err := decodeRecord(rawRecord)
	if err != nil {
		return nil, nil, err
	}
	ids, err := newIdentities(clientID, serverID, rec.clientPublicKey, s.keys.public)
	if err != nil {
		return nil, nil, err
	}
	evaluated, err := s.evaluate(m.blinded, credentialID)
	if err != nil {
		return nil, nil, err
	}
	keyshare, err := deriveKeyPair(keyshareSeed)
	if err != nil {
		return nil, nil, err
	}
	defer keyshare.wipe()

	masked := mask(rec.maskingKey, maskingNonce, slices.Concat(s.keys.public, rec.envelope))
	inner := slices.Concat(evaluated, maskingNonce, masked, nonce, keyshare.public)
	hk := deriveHandshakeKeys(
		keyshare.diffieHellman(m.keyshare),
		s.keys.diffieHellman(m.keyshare),
		keyshare.diffieHellman(rec.clientPublic),
		preamble(s.context, ids, m.raw, inner))
	return &ServerLogin{keys: &hk}, slices.Concat(inner, hk.serverMAC), nil
}

// Finish checks the client's KE3 in constant time and returns the session key,
// [SessionKeySize] bytes. It returns a *LengthError or ErrAuthentication, and
// ErrSpent from the second call on.
func (l *ServerLogin) Finish(ke3 []byte) (sessionKey []byte, err error) {
	keys := l.keys
	if keys == nil {
		return nil, ErrSpent
	}
	l.keys = nil
	defer keys.wipe()
	if err := checkLength("KE3", ke3, KE3Size); err != nil {
		return nil, err
	}
	if !hmac.Equal(keys.clientMAC, ke3) {
		return nil, ErrAuthentication
	}
	return slices.Clone(keys.sessionKey), nil
}
