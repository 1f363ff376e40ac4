package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"time"
)

// KeyPackage is what one adds a client to a group with (RFC 9420 §10).
// Read-only.
type KeyPackage struct {
	suite      Suite
	initKey    []byte
	leaf       *LeafNode
	extensions []Extension
	signature  []byte
	raw        []byte
}

// ParseKeyPackage decodes a serialised KeyPackage (not an MLSMessage). It
// checks the form only; see Verify. Suites and ids unknown here are carried.
func ParseKeyPackage(b []byte) (*KeyPackage, error) {
	return unmarshal(bytes.Clone(b), readKeyPackage)
}

// Suite returns the suite that the KeyPackage is for.
func (kp *KeyPackage) Suite() Suite { return kp.suite }

// LeafNode returns the leaf that the client will have.
func (kp *KeyPackage) LeafNode() *LeafNode { return kp.leaf }

// Ref returns the KeyPackageRef (RFC 9420 §5.2), nil where the suite is unknown.
func (kp *KeyPackage) Ref() []byte {
	s, err := suiteOf(kp.suite)
	if err != nil {
		return nil
	}
	return s.keyPackageRef(kp.raw)
}

// Bytes returns the serialised KeyPackage.
func (kp *KeyPackage) Bytes() []byte { return bytes.Clone(kp.raw) }

// LastResort tells whether the KeyPackage may be used more than once.
func (kp *KeyPackage) LastResort() bool {
	_, ok := findExtension(kp.extensions, ExtLastResort)
	return ok
}

// Verify checks what RFC 9420 §10.1 asks before a KeyPackage is used: the
// suite, both signatures, the leaf, that init and encryption key differ, and
// that its lifetime contains now. Its credential is the AuthenticationService's to judge.
func (kp *KeyPackage) Verify(now time.Time) error {
	if err := kp.verify(); err != nil {
		return err
	}
	if !kp.leaf.Lifetime.Contains(now) {
		return invalid("7.3", "key package is outside its lifetime")
	}
	return nil
}

// verify is Verify but for the time.
func (kp *KeyPackage) verify() error {
	s, err := suiteOf(kp.suite)
	if err != nil {
		return err
	}
	if kp.leaf.Source != SourceKeyPackage {
		return invalid("10", "key package has a leaf of another source")
	}
	if bytes.Equal(kp.initKey, kp.leaf.EncryptionKey) {
		return invalid("10.1", "init key and encryption key are the same")
	}
	if !s.validPublicKey(kp.initKey) {
		return invalid("10", "init key is not a key")
	}
	if err := checkExtensions(kp.extensions); err != nil {
		return err
	}
	if err := kp.leaf.check(s); err != nil {
		return err
	}
	if !kp.leaf.verifySignature(s, nil, 0) {
		return fmt.Errorf("%w: leaf of key package", ErrInvalidSignature)
	}
	if !s.verifyWithLabel(kp.leaf.SignatureKey, "KeyPackageTBS", kp.tbs(), kp.signature) {
		return fmt.Errorf("%w: key package", ErrInvalidSignature)
	}
	return nil
}

func (kp *KeyPackage) encode(w *writer) { w.raw(kp.raw) }

func (kp *KeyPackage) encodeUnsigned(w *writer) {
	w.u16(protocolVersion)
	w.u16(uint16(kp.suite))
	w.vec(kp.initKey)
	kp.leaf.encode(w)
	writeList(w, kp.extensions)
}

func (kp *KeyPackage) tbs() []byte {
	var w writer
	kp.encodeUnsigned(&w)
	return w.b
}

func readKeyPackage(r *reader) *KeyPackage {
	start := r.b
	if v := r.u16(); r.err == nil && v != protocolVersion {
		r.fail("key package of version %d", v)
	}
	kp := &KeyPackage{suite: Suite(r.u16()), initKey: r.vec(), leaf: readLeafNode(r)}
	kp.extensions = readList(r, readExtension)
	kp.signature = r.vec()
	if r.err == nil {
		kp.raw = r.since(start)
	}
	return kp
}

// KeyPackageOptions is what a new KeyPackage says of its client.
type KeyPackageOptions struct {
	Suite          Suite
	Credential     Credential
	Signer         crypto.Signer // a signature key of the suite, see GenerateSigner
	LeafExtensions []Extension
	// NotBefore and NotAfter bound its use; zero values mean an hour ago and 90 days ahead.
	NotBefore, NotAfter time.Time
	// LastResort marks it as one that the server may hand out again when no other is left.
	LastResort bool
	// ExtraCapabilities adds to what this package supports itself: above all the
	// types of the application's group-context extensions.
	ExtraCapabilities Capabilities
}

