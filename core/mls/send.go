package mls

import (
	"fmt"
	"slices"
)

// Seal encrypts an application message to the group and signs it; aad is
// authenticated and readable by anybody. Take the changes and store them before
// the message leaves the device: that is what keeps its key from being used twice.
// ErrRemoved, ErrReInit.
func (g *Group) Seal(plaintext, aad []byte) ([]byte, error) {
	if err := g.maySend(); err != nil {
		return nil, err
	}
	var w writer
	w.vec(plaintext)
	return g.send(g.content(contentApplication, w.b, aad))
}

// Propose publishes a proposal, to be committed by whoever commits next. It
// counts in one's own next commit as well. A KeyPackage to add must be within its lifetime.
func (g *Group) Propose(p Proposal) ([]byte, error) {
	if err := g.maySend(); err != nil {
		return nil, err
	}
	if p.typ == ProposalUpdate || p.typ == ProposalSelfRemove {
		return nil, invalid("12.1", "use ProposeUpdate or ProposeSelfRemove")
	}
	if err := p.checkLifetime(g.cfg.now()); err != nil {
		return nil, err
	}
	p = p.withNonce(g.suite)
	return g.propose(&p, nil)
}

// ProposeSelfRemove asks the others to commit this member's leaving. From here
// on it cannot commit itself. Every member must have the SelfRemove capability.
func (g *Group) ProposeSelfRemove() ([]byte, error) {
	if err := g.maySend(); err != nil {
		return nil, err
	}
	if !g.cur.tree.census.allHaveProposal(uint16(ProposalSelfRemove)) {
		return nil, invalid("7.2", "a member does not support self-remove")
	}
	return g.propose(&Proposal{typ: ProposalSelfRemove}, nil)
}

// ProposeUpdate asks whoever commits next to give this member a new leaf, with
// a fresh key and, if not nil, these extensions.
func (g *Group) ProposeUpdate(leafExtensions []Extension) ([]byte, error) {
	if err := g.maySend(); err != nil {
		return nil, err
	}
	leaf := *g.cur.tree.leaf(g.own)
	private, public, err := g.suite.generateKeyPair()
	if err != nil {
		return nil, err
	}
	leaf.raw, leaf.EncryptionKey, leaf.Source, leaf.parentHash, leaf.Lifetime = nil, public, SourceUpdate, nil, Lifetime{}
	if err := leaf.setExtensions(leafExtensions); err != nil {
		return nil, err
	}
	if err := leaf.sign(g.suite, g.signer, g.cur.context.groupID, g.own); err != nil {
		return nil, err
	}
	out, err := g.propose(&Proposal{typ: ProposalUpdate, leaf: &leaf}, private)
	if err != nil {
		clear(private)
	}
	return out, err
}

func (g *Group) propose(p *Proposal, newPrivate []byte) ([]byte, error) {
	if err := g.checkProposal(p, memberSender(g.own), g.cur.context.extensions); err != nil {
		return nil, err
	}
	if !g.hasRoom(memberSender(g.own), p.typ) {
		return nil, ErrTooManyProposals // the others would refuse it, and any commit of it
	}
	content := g.content(contentProposal, marshal(p), nil)
	content.content.proposal = p
	out, err := g.send(content)
	if err == nil {
		g.cacheProposal(content, newPrivate)
	}
	return out, err
}

func (g *Group) send(content *authenticatedContent) ([]byte, error) {
	if err := content.sign(g.suite, g.signer, g.cur.contextRaw); err != nil {
		return nil, err
	}
	return g.protect(content)
}

// content frames a body of this member for the present epoch.
func (g *Group) content(typ contentType, body, aad []byte) *authenticatedContent {
	return &authenticatedContent{wireFormat: g.cfg.Handshakes.wireFormat(typ), content: framedContent{
		groupID: g.cur.context.groupID, epoch: g.cur.context.epoch,
		sender: memberSender(g.own), aad: slices.Clone(aad), typ: typ, body: body,
	}}
}

// protect makes the message of signed content, encrypted or with a membership tag,
// whichever it is framed for.
func (g *Group) protect(content *authenticatedContent) ([]byte, error) {
	if content.wireFormat == wirePublic {
		m := &publicMessage{authenticatedContent: *content}
		m.authenticate(g.suite, g.cur.secrets.membership, g.cur.contextRaw)
		return marshal(&message{wireFormat: wirePublic, public: m}), nil
	}
	step, err := g.keys.send(g.own, content.content.typ.ratchet())
	if err != nil {
		return nil, err
	}
	return g.encrypt(content, step)
}

// encrypt encrypts signed content and makes the use of its key final.
func (g *Group) encrypt(content *authenticatedContent, step *keyStep) ([]byte, error) {
	m, err := content.protect(g.suite, g.cur.secrets.senderData, step.keyUse, g.cfg.Padding)
	if err != nil {
		step.discard()
		return nil, fmt.Errorf("mls: encrypting: %w", err)
	}
	step.wipe()
	step.apply(g.log)
	return marshal(&message{wireFormat: wirePrivate, private: m}), nil
}
