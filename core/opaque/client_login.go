package opaque

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/cloudflare/circl/group"
)

// ClientLogin is a login under way. It is good for one Finish.
type ClientLogin struct {
	redacted
	config   Config
	blinded  *blindedPassword
	keyshare keyPair
	ke1      []byte
}

// StartLogin begins to log in with a password (at most 65535 bytes, copied) and
// returns the first message, [KE1Size] bytes.
func (c Config) StartLogin(password []byte) (login *ClientLogin, ke1 []byte, err error) {
	var nonce [nonceSize]byte
	var keyshareSeed [seedSize]byte
	rand.Read(nonce[:]) // never fails
	rand.Read(keyshareSeed[:])
	defer clear(keyshareSeed[:])
	return c.startLogin(password, randomBlind(), nonce[:], keyshareSeed[:])
}

func (c Config) startLogin(password []byte, blind group.Scalar, nonce, keyshareSeed []byte) (*ClientLogin, []byte, error) {
	if err := c.checkClient(password); err != nil {
		return nil, nil, err
	}
	blinded, err := blindPassword(password, blind)
	if err != nil {
		return nil, nil, err
	}
	keyshare, err := deriveKeyPair(keyshareSeed)
	if err != nil {
		return nil, nil, err
	}
	ke1 := slices.Concat(blinded.message, nonce, keyshare.public)
	return &ClientLogin{config: c, blinded: blinded, keyshare: keyshare, ke1: slices.Clone(ke1)}, ke1, nil
}

// Finish takes the server's KE2, checks that the server knows the record of
// this password, and returns the last message ([KE3Size] bytes), the session
// key ([SessionKeySize] bytes) and the export key ([ExportKeySize] bytes). It
// returns a *LengthError where KE2 or an identity has a wrong length, ErrSpent,
// and ErrAuthentication for everything else.
func (l *ClientLogin) Finish(ke2, clientID, serverID []byte) (ke3, sessionKey, exportKey []byte, err error) {
	blinded := l.blinded
	if blinded == nil {
		return nil, nil, nil, ErrSpent
	}
	l.blinded = nil
	defer blinded.wipe()
	defer l.keyshare.wipe()

	m, err := decodeKE2(ke2)
	if errors.Is(err, ErrMalformed) {
		return nil, nil, nil, ErrAuthentication
	} else if err != nil {
		return nil, nil, nil, err
	}
	randomized, err := blinded.randomize(l.config.KSF, m.evaluated)
	if err != nil {
		return nil, nil, nil, ErrAuthentication
	}
	defer clear(randomized)
	opened, err := recoverCredentials(randomized, m, clientID, serverID)
	if err != nil {
		return nil, nil, nil, err
	}
	defer opened.keys.wipe()

	hk := deriveHandshakeKeys(
		l.keyshare.diffieHellman(m.keyshare),
		l.keyshare.diffieHellman(opened.serverPublic),
		opened.keys.client.diffieHellman(m.keyshare),
		preamble(l.config.Context, opened.ids, l.ke1, m.inner))
	if !hmac.Equal(hk.serverMAC, m.serverMAC) {
		hk.wipe()
		clear(opened.keys.exportKey)
		return nil, nil, nil, ErrAuthentication
	}
	return hk.clientMAC, hk.sessionKey, opened.keys.exportKey, nil
}

// credentials is what the envelope gives back to who knows the password.
type credentials struct {
	keys         passwordKeys
	serverPublic group.Element
	ids          identities
}

// recoverCredentials unmasks the server's public key and the envelope and opens
// it (RFC 9807 §6.3.2.3).
func recoverCredentials(randomized []byte, m secondMessage, clientID, serverID []byte) (credentials, error) {
	key := maskingKey(randomized)
	defer clear(key)
	response := mask(key, m.maskingNonce, m.masked)
	serverPublicKey, envelope := response[:elementSize], response[elementSize:]
	keys, err := derivePasswordKeys(randomized, envelope[:nonceSize])
	if err != nil {
		return credentials{}, err
	}
	ids, err := newIdentities(clientID, serverID, keys.client.public, serverPublicKey)
	if err != nil {
		return credentials{}, err
	}
	// Both are evaluated whatever comes of the first.
	opens := keys.opens(envelope, serverPublicKey, ids)
	serverPublic, err := decodeElement("server public key", serverPublicKey)
	if !opens || err != nil {
		keys.wipe()
		clear(keys.exportKey)
		return credentials{}, ErrAuthentication
	}
	return credentials{keys: keys, serverPublic: serverPublic, ids: ids}, nil
}
