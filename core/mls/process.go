package mls

import (
	"bytes"
	"fmt"
)

// Process takes a group message from the wire (an MLSMessage): it opens
// application messages, keeps valid proposals, and stages commits, fully
// validated, for Merge. What it returns beside errors is *Application,
// *ReceivedProposal or *StagedCommit. The message's key is used up unless an error is
// returned; that of a commit only by Merge, so that the commit can be processed
// again after a crash between the two.
//
// Ordinary errors: ErrOwnMessage, ErrAlreadyUsed, ErrOldEpoch, ErrFutureEpoch. The
// others mean that the message is not good, see errors.go.
func (g *Group) Process(mlsMessage []byte) (Result, error) {
	m, err := unmarshal(bytes.Clone(mlsMessage), readMessage)
	switch {
	case err != nil:
		return nil, err
	case m.private != nil:
		return g.processPrivate(m.private)
	case m.public != nil:
		return g.processPublic(m.public)
	default:
		return nil, fmt.Errorf("%w: not a group message", ErrUnsupported)
	}
}

// checkHandshake refuses handshake messages of any but the present epoch.
func (g *Group) checkHandshake(number uint64) error {
	if g.removed {
		return ErrRemoved
	}
	if number < g.cur.context.epoch {
		return fmt.Errorf("%w: handshake of %d, the present one is %d", ErrOldEpoch, number, g.cur.context.epoch)
	}
	if g.reInit != nil {
		return ErrReInit
	}
	return nil
}

func (g *Group) processPrivate(m *privateMessage) (Result, error) {
	if !bytes.Equal(m.groupID, g.cur.context.groupID) {
		return nil, ErrWrongGroup
	}
	e, err := g.messageEpoch(m.epoch)
	if err != nil {
		return nil, err
	}
	d, err := m.sender(g.suite, e.senderData)
	if err != nil {
		return nil, err
	}
	if d.leaf == g.own {
		return nil, ErrOwnMessage
	}
	if m.typ != contentApplication {
		if err := g.checkHandshake(m.epoch); err != nil {
			return nil, err
		}
	}
	leaf := e.leaf(d.leaf)
	if leaf == nil {
		return nil, invalid("6.3.2", "sender %d is not a member", d.leaf)
	}
	step, err := e.keys.receive(d.leaf, m.typ.ratchet(), d.generation, g.cfg.Forward, g.cfg.OutOfOrder)
	if err != nil {
		return nil, err
	}
	result, err := g.openPrivate(m, d, e, leaf, step.keyUse)
	if err != nil {
		step.discard()
		return nil, err
	}
	if staged, ok := result.(*StagedCommit); ok {
		staged.key = &d
		step.discard()
		return staged, nil
	}
	step.wipe()
	step.apply(g.log)
	return result, nil
}

// openPrivate decrypts and verifies a message and does what it says.
func (g *Group) openPrivate(m *privateMessage, d senderData, e *messageEpoch, leaf *LeafNode, use keyUse) (Result, error) {
	content, err := m.unprotect(g.suite, d, use)
	if err != nil {
		return nil, err
	}
	if !content.verify(g.suite, leaf.SignatureKey, e.contextRaw) {
		return nil, ErrInvalidSignature
	}
	if m.typ != contentApplication {
		return g.handshake(content, leaf)
	}
	return &Application{
		Sender: d.leaf, SenderLeaf: leaf, Epoch: m.epoch, Generation: d.generation,
		Data: content.content.application, AAD: m.aad,
	}, nil
}

func (g *Group) processPublic(m *publicMessage) (Result, error) {
	c := &m.content
	if !bytes.Equal(c.groupID, g.cur.context.groupID) {
		return nil, ErrWrongGroup
	}
	if err := g.checkHandshake(c.epoch); err != nil {
		return nil, err
	}
	if c.epoch > g.cur.context.epoch {
		return nil, ErrFutureEpoch
	}
	if c.typ == contentApplication {
		return nil, invalid("6.2", "application data in a public message")
	}
	leaf, err := g.authenticatePublic(m)
	if err != nil {
		return nil, err
	}
	return g.handshake(&m.authenticatedContent, leaf)
}

