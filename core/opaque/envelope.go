package opaque

import (
	"crypto/hmac"
	"crypto/subtle"
	"slices"
)

// envelopeSize is a nonce and a MAC (RFC 9807 §4.1.1).
const envelopeSize = nonceSize + hashSize

// passwordKeys is everything that follows from the randomized password and the
// nonce of the envelope (RFC 9807 §4.1).
type passwordKeys struct {
	authKey   []byte
	exportKey []byte
	client    keyPair
}

func derivePasswordKeys(randomizedPassword, nonce []byte) (passwordKeys, error) {
	seed := expand(randomizedPassword, seedSize, nonce, []byte("PrivateKey"))
	defer clear(seed)
	client, err := deriveKeyPair(seed)
	if err != nil {
		return passwordKeys{}, err
	}
	return passwordKeys{
		authKey:   expand(randomizedPassword, hashSize, nonce, []byte("AuthKey")),
		exportKey: expand(randomizedPassword, hashSize, nonce, []byte("ExportKey")),
		client:    client,
	}, nil
}

func (k passwordKeys) wipe() {
	clear(k.authKey)
	k.client.wipe()
}

// authTag is the MAC of the envelope over the cleartext credentials.
func (k passwordKeys) authTag(nonce, serverPublicKey []byte, ids identities) []byte {
	credentials := slices.Concat(nonce, serverPublicKey)
	credentials = appendVector(credentials, ids.server)
	credentials = appendVector(credentials, ids.client)
	return mac(k.authKey, credentials)
}

// opens tells, in constant time, whether the envelope's tag is the one of
// these keys and credentials.
func (k passwordKeys) opens(envelope, serverPublicKey []byte, ids identities) bool {
	nonce, tag := envelope[:nonceSize], envelope[nonceSize:]
	return hmac.Equal(tag, k.authTag(nonce, serverPublicKey, ids))
}

func maskingKey(randomizedPassword []byte) []byte {
	return expand(randomizedPassword, hashSize, []byte("MaskingKey"))
}

// mask hides or shows the server's public key and the envelope in KE2
// (RFC 9807 §6.3.2.2).
func mask(maskingKey, maskingNonce, response []byte) []byte {
	out := expand(maskingKey, maskedSize, maskingNonce, []byte("CredentialResponsePad"))
	subtle.XORBytes(out, out, response)
	return out
}
