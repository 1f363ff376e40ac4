package mls

import (
	"bytes"
	"crypto"
)

// ExternalProposalParams is what an external sender proposes, and to which group.
type ExternalProposalParams struct {
	Suite   Suite
	GroupID []byte
	Epoch   uint64
	// Sender is one's place in the group's external_senders extension.
	Sender uint32
	Signer crypto.Signer
	// Proposal is an Add, Remove, PreSharedKey, ReInit or GroupContextExtensions.
	Proposal Proposal
	AAD      []byte
}

// NewExternalProposal makes a proposal of one whom the group's external_senders
// extension lists (RFC 9420 §12.1.8), as an MLSMessage for all members. One of them
// has to commit it. *ValidationError where the type is not for external senders.
func NewExternalProposal(p ExternalProposalParams) ([]byte, error) {
	s, err := suiteOf(p.Suite)
	if err != nil {
		return nil, err
	}
	if p.Signer == nil {
		return nil, ErrSigner
	}
	if p.Proposal.err != nil {
		return nil, p.Proposal.err
	}
	if !SenderExternal.mayPropose(p.Proposal.typ) {
		return nil, SenderExternal.notAllowed(p.Proposal.typ)
	}
	proposal := p.Proposal.withNonce(s)
	return publicProposal(s, p.Signer, framedContent{
		groupID: p.GroupID, epoch: p.Epoch, sender: sender{SenderExternal, p.Sender}, aad: p.AAD,
		typ: contentProposal, body: marshal(&proposal),
	})
}

// NewJoinProposal makes a proposal to add oneself (§12.1.8), as an MLSMessage for all
// members. Whoever commits it sends a Welcome for the bundle, which is to be kept for
// Join. ErrSigner where the key is not the KeyPackage's.
func NewJoinProposal(groupID []byte, epoch uint64, bundle *KeyPackageBundle, signer crypto.Signer) ([]byte, error) {
	s, err := suiteOf(bundle.kp.suite)
	if err != nil {
		return nil, err
	}
	if err := s.checkSigner(signer, bundle.kp.leaf); err != nil {
		return nil, err
	}
	return publicProposal(s, signer, framedContent{
		groupID: groupID, epoch: epoch, sender: sender{typ: SenderNewMemberProposal},
		typ: contentProposal, body: marshal(&Proposal{typ: ProposalAdd, keyPackage: bundle.kp}),
	})
}

// publicProposal signs and frames a proposal from outside of the group.
func publicProposal(s *suite, signer crypto.Signer, content framedContent) ([]byte, error) {
	content.groupID, content.aad = bytes.Clone(content.groupID), bytes.Clone(content.aad)
	m := &publicMessage{authenticatedContent: authenticatedContent{wireFormat: wirePublic, content: content}}
	if err := m.sign(s, signer, nil); err != nil {
		return nil, err
	}
	return marshal(&message{wireFormat: wirePublic, public: m}), nil
}
