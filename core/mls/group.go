package mls

import (
	"bytes"
	"crypto"
	"fmt"
	"iter"
)

// LeafIndex is a member's place in the ratchet tree. It stays while the member stays.
type LeafIndex uint32

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
func (g *Group) TakeChanges() []Change {
	changes := g.log.take()
	if len(changes) > 100 {
		g.log = changeLog{} // a map keeps the room it once needed
	}
	return changes
}

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
