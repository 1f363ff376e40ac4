package mls

import (
	"bytes"
	"fmt"
)

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

// X509Credential returns an x509 credential with these certificates in DER, the one
// with the signature key first. Leaves may have one where every member lists the type
// in its capabilities ([KeyPackageOptions].ExtraCapabilities).
func X509Credential(certificates [][]byte) Credential {
	c := Credential{Type: CredentialX509, Certificates: make([][]byte, len(certificates))}
	for i, der := range certificates {
		c.Certificates[i] = bytes.Clone(der)
	}
	return c
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
	default: // its length is not known either
		r.refuse(fmt.Errorf("%w: credential type %#04x", ErrUnsupported, uint16(c.Type)))
	}
	return c
}
