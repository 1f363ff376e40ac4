package mls

import (
	"crypto"
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
// signature key and, where it replaces another, to the same client (RFC 9420 §5.3.1).
// An error refuses the leaf, and with it the operation that brought it.
type AuthenticationService interface {
	ValidateLeaf(ctx LeafContext, leaf *LeafNode) error
}

// Config is what all groups of a client have in common.
type Config struct {
	Auth AuthenticationService // required
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Padding gives the padded length of a content of n bytes, at least n; nil means Padmé over a floor of 256.
	Padding func(n int) int
	// PastEpochs is how many epochs before the present one can still be decrypted; 0 means 5.
	PastEpochs int
	// OutOfOrder is how many skipped message keys are kept per sender and epoch; 0 means 20.
	OutOfOrder int
	// Forward is how many generations a sender may be ahead; 0 means 1000.
	Forward int
}

// CreateParams is what a new group starts with.
type CreateParams struct {
	GroupID                []byte
	Suite                  Suite
	Credential             Credential
	Signer                 crypto.Signer
	LeafExtensions         []Extension
	GroupContextExtensions []Extension
	ExtraCapabilities      Capabilities
}

// Member is a member of the group.
type Member struct {
	Index LeafIndex
	*LeafNode
}

// CommitOptions is what a commit does besides committing the proposals received.
type CommitOptions struct {
	Proposals      []Proposal
	LeafExtensions []Extension // of the own new leaf; nil keeps them
	// AddOnly leaves out the update path where the proposals allow it: a smaller
	// commit that gives no post-compromise security.
	AddOnly bool
	AAD     []byte // authenticated, not encrypted
}

// Change is one change to a group's records. A nil Value deletes.
type Change struct {
	Key   []byte
	Value []byte
}

// Group is a member's state of a group. It is not safe for concurrent use.
type Group struct{}

func Create(cfg Config, p CreateParams) (*Group, error) { panic("todo") }
func Join(cfg Config, signer crypto.Signer, bundle *KeyPackageBundle, welcome, tree []byte) (*Group, error) {
	panic("todo")
}

func Load(cfg Config, signer crypto.Signer, records func(yield func(key, value []byte) bool)) (*Group, error) {
	panic("todo")
}
func (g *Group) ID() []byte                                                 { panic("todo") }
func (g *Group) Suite() Suite                                               { panic("todo") }
func (g *Group) Epoch() uint64                                              { panic("todo") }
func (g *Group) OwnIndex() LeafIndex                                        { panic("todo") }
func (g *Group) Members() iter.Seq[Member]                                  { panic("todo") }
func (g *Group) Member(i LeafIndex) (Member, bool)                          { panic("todo") }
func (g *Group) GroupContextExtension(typ uint16) ([]byte, bool)            { panic("todo") }
func (g *Group) GroupContextExtensions() []Extension                        { panic("todo") }
func (g *Group) EpochAuthenticator() []byte                                 { panic("todo") }
func (g *Group) Active() bool                                               { panic("todo") }
func (g *Group) Export(label string, context []byte, n int) ([]byte, error) { panic("todo") }
func (g *Group) TakeChanges() []Change                                      { panic("todo") }
func (g *Group) Seal(plaintext, aad []byte) ([]byte, error)                 { panic("todo") }
func (g *Group) Propose(p Proposal) ([]byte, error)                         { panic("todo") }
func (g *Group) ProposeSelfRemove() ([]byte, error)                         { panic("todo") }
func (g *Group) Commit(o CommitOptions) (*StagedCommit, error)              { panic("todo") }
func (g *Group) Pending() *StagedCommit                                     { panic("todo") }
func (g *Group) MergePending() error                                        { panic("todo") }
func (g *Group) DiscardPending()                                            { panic("todo") }
func (g *Group) Process(message []byte) (Result, error)                     { panic("todo") }
func (g *Group) Merge(s *StagedCommit) error                                { panic("todo") }
