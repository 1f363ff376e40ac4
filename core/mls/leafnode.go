package mls

import (
	"bytes"
	"crypto"
	"slices"
	"time"
)

// LeafSource tells how a leaf came to be.
type LeafSource uint8

// The leaf node sources of RFC 9420 §7.2.
const (
	SourceKeyPackage LeafSource = 1
	SourceUpdate     LeafSource = 2
	SourceCommit     LeafSource = 3
)

// Lifetime is when a KeyPackage may be used, in seconds since 1970.
type Lifetime struct{ NotBefore, NotAfter uint64 }

// Contains tells whether now lies within the lifetime.
func (l Lifetime) Contains(now time.Time) bool {
	t := now.Unix()
	return t >= 0 && uint64(t) >= l.NotBefore && uint64(t) <= l.NotAfter
}

// LeafNode is a member's (or KeyPackage's) public part (RFC 9420 §7.2). It is
// read-only: the group shares it. Capabilities and extensions hold ids that mean nothing,
// too: those of software unknown here, and GREASE (§13.5), one's own leaf not excepted.
type LeafNode struct {
	EncryptionKey []byte
	SignatureKey  []byte
	Credential    Credential
	Capabilities  Capabilities
	Source        LeafSource
	signed        uint32   // length of what is signed of raw
	Lifetime      Lifetime // where Source is SourceKeyPackage
	Extensions    []Extension

	parentHash []byte // where Source is SourceCommit
	raw        []byte // the encoding, its signature included
}

// Extension returns the data of the leaf's extension of this type.
func (l *LeafNode) Extension(typ uint16) ([]byte, bool) { return findExtension(l.Extensions, typ) }

func (l *LeafNode) encode(w *writer) { w.raw(l.raw) }

func (l *LeafNode) encodeUnsigned(w *writer) {
	w.vec(l.EncryptionKey)
	w.vec(l.SignatureKey)
	l.Credential.encode(w)
	l.Capabilities.encode(w)
	w.u8(uint8(l.Source))
	switch l.Source {
	case SourceKeyPackage:
		w.u64(l.Lifetime.NotBefore)
		w.u64(l.Lifetime.NotAfter)
	case SourceCommit:
		w.vec(l.parentHash)
	}
	writeList(w, l.Extensions)
}

func readLeafNode(r *reader) *LeafNode {
	start := r.b
	l := &LeafNode{EncryptionKey: r.vec(), SignatureKey: r.vec(), Credential: readCredential(r), Capabilities: readCapabilities(r)}
	l.Source = LeafSource(r.u8())
	switch l.Source {
	case SourceKeyPackage:
		l.Lifetime = Lifetime{NotBefore: r.u64(), NotAfter: r.u64()}
	case SourceUpdate:
	case SourceCommit:
		l.parentHash = r.vec()
	default:
		r.fail("bad leaf node source %d", l.Source)
	}
	l.Extensions = readList(r, readExtension)
	l.signed = uint32(len(start) - len(r.b))
	r.vec()
	if r.err == nil {
		l.raw = r.since(start)
	}
	return l
}

// setExtensions replaces the extensions of a leaf that is going to be signed
// anew but for GREASE, nil keeps them, and adds their types to its capabilities.
func (l *LeafNode) setExtensions(list []Extension) error {
	if list == nil {
		return nil
	}
	grease := slices.DeleteFunc(slices.Clone(l.Extensions), func(e Extension) bool { return !isGREASE(e.Type) })
	l.Extensions = cloneExtensions(list)
	for _, e := range grease {
		if _, ok := findExtension(list, e.Type); !ok {
			l.Extensions = append(l.Extensions, e)
		}
	}
	l.Capabilities.Extensions = slices.Clone(l.Capabilities.Extensions)
	for _, e := range list {
		if !defaultExtension(e.Type) {
			l.Capabilities.Extensions = merge(l.Capabilities.Extensions, e.Type)
		}
	}
	return checkExtensions(list)
}

// detach returns a copy that shares no memory with the message it came in, but
// lists with others.
func (l *LeafNode) detach(lists interner) *LeafNode {
	d, err := unmarshalSharing(bytes.Clone(l.raw), readLeafNode, lists)
	if err != nil {
		return l // cannot be: raw was decoded or encoded here
	}
	return d
}

// tbs is LeafNodeTBS; the place counts where the leaf is not a KeyPackage's.
func (l *LeafNode) tbs(groupID []byte, index LeafIndex) []byte {
	var w writer
	if l.raw != nil {
		w.raw(l.raw[:l.signed])
	} else {
		l.encodeUnsigned(&w)
	}
	if l.Source != SourceKeyPackage {
		w.vec(groupID)
		w.u32(uint32(index))
	}
	return w.b
}

// sign completes the leaf.
func (l *LeafNode) sign(s *suite, signer crypto.Signer, groupID []byte, index LeafIndex) error {
	sig, err := s.signWithLabel(signer, "LeafNodeTBS", l.tbs(groupID, index))
	if err != nil {
		return err
	}
	var w writer
	l.encodeUnsigned(&w)
	l.signed = uint32(len(w.b))
	w.vec(sig)
	l.raw = w.b
	return nil
}

func (l *LeafNode) verifySignature(s *suite, groupID []byte, index LeafIndex) bool {
	signature := reader{b: l.raw[l.signed:]}
	return s.verifyWithLabel(l.SignatureKey, "LeafNodeTBS", l.tbs(groupID, index), signature.vec())
}

// check verifies what §7.3 asks of a leaf by itself: that its capabilities
// cover the group's suite and version and its own extensions and credential,
// and that its keys can be used.
func (l *LeafNode) check(s *suite) error {
	if !slices.Contains(l.Capabilities.Versions, protocolVersion) {
		return invalid("7.2", "leaf does not support MLS 1.0")
	}
	if !slices.Contains(l.Capabilities.Suites, uint16(s.id)) {
		return invalid("7.2", "leaf does not support the group's suite")
	}
	if !slices.Contains(l.Capabilities.Credentials, uint16(l.Credential.Type)) {
		return invalid("7.3", "leaf's credential type is not among its capabilities")
	}
	if err := checkExtensions(l.Extensions); err != nil {
		return err
	}
	for _, e := range l.Extensions {
		if !l.Capabilities.hasExtension(e.Type) {
			return invalid("7.3", "leaf extension %#04x is not among its capabilities", e.Type)
		}
	}
	if l.Source == SourceKeyPackage && l.Lifetime.NotBefore > l.Lifetime.NotAfter {
		return invalid("7.2", "leaf lifetime ends before it begins")
	}
	if !s.validPublicKey(l.EncryptionKey) {
		return invalid("7.3", "leaf encryption key is not a key")
	}
	return nil
}

// supports tells whether the leaf has the capabilities the group context asks for.
func (l *LeafNode) supports(context []Extension) error {
	for _, e := range context {
		if !l.Capabilities.hasExtension(e.Type) {
			return invalid("7.2", "leaf does not support group context extension %#04x", e.Type)
		}
	}
	req, err := requiredCapabilitiesOf(context)
	if err != nil {
		return err
	}
	for _, t := range req.extensions {
		if !l.Capabilities.hasExtension(t) {
			return invalid("7.3", "leaf lacks required extension %#04x", t)
		}
	}
	for _, t := range req.proposals {
		if !l.Capabilities.hasProposal(t) {
			return invalid("7.3", "leaf lacks required proposal type %#04x", t)
		}
	}
	for _, t := range req.credentials {
		if !slices.Contains(l.Capabilities.Credentials, t) {
			return invalid("7.3", "leaf lacks required credential type %#04x", t)
		}
	}
	return nil
}
