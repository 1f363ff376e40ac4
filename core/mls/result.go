package mls

import (
	"bytes"
	"crypto"
)

// Result is what Process made of a message: *Application, *ReceivedProposal or *StagedCommit.
type Result interface{ isResult() }

// Application is a decrypted application message.
type Application struct {
	Sender     LeafIndex
	SenderLeaf *LeafNode // as it was in Epoch
	Epoch      uint64
	Generation uint32
	Data       []byte
	AAD        []byte
}

// ReceivedProposal is a valid proposal by another member, or from outside of the
// group. It is kept, and goes into the next commit unless Reject is called.
type ReceivedProposal struct {
	From       SenderType // who else but a member may have sent it
	Sender     LeafIndex  // of a member; the place in the extension of an external sender; else of no meaning
	SenderLeaf *LeafNode  // of a member, or of the one that proposes to join; else nil
	Kind       ProposalType
	Target     LeafIndex   // of a Remove: who; else the sender
	Leaf       *LeafNode   // of an Add or Update: the new leaf
	Extensions []Extension // of GroupContextExtensions: the new ones
	ReInit     *ReInit     // of a ReInit: what is to take the group's place
	AAD        []byte

	ref []byte
}

// StagedCommit is a commit, one's own or a validated one of another member,
// that has not been applied. Its fields are read-only.
type StagedCommit struct {
	// Message is the MLSMessage to publish, of an own commit.
	Message []byte
	// Welcome is the MLSMessage for all members added, with the ratchet tree
	// inside, of an own commit; nil where nobody is added.
	Welcome []byte
	// Epoch is the epoch that the commit ends.
	Epoch     uint64
	Committer LeafIndex
	// External: the committer is no member yet and joins by this (RFC 9420
	// §12.4.3.2). It is among Added and, where it takes the place of an earlier leaf
	// of its own, that one among Removed.
	External bool
	AAD      []byte
	Added    []Member // as they will be
	Removed  []Member // as they were, whether removed or leaving
	Updated  []Member // as they will be, the committer among them where it sent a path

	// Proposals tells what the commit does and who asked for it: the committer
	// for proposals by value, any member for others, or somebody outside of the
	// group. For the roles of the application.
	Proposals []CommittedProposal

	// ReInit is what takes the group's place where the commit closes it, else
	// nil. Once such a commit is merged, nobody can send to the group any more.
	ReInit *ReInit

	suite     *suite
	base      *epoch
	next      *epoch      // nil where this member is removed
	key       *senderData // which message key a private message of another member came under
	own       LeafIndex
	signer    crypto.Signer
	discarded bool
}

// CommittedProposal is a proposal of a commit.
type CommittedProposal struct {
	Kind ProposalType
	From SenderType
	// Sender is the leaf of a member or of the one that joins by the commit, the place
	// in the extension of an external sender, and else of no meaning: see From.
	Sender LeafIndex
	Target LeafIndex // who is added, updated or removed; else of no meaning
}

func (p CommittedProposal) encode(w *writer) {
	w.u16(uint16(p.Kind))
	w.u8(uint8(p.From))
	w.u32(uint32(p.Sender))
	w.u32(uint32(p.Target))
}

func readCommittedProposal(r *reader) CommittedProposal {
	return CommittedProposal{Kind: ProposalType(r.u16()), From: SenderType(r.u8()), Sender: LeafIndex(r.u32()), Target: LeafIndex(r.u32())}
}

func (*Application) isResult()      {}
func (*ReceivedProposal) isResult() {}
func (*StagedCommit) isResult()     {}

// Export is Group.Export in the epoch that the commit begins. ErrRemoved where
// this member is not in it; ErrStale once the commit is discarded or its epoch over.
func (s *StagedCommit) Export(label string, context []byte, n int) ([]byte, error) {
	if s.next == nil {
		return nil, ErrRemoved
	}
	if s.discarded || s.next.secrets.exporter == nil {
		return nil, ErrStale
	}
	return s.suite.exportChecked(s.next.secrets.exporter, label, context, n)
}

// GroupContextExtension is Group.GroupContextExtension in the epoch that the commit begins.
func (s *StagedCommit) GroupContextExtension(typ uint16) ([]byte, bool) {
	if s.next == nil {
		return nil, false
	}
	return findExtension(s.next.context.extensions, typ)
}

// GroupContextExtensions is Group.GroupContextExtensions in the epoch that the
// commit begins; nil where this member is not in it.
func (s *StagedCommit) GroupContextExtensions() []Extension {
	if s.next == nil {
		return nil
	}
	return cloneExtensions(s.next.context.extensions)
}

// EpochAuthenticator is Group.EpochAuthenticator in the epoch that the commit begins.
func (s *StagedCommit) EpochAuthenticator() []byte {
	if s.next == nil {
		return nil
	}
	return bytes.Clone(s.next.secrets.authenticator)
}

// RemovesSelf tells whether this member is out once the commit is merged.
func (s *StagedCommit) RemovesSelf() bool { return s.next == nil }

// describe fills in who is added, removed and updated.
func (s *StagedCommit) describe(added, removed, updated []LeafIndex, next *ratchetTree) {
	for _, i := range added {
		s.Added = append(s.Added, Member{i, next.leaf(i)})
	}
	for _, i := range removed {
		s.Removed = append(s.Removed, Member{i, s.base.tree.leaf(i)})
	}
	for _, i := range updated {
		s.Updated = append(s.Updated, Member{i, next.leaf(i)})
	}
}

// touched lists the leaves that the commit changes.
func (s *StagedCommit) touched() []LeafIndex {
	var out []LeafIndex
	for _, list := range [][]Member{s.Added, s.Removed, s.Updated} {
		for _, m := range list {
			out = append(out, m.Index)
		}
	}
	return out
}

// useKey uses up the key of the message that the commit came in.
func (s *StagedCommit) useKey(g *Group) {
	if s.key == nil {
		return
	}
	step, err := g.keys.receive(s.key.leaf, ratchetHandshake, s.key.generation, g.cfg.Forward, g.cfg.OutOfOrder)
	if err != nil {
		return // gone in the meantime
	}
	step.wipe()
	step.apply(g.log)
}

// wipe erases the secrets of a commit that is not going to be merged.
func (s *StagedCommit) wipe() {
	s.discarded = true
	if s.next == nil {
		return
	}
	s.next.secrets.wipe()
	for x, key := range s.next.keys {
		if old := s.base.keys[x]; old == nil || &old[0] != &key[0] {
			clear(key)
		}
	}
}
