package opaque

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"slices"
)

// extract and expand are HKDF-SHA512 (RFC 5869).
func extract(ikm []byte) []byte {
	prk, err := hkdf.Extract(sha512.New, ikm, nil)
	if err != nil {
		panic("opaque: HKDF-Extract takes every input: " + err.Error())
	}
	return prk
}

func expand(prk []byte, n int, info ...[]byte) []byte {
	out, err := hkdf.Expand(sha512.New, prk, string(slices.Concat(info...)), n)
	if err != nil {
		panic("opaque: HKDF-Expand gives up to 255 blocks: " + err.Error())
	}
	return out
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha512.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// appendVector appends b with its length in two bytes before it.
func appendVector(to, b []byte) []byte {
	to = binary.BigEndian.AppendUint16(to, uint16(len(b)))
	return append(to, b...)
}

// deriveSecret is Derive-Secret of RFC 9807 §6.4.2.1.
func deriveSecret(secret []byte, label string, transcript []byte) []byte {
	const prefix = "OPAQUE-"
	info := binary.BigEndian.AppendUint16(nil, hashSize)
	info = append(info, byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, byte(len(transcript)))
	info = append(info, transcript...)
	return expand(secret, hashSize, info)
}

// identities are those that the handshake covers: where none is given, the
// public key (RFC 9807 §4).
type identities struct {
	client, server []byte
}

func newIdentities(client, server, clientKey, serverKey []byte) (identities, error) {
	if len(client) == 0 {
		client = clientKey
	}
	if len(server) == 0 {
		server = serverKey
	}
	if err := checkVector("client identity", client); err != nil {
		return identities{}, err
	}
	return identities{client: client, server: server}, checkVector("server identity", server)
}

// preamble is the transcript before the server's MAC (RFC 9807 §6.4.2.1).
// ke2Inner is KE2 without the MAC.
func preamble(context []byte, ids identities, ke1, ke2Inner []byte) []byte {
	out := appendVector([]byte("OPAQUEv1-"), context)
	out = appendVector(out, ids.client)
	out = append(out, ke1...)
	out = appendVector(out, ids.server)
	return append(out, ke2Inner...)
}

// handshakeKeys is what both sides derive from the three Diffie-Hellman values
// and the transcript.
type handshakeKeys struct {
	sessionKey []byte
	serverMAC  []byte
	clientMAC  []byte
}

// deriveHandshakeKeys is DeriveKeys of RFC 9807 §6.4.2.2 with the two MACs. It
// wipes the Diffie-Hellman values.
func deriveHandshakeKeys(dh1, dh2, dh3, preamble []byte) handshakeKeys {
	ikm := slices.Concat(dh1, dh2, dh3)
	prk := extract(ikm)
	transcript := sha512.Sum512(preamble)
	handshake := deriveSecret(prk, "HandshakeSecret", transcript[:])
	serverKey := deriveSecret(handshake, "ServerMAC", nil)
	clientKey := deriveSecret(handshake, "ClientMAC", nil)
	k := handshakeKeys{sessionKey: deriveSecret(prk, "SessionKey", transcript[:])}
	k.serverMAC = mac(serverKey, transcript[:])
	transcript = sha512.Sum512(append(slices.Clip(preamble), k.serverMAC...))
	k.clientMAC = mac(clientKey, transcript[:])
	for _, secret := range [][]byte{dh1, dh2, dh3, ikm, prk, handshake, serverKey, clientKey} {
		clear(secret)
	}
	return k
}

func (k handshakeKeys) wipe() {
	clear(k.sessionKey)
	clear(k.serverMAC)
	clear(k.clientMAC)
}
