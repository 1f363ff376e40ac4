package mls

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"iter"
	"time"
)

// LeafIndex is a member's place in the ratchet tree. It stays while the member stays.
type LeafIndex uint32

// LeafContext is what an AuthenticationService gets to know besides the leaf.
type LeafContext struct {
	GroupID  []byte
	Source   LeafSource
	Index    LeafIndex // the leaf's place; of no meaning for a KeyPackage that is being added
	Previous *LeafNode // the leaf it replaces, nil where there is none
	Now      time.Time
}

// AuthenticationService judges whether a leaf's credential belongs to its
// signature key and, where it replaces another, to the same client (RFC 9420
// §5.3.1). An error refuses the leaf, and with it the operation that brought
// it. It is asked about each leaf of a tree on joining, and about each leaf
// that a proposal or commit brings; not about one's own. Where a client joins by an
// external commit that removes its earlier leaf, that one is what the new leaf replaces.
//
// It is also asked whether somebody outside of the group may be one of those whose
// proposals the group takes (§12.1.8.1): about each that one's own Create, a group
// to join or a new list of them brings.
type AuthenticationService interface {
	ValidateLeaf(ctx LeafContext, leaf *LeafNode) error
	ValidateExternalSender(groupID []byte, s ExternalSender) error
}

// Config is what all groups of a client have in common.
type Config struct {
	Auth AuthenticationService // required
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ExternalPSK finds a pre-shared key by its id; nil means that there are none.
	ExternalPSK func(id []byte) (secret []byte, ok bool)
	// ResumptionPSK finds the resumption PSK of an epoch of another group, or of
	// one that this group no longer keeps: see Group.ResumptionPSK. nil means that
	// there are none.
	ResumptionPSK func(groupID []byte, epoch uint64) (secret []byte, ok bool)
	// Identifier gives the identifier that a leaf's credential presents, to
	// compare the members of a re-initialised or branched group with those of the old
	// one (RFC 9420 §11.3); nil means the encoded credential. Two leaves may have one.
	Identifier func(leaf *LeafNode) []byte
	// Handshakes says whether proposals and commits are encrypted.
	Handshakes HandshakePolicy
	// Padding gives the padded length of a content of n bytes, at least n; nil
	// means Padmé over a floor of 256.
	Padding func(n int) int
	// PastEpochs is how many epochs before the present one can still be
	// decrypted, and their resumption PSKs used; 0 means 5, negative means none.
	PastEpochs int
	// OutOfOrder is how many skipped message keys are kept per sender and epoch;
	// 0 means 20, negative means none.
	OutOfOrder int
	// Forward is how many generations a sender may be ahead; 0 means 1000.
	Forward int
}

func (c Config) withDefaults() (Config, error) {
	if c.Auth == nil {
		return c, errors.New("mls: Config.Auth is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Padding == nil {
		c.Padding = paddedLen
	}
	c.PastEpochs = orDefault(c.PastEpochs, 5)
	c.OutOfOrder = orDefault(c.OutOfOrder, 20)
	c.Forward = orDefault(c.Forward, 1000)
	return c, nil
}

func orDefault(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return max(n, 0)
}

func (c *Config) now() time.Time { return c.Now() }

// Member is a member of the group.
type Member struct {
	Index LeafIndex
	*LeafNode
}

// Group is a member's state of a group. It is not safe for concurrent use.
//
// Every method that changes it leaves the changes for TakeChanges, and leaves
// the Group as it was if it returns an error.
type Group struct {
	cfg       Config
	suite     *suite
	signer    crypto.Signer
	own       LeafIndex
	removed   bool
	reInit    *ReInit       // set for good by a commit that closes the group
	origin    *presharedKey // of a successor, while it makes its first commit
	cur       *epoch
	keys      *secretTree       // of cur
	past      []*pastEpoch      // the latest first
	proposals []*cachedProposal // in order of arrival
	pending   *StagedCommit
	log       changeLog
}

// ID returns the group id.
func (g *Group) ID() []byte { return bytes.Clone(g.cur.context.groupID) }

// Suite returns the group's cipher suite.
func (g *Group) Suite() Suite { return g.suite.id }

// Epoch returns the number of the present epoch.
func (g *Group) Epoch() uint64 { return g.cur.context.epoch }

// OwnIndex returns this member's leaf.
func (g *Group) OwnIndex() LeafIndex { return g.own }

// Active tells whether this member is still in the group. If not, the group is
// read-only: it opens late messages of its last epochs and nothing else. See also ReInit.
func (g *Group) Active() bool { return !g.removed }

// Members calls for each member in the order of leaves.
func (g *Group) Members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		g.cur.tree.members(func(i LeafIndex, l *LeafNode) bool { return yield(Member{i, l}) })
	}
}

// MemberCount returns the number of members.
func (g *Group) MemberCount() int { return g.cur.tree.census.leaves() }

// Member returns the member at a leaf.
func (g *Group) Member(i LeafIndex) (Member, bool) {
	l := g.cur.tree.leaf(i)
	return Member{i, l}, l != nil
}

// GroupContextExtension returns the data of the group's extension of this type.
func (g *Group) GroupContextExtension(typ uint16) ([]byte, bool) {
	return findExtension(g.cur.context.extensions, typ)
}

// GroupContextExtensions returns a copy of all extensions of the group, to start
// a GroupContextExtensionsProposal from.
func (g *Group) GroupContextExtensions() []Extension {
	return cloneExtensions(g.cur.context.extensions)
}

// EpochAuthenticator returns a secret that members of the same epoch agree on
// (RFC 9420 §8.7), to tell a fork; nil once removed.
func (g *Group) EpochAuthenticator() []byte {
	if g.removed {
		return nil
	}
	return bytes.Clone(g.cur.secrets.authenticator)
}

// Export derives a secret of n bytes for the application from the present
// epoch (MLS-Exporter, RFC 9420 §8.5).
func (g *Group) Export(label string, context []byte, n int) ([]byte, error) {
	if g.removed {
		return nil, ErrRemoved
	}
	return g.suite.exportChecked(g.cur.secrets.exporter, label, context, n)
}

func (s *suite) exportChecked(secret []byte, label string, context []byte, n int) ([]byte, error) {
	if n < 1 || n > maxExport {
		return nil, fmt.Errorf("mls: cannot export %d bytes", n)
	}
	return s.export(secret, label, context, n), nil
}

// TakeChanges returns the changes to the group's records since the last call, in the
// order of their keys. Write them in the transaction of whatever the operation
// belongs to, before any bytes leave the device. Values hold secrets.
func (g *Group) TakeChanges() []Change { return g.log.take() }

// Change is one change to a group's records. A nil Value deletes.
type Change struct {
	Key   []byte
	Value []byte
}

// checkSigner refuses a signer that is not the leaf's.
func (s *suite) checkSigner(signer crypto.Signer, leaf *LeafNode) error {
	if signer == nil {
		return ErrSigner
	}
	public, err := s.sig.publicOf(signer)
	if err != nil {
		return err
	}
	if leaf == nil || !bytes.Equal(public, leaf.SignatureKey) {
		return ErrSigner
	}
	return nil
}
