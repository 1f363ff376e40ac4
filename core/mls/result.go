package mls

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

// ReceivedProposal is a valid proposal by another member, kept for the next commit.
type ReceivedProposal struct {
	Sender     LeafIndex
	SenderLeaf *LeafNode
	Proposal   Proposal
	Kind       ProposalType
	AAD        []byte
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
	AAD       []byte
	Added     []Member // as they will be
	Removed   []Member // as they were, whether removed or having left
	Updated   []Member // as they will be, the committer among them where it sent a path
}

func (*Application) isResult()      {}
func (*ReceivedProposal) isResult() {}
func (*StagedCommit) isResult()     {}

func (s *StagedCommit) Export(label string, context []byte, n int) ([]byte, error) { panic("todo") }
func (s *StagedCommit) GroupContextExtension(typ uint16) ([]byte, bool)            { panic("todo") }
func (s *StagedCommit) EpochAuthenticator() []byte                                 { panic("todo") }
func (s *StagedCommit) RemovesSelf() bool                                          { panic("todo") }