// authenticatePublic checks that a public message is by whom it names, and may be
// (§6.1, §6.2), and returns the sender's leaf, nil where it has none.
func (g *Group) authenticatePublic(m *publicMessage) (*LeafNode, error) {
	c := &m.content
	if c.sender.typ == SenderMember {
		return g.authenticateMember(m)
	}
	if (c.typ == contentCommit) != (c.sender.typ == SenderNewMemberCommit) {
		return nil, invalid("6", "content of type %d by a sender of type %d", c.typ, c.sender.typ)
	}
	var leaf *LeafNode
	var key []byte
	switch c.sender.typ {
	case SenderExternal:
		external, err := g.externalSender(c.sender.index)
		if err != nil {
			return nil, err
		}
		key = external.SignatureKey
	case SenderNewMemberProposal:
		if c.proposal.typ != ProposalAdd {
			return nil, c.sender.typ.notAllowed(c.proposal.typ)
		}
		leaf = c.proposal.keyPackage.leaf
		key = leaf.SignatureKey
	case SenderNewMemberCommit:
		if c.commit.path == nil {
			return nil, invalid("12.4.3.2", "external commit without an update path")
		}
		leaf = c.commit.path.leaf
		key = leaf.SignatureKey
	}
	if !m.verify(g.suite, key, g.cur.contextRaw) {
		return nil, ErrInvalidSignature
	}
	return leaf, nil
}

func (g *Group) authenticateMember(m *publicMessage) (*LeafNode, error) {
	if g.cfg.Handshakes == HandshakesPrivate {
		return nil, ErrPublicHandshake
	}
	if !m.verifyMembership(g.suite, g.cur.secrets.membership, g.cur.contextRaw) {
		return nil, fmt.Errorf("%w: membership tag", ErrInvalidSignature)
	}
	i := m.content.sender.leaf()
	if i == g.own {
		return nil, ErrOwnMessage
	}
	leaf := g.cur.tree.leaf(i)
	if leaf == nil {
		return nil, invalid("6.1", "sender %d is not a member", i)
	}
	if !m.verify(g.suite, leaf.SignatureKey, g.cur.contextRaw) {
		return nil, ErrInvalidSignature
	}
	return leaf, nil
}

func (g *Group) handshake(content *authenticatedContent, leaf *LeafNode) (Result, error) {
	if content.content.typ == contentCommit {
		return g.stage(content)
	}
	return g.receiveProposal(content, leaf)
}

func (g *Group) receiveProposal(content *authenticatedContent, leaf *LeafNode) (Result, error) {
	c := &content.content
	p := c.proposal
	if err := g.checkProposal(p, c.sender, g.cur.context.extensions); err != nil {
		return nil, err
	}
	ref := g.suite.proposalRef(marshal(content))
	switch known := g.cached(ref) != nil; {
	case known && content.wireFormat == wirePublic:
		return nil, ErrAlreadyUsed
	case !known && !g.hasRoom(c.sender, p.typ):
		return nil, fmt.Errorf("%w: sender %d of type %d", ErrTooManyProposals, c.sender.index, c.sender.typ)
	}
	result := &ReceivedProposal{
		From: c.sender.typ, Sender: c.sender.leaf(), SenderLeaf: leaf, Kind: p.typ, Target: c.sender.leaf(),
		Extensions: p.extensions, AAD: c.aad, ref: ref,
	}
	switch p.typ {
	case ProposalRemove:
		result.Target = p.removed
	case ProposalAdd:
		result.Leaf = p.keyPackage.leaf
	case ProposalUpdate:
		result.Leaf = p.leaf
	case ProposalReInit:
		result.ReInit = p.reInit.clone()
	}
	g.cacheProposal(content, nil)
	return result, nil
}

// Reject keeps a received proposal out of this member's own commits. Another
// member may commit it all the same, which is to be judged then.
func (g *Group) Reject(p *ReceivedProposal) {
	if c := g.cached(p.ref); c != nil {
		c.rejected = true
		g.log.put(recordKey32(prefixProposal, c.seq), marshalSecret(c))
	}
}
