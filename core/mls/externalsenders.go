package mls

import (
	"bytes"
	"crypto"
	"slices"
)

// ExternalSender is somebody outside of the group whose proposals it takes (RFC
// 9420 §12.1.8.1).
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// NewExternalSender describes the holder of a signing key of a suite. ErrSigner.
func NewExternalSender(id Suite, signer crypto.Signer, c Credential) (ExternalSender, error) {
	s, err := suiteOf(id)
	if err != nil {
		return ExternalSender{}, err
	}
	if signer == nil {
		return ExternalSender{}, ErrSigner
	}
	key, err := s.sig.publicOf(signer)
	return ExternalSender{SignatureKey: bytes.Clone(key), Credential: c}, err
}

// ExternalSendersExtension is the group-context extension that lists these. Senders
// are known by their places in it.
func ExternalSendersExtension(list []ExternalSender) Extension {
	var w writer
	writeList(&w, list)
	return Extension{Type: ExtExternalSenders, Data: w.b}
}

// ParseExternalSenders decodes the data of an external_senders extension.
func ParseExternalSenders(data []byte) ([]ExternalSender, error) {
	return unmarshal(bytes.Clone(data), func(r *reader) []ExternalSender { return readList(r, readExternalSender) })
}

func (e ExternalSender) encode(w *writer) {
	w.vec(e.SignatureKey)
	e.Credential.encode(w)
}

func readExternalSender(r *reader) ExternalSender {
	return ExternalSender{SignatureKey: r.vec(), Credential: readCredential(r)}
}

func externalSendersOf(context []Extension) ([]ExternalSender, error) {
	data, ok := findExtension(context, ExtExternalSenders)
	if !ok {
		return nil, nil
	}
	return ParseExternalSenders(data)
}

// externalSender is the one at a place in the group's list.
func (g *Group) externalSender(i uint32) (ExternalSender, error) {
	list, err := externalSendersOf(g.cur.context.extensions)
	if err != nil {
		return ExternalSender{}, err
	}
	if uint64(i) >= uint64(len(list)) {
		return ExternalSender{}, invalid("12.1.8.1", "external sender %d of %d", i, len(list))
	}
	return list[i], nil
}

// authenticateExternalSenders asks about those that are in the new extensions and
// were not in the old ones.
func (c *Config) authenticateExternalSenders(groupID []byte, old, context []Extension) error {
	list, err := externalSendersOf(context)
	if err != nil {
		return err
	}
	known, err := externalSendersOf(old)
	if err != nil {
		return err
	}
	seen := make(map[string]struct{}, len(known))
	for _, e := range known {
		seen[string(marshal(e))] = struct{}{}
	}
	for _, e := range list {
		if _, ok := seen[string(marshal(e))]; ok {
			continue
		}
		if err := c.Auth.ValidateExternalSender(slices.Clone(groupID), e); err != nil {
			return &ValidationError{Section: "5.3.1", Reason: "the authentication service refuses an external sender", Err: err}
		}
	}
	return nil
}
