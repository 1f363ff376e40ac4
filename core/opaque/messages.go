package opaque

import "github.com/cloudflare/circl/group"

// Lengths of the messages and keys in bytes.
const (
	RequestSize    = elementSize
	ResponseSize   = 2 * elementSize
	RecordSize     = elementSize + hashSize + envelopeSize
	KE1Size        = elementSize + nonceSize + elementSize
	KE2Size        = ke2InnerSize + hashSize
	KE3Size        = hashSize
	ExportKeySize  = hashSize
	SessionKeySize = hashSize

	maskedSize   = elementSize + envelopeSize
	ke2InnerSize = elementSize + nonceSize + maskedSize + nonceSize + elementSize
)

// cut takes the next n bytes off b. The caller has checked the whole length.
func cut(b *[]byte, n int) []byte {
	head := (*b)[:n:n]
	*b = (*b)[n:]
	return head
}

// registrationResponse is RegistrationResponse (RFC 9807 §5.1).
type registrationResponse struct {
	evaluated       group.Element
	serverPublicKey []byte
}

func decodeRegistrationResponse(b []byte) (r registrationResponse, err error) {
	if err = checkLength("registration response", b, ResponseSize); err != nil {
		return r, err
	}
	if r.evaluated, err = decodeElement("evaluated message", cut(&b, elementSize)); err != nil {
		return r, err
	}
	r.serverPublicKey = cut(&b, elementSize)
	_, err = decodeElement("server public key", r.serverPublicKey)
	return r, err
}

// record is RegistrationRecord (RFC 9807 §5.1).
type record struct {
	clientPublicKey []byte
	clientPublic    group.Element
	maskingKey      []byte
	envelope        []byte
}

func decodeRecord(b []byte) (r record, err error) {
	if err = checkLength("record", b, RecordSize); err != nil {
		return r, err
	}
	r.clientPublicKey = cut(&b, elementSize)
	r.maskingKey = cut(&b, hashSize)
	r.envelope = cut(&b, envelopeSize)
	r.clientPublic, err = decodeElement("client public key", r.clientPublicKey)
	return r, err
}

// firstMessage is KE1 (RFC 9807 §6.1).
type firstMessage struct {
	blinded  group.Element
	keyshare group.Element
	raw      []byte
}

func decodeKE1(b []byte) (m firstMessage, err error) {
	if err = checkLength("KE1", b, KE1Size); err != nil {
		return m, err
	}
	m.raw = b
	if m.blinded, err = decodeElement("blinded message", cut(&b, elementSize)); err != nil {
		return m, err
	}
	cut(&b, nonceSize) // only part of the transcript
	m.keyshare, err = decodeElement("client key share", cut(&b, elementSize))
	return m, err
}

// secondMessage is KE2 (RFC 9807 §6.1).
type secondMessage struct {
	evaluated    group.Element
	maskingNonce []byte
	masked       []byte
	keyshare     group.Element
	inner        []byte // all but the MAC
	serverMAC    []byte
}

func decodeKE2(b []byte) (m secondMessage, err error) {
	if err = checkLength("KE2", b, KE2Size); err != nil {
		return m, err
	}
	m.inner = b[:ke2InnerSize:ke2InnerSize]
	if m.evaluated, err = decodeElement("evaluated message", cut(&b, elementSize)); err != nil {
		return m, err
	}
	m.maskingNonce = cut(&b, nonceSize)
	m.masked = cut(&b, maskedSize)
	cut(&b, nonceSize) // only part of the transcript
	m.keyshare, err = decodeElement("server key share", cut(&b, elementSize))
	m.serverMAC = b
	return m, err
}
