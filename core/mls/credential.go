package mls

import "bytes"

// CredentialType is an id of RFC 9420 §17.5.
type CredentialType uint16

// The credential types that can be decoded.
const (
	CredentialBasic CredentialType = 1
	CredentialX509  CredentialType = 2
)

// Credential binds an identity to a leaf's signature key; it is the
// AuthenticationService that judges it (RFC 9420 §5.3).
type Credential struct {
	Type         CredentialType
	Identity     []byte   // of a basic credential
	Certificates [][]byte // of an x509 credential: DER, leaf first
}

// BasicCredential returns a basic credential with this identity.
func BasicCredential(identity []byte) Credential {
	return Credential{Type: CredentialBasic, Identity: bytes.Clone(identity)}
}

func (c Credential) encode(w *writer) {
	w.u16(uint16(c.Type))
	switch c.Type {
	case CredentialX509:
		w.nested(func(w *writer) {
			for _, cert := range c.Certificates {
				w.vec(cert)
			}
		})
	default:
		w.vec(c.Identity)
	}
}

func readCredential(r *reader) Credential {
	c := Credential{Type: CredentialType(r.u16())}
	switch c.Type {
	case CredentialBasic:
		c.Identity = r.vec()
	case CredentialX509:
		c.Certificates = readList(r, (*reader).vec)
	default:
		r.fail("unknown credential type %#04x", uint16(c.Type))
	}
	return c
}