// KeyPackageBundle is a KeyPackage with its private keys. Keep it until the group
// that a Welcome has led into is stored, then destroy it, and delete what
// MarshalBinary gave: with its init key the Welcome, and all of the group's first
// epoch, can be read again. Only one of last resort is kept longer, until it
// expires or another has taken its place; it may lead into any number of groups.
type KeyPackageBundle struct {
	kp             *KeyPackage
	initPrivate    []byte
	encryptPrivate []byte
}

// NewKeyPackage makes a KeyPackage and its private keys.
func NewKeyPackage(o KeyPackageOptions) (*KeyPackageBundle, error) {
	s, err := suiteOf(o.Suite)
	if err != nil {
		return nil, err
	}
	leaf, encryptPrivate, err := newLeaf(s, o.Signer, o.Credential, o.LeafExtensions,
		ownCapabilities(o.ExtraCapabilities, o.LeafExtensions, nil, o.Credential.Type))
	if err != nil {
		return nil, err
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = time.Now().Add(90 * 24 * time.Hour)
	}
	leaf.Lifetime = Lifetime{NotBefore: uint64(max(0, o.NotBefore.Unix())), NotAfter: uint64(max(0, o.NotAfter.Unix()))}
	if err := leaf.sign(s, o.Signer, nil, 0); err != nil {
		return nil, err
	}
	initPrivate, initPublic, err := s.generateKeyPair()
	if err != nil {
		return nil, err
	}
	kp := &KeyPackage{suite: o.Suite, initKey: initPublic, leaf: leaf}
	if o.LastResort {
		kp.extensions = []Extension{{Type: ExtLastResort}}
	}
	kp.extensions = withGREASE(kp.extensions, greaseType(leaf.Capabilities.Extensions))
	if kp.signature, err = s.signWithLabel(o.Signer, "KeyPackageTBS", kp.tbs()); err != nil {
		return nil, err
	}
	var w writer
	kp.encodeUnsigned(&w)
	w.vec(kp.signature)
	kp.raw = w.b
	return &KeyPackageBundle{kp: kp, initPrivate: initPrivate, encryptPrivate: encryptPrivate}, nil
}

// newLeaf makes an unsigned leaf with a fresh encryption key.
func newLeaf(s *suite, signer crypto.Signer, c Credential, ext []Extension, caps Capabilities) (*LeafNode, []byte, error) {
	if signer == nil {
		return nil, nil, ErrSigner
	}
	if c.Type != CredentialBasic && c.Type != CredentialX509 {
		return nil, nil, fmt.Errorf("%w: credential type %#04x", ErrUnsupported, uint16(c.Type))
	}
	signatureKey, err := s.sig.publicOf(signer)
	if err != nil {
		return nil, nil, err
	}
	private, public, err := s.generateKeyPair()
	if err != nil {
		return nil, nil, err
	}
	caps = caps.greased()
	leaf := &LeafNode{
		EncryptionKey: public, SignatureKey: bytes.Clone(signatureKey), Credential: c, Capabilities: caps,
		Source: SourceKeyPackage, Extensions: withGREASE(cloneExtensions(ext), greaseType(caps.Extensions)),
	}
	return leaf, private, leaf.check(s)
}

func (s *suite) generateKeyPair() (private, public []byte, err error) {
	seed := s.randomSecret()
	defer clear(seed)
	return s.kem.deriveKeyPair(seed)
}

func (s *suite) randomSecret() []byte {
	b := make([]byte, s.nh)
	rand.Read(b)
	return b
}

// KeyPackage returns the serialised public KeyPackage, not wrapped in an MLSMessage.
func (b *KeyPackageBundle) KeyPackage() []byte { return b.kp.Bytes() }

// Public returns the KeyPackage.
func (b *KeyPackageBundle) Public() *KeyPackage { return b.kp }

// Ref returns the KeyPackageRef.
func (b *KeyPackageBundle) Ref() []byte { return b.kp.Ref() }

// MarshalBinary serialises the bundle with its private keys, for the vault only.
func (b *KeyPackageBundle) MarshalBinary() ([]byte, error) {
	w := writer{secret: true}
	w.u8(recordVersion)
	w.vec(b.initPrivate)
	w.vec(b.encryptPrivate)
	b.kp.encode(&w)
	return w.b, nil
}

// ParseKeyPackageBundle is the inverse of MarshalBinary.
func ParseKeyPackageBundle(data []byte) (*KeyPackageBundle, error) {
	return unmarshal(bytes.Clone(data), func(r *reader) *KeyPackageBundle {
		if v := r.u8(); v != recordVersion {
			r.fail("key package bundle of version %d", v)
		}
		return &KeyPackageBundle{initPrivate: r.vec(), encryptPrivate: r.vec(), kp: readKeyPackage(r)}
	})
}

// Destroy wipes the private keys.
func (b *KeyPackageBundle) Destroy() {
	clear(b.initPrivate)
	clear(b.encryptPrivate)
}
